//! Readiness: which descriptors can be read or written without waiting.
//!
//! The contract, whatever the mechanism:
//!
//! - **Level-triggered.** A descriptor is reported as long as it is ready, so a short read loses
//!   nothing.
//! - **Persistent.** A registration stays until it is changed or removed; it is not re-armed for
//!   each event.
//! - **One interest mask per descriptor**, whoever reads and whoever writes.
//! - **The token is the caller's**, 64 bits, and comes back with each event. It should hold a
//!   generation beside the index: an event fetched before a registration was removed can still be
//!   in the caller's hands.
//! - **Errors and hang-ups are always reported**, whatever the mask; both mean that reading and
//!   writing will not wait.
//! - **Nothing after fork.** A child shares the parent's instance, so there it refuses to change or
//!   wait for anything.
//!
//! Rejected: mio, which is edge-triggered throughout, so that `add_reader` would lose what a short
//! read left; the `polling` crate, which re-arms by a system call after each event.

mod coarse_wait;
mod epoll;

pub use epoll::{Events, Reactor, Wakeup, FIRST_RESERVED_TOKEN};

use std::ops::{BitAnd, BitOr, BitOrAssign};

/// What to wait for on a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Interest(u8);

impl Interest {
    /// Only errors and hang-ups, which cannot be masked. While one lasts it is reported at each
    /// wait: deregister instead if nothing is going to be done about it.
    pub const NONE: Self = Self(0);
    /// Data, end of file, or a connection to accept.
    pub const READ: Self = Self(1);
    /// Room to write, or a connection attempt that has ended.
    pub const WRITE: Self = Self(2);

    /// Whether all of `other` is wanted.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is wanted.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Interest {
    type Output = Self;
    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Interest {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Interest {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// One descriptor's readiness.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The token it was registered with.
    pub token: u64,
    /// Reading will not wait.
    pub readable: bool,
    /// Writing will not wait.
    pub writable: bool,
    /// Both directions are closed. Data may still be there to read.
    pub hangup: bool,
    /// An error is pending; the next call on the descriptor tells which.
    pub error: bool,
}

#[cfg(test)]
mod tests;
