//! Ten looks a second at whether to go on.
//!
//! A timer descriptor of its own, watched like any other. Rejected: a time-out at every wait, for which the kernel arms and
//! disarms a timer each time that it sleeps, which a server is measured with.

use crate::failure::Context;
use crate::OnTick;
use rustix::time::{
    timerfd_create, timerfd_settime, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How long a look is apart from the next.
pub(crate) const TICK_NANOSECONDS: i64 = 100_000_000;

#[derive(Debug)]
pub(crate) struct Ticker(OwnedFd);

impl Ticker {
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)
            .context(|| "a timer could not be made".into())?;
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK_NANOSECONDS as _ };
        let times = Itimerspec { it_interval: tick, it_value: tick };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times)
            .context(|| "a timer could not be set".into())?;
        Ok(Self(timer))
    }

    /// Clears the tick, and asks.
    pub(crate) fn ask(&self, on_tick: OnTick<'_>) -> ControlFlow<()> {
        // Fails only where there was nothing to clear: after a signal, say.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
        on_tick()
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
