//! The application's transport: asks its protocol for everything, and knows by itself only whether it was closed.
//!
//! A protocol that keeps its transport would make a circle of the two, and with them of the `SSLContext`, for as long as the program keeps
//! it. asyncio breaks that where `close` is called again: so does this one, but not before the connection can do without `abort`.

use super::host::host;
use super::TlsProtocol;
use crate::event_loop::transport::is_bytes_like;
use crate::event_loop::EventLoop;
use crate::fastcall::{fast_method, install, Arguments};
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

/// `asyncio.sslproto._SSLProtocolTransport` on plait's loop.
#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct TlsTransport {
    /// None once it was closed again, after the end.
    protocol: Guarded<Option<Py<TlsProtocol>>>,
    closed: AtomicBool,
    built: Built,
}

impl TlsTransport {
    pub(super) fn new(protocol: &Bound<'_, TlsProtocol>, closed: bool) -> TlsTransport {
        let protocol = Guarded::new(Some(protocol.clone().unbind()));
        TlsTransport { protocol, closed: AtomicBool::new(closed), built: Built::new() }
    }

    #[inline]
    fn link<'py>(&self, py: Python<'py>) -> Option<Bound<'py, TlsProtocol>> {
        self.protocol.with(py, |protocol| protocol.as_ref().map(|p| p.clone_ref(py).into_bound(py)))
    }

    /// What to ask the protocol for, or what a transport answers that has none any more.
    fn ask<R>(&self, py: Python<'_>, question: impl FnOnce(&TlsProtocol) -> R, gone: R) -> R {
        match self.link(py) {
            Some(protocol) => question(protocol.get()),
            None => gone,
        }
    }

    pub(super) fn mark_closed(&self) -> bool {
        self.closed.swap(true, Ordering::Relaxed)
    }

    pub fn closing(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub fn write_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        if !is_bytes_like(data) {
            let kind = data.get_type().name()?;
            return Err(PyTypeError::new_err(format!("data: expecting a bytes-like instance, got {kind}")));
        }
        match slf.get().link(slf.py()) {
            Some(protocol) if data.is_truthy()? => TlsProtocol::write_data(&protocol, data),
            _ => Ok(()),
        }
    }
}

fast_method!(write_entry, TlsTransport, "TlsTransport.write", write);

/// Adds `write` to the type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install::<TlsTransport>(
        py,
        c"write",
        c"write($self, data)\n--\n\n\
Write data (bytes, bytearray or memoryview): encrypted at once, sent as far as the socket takes it, the rest later.",
        write_entry,
    )
}

fn write<'py>(slf: &Bound<'py, TlsTransport>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let [data] = arguments.exactly(py, ["data"])?;
    TlsTransport::write_data(slf, &data)?;
    Ok(py.None())
}

#[pymethods]
impl TlsTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(host(slf.py())?.transport_class.bind(slf.py()).clone().into_any())
    }

    /// "ssl_object", "sslcontext", "peercert", "cipher", "compression", and what the transport below knows.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.link(name.py()) {
            Some(protocol) => protocol.get().lookup_extra(name, default).map(Some),
            None => Ok(default),
        }
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        match self.link(protocol.py()) {
            Some(link) => link.get().set_protocol(protocol),
            None => Ok(()),
        }
    }

    fn get_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.link(py)?.get().protocol(py)
    }

    fn is_closing(&self) -> bool {
        self.closing()
    }

    /// Close: what is buffered is still sent, TLS is ended in order, then `connection_lost(None)` is called.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(protocol) = self.link(py) else { return Ok(()) };
        if !self.mark_closed() {
            return TlsProtocol::start_shutdown(&protocol);
        }
        if protocol.get().has_ended(py) {
            drop(self.protocol.with(py, Option::take));
        }
        Ok(())
    }

    /// Close at once; what is buffered is lost.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self._force_close(py, None)
    }

    #[pyo3(signature = (exc))]
    fn _force_close(&self, py: Python<'_>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        self.mark_closed();
        match self.link(py) {
            Some(protocol) => TlsProtocol::abort_with(&protocol, exc.as_ref()),
            None => Ok(()),
        }
    }

    fn is_reading(&self, py: Python<'_>) -> bool {
        self.ask(py, |p| !p.reading_paused(py), false)
    }

    fn pause_reading(&self, py: Python<'_>) {
        self.ask(py, |p| p.pause_reading(py), ());
    }

    fn resume_reading(&self, py: Python<'_>) -> PyResult<()> {
        self.link(py).map_or(Ok(()), |p| TlsProtocol::resume_reading(&p))
    }

    /// Pause the protocol's writing at `high` bytes, resume it at `low` or below.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(
        &self,
        py: Python<'_>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.link(py).map_or(Ok(()), |p| TlsProtocol::set_write_limits(&p, high, low))
    }

    /// `(low, high)` in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.ask(py, |p| p.write_limits(py), (0, 0))
    }

    fn get_write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.ask(py, |p| p.write_buffer_size(py), Ok(0))
    }

    /// Pause the transport below at `high` encrypted bytes that wait to be read, resume it at `low` or below.
    #[pyo3(signature = (high = None, low = None))]
    fn set_read_buffer_limits(
        &self,
        py: Python<'_>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.link(py).map_or(Ok(()), |p| TlsProtocol::set_read_limits(&p, high, low))
    }

    /// `(low, high)` in bytes.
    fn get_read_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.ask(py, |p| p.read_limits(py), (0, 0))
    }

    fn get_read_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.ask(py, |p| p.read_buffer_size(py), Ok(0))
    }

    /// Write every item of an iterable, sent in one go.
    fn writelines(&self, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.link(list_of_data.py()) {
            Some(protocol) => TlsProtocol::write_lines(&protocol, list_of_data),
            None => Ok(()),
        }
    }

    /// TLS has no half of a connection: NotImplementedError.
    fn write_eof(&self) -> PyResult<()> {
        Err(PyNotImplementedError::new_err(()))
    }

    fn can_write_eof(&self) -> bool {
        false
    }

    #[pyo3(name = "_test__append_write_backlog")]
    fn append_write_backlog(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ask(data.py(), |p| p.append(data), Ok(()))
    }

    #[getter]
    fn _protocol_paused(&self, py: Python<'_>) -> bool {
        self.ask(py, |p| p.writing_paused(py), false)
    }

    #[getter]
    fn _ssl_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, TlsProtocol>> {
        self.link(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<EventLoop>> {
        Some(self.link(py)?.get().event_loop(py))
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.closing()
    }

    #[setter(_closed)]
    fn set_private_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Relaxed);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(self.protocol.traverse())
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.protocol.with(py, Option::take)));
    }
}

static TLS_TRANSPORT_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for TlsTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        if slf.get().mark_closed() {
            return;
        }
        if let Err(error) = standard(slf.py()).warn_unclosed_tls.bind(slf.py()).call0() {
            error.write_unraisable(slf.py(), Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TLS_TRANSPORT_DEALLOC
    }
}
