//! Something has changed: who waits for it sleeps on a word, and who changes it makes a system call only if somebody may be asleep.
//!
//! Three words. `event` is counted up by each wake-up, and slept on. `announced` is counted up by each sleeper before it sleeps; a wake-up after which
//! nobody sleeps any more writes to `served` what `announced` was before it. So:
//!
//! * A sleeper reads `event`, announces itself, *then* looks at what it waits for, and sleeps while `event` is what it read.
//! * A waker changes what is waited for, *then* reads `announced`; if it is not `served`, it counts `event` up and wakes.
//!
//! All of this is sequentially consistent: either the sleeper sees the change, or the waker sees the sleeper; and a sleeper that is served
//! had read `event` before that was counted up, so that its sleep ends at once. A waker that is late may write an older number to `served` than is there: then
//! the next one wakes in vain.
//!
//! Nobody counts himself out, so that a sleeper that is killed leaves nothing behind but one vain wake-up. One that is killed just when it was
//! woken keeps the wake-up from the others: for that case alone nobody sleeps for longer than [`LONGEST_SLEEP`] before it looks again.
//!
//! Rejected: a count of sleepers, which those who are killed make too high for ever; a flag that the waker clears, during which time another
//! waker sees nobody; to set `announced` back to zero if it is unchanged, for it may have been zero in between, and be another sleeper's announcement.

use crate::shm::futex;
use crate::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

/// After this time a sleeper looks again by itself.
pub const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The three words, wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'m> {
    event: &'m AtomicU32,
    announced: &'m AtomicU32,
    served: &'m AtomicU32,
    longest: Duration,
}

/// What a sleeper has read before it announced itself.
#[derive(Clone, Copy, Debug)]
pub struct Ticket(u32);

impl<'m> Signal<'m> {
    /// All words are zero at first.
    pub fn new(event: &'m AtomicU32, announced: &'m AtomicU32, served: &'m AtomicU32) -> Signal<'m> {
        Signal { event, announced, served, longest: LONGEST_SLEEP }
    }

    /// The same for sleepers who look again after that time.
    pub fn for_at_most(self, longest: Duration) -> Signal<'m> {
        Signal { longest, ..self }
    }

    /// What is to be done before one looks for the last time at what one waits for.
    pub fn announce(&self) -> Ticket {
        let ticket = Ticket(now(self.event));
        self.announced.fetch_add(1, SeqCst);
        ticket
    }

    /// Sleeps until the next wake-up, a signal, the end of the time, or for no reason. To be called with what [`Signal::announce`] gave.
    pub fn sleep(&self, ticket: Ticket, timeout: Duration) {
        futex::wait_while(self.event, ticket.0, Some(timeout.min(self.longest)));
    }

    /// Whether there was a wake-up since.
    pub fn has_come(&self, ticket: Ticket) -> bool {
        now(self.event) != ticket.0
    }

    /// Wakes one. To be called when the change has been made.
    #[inline]
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all.
    #[inline]
    pub fn notify_all(&self) {
        self.notify(i32::MAX as u32);
    }

    #[inline]
    fn notify(&self, count: u32) {
        let announced = now(self.announced);
        if announced != now(self.served) {
            self.wake(announced, count);
        }
    }

    #[cold]
    fn wake(&self, announced: u32, count: u32) {
        self.event.fetch_add(1, SeqCst);
        if futex::wake(self.event, count) < count as usize {
            // Nobody sleeps any more, but for those who have announced themselves since then.
            self.served.store(announced, SeqCst);
        }
    }

    /// Counts up even if nobody sleeps: for those who wait for an event, and not for a state.
    pub fn mark_all(&self) {
        let announced = now(self.announced);
        self.wake(announced, i32::MAX as u32);
    }
}

#[cfg(not(loom))]
#[inline]
fn now(word: &AtomicU32) -> u32 {
    word.load(SeqCst)
}

/// Loom lets a load see what was there before, even one that is sequentially consistent.
#[cfg(loom)]
fn now(word: &AtomicU32) -> u32 {
    word.fetch_or(0, SeqCst)
}

#[cfg(all(test, loom))]
#[path = "signal_loom.rs"]
mod loom_tests;
