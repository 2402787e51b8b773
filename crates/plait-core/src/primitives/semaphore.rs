//! Semaphore: a number of permits.
//!
//! A waiter in order is handed its permit: the number is smaller by one from the release on. A barging waiter is notified, and the
//! permit is kept back from those who wait behind it, but not from those who come new.
//!
//! While there are permits that nobody was notified of, nobody waits, but for those in order who came while others had been handed
//! theirs and not noticed yet: they are not to be faster, and are served when these have noticed.

use super::Primitive;
use crate::wait_queue::{Inner, Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Manner, Progress, Wait, Wakes};

struct Permits {
    value: u64,
    /// Handed to waiters that have not noticed yet: not in `value` any more.
    handed: u64,
    /// How many barging waiters were told to try and have not yet.
    notified: u64,
}

impl State for Permits {
    fn forget_waiters(&mut self) {
        self.value += self.handed;
        self.handed = 0;
        self.notified = 0;
    }
}

/// More was released than the bound allows.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

/// Permits, and who waits for one.
pub struct Semaphore<W> {
    queue: WaitQueue<Permits, W>,
}

const ALL: usize = 0;

impl<W> Semaphore<W> {
    /// So many permits.
    pub fn new(value: u64) -> Self {
        Semaphore { queue: WaitQueue::new(Permits { value, handed: 0, notified: 0 }) }
    }

    /// Waits for a permit.
    #[inline]
    pub fn poll(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) -> Progress<()> {
        let mut open = self.queue.open();
        match open.standing(wait, waker) {
            Standing::New => {
                if open.state.value > 0
                    && (wait.overtakes() || (open.is_empty(ALL) && open.state.handed == 0))
                {
                    open.state.value -= 1;
                    return Progress::Ready(());
                }
            }
            Standing::Waiting => return Progress::Pending,
            Standing::TimedOut => return Progress::TimedOut,
            Standing::Woken if wait.manner == Manner::InOrder => {
                open.state.handed -= 1;
                hand_out(&mut open, wakes);
                return Progress::Ready(());
            }
            Standing::Woken => {
                open.state.notified -= 1;
                if open.state.value > 0 {
                    open.state.value -= 1;
                    return Progress::Ready(());
                }
                wait.insist();
            }
        }
        open.park(ALL, wait, waker)
    }

    /// Adds permits. With a bound, not above it.
    #[inline]
    pub fn release(&self, count: u64, bound: Option<u64>) -> Result<Wakes<W>, TooMany> {
        let mut open = self.queue.open();
        let value = open.state.value.saturating_add(count);
        if bound.is_some_and(|bound| value > bound) {
            return Err(TooMany);
        }
        open.state.value = value;
        let mut wakes = Wakes::None;
        hand_out(&mut open, &mut wakes);
        Ok(wakes)
    }

    /// How many permits are left.
    #[inline]
    pub fn value(&self) -> u64 {
        self.queue.open().state.value
    }

    /// Changes that. Nobody is woken by it.
    pub fn set_value(&self, value: u64) {
        self.queue.open().state.value = value;
    }

    /// How many wait, or were woken and have not noticed yet.
    pub fn present(&self) -> usize {
        self.queue.present()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting(ALL)
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

impl<W> Primitive<W> for Semaphore<W> {
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        if let Withdrawn::Woken(_) = open.withdraw(wait, waker) {
            match wait.manner {
                Manner::InOrder => {
                    open.state.handed -= 1;
                    open.state.value += 1;
                }
                _ => open.state.notified -= 1,
            }
            hand_out(&mut open, wakes);
        }
    }
}

/// Gives waiters what is free.
fn hand_out<W>(open: &mut Inner<Permits, W, 1>, wakes: &mut Wakes<W>) {
    while open.state.value > open.state.notified {
        match open.first(ALL) {
            None => break,
            Some(Manner::InOrder) => {
                open.state.value -= 1;
                open.state.handed += 1;
            }
            Some(_) => open.state.notified += 1,
        }
        open.wake_first(ALL, wakes);
    }
}
