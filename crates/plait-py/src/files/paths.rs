//! Names of files: from what `os.fspath` takes to what the kernel takes.

use crate::ffi;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use std::ffi::CString;

/// The name as the kernel wants it, in the words of `open` where it cannot be one.
pub fn kernel_path(path: &Bound<'_, PyAny>) -> PyResult<CString> {
    let py = path.py();
    if let Ok(text) = path.cast::<PyString>() {
        if names_are_utf8(py)? {
            // Without it: there are surrogates in it, for bytes that are no UTF-8.
            if let Ok(text) = text.to_str() {
                return without_nul(text.as_bytes());
            }
        }
    }
    let encoded = py.import("os")?.call_method1(intern!(py, "fsencode"), (path,))?;
    without_nul(encoded.cast::<PyBytes>()?.as_bytes())
}

fn without_nul(bytes: &[u8]) -> PyResult<CString> {
    CString::new(bytes).map_err(|_| PyValueError::new_err("embedded null byte"))
}

fn names_are_utf8(py: Python<'_>) -> PyResult<bool> {
    static ANSWER: PyOnceLock<bool> = PyOnceLock::new();
    let ask = || py.import("sys")?.call_method0("getfilesystemencoding")?.eq("utf-8");
    ANSWER.get_or_try_init(py, ask).copied()
}

/// The audit event of `open`.
pub fn audit(path: &Bound<'_, PyAny>, mode: &str, flags: i32) -> PyResult<()> {
    let mode = CString::new(mode).map_err(|_| PyValueError::new_err("embedded null character"))?;
    ffi::audit_open(path, &mode, flags)
}

/// The directory in a name, if the name says where that is whatever the current directory.
pub fn absolute_parent(path: &CString) -> Option<&[u8]> {
    let bytes = path.as_bytes();
    match bytes.first() {
        Some(b'/') => bytes.iter().rposition(|byte| *byte == b'/').map(|slash| &bytes[..slash]),
        _ => None,
    }
}
