//! A number of permits.
//!
//! ```text
//!     word = value << 1 | SLEEPERS
//! ```
//!
//! Who has taken a permit is not recorded, since it need not be who gives it back: those of a process that died are not recovered.

use super::gate::{self, SLEEPERS};
use super::{Place, Rest, Shared};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the room's text.
#[derive(Debug)]
pub struct Permits<P> {
    /// Where it lies.
    pub place: P,
    most: u32,
}

/// More was released than the bound allows.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

/// `SEM_VALUE_MAX`: the most permits that there can be.
pub const MOST: u32 = i32::MAX as u32;

fn has_some(word: u64) -> bool {
    word >> 1 != 0
}

impl<P: Place> Permits<P> {
    /// In a new place, with so many permits, no more than `most`, and that no more than [`MOST`].
    pub fn new(place: P, value: u32, most: u32) -> Permits<P> {
        place.word(0).store(u64::from(value.min(most)) << 1, Ordering::Relaxed);
        Permits::known(place, most)
    }

    /// In a place where they are already.
    pub fn known(place: P, most: u32) -> Permits<P> {
        Permits { place, most: most.min(MOST) }
    }

    fn word(&self) -> &AtomicU64 {
        self.place.word(0)
    }

    /// Adds one, not above the bound.
    #[inline]
    pub fn release(&self) -> Result<(), TooMany> {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        loop {
            if now >> 1 >= u64::from(self.most) {
                return Err(TooMany);
            }
            // Release: who takes it sees what was done.
            match word.compare_exchange_weak(now, now + 2, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(changed) => now = changed,
            }
        }
        if now & SLEEPERS != 0 {
            gate::rouse(word, has_some);
        }
        Ok(())
    }

    /// How many there are.
    pub fn value(&self) -> u32 {
        (self.word().load(Ordering::Relaxed) >> 1) as u32
    }

    /// At most how many there can be.
    pub fn most(&self) -> u32 {
        self.most
    }
}

impl<P: Place> Shared for Permits<P> {
    type Mark = ();
    type Gain = ();
    const IN_TURN: bool = true;

    #[inline]
    fn take(&self, (): (), slept: bool) -> Option<()> {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        while has_some(now) {
            let less = (now - 2) | u64::from(slept);
            // Acquire: sees what was done before the release. Release: so does who takes the next one, of several releases.
            match word.compare_exchange_weak(now, less, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(()),
                Err(changed) => now = changed,
            }
        }
        None
    }

    fn rest(&self, (): ()) -> Option<Rest<'_>> {
        gate::rest(self.word(), has_some)
    }

    fn leave(&self, (): ()) {
        gate::leave(self.word(), has_some);
    }

    fn give_back(&self, (): (), (): ()) {
        // There is room for it, unless somebody has released what was never taken.
        let _ = self.release();
    }
}
