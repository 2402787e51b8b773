//! What has been done, on its way from the engine's threads to the loop.
//!
//! An [`Inbox`] and a bell: an eventfd that the loop watches, rung once by whoever comes first after the loop has
//! looked. The ring of io_uring rings the same bell, so that a loop watches one descriptor for both.

use super::Done;
use crate::inbox::Inbox;
use rustix::event::{eventfd, EventfdFlags};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An operation that is over.
#[derive(Debug)]
pub struct Completion {
    /// The caller's name for it.
    pub id: u64,
    /// What it came to.
    pub done: Done,
}

#[derive(Debug)]
pub struct Completions {
    inbox: Inbox<Completion>,
    bell: OwnedFd,
}

impl Completions {
    pub fn new() -> io::Result<Completions> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let inbox = Inbox::new();
        // An empty inbox: the first to push has to ring.
        let _ = inbox.prepare_sleep();
        Ok(Completions { inbox, bell })
    }

    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// From any thread.
    pub fn push(&self, id: u64, done: Done) {
        if self.inbox.push(Completion { id, done }) {
            self.ring();
        }
    }

    /// Has the loop come and look.
    pub fn ring(&self) {
        // The counter cannot overflow by ones.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// Takes all that has come, and has the bell rung for the next.
    pub fn collect(&self, out: &mut VecDeque<Completion>) {
        // Silenced first: what comes from here on rings again. It may have been silent (EAGAIN).
        let _ = rustix::io::read(&self.bell, &mut [0u8; 8]);
        self.inbox.woke();
        loop {
            self.inbox.drain_into(out);
            if self.inbox.prepare_sleep() {
                return;
            }
        }
    }
}
