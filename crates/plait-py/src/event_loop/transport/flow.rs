//! Flow control towards the protocol: `pause_writing` and `resume_writing`, by the marks that `set_write_buffer_limits` sets.

use super::base::Transport;
use super::limits;
use crate::errors::leaves_the_loop;
use plait_core::net::FlowControl;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

const DEFAULT_HIGH: usize = 64 * 1024;

/// A transport that is written to.
pub trait Writing: Transport {
    /// Opens the flow control for `body`, with the number of bytes that wait to be sent. Runs no Python.
    fn with_flow<R>(&self, py: Python<'_>, body: impl FnOnce(&mut FlowControl, usize) -> R) -> R;

    fn set_limits(
        slf: &Bound<'_, Self>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let (high, low) = limits::resolve(slf.py(), high, low, DEFAULT_HIGH)?;
        let set = slf.get().with_flow(slf.py(), |flow, _| flow.set_limits(Some(high), Some(low)));
        set.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Self::maybe_pause_protocol(slf)
    }

    /// `(low, high)` in bytes.
    fn limits(&self, py: Python<'_>) -> (usize, usize) {
        self.with_flow(py, |flow, _| flow.limits())
    }

    fn maybe_pause_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().with_flow(py, |flow, unsent| flow.on_grow(unsent)) {
            true => tell(slf, intern!(py, "pause_writing")),
            false => Ok(()),
        }
    }

    fn maybe_resume_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().with_flow(py, |flow, unsent| flow.on_shrink(unsent)) {
            true => tell(slf, intern!(py, "resume_writing")),
            false => Ok(()),
        }
    }
}

/// Calls `pause_writing` or `resume_writing`, in the caller's context, as in asyncio: `write` is called from within the
/// protocol, whose context is entered.
fn tell<T: Writing>(slf: &Bound<'_, T>, method: &Bound<'_, PyString>) -> PyResult<()> {
    let py = slf.py();
    let Some(protocol) = slf.get().protocol(py) else { return Ok(()) };
    match protocol.bind(py).call_method0(method) {
        Ok(_) => Ok(()),
        Err(error) if leaves_the_loop(py, &error) => Err(error),
        Err(error) => T::report(slf, &format!("protocol.{method}() failed"), error),
    }
}
