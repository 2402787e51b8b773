//! How a connection over TLS is made: what was asked for, and what asyncio puts in the place of what was not.

use super::flow::Marks;
use super::host::{host, Host};
use super::session::Session;
use super::{Phase, TlsProtocol, TlsState, Told, Waiter};
use crate::event_loop::socket_transport::Takes;
use crate::event_loop::EventLoop;
use crate::guarded::{Built, Guarded};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::collections::VecDeque;

/// The arguments of a connection's making, as `asyncio.sslproto.SSLProtocol` takes them.
pub struct Setup<'py> {
    pub sslcontext: Option<Bound<'py, PyAny>>,
    pub waiter: Waiter,
    pub server_side: bool,
    pub server_hostname: Option<Bound<'py, PyAny>>,
    pub call_connection_made: bool,
    /// In seconds; None for asyncio's default.
    pub handshake_timeout: Option<Bound<'py, PyAny>>,
    pub shutdown_timeout: Option<Bound<'py, PyAny>>,
}

impl TlsState {
    /// Before anything has happened.
    fn new(
        app_protocol: Bound<'_, PyAny>,
        takes: Takes,
        waiter: Waiter,
        extra: Bound<'_, PyDict>,
    ) -> TlsState {
        TlsState {
            phase: Phase::Unwrapped,
            told: Told::Nothing,
            protocol: Some(app_protocol.unbind()),
            takes,
            app_transport: None,
            transport: None,
            waiter,
            backlog: VecDeque::new(),
            backlog_size: 0,
            lost: 0,
            eof_received: false,
            reading_paused: false,
            sending_paused: false,
            outgoing: Marks::of_writing(),
            incoming: Marks::of_reading(),
            unread_at_most: 0,
            inside_record: false,
            filled_its_buffer: false,
            ends_when_sent: false,
            ended_by: None,
            handshake_timer: None,
            shutdown_timer: None,
            handshake_began: None,
            extra: Some(extra.unbind()),
            receive_buffer: None,
        }
    }
}

impl<'py> Setup<'py> {
    /// For the handshake and for the end, in seconds.
    fn timeouts(&self, py: Python<'py>, host: &Host) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let handshake = self.handshake_timeout.clone();
        let handshake = host.timeout(py, "ssl_handshake_timeout", handshake, "SSL_HANDSHAKE_TIMEOUT")?;
        let shutdown = self.shutdown_timeout.clone();
        let shutdown = host.timeout(py, "ssl_shutdown_timeout", shutdown, "SSL_SHUTDOWN_TIMEOUT")?;
        Ok((handshake.unbind(), shutdown.unbind()))
    }

    fn context(&self, py: Python<'py>, host: &Host) -> PyResult<Bound<'py, PyAny>> {
        match &self.sslcontext {
            Some(context) if context.is_truthy()? => Ok(context.clone()),
            _ => host.default_context(self.server_side, self.server_hostname.as_ref(), py),
        }
    }

    /// The peer's name, which only a client checks.
    fn peer_name(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.server_hostname {
            Some(name) if !self.server_side && name.is_truthy()? => Ok(Some(name.clone())),
            _ => Ok(None),
        }
    }
}

impl TlsProtocol {
    pub fn build<'py>(
        loop_: &Bound<'py, EventLoop>,
        app_protocol: Bound<'py, PyAny>,
        setup: Setup<'py>,
    ) -> PyResult<TlsProtocol> {
        let py = loop_.py();
        let host = host(py)?;
        let (handshake_timeout, shutdown_timeout) = setup.timeouts(py, host)?;
        let sslcontext = setup.context(py, host)?;
        let server_hostname = setup.peer_name()?;
        let extra = PyDict::new(py);
        extra.set_item("sslcontext", &sslcontext)?;
        let takes = Takes::of(&app_protocol)?;
        let session = Session::new(py, &sslcontext, setup.server_side, server_hostname.as_ref())?;
        let mut state = TlsState::new(app_protocol, takes, setup.waiter, extra);
        if !setup.call_connection_made {
            state.told = Told::Made;
        }
        Ok(TlsProtocol {
            loop_: loop_.clone().unbind(),
            session,
            server_side: setup.server_side,
            server_hostname: server_hostname.map(Bound::unbind),
            sslcontext: sslcontext.unbind(),
            handshake_timeout,
            shutdown_timeout,
            state: Guarded::new(state),
            built: Built::new(),
        })
    }
}
