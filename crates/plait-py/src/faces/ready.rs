//! Something to await that is there already: what `__aenter__` and `__aexit__` answer with when they have nothing to wait for.
//!
//! One object, shared by all; awaiting it is two calls into C, cheaper than a coroutine that returns at once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Awaited, it gives None at once.
#[pyclass(module = "plait._native", name = "_Ready", frozen)]
pub struct Ready;

#[pymethods]
impl Ready {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }
}

static READY: PyOnceLock<Py<Ready>> = PyOnceLock::new();

pub fn ready(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let ready = READY.get_or_try_init(py, || Py::new(py, Ready))?;
    Ok(ready.clone_ref(py).into_any())
}
