//! One engine for each loop: who makes the calls, and how the loop hears of it.

use super::completions::{Completion, Completions};
use super::pool::Pool;
use super::uring::Ring;
use super::work::Work;
use super::Done;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long an engine that goes away waits for what is to be written.
const LONGEST_GOODBYE: Duration = Duration::from_secs(5);

/// Who is to make the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The kernel where it may, else threads.
    Best,
    /// Nobody else than that one.
    Only(Kind),
}

/// Who makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel.
    IoUring,
    /// A few threads.
    Threads,
}

/// See the module's text. For the loop's own thread.
pub struct Engine {
    completions: Arc<Completions>,
    pool: Pool,
    ring: Option<Ring>,
    staged: Vec<(u64, Work)>,
    over: VecDeque<Completion>,
    /// What changes files and is not over: exits wait for that.
    writing: HashSet<u64>,
    generation: u32,
}

impl Engine {
    /// An engine that has started nothing yet.
    pub fn new(choice: Choice) -> io::Result<Engine> {
        let completions = Arc::new(Completions::new()?);
        let ring = match choice {
            Choice::Only(Kind::Threads) => None,
            Choice::Best | Choice::Only(Kind::IoUring) => Ring::new(completions.bell()),
        };
        if ring.is_none() && choice == Choice::Only(Kind::IoUring) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Engine {
            pool: Pool::new(&completions),
            completions,
            ring,
            staged: Vec::new(),
            over: VecDeque::new(),
            writing: HashSet::new(),
            generation: crate::fork::generation(),
        })
    }

    /// Who makes the calls.
    pub fn kind(&self) -> Kind {
        match self.ring {
            Some(_) => Kind::IoUring,
            None => Kind::Threads,
        }
    }

    /// Readable when something has been completed.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.completions.bell()
    }

    /// Whether this is a forked child's copy of its parent's engine: nothing may be asked of it.
    pub fn is_inherited(&self) -> bool {
        self.generation != crate::fork::generation()
    }

    /// How many threads there are now.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Adds an operation to those that the next [`Engine::flush`] begins. `writes`: it must not be lost when the program ends.
    pub fn stage(&mut self, id: u64, work: Work, writes: bool) {
        if writes {
            self.writing.insert(id);
        }
        self.staged.push((id, work));
    }

    /// Begins with what was staged.
    pub fn flush(&mut self) {
        let mut for_threads = Vec::new();
        for (id, work) in self.staged.drain(..) {
            match (work, &mut self.ring) {
                (Work::Steps(plan), Some(ring)) => ring.start(id, plan, &mut self.over),
                (work, _) => for_threads.push((id, work)),
            }
        }
        if !for_threads.is_empty() {
            self.pool.submit(for_threads);
        }
        if self.ring.as_mut().is_some_and(|ring| !ring.submit()) {
            self.completions.ring();
        }
        // A plan without a call was over at once: told with the others.
        for Completion { id, done } in self.over.drain(..) {
            self.completions.push(id, done);
        }
    }

    /// Moves what is over to the end of `out`.
    pub fn collect(&mut self, out: &mut Vec<(u64, Done)>) {
        self.completions.collect(&mut self.over);
        let over = &mut self.over;
        if self.ring.as_mut().is_some_and(|ring| !ring.collect(over)) {
            self.completions.ring();
        }
        for Completion { id, done } in self.over.drain(..) {
            self.writing.remove(&id);
            out.push((id, done));
        }
    }

    /// Asks for an operation to be given up, where it waits for a thread or for somebody else. It may end as if nobody had asked; what
    /// writes does.
    pub fn cancel(&mut self, id: u64) {
        if self.writing.contains(&id) {
            return;
        }
        let staged = self.staged.iter().position(|(staged, _)| *staged == id);
        let work = staged.map(|place| self.staged.remove(place).1);
        if work.or_else(|| self.pool.withdraw(id)).is_some() {
            return self.completions.push(id, Done::failed(Errno::CANCELED.raw_os_error()));
        }
        if let Some(ring) = &mut self.ring {
            ring.cancel(id);
        }
    }

    /// Waits until nothing changes a file any more, or the time is up; false in that case. What is over goes to `out`.
    pub fn settle_writes(&mut self, patience: Duration, out: &mut Vec<(u64, Done)>) -> bool {
        let until = Instant::now() + patience;
        self.flush();
        loop {
            self.collect(out);
            let left = until.saturating_duration_since(Instant::now());
            if self.writing.is_empty() || left.is_zero() {
                return self.writing.is_empty();
            }
            let timeout = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos() as _ };
            // Interrupted: looked at again.
            let _ = poll(&mut [PollFd::new(&self.completions.bell(), PollFlags::IN)], Some(&timeout));
        }
    }
}

impl Drop for Engine {
    /// What was to be written is written: the caller may have been told so, by a `close` that it did not wait for.
    fn drop(&mut self) {
        if !self.writing.is_empty() && !self.is_inherited() {
            self.settle_writes(LONGEST_GOODBYE, &mut Vec::new());
        }
    }
}
