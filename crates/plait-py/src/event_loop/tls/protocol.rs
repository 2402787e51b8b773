//! The protocol's Python methods: those of an `asyncio.BufferedProtocol`, for transports of any make, and the private names of asyncio's.

use super::host::host;
use super::{Phase, Setup, TlsProtocol, Waiter};
use crate::event_loop::tls::transport::TlsTransport;
use crate::event_loop::EventLoop;
use crate::ffi;
use pyo3::exceptions::PyAssertionError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView};

/// What a transport that is not ours receives into, in bytes.
const LARGEST_READ: usize = 256 * 1024;

#[pymethods]
impl TlsProtocol {
    #[new]
    #[pyo3(signature = (
        r#loop, app_protocol, sslcontext, waiter, server_side = false, server_hostname = None, call_connection_made = true,
        ssl_handshake_timeout = None, ssl_shutdown_timeout = None
    ))]
    #[allow(clippy::too_many_arguments)] // asyncio's signature
    fn new<'py>(
        r#loop: &Bound<'py, EventLoop>,
        app_protocol: Bound<'py, PyAny>,
        sslcontext: Option<Bound<'py, PyAny>>,
        waiter: Option<Bound<'py, PyAny>>,
        server_side: bool,
        server_hostname: Option<Bound<'py, PyAny>>,
        call_connection_made: bool,
        ssl_handshake_timeout: Option<Bound<'py, PyAny>>,
        ssl_shutdown_timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<TlsProtocol> {
        let setup = Setup {
            sslcontext,
            waiter: Waiter::of(waiter),
            server_side,
            server_hostname,
            call_connection_made,
            handshake_timeout: ssl_handshake_timeout,
            shutdown_timeout: ssl_shutdown_timeout,
        };
        TlsProtocol::build(r#loop, app_protocol, setup)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(host(slf.py())?.protocol_class.bind(slf.py()).clone().into_any())
    }

    // ---- the transport's side

    /// The connection below is there: begin the handshake.
    fn connection_made(slf: &Bound<'_, Self>, transport: Py<PyAny>) -> PyResult<()> {
        TlsProtocol::made(slf, transport)
    }

    /// The connection below is gone.
    fn connection_lost(slf: &Bound<'_, Self>, exc: &Bound<'_, PyAny>) -> PyResult<()> {
        TlsProtocol::link_lost(slf, exc)
    }

    /// What to receive into.
    fn get_buffer<'py>(&self, py: Python<'py>, sizehint: isize) -> PyResult<Bound<'py, PyMemoryView>> {
        let _ = sizehint; // as in asyncio: always the same buffer
        let known = self.state.with(py, |s| s.receive_buffer.as_ref().map(|b| b.clone_ref(py)));
        let buffer = match known {
            Some(known) => known.into_bound(py),
            None => {
                let made = pyo3::types::PyByteArray::new_with(py, LARGEST_READ, |_| Ok(()))?;
                let kept = made.clone().unbind();
                drop(self.state.with(py, |s| s.receive_buffer.replace(kept)));
                made
            }
        };
        PyMemoryView::from(buffer.as_any())
    }

    /// So many bytes were received into it.
    fn buffer_updated(slf: &Bound<'_, Self>, nbytes: usize) -> PyResult<()> {
        let py = slf.py();
        let buffer = slf.get().state.with(py, |s| s.receive_buffer.as_ref().map(|b| b.clone_ref(py)));
        let Some(buffer) = buffer else { return Ok(()) };
        let view = crate::event_loop::sock::contiguous(buffer.bind(py))?;
        let data = ffi::with_bytes(&view, |bytes| PyBytes::new(py, &bytes[..nbytes.min(bytes.len())]));
        drop(view);
        TlsProtocol::received(slf, data.as_any(), nbytes)
    }

    /// The same of a transport that brings bytes.
    fn data_received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        TlsProtocol::received(slf, data.as_any(), data.as_bytes().len())
    }

    /// The peer sends nothing more. True: the transport stays open.
    fn eof_received(slf: &Bound<'_, Self>) -> PyResult<Option<bool>> {
        Ok(TlsProtocol::link_ended(slf)?.then_some(true))
    }

    /// The transport has too much to send.
    fn pause_writing(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| std::mem::replace(&mut s.sending_paused, true)) {
            true => Err(PyAssertionError::new_err(())),
            false => Ok(()),
        }
    }

    /// The transport has room again.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().state.with(slf.py(), |s| s.sending_paused) {
            true => TlsProtocol::resume_sending(slf),
            false => Err(PyAssertionError::new_err(())),
        }
    }

    // ---- callbacks of the loop's

    fn _check_handshake_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        TlsProtocol::check_handshake_timeout(slf)
    }

    fn _check_shutdown_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        TlsProtocol::check_shutdown_timeout(slf)
    }

    fn _go_on_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        TlsProtocol::go_on_reading(slf)
    }

    fn _do_read(slf: &Bound<'_, Self>) -> PyResult<()> {
        TlsProtocol::do_read(slf)
    }

    // ---- what asyncio's own has, for those who reach for it

    #[pyo3(signature = (exc = None))]
    fn _abort(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        TlsProtocol::abort_with(slf, exc.as_ref())
    }

    fn _start_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        TlsProtocol::start_shutdown(slf)
    }

    fn _write_appdata(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        TlsProtocol::write_lines(slf, list_of_data)
    }

    fn _set_app_protocol(&self, app_protocol: Bound<'_, PyAny>) -> PyResult<()> {
        self.set_above(app_protocol)
    }

    fn _get_app_transport(slf: &Bound<'_, Self>) -> PyResult<Py<TlsTransport>> {
        TlsProtocol::app_transport(slf)
    }

    #[pyo3(signature = (name, default = None))]
    fn _get_extra_info<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.lookup_extra(name, default)
    }

    /// None once the transport below is lost: `start_tls` answers with this, and so tells that there is nothing any more.
    #[getter]
    fn _app_transport(slf: &Bound<'_, Self>) -> PyResult<Option<Py<TlsTransport>>> {
        match slf.get().state.with(slf.py(), |s| s.lost > 0) {
            true => Ok(None),
            false => TlsProtocol::app_transport(slf).map(Some),
        }
    }

    #[getter]
    fn _app_protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.above(py)
    }

    #[getter]
    fn _transport<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.below(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.loop_.clone_ref(py)
    }

    #[getter]
    fn _state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        host(py)?.state(py, "SSLProtocolState", self.phase(py).name())
    }

    #[getter]
    fn _app_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let told = self.state.with(py, |s| s.told);
        host(py)?.state(py, "AppProtocolState", told.name())
    }

    #[getter]
    fn _waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| match &s.waiter {
            Waiter::Future(future) => Some(future.clone_ref(py)),
            Waiter::Nobody | Waiter::Server => None,
        })
    }

    #[getter]
    fn _sslobj(&self, py: Python<'_>) -> Py<PyAny> {
        self.session.object.clone_ref(py)
    }

    #[getter]
    fn _incoming(&self, py: Python<'_>) -> Py<PyAny> {
        self.session.incoming.clone_ref(py)
    }

    #[getter]
    fn _outgoing(&self, py: Python<'_>) -> Py<PyAny> {
        self.session.outgoing.clone_ref(py)
    }

    #[getter]
    fn _sslcontext(&self, py: Python<'_>) -> Py<PyAny> {
        self.sslcontext.clone_ref(py)
    }

    #[getter]
    fn _extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.extra(py)
    }

    #[getter]
    fn _server_side(&self) -> bool {
        self.server_side
    }

    #[getter]
    fn _server_hostname(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.server_hostname.as_ref().map(|name| name.clone_ref(py))
    }

    #[getter]
    fn _ssl_handshake_timeout(&self, py: Python<'_>) -> Py<PyAny> {
        self.handshake_timeout.clone_ref(py)
    }

    #[getter]
    fn _ssl_shutdown_timeout(&self, py: Python<'_>) -> Py<PyAny> {
        self.shutdown_timeout.clone_ref(py)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |s| s.lost)
    }

    #[getter]
    fn _eof_received(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.eof_received)
    }

    #[getter]
    fn _app_reading_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.reading_paused)
    }

    #[getter]
    fn _ssl_reading_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.incoming.paused)
    }

    #[getter]
    fn _app_writing_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.outgoing.paused)
    }

    #[getter]
    fn _ssl_writing_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.sending_paused)
    }

    #[getter]
    fn _write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.backlog_size)
    }

    /// A copy.
    #[getter]
    fn _write_backlog<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let backlog = self.state.with(py, |s| s.backlog.iter().map(|d| d.clone_ref(py)).collect::<Vec<_>>());
        py.import("collections")?.getattr("deque")?.call1((backlog,))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(&self.loop_)?;
        self.session.traverse(&visit)?;
        visit.call(&self.server_hostname)?;
        for object in [&self.sslcontext, &self.handshake_timeout, &self.shutdown_timeout] {
            visit.call(object)?;
        }
        let state = self.state.traverse();
        visit.call(&state.protocol)?;
        visit.call(&state.app_transport)?;
        visit.call(&state.transport)?;
        visit.call(&state.ended_by)?;
        if let Waiter::Future(future) = &state.waiter {
            visit.call(future)?;
        }
        state.backlog.iter().try_for_each(|data| visit.call(data))?;
        visit.call(&state.handshake_timer)?;
        visit.call(&state.shutdown_timer)?;
        visit.call(&state.extra)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |s| {
                s.phase = Phase::Unwrapped;
                let waiter = std::mem::replace(&mut s.waiter, Waiter::Nobody);
                let ends = (s.protocol.take(), s.app_transport.take(), s.transport.take());
                let timers = (s.handshake_timer.take(), s.shutdown_timer.take(), s.ended_by.take());
                (waiter, ends, timers, std::mem::take(&mut s.backlog), s.extra.take())
            });
            drop(cleared);
        });
    }
}

impl TlsProtocol {
    pub(super) fn extra<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyDict>> {
        self.state.with(py, |s| s.extra.as_ref().map(|extra| extra.clone_ref(py).into_bound(py)))
    }

    /// What TLS knows itself, else what the transport below does.
    pub fn lookup_extra<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        if let Some(found) = self.extra(py).map(|extra| extra.get_item(&name)).transpose()?.flatten() {
            return Ok(found);
        }
        match self.below(py) {
            Some(below) => below.call_method1(pyo3::intern!(py, "get_extra_info"), (name, default)),
            None => Ok(default.unwrap_or_else(|| py.None().into_bound(py))),
        }
    }

    pub fn reading_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.reading_paused)
    }

    pub fn writing_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.outgoing.paused)
    }

    /// `(low, high)`, in bytes.
    pub fn write_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state.with(py, |s| (s.outgoing.low, s.outgoing.high))
    }

    pub fn read_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state.with(py, |s| (s.incoming.low, s.incoming.high))
    }

    pub fn read_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        self.session.unread(py)
    }

    pub fn protocol<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.above(py)
    }

    pub fn set_protocol(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        self.set_above(protocol)
    }

    pub fn event_loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.loop_.clone_ref(py)
    }
}
