//! Which process that is: its id, and when it began, since ids are used again.

use crate::fork;
use crate::sync::process_wide::{AtomicU32, Ordering};
use rustix::io::Errno;
use rustix::process::{getpid, test_kill_process, Pid};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::AtomicU64;

/// A process. Fits into a double word beside one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub pid: u32,
    /// The lower half of its time of start, in ticks of the kernel since the machine's start; 0: not known.
    pub start: u32,
}

/// Somebody, of whose life nothing can be told: from here its id means nothing.
const STRANGER: u32 = u32::MAX >> 1;

/// Of the fork generation, plus one, in `GENERATION`.
static CURRENT: AtomicU64 = AtomicU64::new(0);
static NAMESPACE: AtomicU64 = AtomicU64::new(0);
static GENERATION: AtomicU32 = AtomicU32::new(0);

impl Identity {
    /// Another process, or this one, that lives where process ids mean something else.
    pub const STRANGER: Identity = Identity { pid: STRANGER, start: 0 };

    /// This process.
    #[inline]
    pub fn current() -> Identity {
        // Acquire: sees what was stored before it.
        if GENERATION.load(Ordering::Acquire) != fork::generation().wrapping_add(1) {
            Identity::look_up();
        }
        Identity::unpack(CURRENT.load(Ordering::Relaxed))
    }

    #[cold]
    fn look_up() {
        let pid = getpid().as_raw_nonzero().get() as u32;
        let start = status(pid).map_or(0, |status| status.start);
        CURRENT.store(Identity { pid, start }.pack(), Ordering::Relaxed);
        let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |about| about.ino());
        NAMESPACE.store(namespace, Ordering::Relaxed);
        GENERATION.store(fork::generation().wrapping_add(1), Ordering::Release);
    }

    /// The namespace in which process ids are this process's; 0: not known.
    #[inline]
    pub fn namespace() -> u64 {
        Identity::current();
        NAMESPACE.load(Ordering::Relaxed)
    }

    /// As a double word whose lowest bit is free; never zero.
    #[inline]
    pub fn pack(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.pid) << 1
    }

    /// From such a word.
    #[inline]
    pub fn unpack(word: u64) -> Identity {
        Identity { pid: word as u32 >> 1, start: (word >> 32) as u32 }
    }

    /// Whether it is certain that this process does nothing any more. Costs some system calls.
    pub fn is_dead(self) -> bool {
        let current = Identity::current();
        if self.pid == STRANGER || self == current {
            return false;
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        // A process whose parent has not asked for its end is there still, and so is its status.
        match status(self.pid) {
            Some(found) => found.has_ended || (self.start != 0 && found.start != self.start),
            None => false,
        }
    }
}

struct Status {
    start: u32,
    has_ended: bool,
}

/// What the kernel tells of a process. None: nothing (there is no /proc, or it is somebody else's).
fn status(pid: u32) -> Option<Status> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name comes second, in brackets, and may have anything in it.
    let mut fields = line.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let start: u64 = fields.nth(1)?.parse().ok()?;
    // With more threads it is only the first of them that has ended.
    let has_ended = matches!(state, "Z" | "X") && threads <= 1;
    Some(Status { start: start as u32, has_ended })
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn this_process_lives_and_another_start_of_its_id_does_not() {
        let current = Identity::current();
        assert_eq!(current.pid, std::process::id());
        assert_ne!(current.start, 0);
        assert!(!current.is_dead());
        assert!(Identity { start: current.start + 1, ..current }.is_dead());
        assert!(!Identity::STRANGER.is_dead());
        assert_eq!(Identity::unpack(current.pack() | 1), current);
    }

    #[test]
    fn a_child_is_dead_when_it_is_killed_and_when_its_end_was_heard() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = Identity { pid: child.id(), start: status(child.id()).unwrap().start };
        assert!(!identity.is_dead());
        child.kill().unwrap();
        while !identity.is_dead() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(identity.is_dead());
    }
}
