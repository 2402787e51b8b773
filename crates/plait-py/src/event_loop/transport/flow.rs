//! Flow control towards the protocol: the limits as users give them, and `pause_writing` and `resume_writing`.

use super::report::report;
use crate::errors::leaves_the_loop;
use crate::event_loop::EventLoop;
use plait_core::net::{FlowControl, LimitsError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Limits as users give them: in bytes, and perhaps below nothing.
pub struct Limits {
    high: Option<isize>,
    low: Option<isize>,
}

impl Limits {
    pub fn new(high: Option<isize>, low: Option<isize>) -> Limits {
        Limits { high, low }
    }

    /// Sets them by `set`, which runs no Python; ValueError in asyncio's words when they make no sense.
    pub fn apply(
        &self,
        set: impl FnOnce(&dyn Fn(&mut FlowControl) -> Result<(), LimitsError>) -> Result<(), LimitsError>,
    ) -> PyResult<()> {
        let positive = |limit: Option<isize>| limit.map(usize::try_from).transpose();
        let refused = match (positive(self.high), positive(self.low)) {
            (Ok(high), Ok(low)) => match set(&move |flow| flow.set_limits(high, low)) {
                Ok(()) => return Ok(()),
                Err(error) => (error.high as isize, error.low as isize),
            },
            _ => {
                let high = self.high.unwrap_or_else(|| self.low.map_or(64 * 1024, |low| 4 * low));
                (high, self.low.unwrap_or(high.div_euclid(4)))
            }
        };
        let (high, low) = refused;
        Err(PyValueError::new_err(format!("high ({high}) must be >= low ({low}) must be >= 0")))
    }
}

/// Calls `pause_writing` or `resume_writing`, in the caller's context, as in asyncio: `write` is called from within the
/// protocol, whose context is entered.
pub fn tell(
    loop_: &Bound<'_, EventLoop>,
    transport: &Bound<'_, PyAny>,
    protocol: Option<Py<PyAny>>,
    method: &str,
) -> PyResult<()> {
    let py = loop_.py();
    let Some(protocol) = protocol else { return Ok(()) };
    match protocol.bind(py).call_method0(pyo3::types::PyString::intern(py, method)) {
        Ok(_) => Ok(()),
        Err(error) if leaves_the_loop(py, &error) => Err(error),
        Err(error) => report(loop_, &format!("protocol.{method}() failed"), error, transport, Some(protocol)),
    }
}
