//! What other threads do for a loop: the calls of `run_in_executor`, and futures of pools that it waits for.
//!
//! A loop that is about to sleep while there is something of the kind watches its inbox for some microseconds first, as a thread does that waits
//! for another (`waiters::thread`): most calls that are handed to a pool take less than the way into the kernel and back.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there are.
#[derive(Default)]
pub struct WorksElsewhere(AtomicUsize);

impl WorksElsewhere {
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    #[inline]
    pub fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}
