//! A flag, and everybody who waits for it to be set.
//!
//! ```text
//!     word = times that it was set << 2 | SLEEPERS << 1 | set
//! ```
//!
//! Whoever waits remembers how often it was set: a flag that was taken back before its waiters have looked has woken them all the same.

use super::super::futex;
use super::{Place, Rest, Shared};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the room's text.
#[derive(Debug)]
pub struct Event<P> {
    /// Where it lies.
    pub place: P,
}

const SET: u64 = 1;
const SLEEPERS: u64 = 2;
const TIMES: u32 = 2;

impl<P: Place> Event<P> {
    fn word(&self) -> &AtomicU64 {
        self.place.word(0)
    }

    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Acquire: what was done before `set` is seen by who sees it set.
        self.word().load(Ordering::Acquire) & SET != 0
    }

    /// A wait begins: how often the flag was set before.
    pub fn begin(&self) -> u64 {
        self.word().load(Ordering::Relaxed) >> TIMES
    }

    fn has_come(now: u64, times: u64) -> bool {
        now & SET != 0 || now >> TIMES != times
    }

    /// Sets the flag and wakes all.
    pub fn set(&self) {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        while now & SET == 0 {
            let set = ((now >> TIMES) + 1) << TIMES | SET;
            // Release: see `is_set`.
            match word.compare_exchange_weak(now, set, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if now & SLEEPERS != 0 => {
                    futex::wake_low(word, u32::MAX);
                    return;
                }
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
    }

    /// Takes the flag back.
    pub fn clear(&self) {
        self.word().fetch_and(!SET, Ordering::AcqRel);
    }
}

impl<P: Place> Shared for Event<P> {
    type Mark = u64;
    type Gain = ();
    const IN_TURN: bool = false;

    fn take(&self, times: u64, _slept: bool) -> Option<()> {
        Self::has_come(self.word().load(Ordering::Acquire), times).then_some(())
    }

    fn rest(&self, times: u64) -> Option<Rest<'_>> {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        loop {
            if Self::has_come(now, times) {
                return None;
            }
            if now & SLEEPERS != 0 {
                return Some(Rest { word, value: now as u32 });
            }
            match word.compare_exchange_weak(now, now | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => now |= SLEEPERS,
                Err(changed) => now = changed,
            }
        }
    }

    /// All are woken, always.
    fn leave(&self, _times: u64) {}

    fn give_back(&self, _times: u64, (): ()) {}
}
