//! The descriptor of an open file, shared by the file and by the operations on it.
//!
//! The kernel may be at work on a file that its owner has let go of: a read was cancelled and its task closes the file. Were the
//! number closed then, the next file that is opened would get it, and the late operation would be on that one. So whoever works on
//! a file holds a share, and the last one closes it.

use crate::fd::borrow;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// An open file: ours to close, or another's, as with `open(number, closefd=False)`.
#[derive(Debug)]
pub enum Descriptor {
    /// Closed when it is dropped.
    Owned(OwnedFd),
    /// Somebody else closes that one, perhaps while an operation that was given up is still at it: so we are at a duplicate.
    Lent {
        /// Ours.
        duplicate: OwnedFd,
        /// The number that we were given.
        lent: RawFd,
    },
}

impl Descriptor {
    /// Of a descriptor that somebody else closes.
    pub fn lent(number: RawFd) -> rustix::io::Result<Descriptor> {
        let duplicate = rustix::io::fcntl_dupfd_cloexec(borrow(number)?, 0)?;
        Ok(Descriptor::Lent { duplicate, lent: number })
    }

    /// The number that operations are on.
    #[inline]
    pub fn number(&self) -> RawFd {
        match self {
            Descriptor::Owned(fd) => fd.as_raw_fd(),
            Descriptor::Lent { duplicate, .. } => duplicate.as_raw_fd(),
        }
    }

    /// The number that the file is known by.
    pub fn shown(&self) -> RawFd {
        match self {
            Descriptor::Owned(fd) => fd.as_raw_fd(),
            Descriptor::Lent { lent, .. } => *lent,
        }
    }

    /// The descriptor to be closed; None where an operation is still at it and will close it at its end.
    pub fn into_owned(shared: Arc<Descriptor>) -> Option<OwnedFd> {
        Arc::into_inner(shared).map(|descriptor| match descriptor {
            Descriptor::Owned(fd) | Descriptor::Lent { duplicate: fd, .. } => fd,
        })
    }
}
