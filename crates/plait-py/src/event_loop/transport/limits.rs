//! The marks of flow control as callers give them: any numbers, either of which may be left out, refused in asyncio's words.
//!
//! The rules are applied to the objects themselves, in Python's arithmetic: so a number that no counter here can hold is a mark that is
//! never reached, as it is in asyncio, and a refusal shows what the caller wrote.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

/// The marks `(high, low)` that asyncio makes of what was given, where `default` is the high one if nothing was.
pub fn resolve(
    py: Python<'_>,
    high: Option<Bound<'_, PyAny>>,
    low: Option<Bound<'_, PyAny>>,
    default: usize,
) -> PyResult<(usize, usize)> {
    let high = match (high, &low) {
        (Some(high), _) => high,
        (None, None) => default.into_pyobject(py)?.into_any(),
        (None, Some(low)) => 4_i32.into_pyobject(py)?.mul(low)?,
    };
    let low = match low {
        Some(low) => low,
        None => high.floor_div(4)?,
    };
    if !(high.ge(&low)? && low.ge(0)?) {
        let text = format!("high ({}) must be >= low ({}) must be >= 0", high.repr()?, low.repr()?);
        return Err(PyValueError::new_err(text));
    }
    Ok((whole(&high)?, whole(&low)?))
}

/// A number that is not negative, as a count of bytes: no count lies between a fraction and the whole number below it.
fn whole(number: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = number.py();
    let counted = py.import("math")?.getattr("floor")?.call1((number,)).and_then(|floor| floor.extract());
    match counted {
        Err(error) if error.is_instance_of::<PyOverflowError>(py) => Ok(usize::MAX),
        counted => counted,
    }
}
