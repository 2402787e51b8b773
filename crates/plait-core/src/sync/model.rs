//! What loom has not: a futex, and a lock for the wait queue that costs it little.

use super::atomic::{AtomicU32, Ordering};
use super::{lock, Mutex, MutexGuard};
use loom::sync::Condvar;
use std::sync::Arc;
use std::time::Duration;

loom::lazy_static! {
    /// Who sleeps on which word, in the order of their coming. Anew for each run of a model.
    static ref SLEEPERS: Mutex<Vec<(usize, Arc<Condvar>)>> = Mutex::new(Vec::new());
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word) as usize
}

/// There is no clock: the time is never up. As the kernel does, it compares the word under the lock that a waker needs too. No sleep
/// ends without a reason, for then sleepers could wake each other up for ever.
pub(crate) fn wait_while(word: &AtomicU32, value: u32, _timeout: Option<Duration>) -> bool {
    let bell = Arc::new(Condvar::new());
    let mut sleepers = lock(&SLEEPERS);
    // A load might show what the word was before: the kernel sees what it is.
    if word.fetch_or(0, Ordering::Relaxed) == value {
        sleepers.push((address(word), Arc::clone(&bell)));
        while sleepers.iter().any(|(_, other)| Arc::ptr_eq(other, &bell)) {
            sleepers = bell.wait(sleepers).expect("nobody panics with this lock");
        }
    }
    false
}

pub(crate) fn wake_one(word: &AtomicU32) {
    let mut sleepers = lock(&SLEEPERS);
    if let Some(first) = sleepers.iter().position(|(slept_on, _)| *slept_on == address(word)) {
        sleepers.remove(first).1.notify_one();
    }
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
