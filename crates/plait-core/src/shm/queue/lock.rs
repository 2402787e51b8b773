//! One end of the queue: one process at a time is at it, and if that dies there, the next one takes its place.
//!
//! The word is the holder's name (`identity`) or zero. It is held for as long as it takes to copy a message, or for a long message until all of
//! it has passed. Who waits longer than a blink looks whether the holder still lives. Nothing has to be mended by whoever takes over but what
//! the queue's own state says (`put`).
//!
//! Process ids mean something only in the namespace where the queue was made. A process that lives in another one takes the end as a stranger, of whose
//! life nobody judges, and judges of nobody's.
//!
//! Rejected: `pthread_mutex` with robust lists, which keep pointers in the shared memory; two words for number and start, between which a holder
//! may be killed.

use super::super::identity::Identity;
use super::signal::Signal;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often one looks before one yields, and how often one yields.
const LOOKS: usize = 100;
const YIELDS: usize = 10;
/// Who waits for longer asks whether the holder lives.
const PATIENCE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
pub struct Lock<'m> {
    holder: &'m AtomicU64,
    signal: Signal<'m>,
    /// The namespace in which holders have their names.
    home: u64,
}

impl<'m> Lock<'m> {
    pub fn new(holder: &'m AtomicU64, signal: Signal<'m>, home: u64) -> Lock<'m> {
        Lock { holder, signal: signal.for_at_most(PATIENCE), home }
    }

    #[inline]
    fn me(&self) -> Identity {
        // Asked each time: a child may live in another one than its parent.
        match self.home == Identity::namespace() {
            true => Identity::current(),
            false => Identity::STRANGER,
        }
    }

    /// Takes it, if it is free.
    #[inline]
    fn try_take(&self) -> bool {
        let (me, unheld) = (self.me().pack(), 0);
        self.holder.compare_exchange(unheld, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it if it is free, or will be soon, or if its holder is dead.
    #[inline]
    pub fn try_soon(&self) -> bool {
        self.try_take() || self.try_for_a_moment()
    }

    #[cold]
    fn try_for_a_moment(&self) -> bool {
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if self.holder.load(Ordering::Relaxed) == 0 && self.try_take() {
                return true;
            }
        }
        for _ in 0..YIELDS {
            std::thread::yield_now();
            if self.try_take() {
                return true;
            }
        }
        self.take_over()
    }

    /// Takes it from a holder that is dead.
    fn take_over(&self) -> bool {
        let holder = self.holder.load(Ordering::Acquire);
        if holder == 0 {
            return self.try_take();
        }
        let me = self.me();
        // One of several who have seen the death gets it.
        me != Identity::STRANGER
            && Identity::unpack(holder).is_dead()
            && self.holder.compare_exchange(holder, me.pack(), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it within that time, asleep if need be. May return early, when a signal comes.
    pub fn take_within(&self, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        if self.try_soon() {
            return true;
        }
        let ticket = self.signal.announce();
        if self.try_take() {
            return true;
        }
        self.signal.sleep(ticket, end.saturating_duration_since(Instant::now()));
        self.try_soon()
    }

    /// Who could not take it sleeps on this, not for long.
    pub fn signal(&self) -> Signal<'m> {
        self.signal
    }

    /// Whether this process has it, or of strangers any.
    pub fn is_mine(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == self.me().pack()
    }

    /// Lets go of it. To be called by whoever has it.
    #[inline]
    pub fn release(&self) {
        self.holder.store(0, Ordering::SeqCst);
        self.signal.notify_one();
    }

    /// As if that process had it.
    #[cfg(test)]
    pub fn take_for(&self, holder: u64) {
        self.holder.store(holder, Ordering::SeqCst);
    }
}
