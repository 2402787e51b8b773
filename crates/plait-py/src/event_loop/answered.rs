//! An awaitable that is answered already, with None: what `__aexit__` returns where nothing has to be waited for.
//!
//! It is one object for everybody: the interpreter asks it once, and None comes back without an exception being made. Any other
//! answer would travel in a StopIteration, which costs more than the frame of an `async def`; so `__aenter__`, whose answer is
//! the manager itself, is one of those.

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

#[pyclass(module = "plait._native", frozen)]
pub struct Answered {}

impl Answered {
    #[inline]
    pub fn nothing(py: Python<'_>) -> PyResult<Bound<'_, Answered>> {
        static NOTHING: PyOnceLock<Py<Answered>> = PyOnceLock::new();
        let made = NOTHING.get_or_try_init(py, || Py::new(py, Answered {}))?;
        Ok(made.bind(py).clone())
    }
}

#[pymethods]
impl Answered {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    fn send(&self, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Err(PyStopIteration::new_err(()))
    }

    #[pyo3(signature = (r#type, value = None, traceback = None, /))]
    fn throw(
        &self,
        py: Python<'_>,
        r#type: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(super::future_iter::thrown(py, r#type, value, traceback)?)
    }

    fn close(&self) {}
}
