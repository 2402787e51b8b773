//! `call_soon`, `call_soon_threadsafe`, `call_later`, `call_at`: how callbacks get into the loop.

use super::handle::{Call, Handle, TimerHandle};
use super::ready::Ready;
use super::run::now;
use super::sleep::Timer;
use super::EventLoop;
use crate::errors::closed;
use crate::fastcall::{fast_method, install, Arguments};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

fast_method!(call_soon_entry, EventLoop, "BaseEventLoop.call_soon", call_soon);
fast_method!(
    call_soon_threadsafe_entry,
    EventLoop,
    "BaseEventLoop.call_soon_threadsafe",
    call_soon_threadsafe
);
fast_method!(call_later_entry, EventLoop, "BaseEventLoop.call_later", call_later);
fast_method!(call_at_entry, EventLoop, "BaseEventLoop.call_at", call_at);

/// Adds the methods to the loop's type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install::<EventLoop>(
        py,
        c"call_soon",
        c"call_soon($self, callback, *args, context=None)\n--\n\n\
Call callback(*args) in the next iteration, after everything that was scheduled before. Returns a Handle. For the loop's\n\
own thread only. RuntimeError when the loop is closed. Counterpart: asyncio.AbstractEventLoop.call_soon.",
        call_soon_entry,
    )?;
    install::<EventLoop>(
        py,
        c"call_soon_threadsafe",
        c"call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n\
Like call_soon, from any thread; wakes the loop when it sleeps. Counterpart:\n\
asyncio.AbstractEventLoop.call_soon_threadsafe.",
        call_soon_threadsafe_entry,
    )?;
    install::<EventLoop>(
        py,
        c"call_later",
        c"call_later($self, delay, callback, *args, context=None)\n--\n\n\
Call callback(*args) after delay seconds (negative or NaN: at once). Returns a TimerHandle. For the loop's own thread\n\
only. Counterpart: asyncio.AbstractEventLoop.call_later.",
        call_later_entry,
    )?;
    install::<EventLoop>(
        py,
        c"call_at",
        c"call_at($self, when, callback, *args, context=None)\n--\n\n\
Call callback(*args) when loop.time() has reached when, in seconds. Timers of the same time run in the order in which\n\
they were made. Returns a TimerHandle. For the loop's own thread only. Counterpart: asyncio.AbstractEventLoop.call_at.",
        call_at_entry,
    )
}

fn call_soon<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let parsed = arguments.parse(py, ["callback"])?;
    let [callback] = parsed.named;
    let debug = slf.get().check_open(py)?;
    if debug {
        EventLoop::check_in_debug_mode(slf, &callback, "call_soon")?;
    }
    let call = Call::new(callback, parsed.rest, parsed.context.is_some())?;
    let handle = Bound::new(py, Handle::build(slf, call, parsed.context, debug)?)?;
    slf.get().push_ready(py, Ready::Handle(handle.clone().unbind()))?;
    Ok(handle.into_any().unbind())
}

fn call_soon_threadsafe<'py>(
    slf: &Bound<'py, EventLoop>,
    arguments: Arguments<'_, 'py>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let parsed = arguments.parse(py, ["callback"])?;
    let [callback] = parsed.named;
    let debug = slf.get().check_open(py)?;
    if debug {
        EventLoop::check_in_debug_mode(slf, &callback, "call_soon_threadsafe")?;
    }
    let call = Call::new(callback, parsed.rest, parsed.context.is_some())?;
    let handle = Bound::new(py, Handle::build(slf, call, parsed.context, debug)?)?;
    slf.get().post(py, Ready::Handle(handle.clone().unbind()))?;
    Ok(handle.into_any().unbind())
}

fn call_later<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let parsed = arguments.parse(py, ["delay", "callback"])?;
    let [delay, callback] = parsed.named;
    let due = due(&delay)?;
    call_when(slf, due, |handle| TimerHandle::build(handle, due), callback, parsed.rest, parsed.context)
}

fn call_at<'py>(slf: &Bound<'py, EventLoop>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let parsed = arguments.parse(py, ["when", "callback"])?;
    let [when, callback] = parsed.named;
    if when.is_none() {
        return Err(PyTypeError::new_err("when cannot be None"));
    }
    let due = when.extract()?;
    let build = |handle| TimerHandle::build_at(handle, due, &when);
    call_when(slf, due, build, callback, parsed.rest, parsed.context)
}

fn call_when<'py>(
    slf: &Bound<'py, EventLoop>,
    due: f64,
    build: impl FnOnce(Handle) -> PyClassInitializer<TimerHandle>,
    callback: Bound<'py, PyAny>,
    rest: &[Bound<'py, PyAny>],
    context: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let debug = slf.get().check_open(py)?;
    if debug {
        EventLoop::check_in_debug_mode(slf, &callback, "call_at")?;
    }
    let call = Call::new(callback, rest, context.is_some())?;
    let handle = Handle::build(slf, call, context, debug)?;
    let timer = Bound::new(py, build(handle))?;
    let kept = Timer::Handle(timer.clone().unbind());
    let key = slf.get().state.with(py, |s| s.timers.insert(due, kept));
    timer.get().set_key(py, Some(key));
    Ok(timer.into_any().unbind())
}

/// `loop.time() + delay` as Python adds.
pub fn due(delay: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(delay) = delay.cast_exact::<PyFloat>() {
        return Ok(now() + delay.value());
    }
    if delay.is_none() {
        return Err(PyTypeError::new_err("delay must not be None"));
    }
    PyFloat::new(delay.py(), now()).add(delay)?.extract()
}

impl EventLoop {
    /// RuntimeError when closed; else whether the loop is in debug mode.
    #[inline]
    fn check_open(&self, py: Python<'_>) -> PyResult<bool> {
        let open = self.state.with(py, |s| s.reactor.is_some().then_some(s.debug));
        open.ok_or_else(closed)
    }

    #[cold]
    fn check_in_debug_mode(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>, method: &str) -> PyResult<()> {
        if method != "call_soon_threadsafe" {
            slf.get().check_thread(slf.py())?;
        }
        slf.call_method1(intern!(slf.py(), "_check_callback"), (callback, method))?;
        Ok(())
    }
}
