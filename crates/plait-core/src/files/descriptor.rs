//! The descriptor of an open file, shared by the file and by the operations on it.
//!
//! The kernel may be at work on a file that its owner has let go of: a read was cancelled and its task closes the file. Were the
//! number closed then, the next file that is opened would get it, and the late operation would be on that one. So whoever works on
//! a file holds a share, and the last one closes it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// An open file: ours to close, or another's, as with `open(number, closefd=False)`.
#[derive(Debug)]
pub enum Descriptor {
    /// Closed when it is dropped.
    Owned(OwnedFd),
    /// Somebody else closes it, but not before we are done.
    Lent(RawFd),
}

impl Descriptor {
    /// Its number.
    #[inline]
    pub fn number(&self) -> RawFd {
        match self {
            Descriptor::Owned(fd) => fd.as_raw_fd(),
            Descriptor::Lent(number) => *number,
        }
    }

    /// The descriptor to be closed; None where it is another's, or an operation is still at it and will close it at its end.
    pub fn into_owned(shared: Arc<Descriptor>) -> Option<OwnedFd> {
        match Arc::try_unwrap(shared) {
            Ok(Descriptor::Owned(fd)) => Some(fd),
            _ => None,
        }
    }
}
