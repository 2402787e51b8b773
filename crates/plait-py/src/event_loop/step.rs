//! One step of a task: send into the coroutine, look at what it yielded, wait for that.
//!
//! The order of checks and the words of the errors are asyncio's (`Task.__step`).

use super::callbacks::Callback;
use super::current;
use super::future::{Future, Outcome, Phase};
use super::gathering::GatheringFuture;
use super::sleep::TimerFuture;
use super::task::Task;
use super::waiting::WaitManyFuture;
use super::EventLoop;
use crate::errors::{invalid_state, leaves_the_loop};
use crate::ffi::{self, Sent};
use crate::standard::standard;
use crate::waiters::task::WaitFuture;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// A step from a plait loop's ready queue.
#[inline]
pub fn step_on(
    loop_: &Bound<'_, EventLoop>,
    task: &Bound<'_, Task>,
    error: Option<Py<PyAny>>,
) -> PyResult<()> {
    current::enter(loop_, task)?;
    let context = task.get().context(task.py()).into_bound(task.py());
    ffi::in_context(&context, || step(task, error))
}

/// A wake-up from a plait loop's ready queue: the awaited future is done.
#[inline]
pub fn wake_on(
    loop_: &Bound<'_, EventLoop>,
    task: &Bound<'_, Task>,
    future: &Bound<'_, Future>,
) -> PyResult<()> {
    step_on(loop_, task, error_of(future))
}

/// A step that some other loop's handle makes; the handle has entered the context.
pub fn step_anywhere(task: &Bound<'_, Task>, error: Option<Py<PyAny>>) -> PyResult<()> {
    match Task::native_loop(task) {
        Some(loop_) => {
            current::enter(&loop_, task)?;
            step(task, error)
        }
        None => {
            let loop_ = task.as_super().get().loop_of(task.py())?;
            current::alone(&loop_, task, || step(task, error))
        }
    }
}

/// The same for a wake-up by a future of any kind.
pub fn wakeup_anywhere(task: &Bound<'_, Task>, future: &Bound<'_, PyAny>) -> PyResult<()> {
    let error = match exact_future(future) {
        Some(native) => error_of(native),
        None => future
            .call_method0(intern!(future.py(), "result"))
            .err()
            .map(|error| error.into_value(future.py()).into_any()),
    };
    step_anywhere(task, error)
}

/// The first step, made at once: `eager_start=True`.
pub fn eager_start(task: &Bound<'_, Task>, loop_: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    let context = task.get().context(py).into_bound(py);
    let result =
        current::swapped(loop_, Some(task.as_any()), || ffi::in_context(&context, || step(task, None)));
    if task.as_super().get().is_done(py) {
        // As in asyncio: an eagerly finished task lets its coroutine go.
        drop(task.get().state.with(py, |t| t.coro.take()));
    }
    result
}

#[inline]
fn error_of(future: &Bound<'_, Future>) -> Option<Py<PyAny>> {
    let py = future.py();
    let this = future.get();
    let good = this.state.with(py, |s| s.phase == Phase::Returned);
    if good {
        return None;
    }
    let error = this.take_outcome(py, "Result is not set.").err()?;
    Some(error.into_value(py).into_any())
}

/// The native future behind `object`, when it is exactly ours: a subclass may override anything.
#[inline]
pub fn exact_future<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, Future>> {
    if object.is_exact_instance_of::<Task>()
        || object.is_exact_instance_of::<Future>()
        || object.is_exact_instance_of::<WaitFuture>()
        || object.is_exact_instance_of::<TimerFuture>()
        || object.is_exact_instance_of::<GatheringFuture>()
        || object.is_exact_instance_of::<WaitManyFuture>()
    {
        object.cast::<Future>().ok()
    } else {
        None
    }
}

/// Cancels what a task waits for; true when that accepted it.
pub fn cancel_awaited(awaited: &Bound<'_, PyAny>, message: Option<Py<PyAny>>) -> PyResult<bool> {
    if let Ok(future) = awaited.cast_exact::<Future>() {
        return Future::cancel_base(future, message);
    }
    if let Ok(task) = awaited.cast_exact::<Task>() {
        return ffi::one_level_deeper(task.py(), c" while cancelling a task", || Task::cancel(task, message));
    }
    if let Ok(waiter) = awaited.cast_exact::<WaitFuture>() {
        return Future::cancel_base(waiter.as_super(), message);
    }
    if let Ok(timer) = awaited.cast_exact::<TimerFuture>() {
        return Future::cancel_base(timer.as_super(), message);
    }
    if let Ok(waiter) = awaited.cast_exact::<WaitManyFuture>() {
        return Future::cancel_base(waiter.as_super().as_super(), message);
    }
    if let Ok(outer) = awaited.cast_exact::<GatheringFuture>() {
        return GatheringFuture::cancel(outer, message);
    }
    let py = awaited.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item(intern!(py, "msg"), message)?;
    awaited.call_method(intern!(py, "cancel"), (), Some(&kwargs))?.is_truthy()
}

fn step(task: &Bound<'_, Task>, error: Option<Py<PyAny>>) -> PyResult<()> {
    let py = task.py();
    let future = task.as_super();
    if future.get().is_done(py) {
        let error = error.unwrap_or_else(|| py.None());
        let (task, error) = (task.repr()?, error.bind(py).repr()?);
        return Err(invalid_state(py, format!("__step(): already done: {task} {error}")));
    }
    let (coro, waiter, must_cancel) = task.get().state.with(py, |t| {
        let coro = t.coro.as_ref().map(|c| c.clone_ref(py));
        (coro, t.waiter.take(), t.marks.set_must_cancel(false))
    });
    drop(waiter.map(|waiter| waiter.into_bound(py)));
    let coro = match coro {
        Some(coro) => coro.into_bound(py),
        None => return Err(PyRuntimeError::new_err("uninitialized Task object")),
    };
    let error = match (must_cancel, error) {
        (true, Some(error)) if is_cancelled_error(error.bind(py)) => Some(error),
        (true, _) => Some(future.get().cancelled_error(py).into_value(py).into_any()),
        (false, error) => error,
    };
    let sent = match error {
        None => ffi::send_none(&coro),
        Some(error) => throw_into(&coro, error),
    };
    match sent {
        Ok(Sent::Yielded(awaited)) => await_on(task, awaited),
        Ok(Sent::Returned(value)) => returned(task, value),
        Err(error) => failed(task, error),
    }
}

fn is_cancelled_error(error: &Bound<'_, PyAny>) -> bool {
    error.is_instance(standard(error.py()).cancelled_error.bind(error.py())).unwrap_or(false)
}

fn throw_into<'py>(coro: &Bound<'py, PyAny>, error: Py<PyAny>) -> PyResult<Sent<'py>> {
    let py = coro.py();
    match coro.call_method1(intern!(py, "throw"), (error,)) {
        Ok(awaited) => Ok(Sent::Yielded(awaited)),
        Err(raised) if raised.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) => {
            Ok(Sent::Returned(raised.value(py).getattr(intern!(py, "value"))?))
        }
        Err(raised) => Err(raised),
    }
}

#[inline]
fn returned(task: &Bound<'_, Task>, value: Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    Task::unregister(task);
    let future = task.as_super();
    // Cancelled right before the coroutine returned: the cancellation wins.
    if task.get().state.with(py, |t| t.marks.set_must_cancel(false)) {
        let message = future.get().cancel_message(py);
        Future::cancel_base(future, message)?;
    } else {
        Future::settle(future, Outcome::Result(value.unbind()))?;
    }
    Ok(())
}

fn failed(task: &Bound<'_, Task>, error: PyErr) -> PyResult<()> {
    let py = task.py();
    Task::unregister(task);
    let future = task.as_super();
    if error.is_instance(py, standard(py).cancelled_error.bind(py)) {
        future.get().set_cancel_message(py, None);
        future.get().keep_cancelled_error(py, error.into_value(py).into_any());
        Future::settle(future, Outcome::Cancelled)?;
        return Ok(());
    }
    Future::fail(future, &error)?;
    if leaves_the_loop(py, &error) {
        return Err(error);
    }
    Ok(())
}

/// The coroutine yielded: wait for what it yielded, if that can be waited for.
#[inline]
fn await_on(task: &Bound<'_, Task>, awaited: Bound<'_, PyAny>) -> PyResult<()> {
    if let Some(future) = exact_future(&awaited) {
        return await_native(task, future);
    }
    if awaited.is_none() {
        // A bare `yield`: one turn of the loop.
        return Task::schedule_step(task, None);
    }
    await_foreign(task, &awaited)
}

#[inline]
fn await_native(task: &Bound<'_, Task>, future: &Bound<'_, Future>) -> PyResult<()> {
    let py = task.py();
    if future.is(task) {
        return fail_soon(task, format!("Task cannot await on itself: {}", task.repr()?));
    }
    let own_loop = task.as_super().get().state.with(py, |s| s.loop_.as_ref().map(Py::as_ptr));
    let mut waker = Some(Callback::Wake(task.clone().unbind()));
    enum Answer {
        Waiting,
        OtherLoop,
        NotBlocking,
        DoneAlready,
    }
    let answer = future.get().state.with(py, |s| {
        if s.loop_.as_ref().map(Py::as_ptr) != own_loop {
            return Answer::OtherLoop;
        }
        if !std::mem::replace(&mut s.blocking, false) {
            return Answer::NotBlocking;
        }
        match (s.phase, waker.take()) {
            (Phase::Pending, Some(waker)) => {
                s.callbacks.push(waker);
                Answer::Waiting
            }
            (_, unused) => {
                waker = unused;
                Answer::DoneAlready
            }
        }
    });
    match answer {
        Answer::OtherLoop => return other_loop(task, future.as_any()),
        Answer::NotBlocking => return yield_instead(task, future.as_any()),
        Answer::DoneAlready => Task::schedule_wakeup(task, future)?,
        Answer::Waiting => {}
    }
    wait_for(task, future.as_any())
}

/// A future of another make: the protocol that asyncio documents.
fn await_foreign(task: &Bound<'_, Task>, awaited: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    let blocking = match awaited.getattr_opt(intern!(py, "_asyncio_future_blocking"))? {
        Some(blocking) if !blocking.is_none() => blocking.is_truthy()?,
        _ => return bad_yield(task, awaited),
    };
    let own_loop = task.as_super().get().loop_of(py)?;
    let get_loop = awaited.getattr_opt(intern!(py, "get_loop"))?;
    let its_loop = match get_loop {
        Some(get_loop) => get_loop.call0()?,
        None => awaited.getattr(intern!(py, "_loop"))?,
    };
    if !its_loop.is(&own_loop) {
        return other_loop(task, awaited);
    }
    if !blocking {
        return yield_instead(task, awaited);
    }
    if awaited.is(task) {
        return fail_soon(task, format!("Task cannot await on itself: {}", task.repr()?));
    }
    awaited.setattr(intern!(py, "_asyncio_future_blocking"), false)?;
    let kwargs = PyDict::new(py);
    kwargs.set_item(intern!(py, "context"), task.get().context(py))?;
    let wakeup = Task::wakeup_callable(task)?;
    awaited.call_method(intern!(py, "add_done_callback"), (wakeup,), Some(&kwargs))?;
    wait_for(task, awaited)
}

/// Remembers what the task waits for; a cancellation that came meanwhile goes on to it.
#[inline]
fn wait_for(task: &Bound<'_, Task>, awaited: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = task.py();
    let waiter = awaited.clone().unbind();
    let (must_cancel, replaced) =
        task.get().state.with(py, |t| (t.marks.must_cancel(), t.waiter.replace(waiter)));
    drop(replaced);
    if must_cancel {
        let message = task.as_super().get().cancel_message(py);
        if cancel_awaited(awaited, message)? {
            task.get().state.with(py, |t| t.marks.set_must_cancel(false));
        }
    }
    Ok(())
}

fn fail_soon(task: &Bound<'_, Task>, message: String) -> PyResult<()> {
    let error = PyRuntimeError::new_err(message).into_value(task.py()).into_any();
    Task::schedule_step(task, Some(error))
}

fn other_loop(task: &Bound<'_, Task>, awaited: &Bound<'_, PyAny>) -> PyResult<()> {
    let (task_repr, awaited) = (task.repr()?, awaited.repr()?);
    fail_soon(task, format!("Task {task_repr} got Future {awaited} attached to a different loop"))
}

fn yield_instead(task: &Bound<'_, Task>, awaited: &Bound<'_, PyAny>) -> PyResult<()> {
    let (task_repr, awaited) = (task.repr()?, awaited.repr()?);
    let text = format!("yield was used instead of yield from in task {task_repr} with {awaited}");
    fail_soon(task, text)
}

fn bad_yield(task: &Bound<'_, Task>, awaited: &Bound<'_, PyAny>) -> PyResult<()> {
    let (task_repr, shown) = (task.repr()?, awaited.repr()?);
    let generator = ffi::is_generator(awaited);
    fail_soon(
        task,
        match generator {
            true => {
                format!("yield was used instead of yield from for generator in task {task_repr} with {shown}")
            }
            false => format!("Task got bad yield: {shown}"),
        },
    )
}
