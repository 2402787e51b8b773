//! Without the GIL: threads that put and get at the same time take turns of some microseconds.
//!
//! An operation takes some 50 nanoseconds as long as the queue lies in its processor's cache, and several hundred where it has to be
//! fetched from another's. Two threads that alternate at each operation are four times as slow as one alone. So a thread that finds that it keeps
//! taking the queue from another leaves it alone for a while, before it takes it once more. Threads that wait for one another alternate too,
//! and must not be held up: a wait starts the count anew.

use crate::event_loop::thread_token;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many changes from thread to thread, without a wait among them, are no accident.
const CROWDED: u32 = 16;
/// How long a thread leaves the queue to another: a microsecond longer at each further change, up to this. A turn in which the other
/// fills the queue, or empties it, and has to wait would be too long, and that starts the count anew.
const LONGEST_TURN: u32 = 50;

/// Who used a queue last. Nothing depends on it but speed, so nothing here is ordered.
#[derive(Default)]
pub struct Turns {
    last: AtomicUsize,
    changes: AtomicU32,
}

impl Turns {
    /// Before an operation.
    #[inline]
    pub fn take(&self) {
        if cfg!(Py_GIL_DISABLED) {
            let me = thread_token();
            if self.last.load(Relaxed) != me {
                self.change(me);
            }
        }
    }

    /// Somebody has to wait: they alternate because they must.
    pub fn waits(&self) {
        self.changes.store(0, Relaxed);
    }

    #[cold]
    fn change(&self, me: usize) {
        let changes = self.changes.load(Relaxed);
        if changes < CROWDED + LONGEST_TURN {
            self.changes.store(changes + 1, Relaxed);
        }
        if changes >= CROWDED {
            let (start, turn) = (Instant::now(), Duration::from_micros(u64::from(changes - CROWDED)));
            while start.elapsed() < turn {
                std::hint::spin_loop();
            }
        }
        self.last.store(me, Relaxed);
    }
}
