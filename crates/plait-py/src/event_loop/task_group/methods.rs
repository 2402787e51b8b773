//! TaskGroup's Python methods and attributes.

use super::{is_cancellation, Group, TaskGroup};
use crate::event_loop::any_task;
use crate::event_loop::future::Future;
use crate::event_loop::step::exact_future;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyTuple, PyType};

#[pymethods]
impl TaskGroup {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        class: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<TaskGroup> {
        // A subclass may take arguments, in an `__init__` of its own. There is none here: it would cost a call.
        if (!args.is_empty() || kwargs.is_some()) && class.is(class.py().get_type::<TaskGroup>()) {
            standard(class.py()).waiting.task_group.bind(class.py()).call(args, kwargs)?;
            // complains
        }
        Ok(TaskGroup { group: Guarded::new(Group::default()), built: Built::new() })
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        match slf.is_exact_instance_of::<TaskGroup>() {
            true => standard(slf.py()).waiting.task_group.bind(slf.py()).clone().into_any(),
            false => slf.get_type().into_any(),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let tasks = self.get_of(py, |g| g.tasks.as_ref()).map_or(0, |tasks| tasks.bind(py).len());
        let errors = self.get_of(py, |g| g.errors.as_ref()).map_or(0, |errors| errors.bind(py).len());
        let (aborting, entered) = self.group.with(py, |g| (g.aborting, g.entered));
        let mut shown = "<TaskGroup".to_owned();
        if tasks > 0 {
            shown += &format!(" tasks={tasks}");
        }
        if errors > 0 {
            shown += &format!(" errors={errors}");
        }
        if aborting {
            shown += " cancelling";
        } else if entered {
            shown += " entered";
        }
        shown + ">"
    }

    /// What `__aenter__` does.
    fn _begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.group.with(py, |g| g.entered) {
            return Err(PyRuntimeError::new_err(format!(
                "TaskGroup {} has already been entered",
                slf.repr()?
            )));
        }
        let loop_ = match this.get_of(py, |g| g.loop_.as_ref()) {
            Some(loop_) => loop_.into_bound(py),
            None => any_task::running_loop(py)?,
        };
        let Some(parent) = any_task::current_task(&loop_)? else {
            let text = format!("TaskGroup {} cannot determine the parent task", slf.repr()?);
            return Err(PyRuntimeError::new_err(text));
        };
        let (loop_, parent) = (loop_.unbind(), parent.unbind());
        let replaced = this.group.with(py, |g| {
            g.entered = true;
            (g.loop_.replace(loop_), g.parent.replace(parent))
        });
        drop(replaced);
        Ok(())
    }

    /// Schedule a coroutine as a task of this group, and return the task. RuntimeError before the block, after it, and when
    /// the group is ending because something failed.
    #[pyo3(signature = (coro, *, name = None, context = None))]
    fn create_task<'py>(
        slf: &Bound<'py, Self>,
        coro: &Bound<'py, PyAny>,
        name: Option<Bound<'py, PyAny>>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let (entered, exiting, aborting) = this.group.with(py, |g| (g.entered, g.exiting, g.aborting));
        if !entered {
            return Err(TaskGroup::refuse(slf, coro, "has not been entered")?);
        }
        if exiting && !this.has_tasks(py) {
            return Err(TaskGroup::refuse(slf, coro, "is finished")?);
        }
        if aborting {
            return Err(TaskGroup::refuse(slf, coro, "is shutting down")?);
        }
        let task = this.make_task(coro, name, context)?;
        let is_through = !standard(py).waiting.groups_enter_the_done
            && match exact_future(&task) {
                Some(native) => native.get().is_done(py),
                None => task.call_method0(intern!(py, "done"))?.is_truthy()?,
            };
        match is_through {
            true if TaskGroup::is_plain(slf) => TaskGroup::task_done(slf, &task)?,
            true => drop(slf.call_method1(intern!(py, "_on_task_done"), (&task,))?),
            false => TaskGroup::keep(slf, &task)?,
        }
        Ok(task)
    }

    #[staticmethod]
    pub(super) fn _is_base_error(exc: &Bound<'_, PyAny>) -> bool {
        exc.is_instance_of::<PySystemExit>() || exc.is_instance_of::<PyKeyboardInterrupt>()
    }

    pub(super) fn _abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        slf.get().group.with(py, |g| g.aborting = true);
        // A copy: cancelling may run Python, which may change the set.
        for task in slf.get().tasks(py)?.iter().collect::<Vec<_>>() {
            let is_done = match exact_future(&task) {
                Some(native) => native.get().is_done(py),
                None => task.call_method0(intern!(py, "done"))?.is_truthy()?,
            };
            if !is_done {
                any_task::cancel(&task)?;
            }
        }
        Ok(())
    }

    fn _on_task_done(slf: &Bound<'_, Self>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        TaskGroup::task_done(slf, task)
    }

    /// `__aexit__` begins: a future that it has to yield; or an exception that it has to raise; or None, and all is well.
    #[pyo3(signature = (et, exc, /))]
    fn _begin_exit<'py>(
        slf: &Bound<'py, Self>,
        et: Option<&Bound<'py, PyType>>,
        exc: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        this.group.with(py, |g| g.exiting = true);
        if let Some(exc) = exc {
            TaskGroup::note_base_error(slf, exc)?;
        }
        let cancelled = match et {
            Some(class) if is_cancellation(class)? => exc.map(|exc| exc.clone().unbind()),
            _ => None,
        };
        drop(this.group.with(py, |g| std::mem::replace(&mut g.cancelled, cancelled)));
        if !standard(py).waiting.groups_uncancel_last {
            this.uncancel_parent(py)?;
        }
        if et.is_some() && !this.group.with(py, |g| g.aborting) {
            TaskGroup::abort(slf)?;
        }
        TaskGroup::_go_on_exit(slf, et, exc)
    }

    /// The same after each wait.
    #[pyo3(signature = (et, exc, /))]
    fn _go_on_exit<'py>(
        slf: &Bound<'py, Self>,
        et: Option<&Bound<'py, PyType>>,
        exc: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        if !this.has_tasks(py) {
            drop(this.group.with(py, |g| g.completed.take()));
            return TaskGroup::end_exit(slf, et, exc);
        }
        let loop_ = this.get_of(py, |g| g.loop_.as_ref());
        let loop_ = loop_.ok_or_else(|| PyRuntimeError::new_err("TaskGroup has not been entered"))?;
        let future = Future::blank();
        future.attach_to(py, loop_.bind(py))?;
        future.state.with(py, |s| s.blocking = true); // it is yielded, not awaited
        let future = Bound::new(py, future)?;
        let kept = future.clone().unbind();
        drop(this.group.with(py, |g| g.completed.replace(kept)));
        Ok(Some(future.into_any()))
    }

    /// The parent was cancelled while it waited for the tasks.
    fn _exit_cancelled(slf: &Bound<'_, Self>, error: Py<PyAny>) -> PyResult<()> {
        let py = slf.py();
        if !slf.get().group.with(py, |g| g.aborting) {
            drop(slf.get().group.with(py, |g| g.cancelled.replace(error)));
            TaskGroup::abort(slf)?;
        }
        Ok(())
    }

    // ---- what programs read

    #[getter]
    fn _entered(&self, py: Python<'_>) -> bool {
        self.group.with(py, |g| g.entered)
    }

    #[getter]
    fn _exiting(&self, py: Python<'_>) -> bool {
        self.group.with(py, |g| g.exiting)
    }

    #[getter]
    fn _aborting(&self, py: Python<'_>) -> bool {
        self.group.with(py, |g| g.aborting)
    }

    #[getter]
    fn _parent_cancel_requested(&self, py: Python<'_>) -> bool {
        self.group.with(py, |g| g.parent_cancel_requested)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_of(py, |g| g.loop_.as_ref())
    }

    #[getter]
    fn _parent_task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_of(py, |g| g.parent.as_ref())
    }

    #[getter]
    fn _tasks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        self.tasks(py)
    }

    #[getter]
    fn _errors<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        self.errors(py)
    }

    #[getter]
    fn _base_error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_of(py, |g| g.base_error.as_ref())
    }

    #[getter]
    fn _on_completed_fut(&self, py: Python<'_>) -> Option<Py<Future>> {
        self.get_of(py, |g| g.completed.as_ref())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        let group = self.group.traverse();
        visit.call(&group.loop_)?;
        visit.call(&group.parent)?;
        visit.call(&group.tasks)?;
        visit.call(&group.errors)?;
        visit.call(&group.base_error)?;
        visit.call(&group.completed)?;
        visit.call(&group.cancelled)
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.group.with(py, std::mem::take)));
    }
}
