//! Lock: held or not.
//!
//! A waiter in order is *handed* the lock: it stays held from the release on, so that nobody overtakes. Until that waiter has
//! noticed, the lock counts as passing from hand to hand; asyncio shows it as not locked then, and does not let it be released.
//! A barging waiter is *notified*: the lock is free for whoever is first, and no second one is notified before that
//! one has looked.
//!
//! Free, with waiters parked, is only a lock whose notified waiter has not looked yet: it will take the lock, or pass the
//! notification on.

use crate::wait_queue::{Inner, Standing, State, WaitQueue, Woken};
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

    /// Ends a wait; what it had been handed goes to the next.
    pub fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>) -> Wakes<W> {
        let mut open = self.queue.open();
        match open.withdraw(wait, waker) {
            Some(Woken(true)) if wait.manner == Manner::InOrder => {
                open.state.handed = false;
                pass_on(&mut open)
            }
            Some(Woken(true)) => {
                open.state.notified -= 1;
                match open.state.held {
                    true => Wakes::None, // its holder will pass it on
                    false => pass_on(&mut open),
                }
            }
            _ => Wakes::None,
        }
    }

    /// Opens the lock, or hands it on.
    #[inline]
    pub fn release(&self) -> Result<Wakes<W>, NotHeld> {
        let mut open = self.queue.open();
        match open.state.held && !open.state.handed {
            true => Ok(pass_on(&mut open)),
            false => Err(NotHeld),
        }
    }

    /// Whether somebody holds it and knows.
    #[inline]
    pub fn is_held(&self) -> bool {
        let open = self.queue.open();
        open.state.held && !open.state.handed
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

/// Nobody holds the lock any more: hands it to the first, or lets it be tried for.
fn pass_on<W>(open: &mut Inner<Held, W, 1>) -> Wakes<W> {
    let mut wakes = Wakes::None;
    open.state.held = false;
    match open.first(ALL) {
        None => {}
        Some(Manner::InOrder) => {
            open.state.held = true;
            open.state.handed = true;
            open.wake_first(ALL, &mut wakes);
        }
        Some(_) if open.state.notified == 0 => {
            open.state.notified = 1;
            open.wake_first(ALL, &mut wakes);
        }
        Some(_) => {}
    }
    wakes
}
