//! `asyncio.TaskGroup`: the object. What is awaited, `__aexit__`, is an `async def` of `plait._waiting` that asks it.
//!
//! The tasks that are not done stand in an ordinary set, which programs read as `_tasks`. A native task on a plait loop is left
//! with `Watcher::Group` in the place of a bound method; any other goes through `add_done_callback`. In a subclass, methods
//! that asyncio's own code calls on `self` are called, as they may be overridden.
//!
//! When a cancellation from outside is taken back, and whether a refused coroutine is closed, changed between Pythons, also
//! within their lives: `standard.rs` looks at what the host's TaskGroup does.

mod methods;

use crate::event_loop::any_task;
use crate::event_loop::future::{Future, Outcome, Phase};
use crate::event_loop::step::exact_future;
use crate::event_loop::watcher::Watcher;
use crate::event_loop::EventLoop;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyType};

#[derive(Default)]
struct Group {
    loop_: Option<Py<PyAny>>,
    parent: Option<Py<PyAny>>,
    /// Those that are not done.
    tasks: Option<Py<PySet>>,
    /// Made with the first error; None again once they have been raised.
    errors: Option<Py<PyList>>,
    base_error: Option<Py<PyAny>>,
    /// What `__aexit__` waits for.
    completed: Option<Py<Future>>,
    /// The CancelledError to raise at the end, if nothing is worse.
    cancelled: Option<Py<PyAny>>,
    entered: bool,
    exiting: bool,
    aborting: bool,
    parent_cancel_requested: bool,
}

/// Asynchronous context manager: tasks that are all awaited when the block ends, and cancelled when one of them fails.
///
/// Their exceptions, but CancelledError, leave the block together in an ExceptionGroup. For the loop's own thread, to be entered
/// once, in a task. Counterpart: asyncio.TaskGroup.
#[pyclass(module = "plait.asyncio", frozen, subclass, dict, weakref)]
pub struct TaskGroup {
    group: Guarded<Group>,
    built: Built,
}

impl TaskGroup {
    /// Whether no subclass can have overridden anything.
    #[inline]
    fn is_plain(slf: &Bound<'_, TaskGroup>) -> bool {
        slf.is_exact_instance_of::<TaskGroup>() && !crate::ffi::has_instance_dict(slf.as_any())
    }

    fn get_of<T>(&self, py: Python<'_>, field: impl FnOnce(&Group) -> Option<&Py<T>>) -> Option<Py<T>> {
        self.group.with(py, |g| field(g).map(|object| object.clone_ref(py)))
    }

    fn parent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let parent = self.get_of(py, |g| g.parent.as_ref());
        Ok(parent.ok_or_else(|| PyRuntimeError::new_err("TaskGroup has not been entered"))?.into_bound(py))
    }

    /// The set; made when it is first wanted.
    fn tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        if let Some(tasks) = self.get_of(py, |g| g.tasks.as_ref()) {
            return Ok(tasks.into_bound(py));
        }
        let made = PySet::empty(py)?;
        let kept = made.clone().unbind();
        drop(self.group.with(py, |g| g.tasks.replace(kept)));
        Ok(made)
    }

    #[inline]
    fn has_tasks(&self, py: Python<'_>) -> bool {
        self.get_of(py, |g| g.tasks.as_ref()).is_some_and(|tasks| !tasks.bind(py).is_empty())
    }

    fn errors<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        if let Some(errors) = self.get_of(py, |g| g.errors.as_ref()) {
            return errors.into_bound(py);
        }
        let made = PyList::empty(py);
        let kept = made.clone().unbind();
        drop(self.group.with(py, |g| g.errors.replace(kept)));
        made
    }

    fn has_errors(&self, py: Python<'_>) -> bool {
        self.get_of(py, |g| g.errors.as_ref()).is_some_and(|errors| !errors.bind(py).is_empty())
    }

    fn refuse(slf: &Bound<'_, TaskGroup>, coro: &Bound<'_, PyAny>, what: &str) -> PyResult<PyErr> {
        let py = slf.py();
        if standard(py).waiting.groups_close_what_they_refuse {
            coro.call_method0(intern!(py, "close"))?;
        }
        Ok(PyRuntimeError::new_err(format!("TaskGroup {} {what}", slf.repr()?)))
    }

    fn make_task<'py>(
        &self,
        coro: &Bound<'py, PyAny>,
        name: Option<Bound<'py, PyAny>>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = coro.py();
        let loop_ = self.get_of(py, |g| g.loop_.as_ref());
        let loop_ = loop_.ok_or_else(|| PyRuntimeError::new_err("TaskGroup has not been entered"))?;
        let loop_ = loop_.bind(py);
        // Before 3.13 asyncio sets the name afterwards.
        let (early, late) = if cfg!(Py_3_13) { (name, None) } else { (None, name) };
        let task = match loop_.cast::<EventLoop>() {
            Ok(native) if EventLoop::makes_tasks_natively(native)? => {
                EventLoop::create_task(native, coro, early, context, None)?
            }
            _ => {
                let keywords = PyDict::new(py);
                if cfg!(Py_3_13) {
                    keywords.set_item(intern!(py, "name"), early)?;
                }
                if let Some(context) = context {
                    keywords.set_item(intern!(py, "context"), context)?;
                }
                loop_.call_method(intern!(py, "create_task"), (coro,), Some(&keywords))?
            }
        };
        if let Some(name) = late {
            task.call_method1(intern!(py, "set_name"), (name,))?;
        }
        Ok(task)
    }

    /// Enters a task that is not done, and waits for its end.
    fn keep(slf: &Bound<'_, TaskGroup>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        slf.get().tasks(py)?.add(task)?;
        if let (Some(native), true) = (exact_future(task), TaskGroup::is_plain(slf)) {
            if native.get().state.with(py, |s| s.native) {
                return Watcher::Group(slf.clone().unbind()).leave_with(native);
            }
        }
        let callback = slf.getattr(intern!(py, "_on_task_done"))?;
        task.call_method1(intern!(py, "add_done_callback"), (callback,))?;
        Ok(())
    }

    fn abort(slf: &Bound<'_, TaskGroup>) -> PyResult<()> {
        match TaskGroup::is_plain(slf) {
            true => TaskGroup::_abort(slf),
            false => slf.call_method0(intern!(slf.py(), "_abort")).map(drop),
        }
    }

    fn counts_as_base_error(slf: &Bound<'_, TaskGroup>, error: &Bound<'_, PyAny>) -> PyResult<bool> {
        match TaskGroup::is_plain(slf) {
            true => Ok(TaskGroup::_is_base_error(error)),
            false => slf.call_method1(intern!(slf.py(), "_is_base_error"), (error,))?.is_truthy(),
        }
    }

    /// Notes an error that is to leave the block alone, unless another was first.
    fn note_base_error(slf: &Bound<'_, TaskGroup>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        if TaskGroup::counts_as_base_error(slf, error)? {
            let error = error.clone().unbind();
            let unused = slf.get().group.with(slf.py(), |g| match g.base_error {
                Some(_) => Some(error),
                None => {
                    g.base_error = Some(error);
                    None
                }
            });
            drop(unused);
        }
        Ok(())
    }

    /// asyncio's `_on_task_done`.
    #[inline]
    pub fn task_done(slf: &Bound<'_, TaskGroup>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let tasks = this.tasks(py)?;
        tasks.discard(task)?;
        if tasks.is_empty() {
            if let Some(completed) = this.get_of(py, |g| g.completed.as_ref()) {
                Future::settle(
                    completed.bind(py),
                    Outcome::Result(true.into_pyobject(py)?.to_owned().into_any().unbind()),
                )?;
            }
        }
        let Some(error) = failure_of(task)? else {
            return Ok(());
        };
        TaskGroup::task_failed(slf, task, error)
    }

    #[cold]
    fn task_failed(
        slf: &Bound<'_, TaskGroup>,
        task: &Bound<'_, PyAny>,
        error: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.errors(py).append(&error)?;
        TaskGroup::note_base_error(slf, &error)?;
        let parent = this.parent(py)?;
        if parent.call_method0(intern!(py, "done"))?.is_truthy()? {
            return this.report_orphan(task, &parent, error);
        }
        let cancels = this.group.with(py, |g| !g.aborting && !g.parent_cancel_requested);
        if cancels {
            TaskGroup::abort(slf)?;
            this.group.with(py, |g| g.parent_cancel_requested = true);
            any_task::cancel(&parent)?;
        }
        Ok(())
    }

    fn report_orphan(
        &self,
        task: &Bound<'_, PyAny>,
        parent: &Bound<'_, PyAny>,
        error: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = task.py();
        let context = PyDict::new(py);
        let (shown, parent) = (task.repr()?, parent.str()?);
        let text = format!("Task {shown} has errored out but its parent task {parent} is already completed");
        context.set_item("message", text)?;
        context.set_item("exception", error)?;
        context.set_item("task", task)?;
        if let Some(loop_) = self.get_of(py, |g| g.loop_.as_ref()) {
            loop_.bind(py).call_method1(intern!(py, "call_exception_handler"), (context,))?;
        }
        Ok(())
    }

    /// All tasks are done: what the block ends with, if not well. No error is kept, for its frames know the group.
    fn end_exit<'py>(
        slf: &Bound<'py, Self>,
        et: Option<&Bound<'py, PyType>>,
        exc: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let end = TaskGroup::end_of_exit(slf, et, exc);
        drop(slf.get().group.with(slf.py(), |g| (g.parent.take(), g.errors.take(), g.base_error.take())));
        end
    }

    fn end_of_exit<'py>(
        slf: &Bound<'py, Self>,
        et: Option<&Bound<'py, PyType>>,
        exc: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        if let Some(error) = this.get_of(py, |g| g.base_error.as_ref()) {
            return Ok(Some(error.into_bound(py)));
        }
        if standard(py).waiting.groups_uncancel_last {
            this.uncancel_parent(py)?;
        }
        let cancelled = this.group.with(py, |g| g.cancelled.take());
        if let (Some(cancelled), false) = (cancelled, this.has_errors(py)) {
            return Ok(Some(cancelled.into_bound(py)));
        }
        if let (Some(class), Some(exc)) = (et, exc) {
            if !is_cancellation(class)? {
                this.errors(py).append(exc)?;
            }
        }
        if !this.has_errors(py) {
            return Ok(None);
        }
        if standard(py).waiting.groups_uncancel_last {
            // A cancellation from outside goes on, and its count stays.
            let parent = this.parent(py)?;
            if any_task::cancelling(&parent)? > 0 {
                any_task::uncancel(&parent)?;
                any_task::cancel(&parent)?;
            }
        }
        let errors = this.group.with(py, |g| g.errors.take());
        let class = py.import("builtins")?.getattr("BaseExceptionGroup")?;
        let error = class.call1(("unhandled errors in a TaskGroup", errors))?;
        error.setattr(intern!(py, "__suppress_context__"), true)?;
        Ok(Some(error))
    }

    /// Takes back the cancellation with which the group has woken its parent; it is not to leave the block then.
    fn uncancel_parent(&self, py: Python<'_>) -> PyResult<()> {
        if self.group.with(py, |g| g.parent_cancel_requested) && any_task::uncancel(&self.parent(py)?)? == 0 {
            drop(self.group.with(py, |g| g.cancelled.take()));
        }
        Ok(())
    }
}

/// What a task that is done has failed with; CancelledError does not count.
#[inline]
fn failure_of<'py>(task: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = task.py();
    if let Some(native) = exact_future(task) {
        return match native.get().state.with(py, |s| s.phase) {
            Phase::Failed => Ok(native.get().value_seen(py).map(|error| error.into_bound(py))),
            _ => Ok(None),
        };
    }
    if task.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        return Ok(None);
    }
    let error = task.call_method0(intern!(py, "exception"))?;
    Ok((!error.is_none()).then_some(error))
}

/// Whether the block ended with a CancelledError, as the host's TaskGroup asks it.
fn is_cancellation(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let cancelled = standard(class.py()).cancelled_error.bind(class.py());
    match standard(class.py()).waiting.groups_know_subclasses {
        true => class.is_subclass(cancelled),
        false => Ok(class.is(cancelled)),
    }
}
