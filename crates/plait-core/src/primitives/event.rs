//! Event: a flag, and everybody who waits for it to be set.
//!
//! Setting it wakes all who wait, and a wake-up counts: it is not taken back by clearing the flag before they have noticed.
//!
//! Whether it is set can be seen without opening the queue.

use super::Primitive;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::wait_queue::{Standing, State, WaitQueue};
use crate::waiter::{Progress, Wait, Wakes};

struct Flag;

impl State for Flag {}

/// A flag to wait for.
pub struct Event<W> {
    /// Written with the queue open only; read by anybody.
    set: AtomicBool,
    queue: WaitQueue<Flag, W>,
}

const ALL: usize = 0;

impl<W> Default for Event<W> {
    fn default() -> Self {
        Event { set: AtomicBool::new(false), queue: WaitQueue::new(Flag) }
    }
}

impl<W> Event<W> {
    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        // Acquire: what was done before `set` is seen by who sees it set.
        self.set.load(Ordering::Acquire)
    }

    /// Waits until the flag is set.
    pub fn poll(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<()> {
        let mut open = self.queue.open();
        match open.standing(wait, waker) {
            Standing::New if self.is_set() => Progress::Ready(()),
            Standing::New => open.park(ALL, wait, waker),
            Standing::Waiting => Progress::Pending,
            Standing::TimedOut => Progress::TimedOut,
            Standing::Woken => Progress::Ready(()),
        }
    }

    /// Sets the flag and wakes all.
    pub fn set(&self) -> Wakes<W> {
        let mut wakes = Wakes::None;
        let mut open = self.queue.open();
        self.set.store(true, Ordering::Release);
        open.wake_all(ALL, &mut wakes);
        wakes
    }

    /// Takes the flag back.
    pub fn clear(&self) {
        let _open = self.queue.open();
        self.set.store(false, Ordering::Release);
    }

    /// How many wait, or were woken and have not noticed yet.
    pub fn present(&self) -> usize {
        self.queue.present()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting(ALL)
    }

    /// Forgets the waiters, after a fork; and takes the flag back, for an event that is made anew.
    pub fn reinitialise(&self, unset: bool) {
        let set = self.is_set() && !unset;
        self.queue.reinitialise(|_| self.set.store(set, Ordering::Release));
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

impl<W> Primitive<W> for Event<W> {
    /// There is nothing to pass on: all were woken.
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, _wakes: &mut Wakes<W>) {
        self.queue.open().withdraw(wait, waker);
    }
}
