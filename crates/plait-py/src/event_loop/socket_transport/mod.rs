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
use super::future::{Future, Outcome};
use super::ready::{Ready, TransportStep};
use super::streams::protocol::StreamReaderProtocol;
use super::tls::TlsProtocol;
use super::transport::{check_number, report, Chunk};
use super::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::{socket, CompactAddress, FlowControl, ReadSize, WriteBuffer};
use pyo3::exceptions::PyOSError;
use pyo3::ffi::destructor;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

pub(super) enum Socket {
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

pub(super) struct SocketTransportState {
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
    /// Counts the call of `connection_lost` that was scheduled, then the writes that came after it.
    lost: u32,
    closing: bool,
    eof: bool,
    paused: bool,
}

/// What a closed transport lets go of.
pub(super) struct Released {
    protocol: Option<Py<PyAny>>,
    server: Option<Py<PyAny>>,
    /// What closing the socket raised.
    trouble: Option<PyErr>,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct SocketTransport {
    loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    fd: RawFd,
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
        for (key, method) in [("sockname", "getsockname"), ("peername", "getpeername")] {
            if key == "peername" && extra.contains(key)? {
                continue;
            }
            match sock.call_method0(method) {
                Ok(address) => extra.set_item(key, address)?,
                Err(error) if error.is_instance_of::<PyOSError>(loop_.py()) => {
                    extra.set_item(key, loop_.py().None())?;
                }
                Err(error) => return Err(error),
            }
        }
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
            lost: 0,
            closing: false,
            eof: false,
            paused: false,
        };
        let transport = SocketTransport {
            loop_: loop_.clone().unbind(),
            context,
            fd,
            state: Guarded::new(state),
            built: Built::new(),
        };
        let transport = Bound::new(py, transport)?;
        if let Some(server) = server {
            attach(&server, &transport)?;
            transport.get().state.with(py, |s| s.server = Some(server.unbind()));
        }
        let step = TransportStep::Begin(waiter.map(Bound::unbind));
        loop_.get().push_ready(py, Ready::Transport(transport.clone().unbind(), step))?;
        Ok(transport.unbind())
    }

    pub fn closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.closing)
    }

    pub(super) fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.loop_.bind(py)
    }

    /// Calls a method of the protocol in the connection's context.
    pub(super) fn tell<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, pyo3::types::PyString>,
        argument: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let protocol = self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)));
        let Some(protocol) = protocol else {
            return Ok(py.None().into_bound(py));
        };
        let protocol = protocol.into_bound(py);
        self.in_context(py, || match argument {
            None => protocol.call_method0(method),
            Some(argument) => protocol.call_method1(method, (argument,)),
        })
    }

    /// Runs something that the loop began, in the connection's context. What the user's code begins runs in its own.
    pub(super) fn in_context<R>(&self, py: Python<'_>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        ffi::in_context(self.context.bind(py), body)
    }

    /// What the loop found in its ready queue for this transport.
    pub fn advance(slf: &Bound<'_, Self>, step: TransportStep) -> PyResult<()> {
        match step {
            TransportStep::Readable => SocketTransport::read_ready(slf),
            TransportStep::Writable => SocketTransport::write_ready(slf),
            TransportStep::Begin(waiter) => SocketTransport::connection_made(slf, waiter),
            TransportStep::Lost(error) => SocketTransport::connection_lost(slf, error),
        }
    }

    pub(super) fn connection_made(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let made = intern!(py, "connection_made");
        let told = this.tell(py, made, Some(slf.clone().into_any())).map(drop);
        let told = match told {
            Ok(()) => Ok(()),
            failed => {
                let protocol = this.get_protocol(py).map(|p| p.into_bound(py));
                let args = PyTuple::new(py, [slf])?;
                report::callback_result(
                    this.event_loop(py),
                    failed,
                    protocol.as_ref(),
                    "connection_made",
                    args,
                )
            }
        };
        // Each goes on whatever became of the one before, as in asyncio, where these are three callbacks.
        let reading = SocketTransport::start_reading(slf);
        if let Some(waiter) = waiter {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        told.and(reading)
    }

    pub(super) fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_reading(py) {
            return Ok(());
        }
        if let Err(closed) = this.check_open(py) {
            return SocketTransport::read_failed(slf, &closed);
        }
        let watcher = Watcher::Transport(slf.clone().unbind());
        this.loop_.get().watch(py, this.fd, Direction::Read, watcher)
    }

    /// Whether the descriptor is still its own: a program that gave it a socket may have closed that, and then the number is another's.
    fn check_open(&self, py: Python<'_>) -> io::Result<()> {
        let sock = self.state.with(py, |s| match &s.socket {
            Socket::Object(sock) => Some(sock.clone_ref(py)),
            Socket::Bare(_) | Socket::Closed => None,
        });
        let Some(sock) = sock else { return Ok(()) };
        check_number(sock.bind(py), self.fd)
    }

    pub(super) fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.loop_.get().unwatch(py, self.fd, direction).map(drop)
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
