//! The running loop's current task, and what `timeout` and `TaskGroup` ask of a task of any make.

use super::task::Task;
use super::{current, EventLoop};
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;

/// The running loop, of any make.
#[inline]
pub fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let running = standard(py).get_running_loop.bind(py).call0()?;
    match running.is_none() {
        false => Ok(running),
        true => Err(PyRuntimeError::new_err("no running event loop")),
    }
}

/// `asyncio.current_task(loop)`.
#[inline]
pub fn current_task<'py>(loop_: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    current::of(loop_)
}

pub fn cancel(task: &Bound<'_, PyAny>) -> PyResult<()> {
    match task.cast_exact::<Task>() {
        Ok(task) => Task::cancel(task, None).map(drop),
        Err(_) => task.call_method0(intern!(task.py(), "cancel")).map(drop),
    }
}

pub fn cancelling(task: &Bound<'_, PyAny>) -> PyResult<i64> {
    match task.cast_exact::<Task>() {
        Ok(task) => Ok(i64::from(task.get().cancelling(task.py()))),
        Err(_) => task.call_method0(intern!(task.py(), "cancelling"))?.extract(),
    }
}

pub fn uncancel(task: &Bound<'_, PyAny>) -> PyResult<i64> {
    match task.cast_exact::<Task>() {
        Ok(task) => Ok(i64::from(task.get().uncancel(task.py()))),
        Err(_) => task.call_method0(intern!(task.py(), "uncancel"))?.extract(),
    }
}

impl EventLoop {
    /// The loop where nothing that asyncio would call to time something is overridden, neither in a class nor on the loop
    /// itself.
    #[inline]
    pub fn timing_natively<'a, 'py>(
        loop_: &'a Bound<'py, PyAny>,
    ) -> PyResult<Option<&'a Bound<'py, EventLoop>>> {
        let Ok(native) = loop_.cast::<EventLoop>() else {
            return Ok(None);
        };
        if !native.get().natively.timers {
            return Ok(None);
        }
        if ffi::has_instance_dict(loop_) {
            let py = loop_.py();
            let names = [
                intern!(py, "call_soon"),
                intern!(py, "call_at"),
                intern!(py, "call_later"),
                intern!(py, "create_future"),
                intern!(py, "time"),
            ];
            for name in names {
                if ffi::has_own_attribute(native, name)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(native))
    }
}
