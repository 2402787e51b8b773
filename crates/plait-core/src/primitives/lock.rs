//! Lock: held or not.
//!
//! A waiter in order is *handed* the lock: it stays held from the release on, so that nobody overtakes. Until that waiter has
//! noticed, the lock counts as passing from hand to hand; asyncio shows it as not locked then, and does not let it be released.
//! A barging waiter is *notified*: the lock is free for whoever is first, and no second one is notified, nor handed the
//! lock, before that one has looked.
//!
//! Free, with waiters parked, is only a lock whose notified waiter has not looked yet: it will take the lock, or pass the
//! notification on.

use super::Primitive;
use crate::wait_queue::{Inner, Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Manner, Progress, Wait, Wakes};

#[derive(Default)]
struct Held {
    held: bool,
    /// Held, by a waiter that has not noticed yet.
    handed: bool,
    /// How many barging waiters were told to try and have not yet.
    notified: usize,
}

impl State for Held {
    fn forget_waiters(&mut self) {
        self.held &= !self.handed;
        self.handed = false;
        self.notified = 0;
    }
}

/// A lock was released that nobody holds.
#[derive(Debug, PartialEq, Eq)]
pub struct NotHeld;

/// Mutual exclusion. Who holds it is the face's affair.
pub struct Lock<W> {
    queue: WaitQueue<Held, W>,
}

const ALL: usize = 0;

impl<W> Default for Lock<W> {
    fn default() -> Self {
        Lock { queue: WaitQueue::new(Held::default()) }
    }
}

impl<W> Lock<W> {
    /// Waits for the lock.
    #[inline]
    pub fn poll(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<()> {
        let mut open = self.queue.open();
        match open.standing(wait, waker) {
            Standing::New => {
                if !open.state.held && (wait.overtakes() || open.is_empty(ALL)) {
                    open.state.held = true;
                    return Progress::Ready(());
                }
            }
            Standing::Waiting => return Progress::Pending,
            Standing::TimedOut => return Progress::TimedOut,
            Standing::Woken if wait.manner == Manner::InOrder => {
                open.state.handed = false;
                return Progress::Ready(());
            }
            Standing::Woken => {
                open.state.notified -= 1;
                if !open.state.held {
                    open.state.held = true;
                    return Progress::Ready(());
                }
                wait.insist();
            }
        }
        open.park(ALL, wait, waker)
    }

    /// Opens the lock, or hands it on.
    #[inline]
    pub fn release(&self) -> Result<Wakes<W>, NotHeld> {
        let mut open = self.queue.open();
        if !open.state.held || open.state.handed {
            return Err(NotHeld);
        }
        let mut wakes = Wakes::None;
        pass_on(&mut open, &mut wakes);
        Ok(wakes)
    }

    /// Whether somebody holds it and knows.
    #[inline]
    pub fn is_held(&self) -> bool {
        let open = self.queue.open();
        open.state.held && !open.state.handed
    }

    /// How many wait, or were woken and have not noticed yet.
    pub fn present(&self) -> usize {
        self.queue.present()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting(ALL)
    }

    /// Free and without waiters, whatever it was: after a fork.
    pub fn reinitialise(&self) {
        self.queue.reinitialise(|state| state.held = false);
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

impl<W> Primitive<W> for Lock<W> {
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        if let Withdrawn::Woken(_) = open.withdraw(wait, waker) {
            match wait.manner {
                Manner::InOrder => open.state.handed = false,
                _ => open.state.notified -= 1,
            }
            // Another holder will pass it on when the time comes.
            if wait.manner == Manner::InOrder || !open.state.held {
                pass_on(&mut open, wakes);
            }
        }
    }
}

/// Nobody holds the lock any more: hands it to the first, or lets it be tried for.
fn pass_on<W>(open: &mut Inner<Held, W, 1>, wakes: &mut Wakes<W>) {
    open.state.held = false;
    match open.first(ALL) {
        // It is left to the one that was told to try and has not looked yet.
        _ if open.state.notified > 0 => {}
        None => {}
        Some(Manner::InOrder) => {
            open.state.held = true;
            open.state.handed = true;
            open.wake_first(ALL, wakes);
        }
        Some(_) => {
            open.state.notified = 1;
            open.wake_first(ALL, wakes);
        }
    }
}
