//! What callers say about how long they are ready to wait, in the words of the standard library where they are wrong.

use crate::waiters::{Patience, LONGEST_TIMEOUT};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyFloat;

/// How a call is to acquire something.
#[derive(Clone, Copy)]
pub enum Acquisition {
    AtOnce,
    Within(Patience),
}

impl Acquisition {
    pub fn forever() -> Acquisition {
        Acquisition::Within(Patience::Forever)
    }

    /// `acquire(blocking=True, timeout=-1)` of locks.
    pub fn of_lock(blocking: bool, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Acquisition> {
        let seconds = timeout.as_ref().map_or(Ok(-1.0), seconds)?;
        if !blocking && seconds != -1.0 {
            return Err(PyValueError::new_err("can't specify a timeout for a non-blocking call"));
        }
        if seconds < 0.0 && seconds != -1.0 {
            return Err(PyValueError::new_err("timeout value must be a non-negative number"));
        }
        match (blocking, seconds) {
            (false, _) => Ok(Acquisition::AtOnce),
            (true, -1.0) => Ok(Acquisition::forever()),
            (true, seconds) => Ok(Acquisition::Within(Patience::seconds(seconds))),
        }
    }

    /// `acquire(blocking=True, timeout=None)` of semaphores.
    pub fn of_semaphore(blocking: bool, timeout: Option<Bound<'_, PyAny>>) -> PyResult<Acquisition> {
        match (blocking, timeout) {
            (true, None) => Ok(Acquisition::forever()),
            (false, None) => Ok(Acquisition::AtOnce),
            (false, Some(_)) => Err(PyValueError::new_err("can't specify timeout for non-blocking acquire")),
            (true, timeout) => Ok(Acquisition::Within(patience(timeout.as_ref())?)),
        }
    }

    /// None: not at all.
    pub fn patience(self) -> Option<Patience> {
        match self {
            Acquisition::AtOnce => None,
            Acquisition::Within(patience) => Some(patience),
        }
    }
}

/// A number of seconds, as the interpreter's own clocks take it.
pub fn seconds(timeout: &Bound<'_, PyAny>) -> PyResult<f64> {
    let seconds = match timeout.cast::<PyFloat>() {
        Ok(float) => float.value(),
        Err(_) => timeout.extract::<i64>().map(|whole| whole as f64)?,
    };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    if seconds.abs() > 9.3e18 {
        return Err(PyOverflowError::new_err("timestamp out of range for platform time_t"));
    }
    if seconds > LONGEST_TIMEOUT {
        return Err(PyOverflowError::new_err("timeout value is too large"));
    }
    Ok(seconds)
}

/// `wait(timeout=None)`: None means for ever, less than nothing not at all.
pub fn patience(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience> {
    match timeout {
        None => Ok(Patience::Forever),
        // Compared first, for the words of the error about what is no number; NaN goes on.
        Some(timeout) if !timeout.gt(0)? && timeout.eq(timeout)? => Ok(Patience::seconds(0.0)),
        Some(timeout) => Ok(Patience::seconds(seconds(timeout)?)),
    }
}
