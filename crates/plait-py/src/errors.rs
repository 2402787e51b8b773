//! Exceptions as the standard library raises them.

use crate::standard::standard;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use std::io;

/// `OSError(errno, strerror)`, which picks the subclass; PyO3's own conversion loses `errno`.
pub fn os_error(py: Python<'_>, error: &io::Error) -> PyErr {
    match error.raw_os_error() {
        Some(errno) => os_error_with(py, errno, None),
        None => PyOSError::new_err(error.to_string()),
    }
}

/// The same with a text of our own in place of `os.strerror(errno)`.
pub fn os_error_with(py: Python<'_>, errno: i32, text: Option<String>) -> PyErr {
    let text = match text {
        Some(text) => Ok(text),
        None => py
            .import("os")
            .and_then(|os| os.call_method1("strerror", (errno,)))
            .and_then(|text| text.extract::<String>()),
    };
    match text.and_then(|text| py.get_type::<PyOSError>().call1((errno, text))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

/// The same with the name of the file, or whatever stood for it.
pub fn os_error_named(py: Python<'_>, errno: i32, name: Option<&Bound<'_, PyAny>>) -> PyErr {
    let Some(name) = name else {
        return os_error_with(py, errno, None);
    };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (errno,)));
    match text.and_then(|text| py.get_type::<PyOSError>().call1((errno, text, name))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

pub fn closed() -> PyErr {
    PyRuntimeError::new_err("Event loop is closed")
}

pub fn invalid_state(py: Python<'_>, message: String) -> PyErr {
    match standard(py).invalid_state_error.bind(py).call1((message,)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

/// SystemExit and KeyboardInterrupt leave the loop; everything else is reported and the loop goes on.
pub fn leaves_the_loop(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PySystemExit>(py) || error.is_instance_of::<PyKeyboardInterrupt>(py)
}
