//! One wait, of whatever kind of waiter, settled once.
//!
//! ```text
//!                 park                       woken by a primitive
//!     New ----------------> Waiting ------------------------------> Woken --> Ready
//!      |                       |  ^                                   |
//!      | expired               |  +------- overtaken: parks again ----+
//!      v                       v                                      v
//!   TimedOut <---- expired, removed                    expired: tries a last time
//! ```
//!
//! A waiter drives its wait by *polling* the primitive: it gets [`Progress::Ready`] with what it waited for,
//! [`Progress::Pending`] (it is to sleep until its waker is used, and to poll again: a wake-up without a reason does no harm),
//! [`Progress::WouldPark`] (the same, but it has brought no waker yet), or [`Progress::TimedOut`]. A thread, a task and a greenlet differ in how they sleep and in nothing else.
//!
//! **What a waiter that was woken owns** depends on its [`Manner`]. Whoever is served in order has been handed the thing itself; who barges was
//! told to try again. A wait that ends in any other way than by `Ready` must be given up with the primitive's `give_up`, which takes it out of
//! the queue, or, where the wake-up came first, passes on what it had been handed. So nothing is ever swallowed.
//!
//! A wait whose time is up from the start is an attempt that does not block: one function serves `acquire(blocking=False)`,
//! a time-out, and waiting for ever.

use crate::wait_queue::Ticket;

/// In what order a waiter is served. Chosen by the face, in writing (see ARCHITECTURE.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// First in, first out. A wake-up hands over the thing itself, and who comes new does not overtake. Tasks and greenlets.
    InOrder,
    /// A wake-up says "try again", and who comes new may be faster: between threads a hand-over costs a switch each time. One
    /// that was overtaken once waits in order from then on, at the front.
    Barging,
    /// asyncio's queues: a wake-up says "try again", and who was overtaken goes to the back, as often as it happens.
    Looping,
    /// The workers of a pool: a wake-up says "try again", and the last that came to wait is the first to be woken, for it may be watching
    /// still, and its caches are warm. Who was overtaken has lost nothing: there is less to do than there are workers.
    NewestFirst,
}

/// How far a wait has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// What was waited for.
    Ready(T),
    /// Sleep until woken, then poll again.
    Pending,
    /// It would have to park, but came without a waker: poll again with one. (Making a waker costs something, and is mostly in vain.)
    WouldPark,
    /// The wait's time was up. It is out of the queue.
    TimedOut,
}

/// A waiter's own memory of its wait. Made anew for each wait.
#[derive(Debug)]
pub struct Wait {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) manner: Manner,
    pub(crate) expired: bool,
    /// Goes to the front of the queue when it parks (again).
    pub(crate) overtaken: bool,
    /// What a barrier has given it when it came in.
    pub(crate) number: Option<usize>,
    /// See [`Wait::has_given_back`].
    pub(crate) gave_back: bool,
}

impl Wait {
    /// A wait that has not begun.
    pub fn new(manner: Manner) -> Wait {
        let overtaken = manner == Manner::NewestFirst;
        Wait { ticket: None, manner, expired: false, overtaken, number: None, gave_back: false }
    }

    /// An attempt: a wait whose time is up.
    pub fn attempt(manner: Manner) -> Wait {
        Wait { expired: true, ..Wait::new(manner) }
    }

    /// The time is up: the next poll is the last.
    pub fn expire(&mut self) {
        self.expired = true;
    }

    /// Whether it stands in a queue, or has been woken and does not know it yet.
    pub fn is_parked(&self) -> bool {
        self.ticket.is_some()
    }

    /// It was given up when it had been handed what it waited for, of what processes share. By whom is all the same: a waiter that cannot be woken is given
    /// up by whoever tries.
    pub fn has_given_back(&self) -> bool {
        self.gave_back
    }

    /// Whether it counts among those inside a barrier, and not at its door.
    pub fn is_inside(&self) -> bool {
        self.number.is_some()
    }

    /// Whether one that comes new may take what is there although others wait.
    pub(crate) fn overtakes(&self) -> bool {
        self.manner != Manner::InOrder
    }

    /// It was told to try again, and somebody was faster; or what it was promised is no more.
    pub(crate) fn insist(&mut self) {
        if !matches!(self.manner, Manner::Looping | Manner::NewestFirst) {
            self.manner = Manner::InOrder;
            self.overtaken = true;
        }
    }
}

/// Whom to wake, now that the lock is open. Held by value: the caller fires it, and drops it, outside every core lock.
#[derive(Debug, Default)]
#[must_use = "these waiters were promised a wake-up"]
pub enum Wakes<W> {
    /// Nobody.
    #[default]
    None,
    /// One waiter, as after most operations.
    One(W),
    /// Several, the longest waiting first.
    Many(Vec<W>),
}

impl<W> Wakes<W> {
    /// One more, after the others.
    pub fn push(&mut self, waker: W) {
        *self = match std::mem::take(self) {
            Wakes::None => Wakes::One(waker),
            Wakes::One(first) => Wakes::Many(vec![first, waker]),
            Wakes::Many(mut list) => {
                list.push(waker);
                Wakes::Many(list)
            }
        };
    }

    /// Whether nobody is to be woken.
    pub fn is_empty(&self) -> bool {
        matches!(self, Wakes::None)
    }

    /// Hands each to `wake`.
    #[inline]
    pub fn for_each(self, mut wake: impl FnMut(W)) {
        match self {
            Wakes::None => {}
            Wakes::One(waker) => wake(waker),
            Wakes::Many(list) => list.into_iter().for_each(wake),
        }
    }
}
