//! The standard library's synchronisation, or loom's.
//!
//! Loom runs a test once for every interleaving that the memory model allows, but sees only what
//! goes through its own types. The choice is made in this file, by `--cfg loom`; the other files do
//! not know of it.

#[cfg(loom)]
pub use loom::sync::{atomic, Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;
#[cfg(not(loom))]
pub(crate) use plain_cell::UnsafeCell;

/// What a wait queue lies under. Loom explores `word_lock` by itself; above it, it has a lock of its own, which adds fewer steps
/// to what it has to explore.
#[cfg(not(loom))]
pub(crate) use crate::word_lock::{WordGuard as StateGuard, WordLock as StateLock};
#[cfg(loom)]
pub(crate) use model::{StateGuard, StateLock};

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::{wait_while, wake_one};

use std::sync::PoisonError;
#[cfg(not(loom))]
use std::time::Duration;

/// Atomics for words that live as long as the process. Loom's have no `const` constructor, and a
/// word that outlives a model could not be explored anyway, so these are always the standard ones.
pub mod process_wide {
    pub use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
}

/// Locks, and ignores poison: no code of ours leaves a structure half changed when it panics, and a
/// loop that stops taking work because of somebody's panic would be the greater harm.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps for as long as the word has this value, or less: the caller looks again. True if the time is up; None: for as long as
/// it takes.
#[cfg(not(loom))]
pub(crate) fn wait_while(word: &atomic::AtomicU32, value: u32, timeout: Option<Duration>) -> bool {
    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};
    let timeout = timeout.map(|duration| Timespec {
        // What the kernel cannot count is for ever.
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    });
    // Woken, interrupted or changed meanwhile: all the same to a caller that looks again.
    futex::wait(word, Flags::PRIVATE, value, timeout.as_ref()) == Err(Errno::TIMEDOUT)
}

/// Wakes one who sleeps in [`wait_while`].
#[cfg(not(loom))]
pub(crate) fn wake_one(word: &atomic::AtomicU32) {
    use rustix::thread::futex;
    // Fails for bad addresses only, which a reference is not.
    let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
}

/// The standard cell in the shape of loom's, which counts who holds a pointer into it.
#[cfg(not(loom))]
mod plain_cell {
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    pub(crate) struct MutPtr<T>(*mut T);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn get_mut(&self) -> MutPtr<T> {
            MutPtr(self.0.get())
        }
    }

    impl<T> MutPtr<T> {
        #[inline(always)]
        pub(crate) fn with<R>(&self, body: impl FnOnce(*mut T) -> R) -> R {
            body(self.0)
        }
    }
}
