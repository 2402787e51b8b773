//! The primitives: each a small state and one wait queue.
//!
//! All are used in the same way. What can wait is *polled* with a [`Wait`](crate::waiter::Wait), the memory of one wait, and a
//! waker, which is taken if the caller has to wait. What ends a wait otherwise gives it up. What changes the state returns
//! [`Wakes`](crate::waiter::Wakes): whom to wake, for the caller to do after the queue is closed.
//!
//! [`lock`] and [`semaphore`] first: they show how a thing is handed over; then [`event`], [`condition`], [`barrier`], and
//! [`channel`], the state of queues.

use crate::waiter::{Wait, Wakes};

/// What all primitives have in common.
pub trait Primitive<W> {
    /// Ends a wait otherwise than by what it waited for: takes it out of the queue, or passes on what it had been handed. A wait that
    /// is not under way is left alone.
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>);
}

pub mod barrier;
pub mod channel;
pub mod condition;
pub mod event;
pub mod lock;
pub mod semaphore;

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
