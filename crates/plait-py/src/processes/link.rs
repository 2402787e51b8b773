//! The pool's end of the link to one worker.

use super::descriptors::{self, BEGINNING};
use super::end::{layout, End, Parts, Sent, Side};
use super::segments::nonsense;
use crate::errors::os_error;
use plait_core::shm::bell::Bell;
use plait_core::shm::claims::Claims;
use plait_core::shm::frame::Head;
use plait_core::shm::memory::Memory;
use pyo3::prelude::*;
use pyo3::types::PyList;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{pidfd_open, pidfd_send_signal, Pid, PidfdFlags, Signal};
use std::io::Result;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What the switchboard has of a link.
pub struct Line {
    pub key: u64,
    pub end: End,
    process: OnceLock<OwnedFd>,
    /// Nothing more is read: what came made no sense, or the worker is gone.
    pub ended: AtomicBool,
}

impl Line {
    /// A new link. Also what the worker begins with: its end of the socket, in which all else lies already.
    pub fn new(key: u64, bell: Option<(&Memory, BorrowedFd<'_>)>) -> Result<(Line, OwnedFd)> {
        let (ours, theirs) = descriptors::pair(bell.is_none())?;
        let myself = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
        descriptors::send(ours.as_fd(), (BEGINNING, u32::from(bell.is_some())), myself.as_fd())?;
        let memory = match bell {
            None => None,
            Some((shared, event)) => {
                let memory = Memory::new("plait-link", layout::SIZE)?;
                descriptors::send(ours.as_fd(), (BEGINNING, 2), memory.descriptor())?;
                descriptors::send(ours.as_fd(), (BEGINNING, 3), shared.descriptor())?;
                descriptors::send(ours.as_fd(), (BEGINNING, 4), event)?;
                Some(memory)
            }
        };
        let end = End::new(Side::Pool, ours, memory);
        Ok((Line { key, end, process: OnceLock::new(), ended: AtomicBool::new(false) }, theirs))
    }

    pub fn begin_watching(&self, process: i32) -> Result<BorrowedFd<'_>> {
        let pid = Pid::from_raw(process).ok_or_else(nonsense)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(self.process.get_or_init(|| descriptor).as_fd())
    }

    /// What [`Line::begin_watching`] answered with.
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.process.get().map(AsFd::as_fd)
    }

    /// What a forked child inherits of it.
    pub fn descriptors(&self, into: &mut Vec<i32>) {
        into.push(self.end.socket.as_raw_fd());
        into.extend(self.process.get().map(AsRawFd::as_raw_fd));
        into.extend(self.end.memory.as_ref().map(|memory| memory.descriptor().as_raw_fd()));
        self.end.descriptors(into);
    }

    pub fn is_alive(&self) -> bool {
        let Some(process) = self.process.get() else { return true };
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        !matches!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)), Ok(1..))
    }

    pub fn kill(&self, signal: i32) -> Result<()> {
        let (Some(process), Some(signal)) = (self.process.get(), Signal::from_named_raw(signal)) else {
            return Ok(());
        };
        Ok(pidfd_send_signal(process, signal)?)
    }

    pub fn ring(&self) {
        if let Some(memory) = &self.end.memory {
            // A worker sleeps as a thread.
            let _ = Bell::new(memory.word(layout::BELL)).ring();
        }
    }

    fn claims(&self) -> Option<Claims<'_>> {
        self.end.memory.as_ref().map(|memory| Claims::new(memory.double_word(layout::CLAIMS)))
    }
}

/// The pool's end of the link to one worker. Safe to use from all threads.
#[pyclass(module = "plait._native", frozen)]
pub struct ProcessLink {
    line: Mutex<Option<Arc<Line>>>,
    theirs: Mutex<Option<OwnedFd>>,
    sent: AtomicU64,
}

impl ProcessLink {
    pub fn new(line: Arc<Line>, theirs: OwnedFd) -> ProcessLink {
        ProcessLink {
            line: Mutex::new(Some(line)),
            theirs: Mutex::new(Some(theirs)),
            sent: AtomicU64::new(0),
        }
    }

    fn line(&self) -> Option<Arc<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[pymethods]
impl ProcessLink {
    /// The descriptor that the worker begins with. None: it was closed here.
    fn descriptor(&self) -> Option<i32> {
        self.theirs.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The same, to be closed by the caller: the worker's own.
    fn take_descriptor(&self) -> Option<i32> {
        self.theirs.lock().unwrap_or_else(PoisonError::into_inner).take().map(IntoRawFd::into_raw_fd)
    }

    /// The worker has its descriptor: this process does not need it any more.
    fn close_descriptor(&self) {
        drop(self.theirs.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Send a message.
    ///
    /// Args:
    ///     kind: what the worker understands by it, up to 255.
    ///     number: of the call.
    ///     parts: objects with contiguous bytes; the first is the pickled object.
    ///     waits: wait for room, if there is none. To be asked of an idle worker only, for another would not read.
    ///
    /// Returns:
    ///     None if there is no room; else the parts, in which memory that was sent stands in the place of what was copied there. It stays as it is as long
    ///     as somebody refers to it.
    ///
    /// Raises:
    ///     KeyboardInterrupt: while it waited.
    ///
    /// A worker that is gone is no error: whoever waits for it hears of that. One that has got a part of a message only is killed.
    #[pyo3(signature = (kind, number, parts, waits, /))]
    fn send<'py>(
        &self,
        py: Python<'py>,
        kind: u8,
        number: u32,
        parts: &Bound<'py, PyList>,
        waits: bool,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let Some(line) = self.line() else { return Ok(Some(parts.clone())) };
        let views = Parts::of(parts)?;
        let head = Head { kind, number, nanoseconds: 0, segment: None };
        let sent = line.end.send(py, head, &views, waits, || line.ring(), || line.is_alive());
        if !matches!(sent, Ok(Sent::NoRoom)) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        if sent.is_err() {
            // A part of it may be on its way.
            let _ = line.kill(libc::SIGKILL);
        }
        match sent? {
            Sent::NoRoom => Ok(None),
            Sent::Lost | Sent::Yes(None) => Ok(Some(parts.clone())),
            Sent::Yes(Some(segment)) => views.replaced(parts, &segment).map(Some),
        }
    }

    /// How many messages were sent: of a thread that was interrupted, whether it has sent one.
    #[getter]
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The call of this number, the next, may begin. `alone`: the worker has nothing to do.
    fn allow(&self, number: u32, alone: bool) {
        if let Some(line) = self.line() {
            match line.claims() {
                Some(claims) if alone => claims.restart(number),
                Some(claims) => claims.allow(number),
                None => {}
            }
        }
    }

    /// The number of the first call that has not begun. None: that cannot be known.
    fn first_not_begun(&self) -> Option<u32> {
        self.line().and_then(|line| line.claims().map(Claims::first_not_begun))
    }

    /// Take back all calls that have not begun. The number of the first of them; None: that cannot be done.
    fn revoke(&self) -> Option<u32> {
        self.line().and_then(|line| line.claims().map(Claims::revoke))
    }

    /// Send a signal to the worker's process, and to no other that may have its number by now.
    fn kill(&self, py: Python<'_>, signal: i32) -> PyResult<()> {
        match self.line().map_or(Ok(()), |line| line.kill(signal)) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(os_error(py, &error)),
            _ => Ok(()),
        }
    }

    /// Give memory that nobody uses back to the system.
    fn trim(&self, py: Python<'_>) {
        if let Some(line) = self.line() {
            py.detach(|| line.end.trim());
        }
    }

    /// How many bytes of memory are kept for arguments.
    #[getter]
    fn warm_bytes(&self) -> usize {
        self.line().map_or(0, |line| line.end.warm_bytes())
    }

    /// Let go of everything. What was received stays.
    fn close(&self) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(line);
        self.close_descriptor();
    }
}
