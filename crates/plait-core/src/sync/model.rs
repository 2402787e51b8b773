//! What loom has not: a futex, and a lock for the wait queue that costs it little.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::{lock, Mutex, MutexGuard, Reach};
use loom::sync::Condvar;
use std::sync::Arc;
use std::time::Duration;

loom::lazy_static! {
    /// Who sleeps on which word, in the order of their coming. Anew for each run of a model.
    static ref SLEEPERS: Mutex<Vec<(usize, Arc<Condvar>)>> = Mutex::new(Vec::new());
}

/// There is no clock: the time is never up. As the kernel does, it compares the word under the lock that a waker needs too. No sleep
/// ends without a reason, for then sleepers could wake each other up for ever.
fn sleep_while(address: usize, unchanged: impl FnOnce() -> bool) {
    let bell = Arc::new(Condvar::new());
    let mut sleepers = lock(&SLEEPERS);
    if unchanged() {
        sleepers.push((address, Arc::clone(&bell)));
        while sleepers.iter().any(|(_, other)| Arc::ptr_eq(other, &bell)) {
            sleepers = bell.wait(sleepers).expect("nobody panics with this lock");
        }
    }
}

fn wake_at(address: usize, count: u32) -> usize {
    let mut sleepers = lock(&SLEEPERS);
    for woken in 0..count as usize {
        let Some(first) = sleepers.iter().position(|(slept_on, _)| *slept_on == address) else {
            return woken;
        };
        sleepers.remove(first).1.notify_one();
    }
    count as usize
}

// A load might show what a word was before: the kernel sees what it is.

pub(crate) fn wait_while(word: &AtomicU32, value: u32, _timeout: Option<Duration>, _reach: Reach) -> bool {
    sleep_while(std::ptr::from_ref(word) as usize, || word.fetch_or(0, Ordering::Relaxed) == value);
    false
}

pub(crate) fn wait_while_low(word: &AtomicU64, value: u32, _timeout: Option<Duration>) -> bool {
    sleep_while(std::ptr::from_ref(word) as usize, || word.fetch_or(0, Ordering::Relaxed) as u32 == value);
    false
}

pub(crate) fn wake(word: &AtomicU32, count: u32, _reach: Reach) -> usize {
    wake_at(std::ptr::from_ref(word) as usize, count)
}

pub(crate) fn wake_low(word: &AtomicU64, count: u32) -> usize {
    wake_at(std::ptr::from_ref(word) as usize, count)
}

/// Loom's mutex in the shape of a word lock, in a process that never forks.
pub(crate) struct StateLock<T>(Mutex<T>);

pub(crate) struct StateGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    pub(crate) inherited: bool,
}

impl<T> StateLock<T> {
    pub(crate) fn new(value: T) -> Self {
        StateLock(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> StateGuard<'_, T> {
        StateGuard { guard: lock(&self.0), inherited: false }
    }

    pub(crate) fn try_lock(&self) -> Option<StateGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| StateGuard { guard, inherited: false })
    }
}

impl<T> std::ops::Deref for StateGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> std::ops::DerefMut for StateGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
