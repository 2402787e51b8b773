//! Listening sockets: accept what waits, make a transport of each, and live through running out of descriptors.

use super::socket_transport::SocketTransport;
use super::tls::{Setup, TlsProtocol, Waiter};
use super::EventLoop;
use crate::errors::{leaves_the_loop, os_error};
use crate::ffi;
use crate::standard::standard;
use plait_core::net::socket;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

const EINTR: i32 = 4;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ECONNABORTED: i32 = 103;
const ENOBUFS: i32 = 105;
/// How long accepting pauses when descriptors or memory run out: asyncio's ACCEPT_RETRY_DELAY, in seconds.
const RETRY_DELAY: f64 = 1.0;

/// What a server listens with: the callback of the listening socket's reader.
#[pyclass(module = "plait._native", frozen)]
pub struct Listener {
    loop_: Py<EventLoop>,
    protocol_factory: Py<PyAny>,
    sock: Py<PyAny>,
    server: Option<Py<PyAny>>,
    backlog: usize,
    tls: Option<ServerTls>,
    /// Said once per shortage, not once per second.
    short: std::sync::atomic::AtomicBool,
}

/// What `create_server` was given for TLS.
pub struct ServerTls {
    pub sslcontext: Py<PyAny>,
    /// In seconds; None for asyncio's default.
    pub handshake_timeout: Option<Py<PyAny>>,
    pub shutdown_timeout: Option<Py<PyAny>>,
}

impl ServerTls {
    /// The protocol that stands between a connection's transport and the application's protocol.
    fn protocol<'py>(
        &self,
        loop_: &Bound<'py, EventLoop>,
        app_protocol: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = loop_.py();
        let bound = |object: &Option<Py<PyAny>>| object.as_ref().map(|o| o.bind(py).clone());
        let setup = Setup {
            sslcontext: Some(self.sslcontext.bind(py).clone()),
            waiter: Waiter::Server,
            server_side: true,
            server_hostname: None,
            call_connection_made: true,
            handshake_timeout: bound(&self.handshake_timeout),
            shutdown_timeout: bound(&self.shutdown_timeout),
        };
        Ok(Bound::new(py, TlsProtocol::build(loop_, app_protocol, setup)?)?.into_any())
    }
}

pub fn start_serving(
    loop_: &Bound<'_, EventLoop>,
    protocol_factory: Bound<'_, PyAny>,
    sock: Bound<'_, PyAny>,
    server: Option<Bound<'_, PyAny>>,
    backlog: usize,
    tls: Option<ServerTls>,
) -> PyResult<()> {
    let listener = Listener {
        loop_: loop_.clone().unbind(),
        protocol_factory: protocol_factory.unbind(),
        sock: sock.unbind(),
        server: server.map(Bound::unbind),
        backlog,
        tls,
        short: std::sync::atomic::AtomicBool::new(false),
    };
    Listener::listen(&Bound::new(loop_.py(), listener)?)
}

enum Accepted {
    Connection(OwnedFd, Option<SocketAddr>),
    /// Nothing waits any more.
    Empty,
    /// Out of descriptors or memory.
    Shortage(io::Error),
}

impl Listener {
    fn listen(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let loop_ = this.loop_.bind(slf.py());
        loop_.call_method1(intern!(slf.py(), "_add_reader"), (&this.sock, slf)).map(drop)
    }

    fn accept_one(&self, py: Python<'_>) -> PyResult<Accepted> {
        let fd = self.sock.bind(py).call_method0(intern!(py, "fileno"))?.extract::<RawFd>()?;
        if fd < 0 {
            return Ok(Accepted::Empty); // the protocol factory has closed the server
        }
        let error = match socket::accept(fd) {
            Ok((connection, peer)) => return Ok(Accepted::Connection(connection, peer)),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(EAGAIN | EINTR | ECONNABORTED) => Ok(Accepted::Empty),
            Some(EMFILE | ENFILE | ENOBUFS | ENOMEM) => Ok(Accepted::Shortage(error)),
            _ => Err(os_error(py, &error)),
        }
    }

    /// Stops accepting for a while: the kernel would report the socket as ready at once again.
    fn pause(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let loop_ = this.loop_.bind(py);
        if !this.short.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let context = PyDict::new(py);
            context.set_item("message", "socket.accept() out of system resource")?;
            context.set_item("exception", os_error(py, error).into_value(py))?;
            let trsock = py.import("asyncio.trsock")?.getattr("TransportSocket")?;
            context.set_item("socket", trsock.call1((&this.sock,))?)?;
            loop_.call_method1(intern!(py, "call_exception_handler"), (context,))?;
        }
        loop_.call_method1(intern!(py, "_remove_reader"), (&this.sock,))?;
        let resume = slf.getattr("_resume")?;
        loop_.call_method1(intern!(py, "call_later"), (RETRY_DELAY, resume))?;
        Ok(())
    }

    /// Makes protocol and transport; what the factory raises is reported in debug mode only, as by asyncio.
    fn serve(&self, py: Python<'_>, connection: OwnedFd, peer: Option<SocketAddr>) -> PyResult<()> {
        let loop_ = self.loop_.bind(py);
        let server = self.server.as_ref().map(|server| server.bind(py).clone());
        // Each connection has a context of its own from here on, as the task has that asyncio makes of it.
        let context = ffi::copy_context(py)?;
        let made = ffi::in_context(context.bind(py), || self.protocol_factory.bind(py).call0());
        let joined = made.and_then(|protocol| match &self.tls {
            Some(tls) => tls.protocol(loop_, protocol),
            None => Ok(protocol),
        });
        let protocol = match joined {
            Ok(protocol) => protocol,
            Err(error) => return self.failed(py, error),
        };
        match SocketTransport::accepted(loop_, connection, peer, protocol, server, context) {
            Ok(_) => Ok(()),
            Err(error) => self.failed(py, error),
        }
    }

    fn failed(&self, py: Python<'_>, error: PyErr) -> PyResult<()> {
        if leaves_the_loop(py, &error) {
            return Err(error);
        }
        let loop_ = self.loop_.bind(py);
        if loop_.get().debug(py) {
            let context = PyDict::new(py);
            context.set_item("message", "Error on transport creation for incoming connection")?;
            context.set_item("exception", error.into_value(py))?;
            loop_.call_method1(intern!(py, "call_exception_handler"), (context,))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Listener {
    /// The listening socket is readable: accept up to `backlog` connections, as asyncio does.
    #[pyo3(signature = (*_args))]
    fn __call__(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        for _ in 0..this.backlog.max(1) {
            match this.accept_one(py)? {
                Accepted::Connection(connection, peer) => {
                    this.short.store(false, std::sync::atomic::Ordering::Relaxed);
                    this.serve(py, connection, peer)?;
                }
                Accepted::Empty => return Ok(()),
                Accepted::Shortage(error) => return Listener::pause(slf, &error),
            }
        }
        Ok(())
    }

    /// Accept again after a shortage, unless the socket was closed meanwhile.
    fn _resume(slf: &Bound<'_, Self>) -> PyResult<()> {
        let fd = slf.get().sock.bind(slf.py()).call_method0("fileno")?.extract::<RawFd>()?;
        match fd >= 0 {
            true => Listener::listen(slf),
            false => Ok(()),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<Listener {}>", slf.get().sock.bind(slf.py()).repr()?))
    }

    fn __traverse__(&self, visit: pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.protocol_factory)?;
        visit.call(&self.sock)?;
        if let Some(tls) = &self.tls {
            visit.call(&tls.sslcontext)?;
        }
        visit.call(&self.server)
    }
}

/// `server._attach(…)`: with the transport from 3.13 on.
pub fn attach(server: &Bound<'_, PyAny>, transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    tell_server(server, "_attach", transport)
}

/// `server._detach(…)`.
pub fn detach(server: &Bound<'_, PyAny>, transport: &Bound<'_, SocketTransport>) -> PyResult<()> {
    tell_server(server, "_detach", transport)
}

fn tell_server(
    server: &Bound<'_, PyAny>,
    method: &str,
    transport: &Bound<'_, SocketTransport>,
) -> PyResult<()> {
    let with_transport = standard(server.py()).servers_know_transports;
    match with_transport {
        true => server.call_method1(method, (transport,))?,
        false => server.call_method0(method)?,
    };
    Ok(())
}
