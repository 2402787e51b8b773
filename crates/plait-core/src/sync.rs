//! The standard library's synchronisation, or loom's.
//!
//! Loom runs a test once for every interleaving that the memory model allows, but sees only what
//! goes through its own types. The choice is made in this file, by `--cfg loom`; the other files do
//! not know of it.

#[cfg(loom)]
pub use loom::sync::{atomic, Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc, Mutex, MutexGuard};

use std::sync::PoisonError;

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
