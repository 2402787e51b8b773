//! Native loops over Python calls let other threads have their turn.
//!
//! The interpreter looks between two bytecodes whether another thread wants the GIL, or a signal has come. A worker that makes a hundred thousand calls of
//! built-in functions runs no bytecode, nor does `map` while it submits them. So such a loop looks at the clock in each round, and after about as long as the
//! interpreter's own switch interval is by default it lets go: who has waited for that long has asked for the GIL, and gets it. Without the GIL the same moment
//! is one in which the collector can stop the thread.
//!
//! The clock is the coarse one, which the kernel moves at its own ticks (each millisecond to ten), and which costs a fifth of the exact one. Rejected: the
//! exact one in every 32nd round, for a round may be as long as a call is, and 32 calls of `sorted` kept the GIL for a quarter of a second.

use pyo3::prelude::*;
use rustix::time::{clock_gettime, ClockId};
use std::time::Duration;

/// How long a loop keeps the GIL, and up to a tick of the clock longer.
const LONGEST: Duration = Duration::from_millis(5);

pub struct GiveWay {
    until: Duration,
}

impl GiveWay {
    pub fn from_now() -> GiveWay {
        GiveWay { until: now() + LONGEST }
    }

    /// To be called in each round. An error is what a signal handler raised.
    #[inline]
    pub fn now_and_then(&mut self, py: Python<'_>) -> PyResult<()> {
        match now() < self.until {
            true => Ok(()),
            false => self.give_way(py),
        }
    }

    #[cold]
    fn give_way(&mut self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {});
        self.until = now() + LONGEST;
        py.check_signals()
    }
}

#[inline]
fn now() -> Duration {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
