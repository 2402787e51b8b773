//! Condition: waiters for a notification, and nothing else. The lock beside it is the face's affair, since it may be any
//! object with the right methods.
//!
//! A notification that reaches nobody is lost, as everywhere. One that reached a waiter which gives up goes to the next.

use super::Primitive;
use crate::wait_queue::{Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Progress, Wait, Wakes};

struct Nothing;

impl State for Nothing {}

/// Who waits for a notification.
pub struct Condition<W> {
    queue: WaitQueue<Nothing, W>,
}

const ALL: usize = 0;

impl<W> Default for Condition<W> {
    fn default() -> Self {
        Condition { queue: WaitQueue::new(Nothing) }
    }
}

impl<W> Condition<W> {
    /// Waits for a notification that comes later than the first poll.
    pub fn poll(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<()> {
        let mut open = self.queue.open();
        match open.standing(wait, waker) {
            Standing::New => open.park(ALL, wait, waker),
            Standing::Waiting => Progress::Pending,
            Standing::TimedOut => Progress::TimedOut,
            Standing::Woken => Progress::Ready(()),
        }
    }

    /// Ends a wait without passing anything on; says whether there was something to pass on.
    pub fn withdraw(&self, wait: &mut Wait, waker: &mut Option<W>) -> bool {
        matches!(self.queue.open().withdraw(wait, waker), Withdrawn::Woken(_))
    }

    /// Wakes up to `count` waiters, those that have waited longest.
    pub fn notify(&self, count: usize) -> Wakes<W> {
        let mut wakes = Wakes::None;
        self.queue.open().wake(ALL, count, &mut wakes);
        wakes
    }

    /// How many wait, or were woken and have not noticed yet.
    pub fn present(&self) -> usize {
        self.queue.present()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting(ALL)
    }

    /// Forgets the waiters: after a fork.
    pub fn reinitialise(&self) {
        self.queue.reinitialise(|_| {});
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

impl<W> Primitive<W> for Condition<W> {
    /// The notification that it had got goes to the next.
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        if let Withdrawn::Woken(_) = open.withdraw(wait, waker) {
            open.wake_first(ALL, wakes);
        }
    }
}
