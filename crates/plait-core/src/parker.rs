//! How a thread sleeps until it is woken: one word, and the kernel's futex.
//!
//! A wake-up that comes before the sleep is remembered, so none is lost; one that comes too late ends the thread's next sleep at
//! once, which does no harm: whoever sleeps looks again at what it waits for.
//!
//! A signal ends the sleep too. The standard library's condition variables go back to sleep by themselves, and Ctrl-C
//! would never arrive.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{wait_while, wake, Reach};
use std::time::Duration;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const WOKEN: u32 = 2;

/// Why a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awoken {
    /// By [`Parker::unpark`], now or before.
    Unparked,
    /// The time was up.
    TimedOut,
    /// A signal came, or nothing at all.
    Interrupted,
}

/// One thread's sleep. The thread parks, anybody unparks.
#[derive(Debug, Default)]
pub struct Parker {
    word: AtomicU32,
}

impl Parker {
    /// For a thread that is awake.
    pub fn new() -> Parker {
        Parker::default()
    }

    /// Takes a wake-up that has come already.
    #[inline]
    pub fn try_take(&self) -> bool {
        // Acquire: sees what was done before the wake-up.
        self.word.load(Ordering::Relaxed) == WOKEN && self.word.swap(AWAKE, Ordering::Acquire) == WOKEN
    }

    /// Sleeps until woken, for at most `timeout`; None: for as long as it takes.
    pub fn park(&self, timeout: Option<Duration>) -> Awoken {
        let asleep = self.word.compare_exchange(AWAKE, ASLEEP, Ordering::Acquire, Ordering::Acquire);
        if asleep.is_err() {
            // Not a store, which would not see what the newest of several wake-ups came after: it would be lost.
            self.word.swap(AWAKE, Ordering::Acquire);
            return Awoken::Unparked;
        }
        let timed_out = wait_while(&self.word, ASLEEP, timeout, Reach::Process);
        match self.word.swap(AWAKE, Ordering::Acquire) {
            WOKEN => Awoken::Unparked,
            _ if timed_out => Awoken::TimedOut,
            _ => Awoken::Interrupted,
        }
    }

    /// Wakes the thread, or spares it its next sleep.
    #[inline]
    pub fn unpark(&self) {
        // Release: the thread sees what was done before.
        if self.word.swap(WOKEN, Ordering::Release) == ASLEEP {
            wake(&self.word, 1, Reach::Process);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_wake_up_before_the_sleep_is_remembered_once() {
        let parker = Parker::new();
        parker.unpark();
        parker.unpark();
        assert_eq!(parker.park(None), Awoken::Unparked);
        assert_eq!(parker.park(Some(Duration::from_millis(1))), Awoken::TimedOut);
        assert!(!parker.try_take());
        parker.unpark();
        assert!(parker.try_take());
        assert!(!parker.try_take());
    }

    #[test]
    fn two_threads_in_turn() {
        let rounds = if cfg!(miri) { 20 } else { 2_000 };
        let ours = Arc::new(Parker::new());
        let theirs = Arc::new(Parker::new());
        let other = {
            let (ours, theirs) = (Arc::clone(&ours), Arc::clone(&theirs));
            std::thread::spawn(move || {
                for _ in 0..rounds {
                    while theirs.park(None) != Awoken::Unparked {}
                    ours.unpark();
                }
            })
        };
        for _ in 0..rounds {
            theirs.unpark();
            while ours.park(None) != Awoken::Unparked {}
        }
        other.join().unwrap();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::atomic::AtomicBool;
    use crate::sync::Arc;
    use loom::thread;

    /// The flag is looked at without any lock, so nothing but the parker orders it after the wake-up. A lost wake-up would let the
    /// thread sleep for ever, which shows as a model without end.
    #[test]
    fn loom_a_wake_up_shows_what_was_done_before_it() {
        loom::model(|| {
            let parker = Arc::new(Parker::new());
            let done = Arc::new(AtomicBool::new(false));
            let waker = {
                let (parker, done) = (Arc::clone(&parker), Arc::clone(&done));
                thread::spawn(move || {
                    // Meant for an earlier sleep.
                    parker.unpark();
                    done.store(true, Ordering::Relaxed);
                    parker.unpark();
                })
            };
            while !done.load(Ordering::Relaxed) {
                parker.park(None);
            }
            waker.join().unwrap();
        });
    }
}
