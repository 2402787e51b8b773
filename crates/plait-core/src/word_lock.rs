//! A lock of one word, which a fork opens.
//!
//! A child process has one thread. A lock that another thread of its parent held would stay locked
//! in it for ever, and nobody could tell it from one that is held rightly. So the word holds the
//! [fork generation](crate::fork) beside the lock's state: a word of an older generation is an
//! open lock, and whoever takes it first is told that what it protects was left by the parent.
//!
//! ```text
//!     word = generation << 2 | state        state: FREE, HELD, HELD with SLEEPERS
//! ```
//!
//! The lock is held for some nanoseconds, while a queue is changed and nothing else, so a waiter
//! spins a little before it asks the kernel to wait (`futex`).
//!
//! Rejected: `std::sync::Mutex`, which cannot be opened by anybody but its holder; a list of all
//! locks for a fork handler to reset, which each primitive would pay for when it is made and dropped.

use crate::fork;
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{wait_while, wake, Reach, UnsafeCell};
use std::marker::PhantomData;

const FREE: u32 = 0;
const HELD: u32 = 1;
const SLEEPERS: u32 = 2;
const STATE: u32 = 3;

/// How often a waiter looks again before it sleeps. To loom and Miri more looks are nothing new.
const SPINS: u32 = if cfg!(any(loom, miri)) { 0 } else { 60 };

/// A value, and the lock that it is reached through.
pub struct WordLock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a guard only, and there is one guard at a time; so sharing
// the lock sends the value from thread to thread, never more.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for WordLock<T> {}
// SAFETY: as above; a lock that is moved is not held, since guards borrow it.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for WordLock<T> {}

/// The lock is held while this lives.
pub struct WordGuard<'a, T> {
    lock: &'a WordLock<T>,
    /// It stays in its thread: shared with another it would show that one a value that need not be `Sync`.
    _stays: PhantomData<*mut T>,
    /// Whether the parent process was the last to hold the lock.
    pub inherited: bool,
}

impl<T> WordLock<T> {
    /// An open lock.
    pub fn new(value: T) -> Self {
        WordLock { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> WordGuard<'_, T> {
        let free = fork::generation() << 2;
        // Acquire: sees what the last holder wrote.
        let taken = self.word.compare_exchange(free, free | HELD, Ordering::Acquire, Ordering::Relaxed);
        match taken {
            Ok(_) => self.guard(false),
            Err(word) => self.lock_slowly(free, word),
        }
    }

    /// The lock if nobody holds it: for a garbage collector, which must not wait.
    pub(crate) fn try_lock(&self) -> Option<WordGuard<'_, T>> {
        let free = fork::generation() << 2;
        let taken = self.word.compare_exchange(free, free | HELD, Ordering::Acquire, Ordering::Relaxed);
        taken.ok().map(|_| self.guard(false))
    }

    #[cold]
    fn lock_slowly(&self, free: u32, mut word: u32) -> WordGuard<'_, T> {
        let announced = free | SLEEPERS;
        let mut looks = 0;
        let mut wanted = HELD;
        loop {
            let inherited = word & !STATE != free;
            if inherited || word & STATE == FREE {
                let taken =
                    self.word.compare_exchange(word, free | wanted, Ordering::Acquire, Ordering::Relaxed);
                match taken {
                    Ok(_) => return self.guard(inherited),
                    Err(now) => word = now,
                }
            } else if looks < SPINS {
                looks += 1;
                std::hint::spin_loop();
                word = self.word.load(Ordering::Relaxed);
            } else if word != announced {
                let changed =
                    self.word.compare_exchange(word, announced, Ordering::Relaxed, Ordering::Relaxed);
                word = changed.map_or_else(|now| now, |_| announced);
            } else {
                // Who has slept once announces sleepers when it takes the lock: there may be others.
                wanted = SLEEPERS;
                wait_while(&self.word, announced, None, Reach::Process);
                word = self.word.load(Ordering::Relaxed);
            }
        }
    }

    fn guard(&self, inherited: bool) -> WordGuard<'_, T> {
        WordGuard { lock: self, _stays: PhantomData, inherited }
    }
}

impl<T> std::ops::Deref for WordGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    #[allow(unsafe_code)]
    fn deref(&self) -> &T {
        // SAFETY: there is one guard at a time, and it is borrowed for as long as the reference lives. Other references that are
        // made in this way are shared ones, too.
        self.lock.value.get_mut().with(|value| unsafe { &*value })
    }
}

impl<T> std::ops::DerefMut for WordGuard<'_, T> {
    #[inline(always)]
    #[allow(unsafe_code)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably: there is no other reference.
        self.lock.value.get_mut().with(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for WordGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Only the forking thread lives on in a child, and it holds none of these while it forks: the generation is still
        // the one in which the lock was taken. Release: the next holder sees what this one wrote.
        let free = fork::generation() << 2;
        if self.lock.word.swap(free, Ordering::Release) & STATE == SLEEPERS {
            wake(&self.lock.word, 1, Reach::Process);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn one_holder_at_a_time() {
        let lock = Arc::new(WordLock::new(0u64));
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || (0..rounds).for_each(|_| *lock.lock() += 1))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(), 4 * rounds);
    }

    #[test]
    fn a_lock_that_is_held_is_not_got_by_trying() {
        let lock = WordLock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn a_word_of_another_generation_is_an_open_lock() {
        let lock = WordLock::new(7);
        // As after a fork in which another thread held it.
        lock.word.store(fork::generation().wrapping_sub(1) << 2 | SLEEPERS, Ordering::Relaxed);
        let guard = lock.lock();
        assert!(guard.inherited);
        assert_eq!(*guard, 7);
        drop(guard);
        assert!(!lock.lock().inherited);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Arc;
    use loom::thread;

    fn count_up(lock: &Arc<WordLock<u32>>) -> thread::JoinHandle<()> {
        let lock = Arc::clone(lock);
        thread::spawn(move || *lock.lock() += 1)
    }

    #[test]
    fn loom_one_holder_at_a_time() {
        loom::model(|| {
            let lock = Arc::new(WordLock::new(0));
            let other = count_up(&lock);
            *lock.lock() += 1;
            other.join().unwrap();
            assert_eq!(*lock.lock(), 2);
        });
    }

    /// Two may sleep: who was woken by the first must wake the second.
    #[test]
    fn loom_two_sleepers_are_woken_one_after_the_other() {
        let mut model = loom::model::Builder::new();
        // All interleavings of three threads take many minutes; three forced switches, a second.
        model.preemption_bound = Some(3);
        model.check(|| {
            let lock = Arc::new(WordLock::new(0));
            let others = [count_up(&lock), count_up(&lock)];
            *lock.lock() += 1;
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(*lock.lock(), 3);
        });
    }
}
