//! Sleeping on a word that other processes see too.

use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::{self, Reach};
use std::time::Duration;

/// Sleeps while the word has this value, for at most `timeout` (None: any time). True if the time is up. May end for no reason, and ends when a signal
/// comes: the caller looks again.
pub fn wait_while(word: &AtomicU32, value: u32, timeout: Option<Duration>) -> bool {
    sync::wait_while(word, value, timeout, Reach::Memory)
}

/// Wakes at most so many of those who sleep on the word, of all processes. Says how many it were.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    sync::wake(word, count, Reach::Memory)
}

/// [`wait_while`] on the lower half of a double word.
pub fn wait_while_low(word: &AtomicU64, value: u32, timeout: Option<Duration>) -> bool {
    sync::wait_while_low(word, value, timeout)
}

/// [`wake`] for it.
pub fn wake_low(word: &AtomicU64, count: u32) -> usize {
    sync::wake_low(word, count)
}

/// On how many words [`wait_while_all`] can sleep, beside the bell.
pub const MOST_WORDS: usize = 127;

/// The kernel cannot sleep on many words at once: it is older than 5.16, or forbids it.
#[derive(Debug)]
pub struct OneAtATime;

/// Sleeps while all of these double words have these lower halves, and the bell its value, for at most `timeout`. At most [`MOST_WORDS`] of them. May
/// end for no reason.
#[cfg(not(loom))]
pub fn wait_while_all(
    bell: (&AtomicU32, u32),
    words: &[(&AtomicU64, u32)],
    timeout: Duration,
) -> Result<(), OneAtATime> {
    sync::wait_while_all(bell, words, timeout).map_err(|_| OneAtATime)
}
