//! What `asyncio.sleep` waits for on a plait loop: a future that the loop's timers settle.
//!
//! `plait._tasks.sleep` yields one, so a sleep is this object and its place among the timers: no TimerHandle, no arguments
//! for a callback, no iterator between the coroutine and the future. The result of the sleep stays in the coroutine.
//!
//! A timer that is due goes through the ready queue, as asyncio's callback does, and not straight to the task: what other
//! timers of the same turn schedule comes in the same order as on asyncio. Rejected: waking the task at once, which is
//! a turn earlier.

use super::future::{Future, Outcome};
use super::handle::{Call, Handle, TimerHandle};
use super::schedule::due;
use super::timeout::Timeout;
use super::EventLoop;
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::timers::TimerKey;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

/// What lies in a loop's timers.
pub enum Timer {
    /// A callback, from `call_later` or `call_at`.
    Handle(Py<TimerHandle>),
    /// A sleep, or the time-out of a `wait`.
    Sleep(Py<TimerFuture>),
    /// A time-out.
    Timeout(Py<Timeout>),
}

impl Timer {
    pub fn clone_ref(&self, py: Python<'_>) -> Timer {
        match self {
            Timer::Handle(timer) => Timer::Handle(timer.clone_ref(py)),
            Timer::Sleep(timer) => Timer::Sleep(timer.clone_ref(py)),
            Timer::Timeout(timeout) => Timer::Timeout(timeout.clone_ref(py)),
        }
    }

    /// The handle that a caller was given, or the one that asyncio would have made for a sleep; to show, and to cancel.
    pub fn shown<'py>(self, loop_: &Bound<'py, EventLoop>, when: f64) -> PyResult<Bound<'py, TimerHandle>> {
        let py = loop_.py();
        match self {
            Timer::Handle(timer) => Ok(timer.into_bound(py)),
            Timer::Sleep(timer) => {
                let key = timer.get().key.with(py, |key| *key);
                let future = timer.into_bound(py).into_super().unbind();
                let call = Call::SetResult { future, result: py.None() };
                let handle =
                    Bound::new(py, TimerHandle::build(Handle::build(loop_, call, None, false)?, when))?;
                handle.get().set_key(py, key);
                Ok(handle)
            }
            Timer::Timeout(timeout) => Timeout::shown(timeout.bind(py), loop_, when),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Timer::Handle(timer) => visit.call(timer),
            Timer::Sleep(timer) => visit.call(timer),
            Timer::Timeout(timeout) => visit.call(timeout),
        }
    }
}

/// A future that a timer of its loop settles.
#[pyclass(module = "plait._native", frozen, subclass, extends = Future)]
pub struct TimerFuture {
    /// Where it stands among the timers; None once it is not wanted any more. Kept from the moment when the timer is
    /// due until it is settled.
    key: Guarded<Option<TimerKey>>,
}

impl TimerFuture {
    /// Without a timer yet.
    pub fn unarmed() -> TimerFuture {
        TimerFuture { key: Guarded::new(None) }
    }

    /// Puts it among the loop's timers.
    pub fn arm(slf: &Bound<'_, TimerFuture>, loop_: &Bound<'_, EventLoop>, when: f64) {
        let py = slf.py();
        let entry = Timer::Sleep(slf.clone().unbind());
        let key = loop_.get().state.with(py, |s| s.timers.insert(when, entry));
        slf.get().key.with(py, |k| *k = Some(key));
    }

    /// The timer was due.
    pub fn elapse(slf: &Bound<'_, TimerFuture>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().key.with(py, Option::take).is_some() {
            Future::settle(slf.as_super(), Outcome::Result(py.None()))?;
        }
        Ok(())
    }

    /// Takes it out of the timers, or makes nothing of its being due.
    pub fn stop(slf: &Bound<'_, TimerFuture>) -> PyResult<()> {
        let py = slf.py();
        if let Some(key) = slf.get().key.with(py, Option::take) {
            let loop_ = slf.as_super().get().loop_of(py)?;
            drop(loop_.cast::<EventLoop>()?.get().remove_timer(py, key));
        }
        Ok(())
    }
}

#[pymethods]
impl TimerFuture {
    #[getter]
    fn __class__(slf: &Bound<'_, Self>) -> Py<PyAny> {
        standard(slf.py()).future.clone_ref(slf.py()).into_any()
    }

    /// Take the timer back: the future is not settled by it.
    fn disarm(slf: &Bound<'_, Self>) -> PyResult<()> {
        TimerFuture::stop(slf)
    }

    /// Somebody ends the sleep early (it is what the task's `_fut_waiter` shows).
    fn set_result(slf: &Bound<'_, Self>, result: Py<PyAny>) -> PyResult<()> {
        TimerFuture::stop(slf)?;
        Future::set_result(slf.as_super(), result)
    }

    fn set_exception(slf: &Bound<'_, Self>, exception: Bound<'_, PyAny>) -> PyResult<()> {
        TimerFuture::stop(slf)?;
        Future::set_exception(slf.as_super(), exception)
    }
}

/// A future of the running loop that is settled in `delay` seconds, marked as being awaited, for its caller to yield. None
/// where a sleep has to go through the loop's methods: on a loop that is not plait's, or that overrides them.
#[pyfunction]
#[pyo3(signature = (delay, /))]
pub fn start_timer<'py>(delay: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, TimerFuture>>> {
    let py = delay.py();
    let running = standard(py).get_running_loop.bind(py).call0()?;
    let Ok(loop_) = running.cast_into::<EventLoop>() else {
        return Ok(None);
    };
    if !EventLoop::keeps_time_natively(&loop_)? {
        return Ok(None);
    }
    let when = due(delay)?;
    if cfg!(Py_3_13) && when.is_nan() {
        return Err(PyValueError::new_err("Invalid delay: NaN (not a number)"));
    }
    let future = Future::on_loop(py, &loop_)?;
    future.state.with(py, |s| s.blocking = true);
    let timer = PyClassInitializer::from(future).add_subclass(TimerFuture::unarmed());
    let timer = Bound::new(py, timer)?;
    TimerFuture::arm(&timer, &loop_, when);
    Ok(Some(timer))
}

impl EventLoop {
    /// Whether nothing on the way of a sleep is overridden: neither in a class (asked once, when the loop is made), nor what
    /// asyncio's `sleep` calls, on the loop itself.
    #[inline]
    fn keeps_time_natively(slf: &Bound<'_, EventLoop>) -> PyResult<bool> {
        let py = slf.py();
        Ok(slf.get().natively.timers
            && !crate::ffi::has_own_attribute(slf, intern!(py, "call_later"))?
            && !crate::ffi::has_own_attribute(slf, intern!(py, "create_future"))?)
    }
}
