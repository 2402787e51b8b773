//! The one wait queue: a primitive's state, and who waits for it to change, under one lock.
//!
//! A primitive (`primitives/`) is a small state `S` and one of these. It opens the lock, looks at the state, and either takes what it
//! wants or parks the caller's waker `W`; who changes the state takes wakers out, and fires them when the lock is closed again.
//! `W` is moved in and moved out, never cloned, called or dropped here: it may own a Python object.
//!
//! A queue has one or more *lanes*, for waiters that wait for different things of one state: those who get and those who put.
//!
//! The waiters lie in a slab, linked in the order of their coming; a [`Ticket`] names one, with a serial number, so that a
//! wait that was woken long ago is never mistaken for one that has its place now. Rejected: intrusive nodes, which need the waiter's
//! memory to stay where it is, and unsafe code; no profile has asked for them.
//!
//! After a fork the waiters are gone with their threads, but the state stays: a lock that was held stays held, as
//! in CPython. The first to open the lock in the child finds the lanes empty. The wait of a task outlives its place: it has not
//! been woken, owns nothing, and begins anew if it is polled.

use crate::sync::{StateGuard, StateLock};
use crate::waiter::{Manner, Progress, Wait, Wakes};
use slab::Slab;

/// A slab that a crowd has made larger than this is given up when the crowd has gone.
const KEPT_CAPACITY: usize = 64;

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    index: usize,
    lane: usize,
    serial: u64,
}

impl Ticket {
    /// Grows from wait to wait of one queue.
    pub(crate) fn serial(self) -> u64 {
        self.serial
    }
}

/// The state of a primitive, as far as the queue has to know it.
pub trait State {
    /// The waiters are gone, with the process that they were threads of: what some of them had been handed, or promised, is free
    /// again.
    fn forget_waiters(&mut self) {}
}

/// The state of a primitive and its waiters.
pub struct WaitQueue<S, W, const LANES: usize = 1> {
    inner: StateLock<Inner<S, W, LANES>>,
}

/// The parts of an open queue.
pub struct Inner<S, W, const LANES: usize> {
    /// The primitive's own.
    pub state: S,
    nodes: Slab<Node<W>>,
    lanes: [Lane; LANES],
    serial: u64,
    /// Waits with serial numbers up to this one were forgotten.
    forgotten: u64,
    /// How many were woken and have not noticed yet.
    woken: usize,
}

struct Node<W> {
    waker: W,
    serial: u64,
    lane: usize,
    manner: Manner,
    before: usize,
    after: usize,
}

#[derive(Clone, Copy)]
struct Lane {
    first: usize,
    last: usize,
    length: usize,
}

const NOBODY: usize = usize::MAX;

impl Lane {
    const EMPTY: Lane = Lane { first: NOBODY, last: NOBODY, length: 0 };
}

/// How a wait stands, seen by a primitive that is polled.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not parked yet, or it was forgotten.
    New,
    /// Nobody has woken it.
    Waiting,
    /// It was woken; how it was served is the primitive's affair.
    Woken,
    /// Nobody has woken it, its time was up, and it has been taken out.
    TimedOut,
}

/// An open queue, which nobody else has open. Dropping it closes it.
pub struct Open<'a, S, W, const LANES: usize> {
    guard: StateGuard<'a, Inner<S, W, LANES>>,
    /// The parent process's waiters. Fields are dropped in the order of their declaration: these after the lock is open.
    _inherited: Option<Slab<Node<W>>>,
    /// A waker that was brought by a waiter whose first one came back.
    second: Option<W>,
}

impl<S: State, W, const LANES: usize> WaitQueue<S, W, LANES> {
    /// A queue without waiters.
    pub fn new(state: S) -> Self {
        let inner = Inner {
            state,
            nodes: Slab::new(),
            lanes: [Lane::EMPTY; LANES],
            serial: 0,
            forgotten: 0,
            woken: 0,
        };
        WaitQueue { inner: StateLock::new(inner) }
    }

    /// Opens it. What is done until the answer is dropped must be short, and must not touch Python.
    #[inline]
    pub fn open(&self) -> Open<'_, S, W, LANES> {
        let mut guard = self.inner.lock();
        let inherited = match guard.inherited {
            false => None,
            true => Some(guard.forget_all()),
        };
        Open { guard, _inherited: inherited, second: None }
    }

    /// How many wait in a lane.
    pub fn waiting(&self, lane: usize) -> usize {
        self.open().length(lane)
    }

    /// How many wait, or were woken and have not noticed yet.
    pub fn present(&self) -> usize {
        let open = self.open();
        open.nodes.len() + open.woken
    }

    /// Forgets all waiters, which will not be woken, and changes the state: for a primitive that is made anew after a fork.
    pub fn reinitialise(&self, reset: impl FnOnce(&mut S)) {
        let mut open = self.open();
        let forgotten = open.forget_all();
        reset(&mut open.state);
        drop(open);
        drop(forgotten);
    }

    /// Shows the state and each waker, unless somebody has the queue open right now: for a garbage collector, which must not
    /// wait. Stops at the first error.
    pub fn visit<E>(
        &self,
        state: impl FnOnce(&S) -> Result<(), E>,
        mut waker: impl FnMut(&W) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(guard) = self.inner.try_lock() else { return Ok(()) };
        state(&guard.state)?;
        guard.nodes.iter().try_for_each(|(_, node)| waker(&node.waker))
    }
}

impl<S, W, const LANES: usize> std::ops::Deref for Open<'_, S, W, LANES> {
    type Target = Inner<S, W, LANES>;

    #[inline(always)]
    fn deref(&self) -> &Self::Target {
        &self.guard
    }
}

impl<S, W, const LANES: usize> std::ops::DerefMut for Open<'_, S, W, LANES> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.guard
    }
}

impl<S: State, W, const LANES: usize> Open<'_, S, W, LANES> {
    /// How a wait stands. One whose time is up, and which nobody has woken, is taken out; its waker comes back in `waker`.
    #[inline]
    pub fn standing(&mut self, wait: &mut Wait, waker: &mut Option<W>) -> Standing {
        let Some(ticket) = wait.ticket else {
            return Standing::New;
        };
        if !self.holds(ticket) {
            wait.ticket = None;
            if self.has_forgotten(ticket) {
                return Standing::New;
            }
            self.woken -= 1;
            return Standing::Woken;
        }
        if !wait.expired {
            return Standing::Waiting;
        }
        wait.ticket = None;
        self.take_out(ticket, waker);
        Standing::TimedOut
    }

    /// Takes a wait out of the queue; its waker comes back in `waker`.
    pub fn withdraw(&mut self, wait: &mut Wait, waker: &mut Option<W>) -> Withdrawn {
        let Some(ticket) = wait.ticket.take() else {
            return Withdrawn::NotParked;
        };
        if self.holds(ticket) {
            self.take_out(ticket, waker);
            return Withdrawn::Waited;
        }
        if self.has_forgotten(ticket) {
            return Withdrawn::NotParked;
        }
        self.woken -= 1;
        Withdrawn::Woken(ticket.lane)
    }

    fn take_out(&mut self, ticket: Ticket, waker: &mut Option<W>) {
        let parked = self.unlink(ticket.index);
        self.second = waker.replace(parked);
    }
}

impl<S: State, W, const LANES: usize> Inner<S, W, LANES> {
    /// How many wait in a lane.
    #[inline]
    pub fn length(&self, lane: usize) -> usize {
        self.lanes[lane].length
    }

    /// Whether nobody waits in a lane.
    #[inline]
    pub fn is_empty(&self, lane: usize) -> bool {
        self.lanes[lane].length == 0
    }

    /// Parks the waiter, whose waker is taken: at the end of the lane, or at its front if it has been overtaken. One whose time is
    /// up is not parked, nor is one without a waker.
    #[inline]
    pub fn park<T>(&mut self, lane: usize, wait: &mut Wait, waker: &mut Option<W>) -> Progress<T> {
        if wait.expired {
            return Progress::TimedOut;
        }
        let Some(waker) = waker.take() else {
            return Progress::WouldPark;
        };
        wait.ticket = Some(self.link(lane, wait.manner, wait.overtaken, waker));
        Progress::Pending
    }

    /// In what manner the first of a lane waits.
    #[inline]
    pub fn first(&self, lane: usize) -> Option<Manner> {
        match self.lanes[lane].first {
            NOBODY => None,
            first => Some(self.nodes[first].manner),
        }
    }

    /// Takes the first of a lane out: it is woken, as soon as the caller fires what it was given.
    #[inline]
    pub fn wake_first(&mut self, lane: usize, wakes: &mut Wakes<W>) -> bool {
        match self.lanes[lane].first {
            NOBODY => false,
            first => {
                let waker = self.unlink(first);
                wakes.push(waker);
                self.woken += 1;
                true
            }
        }
    }

    /// Wakes up to `count` of a lane, the first ones. Returns how many.
    pub fn wake(&mut self, lane: usize, count: usize, wakes: &mut Wakes<W>) -> usize {
        (0..count).take_while(|_| self.wake_first(lane, wakes)).count()
    }

    /// Wakes all of a lane.
    pub fn wake_all(&mut self, lane: usize, wakes: &mut Wakes<W>) {
        self.wake(lane, usize::MAX, wakes);
    }

    fn holds(&self, ticket: Ticket) -> bool {
        self.nodes.get(ticket.index).is_some_and(|node| node.serial == ticket.serial)
    }

    fn has_forgotten(&self, ticket: Ticket) -> bool {
        ticket.serial <= self.forgotten
    }

    fn link(&mut self, lane: usize, manner: Manner, in_front: bool, waker: W) -> Ticket {
        self.serial += 1;
        let serial = self.serial;
        let Lane { first, last, length } = self.lanes[lane];
        let (before, after) = if in_front { (NOBODY, first) } else { (last, NOBODY) };
        let index = self.nodes.insert(Node { waker, serial, lane, manner, before, after });
        let whole = &mut self.lanes[lane];
        whole.length = length + 1;
        match before {
            NOBODY => whole.first = index,
            before => self.nodes[before].after = index,
        }
        let whole = &mut self.lanes[lane];
        match after {
            NOBODY => whole.last = index,
            after => self.nodes[after].before = index,
        }
        Ticket { index, lane, serial }
    }

    fn unlink(&mut self, index: usize) -> W {
        let node = self.nodes.remove(index);
        let lane = &mut self.lanes[node.lane];
        lane.length -= 1;
        match node.before {
            NOBODY => lane.first = node.after,
            before => self.nodes[before].after = node.after,
        }
        let lane = &mut self.lanes[node.lane];
        match node.after {
            NOBODY => lane.last = node.before,
            after => self.nodes[after].before = node.before,
        }
        if self.nodes.is_empty() && self.nodes.capacity() > KEPT_CAPACITY {
            self.nodes = Slab::new();
        }
        node.waker
    }

    fn forget_all(&mut self) -> Slab<Node<W>> {
        self.lanes = [Lane::EMPTY; LANES];
        self.forgotten = self.serial;
        self.woken = 0;
        self.state.forget_waiters();
        std::mem::take(&mut self.nodes)
    }
}

/// What a wait was that is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It had not parked, knew already that it had been woken, or was forgotten.
    NotParked,
    /// It waited, and does not any more.
    Waited,
    /// It had been woken, in this lane: what it was handed has to be passed on.
    Woken(usize),
}

#[cfg(all(test, not(loom)))]
mod tests;
