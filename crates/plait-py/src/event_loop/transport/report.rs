//! What goes wrong in a protocol or a transport, in the words of asyncio's transports.

use crate::errors::leaves_the_loop;
use crate::event_loop::EventLoop;
use crate::standard::standard;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// To the loop's exception handler.
pub fn report(
    loop_: &Bound<'_, EventLoop>,
    message: &str,
    error: PyErr,
    transport: Option<&Bound<'_, PyAny>>,
    protocol: Option<Py<PyAny>>,
) -> PyResult<()> {
    let py = loop_.py();
    let context = PyDict::new(py);
    context.set_item("message", message)?;
    context.set_item("exception", error.into_value(py))?;
    context.set_item("transport", transport)?;
    context.set_item("protocol", protocol)?;
    loop_.call_method1(intern!(py, "call_exception_handler"), (context,)).map(drop)
}

/// In debug mode, to asyncio's log: an error of a kind that peers cause.
pub fn log_error(
    loop_: &Bound<'_, EventLoop>,
    message: &str,
    error: PyErr,
    transport: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = loop_.py();
    if loop_.get().debug(py) {
        let glue = standard(py).glue.bind(py);
        glue.call_method1("log_transport_error", (transport, message, error.into_value(py)))?;
    }
    Ok(())
}

/// In debug mode, to asyncio's log by its method `level`; `text` has a `%r` for the transport.
pub fn log(
    loop_: &Bound<'_, EventLoop>,
    level: &str,
    text: &str,
    transport: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = loop_.py();
    if loop_.get().debug(py) {
        standard(py).logger.bind(py).call_method1(level, (text, transport))?;
    }
    Ok(())
}

/// What a callback raised that asyncio would have scheduled by `call_soon`: reported, and the loop goes on.
pub fn callback_result(
    loop_: &Bound<'_, EventLoop>,
    result: PyResult<()>,
    object: Option<&Bound<'_, PyAny>>,
    method: &str,
    args: Bound<'_, PyTuple>,
) -> PyResult<()> {
    let py = loop_.py();
    match result {
        Err(error) if !leaves_the_loop(py, &error) => {
            let callback = object.map(|object| object.getattr(method)).transpose()?;
            let glue = standard(py).glue.bind(py);
            let args = (loop_, py.None(), callback, args, error.into_value(py));
            glue.call_method1(intern!(py, "report_callback_error"), args).map(drop)
        }
        result => result,
    }
}
