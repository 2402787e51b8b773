//! Locks, semaphores, events, conditions and barriers for the waiters of several processes.
//!
//! Each is a few double words in shared memory (a [`Place`]) and a protocol over them that needs nothing else ([`Shared`]). In
//! each process a [`Proxy`] stands before it, with an ordinary wait queue for all local waiters. First in, first out within
//! a process; between processes who is first takes it.
//!
//! ```text
//!     process A                      shared memory                  process B
//!     thread  task  thread           +-------------+                task  task
//!        \     |     /               | the words   |                  \   /
//!        wait queue (Proxy) -------- | of one lock | -------- wait queue (Proxy)
//!        the first, or a helper      +-------------+          a helper on their behalf
//!        thread, sleeps on a word
//! ```
//!
//! A process may be killed between any two instructions. So there is no lock in shared memory but the one that is offered: each
//! change of state is one atomic operation on one word. What nobody is left to do is seen by others: every sleep
//! ends after [`LONGEST_SLEEP`], and the sleeper looks again; so a wake-up that went to a process that died is late, not lost.
//!
//! A word has a bit that says "somebody may sleep here", so that nobody asks the kernel for nothing. Whoever is about to sleep sets it; so does
//! whoever has slept, when it takes or leaves, since others may still sleep; a waker that has found nobody there
//! takes it back. Rejected: a count of sleepers, which a process that is killed in its sleep never takes back.
//!
//! 1. [`gate`]: the protocol of that bit, for words with room for one more or not.
//! 2. [`mutex`] and [`permits`]: such words. [`identity`] says who holds a mutex, and whether that process lives.
//! 3. [`event`], [`condition`], [`barrier`].
//! 4. [`proxy`]: the local waiters.
//! 5. `pool`: where the words lie.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod gate;
pub mod mutex;
pub mod permits;
#[cfg(not(loom))]
pub mod pool;
pub mod proxy;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;

use super::futex;
use crate::sync::atomic::AtomicU64;
use std::time::Duration;

/// After so long at most a sleeper looks by itself.
pub const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How many double words a primitive has.
pub const WORDS: usize = 8;

/// Where the words of one primitive lie. All zero at first.
pub trait Place: Send + Sync {
    /// One of its words, less than [`WORDS`].
    fn word(&self, index: usize) -> &AtomicU64;

    /// Whether the ids of processes mean the same to all who see it.
    fn knows_processes(&self) -> bool {
        true
    }
}

/// Where to sleep, and for as long as the lower half of which word has which value.
pub struct Rest<'a> {
    /// In shared memory.
    pub word: &'a AtomicU64,
    /// What it was.
    pub value: u32,
}

impl Rest<'_> {
    /// Sleeps, at most for so long. May end for no reason.
    pub fn sleep(&self, timeout: Duration) {
        futex::wait_while_low(self.word, self.value, Some(timeout.min(LONGEST_SLEEP)));
    }

    /// Whether there is something to look at already.
    pub fn is_over(&self) -> bool {
        self.word.load(crate::sync::atomic::Ordering::Relaxed) as u32 != self.value
    }
}

/// What is waited for in shared memory.
pub trait Shared: Send + Sync {
    /// What a waiter remembers of the moment at which its wait began.
    type Mark: Copy + Send;
    /// What it gets.
    type Gain: Send;

    /// Whether one waiter's gain is another one's loss, so that they are served one after the other.
    const IN_TURN: bool;

    /// In which of two lanes a waiter stands: each is served by itself, and nobody in one is to wait for what those in the other wait for.
    fn lane(&self, _mark: Self::Mark) -> usize {
        0
    }

    /// The helper sleeps for the first of each lane, on the word of the one with the lowest number: that word has to change before, or when, there is
    /// something for the other.
    fn order(&self, _mark: Self::Mark) -> u64 {
        0
    }

    /// Takes it, if it is there. `slept`: the caller has slept, or has others behind it.
    fn take(&self, mark: Self::Mark, slept: bool) -> Option<Self::Gain>;

    /// Takes it, if it is there and that is nobody's loss, so that even who comes new may have it before those who wait. For what is served in turn.
    fn take_from_nobody(&self, _mark: Self::Mark) -> Option<Self::Gain> {
        None
    }

    /// Announces that somebody is about to sleep. None: there is something to take.
    fn rest(&self, mark: Self::Mark) -> Option<Rest<'_>>;

    /// Somebody who has slept goes away with nothing.
    fn leave(&self, mark: Self::Mark);

    /// A gain that its waiter does not want any more. (A waiter that had not gained yet is the affair of who ends its wait.)
    fn give_back(&self, mark: Self::Mark, gain: Self::Gain);

    /// Takes it from a process that is dead. To be called now and then while it cannot be taken: it costs some system calls.
    fn take_over(&self) -> Option<Self::Gain> {
        None
    }

    /// What was taken so, and nobody wants any more.
    fn give_back_taken_over(&self, _gain: Self::Gain) {}
}
