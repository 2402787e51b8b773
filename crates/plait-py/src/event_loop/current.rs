//! Which task a loop is running: `asyncio.current_task` reads what is kept here.
//!
//! Up to 3.13 that is a dictionary, `{loop: task}`. Going from task to task only overwrites the entry; it is deleted before
//! a plain callback runs, before the loop sleeps, and around nested runs. None is never stored: asyncio's own `_enter_task`
//! would take it for a task. From 3.14 on C keeps it per thread, and a function swaps it (untested so far).

use super::task::Task;
use super::EventLoop;
use crate::ffi;
use crate::standard::{standard, CurrentTasks};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Makes `task` current and returns the one that was; None stands for none.
fn swap<'py>(
    loop_: &Bound<'py, PyAny>,
    task: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = loop_.py();
    match &standard(py).current_tasks {
        CurrentTasks::Kept(tasks) => {
            let tasks = tasks.bind(py);
            let previous = tasks.get_item(loop_)?;
            match task {
                Some(task) => tasks.set_item(loop_, task)?,
                None => ffi::dict_discard(tasks, loop_),
            }
            Ok(previous)
        }
        CurrentTasks::Swapped(swap) => {
            let previous = swap.bind(py).call1((loop_, task))?;
            Ok((!previous.is_none()).then_some(previous))
        }
    }
}

/// The task that the loop is running.
#[inline]
pub fn of<'py>(loop_: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = loop_.py();
    match &standard(py).current_tasks {
        CurrentTasks::Kept(tasks) => tasks.bind(py).get_item(loop_),
        CurrentTasks::Swapped(_) => {
            let task = py.import("asyncio")?.call_method1("current_task", (loop_,))?;
            Ok((!task.is_none()).then_some(task))
        }
    }
}

/// A native task begins a step on a plait loop.
#[inline]
pub fn enter(loop_: &Bound<'_, EventLoop>, task: &Bound<'_, Task>) -> PyResult<()> {
    let py = loop_.py();
    match &standard(py).current_tasks {
        CurrentTasks::Kept(tasks) => tasks.bind(py).set_item(loop_, task)?,
        CurrentTasks::Swapped(_) => drop(swap(loop_.as_any(), Some(task.as_any()))?),
    }
    loop_.get().state.with(py, |s| s.current = true);
    Ok(())
}

/// No task runs on this plait loop now.
#[inline]
pub fn leave(loop_: &Bound<'_, EventLoop>) {
    let py = loop_.py();
    if !loop_.get().state.with(py, |s| std::mem::replace(&mut s.current, false)) {
        return;
    }
    match &standard(py).current_tasks {
        CurrentTasks::Kept(tasks) => ffi::dict_discard(tasks.bind(py), loop_.as_any()),
        CurrentTasks::Swapped(_) => {
            if let Err(error) = swap(loop_.as_any(), None) {
                error.write_unraisable(py, Some(loop_.as_any()));
            }
        }
    }
}

/// Makes `task` current for the length of `body` and then puts back what was there: eager starts and nested runs.
pub fn swapped<R>(
    loop_: &Bound<'_, PyAny>,
    task: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    let previous = swap(loop_, task)?;
    let result = body();
    swap(loop_, previous.as_ref())?;
    result
}

/// A step on a loop that is not plait's: asyncio's rule, one task at a time.
pub fn alone<R>(
    loop_: &Bound<'_, PyAny>,
    task: &Bound<'_, Task>,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    if let Some(other) = swap(loop_, Some(task.as_any()))? {
        swap(loop_, Some(&other))?;
        let (task, other) = (task.repr()?, other.repr()?);
        return Err(PyRuntimeError::new_err(format!(
            "Cannot enter into task {task} while another task {other} is being executed."
        )));
    }
    let result = body();
    swap(loop_, None)?;
    result
}
