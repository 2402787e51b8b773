//! Mutual exclusion: the word is the holder.
//!
//! ```text
//!     word = start of the holder << 32 | id of the holder << 1 | SLEEPERS        no id: free
//! ```
//!
//! Taking it and saying who has taken it is one operation, so that there is no moment at which a process could be killed and leave a mutex of
//! which nobody knows who holds it. Rejected: kernel-made robust mutexes (`set_robust_list`), of which each thread has one list, which is the C
//! library's.

use super::super::identity::Identity;
use super::gate::{self, SLEEPERS};
use super::{Place, Rest, Shared};
use crate::sync::atomic::{AtomicU64, Ordering};

/// See the room's text.
#[derive(Debug)]
pub struct Mutex<P> {
    /// Where it lies.
    pub place: P,
}

/// It has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// From this process, which has died with it.
    pub from: Option<u32>,
}

/// It was released, and nobody holds it.
#[derive(Debug, PartialEq, Eq)]
pub struct NotHeld;

fn is_free(word: u64) -> bool {
    word & !SLEEPERS == 0
}

impl<P: Place> Mutex<P> {
    fn word(&self) -> &AtomicU64 {
        self.place.word(0)
    }

    fn me(&self) -> Identity {
        match self.place.knows_processes() {
            true => Identity::current(),
            false => Identity::STRANGER,
        }
    }

    /// [`Shared::take`], for a process that may be another one.
    #[inline]
    pub fn take_for(&self, holder: Identity, slept: bool) -> Option<Taken> {
        let word = self.word();
        let mut now = word.load(Ordering::Relaxed);
        while is_free(now) {
            let taken = holder.pack() | now & SLEEPERS | u64::from(slept);
            // Acquire: sees what the last holder did.
            match word.compare_exchange_weak(now, taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Taken { from: None }),
                Err(changed) => now = changed,
            }
        }
        None
    }

    /// Opens it, whoever holds it.
    #[inline]
    pub fn release(&self) -> Result<(), NotHeld> {
        // Release: the next holder sees what was done.
        let before = self.word().fetch_and(SLEEPERS, Ordering::Release);
        if before & SLEEPERS != 0 {
            gate::rouse(self.word(), is_free);
        }
        match is_free(before) {
            true => Err(NotHeld),
            false => Ok(()),
        }
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<Identity> {
        let now = self.word().load(Ordering::Relaxed);
        (!is_free(now)).then(|| Identity::unpack(now))
    }

    /// Whether this process holds it.
    pub fn is_ours(&self) -> bool {
        self.holder() == Some(self.me())
    }
}

impl<P: Place> Shared for Mutex<P> {
    type Mark = ();
    type Gain = Taken;
    const IN_TURN: bool = true;

    #[inline]
    fn take(&self, (): (), slept: bool) -> Option<Taken> {
        self.take_for(self.me(), slept)
    }

    fn rest(&self, (): ()) -> Option<Rest<'_>> {
        gate::rest(self.word(), is_free)
    }

    fn leave(&self, (): ()) {
        gate::leave(self.word(), is_free);
    }

    fn give_back(&self, (): (), _gain: Taken) {
        // It is held by this process, so there is somebody to hold it.
        let _ = self.release();
    }

    fn take_over(&self) -> Option<Taken> {
        let now = self.word().load(Ordering::Relaxed);
        let holder = Identity::unpack(now);
        if is_free(now) || !self.place.knows_processes() || !holder.is_dead() {
            return None;
        }
        let taken = self.me().pack() | SLEEPERS;
        // Acquire: sees what the dead one did.
        let swapped = self.word().compare_exchange(now, taken, Ordering::Acquire, Ordering::Relaxed);
        swapped.ok().map(|_| Taken { from: Some(holder.pid) })
    }

    fn give_back_taken_over(&self, gain: Taken) {
        self.give_back((), gain);
    }
}
