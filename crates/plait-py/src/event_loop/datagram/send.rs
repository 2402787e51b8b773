//! Sending: at once if the socket takes it; what it does not take waits, and the protocol is paused when that is much.

use super::super::addresses::{address_object, plain_address};
use super::super::descriptors::Direction;
use super::super::sock::contiguous;
use super::super::transport::selector::{check_bytes_like, check_number};
use super::super::transport::{warn_lost_write, SelectorTransport, Transport, Writing};
use super::DatagramTransport;
use crate::errors::{leaves_the_loop, os_error};
use crate::fastcall::{fast_method, install, Arguments};
use crate::ffi;
use crate::standard::standard;
use plait_core::net::datagram::{send_many, send_to};
use plait_core::net::{socket, SocketAddress};
use pyo3::exceptions::{PyBlockingIOError, PyInterruptedError, PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::collections::VecDeque;
use std::io;

const EAGAIN: i32 = 11;

/// Where a datagram goes.
enum To {
    /// To the peer that the socket is connected to.
    Peer,
    Address(Box<SocketAddress>),
    /// As only the socket's own methods can tell.
    Named(Option<Py<PyAny>>),
}

struct Datagram {
    data: Py<PyBytes>,
    to: To,
}

/// What the socket did not take.
#[derive(Default)]
pub struct Waiting {
    datagrams: VecDeque<Datagram>,
    bytes: usize,
    /// What a datagram counts beyond its bytes, as the running Python counts.
    header: usize,
}

impl Waiting {
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// How many bytes wait, with what is counted for each datagram.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, py: Python<'_>, datagram: Datagram, header: usize) {
        self.header = header;
        self.bytes += datagram.data.as_bytes(py).len() + header;
        self.datagrams.push_back(datagram);
    }

    fn pop(&mut self, py: Python<'_>) -> Option<Datagram> {
        let datagram = self.datagrams.pop_front()?;
        self.bytes -= datagram.data.as_bytes(py).len() + self.header;
        Some(datagram)
    }

    fn push_back_in_front(&mut self, py: Python<'_>, datagram: Datagram) {
        self.bytes += datagram.data.as_bytes(py).len() + self.header;
        self.datagrams.push_front(datagram);
    }

    pub fn traverse(&self, visit: &pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        self.datagrams.iter().try_for_each(|datagram| match &datagram.to {
            To::Named(address) => visit.call(address),
            To::Peer | To::Address(_) => Ok(()),
        })
    }

    /// Sends until nothing is left, the socket takes no more, or something has to be done about the first one. What was sent goes
    /// to `spent`.
    fn flush(&mut self, py: Python<'_>, fd: i32, spent: &mut Vec<Datagram>) -> Flushed {
        loop {
            let sent = match self.datagrams.front() {
                None => return Flushed::Empty,
                Some(Datagram { to: To::Named(_), .. }) => {
                    return self.pop(py).map_or(Flushed::Empty, Flushed::ByMethod)
                }
                // One by one: an error that another datagram has caused may be met at any of them, and a call that has sent
                // others would swallow it.
                Some(Datagram { data, to: To::Peer }) => socket::send(fd, data.as_bytes(py)).map(|_| 1),
                Some(Datagram { to: To::Address(_), .. }) => send_many(fd, self.addressed(py)),
            };
            match sent {
                Ok(count) => spent.extend((0..count).filter_map(|_| self.pop(py))),
                Err(error) if error.raw_os_error() == Some(EAGAIN) => return Flushed::Full,
                Err(error) => {
                    spent.extend(self.pop(py));
                    return Flushed::Failed(error);
                }
            }
        }
    }

    /// The first ones, as far as their addresses are known.
    fn addressed<'a>(&'a self, py: Python<'a>) -> impl Iterator<Item = (&'a [u8], &'a SocketAddress)> {
        self.datagrams.iter().map_while(move |datagram| match &datagram.to {
            To::Address(address) => Some((datagram.data.as_bytes(py), &**address)),
            To::Peer | To::Named(_) => None,
        })
    }
}

enum Flushed {
    Empty,
    Full,
    /// One did not go, and is gone.
    Failed(io::Error),
    /// One that the socket's own methods have to send.
    ByMethod(Datagram),
}

/// What became of a datagram.
enum Sent {
    Gone,
    WouldBlock,
}

fast_method!(sendto_entry, DatagramTransport, "DatagramTransport.sendto", sendto);

/// Adds `sendto` to the transport's type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install::<DatagramTransport>(
        py,
        c"sendto",
        c"sendto($self, data, addr=None)\n--\n\n\
Send a datagram (bytes, bytearray or memoryview) to addr, or to the peer: at once if the socket takes it, else later.\n\n\
An OSError is told to the protocol's error_received. TypeError and ValueError for data and addresses that\n\
cannot be sent. Not thread-safe. Counterpart: asyncio.DatagramTransport.sendto.",
        sendto_entry,
    )
}

fn sendto<'py>(slf: &Bound<'py, DatagramTransport>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    match arguments.positional_only() {
        Some([data]) => DatagramTransport::send_datagram(slf, data, None)?,
        Some([data, addr]) => {
            DatagramTransport::send_datagram(slf, data, Some(addr).filter(|addr| !addr.is_none()))?;
        }
        _ => {
            let (data, addr) = arguments.one_or_two(py, ["data", "addr"])?;
            DatagramTransport::send_datagram(slf, &data, addr.as_ref().filter(|addr| !addr.is_none()))?;
        }
    }
    Ok(py.None())
}

impl DatagramTransport {
    pub(super) fn send_datagram(
        slf: &Bound<'_, Self>,
        data: &Bound<'_, PyAny>,
        addr: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        check_bytes_like(data)?;
        let header = standard(py).datagram_header;
        if header.is_none() && data.len()? == 0 {
            return Ok(()); // before 3.13 there are no empty datagrams
        }
        let addr = this.only_address(py, addr)?;
        let (lost, sock, queued) = this.state.with(py, |s| {
            (s.course.lost, s.sock.as_ref().map(|sock| sock.clone_ref(py)), !s.waiting.is_empty())
        });
        let sock = match sock {
            Some(sock) if lost == 0 || this.address.is_none() => sock.into_bound(py),
            _ => return this.note_lost_write(py, lost),
        };
        if !queued {
            let sent = this.send_now(&sock, data, addr);
            if let Some(Sent::WouldBlock) = DatagramTransport::unless_failed(slf, sent)? {
                if lost > 0 {
                    return this.note_lost_write(py, lost); // it is closed; nobody would come back to this
                }
                DatagramTransport::watch(slf, Direction::Write)?;
            } else {
                return Ok(());
            }
        }
        let datagram = this.queued(data, addr)?;
        this.state.with(py, |s| s.waiting.push(py, datagram, header.unwrap_or(0)));
        DatagramTransport::maybe_pause_protocol(slf)
    }

    /// The address to send to: the transport's own, if it has one, and then no other.
    fn only_address<'a, 'py>(
        &'a self,
        py: Python<'py>,
        given: Option<&'a Bound<'py, PyAny>>,
    ) -> PyResult<Option<&'a Bound<'py, PyAny>>> {
        let Some(own) = &self.address else {
            return Ok(given);
        };
        let own = own.bind(py);
        match given {
            Some(given) if !given.is(own) && !given.eq(own)? => {
                let text = format!("Invalid address: must be None or {}", own.str()?);
                Err(PyValueError::new_err(text))
            }
            _ => Ok(Some(own)),
        }
    }

    fn note_lost_write(&self, py: Python<'_>, lost: u32) -> PyResult<()> {
        warn_lost_write(py, lost, "socket.send() raised exception.")?;
        self.state.with(py, |s| s.course.lost += 1);
        Ok(())
    }

    #[inline]
    fn send_now(
        &self,
        sock: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        addr: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Sent> {
        let address = match (self.native, self.connected, addr) {
            (Some(_), true, _) => None,
            (Some(_), false, Some(addr)) => match self.known_address(addr) {
                Some(address) => {
                    ffi::audit_sendto(sock, addr)?; // as by the socket's own method
                    Some(address)
                }
                None => return self.send_by_method(sock, data, Some(addr)),
            },
            _ => return self.send_by_method(sock, data, addr),
        };
        let send = |bytes: &[u8]| match &address {
            None => socket::send(self.base.fd, bytes),
            Some(address) => send_to(self.base.fd, bytes, address),
        };
        let sent = match (check_number(sock, self.base.fd), data.cast_exact::<PyBytes>()) {
            (Err(closed), _) => Err(closed),
            (_, Ok(bytes)) => send(bytes.as_bytes()),
            _ => ffi::with_bytes(&contiguous(data)?, send),
        };
        match sent {
            Ok(_) => Ok(Sent::Gone),
            Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(Sent::WouldBlock),
            Err(error) => Err(os_error(sock.py(), &error)),
        }
    }

    fn send_by_method(
        &self,
        sock: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        addr: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Sent> {
        let py = data.py();
        let sent = match self.connected {
            true => sock.call_method1(intern!(py, "send"), (data,)),
            false => sock.call_method1(intern!(py, "sendto"), (data, addr)),
        };
        match sent {
            Ok(_) => Ok(Sent::Gone),
            Err(error) if error.is_instance_of::<PyBlockingIOError>(py) => Ok(Sent::WouldBlock),
            Err(error) if error.is_instance_of::<PyInterruptedError>(py) => Ok(Sent::WouldBlock),
            Err(error) => Err(error),
        }
    }

    /// What an address object says, if that is plain.
    #[inline]
    fn known_address(&self, addr: &Bound<'_, PyAny>) -> Option<SocketAddress> {
        let py = addr.py();
        if let Some(address) = self.state.with(py, |s| s.peers.address(addr)) {
            return Some(address);
        }
        let address = plain_address(self.native?, addr)?;
        let kept = addr.clone().unbind();
        let displaced = self.state.with(py, |s| s.peers.remember_written(address, kept));
        drop(displaced);
        Some(address)
    }

    /// A datagram for the queue; its bytes cannot change any more.
    fn queued(&self, data: &Bound<'_, PyAny>, addr: Option<&Bound<'_, PyAny>>) -> PyResult<Datagram> {
        let data = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            Err(_) => ffi::with_bytes(&contiguous(data)?, |bytes| PyBytes::new(data.py(), bytes)),
        };
        let to = match (self.native, self.connected, addr) {
            (Some(_), true, _) => To::Peer,
            (Some(_), false, Some(addr)) => match self.known_address(addr) {
                Some(address) => To::Address(Box::new(address)),
                None => To::Named(Some(addr.clone().unbind())),
            },
            (_, _, addr) => To::Named(addr.map(|addr| addr.clone().unbind())),
        };
        Ok(Datagram { data: data.unbind(), to })
    }

    /// Passes on what became of a datagram. None: it failed, and that was told to whom it concerns.
    fn unless_failed(slf: &Bound<'_, Self>, sent: PyResult<Sent>) -> PyResult<Option<Sent>> {
        let py = slf.py();
        match sent {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) if error.is_instance_of::<PyOSError>(py) => {
                DatagramTransport::error_received(slf, error).map(|()| None)
            }
            Err(error) => {
                let text = "Fatal write error on datagram transport";
                DatagramTransport::fatal_error(slf, error, text).map(|()| None)
            }
        }
    }

    pub(super) fn send_what_waits(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.state.with(py, |s| s.course.lost > 0) {
            return Ok(()); // everything that waited was given up
        }
        // In the connection's context, with all that it calls.
        let emptied = this.in_context(py, || match DatagramTransport::flush(slf)? {
            true => DatagramTransport::maybe_resume_protocol(slf).map(|()| true), // it may send more
            false => Ok(false),
        })?;
        if !emptied || !this.state.with(py, |s| s.waiting.is_empty() && s.course.lost == 0) {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        let closing = this.state.with(py, |s| {
            s.course.lost += u32::from(s.course.closing);
            s.course.closing
        });
        match closing {
            true => DatagramTransport::connection_lost(slf, py.None().bind(py)),
            false => Ok(()),
        }
    }

    /// Sends what waits. False: something failed, which was told, and the rest waits for the next time.
    fn flush(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        loop {
            let mut spent = Vec::new();
            let flushed = match this.check_open(py) {
                Ok(()) => this.state.with(py, |s| s.waiting.flush(py, this.base.fd, &mut spent)),
                Err(closed) => Flushed::Failed(closed),
            };
            drop(spent);
            match flushed {
                Flushed::Empty | Flushed::Full => return Ok(true),
                Flushed::Failed(error) => {
                    let error = os_error(py, &error);
                    return DatagramTransport::error_received(slf, error).map(|()| false);
                }
                Flushed::ByMethod(datagram) => {
                    let data = datagram.data.bind(py).as_any().clone();
                    let addr = match &datagram.to {
                        To::Named(addr) => addr.as_ref().map(|addr| addr.bind(py)),
                        To::Peer | To::Address(_) => None,
                    };
                    let Some(sock) = this.known_socket(py) else { return Ok(true) };
                    let sent = this.send_by_method(&sock, &data, addr);
                    match DatagramTransport::unless_failed(slf, sent)? {
                        Some(Sent::Gone) => {}
                        Some(Sent::WouldBlock) => {
                            this.state.with(py, |s| s.waiting.push_back_in_front(py, datagram));
                            return Ok(true);
                        }
                        None => return Ok(false),
                    }
                }
            }
        }
    }

    /// What waits, as objects.
    pub(super) fn waiting_pairs<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let waiting: Vec<_> = self.state.with(py, |s| {
            let shown = s.waiting.datagrams.iter().map(|datagram| {
                let (address, named) = match &datagram.to {
                    To::Peer => (None, self.address.as_ref()),
                    To::Address(address) => (Some(**address), None),
                    To::Named(named) => (None, named.as_ref()),
                };
                (datagram.data.clone_ref(py), address, named.map(|named| named.clone_ref(py)))
            });
            shown.collect()
        });
        let pairs = waiting.into_iter().map(|(data, address, named)| {
            let address = address.map(|address| address_object(py, &address)).transpose()?;
            (data, address.or(named.map(|named| named.into_bound(py)))).into_pyobject(py)
        });
        pairs.collect()
    }
}
