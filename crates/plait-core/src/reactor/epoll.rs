//! The reactor over Linux's epoll.
//!
//! Two descriptors of the reactor's own are registered beside the callers': an eventfd by which any
//! thread ends a wait, and, once somebody asks for it, a pipe for signals. They have tokens that
//! callers may not use, and their events never show among the others. Both are needed:
//! `signal.set_wakeup_fd` makes CPython write single bytes from inside a signal handler, and an
//! eventfd accepts eight at a time and forgets which they were.
//!
//! The eventfd is edge-triggered, the one exception here: each write is a new edge, so a wake-up
//! costs no `read`.

use super::{coarse_wait, Event, Interest};
use crate::fd;
use crate::fork;
use crate::sync::process_wide::{AtomicBool, Ordering};
use crate::sync::{lock, Mutex};
use rustix::event::{epoll, eventfd, EventfdFlags, Timespec};
use rustix::io::{DupFlags, Errno};
use rustix::pipe::{pipe_with, PipeFlags};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Callers' tokens are smaller than this.
pub const FIRST_RESERVED_TOKEN: u64 = SIGNAL_TOKEN;
const SIGNAL_TOKEN: u64 = u64::MAX - 1;
const WAKE_TOKEN: u64 = u64::MAX;

/// The longest single wait; about 24 days, what a time-out in milliseconds can hold. A loop that
/// comes back early looks at its timers and waits on.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);
/// The event buffer does not grow beyond this; what did not fit is reported by the next wait.
const MOST_EVENTS: usize = 1 << 16;

/// Set once the kernel has refused `epoll_pwait2`; it will not learn it while we run.
static ONLY_COARSE_WAIT: AtomicBool = AtomicBool::new(false);

/// An epoll instance, its waker and its signal pipe. All methods may be called from any thread.
#[derive(Debug)]
pub struct Reactor {
    epoll: OwnedFd,
    waker: OwnedFd,
    signals: Mutex<Option<SignalPipe>>,
    generation: u32,
}

#[derive(Debug)]
struct SignalPipe {
    sender: OwnedFd,
    receiver: OwnedFd,
}

/// What a wait ended with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Wakeup {
    /// How many events there are to look at.
    pub events: usize,
    /// Whether signals have come in: fetch them with [`Reactor::take_signals`].
    pub signals: bool,
}

impl Reactor {
    /// A new instance, closed on exec.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let data = epoll::EventData::new_u64(WAKE_TOKEN);
        epoll::add(&epoll, &waker, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        let signals = Mutex::new(None);
        Ok(Self { epoll, waker, signals, generation: fork::generation() })
    }

    /// Begins to watch `fd`.
    ///
    /// `EEXIST` if it is registered already, `EPERM` if its kind (a regular file) is always ready.
    pub fn register(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.check_usable()?;
        epoll::add(&self.epoll, fd::borrow(fd)?, data(token)?, flags(interest))?;
        Ok(())
    }

    /// Changes what is wanted of `fd`, its token, or both. `ENOENT` if it is not registered.
    pub fn modify(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.check_usable()?;
        epoll::modify(&self.epoll, fd::borrow(fd)?, data(token)?, flags(interest))?;
        Ok(())
    }

    /// Stops watching `fd`.
    ///
    /// The number may have been closed or even reused by now: callers ignore `ENOENT` (closing the
    /// last copy of a file ends its registration) and `EBADF`. In a child of the process that
    /// made the reactor this does nothing.
    pub fn deregister(&self, fd: RawFd) -> io::Result<()> {
        if self.is_inherited() {
            return Ok(());
        }
        epoll::delete(&self.epoll, fd::borrow(fd)?)?;
        Ok(())
    }

    /// Forgets every registration but the reactor's own.
    ///
    /// The only way to be rid of one whose number was closed while a copy of the file is open elsewhere (a duplicate, a child
    /// process): the kernel keeps it, goes on reporting it, and takes no number for its removal any more. The instance
    /// keeps its own number.
    pub fn forget_all(&self) -> io::Result<()> {
        self.check_usable()?;
        let fresh = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let waker = epoll::EventData::new_u64(WAKE_TOKEN);
        epoll::add(&fresh, &self.waker, waker, epoll::EventFlags::IN | epoll::EventFlags::ET)?;
        if let Some(pipe) = &*lock(&self.signals) {
            let data = epoll::EventData::new_u64(SIGNAL_TOKEN);
            epoll::add(&fresh, &pipe.receiver, data, epoll::EventFlags::IN)?;
        }
        // SAFETY: the number is that of an open descriptor of ours, which stays open: what is behind it is replaced, and
        // the second owner of the number is never dropped.
        #[allow(unsafe_code)]
        let mut ours = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(self.epoll.as_raw_fd()) });
        Ok(rustix::io::dup3(&fresh, &mut ours, DupFlags::CLOEXEC)?)
    }

    /// Waits until something is ready, somebody wakes it, or the time-out has passed; None waits
    /// for ever.
    ///
    /// `EINTR` is returned: the caller has signals to look at. A time-out beyond some weeks is cut
    /// short.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<Wakeup> {
        self.check_usable()?;
        events.make_room();
        self.fetch(&mut events.buffer, timeout.map(|timeout| timeout.min(LONGEST_WAIT)))?;
        events.full = events.buffer.len() == events.buffer.capacity();
        let mut signals = false;
        events.buffer.retain(|event| match event.data.u64() {
            WAKE_TOKEN => false,
            SIGNAL_TOKEN => {
                signals = true;
                false
            }
            _ => true,
        });
        Ok(Wakeup { events: events.buffer.len(), signals })
    }

    fn fetch(&self, buffer: &mut Vec<epoll::Event>, timeout: Option<Duration>) -> io::Result<()> {
        if ONLY_COARSE_WAIT.load(Ordering::Relaxed) {
            return coarse_wait::wait(&self.epoll, buffer, timeout);
        }
        let exact = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(buffer), exact.as_ref()) {
            // Too old a kernel, or a system-call filter that is; epoll itself never says EPERM
            // here.
            Err(Errno::NOSYS | Errno::PERM) => {
                ONLY_COARSE_WAIT.store(true, Ordering::Relaxed);
                coarse_wait::wait(&self.epoll, buffer, timeout)
            }
            outcome => outcome.map(drop).map_err(io::Error::from),
        }
    }

    /// Ends the wait that is going on, or else the next one. Several wakes before a wait count as
    /// one.
    ///
    /// In a child of the process that made the reactor this does nothing: nobody there waits.
    pub fn wake(&self) -> io::Result<()> {
        if self.is_inherited() {
            return Ok(());
        }
        let one = 1u64.to_ne_bytes();
        loop {
            match rustix::io::write(&self.waker, &one) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                // The counter is full, after nearly 2^64 wakes. Empty it, so that the write makes
                // an edge.
                Err(Errno::AGAIN) => drop(rustix::io::read(&self.waker, &mut [0u8; 8])),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The descriptor for `signal.set_wakeup_fd`: nonblocking, takes single bytes, each of which
    /// ends the wait. Made at the first call; it belongs to the reactor and is closed with it.
    pub fn signal_sender(&self) -> io::Result<RawFd> {
        self.check_usable()?;
        let mut signals = lock(&self.signals);
        if let Some(pipe) = &*signals {
            return Ok(pipe.sender.as_raw_fd());
        }
        let (receiver, sender) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let data = epoll::EventData::new_u64(SIGNAL_TOKEN);
        epoll::add(&self.epoll, &receiver, data, epoll::EventFlags::IN)?;
        Ok(signals.insert(SignalPipe { sender, receiver }).sender.as_raw_fd())
    }

    /// The bytes written to [`Reactor::signal_sender`] since the last call, each the number of a
    /// signal.
    pub fn take_signals(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        let signals = lock(&self.signals);
        let Some(pipe) = signals.as_ref().filter(|_| !self.is_inherited()) else {
            return taken;
        };
        let mut chunk = [0u8; 64];
        loop {
            match rustix::io::read(&pipe.receiver, &mut chunk) {
                Ok(count) => taken.extend_from_slice(&chunk[..count]),
                Err(Errno::INTR) => continue,
                // Empty; nothing else can go wrong with a pipe of which we hold both ends.
                Err(_) => return taken,
            }
        }
    }

    /// The epoll instance, which can itself be polled.
    pub fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Whether this process got the reactor by `fork`. It then shares it with its parent and cannot
    /// use it.
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Brings the waker's counter to the brink, where a write no longer fits.
    #[cfg(test)]
    pub(super) fn fill_waker(&self) {
        let most = (u64::MAX - 1).to_ne_bytes();
        rustix::io::write(&self.waker, &most).expect("an untouched counter has room");
    }

    #[inline]
    fn check_usable(&self) -> io::Result<()> {
        if self.is_inherited() {
            return Err(io::Error::other(
                "the reactor belongs to the parent process: it was made before fork",
            ));
        }
        Ok(())
    }
}

#[inline]
fn data(token: u64) -> io::Result<epoll::EventData> {
    if token >= FIRST_RESERVED_TOKEN {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the token is reserved"));
    }
    Ok(epoll::EventData::new_u64(token))
}

#[inline]
fn flags(interest: Interest) -> epoll::EventFlags {
    let mut flags = epoll::EventFlags::empty();
    flags.set(epoll::EventFlags::IN, interest.contains(Interest::READ));
    flags.set(epoll::EventFlags::OUT, interest.contains(Interest::WRITE));
    flags
}

/// What a wait has found: a buffer that is used again for the next wait.
pub struct Events {
    buffer: Vec<epoll::Event>,
    full: bool,
}

// SAFETY: what keeps `Events` from being Send is the pointer in the kernel's event union. Nothing here stores a pointer
// in it: tokens are integers.
#[allow(unsafe_code)]
unsafe impl Send for Events {}

impl Events {
    /// A buffer for `capacity` events at first, at least one. It grows after a wait that filled it.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity.clamp(1, MOST_EVENTS)), full: false }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.buffer.iter().map(|event| {
            let flags = event.flags;
            Event {
                token: event.data.u64(),
                readable: flags.contains(epoll::EventFlags::IN),
                writable: flags.contains(epoll::EventFlags::OUT),
                hangup: flags.contains(epoll::EventFlags::HUP),
                error: flags.contains(epoll::EventFlags::ERR),
            }
        })
    }

    fn make_room(&mut self) {
        self.buffer.clear();
        if self.full && self.buffer.capacity() < MOST_EVENTS {
            self.buffer.reserve(2 * self.buffer.capacity());
        }
    }
}
