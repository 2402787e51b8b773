//! How long a process has been on a processor, by its CPU clock.
//!
//! Each process has a clock that counts the nanoseconds which all its threads have run, and any other process may read it.
//! Read before and after a load, it gives what the server spent on it, without the start of its interpreter. Rejected:
//! `/proc/<pid>/stat`, which counts in hundredths of a second, and `getrusage`, which knows only oneself and children that
//! have ended.

use crate::failure::Context;
use rustix::time::{clock_gettime, ClockId};
use std::io;

/// The CPU clock of one process.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock {
    pid: u32,
    id: libc::clockid_t,
}

impl CpuClock {
    /// The clock of the process `pid`, which has to be running.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let gone = || format!("process {pid} has no CPU clock");
        let number = libc::pid_t::try_from(pid).map_err(|_| rustix::io::Errno::SRCH).context(gone)?;
        let mut id = 0;
        // SAFETY: `id` is valid for the one write that the call makes.
        #[allow(unsafe_code)]
        let errno = unsafe { libc::clock_getcpuclockid(number, &mut id) };
        match errno {
            0 => Ok(Self { pid, id }),
            errno => Err(io::Error::from_raw_os_error(errno)).context(gone),
        }
    }

    /// Nanoseconds on a processor since the process began, of all its threads.
    pub fn nanoseconds(&self) -> io::Result<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is valid for the one write that the call makes.
        #[allow(unsafe_code)]
        let outcome = unsafe { libc::clock_gettime(self.id, &mut time) };
        if outcome != 0 {
            let error: io::Result<u64> = Err(io::Error::last_os_error());
            return error.context(|| format!("the CPU clock of process {} could not be read", self.pid));
        }
        #[allow(clippy::unnecessary_cast)] // the fields are narrower on 32-bit systems
        Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

/// Nanoseconds that the calling thread has been on a processor.
pub fn this_thread() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn counts_what_this_process_does() {
        let clock = CpuClock::of_process(std::process::id()).unwrap();
        let before = clock.nanoseconds().unwrap();
        let thread_before = this_thread();
        while this_thread() == thread_before {}
        assert!(clock.nanoseconds().unwrap() > before);
    }

    #[test]
    fn a_process_that_ended_has_none() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let clock = CpuClock::of_process(child.id()).unwrap();
        clock.nanoseconds().unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        let error = clock.nanoseconds().unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
        CpuClock::of_process(u32::MAX).unwrap_err();
    }
}
