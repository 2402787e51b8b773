//! Who gets a lock, and when.

use super::{ids, waiters, Waiter};
use crate::primitives::lock::{Lock, NotHeld};
use crate::waiter::Manner::{Barging, InOrder};
use crate::waiter::Progress::{Pending, Ready, TimedOut, WouldPark};

type TestLock = Lock<u32>;

/// Held by somebody who is no further concern of the test.
fn held_lock() -> TestLock {
    let lock = Lock::default();
    assert_eq!(Waiter::attempt(99, InOrder).on(&lock), Ready(()));
    lock
}

fn release(lock: &TestLock) -> Vec<u32> {
    ids(lock.release().expect("it is held"))
}

/// Whether one that barges in gets it.
fn is_free(lock: &TestLock) -> bool {
    match Waiter::attempt(98, Barging).on(lock) {
        Ready(()) => {
            assert_eq!(release(lock), [], "nobody is notified twice");
            true
        }
        _ => false,
    }
}

#[test]
fn a_free_lock_is_taken_at_once() {
    let lock = TestLock::default();
    assert!(!lock.is_held());
    assert_eq!(Waiter::new(0, InOrder).without_waker_on(&lock), Ready(()));
    assert!(lock.is_held());
    assert_eq!(Waiter::attempt(1, InOrder).on(&lock), TimedOut);
    assert_eq!(Waiter::attempt(1, Barging).on(&lock), TimedOut);
    assert_eq!(release(&lock), []);
    assert!(!lock.is_held());
    assert!(matches!(lock.release(), Err(NotHeld)));
}

#[test]
fn polling_without_a_waker_leaves_no_trace() {
    let lock = held_lock();
    let mut waiter = Waiter::new(0, InOrder);
    assert_eq!(waiter.without_waker_on(&lock), WouldPark);
    assert!(!waiter.wait.is_parked());
    assert_eq!(lock.waiting(), 0);
    assert_eq!(release(&lock), []);
    assert_eq!(waiter.without_waker_on(&lock), Ready(()));
}

#[test]
fn those_in_order_are_handed_it_in_order() {
    let lock = held_lock();
    let [mut a, mut b] = waiters([InOrder; 2]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(lock.waiting(), 2);
    assert_eq!(a.on(&lock), Pending, "a wake-up without a reason does no harm");
    assert_eq!(release(&lock), [0]);
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
    assert_eq!(release(&lock), []);
    assert_eq!(lock.waiting(), 0);
}

#[test]
fn while_it_passes_from_hand_to_hand_nobody_takes_or_releases_it() {
    let lock = held_lock();
    let [mut a] = waiters([InOrder]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert!(!lock.is_held());
    assert!(matches!(lock.release(), Err(NotHeld)));
    assert!(!is_free(&lock));
    assert_eq!(Waiter::attempt(1, InOrder).on(&lock), TimedOut);
    assert_eq!(a.on(&lock), Ready(()));
    assert!(lock.is_held());
}

#[test]
fn who_comes_new_may_be_faster_than_one_that_barges() {
    let lock = held_lock();
    let [mut a, mut newcomer] = waiters([Barging; 2]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Ready(()));
    assert_eq!(a.on(&lock), Pending);
}

#[test]
fn one_in_order_does_not_overtake() {
    let lock = held_lock();
    let [mut a, mut b, mut newcomer] = waiters([Barging, Barging, InOrder]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Pending, "it is free, but b waits");
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
    assert_eq!(release(&lock), [2]);
    assert_eq!(newcomer.on(&lock), Ready(()));
}

#[test]
fn one_that_was_overtaken_goes_to_the_front_and_is_handed_it() {
    let lock = held_lock();
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Ready(()));
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert!(!is_free(&lock), "this time it was handed over");
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [1]);
    assert!(is_free(&lock));
    assert_eq!(b.on(&lock), Ready(()));
}

#[test]
fn one_that_was_overtaken_and_brought_no_waker_goes_to_the_front_all_the_same() {
    let lock = held_lock();
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Ready(()));
    assert_eq!(a.without_waker_on(&lock), WouldPark);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(a.on(&lock), Ready(()));
}

#[test]
fn no_second_one_is_told_to_try_before_the_first_has() {
    let lock = held_lock();
    let [mut a, mut b] = waiters([Barging; 2]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert!(is_free(&lock));
    assert!(is_free(&lock));
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
}

#[test]
fn one_in_order_is_not_served_before_the_one_that_was_told_to_try() {
    let lock = held_lock();
    let [mut a, mut b] = waiters([Barging, InOrder]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(Waiter::attempt(9, Barging).on(&lock), Ready(()));
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [], "it is left to a");
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
}

#[test]
fn giving_up_while_waiting_wakes_nobody() {
    let lock = held_lock();
    let [mut a, mut b, mut c] = waiters([InOrder; 3]);
    for waiter in [&mut a, &mut b, &mut c] {
        assert_eq!(waiter.on(&lock), Pending);
    }
    assert_eq!(b.gives_up(&lock), []);
    assert_eq!(lock.waiting(), 2);
    assert!(lock.is_held());
    assert_eq!(release(&lock), [0]);
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(release(&lock), [2]);
}

#[test]
fn giving_up_what_is_not_under_way_changes_nothing() {
    let lock = held_lock();
    let [mut never_polled, mut a] = waiters([InOrder; 2]);
    assert_eq!(never_polled.gives_up(&lock), []);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(release(&lock), [1]);
    assert_eq!(a.on(&lock), Ready(()));
    assert_eq!(a.gives_up(&lock), []);
    assert!(lock.is_held(), "what it got it keeps");
}

#[test]
fn giving_up_what_was_handed_over_passes_it_on() {
    let lock = held_lock();
    let [mut a, mut b] = waiters([InOrder; 2]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(a.gives_up(&lock), [1]);
    assert!(!is_free(&lock));
    assert_eq!(b.gives_up(&lock), []);
    assert!(is_free(&lock));
}

#[test]
fn giving_up_a_chance_passes_it_on() {
    for next in [InOrder, Barging] {
        let lock = held_lock();
        let [mut a, mut b] = waiters([Barging, next]);
        assert_eq!(a.on(&lock), Pending);
        assert_eq!(b.on(&lock), Pending);
        assert_eq!(release(&lock), [0]);
        assert_eq!(a.gives_up(&lock), [1]);
        assert_eq!(is_free(&lock), next == Barging);
        assert_eq!(b.on(&lock), Ready(()));
    }
}

#[test]
fn giving_up_a_chance_that_somebody_else_took_leaves_the_rest_to_that_one() {
    let lock = held_lock();
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Ready(()));
    assert_eq!(a.gives_up(&lock), []);
    assert!(lock.is_held());
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
}

#[test]
fn a_wait_that_expires_is_out_of_the_queue() {
    for manner in [InOrder, Barging] {
        let lock = held_lock();
        let [mut a, mut b] = waiters([manner, InOrder]);
        assert_eq!(a.on(&lock), Pending);
        assert_eq!(b.on(&lock), Pending);
        assert_eq!(a.expires_on(&lock), TimedOut);
        assert_eq!(lock.waiting(), 1);
        assert_eq!(release(&lock), [1]);
    }
}

#[test]
fn a_wait_that_expires_after_the_wake_up_tries_a_last_time() {
    for manner in [InOrder, Barging] {
        let lock = held_lock();
        let [mut a] = waiters([manner]);
        assert_eq!(a.on(&lock), Pending);
        assert_eq!(release(&lock), [0]);
        assert_eq!(a.expires_on(&lock), Ready(()));
        assert!(lock.is_held());
    }
}

#[test]
fn a_wait_that_expires_overtaken_does_not_park_again() {
    let lock = held_lock();
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    assert_eq!(release(&lock), [0]);
    assert_eq!(newcomer.on(&lock), Ready(()));
    assert_eq!(a.expires_on(&lock), TimedOut);
    assert_eq!(lock.waiting(), 1);
    assert_eq!(release(&lock), [1]);
    assert_eq!(b.on(&lock), Ready(()));
}

#[test]
fn made_anew_it_is_free_and_nobody_waits() {
    for handed_over in [false, true] {
        let lock = held_lock();
        let [mut a, mut b] = waiters([InOrder; 2]);
        assert_eq!(a.on(&lock), Pending);
        assert_eq!(b.on(&lock), Pending);
        if handed_over {
            assert_eq!(release(&lock), [0]);
        }
        lock.reinitialise();
        assert_eq!(lock.waiting(), 0);
        assert!(is_free(&lock));
        // Who waited for what the lock was before has no part in what it is now.
        assert_eq!(a.gives_up(&lock), []);
        assert_eq!(Waiter::new(2, InOrder).on(&lock), Ready(()));
        assert_eq!(b.on(&lock), Pending);
        assert_eq!(release(&lock), [1]);
    }
}

#[test]
fn those_who_wait_are_shown() {
    let lock = held_lock();
    let [mut a, mut b] = waiters([InOrder, Barging]);
    assert_eq!(a.on(&lock), Pending);
    assert_eq!(b.on(&lock), Pending);
    let mut seen = Vec::new();
    let outcome = lock.visit(|id| {
        seen.push(*id);
        Ok::<(), ()>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(seen, [0, 1]);
    assert_eq!(lock.visit(|id| Err(*id)), Err(0));
}
