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

/// Leaves an error to `handle`, away from the path of those who have none.
#[inline]
pub fn unless_ok(result: PyResult<()>, handle: impl FnOnce(PyErr) -> PyResult<()>) -> PyResult<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => handle(error),
    }
}

/// What a method of `object` raised that asyncio would have scheduled by `call_soon`: reported, and the loop goes on.
#[cold]
pub fn callback(
    loop_: &Bound<'_, EventLoop>,
    error: PyErr,
    object: Option<&Bound<'_, PyAny>>,
    method: &str,
    args: Bound<'_, PyTuple>,
) -> PyResult<()> {
    let py = loop_.py();
    if leaves_the_loop(py, &error) {
        return Err(error);
    }
    let callback = object.map(|object| object.getattr(method)).transpose()?;
    let args = (loop_, py.None(), callback, args, error.into_value(py));
    standard(py).glue.bind(py).call_method1(intern!(py, "report_callback_error"), args).map(drop)
}

/// The same for a callback that is the transport's own in asyncio, where it has this name.
#[cold]
pub fn own_callback(
    loop_: &Bound<'_, EventLoop>,
    error: PyErr,
    name: &str,
    args: Bound<'_, PyTuple>,
) -> PyResult<()> {
    let py = loop_.py();
    if leaves_the_loop(py, &error) {
        return Err(error);
    }
    let args = (loop_, name, args, error.into_value(py));
    standard(py).glue.bind(py).call_method1(intern!(py, "report_own_callback_error"), args).map(drop)
}
