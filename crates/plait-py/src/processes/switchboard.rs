//! Where the answers of all workers of a pool come in.
//!
//! All of them ring one bell. Who sleeps there is one of two: a thread that waits for a result, which so reads it itself, or else the pool's helper, which also
//! hears of workers that died. While a thread reads, the helper is not rung for: the bell says who is. When the thread has what it wanted, it leaves the bell to the helper again, and
//! tells it if something has come meanwhile.
//!
//! Rejected: a thread that reads all answers and wakes who waits for them, as in the standard pool: that is one more switch between threads for each call.

use super::end::{End, Received};
use super::link::{Line, ProcessLink};
use crate::errors::os_error;
use crate::faces::futures::future::ConcurrentFuture;
use crate::faces::universal::strand::thread_ident;
use crate::waiters::thread::watch_hopefully;
use plait_core::shm::bell::Bell;
use plait_core::shm::memory::Memory;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags, Timespec};
use rustix::io::Errno;
use std::io::Result;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What epoll says of the eventfd. Of a line it says twice its key, and one more for the process.
const TOLD: u64 = u64::MAX;
/// So many messages are taken from a worker before the next one's turn.
const IN_TURN: usize = 64;

struct Board {
    /// None: messages go by sockets.
    bell: Option<Memory>,
    event: OwnedFd,
    epoll: OwnedFd,
    lines: Mutex<Vec<Arc<Line>>>,
    /// Counts what a thread that reads is to notice, and is no message.
    pokes: AtomicU64,
    /// Which thread reads.
    reader: Mutex<Option<u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    fn new() -> Result<Board> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &event, EventData::new_u64(TOLD), EventFlags::IN)?;
        let bell = match Memory::new("plait-bell", 4096) {
            Ok(memory) => Some(memory),
            // Forbidden, or a kernel without.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EACCES)) => {
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Board {
            bell,
            event,
            epoll,
            lines: Mutex::default(),
            pokes: AtomicU64::new(0),
            reader: Mutex::new(None),
        })
    }

    fn bell(&self) -> Option<Bell<'_>> {
        self.bell.as_ref().map(|memory| Bell::new(memory.word(0)))
    }

    fn lines(&self) -> Vec<Arc<Line>> {
        lock(&self.lines).clone()
    }

    fn has_come(&self) -> bool {
        lock(&self.lines).iter().any(|line| !line.ended.load(Ordering::Acquire) && line.end.has_come())
    }

    fn tell(&self) {
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Wakes the thread that reads, if one does; else the helper.
    fn poke(&self) {
        self.pokes.fetch_add(1, Ordering::SeqCst);
        if self.bell().is_none_or(Bell::ring_anyway) {
            self.tell();
        }
    }

    /// The helper sleeps: until something has come, a worker has died, or somebody has told it. The keys of those that may have died.
    fn sleep(&self, timeout: Option<Duration>) -> Result<Vec<u64>> {
        {
            let reader = lock(&self.reader);
            let come =
                reader.is_none() && self.bell().is_some_and(|bell| bell.leave_to_poller(|| self.has_come()));
            if come {
                return self.poll(Some(Duration::ZERO));
            }
        }
        let died = self.poll(timeout);
        // Whatever woke it: from now on it looks by itself. Else its own poke would be for itself.
        let reader = lock(&self.reader);
        if reader.is_none() {
            self.bell().into_iter().for_each(Bell::silence);
        }
        died
    }

    fn poll(&self, timeout: Option<Duration>) -> Result<Vec<u64>> {
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; 64];
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let count = match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        let mut died = Vec::new();
        for event in &events[..count] {
            match event.data.u64() {
                TOLD => drop(rustix::io::read(&self.event, &mut [0; 8])),
                data if data % 2 == 1 => died.push(data / 2),
                _ => {}
            }
        }
        Ok(died)
    }

    /// The thread that reads sleeps: until something has come, or somebody has poked, for at most so long.
    fn read(&self, py: Python<'_>, pokes: u64, timeout: Option<Duration>) -> PyResult<()> {
        let has_come = || self.has_come() || self.pokes.load(Ordering::SeqCst) != pokes;
        if has_come() {
            return Ok(());
        }
        if py.detach(|| watch_hopefully(has_come)) {
            return py.check_signals();
        }
        // A signal that came while it watched would else be noticed by the next one only.
        py.check_signals()?;
        py.detach(|| self.bell().is_some_and(|bell| bell.sleep(has_come, timeout)));
        py.check_signals()
    }

    /// Takes messages in. Those of a line that makes no sense end with it, and so does its worker.
    fn take(&self) -> Vec<(u64, Received)> {
        let mut taken = Vec::new();
        for line in self.lines() {
            if line.ended.load(Ordering::Acquire) {
                continue;
            }
            let mut received = Vec::new();
            let outcome = line.end.receive(IN_TURN, &mut received);
            taken.extend(received.into_iter().map(|message| (line.key, message)));
            if outcome.is_err() {
                line.ended.store(true, Ordering::Release);
                let _ = line.kill(libc::SIGKILL);
            } else if End::has_ended(&line.end) {
                line.ended.store(true, Ordering::Release);
                let _ = epoll::delete(&self.epoll, line.end.socket.as_fd());
            }
        }
        taken
    }
}

/// While it is there, a thread reads, and the helper is not rung for.
struct Reading<'a> {
    board: &'a Board,
    /// The same thread reads already: it waits for one result, and a signal's handler for another.
    nested: bool,
}

impl Reading<'_> {
    /// None: another thread reads, or nobody can.
    fn begin(board: &Board) -> Option<Reading<'_>> {
        let bell = board.bell()?;
        let mut reader = lock(&board.reader);
        let nested = *reader == Some(thread_ident());
        if reader.is_some() && !nested {
            return None;
        }
        *reader = Some(thread_ident());
        bell.silence();
        Some(Reading { board, nested })
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.nested {
            return;
        }
        let board = self.board;
        let mut reader = lock(&board.reader);
        *reader = None;
        if board.bell().is_some_and(|bell| bell.leave_to_poller(|| board.has_come())) {
            board.tell();
        }
    }
}

/// Where the answers of all workers of a pool come in. Safe to use from all threads; in a forked child it is not to be used.
#[pyclass(module = "plait._native", frozen)]
pub struct Switchboard(Mutex<Option<Arc<Board>>>);

impl Switchboard {
    fn board(&self) -> PyResult<Arc<Board>> {
        lock(&self.0).clone().ok_or_else(|| PyValueError::new_err("the pool's switchboard is closed"))
    }
}

fn duration(timeout: Option<f64>) -> Option<Duration> {
    timeout.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

#[pymethods]
impl Switchboard {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Switchboard> {
        let board = Board::new().map_err(|error| os_error(py, &error))?;
        Ok(Switchboard(Mutex::new(Some(Arc::new(board)))))
    }

    /// Whether messages go by rings in shared memory. False where that is forbidden: then they go by sockets.
    #[getter]
    fn by_rings(&self) -> bool {
        self.board().is_ok_and(|board| board.bell.is_some())
    }

    /// A link to a worker that is going to be started. `key` is the worker's number.
    fn connect(&self, py: Python<'_>, key: u64) -> PyResult<ProcessLink> {
        let board = self.board()?;
        let bell = board.bell.as_ref().map(|memory| (memory, board.event.as_fd()));
        let (line, theirs) = Line::new(key, bell).map_err(|error| os_error(py, &error))?;
        let line = Arc::new(line);
        if board.bell.is_none() {
            epoll::add(&board.epoll, &*line.end.socket, EventData::new_u64(key * 2), EventFlags::IN)
                .map_err(|error| os_error(py, &error.into()))?;
        }
        lock(&board.lines).push(Arc::clone(&line));
        Ok(ProcessLink::new(line, theirs))
    }

    /// The worker has been started, and has this process id. False: it is gone already.
    fn watch(&self, py: Python<'_>, key: u64, process: i32) -> PyResult<bool> {
        let board = self.board()?;
        let Some(line) = board.lines().into_iter().find(|line| line.key == key) else { return Ok(false) };
        let added = match line.begin_watching(process) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(false),
            Err(error) => Err(error),
            Ok(process) => {
                let data = EventData::new_u64(key * 2 + 1);
                epoll::add(&board.epoll, process, data, EventFlags::IN).map_err(Into::into)
            }
        };
        added.map(|()| true).map_err(|error| os_error(py, &error))
    }

    /// That worker is gone, and all it had to say was taken.
    fn disconnect(&self, key: u64) -> PyResult<()> {
        let board = self.board()?;
        let removed = {
            let mut lines = lock(&board.lines);
            lines.iter().position(|line| line.key == key).map(|at| lines.remove(at))
        };
        if let Some(line) = removed {
            if board.bell.is_none() {
                let _ = epoll::delete(&board.epoll, &*line.end.socket);
            }
            if let Some(process) = line.watched() {
                let _ = epoll::delete(&board.epoll, process);
            }
        }
        Ok(())
    }

    /// For the helper: sleep until something has come, for at most so many seconds. The keys of workers that have died.
    fn sleep(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Vec<u64>> {
        let board = self.board()?;
        let died = py.detach(|| board.sleep(duration(timeout)));
        py.check_signals()?;
        died.map_err(|error| os_error(py, &error))
    }

    /// For a thread that waits for a future: have the pool take in answers, and sleep until there are more, until it is done or so many seconds have passed. Returns at
    /// once where another thread does that, or messages go by sockets.
    fn read_for(
        &self,
        pool: &Bound<'_, PyAny>,
        future: &Bound<'_, ConcurrentFuture>,
        seconds: Option<f64>,
    ) -> PyResult<()> {
        let py = pool.py();
        let Ok(board) = self.board() else { return Ok(()) };
        let Some(_reading) = Reading::begin(&board) else { return Ok(()) };
        let end = duration(seconds).map(|left| Instant::now() + left);
        loop {
            let pokes = board.pokes.load(Ordering::SeqCst);
            let came = pool.call_method0(intern!(py, "_collect"))?.is_truthy()?;
            if future.get().phase(py).is_done() {
                return Ok(());
            }
            if came {
                continue;
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(());
            }
            let nap = duration(pool.call_method0(intern!(py, "_nap"))?.extract()?);
            let longest = [left, nap].into_iter().flatten().min();
            board.read(py, pokes, longest)?;
            if nap.is_some() {
                pool.call_method0(intern!(py, "_tend_batches"))?;
            }
        }
    }

    /// Have the thread that reads, or else the helper, look.
    fn poke(&self) {
        if let Ok(board) = self.board() {
            board.poke();
        }
    }

    /// Have the helper look.
    fn tell(&self) {
        if let Ok(board) = self.board() {
            board.tell();
        }
    }

    /// Appends what has come to a list: of each message the worker's key, its kind, its number, the nanoseconds that the call took, and its parts. No signal handler
    /// runs in between. Returns how many there were.
    fn take(&self, py: Python<'_>, into: &Bound<'_, PyList>) -> PyResult<usize> {
        let Ok(board) = self.board() else { return Ok(0) };
        let taken = board.take();
        let count = taken.len();
        for (key, message) in taken {
            let head = message.head;
            into.append((key, head.kind, head.number, head.nanoseconds, message.into_parts(py)?))?;
        }
        Ok(count)
    }

    /// All descriptors that a forked child inherits and has no use for.
    fn descriptors(&self) -> Vec<i32> {
        let Ok(board) = self.board() else { return Vec::new() };
        let mut all = vec![board.event.as_raw_fd(), board.epoll.as_raw_fd()];
        all.extend(board.bell.as_ref().map(|memory| memory.descriptor().as_raw_fd()));
        // A thread of the parent's may have held it.
        if let Ok(lines) = board.lines.try_lock() {
            lines.iter().for_each(|line| line.descriptors(&mut all));
        }
        all
    }

    /// Let go of everything.
    fn close(&self) {
        let board = lock(&self.0).take();
        drop(board);
    }
}
