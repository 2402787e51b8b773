//! A queue as this process sees it, and how its threads wait there.
//!
//! A thread that has to wait lets go of the interpreter, watches the queue for some microseconds, and sleeps then on a word in the shared memory. Signals
//! end the sleep: Python's handlers run, and if none raises, the wait goes on. Only a long message that has begun to arrive is not left alone
//! for a signal, nor because the time is up, since what has arrived of it would be lost: not while more of it keeps coming.

use super::messages;
use crate::errors::os_error;
use crate::ffi::own_descriptor;
use crate::guarded::Guarded;
use crate::native_thread;
use crate::waiters::thread::watch_hopefully;
use crate::waiters::{Patience, LONGEST_TIMEOUT};
use plait_core::fork;
use plait_core::shm::queue::backlog::Backlog;
use plait_core::shm::queue::life::has_ended;
use plait_core::shm::queue::{Corrupt, Descriptors, Got, Put, Putter, Queue, Side, Taker, LONGEST_SLEEP};
use pyo3::exceptions::{PyEOFError, PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use std::cell::Cell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How often a reader looks again before it lets go of the interpreter.
const LOOKS: usize = 30;
/// A writer of whose message nothing has come for so long is stopped, and not slow.
const STALLED: Duration = Duration::from_secs(2);
/// A larger buffer is not kept.
const LARGEST_KEPT: usize = 64 * 1024;

thread_local! {
    /// Where a message lies between Python and the ring.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a message is written to. The next one of this thread uses the same memory again.
pub struct Buffer(pub Vec<u8>);

impl Buffer {
    #[inline]
    pub fn take() -> Buffer {
        let mut bytes = BUFFER.take();
        bytes.clear();
        Buffer(bytes)
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() <= LARGEST_KEPT {
            // An error: the thread is just ending.
            let _ = BUFFER.try_with(|kept| kept.set(std::mem::take(&mut self.0)));
        }
    }
}

/// One queue.
pub struct Channel {
    pub queue: Arc<Queue>,
    /// In which generation of processes it was closed, plus one.
    closed: AtomicU32,
    /// In which something was put last, plus one.
    put: AtomicU32,
    /// In which each end was taken away from all others, plus one.
    held: [AtomicU32; 2],
    /// A thread of this process is at that end, by that right.
    used: [AtomicBool; 2],
    /// The reading end of a pipe whose writing ends are held by all who may put, but not by this process: see `life`.
    writers: OnceLock<OwnedFd>,
    /// What has found no room, and in which generation: what a parent had to send is no business of its child.
    backlog: Guarded<Option<(u32, Arc<Backlog>)>>,
}

impl Channel {
    fn over(queue: Queue) -> Channel {
        Channel {
            queue: Arc::new(queue),
            closed: AtomicU32::new(0),
            put: AtomicU32::new(0),
            held: Default::default(),
            used: Default::default(),
            writers: OnceLock::new(),
            backlog: Guarded::new(None),
        }
    }

    /// A new queue.
    pub fn create(py: Python<'_>, maxsize: u32) -> PyResult<Channel> {
        Queue::new(maxsize).map(Channel::over).map_err(|error| os_error(py, &error))
    }

    /// One that another process has made: its memory and its bells, which belong to the channel from now on.
    pub fn open(py: Python<'_>, memory: RawFd, items: RawFd, slots: Option<RawFd>) -> PyResult<Channel> {
        let descriptors = Descriptors {
            memory: own_descriptor(memory)?,
            items: own_descriptor(items)?,
            slots: slots.map(own_descriptor).transpose()?,
        };
        Queue::open(descriptors).map(Channel::over).map_err(|error| os_error(py, &error))
    }

    /// What [`Channel::open`] takes, still this channel's own.
    pub fn descriptors(&self) -> (RawFd, RawFd, Option<RawFd>) {
        let Descriptors { memory, items, slots } = self.queue.descriptors();
        (memory.as_raw_fd(), items.as_raw_fd(), slots.map(|slots| slots.as_raw_fd()))
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        // Relaxed: who closes it elsewhere at the same time comes before or after.
        self.closed.load(Ordering::Relaxed) == fork::generation().wrapping_add(1)
    }

    pub fn close(&self) {
        self.closed.store(fork::generation().wrapping_add(1), Ordering::Relaxed);
    }

    /// Whether this process has put something.
    pub fn has_put(&self) -> bool {
        self.put.load(Ordering::Relaxed) == fork::generation().wrapping_add(1)
    }

    // ---- putting

    /// What this process has still to send, if that is something.
    #[inline]
    pub fn unsent(&self, py: Python<'_>) -> Option<Arc<Backlog>> {
        let now = fork::generation();
        self.backlog.with(py, |backlog| match backlog {
            Some((generation, backlog)) if *generation == now && !backlog.is_empty() => {
                Some(Arc::clone(backlog))
            }
            _ => None,
        })
    }

    /// What this process sends later.
    pub fn backlog(&self, py: Python<'_>) -> Arc<Backlog> {
        let now = fork::generation();
        self.backlog.with(py, |backlog| {
            if let Some((generation, backlog)) = backlog {
                if *generation == now {
                    return Arc::clone(backlog);
                }
            }
            let fresh = Arc::new(Backlog::new(Arc::clone(&self.queue)));
            // What a parent has left behind may be in the midst of a change: it is not even dropped.
            std::mem::forget(backlog.replace((now, Arc::clone(&fresh))));
            fresh
        })
    }

    /// Puts a message into the ring, or else lets it wait in this process. Not Done, but Full: there are too many already. The second: a thread was started.
    #[inline]
    pub fn try_put(&self, py: Python<'_>, message: &mut Vec<u8>) -> PyResult<(Put, bool)> {
        self.put.store(fork::generation().wrapping_add(1), Ordering::Relaxed);
        if !self.queue.is_long(message.len()) && self.unsent(py).is_none() {
            match Putter::new(&self.queue, message, false).step().map_err(corrupt)? {
                Put::NoRoom | Put::Busy => {}
                put => return Ok((put, false)),
            }
        }
        self.put_later(py, message)
    }

    #[cold]
    fn put_later(&self, py: Python<'_>, message: &mut Vec<u8>) -> PyResult<(Put, bool)> {
        if !self.queue.reserve() {
            return Ok((Put::Full, false));
        }
        let backlog = self.backlog(py);
        let start = backlog.push(std::mem::take(message));
        if start {
            let body = Arc::clone(&backlog);
            if native_thread::spawn("plait-feeder", move || body.feed()).is_err() {
                backlog.not_fed();
                return Err(PyRuntimeError::new_err("can't start new thread"));
            }
        }
        Ok((Put::Done, start))
    }

    /// Waits until there may be a place.
    pub fn wait_for_place(&self, py: Python<'_>, patience: Patience<'_>) -> PyResult<()> {
        let signal = self.queue.signal_after(Put::Full);
        let ticket = signal.announce();
        if self.queue.is_full() {
            let nap = nap(patience);
            py.detach(|| signal.sleep(ticket, nap));
        }
        py.check_signals()
    }

    /// Puts a message into the ring, and waits for as long as there is no room. If this process has the tail for itself, it does so by that: so do the connections
    /// of pipes, which ask for no lock.
    pub fn put_waiting(&self, py: Python<'_>, message: &[u8]) -> PyResult<()> {
        let turn = self.turn(Side::Tail);
        let mut putter = match turn {
            Some(_) => Putter::of_holder(&self.queue, message),
            None => Putter::new(&self.queue, message, false),
        };
        let mut put = putter.step();
        while put.map_err(corrupt)? != Put::Done {
            py.check_signals()?;
            put = py.detach(|| putter.step_or_sleep(LONGEST_SLEEP));
        }
        Ok(())
    }

    // ---- getting

    /// Gets a message into the buffer. False: there was none in time.
    #[inline]
    pub fn get(
        &self,
        py: Python<'_>,
        into: &mut Vec<u8>,
        patience: impl FnOnce() -> PyResult<Option<Patience<'static>>>,
    ) -> PyResult<bool> {
        self.get_by(py, Taker::new(&self.queue), into, patience)
    }

    #[inline]
    fn get_by(
        &self,
        py: Python<'_>,
        mut taker: Taker<'_>,
        into: &mut Vec<u8>,
        patience: impl FnOnce() -> PyResult<Option<Patience<'static>>>,
    ) -> PyResult<bool> {
        match taker.step(into).map_err(corrupt)? {
            Got::Message => Ok(true),
            got => match (patience()?, got) {
                (None, Got::More) => self.get_waiting(py, taker, got, into, Patience::seconds(0.0)),
                (None, _) => Ok(false),
                (Some(patience), _) => self.get_waiting(py, taker, got, into, patience),
            },
        }
    }

    /// `got`: what became of the taker's first attempt.
    fn get_waiting(
        &self,
        py: Python<'_>,
        mut taker: Taker<'_>,
        mut got: Got,
        into: &mut Vec<u8>,
        patience: Patience<'_>,
    ) -> PyResult<bool> {
        let mut arrival = Arrival::default();
        loop {
            let come = self.comes_soon() || py.detach(|| watch_hopefully(|| !self.queue.is_empty()));
            if come {
                got = taker.step(into).map_err(corrupt)?;
            }
            if got == Got::Message {
                return Ok(true);
            }
            if !arrival.goes_on(got, into.len()) {
                py.check_signals().inspect_err(|_| self.queue.pass_on())?;
            }
            // What has begun to arrive is waited for.
            let nap = if got == Got::More { LONGEST_SLEEP } else { nap(patience) };
            got = py.detach(|| taker.step_or_sleep(into, nap)).map_err(corrupt)?;
            match got {
                Got::Message => return Ok(true),
                Got::Empty | Got::Busy if patience.is_over() => {
                    got = taker.step(into).map_err(corrupt)?;
                    if got != Got::More {
                        return Ok(self.last_try(got));
                    }
                }
                Got::Empty if self.is_over() => return Err(PyEOFError::new_err(())),
                Got::Empty | Got::Busy | Got::More => {}
            }
        }
    }

    /// From now on it is an error to wait for a message when nobody has the other end of that pipe any more.
    pub fn ends_with(&self, writers: OwnedFd) {
        // An error: it was said before.
        let _ = self.writers.set(writers);
    }

    /// Whether there is nothing to get and never will be.
    fn is_over(&self) -> bool {
        // In this order: what the last writer has put was there before its end.
        self.writers.get().is_some_and(|writers| has_ended(writers.as_fd())) && self.queue.is_empty()
    }

    /// The time is up. Says whether that was a message.
    fn last_try(&self, got: Got) -> bool {
        if got != Got::Message {
            self.queue.pass_on();
        }
        got == Got::Message
    }

    #[inline]
    fn comes_soon(&self) -> bool {
        (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            !self.queue.is_empty()
        })
    }

    /// The object of a message that was got.
    #[inline]
    pub fn get_object<'py>(
        &self,
        py: Python<'py>,
        patience: impl FnOnce() -> PyResult<Option<Patience<'static>>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut buffer = Buffer::take();
        match self.get(py, &mut buffer.0, patience)? {
            true => messages::decode(py, &buffer.0).map(Some),
            false => Ok(None),
        }
    }

    /// Gets an object as the connection of a pipe does, which asks for no lock: if this process has the head, by that.
    pub fn receive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut buffer = Buffer::take();
        let patience = || Ok(Some(Patience::Forever));
        match self.turn(Side::Head) {
            Some(_turn) => self.get_by(py, Taker::of_holder(&self.queue), &mut buffer.0, patience)?,
            None => self.get(py, &mut buffer.0, patience)?,
        };
        messages::decode(py, &buffer.0)
    }

    // ---- waiting for others

    /// Waits until there is something to get. False: not in time.
    pub fn wait_for_item(&self, py: Python<'_>, patience: Patience<'_>) -> PyResult<bool> {
        let signal = self.queue.items();
        loop {
            let ticket = signal.announce();
            if !self.queue.is_empty() {
                // It leaves the item to others.
                self.queue.pass_on();
                return Ok(true);
            }
            if self.is_over() {
                return Ok(true);
            }
            if patience.is_over() {
                return Ok(false);
            }
            let nap = nap(patience);
            py.detach(|| signal.sleep(ticket, nap));
            py.check_signals()?;
        }
    }

    /// Waits until all tasks are done.
    pub fn join(&self, py: Python<'_>) -> PyResult<()> {
        let signal = self.queue.joined();
        loop {
            let ticket = signal.announce();
            if self.queue.unfinished() as i32 <= 0 {
                return Ok(());
            }
            py.detach(|| signal.sleep(ticket, LONGEST_SLEEP));
            if signal.has_come(ticket) {
                return Ok(());
            }
            py.check_signals()?;
        }
    }

    /// The right to that end, if this process has taken it away from everybody and no other thread is at it just now.
    #[inline]
    fn turn(&self, side: Side) -> Option<Turn<'_>> {
        let held = self.held[side as usize].load(Ordering::Relaxed) == fork::generation().wrapping_add(1);
        let used = &self.used[side as usize];
        (held && !used.swap(true, Ordering::Acquire)).then_some(Turn(used))
    }

    /// Gives it back. False: this process does not have it.
    pub fn release(&self, side: Side) -> bool {
        let held = fork::generation().wrapping_add(1);
        // One of several threads that do it at the same time has it.
        let mine = self.held[side as usize].compare_exchange(held, 0, Ordering::Relaxed, Ordering::Relaxed);
        mine.is_ok() && self.queue.release_side(side)
    }

    /// Takes one end away from everybody. False: not in time.
    pub fn hold(&self, py: Python<'_>, side: Side, patience: Option<Patience<'_>>) -> PyResult<bool> {
        let taken = self.take(py, side, patience)?;
        if taken {
            self.held[side as usize].store(fork::generation().wrapping_add(1), Ordering::Relaxed);
        }
        Ok(taken)
    }

    fn take(&self, py: Python<'_>, side: Side, patience: Option<Patience<'_>>) -> PyResult<bool> {
        loop {
            if self.queue.hold_side(side, Duration::ZERO) {
                return Ok(true);
            }
            let Some(patience) = patience.filter(|patience| !patience.is_over()) else {
                return Ok(false);
            };
            let nap = nap(patience);
            if py.detach(|| self.queue.hold_side(side, nap)) {
                return Ok(true);
            }
            py.check_signals()?;
        }
    }
}

/// One thread at an end that its process has to itself.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// How much of a long message has arrived, and when its last piece did.
#[derive(Default)]
struct Arrival(Option<(usize, Instant)>);

impl Arrival {
    /// Whether a message is arriving, of which there are now so many bytes, and pieces of it still come.
    fn goes_on(&mut self, got: Got, bytes: usize) -> bool {
        let before = self.0.filter(|_| got == Got::More);
        self.0 = match before {
            Some((same, since)) if same == bytes => Some((same, since)),
            _ => (got == Got::More).then(|| (bytes, Instant::now())),
        };
        self.0.is_some_and(|(_, since)| since.elapsed() < STALLED)
    }
}

/// How long to sleep at once.
fn nap(patience: Patience<'_>) -> Duration {
    patience.left().unwrap_or(Duration::from_secs_f64(LONGEST_TIMEOUT))
}

/// What is raised when another process has written rubbish.
#[cold]
fn corrupt(_: Corrupt) -> PyErr {
    PyOSError::new_err("the memory of the queue was damaged by another process")
}
