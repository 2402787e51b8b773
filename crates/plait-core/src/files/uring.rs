//! io_uring: the kernel makes a plan's calls, one after the other, and tells when each is done.
//!
//! Entries are collected for a turn of the loop and handed over with one system call. The ring rings the loop's bell, an eventfd, so that
//! the loop watches one descriptor for it and the threads. Many kernels and containers forbid io_uring: whether this
//! process may is found out once, by making a ring.
//!
//! The kernel reads and writes the plan's memory until the completion has come, whoever waits for it or does not. So a plan lies in a box
//! that nobody opens before; and where the ring is dropped while calls are under way that do not end, their plans are left
//! in memory for good.

use super::completions::Completion;
use super::opening::seek_number;
use super::plan::{Answer, Call, Plan};
use crate::fd::borrow;
use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, FsyncFlags};
use io_uring::{opcode, IoUring, Probe};
use rustix::fs::{fcntl_getfl, OFlags};
use rustix::io::Errno;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ENTRIES: u32 = 128;
/// How often the kernel is asked again at once.
const MOST_REFUSALS: u32 = 100;
/// Room for what is done before the loop looks. Where it does not suffice the kernel keeps the others, for a little more work.
const COMPLETIONS: u32 = 1024;
/// The kernel takes at most so much in one entry, whose length has 32 bits.
const MOST_IN_ONE_ENTRY: usize = 0x7fff_f000;
/// Of an entry whose completion tells nothing.
const CANCEL: u64 = u64::MAX;
/// How long a ring that is dropped waits for the calls that it has cancelled.
const LONGEST_GOODBYE: Duration = Duration::from_millis(500);

/// Whether the kernel has refused once and for all.
static REFUSED: AtomicBool = AtomicBool::new(false);

struct Flight {
    id: u64,
    plan: Box<dyn Plan>,
    /// Where the call under way began, if the file has positions.
    begun_at: Option<Place>,
    /// Nobody waits for it.
    given_up: bool,
    /// The call under way may be cancelled: a `close` that was not made would leave the file open for good.
    may_be_cancelled: bool,
}

impl Flight {
    /// An operation that was given up is told that it was interrupted, where a thread of the kernel's was at it: not to be begun anew.
    fn answer(&mut self, result: i32) {
        let interrupted = -Errno::INTR.raw_os_error();
        let result = match self.given_up && self.may_be_cancelled && result == interrupted {
            true => -Errno::CANCELED.raw_os_error(),
            false => result,
        };
        let answer: Answer = u64::try_from(result).map_err(|_| -result);
        if let Some(place) = self.begun_at.take() {
            place.move_behind(&answer);
        }
        self.plan.answer(answer);
    }
}

/// A place in a file. The ring could use the file's own position, too (an offset of -1), but does not move it when a write that came short is
/// continued and fails then: the next write would be over what was written. So calls say where, and the position is moved behind them.
#[derive(Clone, Copy)]
struct Place {
    fd: RawFd,
    position: u64,
    /// Writes go to the end, wherever that is by then.
    appends: bool,
}

impl Place {
    /// Moves only a number, and waits for nothing. None: a pipe, a terminal, a socket.
    fn of(call: &Call<'_>) -> Option<Place> {
        let (fd, writes) = match call {
            Call::Read { fd, .. } => (*fd, false),
            Call::Write { fd, .. } => (*fd, true),
            _ => return None,
        };
        let position = seek_number(fd, 0, libc::SEEK_CUR).ok()?;
        let flags = || borrow(fd).and_then(fcntl_getfl);
        let appends = writes && flags().is_ok_and(|flags| flags.contains(OFlags::APPEND));
        Some(Place { fd, position, appends })
    }

    fn move_behind(self, answer: &Answer) {
        // A file that can tell its position can be moved.
        let _ = match answer {
            Ok(0) | Err(_) => return,
            Ok(_) if self.appends => seek_number(self.fd, 0, libc::SEEK_END),
            Ok(count) => seek_number(self.fd, (self.position + count) as i64, libc::SEEK_SET),
        };
    }
}

pub struct Ring {
    ring: IoUring,
    flights: Slab<Flight>,
    /// Completions that had to make room, and are not told yet.
    aside: Vec<(u64, i32)>,
    generation: u32,
}

impl Ring {
    /// None where the kernel, or whoever guards it, does not let us.
    pub fn new(bell: BorrowedFd<'_>) -> Option<Ring> {
        if REFUSED.load(Ordering::Relaxed) {
            return None;
        }
        match Ring::make(bell) {
            Ok(ring) => ring,
            Err(error) => {
                let errno = error.raw_os_error().map(Errno::from_raw_os_error);
                if let Some(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL) = errno {
                    REFUSED.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }

    fn make(bell: BorrowedFd<'_>) -> io::Result<Option<Ring>> {
        let ring = IoUring::builder().setup_clamp().setup_cqsize(COMPLETIONS).build(ENTRIES)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [
            opcode::OpenAt::CODE,
            opcode::Read::CODE,
            opcode::Write::CODE,
            opcode::Fsync::CODE,
            opcode::Close::CODE,
            opcode::AsyncCancel::CODE,
        ];
        // Reads at the file's own position, and completions that are never lost.
        let parameters = ring.params();
        let able = parameters.is_feature_rw_cur_pos() && parameters.is_feature_nodrop();
        if !able || !needed.iter().all(|code| probe.is_supported(*code)) {
            return Ok(None);
        }
        ring.submitter().register_eventfd(bell.as_raw_fd())?;
        Ok(Some(Ring {
            ring,
            flights: Slab::new(),
            aside: Vec::new(),
            generation: crate::fork::generation(),
        }))
    }

    /// Begins with a plan. Its first call is made at the next [`Ring::submit`].
    pub fn start(&mut self, id: u64, plan: Box<dyn Plan>, over: &mut VecDeque<Completion>) {
        let key = self.flights.insert(Flight {
            id,
            plan,
            begun_at: None,
            given_up: false,
            may_be_cancelled: false,
        });
        self.advance(key, over);
    }

    fn advance(&mut self, key: usize, over: &mut VecDeque<Completion>) {
        let flight = &mut self.flights[key];
        let call = flight.plan.call();
        flight.begun_at = call.as_ref().and_then(Place::of);
        flight.may_be_cancelled = matches!(call, Some(Call::Read { .. } | Call::Open { .. }));
        let cancelled = flight.given_up && flight.may_be_cancelled;
        let begun_at = flight.begun_at.map_or(OWN_POSITION, |place| place.position);
        match call.map(|call| entry(call, begun_at)) {
            Some(entry) => {
                self.push(&entry.user_data(key as u64));
                if cancelled {
                    // The call before was done all the same.
                    self.push_cancel(key);
                }
            }
            None => {
                let flight = self.flights.remove(key);
                over.push_back(Completion { id: flight.id, done: flight.plan.finish() });
            }
        }
    }

    fn push(&mut self, entry: &Entry) {
        // SAFETY: what the entry points at lies in a plan that stays boxed among the flights, and is neither asked nor moved, until the
        // completion has come.
        #[allow(unsafe_code)]
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // Full. The kernel takes entries off whenever it is called.
            self.submit();
        }
    }

    /// Hands over what was collected. False: the kernel does not take it now, and wants to be asked again.
    pub fn submit(&mut self) -> bool {
        let mut patience = MOST_REFUSALS;
        while !self.ring.submission().is_empty() {
            let refused = match self.ring.submit() {
                Ok(_) => continue,
                Err(error) => error.raw_os_error().map(Errno::from_raw_os_error),
            };
            match refused {
                Some(Errno::INTR) => {}
                // Too many completions that nobody has taken: they are put aside, and make room.
                Some(Errno::BUSY) => {
                    let came = self.taken();
                    self.aside.extend(came);
                    std::thread::yield_now();
                }
                // Short of memory: a moment later it goes on, or the loop comes back to it. The entries stay: they cannot be taken back.
                _ if patience == 0 => return false,
                _ => {
                    patience -= 1;
                    std::thread::yield_now();
                }
            }
        }
        true
    }

    /// What the kernel has completed; plans go on with their next call. The answer is that of [`Ring::submit`].
    pub fn collect(&mut self, over: &mut VecDeque<Completion>) -> bool {
        loop {
            let came = self.come();
            if came.is_empty() && !self.ring.submission().cq_overflow() {
                let submitted = self.submit();
                if self.aside.is_empty() {
                    return submitted;
                }
            }
            for (key, result) in came {
                if key != CANCEL {
                    self.flights[key as usize].answer(result);
                    self.advance(key as usize, over);
                }
            }
            if self.ring.submission().cq_overflow() {
                // There was no room for all: the kernel has kept the others, and hands them over when it is called.
                let _ = self.ring.submit();
            }
        }
    }

    fn come(&mut self) -> Vec<(u64, i32)> {
        let mut came = std::mem::take(&mut self.aside);
        came.extend(self.taken());
        came
    }

    fn taken(&mut self) -> Vec<(u64, i32)> {
        self.ring.completion().map(|entry| (entry.user_data(), entry.result())).collect()
    }

    /// Asks the kernel to give that operation up. It may be done all the same.
    pub fn cancel(&mut self, id: u64) {
        if let Some((key, flight)) = self.flights.iter_mut().find(|(_, flight)| flight.id == id) {
            flight.given_up = true;
            if flight.may_be_cancelled {
                self.push_cancel(key);
                self.submit();
            }
        }
    }

    fn push_cancel(&mut self, key: usize) {
        self.push(&opcode::AsyncCancel::new(key as u64).build().user_data(CANCEL));
    }

    fn say_goodbye(&mut self) {
        self.push(&opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(CANCEL));
        self.submit();
        let until = Instant::now() + LONGEST_GOODBYE;
        let mut over = VecDeque::new();
        while !self.flights.is_empty() && Instant::now() < until {
            let patience = io_uring::types::Timespec::from(Duration::from_millis(20));
            let arguments = io_uring::types::SubmitArgs::new().timespec(&patience);
            // A time-out, an interruption: looked at again.
            let _ = self.ring.submitter().submit_with_args(1, &arguments);
            for (key, result) in self.come().into_iter().filter(|(key, _)| *key != CANCEL) {
                let mut flight = self.flights.remove(key as usize);
                flight.plan.answer(u64::try_from(result).map_err(|_| -result));
                over.push_back(flight);
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        // In a forked child the calls are the parent's.
        if self.generation == crate::fork::generation() {
            self.say_goodbye();
        }
        std::mem::forget(std::mem::take(&mut self.flights));
    }
}

/// What has no positions has this.
const OWN_POSITION: u64 = u64::MAX;

/// The call as an entry.
fn entry(call: Call<'_>, position: u64) -> Entry {
    match call {
        Call::Open { path, flags, mode } => {
            opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).flags(flags).mode(mode).build()
        }
        Call::Read { fd, into } => {
            let length = into.len().min(MOST_IN_ONE_ENTRY) as u32;
            opcode::Read::new(Fd(fd), into.as_mut_ptr().cast(), length).offset(position).build()
        }
        Call::Write { fd, data } => {
            let length = data.len().min(MOST_IN_ONE_ENTRY) as u32;
            opcode::Write::new(Fd(fd), data.as_ptr(), length).offset(position).build()
        }
        Call::Sync { fd, data_only } => {
            let flags = if data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
            opcode::Fsync::new(Fd(fd)).flags(flags).build()
        }
        Call::Close { fd } => opcode::Close::new(Fd(fd)).build(),
    }
}
