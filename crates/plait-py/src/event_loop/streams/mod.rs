//! Streams: `StreamReader`, `StreamWriter` and the protocol between them and a transport.
//!
//! `reader` keeps what arrived and hands it out by the rules of `plait_core::net::stream`, `writer` passes on to the transport,
//! `protocol` joins both to it. Between a transport of ours, an exact `StreamReaderProtocol` and an exact `StreamReader`
//! nothing is called by name: what the socket has goes into the reader's buffer, and the task that waits for it into the ready
//! queue. Everything else (subclasses, other transports, other loops) goes through the methods, as in asyncio.
//!
//! What is awaited (`read`, `readline`, `drain`, …) is written as coroutines in `plait._streams`: the interpreter enters an `async def`
//! without a call, so that one which need not wait costs less than any native awaitable, which has to make a StopIteration to
//! return a value. The algorithms are here: such a coroutine asks for the answer, and waits when there is none yet.

pub mod protocol;
pub mod reader;
pub mod writer;

use super::future::{Future, Outcome};
use super::EventLoop;
use crate::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::PyTypeInfo;

/// An object whose methods are ours: of the exact type, and nobody has put methods of their own on it.
#[inline]
fn plain<'a, 'py, T: PyTypeInfo>(object: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, T>> {
    let exact = object.cast_exact::<T>().ok()?;
    (!ffi::has_instance_dict(object)).then_some(exact)
}

/// A new pending future of a loop of any kind.
fn new_future<'py>(loop_: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = loop_.py();
    match loop_.cast_exact::<EventLoop>() {
        Ok(plait_loop) => Ok(Bound::new(py, Future::on_loop(py, plait_loop)?)?.into_any()),
        Err(_) => loop_.call_method0(intern!(py, "create_future")),
    }
}

/// `future.set_result(None)` unless it is done.
fn wake(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if let Ok(native) = future.cast_exact::<Future>() {
        return Future::settle(native, Outcome::Result(py.None())).map(drop);
    }
    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}

/// `future.set_exception(error)` unless it is done.
fn fail(future: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
        future.call_method1(intern!(py, "set_exception"), (error,))?;
    }
    Ok(())
}

/// The loop that was given, or else the current one, as asyncio's constructors take it.
fn loop_or_current<'py>(py: Python<'py>, given: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
    match given {
        Some(given) => Ok(given),
        None => crate::standard::standard(py).get_event_loop.bind(py).call0(),
    }
}
