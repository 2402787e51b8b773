//! Receiving: as many datagrams as there are go to the protocol, one after the other.

use super::super::addresses::{address_object, Family};
use super::super::ready::TransportStep;
use super::super::transport::{SelectorTransport, Transport};
use super::{Arrived, DatagramTransport};
use crate::errors::{leaves_the_loop, os_error};
use plait_core::net::datagram::{LARGEST_READ_AT_ONCE, LARGEST_UDP, MOST_DATAGRAMS};
use plait_core::net::{Batch, SocketAddress};
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::Cell;
use std::io;

const EAGAIN: i32 = 11;
/// A receive asks for twice as many as came the last time, so that a growing rush is noticed, and for no fewer than these. The
/// place for each costs a little.
const FEWEST: usize = 2;

thread_local! {
    /// Taken out while it is in use: making objects may start a collection, and that any code.
    static BATCH: Cell<Option<Box<Batch>>> = const { Cell::new(None) };
}

impl DatagramTransport {
    pub(super) fn read(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (active, arrived) = this.state.with(py, |s| (s.course.is_active(), !s.arrived.is_empty()));
        if !active {
            return Ok(()); // it was readable before somebody closed or paused it
        }
        if !arrived {
            let received = match this.native {
                Some(family) => DatagramTransport::receive(slf, family),
                None => DatagramTransport::receive_by_method(slf),
            };
            match received? {
                None => return Ok(()),
                Some(Some(only)) => return DatagramTransport::deliver_one(slf, only),
                Some(None) => {}
            }
        }
        DatagramTransport::deliver(slf)
    }

    /// Receives what is there. None: nothing was. Some(Some): one, to be delivered at once; Some(None): several, which lie ready.
    fn receive(slf: &Bound<'_, Self>, family: Family) -> PyResult<Option<Option<Arrived>>> {
        let py = slf.py();
        let this = slf.get();
        let largest = match family {
            Family::V4 | Family::V6 => LARGEST_UDP,
            Family::Unix => LARGEST_READ_AT_ONCE,
        };
        let ask = this.state.with(py, |s| s.ask);
        let mut batch = BATCH.take().unwrap_or_default();
        let received = match batch.receive(this.base.fd, largest, ask) {
            Ok(1) => {
                this.state.with(py, |s| s.ask = FEWEST);
                this.arrived(py, &batch, 0).map(|only| Some(Some(only)))
            }
            Ok(count) => this.keep(py, &batch, count).map(|()| Some(None)),
            Err(error) => DatagramTransport::read_failed(slf, &error).map(|()| None),
        };
        BATCH.set(Some(batch));
        received
    }

    fn keep(&self, py: Python<'_>, batch: &Batch, count: usize) -> PyResult<()> {
        let mut latest: Option<(&SocketAddress, Py<PyAny>)> = None;
        for index in 0..count {
            let (data, address) = batch.get(index);
            // A rush mostly comes from one sender.
            let sender = match &latest {
                Some((known, sender)) if *known == address => sender.clone_ref(py),
                _ => self.sender(py, address)?,
            };
            let data = PyBytes::new(py, data).into_any().unbind();
            let kept = sender.clone_ref(py);
            self.state.with(py, |s| s.arrived.push_back((data, sender)));
            latest = Some((address, kept));
        }
        self.state.with(py, |s| s.ask = (2 * count).clamp(FEWEST, MOST_DATAGRAMS));
        Ok(())
    }

    /// A datagram of the batch, as objects.
    #[inline]
    fn arrived(&self, py: Python<'_>, batch: &Batch, index: usize) -> PyResult<Arrived> {
        let (data, sender) = batch.get(index);
        let sender = self.sender(py, sender)?;
        Ok((PyBytes::new(py, data).into_any().unbind(), sender))
    }

    #[inline]
    fn sender(&self, py: Python<'_>, address: &SocketAddress) -> PyResult<Py<PyAny>> {
        if let Some(object) = self.state.with(py, |s| s.peers.object(py, address)) {
            return Ok(object);
        }
        let object = address_object(py, address)?.unbind();
        let kept = object.clone_ref(py);
        let displaced = self.state.with(py, |s| s.peers.remember(*address, kept));
        drop(displaced);
        Ok(object)
    }

    fn deliver_one(slf: &Bound<'_, Self>, (data, sender): Arrived) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(protocol) = this.protocol(py) else {
            return Ok(());
        };
        this.in_context(py, || {
            let args = (data.into_bound(py), sender.into_bound(py));
            protocol.bind(py).call_method1(intern!(py, "datagram_received"), args).map(drop)
        })
    }

    /// Delivers what lies ready, until a callback closes or pauses the transport, or fails.
    fn deliver(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let next = || {
            this.state.with(py, |s| {
                let (data, sender) = if s.course.is_active() { s.arrived.pop_front()? } else { return None };
                Some((s.protocol.as_ref()?.clone_ref(py), data, sender))
            })
        };
        let delivered = this.in_context(py, || {
            while let Some((protocol, data, sender)) = next() {
                let args = (data.into_bound(py), sender.into_bound(py));
                protocol.bind(py).call_method1(intern!(py, "datagram_received"), args)?;
            }
            Ok(())
        });
        // What is left after a failure has its turn later: the socket will not be reported for it.
        let left = this.state.with(py, |s| s.course.is_active() && !s.arrived.is_empty());
        if left {
            DatagramTransport::schedule(slf, TransportStep::Readable)?;
        }
        delivered
    }

    #[cold]
    fn read_failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        match error.raw_os_error() {
            Some(EAGAIN) => Ok(()),
            _ => DatagramTransport::error_received_in_context(slf, os_error(slf.py(), error)),
        }
    }

    /// asyncio's way, for sockets that have their own.
    fn receive_by_method(slf: &Bound<'_, Self>) -> PyResult<Option<Option<Arrived>>> {
        let py = slf.py();
        let Some(sock) = slf.get().known_socket(py) else {
            return Ok(None);
        };
        let received = slf.get().in_context(py, || {
            let pair = sock.call_method1(intern!(py, "recvfrom"), (LARGEST_READ_AT_ONCE,))?;
            pair.extract::<(Py<PyAny>, Py<PyAny>)>()
        });
        match received {
            Ok(arrived) => Ok(Some(Some(arrived))),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) if error.is_instance_of::<PyBlockingIOError>(py) => Ok(None),
            Err(error) if error.is_instance_of::<PyInterruptedError>(py) => Ok(None),
            Err(error) if error.is_instance_of::<PyOSError>(py) => {
                DatagramTransport::error_received_in_context(slf, error).map(|()| None)
            }
            Err(error) => {
                let text = "Fatal read error on datagram transport";
                DatagramTransport::fatal_error(slf, error, text).map(|()| None)
            }
        }
    }
}
