//! `asyncio.shield`: a future beside another, whose cancellation does not reach it.
//!
//! Native where the inner future is, or becomes, a native one on a plait loop; asyncio's own function otherwise, and from 3.14
//! on, where it reports more.

use super::any_task::running_loop;
use super::future::{Future, Outcome, Phase};
use super::step::exact_future;
use super::watcher::Watcher;
use super::EventLoop;
use crate::ffi;
use crate::standard::standard;
use pyo3::prelude::*;

/// Wait for something that is not to be cancelled when the waiting is.
///
/// Args:
///     arg: a coroutine (it becomes a task), a future or another awaitable.
///
/// Returns:
///     A future that ends as `arg` does, or at once when it is cancelled, while `arg` goes on. If `arg` is a future that is
///     done, that.
///
/// Raises:
///     TypeError: arg is not awaitable.
///
/// Keep a reference to a task that is shielded: the loop has only a weak one. For the loop's own thread. Counterpart:
/// asyncio.shield.
#[pyfunction]
pub fn shield<'py>(arg: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = arg.py();
    let by_protocol = |arg: &Bound<'py, PyAny>| standard(py).waiting.shield.bind(py).call1((arg,));
    if cfg!(Py_3_14) {
        return by_protocol(arg);
    }
    let inner = match exact_future(arg) {
        Some(_) => arg.clone(),
        None if ffi::is_coroutine(arg) => match task_of(arg)? {
            Some(task) => task,
            None => return by_protocol(arg),
        },
        None => return by_protocol(arg),
    };
    let Some(native) = exact_future(&inner) else {
        return by_protocol(&inner);
    };
    if native.get().is_done(py) {
        return Ok(inner);
    }
    let loop_ = native.get().loop_of(py)?;
    let Some(loop_) = EventLoop::timing_natively(&loop_)? else {
        return by_protocol(&inner);
    };
    let outer = Bound::new(py, Future::on_loop(py, loop_)?)?;
    Watcher::ShieldsTo(outer.clone().unbind()).leave_with(native)?;
    Watcher::Shields(native.clone().unbind()).leave_with(&outer)?;
    Ok(outer.into_any())
}

/// A coroutine as a task of the running loop, where that makes tasks natively.
fn task_of<'py>(coroutine: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(running) = running_loop(coroutine.py()) else {
        return Ok(None);
    };
    let Ok(loop_) = running.cast::<EventLoop>() else {
        return Ok(None);
    };
    if !EventLoop::makes_tasks_natively(loop_)? {
        return Ok(None);
    }
    EventLoop::create_task(loop_, coroutine, None, None, None)
        .map(Some)
        .map_err(|error| super::gather::close_after(coroutine, error))
}

/// asyncio's `_inner_done_callback`.
pub fn inner_done(outer: &Bound<'_, Future>, inner: &Bound<'_, Future>) -> PyResult<()> {
    let py = inner.py();
    if outer.get().is_cancelled(py) {
        inner.get().stop_logging(py); // nobody else is going to look at its exception
        return Ok(());
    }
    match (inner.get().state.with(py, |s| s.phase), inner.get().value_seen(py)) {
        (Phase::Cancelled, _) => Future::cancel_base(outer, None).map(drop),
        (Phase::Failed, Some(error)) => Future::set_exception(outer, error.into_bound(py)),
        (_, Some(value)) => match Future::settle(outer, Outcome::Result(value))? {
            true => Ok(()),
            false => Err(crate::errors::invalid_state(py, "invalid state".to_owned())),
        },
        (_, None) => Ok(()),
    }
}

/// asyncio's `_outer_done_callback`.
pub fn outer_done(inner: &Bound<'_, Future>, outer: &Bound<'_, Future>) {
    if !inner.get().is_done(inner.py()) {
        Watcher::ShieldsTo(outer.clone().unbind()).take_from(inner);
    }
}
