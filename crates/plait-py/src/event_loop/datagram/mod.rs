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

pub use send::install_methods;

use super::addresses::Family;
use super::descriptors::{Direction, Watcher};
use super::future::Future;
use super::ready::{Ready, TransportStep};
use super::transport::selector::note_addresses;
use super::transport::{Base, Course, Names, SelectorTransport, Transport, Writing};
use super::EventLoop;
use crate::errors::os_error;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use peers::Peers;
use plait_core::net::datagram::MOST_DATAGRAMS;
use plait_core::net::FlowControl;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use send::Waiting;
use std::collections::VecDeque;

/// A datagram that was received: its bytes, its sender.
pub type Arrived = (Py<PyAny>, Py<PyAny>);

pub struct DatagramState {
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
    course: Course,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct DatagramTransport {
    base: Base,
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
            base: Base::new(loop_, fd)?,
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
                course: Course::default(),
            }),
            built: Built::new(),
        };
        let transport = Bound::new(py, transport)?;
        DatagramTransport::schedule(&transport, TransportStep::Begin(waiter.map(Bound::unbind)))?;
        Ok(transport.unbind())
    }

    fn is_active(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.course.is_active())
    }
}

impl Transport for DatagramTransport {
    const NAMES: Names = Names {
        read_ready: "_SelectorDatagramTransport._read_ready",
        write_ready: "_SelectorDatagramTransport._sendto_ready",
        connection_lost: "_SelectorTransport._call_connection_lost",
        add_reader: "_SelectorTransport._add_reader",
    };

    fn base(&self) -> &Base {
        &self.base
    }

    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|protocol| protocol.clone_ref(py)))
    }

    fn ready(slf: Py<Self>, step: TransportStep) -> Ready {
        Ready::Datagrams(slf, step)
    }

    fn watcher(slf: Py<Self>) -> Watcher {
        Watcher::Datagrams(slf)
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_active(py) {
            return Ok(());
        }
        match this.check_open(py) {
            Ok(()) => DatagramTransport::watch(slf, Direction::Read)?,
            Err(closed) => {
                DatagramTransport::error_received_in_context(slf, os_error(py, &closed))?;
            }
        }
        // What lay ready when it was paused.
        match this.state.with(py, |s| s.arrived.is_empty()) {
            true => Ok(()),
            false => DatagramTransport::schedule(slf, TransportStep::Readable),
        }
    }

    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::read(slf)
    }

    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::send_what_waits(slf)
    }

    fn connection_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let told = slf.get().tell(py, intern!(py, "connection_lost"), Some(error.clone())).map(drop);
        told.and(DatagramTransport::release(slf))
    }
}

impl Writing for DatagramTransport {
    fn with_flow<R>(&self, py: Python<'_>, body: impl FnOnce(&mut FlowControl, usize) -> R) -> R {
        self.state.with(py, |s| body(&mut s.flow, s.waiting.bytes()))
    }
}

impl SelectorTransport for DatagramTransport {
    type State = DatagramState;
    type Unsent = Waiting;
    type Undelivered = VecDeque<Arrived>;

    fn state(&self) -> &Guarded<DatagramState> {
        &self.state
    }

    fn course(state: &mut DatagramState) -> &mut Course {
        &mut state.course
    }

    fn has_unsent(state: &DatagramState) -> bool {
        !state.waiting.is_empty()
    }

    fn take_unsent(state: &mut DatagramState) -> Waiting {
        std::mem::take(&mut state.waiting)
    }

    fn take_undelivered(state: &mut DatagramState) -> VecDeque<Arrived> {
        std::mem::take(&mut state.arrived)
    }

    fn known_socket<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let sock = self.state.with(py, |s| s.sock.as_ref().map(|sock| sock.clone_ref(py)));
        sock.map(|sock| sock.into_bound(py))
    }
}

/// Writes down what `get_extra_info` answers. Says whether the socket has a peer.
fn describe(sock: &Bound<'_, PyAny>, extra: &Bound<'_, PyDict>) -> PyResult<bool> {
    let shown = sock.py().import("asyncio.trsock")?.getattr("TransportSocket")?.call1((sock,))?;
    extra.set_item("socket", shown)?;
    note_addresses(sock, extra)?;
    extra.get_item("peername")?.map_or(Ok(false), |peer| peer.is_truthy())
}
