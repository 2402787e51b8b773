//! How many forks lie between the first process and this one.
//!
//! A child inherits every descriptor, the epoll instance among them, and shares it with its parent:
//! an `epoll_ctl` in the child changes what the parent waits for. So whoever holds such a thing
//! notes the [`generation`] in which it was made and compares. Rejected: comparing process ids,
//! which costs a system call each time and lies when an id is reused.

use crate::sync::process_wide::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

/// The generation of this process. Changes only in a child, right after `fork`.
#[inline]
pub fn generation() -> u32 {
    // Relaxed: the only writer is the lone thread of a new child, and others are born after that.
    GENERATION.load(Ordering::Relaxed)
}

/// Begins a new generation. To be called in the child, before anything else touches the engine.
pub fn bump() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// A number that changes around each fork of this process, or attempt at one: what was made at another one may be known to a child.
#[inline]
pub fn attempts() -> u32 {
    ATTEMPTS.load(Ordering::SeqCst)
}

/// To be called in the parent, right before a fork and right after it: what other threads make in between may be in the child as well.
pub fn count_attempt() {
    ATTEMPTS.fetch_add(1, Ordering::SeqCst);
}
