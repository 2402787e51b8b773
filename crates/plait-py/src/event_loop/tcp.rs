//! The TCP transport: reads into the protocol, writes what the socket takes and keeps the rest.
//!
//! The rules (when the protocol is paused, what `close` still sends, which errors are reported and how) are those of
//! asyncio's selector transport. What differs is the cost: no Handle and no `epoll_ctl` per event, one context per
//! connection, and the socket object of an accepted connection is made only when somebody asks for it.

use super::accept::{attach, detach};
use super::descriptors::{Direction, Watcher};
use super::future::{Future, Outcome};
use super::ready::{Ready, TransportStep};
use super::sock::contiguous;
use super::EventLoop;
use crate::errors::{leaves_the_loop, os_error};
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::net::{socket, FlowControl, WriteBuffer};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyConnectionError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

const EAGAIN: i32 = 11;
/// asyncio's `max_size`: the most that one event reads.
const READ_SIZE: usize = 256 * 1024;
/// asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const QUIET_LOST_WRITES: u32 = 5;

thread_local! {
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

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

enum Socket {
    /// Accepted, and nobody has asked for the socket object yet.
    Bare(OwnedFd),
    Object(Py<PyAny>),
    Closed,
}

struct TcpState {
    socket: Socket,
    protocol: Option<Py<PyAny>>,
    buffered: bool,
    server: Option<Py<PyAny>>,
    extra: Option<Py<PyDict>>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    buffer: WriteBuffer<Chunk>,
    flow: FlowControl,
    empty_waiter: Option<Py<Future>>,
    /// Counts the call of `connection_lost` that was scheduled, then the writes that came after it.
    lost: u32,
    closing: bool,
    eof: bool,
    paused: bool,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct TcpTransport {
    loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    fd: RawFd,
    state: Guarded<TcpState>,
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
        let fd = super::fileno(&sock)?;
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
        TcpTransport::begin(
            loop_,
            fd,
            socket,
            protocol,
            waiter,
            Some(extra),
            None,
            server,
        )
    }

    /// A transport over a connection that a listener has just accepted. Owns `fd` from here on.
    pub fn accepted(
        loop_: &Bound<'_, EventLoop>,
        connection: OwnedFd,
        peer: Option<SocketAddr>,
        protocol: Bound<'_, PyAny>,
        server: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<TcpTransport>> {
        let fd = connection.as_raw_fd();
        TcpTransport::begin(
            loop_,
            fd,
            Socket::Bare(connection),
            protocol,
            None,
            None,
            peer,
            server,
        )
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
    ) -> PyResult<Py<TcpTransport>> {
        let py = loop_.py();
        // Only TCP has it; for the others the refusal changes nothing.
        let _ = socket::set_nodelay(fd);
        let buffered = protocol.is_instance(standard(py).buffered_protocol.bind(py))?;
        let state = TcpState {
            socket,
            protocol: Some(protocol.unbind()),
            buffered,
            server: None,
            extra: extra.map(Bound::unbind),
            peer,
            local: None,
            buffer: WriteBuffer::new(),
            flow: FlowControl::new(),
            empty_waiter: None,
            lost: 0,
            closing: false,
            eof: false,
            paused: false,
        };
        let context = ffi::copy_context(py)?;
        let transport = TcpTransport {
            loop_: loop_.clone().unbind(),
            context,
            fd,
            state: Guarded::new(state),
        };
        let transport = Bound::new(py, transport)?;
        if let Some(server) = server {
            attach(&server, &transport)?;
            transport
                .get()
                .state
                .with(py, |s| s.server = Some(server.unbind()));
        }
        let step = TransportStep::Begin(waiter.map(Bound::unbind));
        loop_
            .get()
            .push_ready(py, Ready::Transport(transport.clone().unbind(), step))?;
        Ok(transport.unbind())
    }

    pub fn closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.closing)
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.loop_.bind(py)
    }

    /// Calls a method of the protocol in the connection's context.
    fn tell<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, pyo3::types::PyString>,
        argument: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let protocol = self
            .state
            .with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)));
        let Some(protocol) = protocol else {
            return Ok(py.None().into_bound(py));
        };
        let protocol = protocol.into_bound(py);
        ffi::in_context(self.context.bind(py), || match argument {
            None => protocol.call_method0(method),
            Some(argument) => protocol.call_method1(method, (argument,)),
        })
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

    fn connection_made(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let made = intern!(py, "connection_made");
        if let Err(error) = this.tell(py, made, Some(slf.clone().into_any())) {
            if leaves_the_loop(py, &error) {
                return Err(error);
            }
            let protocol = this.get_protocol(py);
            let callback = protocol.map(|p| p.getattr(py, made)).transpose()?;
            let args = (
                this.event_loop(py),
                py.None(),
                callback,
                (slf,),
                error.into_value(py),
            );
            standard(py)
                .glue
                .bind(py)
                .call_method1(intern!(py, "report_callback_error"), args)?;
        }
        TcpTransport::start_reading(slf)?;
        if let Some(waiter) = waiter {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        Ok(())
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_reading(py) {
            return Ok(());
        }
        let watcher = Watcher::Transport(slf.clone().unbind());
        this.loop_
            .get()
            .watch(py, this.fd, Direction::Read, watcher)
    }

    fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.loop_.get().unwatch(py, self.fd, direction).map(drop)
    }

    // ---- reading

    #[inline]
    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let (idle, buffered) = slf
            .get()
            .state
            .with(py, |s| (s.lost > 0 || s.closing || s.paused, s.buffered));
        if idle {
            return Ok(()); // it was readable before somebody closed or paused it
        }
        match buffered {
            true => TcpTransport::read_into_protocol(slf),
            false => TcpTransport::read_data(slf),
        }
    }

    #[inline]
    fn read_data(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let received = READ_BUFFER.with_borrow_mut(|buffer| {
            socket::recv(this.fd, buffer).map(|n| (n > 0).then(|| PyBytes::new(py, &buffer[..n])))
        });
        match received {
            Ok(Some(data)) => {
                let told = this.tell(py, intern!(py, "data_received"), Some(data.into_any()));
                TcpTransport::fatal_unless_ok(
                    slf,
                    told,
                    "Fatal error: protocol.data_received() call failed.",
                )
                .map(drop)
            }
            Ok(None) => TcpTransport::end_of_stream(slf),
            Err(error) => TcpTransport::read_failed(slf, &error),
        }
    }

    fn read_into_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let hint = (-1i32).into_pyobject(py)?.into_any();
        let view = this
            .tell(py, intern!(py, "get_buffer"), Some(hint))
            .and_then(|buffer| {
                if buffer.len()? == 0 {
                    return Err(PyRuntimeError::new_err(
                        "get_buffer() returned an empty buffer",
                    ));
                }
                PyBuffer::<u8>::get(&buffer)
            });
        let text = "Fatal error: protocol.get_buffer() call failed.";
        let Some(view) = TcpTransport::fatal_unless_ok(slf, view, text)? else {
            return Ok(());
        };
        if view.readonly() || !view.is_c_contiguous() {
            let error = PyTypeError::new_err("read-write bytes-like object expected");
            return TcpTransport::fatal_error(slf, error, "Fatal read error on socket transport");
        }
        let received = ffi::with_bytes_mut(&view, |bytes| socket::recv(this.fd, bytes));
        drop(view);
        match received {
            Ok(0) => TcpTransport::end_of_stream(slf),
            Ok(n) => {
                let n = n.into_pyobject(py)?.into_any();
                let told = this.tell(py, intern!(py, "buffer_updated"), Some(n));
                TcpTransport::fatal_unless_ok(
                    slf,
                    told,
                    "Fatal error: protocol.buffer_updated() call failed.",
                )
                .map(drop)
            }
            Err(error) => TcpTransport::read_failed(slf, &error),
        }
    }

    #[cold]
    fn read_failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        if error.raw_os_error() == Some(EAGAIN) {
            return Ok(());
        }
        let error = os_error(slf.py(), error);
        TcpTransport::fatal_error(slf, error, "Fatal read error on socket transport")
    }

    fn end_of_stream(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.log_debug(slf, "%r received EOF")?;
        let told = this.tell(py, intern!(py, "eof_received"), None);
        let text = "Fatal error: protocol.eof_received() call failed.";
        let Some(keep_open) = TcpTransport::fatal_unless_ok(slf, told, text)? else {
            return Ok(());
        };
        match keep_open.is_truthy()? {
            // Writing goes on; there is nothing more to read.
            true => this.stop(py, Direction::Read),
            false => TcpTransport::close(slf),
        }
    }

    // ---- writing

    /// Sends what the socket takes now; keeps the rest from `offset` on.
    fn write_all(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            let Some(sent) = TcpTransport::send_now(slf, bytes.as_bytes())? else {
                return Ok(());
            };
            if sent < bytes.as_bytes().len() {
                let chunk = Chunk::Shared(PyBackedBytes::from(bytes.clone()));
                this.state.with(py, |s| s.buffer.push(chunk, sent));
                return TcpTransport::grown(slf);
            }
            return Ok(());
        }
        let view = contiguous(data)?;
        let sent = ffi::with_bytes(&view, |bytes| TcpTransport::send_now(slf, bytes))?;
        let Some(sent) = sent else { return Ok(()) };
        if sent < view.len_bytes() {
            let rest = ffi::with_bytes(&view, |bytes| Box::<[u8]>::from(&bytes[sent..]));
            this.state
                .with(py, |s| s.buffer.push(Chunk::Copied(rest), 0));
            return TcpTransport::grown(slf);
        }
        Ok(())
    }

    /// How much went out at once; nothing while older data waits. None: the connection broke.
    fn send_now(slf: &Bound<'_, Self>, bytes: &[u8]) -> PyResult<Option<usize>> {
        let py = slf.py();
        let this = slf.get();
        if !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(Some(0));
        }
        match socket::send(this.fd, bytes) {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(Some(0)),
            Err(error) => {
                let error = os_error(py, &error);
                TcpTransport::fatal_error(slf, error, "Fatal write error on socket transport")?;
                Ok(None)
            }
        }
    }

    /// Something was added to the buffer: watch for room, and pause the protocol if it is too much.
    fn grown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let watcher = Watcher::Transport(slf.clone().unbind());
        this.loop_
            .get()
            .watch_once_added(py, this.fd, Direction::Write, watcher)?;
        TcpTransport::maybe_pause_protocol(slf)
    }

    fn maybe_pause_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let pause = slf.get().state.with(py, |s| s.flow.on_grow(s.buffer.len()));
        match pause {
            true => TcpTransport::tell_flow(slf, "pause_writing"),
            false => Ok(()),
        }
    }

    fn maybe_resume_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let resume = slf
            .get()
            .state
            .with(py, |s| s.flow.on_shrink(s.buffer.len()));
        match resume {
            true => TcpTransport::tell_flow(slf, "resume_writing"),
            false => Ok(()),
        }
    }

    fn tell_flow(slf: &Bound<'_, Self>, method: &str) -> PyResult<()> {
        let py = slf.py();
        let name = pyo3::types::PyString::intern(py, method);
        match slf.get().tell(py, &name, None) {
            Ok(_) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => TcpTransport::report(slf, &format!("protocol.{method}() failed"), error),
        }
    }

    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let mut spent = Vec::new();
        let flushed = this.state.with(py, |s| match s.lost {
            0 => Some(s.buffer.flush(this.fd, &mut spent)),
            _ => None,
        });
        drop(spent);
        match flushed {
            None => Ok(()),
            Some(Ok(_)) => TcpTransport::flushed(slf),
            Some(Err(error)) => TcpTransport::write_failed(slf, &error),
        }
    }

    fn flushed(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        TcpTransport::maybe_resume_protocol(slf)?; // which may write more
        if !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        if let Some(waiter) = this.empty_waiter(py) {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        let (closing, eof) = this.state.with(py, |s| (s.closing, s.eof));
        if closing {
            this.state.with(py, |s| s.lost += 1);
            return TcpTransport::connection_lost(slf, None);
        }
        if eof {
            socket::shutdown_write(this.fd).map_err(|error| os_error(py, &error))?;
        }
        Ok(())
    }

    #[cold]
    fn write_failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let error = os_error(py, error);
        this.stop(py, Direction::Write)?;
        let dropped = this.state.with(py, |s| s.buffer.take_all());
        drop(dropped);
        let kept = error.clone_ref(py);
        TcpTransport::fatal_error(slf, error, "Fatal write error on socket transport")?;
        if let Some(waiter) = this.empty_waiter(py) {
            Future::fail(waiter.bind(py), &kept)?;
        }
        Ok(())
    }

    fn empty_waiter(&self, py: Python<'_>) -> Option<Py<Future>> {
        self.state
            .with(py, |s| s.empty_waiter.as_ref().map(|w| w.clone_ref(py)))
    }

    // ---- endings

    /// Passes a value on; an error ends the connection with `message` and gives None.
    fn fatal_unless_ok<T>(
        slf: &Bound<'_, Self>,
        result: PyResult<T>,
        message: &str,
    ) -> PyResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if leaves_the_loop(slf.py(), &error) => Err(error),
            Err(error) => TcpTransport::fatal_error(slf, error, message).map(|()| None),
        }
    }

    fn fatal_error(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let py = slf.py();
        let kept = error.clone_ref(py).into_value(py).into_any();
        if error.is_instance_of::<PyOSError>(py) {
            if slf.get().event_loop(py).get().debug(py) {
                let glue = standard(py).glue.bind(py);
                glue.call_method1("log_transport_error", (slf, message, error.into_value(py)))?;
            }
        } else {
            TcpTransport::report(slf, message, error)?;
        }
        TcpTransport::force_close(slf, Some(kept))
    }

    fn report(slf: &Bound<'_, Self>, message: &str, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        let context = PyDict::new(py);
        context.set_item("message", message)?;
        context.set_item("exception", error.into_value(py))?;
        context.set_item("transport", slf)?;
        context.set_item("protocol", slf.get().get_protocol(py))?;
        let loop_ = slf.get().event_loop(py);
        loop_
            .call_method1(intern!(py, "call_exception_handler"), (context,))
            .map(drop)
    }

    fn force_close(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, dropped) = this.state.with(py, |s| {
            if s.lost > 0 {
                return (false, Vec::new());
            }
            s.lost += 1;
            s.closing = true;
            (true, s.buffer.take_all())
        });
        drop(dropped);
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        this.stop(py, Direction::Write)?;
        TcpTransport::schedule_lost(slf, error)
    }

    fn schedule_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let step = Ready::Transport(slf.clone().unbind(), TransportStep::Lost(error));
        slf.get().loop_.get().push_ready(slf.py(), step)
    }

    /// `connection_lost(error)`, and whatever that does, the socket is closed.
    fn connection_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let argument = error.unwrap_or_else(|| py.None()).into_bound(py);
        let lost = intern!(py, "connection_lost");
        let told = this.tell(py, lost, Some(argument.clone()));
        let (protocol, server) = TcpTransport::release(slf)?;
        if let Some(waiter) = this.empty_waiter(py) {
            let error = PyConnectionError::new_err("Connection is closed by peer");
            Future::fail(waiter.bind(py), &error)?;
        }
        if let Some(server) = server {
            detach(server.bind(py), slf)?;
        }
        match told {
            Ok(_) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => {
                let callback = protocol.map(|p| p.getattr(py, lost)).transpose()?;
                let args = (
                    this.event_loop(py),
                    py.None(),
                    callback,
                    (argument,),
                    error.into_value(py),
                );
                standard(py)
                    .glue
                    .bind(py)
                    .call_method1(intern!(py, "report_callback_error"), args)?;
                Ok(())
            }
        }
    }

    /// Closes the socket and lets go of the protocol and the server, which are handed back.
    fn release(slf: &Bound<'_, Self>) -> PyResult<(Option<Py<PyAny>>, Option<Py<PyAny>>)> {
        let py = slf.py();
        let this = slf.get();
        // The addresses outlive the socket, as asyncio's do.
        let local = socket::local_address(this.fd).ok().flatten();
        let (socket, protocol, server) = this.state.with(py, |s| {
            s.local = s.local.or(local);
            let socket = std::mem::replace(&mut s.socket, Socket::Closed);
            (socket, s.protocol.take(), s.server.take())
        });
        if let Socket::Object(sock) = &socket {
            sock.bind(py).call_method0(intern!(py, "close"))?;
        }
        Ok((protocol, server))
    }

    fn log_debug(&self, slf: &Bound<'_, Self>, text: &str) -> PyResult<()> {
        let py = slf.py();
        if self.loop_.get().debug(py) {
            standard(py)
                .logger
                .bind(py)
                .call_method1("debug", (text, slf))?;
        }
        Ok(())
    }

    /// The socket object; made now for an accepted connection.
    fn socket_object<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        enum Seen {
            Object(Py<PyAny>),
            Bare(OwnedFd),
            Closed,
        }
        let seen = self.state.with(py, |s| match &s.socket {
            Socket::Object(object) => Seen::Object(object.clone_ref(py)),
            Socket::Closed => Seen::Closed,
            Socket::Bare(_) => match std::mem::replace(&mut s.socket, Socket::Closed) {
                Socket::Bare(fd) => Seen::Bare(fd),
                _ => Seen::Closed,
            },
        });
        let fd = match seen {
            Seen::Object(object) => return Ok(Some(object.into_bound(py))),
            Seen::Closed => return Ok(None),
            Seen::Bare(fd) => fd,
        };
        match standard(py)
            .glue
            .bind(py)
            .call_method1(intern!(py, "socket_from_fd"), (fd.as_raw_fd(),))
        {
            Ok(object) => {
                let _moved = fd.into_raw_fd(); // the object owns it now
                let kept = object.clone().unbind();
                self.state.with(py, |s| s.socket = Socket::Object(kept));
                Ok(Some(object))
            }
            Err(error) => {
                self.state.with(py, |s| s.socket = Socket::Bare(fd));
                Err(error)
            }
        }
    }

    fn lookup_extra<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        let extra = this
            .state
            .with(py, |s| s.extra.as_ref().map(|e| e.clone_ref(py)));
        if let Some(found) = extra
            .map(|e| e.bind(py).get_item(name))
            .transpose()?
            .flatten()
        {
            return Ok(Some(found));
        }
        let found = match name {
            "socket" => match this.socket_object(py)? {
                Some(object) => py
                    .import("asyncio.trsock")?
                    .getattr("TransportSocket")?
                    .call1((object,))?,
                None => return Ok(None),
            },
            "peername" | "sockname" => {
                let (peer, local) = this.state.with(py, |s| (s.peer, s.local));
                let native = if name == "peername" { peer } else { local };
                match (native, this.socket_object(py)?) {
                    (Some(address), _) => address_tuple(py, address)?,
                    (None, None) => return Ok(None),
                    (None, Some(object)) => {
                        let method = if name == "peername" {
                            "getpeername"
                        } else {
                            "getsockname"
                        };
                        object
                            .call_method0(method)
                            .unwrap_or_else(|_| py.None().into_bound(py))
                    }
                }
            }
            _ => return Ok(None),
        };
        this.extra_dict(py).set_item(name, &found)?;
        Ok(Some(found))
    }

    fn extra_dict<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        let fresh = PyDict::new(py).unbind();
        let (dict, unused) = self.state.with(py, |s| match &s.extra {
            Some(dict) => (dict.clone_ref(py), Some(fresh)),
            None => {
                s.extra = Some(fresh.clone_ref(py));
                (fresh, None)
            }
        });
        drop(unused);
        dict.into_bound(py)
    }
}

/// An address as the socket module writes it.
fn address_tuple(py: Python<'_>, address: SocketAddr) -> PyResult<Bound<'_, PyAny>> {
    Ok(match address {
        SocketAddr::V4(v4) => (v4.ip().to_string(), v4.port())
            .into_pyobject(py)?
            .into_any(),
        SocketAddr::V6(v6) => {
            let tuple = (
                v6.ip().to_string(),
                v6.port(),
                u32::from_be(v6.flowinfo()),
                v6.scope_id(),
            );
            tuple.into_pyobject(py)?.into_any()
        }
    })
}

#[pymethods]
impl TcpTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py())
            .transport
            .bind(slf.py())
            .clone()
            .into_any()
    }

    /// Write `data` (bytes, bytearray or memoryview): sent at once as far as the socket takes it, the rest later.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let known = data.is_exact_instance_of::<PyBytes>()
            || data.is_instance_of::<PyBytes>()
            || data.is_instance_of::<PyByteArray>()
            || data.is_instance_of::<PyMemoryView>();
        if !known {
            let kind = data.get_type().name()?.repr()?;
            let text = format!("data argument must be a bytes-like object, not {kind}");
            return Err(PyTypeError::new_err(text));
        }
        let this = slf.get();
        let (eof, waiting, lost) = this
            .state
            .with(py, |s| (s.eof, s.empty_waiter.is_some(), s.lost));
        if eof {
            return Err(PyRuntimeError::new_err(
                "Cannot call write() after write_eof()",
            ));
        }
        if waiting {
            return Err(PyRuntimeError::new_err(
                "unable to write; sendfile is in progress",
            ));
        }
        if data.len()? == 0 {
            return Ok(());
        }
        if lost > 0 {
            if lost >= QUIET_LOST_WRITES {
                let text = "socket.send() raised exception.";
                standard(py)
                    .logger
                    .bind(py)
                    .call_method1("warning", (text,))?;
            }
            this.state.with(py, |s| s.lost += 1);
            return Ok(());
        }
        TcpTransport::write_all(slf, data)
    }

    /// Write every item of an iterable, gathered into as few system calls as can be.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (eof, waiting, lost) = this
            .state
            .with(py, |s| (s.eof, s.empty_waiter.is_some(), s.lost));
        if eof {
            return Err(PyRuntimeError::new_err(
                "Cannot call writelines() after write_eof()",
            ));
        }
        if waiting {
            return Err(PyRuntimeError::new_err(
                "unable to writelines; sendfile is in progress",
            ));
        }
        let mut chunks = Vec::new();
        for data in list_of_data.try_iter()? {
            let data = data?;
            chunks.push(match data.cast_exact::<PyBytes>() {
                Ok(bytes) => Chunk::Shared(PyBackedBytes::from(bytes.clone())),
                Err(_) => Chunk::Copied(ffi::with_bytes(&contiguous(&data)?, |bytes| {
                    Box::from(bytes)
                })),
            });
        }
        if lost > 0 || chunks.is_empty() {
            return Ok(());
        }
        let waited = this.state.with(py, |s| {
            let waited = !s.buffer.is_empty();
            for chunk in chunks.drain(..) {
                s.buffer.push(chunk, 0);
            }
            waited
        });
        if !waited {
            TcpTransport::write_ready(slf)?;
        }
        match this.state.with(py, |s| s.buffer.is_empty()) {
            true => Ok(()),
            false => TcpTransport::grown(slf),
        }
    }

    /// Close the writing side once the buffer is empty.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let now = this.state.with(py, |s| {
            if s.closing || s.eof {
                return false;
            }
            s.eof = true;
            s.buffer.is_empty()
        });
        match now {
            true => socket::shutdown_write(this.fd).map_err(|error| os_error(py, &error)),
            false => Ok(()),
        }
    }

    fn can_write_eof(&self) -> bool {
        true
    }

    /// Close: no more reading; what is buffered is still sent, then `connection_lost(None)` is called.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, empty) = this.state.with(py, |s| {
            let first = !std::mem::replace(&mut s.closing, true);
            let empty = s.buffer.is_empty();
            if first && empty {
                s.lost += 1;
            }
            (first, empty)
        });
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        if !empty {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        TcpTransport::schedule_lost(slf, None)
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
        let resumed = this.state.with(py, |s| {
            !s.closing && std::mem::replace(&mut s.paused, false)
        });
        if !resumed {
            return Ok(());
        }
        TcpTransport::start_reading(slf)?;
        this.log_debug(slf, "%r resumes reading")
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        let py = protocol.py();
        let buffered = protocol.is_instance(standard(py).buffered_protocol.bind(py))?;
        let protocol = protocol.unbind();
        let replaced = self.state.with(py, |s| {
            s.buffered = buffered;
            s.protocol.replace(protocol)
        });
        drop(replaced);
        Ok(())
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state
            .with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))
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
        let py = slf.py();
        let positive = |limit: Option<isize>| limit.map(usize::try_from).transpose();
        let set = match (positive(high), positive(low)) {
            (Ok(high), Ok(low)) => slf
                .get()
                .state
                .with(py, |s| s.flow.set_limits(high, low))
                .map_err(|error| (error.high as isize, error.low as isize)),
            _ => {
                let high = high.unwrap_or_else(|| low.map_or(64 * 1024, |low| 4 * low));
                Err((high, low.unwrap_or(high.div_euclid(4))))
            }
        };
        set.map_err(|(high, low)| {
            PyValueError::new_err(format!("high ({high}) must be >= low ({low}) must be >= 0"))
        })?;
        TcpTransport::maybe_pause_protocol(slf)
    }

    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        TcpTransport::force_close(slf, exc)
    }

    fn _make_empty_waiter(slf: &Bound<'_, Self>) -> PyResult<Py<Future>> {
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
        self.state
            .with(py, |s| s.server.as_ref().map(|server| server.clone_ref(py)))
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
        let (closed, closing, bytes) = self.state.with(py, |s| {
            (
                matches!(s.socket, Socket::Closed),
                s.closing,
                s.buffer.len(),
            )
        });
        let mut text = String::from("<TcpTransport");
        if closed {
            text.push_str(" closed");
        } else if closing {
            text.push_str(" closing");
        }
        text.push_str(&format!(" fd={}", self.fd));
        if !closed {
            let polling = |direction| {
                let watched = self
                    .loop_
                    .get()
                    .state
                    .with(py, |s| s.descriptors.is_watched(self.fd, direction));
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
            let cleared = self.state.with(py, |s| {
                (
                    s.protocol.take(),
                    s.server.take(),
                    s.extra.take(),
                    s.empty_waiter.take(),
                )
            });
            drop(cleared);
        });
    }
}

static TRANSPORT_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for TcpTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf
            .get()
            .state
            .with(py, |s| matches!(s.socket, Socket::Closed))
        {
            return;
        }
        let warned = standard(py)
            .glue
            .bind(py)
            .call_method1("warn_unclosed_transport", (slf,))
            .and_then(|_| TcpTransport::release(slf))
            .and_then(|(_, server)| server.map_or(Ok(()), |server| detach(server.bind(py), slf)));
        if let Err(error) = warned {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TRANSPORT_DEALLOC
    }
}
