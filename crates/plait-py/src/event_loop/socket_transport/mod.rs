//! The transport of a connected stream socket: reads into the protocol, writes what the socket takes and keeps the rest.
//!
//! The rules (when the protocol is paused, what `close` still sends, which errors are reported and how) are those of
//! asyncio's selector transport. What differs is the cost: no Handle and no `epoll_ctl` per event, one context per
//! connection, and the socket object of an accepted connection is made only when somebody asks for it.

mod close;
mod extra;
mod methods;
mod read;
mod write;

pub use write::install_methods;

use super::accept::{attach, detach};
use super::descriptors::{Direction, Watcher};
use super::future::Future;
use super::ready::{Ready, TransportStep};
use super::streams::protocol::StreamReaderProtocol;
use super::tls::TlsProtocol;
use super::transport::selector::note_addresses;
use super::transport::{Base, Chunk, Course, Names, SelectorTransport, Transport, Writing};
use super::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::{socket, CompactAddress, FlowControl, ReadSize, WriteBuffer};
use pyo3::ffi::destructor;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

pub enum Socket {
    /// Accepted, and nobody has asked for the socket object yet.
    Bare(OwnedFd),
    Object(Py<PyAny>),
    Closed,
}

/// How a protocol takes what is received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// `data_received(bytes)`.
    Bytes,
    /// `get_buffer` and `buffer_updated`.
    IntoItsBuffer,
    /// It is an exact StreamReaderProtocol: straight into its reader.
    IntoItsReader,
    /// It is native TLS: straight into its engine.
    IntoTls,
}

impl Takes {
    pub fn of(protocol: &Bound<'_, PyAny>) -> PyResult<Takes> {
        if protocol.is_exact_instance_of::<StreamReaderProtocol>() {
            return Ok(Takes::IntoItsReader);
        }
        if protocol.is_exact_instance_of::<TlsProtocol>() {
            return Ok(Takes::IntoTls);
        }
        match protocol.is_instance(standard(protocol.py()).buffered_protocol.bind(protocol.py()))? {
            true => Ok(Takes::IntoItsBuffer),
            false => Ok(Takes::Bytes),
        }
    }
}

pub struct SocketTransportState {
    socket: Socket,
    protocol: Option<Py<PyAny>>,
    takes: Takes,
    server: Option<Py<PyAny>>,
    extra: Option<Py<PyDict>>,
    peer: Option<CompactAddress>,
    local: Option<CompactAddress>,
    buffer: WriteBuffer<Chunk>,
    flow: FlowControl,
    read_size: ReadSize,
    empty_waiter: Option<Py<Future>>,
    course: Course,
    eof: bool,
}

/// What a closed transport lets go of.
pub(super) struct Released {
    server: Option<Py<PyAny>>,
    /// What closing the socket raised.
    trouble: Option<PyErr>,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct SocketTransport {
    base: Base,
    state: Guarded<SocketTransportState>,
    built: Built,
}

impl SocketTransport {
    /// A transport over a socket object, for `create_connection` and `connect_accepted_socket`.
    pub fn open(
        loop_: &Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
        server: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<SocketTransport>> {
        let fd = super::watching::fileno(&sock)?;
        let extra = match extra {
            Some(extra) => extra,
            None => PyDict::new(loop_.py()),
        };
        note_addresses(&sock, &extra)?;
        let socket = Socket::Object(sock.unbind());
        let context = ffi::copy_context(loop_.py())?;
        SocketTransport::begin(loop_, fd, socket, protocol, waiter, Some(extra), None, server, context)
    }

    /// A transport over a connection that a listener has just accepted. Owns `fd` from here on.
    pub fn accepted(
        loop_: &Bound<'_, EventLoop>,
        connection: OwnedFd,
        peer: Option<SocketAddr>,
        protocol: Bound<'_, PyAny>,
        server: Option<Bound<'_, PyAny>>,
        context: Py<PyAny>,
    ) -> PyResult<Py<SocketTransport>> {
        let fd = connection.as_raw_fd();
        let socket = Socket::Bare(connection);
        SocketTransport::begin(loop_, fd, socket, protocol, None, None, peer, server, context)
    }

    #[allow(clippy::too_many_arguments)] // the two constructors above are what others call
    fn begin(
        loop_: &Bound<'_, EventLoop>,
        fd: RawFd,
        socket: Socket,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
        peer: Option<SocketAddr>,
        server: Option<Bound<'_, PyAny>>,
        context: Py<PyAny>,
    ) -> PyResult<Py<SocketTransport>> {
        let py = loop_.py();
        // Only TCP has it; for the others the refusal changes nothing.
        let _ = socket::set_nodelay(fd);
        let takes = Takes::of(&protocol)?;
        let state = SocketTransportState {
            socket,
            protocol: Some(protocol.unbind()),
            takes,
            server: None,
            extra: extra.map(Bound::unbind),
            peer: peer.map(CompactAddress::from),
            local: None,
            buffer: WriteBuffer::new(),
            flow: FlowControl::new(),
            read_size: ReadSize::default(),
            empty_waiter: None,
            course: Course::default(),
            eof: false,
        };
        let transport = SocketTransport {
            base: Base::in_its_context(loop_, fd, context),
            state: Guarded::new(state),
            built: Built::new(),
        };
        let transport = Bound::new(py, transport)?;
        if let Some(server) = server {
            attach(&server, &transport)?;
            transport.get().state.with(py, |s| s.server = Some(server.unbind()));
        }
        SocketTransport::schedule(&transport, TransportStep::Begin(waiter.map(Bound::unbind)))?;
        Ok(transport.unbind())
    }
}

impl Transport for SocketTransport {
    const NAMES: Names = Names {
        read_ready: "_SelectorSocketTransport._read_ready",
        write_ready: "_SelectorSocketTransport._write_ready",
        connection_lost: "_SelectorSocketTransport._call_connection_lost",
        add_reader: "_SelectorTransport._add_reader",
    };

    fn base(&self) -> &Base {
        &self.base
    }

    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|protocol| protocol.clone_ref(py)))
    }

    fn ready(slf: Py<Self>, step: TransportStep) -> Ready {
        Ready::Transport(slf, step)
    }

    fn watcher(slf: Py<Self>) -> Watcher {
        Watcher::Transport(slf)
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if !slf.get().reads(py) {
            return Ok(());
        }
        match slf.get().check_open(py) {
            Ok(()) => SocketTransport::watch(slf, Direction::Read),
            Err(closed) => SocketTransport::read_failed(slf, &closed),
        }
    }

    #[inline]
    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::read(slf)
    }

    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().flush(py) {
            None => Ok(()),
            Some(Ok(_)) => SocketTransport::flushed(slf),
            Some(Err(error)) => SocketTransport::write_failed(slf, &error),
        }
    }

    fn connection_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        SocketTransport::end(slf, error)
    }
}

impl Writing for SocketTransport {
    fn with_flow<R>(&self, py: Python<'_>, body: impl FnOnce(&mut FlowControl, usize) -> R) -> R {
        self.state.with(py, |s| body(&mut s.flow, s.buffer.len()))
    }
}

impl SelectorTransport for SocketTransport {
    type State = SocketTransportState;
    type Unsent = Vec<Chunk>;
    type Undelivered = ();

    fn state(&self) -> &Guarded<SocketTransportState> {
        &self.state
    }

    fn course(state: &mut SocketTransportState) -> &mut Course {
        &mut state.course
    }

    fn has_unsent(state: &SocketTransportState) -> bool {
        !state.buffer.is_empty()
    }

    fn take_unsent(state: &mut SocketTransportState) -> Vec<Chunk> {
        state.buffer.take_all()
    }

    /// What was received has gone to the protocol.
    fn take_undelivered(_state: &mut SocketTransportState) {}

    fn known_socket<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let sock = self.state.with(py, |s| match &s.socket {
            Socket::Object(sock) => Some(sock.clone_ref(py)),
            Socket::Bare(_) | Socket::Closed => None,
        });
        sock.map(|sock| sock.into_bound(py))
    }
}

static TRANSPORT_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for SocketTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf.get().state.with(py, |s| matches!(s.socket, Socket::Closed)) {
            return;
        }
        let warned = standard(py)
            .warn_unclosed_transport
            .bind(py)
            .call1((slf,))
            .map(|_| SocketTransport::release(slf))
            .and_then(|released| released.server.map_or(Ok(()), |server| detach(server.bind(py), slf)));
        if let Err(error) = warned {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TRANSPORT_DEALLOC
    }
}
