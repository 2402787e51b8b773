//! One sleeper, many ringers, of any processes: a word that says whether somebody sleeps, and how.
//!
//! Who has something for the sleeper puts it where that looks for it, and rings. Who is to sleep says so in the word, looks once more, and sleeps.
//! Between each one's store and its load lies a full fence, so at least one of them sees what the other did: either the sleeper finds what has
//! come, or the ringer finds the word. Where nobody sleeps, to ring costs that fence and a load.
//!
//! The sleeper may be a thread, on a futex. Or it may be told by an eventfd, among other descriptors that it polls: then the word says so, and the ringer is
//! asked to write to that.
//!
//! Rejected: an eventfd for all (a write and a read for each message), and a semaphore (a count that has to be brought down again).

use super::futex;
use crate::sync::atomic::{fence, AtomicU32, Ordering};
use std::time::Duration;

const AWAKE: u32 = 0;
const THREAD_SLEEPS: u32 = 1;
const POLLER_SLEEPS: u32 = 2;

/// A bell, over the word that it lies in. All zero is one that nobody listens to.
#[derive(Clone, Copy, Debug)]
pub struct Bell<'a>(&'a AtomicU32);

impl<'a> Bell<'a> {
    /// The bell that lies in this word.
    pub fn new(word: &'a AtomicU32) -> Bell<'a> {
        Bell(word)
    }

    /// Wakes who sleeps. True: that one polls, and its eventfd is to be written to. To be called after what it waits for was put in its place.
    #[inline]
    #[must_use = "a sleeper that polls has to be told by its eventfd"]
    pub fn ring(self) -> bool {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return false;
        }
        match self.0.swap(AWAKE, Ordering::AcqRel) {
            THREAD_SLEEPS => drop(futex::wake(self.0, 1)),
            POLLER_SLEEPS => return true,
            _ => {}
        }
        false
    }

    /// Wakes who sleeps, whatever the word says: a ringer may have been killed after it took back the word and before it woke anybody. True: as for [`Bell::ring`].
    #[must_use = "a sleeper that polls has to be told by its eventfd"]
    pub fn ring_anyway(self) -> bool {
        let before = self.0.swap(AWAKE, Ordering::SeqCst);
        futex::wake(self.0, 1);
        before == POLLER_SLEEPS
    }

    /// Sleeps until it rings, unless `has_come` by then; for at most so long. True if the time is up. May end for no reason, and ends when a signal comes.
    pub fn sleep(self, has_come: impl FnOnce() -> bool, timeout: Option<Duration>) -> bool {
        self.0.store(THREAD_SLEEPS, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let timed_out = !has_come() && futex::wait_while(self.0, THREAD_SLEEPS, timeout);
        self.0.swap(AWAKE, Ordering::Acquire);
        timed_out
    }

    /// From now on the sleeper is one that polls. True: something has come already, so that nobody may ring any more.
    #[must_use = "what has come already is not rung for"]
    pub fn leave_to_poller(self, has_come: impl FnOnce() -> bool) -> bool {
        self.0.store(POLLER_SLEEPS, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        has_come() && self.0.swap(AWAKE, Ordering::Acquire) == POLLER_SLEEPS
    }

    /// Nobody sleeps any more: whoever listens looks by itself.
    pub fn silence(self) {
        self.0.swap(AWAKE, Ordering::Acquire);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn who_polls_is_told_once() {
        let word = AtomicU32::new(0);
        let bell = Bell::new(&word);
        assert!(!bell.ring());
        assert!(!bell.leave_to_poller(|| false));
        assert!(bell.ring());
        assert!(!bell.ring());
        assert!(bell.leave_to_poller(|| true));
        assert!(!bell.ring());
    }

    #[test]
    fn what_has_come_is_not_slept_over() {
        let word = AtomicU32::new(0);
        assert!(!Bell::new(&word).sleep(|| true, None));
        assert!(Bell::new(&word).sleep(|| false, Some(Duration::from_millis(1))));
    }

    #[test]
    fn a_thread_is_woken() {
        let word = std::sync::Arc::new(AtomicU32::new(0));
        let come = std::sync::Arc::new(AtomicU32::new(0));
        let ringer = {
            let (word, come) = (word.clone(), come.clone());
            std::thread::spawn(move || {
                come.store(1, Ordering::Release);
                assert!(!Bell::new(&word).ring());
            })
        };
        while come.load(Ordering::Acquire) == 0 {
            Bell::new(&word).sleep(|| come.load(Ordering::Acquire) != 0, None);
        }
        ringer.join().unwrap();
    }
}
