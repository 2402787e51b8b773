//! Writing: straight to the socket as far as it takes it; the rest waits, and the protocol is paused when that is much.

use super::super::descriptors::{Direction, Watcher};
use super::super::future::{Future, Outcome};
use super::super::sock::contiguous;
use super::super::transport::selector::check_bytes_like;
use super::super::transport::{warn_lost_write, Chunk, SelectorTransport, Transport, Writing};
use super::SocketTransport;
use crate::errors::os_error;
use crate::fastcall::{fast_method, install, Arguments};
use crate::ffi;
use plait_core::net::socket;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use std::io;

const EAGAIN: i32 = 11;

fast_method!(write_entry, SocketTransport, "SocketTransport.write", write);

/// Adds `write` to the transport's type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install::<SocketTransport>(
        py,
        c"write",
        c"write($self, data)\n--\n\n\
Write data (bytes, bytearray or memoryview): sent at once as far as the socket takes it, the rest later.",
        write_entry,
    )
}

fn write<'py>(slf: &Bound<'py, SocketTransport>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let [data] = arguments.exactly(py, ["data"])?;
    SocketTransport::write_data(slf, &data)?;
    Ok(py.None())
}

impl SocketTransport {
    pub fn write_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        check_bytes_like(data)?;
        let this = slf.get();
        let (eof, waiting, lost) = this.state.with(py, |s| (s.eof, s.empty_waiter.is_some(), s.course.lost));
        if eof {
            return Err(PyRuntimeError::new_err("Cannot call write() after write_eof()"));
        }
        if waiting {
            return Err(PyRuntimeError::new_err("unable to write; sendfile is in progress"));
        }
        if data.len()? == 0 {
            return Ok(());
        }
        if lost > 0 {
            warn_lost_write(py, lost, "socket.send() raised exception.")?;
            this.state.with(py, |s| s.course.lost += 1);
            return Ok(());
        }
        SocketTransport::write_all(slf, data)
    }

    pub(super) fn write_lines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (eof, waiting) = this.state.with(py, |s| (s.eof, s.empty_waiter.is_some()));
        if eof {
            return Err(PyRuntimeError::new_err("Cannot call writelines() after write_eof()"));
        }
        if waiting {
            return Err(PyRuntimeError::new_err("unable to writelines; sendfile is in progress"));
        }
        let mut chunks = Vec::new();
        for data in list_of_data.try_iter()? {
            let data = data?;
            chunks.push(match data.cast_exact::<PyBytes>() {
                Ok(bytes) => Chunk::Shared(PyBackedBytes::from(bytes.clone())),
                Err(_) => Chunk::Copied(ffi::with_bytes(&contiguous(&data)?, |bytes| Box::from(bytes))),
            });
        }
        if chunks.is_empty() {
            return Ok(());
        }
        // The iterator may have closed it.
        let waited = this.state.with(py, |s| {
            let waited = (s.course.lost == 0 && !s.eof).then(|| !s.buffer.is_empty())?;
            for chunk in chunks.drain(..) {
                s.buffer.push(chunk, 0);
            }
            Some(waited)
        });
        let Some(waited) = waited else { return Ok(()) };
        if !waited {
            if let Some(Err(error)) = this.flush(py) {
                return SocketTransport::write_failed(slf, &error);
            }
        }
        match this.state.with(py, |s| s.buffer.is_empty()) {
            true => Ok(()),
            false => SocketTransport::grown(slf),
        }
    }

    pub(super) fn end_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let now = this.state.with(py, |s| {
            if s.course.closing || s.eof {
                return false;
            }
            s.eof = true;
            s.buffer.is_empty()
        });
        match now {
            true => this.shut_down_writing(py),
            false => Ok(()),
        }
    }

    fn shut_down_writing(&self, py: Python<'_>) -> PyResult<()> {
        let shut = self.check_open(py).and_then(|()| socket::shutdown_write(self.base.fd));
        shut.map_err(|error| os_error(py, &error))
    }

    pub(super) fn make_empty_waiter(slf: &Bound<'_, Self>) -> PyResult<Py<Future>> {
        let py = slf.py();
        let this = slf.get();
        if this.empty_waiter(py).is_some() {
            return Err(PyRuntimeError::new_err("Empty waiter is already set"));
        }
        let waiter = Py::new(py, Future::on_loop(py, this.event_loop(py))?)?;
        let kept = waiter.clone_ref(py);
        let empty = this.state.with(py, |s| {
            s.empty_waiter = Some(kept);
            s.buffer.is_empty()
        });
        if empty {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        Ok(waiter)
    }

    /// Sends what the socket takes now; keeps the rest from `offset` on.
    pub(super) fn write_all(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            let Some(sent) = SocketTransport::send_now(slf, bytes.as_bytes())? else {
                return Ok(());
            };
            if sent < bytes.as_bytes().len() {
                let chunk = Chunk::Shared(PyBackedBytes::from(bytes.clone()));
                this.state.with(py, |s| s.buffer.push(chunk, sent));
                return SocketTransport::grown(slf);
            }
            return Ok(());
        }
        let view = contiguous(data)?;
        let sent = ffi::with_bytes(&view, |bytes| SocketTransport::send_now(slf, bytes))?;
        let Some(sent) = sent else { return Ok(()) };
        if sent < view.len_bytes() {
            let rest = ffi::with_bytes(&view, |bytes| Box::<[u8]>::from(&bytes[sent..]));
            this.state.with(py, |s| s.buffer.push(Chunk::Copied(rest), 0));
            return SocketTransport::grown(slf);
        }
        Ok(())
    }

    /// How much went out at once; nothing while older data waits. None: the connection broke.
    pub(super) fn send_now(slf: &Bound<'_, Self>, bytes: &[u8]) -> PyResult<Option<usize>> {
        let py = slf.py();
        let this = slf.get();
        if !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(Some(0));
        }
        match this.check_open(py).and_then(|()| socket::send(this.base.fd, bytes)) {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(Some(0)),
            Err(error) => {
                let error = os_error(py, &error);
                SocketTransport::fatal_error(slf, error, "Fatal write error on socket transport")?;
                Ok(None)
            }
        }
    }

    /// Something was added to the buffer: watch for room, and pause the protocol if it is too much.
    pub(super) fn grown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let watcher = Watcher::Transport(slf.clone().unbind());
        this.base.loop_.get().watch_unless_watched(py, this.base.fd, Direction::Write, watcher)?;
        SocketTransport::maybe_pause_protocol(slf)
    }

    /// Writes what waits; None when the connection is lost already.
    pub(super) fn flush(&self, py: Python<'_>) -> Option<io::Result<bool>> {
        if let Err(closed) = self.check_open(py) {
            return Some(Err(closed));
        }
        let mut spent = Vec::new();
        let flushed = self.state.with(py, |s| match s.course.lost {
            0 => Some(s.buffer.flush(self.base.fd, &mut spent)),
            _ => None,
        });
        drop(spent);
        flushed
    }

    pub(super) fn flushed(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.in_context(py, || SocketTransport::maybe_resume_protocol(slf))?; // the protocol may write more
        if !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        if let Some(waiter) = this.empty_waiter(py) {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        let (closing, eof) = this.state.with(py, |s| (s.course.closing, s.eof));
        if closing {
            this.state.with(py, |s| s.course.lost += 1);
            return SocketTransport::connection_lost(slf, py.None().bind(py));
        }
        if eof {
            this.shut_down_writing(py)?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn write_failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let error = os_error(py, error);
        this.stop(py, Direction::Write)?;
        let dropped = this.state.with(py, |s| s.buffer.take_all());
        drop(dropped);
        let kept = error.clone_ref(py);
        SocketTransport::fatal_error(slf, error, "Fatal write error on socket transport")?;
        if let Some(waiter) = this.empty_waiter(py) {
            Future::fail(waiter.bind(py), &kept)?;
        }
        Ok(())
    }

    pub(super) fn empty_waiter(&self, py: Python<'_>) -> Option<Py<Future>> {
        self.state.with(py, |s| s.empty_waiter.as_ref().map(|w| w.clone_ref(py)))
    }
}
