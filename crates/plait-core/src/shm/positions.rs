//! How far one process has written into a ring, and how far another has read it.
//!
//! Two counters that only grow; where they are taken modulo the ring's size is the place. Each side believes its own counter, which it keeps to itself and shows
//! to the other, and checks the other's: what is filled is never less than nothing and never more than the ring.

use crate::sync::atomic::{AtomicU64, Ordering};

/// The other side's counter says what cannot be: that process is broken, or writes where it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("what another process has written to shared memory makes no sense")
    }
}

impl std::error::Error for Damaged {}

/// How many bytes may be written, after so many.
#[inline]
pub fn room(written: u64, read: &AtomicU64, capacity: u64) -> Result<u64, Damaged> {
    // Acquire: the reader is through with those bytes.
    filled_between(read.load(Ordering::Acquire), written, capacity).map(|filled| capacity - filled)
}

/// How many bytes may be read, after so many.
#[inline]
pub fn filled(read: u64, written: &AtomicU64, capacity: u64) -> Result<u64, Damaged> {
    // Acquire: the bytes are there.
    filled_between(read, written.load(Ordering::Acquire), capacity)
}

/// Shows the other side how far this one is.
#[inline]
pub fn show(counter: &AtomicU64, position: u64) {
    counter.store(position, Ordering::Release);
}

fn filled_between(read: u64, written: u64, capacity: u64) -> Result<u64, Damaged> {
    let filled = written.wrapping_sub(read);
    if filled > capacity {
        return Err(Damaged);
    }
    Ok(filled)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counters_that_cannot_be_are_refused() {
        assert_eq!(filled(10, &AtomicU64::new(74), 64), Ok(64));
        assert_eq!(filled(10, &AtomicU64::new(75), 64), Err(Damaged));
        assert_eq!(filled(10, &AtomicU64::new(9), 64), Err(Damaged));
        assert_eq!(room(10, &AtomicU64::new(11), 64), Err(Damaged));
        assert_eq!(room(u64::MAX, &AtomicU64::new(u64::MAX - 4), 64), Ok(60));
        assert_eq!(room(3, &AtomicU64::new(u64::MAX), 64), Ok(60));
    }
}
