//! What callers say about how long they are ready to wait, understood as the standard library does, and refused in its words.
//!
//! It is looked at only where somebody has to wait, as there.

use crate::standard::standard;
use crate::waiters::{Patience, LONGEST_TIMEOUT};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

#[cfg(Py_3_13)]
const NEGATIVE: &str = "timeout value must be a non-negative number";
#[cfg(not(Py_3_13))]
const NEGATIVE: &str = "timeout value must be positive";

/// How `acquire` of a lock is called: `acquire(blocking=True, timeout=-1)`. None: it does not wait.
pub fn patience_of_lock(
    blocking: bool,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Patience<'static>>> {
    let seconds = timeout.map_or(Ok(-1.0), seconds)?;
    if !blocking && seconds != -1.0 {
        return Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"));
    }
    if seconds < 0.0 && seconds != -1.0 {
        return Err(PyValueError::new_err(NEGATIVE));
    }
    Ok(match (blocking, seconds) {
        (false, _) => None,
        (true, -1.0) => Some(Patience::Forever),
        (true, seconds) => Some(Patience::seconds(seconds)),
    })
}

/// `wait(timeout=None)`: None means for ever, what is not more than nothing not at all.
pub fn patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience<'static>> {
    match timeout {
        None => Ok(Patience::Forever),
        // Compared first, for the words of the error about what is no number.
        Some(timeout) if !timeout.gt(0)? => Ok(Patience::seconds(0.0)),
        Some(timeout) => Ok(Patience::seconds(seconds(timeout)?)),
    }
}

/// The same where the standard library first adds it to the time that it is now.
pub fn patience_by_end(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience<'static>> {
    if let Some(timeout) = timeout {
        if !timeout.is_exact_instance_of::<PyFloat>() && !timeout.is_exact_instance_of::<PyInt>() {
            PyFloat::new(timeout.py(), 0.0).add(timeout)?;
        }
    }
    patience(timeout)
}

/// The same for a queue, which waits for what is left until then.
pub fn patience_of_queue(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience<'static>> {
    match timeout {
        None => Ok(Patience::Forever),
        Some(timeout) => patience(Some(&PyFloat::new(timeout.py(), 0.0).add(timeout)?)),
    }
}

/// A number of seconds that a lock would take as a time-out; what it refuses, it is asked to refuse.
fn seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(float) = timeout.cast::<PyFloat>() {
        if float.value() <= LONGEST_TIMEOUT {
            return Ok(float.value());
        }
    } else if let Ok(whole) = timeout.extract::<i64>() {
        if whole as f64 <= LONGEST_TIMEOUT {
            return Ok(whole as f64);
        }
    }
    let lock = standard(timeout.py()).allocate_lock.bind(timeout.py()).call0()?;
    lock.call_method1(intern!(timeout.py(), "acquire"), (true, timeout))?;
    Ok(LONGEST_TIMEOUT)
}
