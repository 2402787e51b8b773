//! Whether anybody may still put something into a queue.
//!
//! A queue that is told of its writers' end has a pipe beside its memory, of which each possible writer holds the writing end: the kernel counts them, and
//! knows of every death. Nothing is ever written to it. A reader looks at it when it has slept for a while and found nothing.
//!
//! Rejected: a count in the shared memory, which those who are killed leave too high.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::BorrowedFd;

/// Whether all have closed the writing end of the pipe whose reading end this is.
pub fn has_ended(reading: BorrowedFd<'_>) -> bool {
    let mut pipe = [PollFd::new(&reading, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut pipe, Some(&at_once)), Ok(1)) && pipe[0].revents().contains(PollFlags::HUP)
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn it_ends_with_the_last_writer() {
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        let second = writing.try_clone().unwrap();
        assert!(!has_ended(reading.as_fd()));
        drop(writing);
        assert!(!has_ended(reading.as_fd()));
        drop(second);
        assert!(has_ended(reading.as_fd()));
    }
}
