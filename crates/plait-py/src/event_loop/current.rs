//! Which task a loop is running: `asyncio.current_task` reads the dictionary that is kept here.
//!
//! Going from task to task only overwrites the entry; it is deleted before a plain callback runs, before the loop
//! sleeps, and around nested runs. None is never stored: asyncio's own `_enter_task` would take it for a task.

use super::task::Task;
use super::EventLoop;
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// A native task begins a step on a plait loop.
#[inline]
pub fn enter(loop_: &Bound<'_, EventLoop>, task: &Bound<'_, Task>) -> PyResult<()> {
    let py = loop_.py();
    standard(py).current_tasks.bind(py).set_item(loop_, task)?;
    loop_.get().state.with(py, |s| s.current = true);
    Ok(())
}

/// No task runs on this plait loop now.
#[inline]
pub fn leave(loop_: &Bound<'_, EventLoop>) {
    let py = loop_.py();
    if loop_.get().state.with(py, |s| std::mem::replace(&mut s.current, false)) {
        ffi::dict_discard(standard(py).current_tasks.bind(py), loop_.as_any());
    }
}

/// Makes `task` current for the length of `body` and then puts back what was there: eager starts and nested runs.
pub fn swapped<R>(
    loop_: &Bound<'_, PyAny>,
    task: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let py = loop_.py();
    let tasks = standard(py).current_tasks.bind(py);
    let previous = tasks.get_item(loop_)?;
    match task {
        Some(task) => tasks.set_item(loop_, task)?,
        None => ffi::dict_discard(tasks, loop_),
    }
    let result = body();
    match previous {
        Some(previous) => tasks.set_item(loop_, previous)?,
        None => ffi::dict_discard(tasks, loop_),
    }
    result
}

/// A step on a loop that is not plait's: asyncio's rule, one task at a time.
pub fn alone<R>(
    loop_: &Bound<'_, PyAny>,
    task: &Bound<'_, Task>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let py = loop_.py();
    let tasks = standard(py).current_tasks.bind(py);
    if let Some(other) = tasks.get_item(loop_)? {
        let (task, other) = (task.repr()?, other.repr()?);
        return Err(PyRuntimeError::new_err(format!(
            "Cannot enter into task {task} while another task {other} is being executed."
        )));
    }
    tasks.set_item(loop_, task)?;
    let result = body();
    ffi::dict_discard(tasks, loop_);
    result
}
