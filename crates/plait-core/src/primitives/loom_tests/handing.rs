//! What is handed from one to another: a lock, a permit.

use super::*;
use crate::primitives::lock::Lock;
use crate::primitives::semaphore::Semaphore;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A lock, and what it guards: a number that is not counted up in one step.
struct Guarded {
    lock: Lock<Bell>,
    number: AtomicU32,
}

impl Guarded {
    /// Held.
    fn new() -> Arc<Guarded> {
        let guarded = Guarded { lock: Lock::default(), number: AtomicU32::new(0) };
        assert_eq!(guarded.lock.poll(&mut Wait::attempt(Manner::InOrder), &mut None), Progress::Ready(()));
        Arc::new(guarded)
    }

    fn release(&self) {
        ring(self.lock.release().expect("it is held"));
    }

    /// What the holder does.
    fn count(&self) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number + 1, Ordering::Relaxed);
        self.release();
    }

    fn poll(&self) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<()> + '_ {
        |wait, waker, _| self.lock.poll(wait, waker)
    }

    fn parked(&self, manner: Manner) -> Waiter {
        Waiter::park(manner, self.poll())
    }

    /// Waits, and counts if it is served. Returns how often it has.
    fn counts(&self, waiter: Waiter, end: End) -> u32 {
        waiter.finish(end, &self.lock, self.poll()).map(|()| self.count()).map_or(0, |()| 1)
    }

    /// All have been here: so many have counted, and the lock is free.
    fn check(&self, expected: u32) {
        assert_eq!(self.number.load(Ordering::Relaxed), expected);
        assert_eq!(self.lock.waiting(), 0);
        let mut attempt = Wait::attempt(Manner::InOrder);
        assert_eq!(self.lock.poll(&mut attempt, &mut None), Progress::Ready(()));
    }
}

#[test]
fn loom_lock_begins_to_wait_beside_a_release() {
    for manner in MANNERS {
        for end in ENDS {
            model(move || {
                let guarded = Guarded::new();
                let other = spawn(&guarded, move |guarded| {
                    let served = Waiter::new(manner).run(end, &guarded.lock, guarded.poll());
                    served.map(|()| guarded.count()).map_or(0, |()| 1)
                });
                guarded.count();
                let counted = other.join().unwrap();
                guarded.check(1 + counted);
            });
        }
    }
}

/// One ends hastily while the lock comes its way; the one behind it must get it.
#[test]
fn loom_lock_is_passed_on() {
    for (first, second) in [
        (Manner::InOrder, Manner::InOrder),
        (Manner::Barging, Manner::Barging),
        (Manner::Barging, Manner::InOrder),
    ] {
        for end in HASTY_ENDS {
            model(move || {
                let guarded = Guarded::new();
                let hasty = guarded.parked(first);
                let patient = guarded.parked(second);
                let hasty = spawn(&guarded, move |guarded| guarded.counts(hasty, end));
                let patient = spawn(&guarded, move |guarded| guarded.counts(patient, End::Served));
                guarded.count();
                let counted = hasty.join().unwrap() + patient.join().unwrap();
                guarded.check(1 + counted);
            });
        }
    }
}

/// Somebody new may be faster than one that barges, which then waits in front, or goes away and leaves the rest to the other.
#[test]
fn loom_lock_is_barged_into() {
    for newcomer in MANNERS {
        for end in ENDS {
            model(move || {
                let guarded = Guarded::new();
                let barging = guarded.parked(Manner::Barging);
                let barging = spawn(&guarded, move |guarded| guarded.counts(barging, end));
                let newcomer = spawn(&guarded, move |guarded| {
                    let served = Waiter::new(newcomer).run(End::Served, &guarded.lock, guarded.poll());
                    served.expect("it waits");
                    guarded.count();
                });
                guarded.count();
                newcomer.join().unwrap();
                let counted = barging.join().unwrap();
                guarded.check(2 + counted);
            });
        }
    }
}

type Permits = Semaphore<Bell>;

fn poll_permit(
    semaphore: &Permits,
) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<()> + '_ {
    |wait, waker, wakes| semaphore.poll(wait, waker, wakes)
}

fn release(semaphore: &Permits, count: u64) {
    ring(semaphore.release(count, None).expect("there is no bound"));
}

/// Waits for a permit. Returns how many it keeps.
fn takes(semaphore: &Permits, waiter: Waiter, end: End) -> u64 {
    waiter.finish(end, semaphore, poll_permit(semaphore)).map_or(0, |()| 1)
}

/// Two permits for three: one ends hastily, whether one was on its way to it or not; the others are served.
#[test]
fn loom_semaphore_permits_are_passed_on() {
    for manner in MANNERS {
        for end in HASTY_ENDS {
            model(move || {
                let semaphore = Arc::new(Permits::new(0));
                let hasty = Waiter::park(manner, poll_permit(&semaphore));
                let patient = Waiter::park(manner, poll_permit(&semaphore));
                let hasty = spawn(&semaphore, move |semaphore| takes(semaphore, hasty, end));
                let patient = spawn(&semaphore, move |semaphore| takes(semaphore, patient, End::Served));
                release(&semaphore, 1);
                if hasty.join().unwrap() == 1 {
                    release(&semaphore, 1);
                }
                assert_eq!(patient.join().unwrap(), 1);
                assert_eq!((semaphore.value(), semaphore.waiting()), (0, 0));
            });
        }
    }
}

/// A permit each for one that waits and one that comes new, released one by one or at once.
#[test]
fn loom_semaphore_serves_all_for_whom_there_is_a_permit() {
    for (waits, comes) in [
        (Manner::InOrder, Manner::InOrder),
        (Manner::InOrder, Manner::Barging),
        (Manner::Barging, Manner::InOrder),
        (Manner::Barging, Manner::Barging),
    ] {
        for at_once in [false, true] {
            model(move || {
                let semaphore = Arc::new(Permits::new(0));
                let parked = Waiter::park(waits, poll_permit(&semaphore));
                let parked = spawn(&semaphore, move |semaphore| takes(semaphore, parked, End::Served));
                let newcomer = spawn(&semaphore, move |semaphore| {
                    Waiter::new(comes).run(End::Served, semaphore, poll_permit(semaphore))
                });
                if at_once {
                    release(&semaphore, 2);
                } else {
                    release(&semaphore, 1);
                    release(&semaphore, 1);
                }
                assert_eq!(parked.join().unwrap(), 1);
                assert!(newcomer.join().unwrap().is_some());
                assert_eq!((semaphore.value(), semaphore.waiting()), (0, 0));
            });
        }
    }
}
