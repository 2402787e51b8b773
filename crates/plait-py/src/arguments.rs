//! Arguments that PyO3's own conversions do not tell apart, or refuse in other words.

use pyo3::prelude::*;
use pyo3::Borrowed;

/// An argument that was left out differs from None.
pub struct Given<'py>(pub Option<Bound<'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Given(Some(object.to_owned())))
    }
}

/// Any object, for its truth.
#[derive(Clone, Copy)]
pub struct Truth(pub bool);

impl<'a, 'py> FromPyObject<'a, 'py> for Truth {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Truth)
    }
}

/// A number that is not less than `least`, which Python would only compare; None if it is less. What is no number is refused in the
/// words of that comparison.
pub fn at_least(value: &Bound<'_, PyAny>, least: i64) -> PyResult<Option<u64>> {
    match value.lt(least)? {
        true => Ok(None),
        false => Ok(Some(counted(value))),
    }
}

/// How many steps it takes to count to a number that is more than nothing: 1.5 waiters are two.
pub fn counted(value: &Bound<'_, PyAny>) -> u64 {
    value.extract::<u64>().unwrap_or_else(|_| {
        // What is too large for a number here is more than there can be.
        let rounded = value.extract::<f64>().map_or(f64::INFINITY, f64::ceil);
        rounded.min(MOST as f64) as u64
    })
}

/// More than there can be of anything, and still a number that can be added to.
const MOST: u64 = u64::MAX / 4;
