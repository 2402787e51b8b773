//! A descriptor that is readable while there is something: for those who wait for many things at once, by a selector or a loop.
//!
//! It costs a system call for each message, so that it is rung only where somebody has asked for the descriptor. It stays readable until
//! somebody has found that there is nothing more.

use rustix::event::{eventfd, EventfdFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    pub fn new() -> io::Result<Bell> {
        Ok(Bell(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    pub fn open(descriptor: OwnedFd) -> Bell {
        Bell(descriptor)
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    #[cold]
    pub fn ring(&self) {
        // It fails if it has been rung as often as can be counted, and is then readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    #[cold]
    pub fn clear(&self) {
        // It fails if it was not rung.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}
