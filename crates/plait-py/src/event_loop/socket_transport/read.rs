//! Reading: what the socket has goes to the protocol, as bytes or into the protocol's own buffer.

use super::super::descriptors::Direction;
use super::super::sock::writable;
use super::super::streams::protocol::StreamReaderProtocol;
use super::super::streams::reader::StreamReader;
use super::super::tls::TlsProtocol;
use super::super::transport::{SelectorTransport, Transport, READ_BUFFER};
use super::{SocketTransport, Takes};
use crate::errors::os_error;
use crate::ffi;
use plait_core::net::{socket, ReadSize};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::io;

const EAGAIN: i32 = 11;

impl SocketTransport {
    #[inline]
    pub(super) fn read(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (idle, takes) = slf.get().state.with(py, |s| (!s.course.is_active(), s.takes));
        if idle {
            return Ok(()); // it was readable before somebody closed or paused it
        }
        if let Err(closed) = slf.get().check_open(py) {
            return SocketTransport::read_failed(slf, &closed);
        }
        match takes {
            Takes::Bytes => SocketTransport::read_data(slf),
            Takes::IntoTls => SocketTransport::read_into_tls(slf),
            Takes::IntoItsBuffer => SocketTransport::read_into_protocol(slf),
            Takes::IntoItsReader => match slf.get().plain_reader(py) {
                Some(reader) => SocketTransport::read_into_reader(slf, &reader),
                None => SocketTransport::read_data(slf),
            },
        }
    }

    fn plain_reader<'py>(&self, py: Python<'py>) -> Option<Bound<'py, StreamReader>> {
        let protocol = self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))?;
        StreamReaderProtocol::plain_reader(protocol.bind(py).cast_exact().ok()?)
    }

    fn read_into_reader(slf: &Bound<'_, Self>, reader: &Bound<'_, StreamReader>) -> PyResult<()> {
        let py = slf.py();
        let received = match slf.get().read_size(py).fresh() {
            Some(size) => {
                slf.get().receive_large(py, size).map(|bytes| bytes.map(|bytes| reader.get().keep(bytes)))
            }
            None => READ_BUFFER.with_borrow_mut(|buffer| {
                let count = slf.get().receive(py, buffer)?;
                Ok((count > 0).then(|| {
                    reader.get().store(py, &buffer[..count]);
                    Ok(())
                }))
            }),
        };
        match received {
            Ok(Some(kept)) => {
                let told = kept.and_then(|()| reader.get().arrived(py));
                SocketTransport::fatal_unless_ok(
                    slf,
                    told,
                    "Fatal error: protocol.data_received() call failed.",
                )
                .map(drop)
            }
            Ok(None) => SocketTransport::end_of_stream(slf),
            Err(error) => SocketTransport::read_failed(slf, &error),
        }
    }

    #[inline]
    pub(super) fn read_data(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        match this.receive_bytes(py) {
            Ok(Some(data)) => {
                let told = this.tell(py, intern!(py, "data_received"), Some(data.into_any()));
                SocketTransport::fatal_unless_ok(
                    slf,
                    told,
                    "Fatal error: protocol.data_received() call failed.",
                )
                .map(drop)
            }
            Ok(None) => SocketTransport::end_of_stream(slf),
            Err(error) => SocketTransport::read_failed(slf, &error),
        }
    }

    /// TLS is fed without a method's being called, in the connection's context, in which it will call the application.
    fn read_into_tls(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        match this.receive_bytes(py) {
            Ok(Some(data)) => {
                let protocol = this.protocol(py);
                let told = match protocol.as_ref().map(|p| p.bind(py).cast_exact::<TlsProtocol>()) {
                    Some(Ok(tls)) => this.in_context(py, || {
                        let count = data.as_bytes().len();
                        TlsProtocol::received(tls, data.as_any(), count)
                    }),
                    _ => Ok(()),
                };
                let text = "Fatal error: protocol.buffer_updated() call failed.";
                SocketTransport::fatal_unless_ok(slf, told, text).map(drop)
            }
            Ok(None) => SocketTransport::end_of_stream(slf),
            Err(error) => SocketTransport::read_failed(slf, &error),
        }
    }

    #[inline]
    fn receive_bytes<'py>(&self, py: Python<'py>) -> io::Result<Option<Bound<'py, PyBytes>>> {
        match self.read_size(py).fresh() {
            Some(size) => self.receive_large(py, size),
            None => READ_BUFFER.with_borrow_mut(|buffer| {
                self.receive(py, buffer).map(|n| (n > 0).then(|| PyBytes::new(py, &buffer[..n])))
            }),
        }
    }

    #[inline]
    fn read_size(&self, py: Python<'_>) -> ReadSize {
        self.state.with(py, |s| s.read_size)
    }

    #[inline]
    fn receive(&self, py: Python<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        let count = socket::recv(self.base.fd, buffer)?;
        self.state.with(py, |s| s.read_size.note(count));
        Ok(count)
    }

    /// Receives into a new object, which is handed on without a copy.
    fn receive_large<'py>(&self, py: Python<'py>, size: usize) -> io::Result<Option<Bound<'py, PyBytes>>> {
        ffi::bytes_filled_by(py, size, |memory| {
            let count = socket::recv_uninit(self.base.fd, memory)?;
            self.state.with(py, |s| s.read_size.note(count));
            Ok(count)
        })
    }

    pub(super) fn read_into_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let hint = (-1i32).into_pyobject(py)?.into_any();
        let buffer = this.tell(py, intern!(py, "get_buffer"), Some(hint)).and_then(|buffer| {
            if buffer.len()? == 0 {
                return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
            }
            Ok(buffer)
        });
        let text = "Fatal error: protocol.get_buffer() call failed.";
        let Some(buffer) = SocketTransport::fatal_unless_ok(slf, buffer, text)? else {
            return Ok(());
        };
        let text = "Fatal read error on socket transport";
        let Some(view) = SocketTransport::fatal_unless_ok(slf, writable(&buffer), text)? else {
            return Ok(());
        };
        let received = ffi::with_bytes_mut(&view, |bytes| socket::recv(this.base.fd, bytes));
        drop(view);
        match received {
            Ok(0) => SocketTransport::end_of_stream(slf),
            Ok(n) => {
                let n = n.into_pyobject(py)?.into_any();
                let told = this.tell(py, intern!(py, "buffer_updated"), Some(n));
                SocketTransport::fatal_unless_ok(
                    slf,
                    told,
                    "Fatal error: protocol.buffer_updated() call failed.",
                )
                .map(drop)
            }
            Err(error) => SocketTransport::read_failed(slf, &error),
        }
    }

    #[cold]
    pub(super) fn read_failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        if error.raw_os_error() == Some(EAGAIN) {
            return Ok(());
        }
        let error = os_error(slf.py(), error);
        SocketTransport::fatal_error(slf, error, "Fatal read error on socket transport")
    }

    pub(super) fn end_of_stream(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        SocketTransport::log(slf, "debug", "%r received EOF")?;
        let told = this.tell(py, intern!(py, "eof_received"), None);
        let text = "Fatal error: protocol.eof_received() call failed.";
        let Some(keep_open) = SocketTransport::fatal_unless_ok(slf, told, text)? else {
            return Ok(());
        };
        match keep_open.is_truthy()? {
            // Writing goes on; there is nothing more to read.
            true => this.stop(py, Direction::Read),
            false => SocketTransport::close(slf),
        }
    }
}
