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
pub(crate) use model::{wait_while, wait_while_low, wake, wake_low};

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

/// Who else may sleep on a word, or wake who does: the threads of this process, or whoever has its memory mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Process,
    Memory,
}

/// Sleeps for as long as the word has this value, or less: the caller looks again. True if the time is up; None: for as long as
/// it takes.
#[cfg(not(loom))]
pub(crate) fn wait_while(
    word: &atomic::AtomicU32,
    value: u32,
    timeout: Option<Duration>,
    reach: Reach,
) -> bool {
    use rustix::io::Errno;
    use rustix::thread::futex::{self, Timespec};
    let timeout = timeout.map(|duration| Timespec {
        // What the kernel cannot count is for ever.
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    });
    // Woken, interrupted or changed meanwhile: all the same to a caller that looks again.
    futex::wait(word, flags(reach), value, timeout.as_ref()) == Err(Errno::TIMEDOUT)
}

/// Wakes at most so many of those who sleep in [`wait_while`]. Says how many it were.
#[cfg(not(loom))]
pub(crate) fn wake(word: &atomic::AtomicU32, count: u32, reach: Reach) -> usize {
    // The kernel takes a number with a sign. It fails for bad addresses only, which a reference is not.
    let count = count.min(i32::MAX as u32);
    rustix::thread::futex::wake(word, flags(reach), count).unwrap_or(0)
}

/// The half of a double word that can be slept on. It is for the kernel to look at, and never accessed as such.
#[cfg(not(loom))]
#[allow(unsafe_code)]
fn lower_half(word: &atomic::AtomicU64) -> &atomic::AtomicU32 {
    let halves = std::ptr::from_ref(word).cast::<atomic::AtomicU32>();
    let lower = if cfg!(target_endian = "little") { 0 } else { 1 };
    // SAFETY: it lies inside the double word, which is borrowed for as long, and is aligned.
    unsafe { &*halves.add(lower) }
}

/// [`wait_while`] on the lower half of a double word, of whoever has its memory mapped.
#[cfg(not(loom))]
pub(crate) fn wait_while_low(word: &atomic::AtomicU64, value: u32, timeout: Option<Duration>) -> bool {
    wait_while(lower_half(word), value, timeout, Reach::Memory)
}

/// [`wake`] for it.
#[cfg(not(loom))]
pub(crate) fn wake_low(word: &atomic::AtomicU64, count: u32) -> usize {
    wake(lower_half(word), count, Reach::Memory)
}

/// Sleeps while all of these double words have these lower halves, and the bell its value. Err: the kernel cannot do that (before 5.16).
#[cfg(not(loom))]
pub(crate) fn wait_while_all(
    bell: (&atomic::AtomicU32, u32),
    words: &[(&atomic::AtomicU64, u32)],
    timeout: Duration,
) -> Result<(), rustix::io::Errno> {
    use rustix::io::Errno;
    use rustix::thread::futex::{waitv, ClockId, Timespec, Wait, WaitFlags, WaitPtr, WaitvFlags};
    let waiter = |word: &atomic::AtomicU32, value: u32| {
        let mut waiter = Wait::new();
        waiter.val = value.into();
        waiter.uaddr = WaitPtr::new(std::ptr::from_ref(word).cast_mut().cast());
        waiter.flags = WaitFlags::SIZE_U32;
        waiter
    };
    let mut waiters = vec![waiter(bell.0, bell.1)];
    waiters.extend(words.iter().map(|(word, value)| waiter(lower_half(word), *value)));
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let end = Timespec { tv_sec: now.tv_sec, tv_nsec: now.tv_nsec }
        + Timespec::try_from(timeout).map_err(|_| Errno::INVAL)?;
    match waitv(&waiters, WaitvFlags::empty(), Some(&end), ClockId::Monotonic) {
        Err(error @ (Errno::NOSYS | Errno::PERM | Errno::INVAL)) => Err(error),
        // Woken, interrupted, changed meanwhile, or the time is up: the caller looks again.
        _ => Ok(()),
    }
}

#[cfg(not(loom))]
fn flags(reach: Reach) -> rustix::thread::futex::Flags {
    use rustix::thread::futex::Flags;
    match reach {
        Reach::Process => Flags::PRIVATE,
        Reach::Memory => Flags::empty(),
    }
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
