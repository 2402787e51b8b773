//! Native loops over Python calls let other threads have their turn.
//!
//! The interpreter looks between two bytecodes whether another thread wants the GIL, or a signal has come. A worker that makes a hundred thousand calls of
//! built-in functions runs no bytecode, nor does `map` while it submits them. So now and then such a loop looks at the clock, and after as long as the
//! interpreter's own switch interval is by default it lets go: who has waited for that long has asked for the GIL, and gets it. Without the GIL the same moment
//! is one in which the collector can stop the thread.

use pyo3::prelude::*;
use std::time::{Duration, Instant};

/// How long a loop keeps the GIL.
const LONGEST: Duration = Duration::from_millis(5);
/// A look at the clock comes once in so many rounds.
const SELDOM: u32 = 32;

pub struct GiveWay {
    rounds: u32,
    since: Instant,
}

impl GiveWay {
    pub fn from_now() -> GiveWay {
        GiveWay { rounds: 0, since: Instant::now() }
    }

    /// To be called in each round. An error is what a signal handler raised.
    #[inline]
    pub fn now_and_then(&mut self, py: Python<'_>) -> PyResult<()> {
        self.rounds = self.rounds.wrapping_add(1);
        match self.rounds % SELDOM {
            0 => self.look(py),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn look(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.since.elapsed() < LONGEST {
            return Ok(());
        }
        py.detach(|| {});
        self.since = Instant::now();
        py.check_signals()
    }
}
