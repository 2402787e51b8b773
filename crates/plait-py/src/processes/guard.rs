//! How a worker learns of its parent's death: a thread that waits for it, by the pidfd that the parent has made of itself.
//!
//! A worker that waits for work could notice by itself, but one that is busy for an hour could not, and would go on working for nobody.
//!
//! Rejected: PR_SET_PDEATHSIG, which fires when the *thread* ends that started the worker; the hang-up of a socket, of which any process that the parent forked may hold the
//! other end; asking for the parent's number, which needs somebody to ask.

use crate::native_thread;
use plait_core::fork;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use std::io::Result;
use std::os::fd::OwnedFd;

/// The exit code of a worker whose parent has died.
const ORPHANED: i32 = 1;

/// Ends this process when that one has ended.
pub fn watch(parent: OwnedFd) -> Result<()> {
    let generation = fork::generation();
    native_thread::spawn("plait-guard", move || {
        loop {
            match poll(&mut [PollFd::new(&parent, PollFlags::IN)], None) {
                Err(Errno::INTR) => {}
                Ok(0) => {}
                Ok(_) => break,
                // Without the means to wait there is no guard.
                Err(_) => return,
            }
        }
        if generation == fork::generation() {
            // SAFETY: ends the process at once. There is nobody left to whom anything could be said.
            unsafe { libc::_exit(ORPHANED) };
        }
    })
    .map(drop)
}
