//! What `await future` drives, and the arguments of a `throw()`.

use super::future::{Future, Phase};
use crate::ffi;
use crate::guarded::Guarded;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// What `await future` drives.
#[pyclass(module = "plait._native", frozen)]
pub struct FutureIter {
    future: Guarded<Option<Py<Future>>>,
}

crate::freelist::recycled!(FutureIter);

impl FutureIter {
    pub fn over(future: Bound<'_, Future>) -> FutureIter {
        FutureIter { future: Guarded::new(Some(future.unbind())) }
    }

    /// One turn: the future itself while it is pending, else its result in a StopIteration.
    fn advance(&self, py: Python<'_>) -> PyResult<Option<Py<Future>>> {
        let Some(future) = self.future.with(py, |f| f.as_ref().map(|f| f.clone_ref(py))) else {
            return Ok(None);
        };
        let first = future
            .get()
            .state
            .with(py, |s| (s.phase == Phase::Pending).then(|| !std::mem::replace(&mut s.blocking, true)));
        match first {
            Some(true) => return Ok(Some(future)),
            Some(false) => return Err(PyRuntimeError::new_err("await wasn't used with future")),
            None => {}
        }
        drop(self.future.with(py, Option::take));
        let value = future.get().take_outcome(py, "Result is not set.")?;
        if value.is_none(py) {
            return Ok(None);
        }
        Err(ffi::stop_iteration(py, value))
    }
}

#[pymethods]
impl FutureIter {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Future>>> {
        self.advance(py)
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<Future>> {
        match self.advance(py)? {
            Some(future) => Ok(future),
            None => Err(PyStopIteration::new_err(())),
        }
    }

    #[pyo3(signature = (r#type, value = None, traceback = None, /))]
    fn throw(
        &self,
        py: Python<'_>,
        r#type: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<Future>> {
        let error = thrown(py, r#type, value, traceback)?;
        drop(self.future.with(py, Option::take));
        Err(error)
    }

    fn close(&self, py: Python<'_>) {
        drop(self.future.with(py, Option::take));
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.future.traverse())
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.future.with(py, Option::take)));
    }
}

/// The exception that the arguments of a `throw()` stand for, with the checks that generators make.
pub fn thrown(
    py: Python<'_>,
    kind: Bound<'_, PyAny>,
    value: Option<Bound<'_, PyAny>>,
    traceback: Option<Bound<'_, PyAny>>,
) -> PyResult<PyErr> {
    if cfg!(Py_3_12) && (value.is_some() || traceback.is_some()) {
        let text =
            c"the (type, exc, tb) signature of throw() is deprecated, use the single-arg signature instead.";
        PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyDeprecationWarning>(), text, 1)?;
    }
    let traceback_class = py.import("types")?.getattr("TracebackType")?;
    if traceback.as_ref().is_some_and(|tb| !tb.is_instance(&traceback_class).unwrap_or(false)) {
        return Err(PyTypeError::new_err("throw() third argument must be a traceback"));
    }
    let base = py.get_type::<pyo3::exceptions::PyBaseException>();
    let error = match kind.cast::<PyType>() {
        Ok(class) if class.is_subclass(&base)? => match value {
            Some(value) if value.is_instance(class)? => value,
            Some(value) => match value.cast::<PyTuple>() {
                Ok(args) => class.call1(args)?,
                Err(_) => class.call1((value,))?,
            },
            None => class.call0()?,
        },
        _ if kind.is_instance(&base)? => {
            if value.is_some() {
                return Err(PyTypeError::new_err("instance exception may not have a separate value"));
            }
            kind
        }
        _ => {
            let text = "exceptions must be classes deriving BaseException or instances of such a class, not ";
            return Err(PyTypeError::new_err(format!("{text}{}", kind.get_type().name()?)));
        }
    };
    if traceback.is_some() {
        ffi::set_traceback(&error, traceback.as_ref());
    }
    Ok(PyErr::from_value(error))
}
