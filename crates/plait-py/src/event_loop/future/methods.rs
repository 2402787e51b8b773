//! Future's Python methods and attributes.

use super::{without_stop_iteration, Future, Outcome, Phase};
use crate::errors::invalid_state;
use crate::event_loop::callbacks::{Callback, Callbacks};
use crate::event_loop::future_iter::FutureIter;
use crate::event_loop::gathering::GatheringFuture;
use crate::event_loop::task::Task;
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

#[pymethods]
impl Future {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Future {
        Future::blank()
    }

    #[pyo3(signature = (*, r#loop = None))]
    fn __init__(slf: &Bound<'_, Self>, r#loop: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let loop_ = match r#loop {
            Some(loop_) => loop_,
            None => standard(py).get_event_loop.bind(py).call0()?,
        };
        slf.get().attach_to(py, &loop_)
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        Ok(alias.call1((cls, item))?.unbind())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        let py = slf.py();
        let class = slf.get_type();
        if class.is(py.get_type::<Task>()) {
            standard(py).task.bind(py).clone().into_any()
        } else if class.is(py.get_type::<Future>()) {
            standard(py).future.bind(py).clone().into_any()
        } else {
            class.into_any()
        }
    }

    /// The result; raises the exception that was set, CancelledError, or InvalidStateError while pending.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.take_outcome(py, "Result is not set.")
    }

    /// The exception that was set, or None; raises CancelledError, or InvalidStateError while pending.
    pub fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let error = self.state.with(py, |s| {
            s.log_traceback = false;
            s.value_in(py, Phase::Failed)
        });
        match error {
            Some(error) => Ok(Some(error)),
            None => self.take_outcome(py, "Exception is not set.").map(|_| None),
        }
    }

    /// Set the result and schedule the callbacks; InvalidStateError when done already.
    pub fn set_result(slf: &Bound<'_, Self>, result: Py<PyAny>) -> PyResult<()> {
        slf.get().loop_of(slf.py())?;
        match Future::settle(slf, Outcome::Result(result))? {
            true => Ok(()),
            false => Err(invalid_state(slf.py(), "invalid state".to_owned())),
        }
    }

    /// Set an exception (an instance or a class) and schedule the callbacks; InvalidStateError when done already.
    pub fn set_exception(slf: &Bound<'_, Self>, exception: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        slf.get().loop_of(py)?;
        if slf.get().is_done(py) {
            return Err(invalid_state(py, "invalid state".to_owned()));
        }
        let base = py.get_type::<pyo3::exceptions::PyBaseException>();
        let error = match exception.cast::<PyType>() {
            Ok(class) if class.is_subclass(&base)? => class.call0()?,
            _ => exception,
        };
        if !error.is_instance(&base)? {
            return Err(PyTypeError::new_err("invalid exception object"));
        }
        let error = without_stop_iteration(error)?;
        Future::set_error(slf, error).map(drop)
    }

    /// Call `callback(self)` through the loop when the future is done (soon, when it is already).
    #[pyo3(signature = (callback, /, *, context = None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        slf.get().loop_of(py)?;
        let context = match context {
            Some(context) => context,
            None => ffi::copy_context(py)?,
        };
        let mut callback = Some(Callback::Call { callback, context });
        slf.get().state.with(py, |s| {
            if s.phase == Phase::Pending {
                if let Some(callback) = callback.take() {
                    s.callbacks.push(callback);
                }
            }
        });
        callback.map_or(Ok(()), |already_done| Future::schedule_one(slf, already_done))
    }

    /// Remove every registration of `callback`; returns how many there were.
    #[pyo3(signature = (callback, /))]
    fn remove_done_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = slf.py();
        slf.get().loop_of(py)?;
        // Comparing runs Python, which may add or remove callbacks: work on the list taken out, then put what is
        // left before whatever came meanwhile.
        let taken = slf.get().state.with(py, |s| std::mem::take(&mut s.callbacks));
        let mut removed = Vec::new();
        let mut kept = Vec::new();
        let mut failed = None;
        for candidate in taken.into_vec() {
            let equal = match (&candidate, &failed) {
                (Callback::Call { callback: other, .. }, None) => other.bind(py).eq(callback),
                _ => Ok(false),
            };
            match equal {
                Ok(true) => removed.push(candidate),
                Ok(false) => kept.push(candidate),
                Err(error) => {
                    failed = Some(error);
                    kept.push(candidate);
                }
            }
        }
        let due = slf.get().state.with(py, |s| {
            if s.phase != Phase::Pending {
                return kept; // a comparison has settled it
            }
            kept.extend(std::mem::take(&mut s.callbacks).into_vec());
            s.callbacks = Callbacks::from_vec(kept);
            Vec::new()
        });
        due.into_iter().try_for_each(|callback| Future::schedule_one(slf, callback))?;
        failed.map_or(Ok(removed.len()), Err)
    }

    /// Cancel: callbacks are scheduled and `result()` raises CancelledError(msg). False when done already.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        Future::cancel_base(slf, msg)
    }

    /// True once cancelled.
    fn cancelled(&self, py: Python<'_>) -> bool {
        self.is_cancelled(py)
    }

    /// True once there is a result or an exception, or it was cancelled.
    fn done(&self, py: Python<'_>) -> bool {
        self.is_done(py)
    }

    /// The loop that the future belongs to.
    fn get_loop(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.loop_of(py).map(Bound::unbind)
    }

    fn _make_cancelled_error(&self, py: Python<'_>) -> Py<PyAny> {
        self.cancelled_error(py).into_value(py).into_any()
    }

    fn __await__(slf: Bound<'_, Self>) -> PyResult<FutureIter> {
        slf.get().loop_of(slf.py())?;
        Ok(FutureIter::over(slf))
    }

    fn __iter__(slf: Bound<'_, Self>) -> PyResult<FutureIter> {
        Future::__await__(slf)
    }

    #[getter]
    fn _state(&self, py: Python<'_>) -> &'static str {
        self.state_name(py)
    }

    #[getter]
    fn _asyncio_future_blocking(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.blocking)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_private_asyncio_future_blocking(&self, py: Python<'_>, blocking: bool) -> PyResult<()> {
        self.loop_of(py)?;
        self.state.with(py, |s| s.blocking = blocking);
        Ok(())
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.loop_.as_ref().map(|l| l.clone_ref(py)))
    }

    #[getter]
    fn _callbacks<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let shown = self.state.with(py, |s| s.callbacks.to_vec(py));
        if shown.is_empty() {
            return Ok(None);
        }
        let list = PyList::empty(py);
        for callback in shown {
            match callback {
                Callback::Call { callback, context } => list.append((callback, context))?,
                Callback::Wake(task) => {
                    let context = task.get().context(py);
                    list.append((Task::wakeup_callable(task.bind(py))?, context))?;
                }
                Callback::Watch(watcher) => {
                    list.append((watcher.callable(py)?, ffi::copy_context(py)?))?;
                }
                Callback::Gather(outer) => {
                    list.append((GatheringFuture::callback(outer.bind(py))?, ffi::copy_context(py)?))?;
                }
            }
        }
        Ok(Some(list))
    }

    #[getter]
    fn _result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.value_in(py, Phase::Returned))
    }

    #[getter]
    fn _exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.value_in(py, Phase::Failed))
    }

    #[getter]
    fn _log_traceback(&self, py: Python<'_>) -> PyResult<bool> {
        self.loop_of(py)?;
        Ok(self.state.with(py, |s| s.log_traceback))
    }

    #[setter(_log_traceback)]
    fn set_private_log_traceback(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if value.is_truthy()? {
            return Err(PyValueError::new_err("_log_traceback can only be set to False"));
        }
        self.stop_logging(py);
        Ok(())
    }

    #[getter]
    fn _cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.cancel_message(py)
    }

    #[setter(_cancel_message)]
    fn set_private_cancel_message(&self, py: Python<'_>, message: Option<Py<PyAny>>) {
        self.set_cancel_message(py, message);
    }

    #[getter]
    pub fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| {
            s.rare.as_ref().and_then(|r| r.source_traceback.as_ref().map(|tb| tb.clone_ref(py)))
        })
    }

    fn __del__(slf: &Bound<'_, Self>) {
        <Future as ffi::Finalize>::finalize(slf);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.traverse_state(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |s| {
                (s.loop_.take(), s.value.take(), std::mem::take(&mut s.callbacks), s.rare.take())
            });
            drop(cleared);
        });
    }
}
