//! The worker's end of a link.

use super::descriptors::{self, BEGINNING};
use super::end::{layout, End, Parts, Side};
use super::guard;
use super::segments::nonsense;
use crate::errors::os_error;
use crate::waiters::thread::watch_hopefully;
use plait_core::shm::bell::Bell;
use plait_core::shm::claims::Claims;
use plait_core::shm::frame::Head;
use plait_core::shm::memory::Memory;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::collections::VecDeque;
use std::io::Result;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The pool's bell, and the eventfd of who polls there.
struct PoolsBell {
    memory: Memory,
    event: OwnedFd,
}

/// The worker's end of its link. For the thread that works.
#[pyclass(module = "plait._native", frozen)]
pub struct WorkerEnd {
    end: End,
    bell: Option<PoolsBell>,
    /// What came with another message.
    waiting: Mutex<VecDeque<super::end::Received>>,
}

/// One of what the worker begins with.
fn begin(socket: &OwnedFd, which: u32) -> Result<OwnedFd> {
    match descriptors::receive(socket.as_fd())? {
        ((BEGINNING, number), descriptor) if number == which => Ok(descriptor),
        _ => Err(nonsense()),
    }
}

impl WorkerEnd {
    fn open(socket: OwnedFd) -> Result<WorkerEnd> {
        let ((tag, by_rings), parent) = descriptors::receive(socket.as_fd())?;
        if tag != BEGINNING {
            return Err(nonsense());
        }
        guard::watch(parent)?;
        let (memory, bell) = match by_rings {
            0 => (None, None),
            _ => {
                let memory = Memory::open(begin(&socket, 2)?)?;
                let bell = PoolsBell { memory: Memory::open(begin(&socket, 3)?)?, event: begin(&socket, 4)? };
                (Some(memory), Some(bell))
            }
        };
        let fits = memory.as_ref().is_none_or(|memory: &Memory| memory.size() >= layout::SIZE);
        if !fits {
            return Err(nonsense());
        }
        Ok(WorkerEnd { end: End::new(Side::Worker, socket, memory), bell, waiting: Mutex::default() })
    }

    fn next(&self) -> Result<Option<super::end::Received>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() {
            let mut received = Vec::new();
            self.end.receive(16, &mut received)?;
            waiting.extend(received);
        }
        Ok(waiting.pop_front())
    }

    fn ring_pool(&self) {
        if let Some(bell) = &self.bell {
            if Bell::new(bell.memory.word(0)).ring() {
                let _ = rustix::io::write(&bell.event, &1_u64.to_ne_bytes());
            }
        }
    }
}

#[pymethods]
impl WorkerEnd {
    /// Take over a descriptor with which a worker begins, and have the process end with its parent.
    #[new]
    fn new(py: Python<'_>, descriptor: RawFd) -> PyResult<WorkerEnd> {
        // SAFETY: the caller gives it away.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        WorkerEnd::open(socket).map_err(|error| os_error(py, &error))
    }

    /// Wait for a message, for at most so many seconds.
    ///
    /// Returns:
    ///     Its kind, its number and its parts. None: the time is up.
    ///
    /// Raises:
    ///     OSError: what came makes no sense.
    ///     EOFError: there is no parent any more.
    ///     KeyboardInterrupt: while it waited.
    fn receive<'py>(
        &self,
        py: Python<'py>,
        timeout: Option<f64>,
    ) -> PyResult<Option<(u8, u32, Bound<'py, PyList>)>> {
        let mut has_slept = false;
        loop {
            if let Some(received) = self.next().map_err(|error| os_error(py, &error))? {
                let (kind, number) = (received.head.kind, received.head.number);
                return Ok(Some((kind, number, received.into_parts(py)?)));
            }
            if self.end.has_ended() {
                return Err(pyo3::exceptions::PyEOFError::new_err(()));
            }
            if has_slept {
                return Ok(None);
            }
            let by_ring = self.end.memory.is_some();
            let come = by_ring && py.detach(|| watch_hopefully(|| self.end.has_come()));
            // A signal that came while it watched would else be noticed by the next one only.
            py.check_signals()?;
            if !come {
                let timeout = timeout.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
                py.detach(|| self.end.wait(timeout));
                py.check_signals()?;
            }
            has_slept = true;
        }
    }

    /// The call of this number begins. False: it was taken back.
    fn claim(&self, number: u32) -> bool {
        let memory = self.end.memory.as_ref();
        memory.is_none_or(|memory| Claims::new(memory.double_word(layout::CLAIMS)).claim(number))
    }

    /// Whether more has come.
    fn has_more(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        !waiting.is_empty() || self.end.has_come()
    }

    /// Send a message; wait for room, if there is none. `rings`: the pool is to look at once.
    #[pyo3(signature = (kind, number, nanoseconds, parts, rings, /))]
    fn send<'py>(
        &self,
        py: Python<'py>,
        kind: u8,
        number: u32,
        nanoseconds: u64,
        parts: &Bound<'py, PyList>,
        rings: bool,
    ) -> PyResult<()> {
        let views = Parts::of(parts)?;
        let head = Head { kind, number, nanoseconds, segment: None };
        let outcome = self.end.send(py, head, &views, false, || (), || true)?;
        if let super::end::Sent::NoRoom = outcome {
            self.end.send(py, head, &views, true, || self.ring_pool(), || true)?;
        } else if rings {
            self.ring_pool();
        }
        Ok(())
    }

    /// Have the pool look.
    fn ring(&self) {
        self.ring_pool();
    }

    /// Give memory that nobody uses back to the system.
    fn trim(&self, py: Python<'_>) {
        py.detach(|| self.end.trim());
    }
}
