//! One attempt each at what a `sock_*` operation is to do: the system call, and whether it has to be waited for.

use super::super::EventLoop;
use crate::errors::{os_error, os_error_with};
use crate::ffi;
use plait_core::net::socket;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyBlockingIOError, PyBufferError, PyInterruptedError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::os::fd::RawFd;

const EAGAIN: i32 = 11;
/// The largest `sock_recv` that is read natively.
pub(super) const SCRATCH: usize = 1024 * 1024;

/// What one attempt came to.
pub(super) enum Attempt {
    Done(Py<PyAny>),
    WouldBlock,
}

/// asyncio refuses only `ssl.SSLSocket`; where ssl was never imported there is none.
pub(super) fn refuse_ssl_socket(sock: &Bound<'_, PyAny>) -> PyResult<()> {
    let modules = sock.py().import("sys")?.getattr("modules")?;
    if let Some(ssl) = modules.cast::<PyDict>()?.get_item("ssl")? {
        if sock.is_instance(&ssl.getattr("SSLSocket")?)? {
            return Err(PyTypeError::new_err("Socket cannot be of type SSLSocket"));
        }
    }
    Ok(())
}

/// The descriptor of an open socket; a closed one gets the error that the call would have got.
pub(super) fn open_fd(sock: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    match sock.call_method0(intern!(sock.py(), "fileno"))?.extract::<RawFd>()? {
        fd if fd >= 0 => Ok(fd),
        _ => Err(os_error_with(sock.py(), 9, None)), // EBADF
    }
}

fn outcome<T>(
    py: Python<'_>,
    result: std::io::Result<T>,
    done: impl FnOnce(T) -> PyResult<Py<PyAny>>,
) -> PyResult<Attempt> {
    match result {
        Ok(value) => done(value).map(Attempt::Done),
        Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(Attempt::WouldBlock),
        Err(error) => Err(os_error(py, &error)),
    }
}

pub(super) fn recv(loop_: &EventLoop, sock: &Bound<'_, PyAny>, size: usize) -> PyResult<Attempt> {
    let py = sock.py();
    let fd = open_fd(sock)?;
    if size == 0 {
        // As the socket object does it: the kernel would have it wait for nothing.
        return Ok(Attempt::Done(PyBytes::new(py, &[]).into_any().unbind()));
    }
    let received = match loop_.state.with(py, |s| s.descriptors.read_size(fd)).fresh() {
        Some(likely) => ffi::bytes_filled_by(py, likely.min(size), |memory| {
            let count = socket::recv_uninit(fd, memory)?;
            note_received(py, loop_, fd, count, memory.len());
            Ok(count)
        })
        .map(|bytes| bytes.unwrap_or_else(|| PyBytes::new(py, &[]))),
        // Most receives are far smaller than what is asked for: read into a scratch buffer, then make the bytes.
        None => SCRATCH_BUFFER.with_borrow_mut(|buffer| {
            let count = socket::recv(fd, &mut buffer[..size])?;
            note_received(py, loop_, fd, count, size);
            Ok(PyBytes::new(py, &buffer[..count]))
        }),
    };
    outcome(py, received, |bytes| Ok(bytes.into_any().unbind()))
}

fn note_received(py: Python<'_>, loop_: &EventLoop, fd: RawFd, received: usize, asked: usize) {
    loop_.state.with(py, |s| s.descriptors.note_received(fd, received, asked));
}

pub(super) fn recv_into(
    loop_: &EventLoop,
    sock: &Bound<'_, PyAny>,
    buffer: &Bound<'_, PyAny>,
) -> PyResult<Attempt> {
    let py = sock.py();
    let fd = open_fd(sock)?;
    let Ok(view) = writable(buffer) else {
        return unblocked(sock, |sock| sock.call_method1(intern!(py, "recv_into"), (buffer,)));
    };
    if view.len_bytes() == 0 {
        return Ok(Attempt::Done(0usize.into_pyobject(py)?.into_any().unbind()));
    }
    outcome(py, ffi::with_bytes_mut(&view, |bytes| socket::recv(fd, bytes)), |n| {
        note_received(py, loop_, fd, n, view.len_bytes());
        Ok(n.into_pyobject(py)?.into_any().unbind())
    })
}

/// The bytes of any contiguous buffer that can be written, whatever its items are.
pub fn writable(buffer: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    match contiguous(buffer) {
        Ok(view) if !view.readonly() => Ok(view),
        _ => Err(PyTypeError::new_err(format!(
            "recv_into() argument 1 must be read-write bytes-like object, not {}",
            buffer.get_type().name()?
        ))),
    }
}

pub(super) fn send_all(
    sock: &Bound<'_, PyAny>,
    data: &Bound<'_, PyAny>,
    sent: &mut usize,
) -> PyResult<Attempt> {
    let py = sock.py();
    let fd = open_fd(sock)?;
    let Ok(view) = contiguous(data) else {
        return unblocked(sock, |sock| sock.call_method1(intern!(py, "send"), (data,)));
    };
    while *sent < view.len_bytes() {
        match ffi::with_bytes(&view, |bytes| socket::send(fd, &bytes[*sent..])) {
            Ok(n) => *sent += n,
            Err(error) if error.raw_os_error() == Some(EAGAIN) => return Ok(Attempt::WouldBlock),
            Err(error) => return Err(os_error(py, &error)),
        }
    }
    Ok(Attempt::Done(py.None()))
}

/// The bytes of any contiguous buffer, whatever its items are.
pub fn contiguous(data: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let py = data.py();
    if let Ok(view) = PyBuffer::<u8>::get(data) {
        if view.is_c_contiguous() {
            return Ok(view);
        }
    }
    // An array of something wider, or a strided view: asked for as bytes; raises what the socket would.
    let view = py.import("builtins")?.getattr("memoryview")?.call1((data,))?;
    let view = match view.getattr("c_contiguous")?.is_truthy()? {
        true => view.call_method1("cast", ("B",))?,
        false => return Err(PyBufferError::new_err("memoryview: underlying buffer is not C-contiguous")),
    };
    PyBuffer::<u8>::get(&view)
}

/// Runs a method of the socket object so that it cannot block: a blocking socket is switched for that long.
pub(super) fn unblocked<'py>(
    sock: &Bound<'py, PyAny>,
    call: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Attempt> {
    let py = sock.py();
    let timeout = sock.call_method0(intern!(py, "gettimeout"))?;
    let blocking = timeout.is_none() || timeout.extract::<f64>()? != 0.0;
    if blocking {
        sock.call_method1(intern!(py, "setblocking"), (false,))?;
    }
    let result = call(sock);
    if blocking {
        sock.call_method1(intern!(py, "settimeout"), (timeout,))?;
    }
    match result {
        Ok(value) => Ok(Attempt::Done(value.unbind())),
        Err(error) if error.is_instance_of::<PyBlockingIOError>(py) => Ok(Attempt::WouldBlock),
        Err(error) if error.is_instance_of::<PyInterruptedError>(py) => Ok(Attempt::WouldBlock),
        Err(error) => Err(error),
    }
}

pub(super) fn accept(sock: &Bound<'_, PyAny>) -> PyResult<Attempt> {
    let py = sock.py();
    let attempt = unblocked(sock, |sock| sock.call_method0(intern!(py, "accept")))?;
    if let Attempt::Done(pair) = &attempt {
        let connection = pair.bind(py).get_item(0)?;
        connection.call_method1(intern!(py, "setblocking"), (false,))?;
    }
    Ok(attempt)
}

pub(super) fn connect(
    sock: &Bound<'_, PyAny>,
    address: &Bound<'_, PyAny>,
    started: &mut bool,
) -> PyResult<Attempt> {
    let py = sock.py();
    if !std::mem::replace(started, true) {
        return unblocked(sock, |sock| sock.call_method1(intern!(py, "connect"), (address,)));
    }
    let fd = open_fd(sock)?;
    match socket::take_error(fd) {
        Ok(None) => Ok(Attempt::Done(py.None())),
        Ok(Some(error)) | Err(error) => {
            let errno = error.raw_os_error().unwrap_or(0);
            let text = format!("Connect call failed {}", address.str()?);
            Err(os_error_with(py, errno, Some(text)))
        }
    }
}

thread_local! {
    static SCRATCH_BUFFER: std::cell::RefCell<Box<[u8]>> =
        std::cell::RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}
