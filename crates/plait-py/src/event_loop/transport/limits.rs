//! The marks of flow control as callers give them: signed numbers, any of which may be left out, refused in asyncio's words.

use plait_core::net::FlowControl;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The marks that `set_write_buffer_limits` was asked for and that cannot be set, as asyncio would have completed them.
pub struct Refused {
    high: isize,
    low: isize,
}

impl From<Refused> for PyErr {
    fn from(Refused { high, low }: Refused) -> PyErr {
        PyValueError::new_err(format!("high ({high}) must be >= low ({low}) must be >= 0"))
    }
}

/// Sets the marks, or says why not. Runs no Python.
pub fn set_limits(flow: &mut FlowControl, high: Option<isize>, low: Option<isize>) -> Result<(), Refused> {
    let positive = |limit: Option<isize>| limit.map(usize::try_from).transpose();
    match (positive(high), positive(low)) {
        (Ok(high), Ok(low)) => flow
            .set_limits(high, low)
            .map_err(|error| Refused { high: error.high as isize, low: error.low as isize }),
        _ => {
            let high = high.unwrap_or_else(|| low.map_or(64 * 1024, |low| low.saturating_mul(4)));
            Err(Refused { high, low: low.unwrap_or(high.div_euclid(4)) })
        }
    }
}
