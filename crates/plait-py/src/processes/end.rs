//! One end of a link: the pool's or the worker's. What both do: send and receive messages whose long parts cross in segments.

use super::buffer::SharedBuffer;
use super::carrier::{Receiver, Sender, Sending};
use super::segments::{nonsense, Known, Leases, Segment, Warm, LONG, SLOTS};
use crate::errors::os_error;
use plait_core::shm::frame::{decode, encode, shared_size, Head, Part, SegmentName, ALIGN};
use plait_core::shm::memory::Memory;
use plait_core::shm::ring::{Reader, Writer};
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList};
use std::io::Result;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// What lies where in the memory of a link.
pub mod layout {
    use super::SLOTS;
    pub const BELL: usize = 0;
    pub const CLAIMS: usize = 64;
    pub const LEASED_TO_WORKER: usize = 128;
    pub const LEASED_TO_POOL: usize = LEASED_TO_WORKER + 4 * SLOTS;
    pub const TO_WORKER: usize = 4096;
    pub const RING: usize = 256 * 1024;
    pub const TO_POOL: usize = TO_WORKER + RING;
    pub const SIZE: usize = TO_POOL + RING;
}

/// How long a sender that finds no room sleeps before it looks whether there is still somebody to read.
const PATIENCE: Duration = Duration::from_millis(100);
/// A segment of less than that is copied out rather than mapped.
const WORTH_MAPPING: usize = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Pool,
    Worker,
}

struct Outgoing {
    sender: Sender,
    warm: Option<Warm>,
}

struct Incoming {
    receiver: Receiver,
    known: Option<Known>,
}

pub struct End {
    pub socket: Arc<OwnedFd>,
    /// None: everything goes by the socket.
    pub memory: Option<Arc<Memory>>,
    outgoing: Mutex<Outgoing>,
    incoming: Mutex<Incoming>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message that came, before it is shown to Python.
pub struct Received {
    pub head: Head,
    message: Vec<u8>,
    parts: Vec<Part>,
    lease: Option<Arc<super::segments::Lease>>,
}

/// What became of a message.
pub enum Sent {
    /// Nobody reads there any more.
    Lost,
    /// It would have had to wait.
    NoRoom,
    Yes(Option<Arc<Segment>>),
}

impl End {
    pub fn new(side: Side, socket: OwnedFd, memory: Option<Memory>) -> End {
        let socket = Arc::new(socket);
        let memory = memory.map(Arc::new);
        let (outgoing, incoming) = match &memory {
            None => by_socket(&socket),
            Some(memory) => by_rings(side, memory),
        };
        End { socket, memory, outgoing: Mutex::new(outgoing), incoming: Mutex::new(incoming) }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a message, detached where it takes long. `ring` wakes the other side; `is_there` says whether there is one.
    pub fn send(
        &self,
        py: Python<'_>,
        mut head: Head,
        parts: &Parts,
        waits: bool,
        ring: impl Fn() + Sync,
        is_there: impl Fn() -> bool + Sync,
    ) -> PyResult<Sent> {
        // Attached, nobody waits for this lock: who has it may be waiting for the interpreter.
        let mut held = loop {
            match self.outgoing.try_lock() {
                Ok(held) => break held,
                Err(TryLockError::Poisoned(held)) => break held.into_inner(),
                Err(TryLockError::WouldBlock) => py.detach(|| drop(lock(&self.outgoing))),
            }
        };
        let outgoing = &mut *held;
        let slices = parts.slices();
        let has_segments = outgoing.warm.is_some();
        let in_segment = |slice: &[u8]| has_segments && slice.len() >= LONG;
        let inline: usize = slices.iter().filter(|slice| !in_segment(slice)).map(|slice| slice.len()).sum();
        if !waits && !outgoing.sender.has_room(inline + 64 + 8 * slices.len()) {
            return Ok(Sent::NoRoom);
        }
        let mut shared: Vec<bool> = slices.iter().map(|slice| in_segment(slice)).collect();
        let mut segment = None;
        if shared.contains(&true) {
            match py.detach(|| self.fill(outgoing, &slices)) {
                Ok((lent, name)) => (segment, head.segment) = (Some(lent), Some(name)),
                // No memory or no descriptors for it: then it goes through the ring, slowly.
                Err(_) => shared.fill(false),
            }
        }
        let bytes = encode(&head, slices.iter().zip(&shared).map(|(slice, shared)| (slice.len(), *shared)));
        let rest = slices.iter().zip(&shared).filter(|(_, shared)| !**shared).map(|(slice, _)| *slice);
        let mut sending = Sending::new(std::iter::once(&bytes[..]).chain(rest).collect());
        loop {
            let sent = outgoing.sender.send(&mut sending).map_err(|error| os_error(py, &error));
            ring();
            match sent {
                Ok(true) => return Ok(Sent::Yes(segment)),
                Ok(false) => {}
                Err(_) if !is_there() => return Ok(Sent::Lost),
                Err(error) => return Err(error),
            }
            let length = sending.length();
            py.detach(|| outgoing.sender.wait(length, PATIENCE));
            if !is_there() {
                return Ok(Sent::Lost);
            }
            py.check_signals()?;
        }
    }

    /// Copies the long parts into a segment.
    fn fill(&self, outgoing: &mut Outgoing, slices: &[&[u8]]) -> Result<(Arc<Segment>, SegmentName)> {
        let long = || slices.iter().filter(|slice| slice.len() >= LONG);
        let warm = outgoing.warm.as_mut().ok_or_else(nonsense)?;
        let (segment, name) = warm.lend(shared_size(long().map(|slice| slice.len())), self.socket())?;
        let filled = segment.fill(long().scan(0, |next: &mut usize, slice| {
            let offset = *next;
            *next = (offset + slice.len()).next_multiple_of(ALIGN);
            Some((offset, *slice))
        }));
        filled.inspect_err(|_| warm.take_back(name))?;
        Ok((segment, name))
    }

    /// Takes out what has come, at most so many messages.
    pub fn receive(&self, most: usize, into: &mut Vec<Received>) -> Result<()> {
        let mut incoming = lock(&self.incoming);
        for _ in 0..most {
            let Some(message) = incoming.receiver.next_message()? else { break };
            let (head, parts) = decode(&message).map_err(|_| nonsense())?;
            let used = parts.iter().map(|part| match part {
                Part::Shared { offset, length } => offset + length,
                Part::Inline { .. } => 0,
            });
            let lease = match (head.segment, incoming.known.as_mut()) {
                (None, _) => None,
                (Some(name), Some(known)) => Some(known.map(name, used.max().unwrap_or(0), self.socket())?),
                (Some(_), None) => return Err(nonsense()),
            };
            into.push(Received { head, message, parts, lease });
        }
        Ok(())
    }

    pub fn has_come(&self) -> bool {
        lock(&self.incoming).receiver.has_come()
    }

    pub fn has_ended(&self) -> bool {
        lock(&self.incoming).receiver.has_ended()
    }

    /// Waits until something has come; for the worker.
    pub fn wait(&self, timeout: Option<Duration>) {
        let bell =
            self.memory.as_ref().map(|memory| plait_core::shm::bell::Bell::new(memory.word(layout::BELL)));
        lock(&self.incoming).receiver.wait(bell, timeout);
    }

    pub fn trim(&self) {
        // Who is sending will not be idle.
        if let Ok(outgoing) = self.outgoing.try_lock() {
            if let Some(warm) = &outgoing.warm {
                warm.trim();
            }
        }
    }

    /// Of the segments.
    pub fn descriptors(&self, into: &mut Vec<i32>) {
        if let Ok(outgoing) = self.outgoing.try_lock() {
            outgoing.warm.iter().for_each(|warm| warm.descriptors(into));
        }
        if let Ok(incoming) = self.incoming.try_lock() {
            incoming.known.iter().for_each(|known| known.descriptors(into));
        }
    }

    pub fn warm_bytes(&self) -> usize {
        let outgoing = self.outgoing.try_lock();
        outgoing.map_or(0, |outgoing| outgoing.warm.as_ref().map_or(0, Warm::bytes))
    }
}

fn by_socket(socket: &Arc<OwnedFd>) -> (Outgoing, Incoming) {
    let receiver = Receiver::Socket { socket: Arc::clone(socket), received: Vec::new(), ended: false };
    let sender = Sender::Socket(Arc::clone(socket));
    (Outgoing { sender, warm: None }, Incoming { receiver, known: None })
}

fn by_rings(side: Side, memory: &Arc<Memory>) -> (Outgoing, Incoming) {
    let worker = (layout::TO_WORKER, layout::LEASED_TO_WORKER);
    let pool = (layout::TO_POOL, layout::LEASED_TO_POOL);
    let (there, here) = if side == Side::Pool { (worker, pool) } else { (pool, worker) };
    let leases = |at: usize| Leases::new(Arc::clone(memory), at);
    let outgoing = Outgoing {
        sender: Sender::Ring(Writer::new(Arc::clone(memory), there.0, layout::RING)),
        warm: Some(Warm::new(leases(there.1))),
    };
    let incoming = Incoming {
        receiver: Receiver::Ring(Reader::new(Arc::clone(memory), here.0, layout::RING)),
        known: Some(Known::new(leases(here.1))),
    };
    (outgoing, incoming)
}

/// The parts of a message that is to be sent: anything with contiguous bytes.
pub struct Parts(Vec<PyBuffer<u8>>);

impl Parts {
    pub fn of(parts: &Bound<'_, PyList>) -> PyResult<Parts> {
        parts.iter().map(|part| PyBuffer::get(&part)).collect::<PyResult<_>>().map(Parts)
    }

    fn slices(&self) -> Vec<&[u8]> {
        let slice = |buffer: &PyBuffer<u8>| {
            if buffer.len_bytes() == 0 {
                return &[][..];
            }
            // SAFETY: the buffer is exported, so the memory stays where it is; `get` has seen to it that it is bytes, and that what is asked for by
            // default is contiguous was checked by whoever made the list (pickle refuses other buffers). Another thread may write to it
            // meanwhile, as to any buffer while it is copied: then what is sent is some of both.
            unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), buffer.len_bytes()) }
        };
        self.0.iter().map(|buffer| if buffer.is_c_contiguous() { slice(buffer) } else { &[][..] }).collect()
    }

    /// The same list, with what lies in the segment in the place of what was copied there.
    pub fn replaced<'py>(
        &self,
        parts: &Bound<'py, PyList>,
        segment: &Arc<Segment>,
    ) -> PyResult<Bound<'py, PyList>> {
        let kept = PyList::empty(parts.py());
        let mut offset = 0;
        for (part, slice) in parts.iter().zip(self.slices()) {
            if slice.len() < LONG {
                kept.append(part)?;
                continue;
            }
            kept.append(Bound::new(
                parts.py(),
                SharedBuffer::sent(Arc::clone(segment), offset, slice.len()),
            )?)?;
            offset = (offset + slice.len()).next_multiple_of(ALIGN);
        }
        Ok(kept)
    }
}

impl Received {
    /// The parts as Python objects: the first as bytes, the others writable.
    pub fn into_parts(self, py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        let list = PyList::empty(py);
        let small = self.lease.as_ref().is_some_and(|lease| lease.bytes().len() < WORTH_MAPPING);
        for (number, part) in self.parts.iter().enumerate() {
            let bytes = match (part, &self.lease) {
                (Part::Inline { offset, length }, _) => &self.message[*offset..][..*length],
                (Part::Shared { offset, length }, Some(lease)) if small => {
                    &lease.bytes()[*offset..][..*length]
                }
                (Part::Shared { offset, length }, Some(lease)) => {
                    let buffer = SharedBuffer::received(Arc::clone(lease), *offset, *length);
                    list.append(Bound::new(py, buffer)?)?;
                    continue;
                }
                (Part::Shared { .. }, None) => return Err(os_error(py, &nonsense())),
            };
            match number {
                0 => list.append(PyBytes::new(py, bytes))?,
                _ => list.append(PyByteArray::new(py, bytes))?,
            }
        }
        Ok(list)
    }
}
