//! A word that is open or shut, with a bit that says that somebody may sleep until it is open.
//!
//! Sleepers sleep while it is shut, and the bit is taken back only while it is open, by a waker that has woken nobody. In between a sleeper
//! can have come and the word have been shut and opened again; but then that sleeper was woken, and whoever has
//! slept sets the bit again: as it takes, or as it leaves. So no sleeper is left behind a word without the bit. (Loom agrees.)

use super::super::futex;
use super::Rest;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Somebody may sleep.
pub const SLEEPERS: u64 = 1;

/// Announces a sleeper. None: the word is open.
pub fn rest(word: &AtomicU64, is_open: impl Fn(u64) -> bool) -> Option<Rest<'_>> {
    let mut now = word.load(Ordering::Relaxed);
    loop {
        if is_open(now) {
            return None;
        }
        if now & SLEEPERS != 0 {
            return Some(Rest { word, value: now as u32 });
        }
        match word.compare_exchange_weak(now, now | SLEEPERS, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Some(Rest { word, value: (now | SLEEPERS) as u32 }),
            Err(changed) => now = changed,
        }
    }
}

/// The word was opened, and the bit was there: wakes one.
#[cold]
pub fn rouse(word: &AtomicU64, is_open: impl Fn(u64) -> bool) {
    if futex::wake_low(word, 1) > 0 {
        return;
    }
    let now = word.load(Ordering::Relaxed);
    if now & SLEEPERS != 0 && is_open(now) {
        // Changed meanwhile: then it is the affair of who changed it.
        let _ = word.compare_exchange(now, now & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Somebody who has slept goes away with nothing: a wake-up that it has had goes to another.
pub fn leave(word: &AtomicU64, is_open: impl Fn(u64) -> bool) {
    if is_open(word.fetch_or(SLEEPERS, Ordering::Relaxed)) {
        rouse(word, is_open);
    }
}
