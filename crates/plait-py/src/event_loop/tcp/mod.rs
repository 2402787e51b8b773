//! The TCP transport: reads into the protocol, writes what the socket takes and keeps the rest.
//!
//! The rules (when the protocol is paused, what `close` still sends, which errors are reported and how) are those of
//! asyncio's selector transport. What differs is the cost: no Handle and no `epoll_ctl` per event, one context per
//! connection, and the socket object of an accepted connection is made only when somebody asks for it.

mod close;
mod extra;
mod read;
mod write;

use super::accept::{attach, detach};
use super::descriptors::{Direction, Watcher};
use super::future::{Future, Outcome};
use super::ready::{Ready, TransportStep};
use super::streams::protocol::StreamReaderProtocol;
use super::EventLoop;
use crate::errors::leaves_the_loop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::{socket, CompactAddress, FlowControl, WriteBuffer};
use pyo3::exceptions::PyOSError;
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// What waits to be written.
pub enum Chunk {
    /// A `bytes` object, shared with whoever wrote it.
    Shared(PyBackedBytes),
    /// The rest of something that its owner may change.
    Copied(Box<[u8]>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Chunk::Shared(bytes) => bytes,
            Chunk::Copied(bytes) => bytes,
        }
    }
}

pub(super) enum Socket {
    /// Accepted, and nobody has asked for the socket object yet.
    Bare(OwnedFd),
    Object(Py<PyAny>),
    Closed,
}

/// How a protocol takes what is received.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    /// `data_received(bytes)`.
    Bytes,
    /// `get_buffer` and `buffer_updated`.
    IntoItsBuffer,
    /// It is an exact StreamReaderProtocol: straight into its reader.
    IntoItsReader,
}

impl Takes {
    fn of(protocol: &Bound<'_, PyAny>) -> PyResult<Takes> {
        if protocol.is_exact_instance_of::<StreamReaderProtocol>() {
            return Ok(Takes::IntoItsReader);
        }
        match protocol.is_instance(standard(protocol.py()).buffered_protocol.bind(protocol.py()))? {
            true => Ok(Takes::IntoItsBuffer),
            false => Ok(Takes::Bytes),
        }
    }
}

pub(super) struct TcpState {
    socket: Socket,
    protocol: Option<Py<PyAny>>,
    takes: Takes,
    server: Option<Py<PyAny>>,
    extra: Option<Py<PyDict>>,
    peer: Option<CompactAddress>,
    local: Option<CompactAddress>,
    buffer: WriteBuffer<Chunk>,
    flow: FlowControl,
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
pub struct TcpTransport {
    loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    fd: RawFd,
    state: Guarded<TcpState>,
    built: Built,
}

impl TcpTransport {
    /// A transport over a socket object, for `create_connection` and `connect_accepted_socket`.
    pub fn open(
        loop_: &Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
        server: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<TcpTransport>> {
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
        TcpTransport::begin(loop_, fd, socket, protocol, waiter, Some(extra), None, server, context)
    }

    /// A transport over a connection that a listener has just accepted. Owns `fd` from here on.
    pub fn accepted(
        loop_: &Bound<'_, EventLoop>,
        connection: OwnedFd,
        peer: Option<SocketAddr>,
        protocol: Bound<'_, PyAny>,
        server: Option<Bound<'_, PyAny>>,
        context: Py<PyAny>,
    ) -> PyResult<Py<TcpTransport>> {
        let fd = connection.as_raw_fd();
        let socket = Socket::Bare(connection);
        TcpTransport::begin(loop_, fd, socket, protocol, None, None, peer, server, context)
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
    ) -> PyResult<Py<TcpTransport>> {
        let py = loop_.py();
        // Only TCP has it; for the others the refusal changes nothing.
        let _ = socket::set_nodelay(fd);
        let takes = Takes::of(&protocol)?;
        let state = TcpState {
            socket,
            protocol: Some(protocol.unbind()),
            takes,
            server: None,
            extra: extra.map(Bound::unbind),
            peer: peer.map(CompactAddress::from),
            local: None,
            buffer: WriteBuffer::new(),
            flow: FlowControl::new(),
            empty_waiter: None,
            lost: 0,
            closing: false,
            eof: false,
            paused: false,
        };
        let transport = TcpTransport {
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
            TransportStep::Readable => TcpTransport::read_ready(slf),
            TransportStep::Writable => TcpTransport::write_ready(slf),
            TransportStep::Begin(waiter) => TcpTransport::connection_made(slf, waiter),
            TransportStep::Lost(error) => TcpTransport::connection_lost(slf, error),
        }
    }

    pub(super) fn connection_made(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let made = intern!(py, "connection_made");
        let told = match this.tell(py, made, Some(slf.clone().into_any())) {
            Err(error) if !leaves_the_loop(py, &error) => {
                let protocol = this.get_protocol(py);
                let callback = protocol.map(|p| p.getattr(py, made)).transpose()?;
                let args = (this.event_loop(py), py.None(), callback, (slf,), error.into_value(py));
                standard(py).glue.bind(py).call_method1(intern!(py, "report_callback_error"), args).map(drop)
            }
            told => told.map(drop),
        };
        // Each goes on whatever became of the one before, as in asyncio, where these are three callbacks.
        let reading = TcpTransport::start_reading(slf);
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
        let watcher = Watcher::Transport(slf.clone().unbind());
        this.loop_.get().watch(py, this.fd, Direction::Read, watcher)
    }

    pub(super) fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.loop_.get().unwatch(py, self.fd, direction).map(drop)
    }
}

#[pymethods]
impl TcpTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py()).transport.bind(slf.py()).clone().into_any()
    }

    /// Write `data` (bytes, bytearray or memoryview): sent at once as far as the socket takes it, the rest later.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        TcpTransport::write_data(slf, data)
    }

    /// Write every item of an iterable, gathered into as few system calls as can be.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        TcpTransport::write_lines(slf, list_of_data)
    }

    /// Close the writing side once the buffer is empty.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        TcpTransport::end_writing(slf)
    }

    fn can_write_eof(&self) -> bool {
        true
    }

    /// Close: no more reading; what is buffered is still sent, then `connection_lost(None)` is called.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        TcpTransport::close_gracefully(slf)
    }

    /// Close at once; what is buffered is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        TcpTransport::force_close(slf, None)
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.closing(py)
    }

    fn is_reading(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| !s.closing && !s.paused)
    }

    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_reading(py) {
            return Ok(());
        }
        this.state.with(py, |s| s.paused = true);
        this.stop(py, Direction::Read)?;
        this.log_debug(slf, "%r pauses reading")
    }

    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let resumed = this.state.with(py, |s| !s.closing && std::mem::replace(&mut s.paused, false));
        if !resumed {
            return Ok(());
        }
        TcpTransport::start_reading(slf)?;
        this.log_debug(slf, "%r resumes reading")
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        let py = protocol.py();
        let takes = Takes::of(&protocol)?;
        let protocol = protocol.unbind();
        let replaced = self.state.with(py, |s| {
            s.takes = takes;
            s.protocol.replace(protocol)
        });
        drop(replaced);
        Ok(())
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))
    }

    /// "socket", "peername", "sockname", and what the maker of the transport added.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(TcpTransport::lookup_extra(slf, name)?.or(default))
    }

    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.buffer.len())
    }

    /// `(low, high)` in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.state.with(py, |s| s.flow.limits())
    }

    /// Pause the protocol's writing above `high` bytes, resume it at `low` or below.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<isize>,
        low: Option<isize>,
    ) -> PyResult<()> {
        TcpTransport::set_limits(slf, high, low)
    }

    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        TcpTransport::force_close(slf, exc)
    }

    fn _make_empty_waiter(slf: &Bound<'_, Self>) -> PyResult<Py<Future>> {
        TcpTransport::make_empty_waiter(slf)
    }

    fn _reset_empty_waiter(&self, py: Python<'_>) {
        drop(self.state.with(py, |s| s.empty_waiter.take()));
    }

    #[getter]
    fn _sock<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.socket_object(py)
    }

    #[getter]
    fn _sock_fd(&self) -> RawFd {
        self.fd
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.get_protocol(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.loop_.clone_ref(py)
    }

    #[getter]
    fn _server(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.server.as_ref().map(|server| server.clone_ref(py)))
    }

    #[getter]
    fn _extra<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        for name in ["socket", "sockname", "peername"] {
            TcpTransport::lookup_extra(slf, name)?;
        }
        Ok(slf.get().extra_dict(slf.py()))
    }

    #[getter]
    fn _closing(&self, py: Python<'_>) -> bool {
        self.closing(py)
    }

    #[getter]
    fn _paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.paused)
    }

    #[getter]
    fn _eof(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.eof)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |s| s.lost)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (closed, closing, bytes) =
            self.state.with(py, |s| (matches!(s.socket, Socket::Closed), s.closing, s.buffer.len()));
        let mut text = String::from("<TcpTransport");
        if closed {
            text.push_str(" closed");
        } else if closing {
            text.push_str(" closing");
        }
        text.push_str(&format!(" fd={}", self.fd));
        if !closed {
            let polling = |direction| {
                let watched =
                    self.loop_.get().state.with(py, |s| s.descriptors.is_watched(self.fd, direction));
                if watched {
                    "polling"
                } else {
                    "idle"
                }
            };
            let (read, write) = (polling(Direction::Read), polling(Direction::Write));
            text.push_str(&format!(" read={read} write=<{write}, bufsize={bytes}>"));
        }
        text.push('>');
        text
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(&self.loop_)?;
        visit.call(&self.context)?;
        let state = self.state.traverse();
        if let Socket::Object(object) = &state.socket {
            visit.call(object)?;
        }
        visit.call(&state.protocol)?;
        visit.call(&state.server)?;
        visit.call(&state.extra)?;
        visit.call(&state.empty_waiter)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self
                .state
                .with(py, |s| (s.protocol.take(), s.server.take(), s.extra.take(), s.empty_waiter.take()));
            drop(cleared);
        });
    }
}

static TRANSPORT_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for TcpTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf.get().state.with(py, |s| matches!(s.socket, Socket::Closed)) {
            return;
        }
        let warned = standard(py)
            .warn_unclosed_transport
            .bind(py)
            .call1((slf,))
            .map(|_| TcpTransport::release(slf))
            .and_then(|released| released.server.map_or(Ok(()), |server| detach(server.bind(py), slf)));
        if let Err(error) = warned {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TRANSPORT_DEALLOC
    }
}
