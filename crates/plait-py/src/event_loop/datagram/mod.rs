//! The transport of datagrams: `create_datagram_endpoint`.
//!
//! The rules (what is sent at once, which errors are whose, when the protocol is paused, what `close` still sends) are those of
//! asyncio's selector transport. What differs is the cost: many datagrams are received by one system call and delivered in one
//! go, each address tuple is made once, and there is no Handle and no `epoll_ctl` per event.
//!
//! What a callback does takes effect before the next datagram is delivered: a transport that was closed drops those that were
//! received already, a paused one keeps them until it is resumed. They are kept with the transport, so that a nested
//! run of the loop goes on with them in order.
//!
//! Sockets of the three common families are driven natively. A socket of another family, or of a class of the user's own (which may have
//! its own `recvfrom` and `sendto`, to go through a proxy), is driven by its methods, one datagram at a time.

mod close;
mod methods;
mod peers;
mod read;
mod send;

use super::addresses::Family;
use super::descriptors::{Direction, Watcher};
use super::future::{Future, Outcome};
use super::ready::{Ready, TransportStep};
use super::transport::{check_number, report};
use super::EventLoop;
use crate::errors::os_error;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use peers::Peers;
use plait_core::net::datagram::MOST_DATAGRAMS;
use plait_core::net::FlowControl;
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use send::Waiting;
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

/// A datagram that was received: its bytes, its sender.
type Arrived = (Py<PyAny>, Py<PyAny>);

pub(super) struct DatagramState {
    /// None once it is closed.
    sock: Option<Py<PyAny>>,
    protocol: Option<Py<PyAny>>,
    extra: Option<Py<PyDict>>,
    peers: Peers,
    arrived: VecDeque<Arrived>,
    /// How many datagrams the next receive asks for.
    ask: usize,
    waiting: Waiting,
    flow: FlowControl,
    /// Counts the call of `connection_lost` that was scheduled, then the datagrams that came after it.
    lost: u32,
    closing: bool,
    paused: bool,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct DatagramTransport {
    loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    fd: RawFd,
    /// How addresses are written; None: by the socket's methods alone.
    native: Option<Family>,
    /// There is a peer to send to without an address.
    connected: bool,
    /// `remote_addr`, when it was given: the only address to send to.
    address: Option<Py<PyAny>>,
    state: Guarded<DatagramState>,
    built: Built,
}

impl DatagramTransport {
    pub fn open(
        loop_: &Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        address: Option<Bound<'_, PyAny>>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<DatagramTransport>> {
        let py = loop_.py();
        let fd = super::watching::fileno(&sock)?;
        let extra = extra.unwrap_or_else(|| PyDict::new(py));
        let connected = describe(&sock, &extra)?;
        let plain = sock.get_type().is(&standard(py).socket);
        let transport = DatagramTransport {
            loop_: loop_.clone().unbind(),
            context: ffi::copy_context(py)?,
            fd,
            native: if plain { Family::of(&sock)? } else { None },
            connected,
            address: address.map(Bound::unbind),
            state: Guarded::new(DatagramState {
                sock: Some(sock.unbind()),
                protocol: Some(protocol.unbind()),
                extra: Some(extra.unbind()),
                peers: Peers::default(),
                arrived: VecDeque::new(),
                ask: MOST_DATAGRAMS / 4,
                waiting: Waiting::default(),
                flow: FlowControl::new(),
                lost: 0,
                closing: false,
                paused: false,
            }),
            built: Built::new(),
        };
        let transport = Bound::new(py, transport)?;
        let step = TransportStep::Begin(waiter.map(Bound::unbind));
        loop_.get().push_ready(py, Ready::Datagrams(transport.clone().unbind(), step))?;
        Ok(transport.unbind())
    }

    pub fn closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.closing)
    }

    /// What the loop found in its ready queue for this transport.
    pub fn advance(slf: &Bound<'_, Self>, step: TransportStep) -> PyResult<()> {
        match step {
            TransportStep::Readable => DatagramTransport::read_ready(slf),
            TransportStep::Writable => DatagramTransport::send_ready(slf),
            TransportStep::Begin(waiter) => DatagramTransport::connection_made(slf, waiter),
            TransportStep::Lost(error) => DatagramTransport::connection_lost(slf, error),
        }
    }

    fn connection_made(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        let py = slf.py();
        let told = DatagramTransport::tell_once(slf, intern!(py, "connection_made"), slf.as_any());
        // Each goes on whatever became of the one before, as in asyncio, where these are three callbacks.
        let reading = DatagramTransport::start_reading(slf);
        if let Some(waiter) = waiter {
            Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
        }
        told.and(reading)
    }

    /// `connection_made` or `connection_lost`, in the connection's context; what it raises is reported.
    fn tell_once(
        slf: &Bound<'_, Self>,
        method: &Bound<'_, PyString>,
        argument: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(protocol) = this.get_protocol(py) else {
            return Ok(());
        };
        let protocol = protocol.bind(py);
        let told = this.in_context(py, || protocol.call_method1(method, (argument,))).map(drop);
        let args = (argument,).into_pyobject(py)?;
        report::callback_result(this.event_loop(py), told, Some(protocol), method.to_str()?, args)
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.loop_.bind(py)
    }

    /// Runs something that the loop began, in the connection's context. What the user's code begins runs in its own.
    fn in_context<R>(&self, py: Python<'_>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        ffi::in_context(self.context.bind(py), body)
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|protocol| protocol.clone_ref(py)))
    }

    fn socket<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let sock = self.state.with(py, |s| s.sock.as_ref().map(|sock| sock.clone_ref(py)));
        sock.map(|sock| sock.into_bound(py))
    }

    fn is_active(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.is_active())
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_active(py) {
            return Ok(());
        }
        if let Err(closed) = this.check_open(py) {
            return DatagramTransport::error_received_in_context(slf, os_error(py, &closed));
        }
        let watcher = Watcher::Datagrams(slf.clone().unbind());
        this.loop_.get().watch(py, this.fd, Direction::Read, watcher)
    }

    fn check_open(&self, py: Python<'_>) -> io::Result<()> {
        match self.state.with(py, |s| s.sock.as_ref().map(|sock| sock.clone_ref(py))) {
            Some(sock) => check_number(sock.bind(py), self.fd),
            None => Ok(()),
        }
    }

    fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.loop_.get().unwatch(py, self.fd, direction).map(drop)
    }
}

impl DatagramState {
    /// Whether datagrams are to be delivered.
    fn is_active(&self) -> bool {
        !self.closing && !self.paused && self.lost == 0
    }
}

/// Writes down what `get_extra_info` answers. Says whether the socket has a peer.
fn describe(sock: &Bound<'_, PyAny>, extra: &Bound<'_, PyDict>) -> PyResult<bool> {
    let py = sock.py();
    let shown = py.import("asyncio.trsock")?.getattr("TransportSocket")?.call1((sock,))?;
    extra.set_item("socket", shown)?;
    for (key, method) in [("sockname", "getsockname"), ("peername", "getpeername")] {
        if key == "peername" && extra.contains(key)? {
            continue;
        }
        match sock.call_method0(method) {
            Ok(address) => extra.set_item(key, address)?,
            Err(error) if error.is_instance_of::<PyOSError>(py) => extra.set_item(key, py.None())?,
            Err(error) => return Err(error),
        }
    }
    extra.get_item("peername")?.map_or(Ok(false), |peer| peer.is_truthy())
}
