//! Flow control towards the protocol: `pause_writing` and `resume_writing`.

use super::report::report;
use crate::errors::leaves_the_loop;
use crate::event_loop::EventLoop;
use pyo3::prelude::*;

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
        Err(error) => {
            report(loop_, &format!("protocol.{method}() failed"), error, Some(transport), Some(protocol))
        }
    }
}
