//! Where permits go.

use super::{ids, waiters, Waiter};
use crate::primitives::semaphore::{Semaphore, TooMany};
use crate::waiter::Manner::{Barging, InOrder};
use crate::waiter::Progress::{Pending, Ready, TimedOut, WouldPark};

type TestSemaphore = Semaphore<u32>;

fn release(semaphore: &TestSemaphore, count: u64) -> Vec<u32> {
    ids(semaphore.release(count, None).expect("there is no bound"))
}

#[test]
fn permits_are_taken_while_there_are_any() {
    let semaphore = TestSemaphore::new(2);
    assert_eq!(Waiter::new(0, InOrder).on(&semaphore), Ready(()));
    assert_eq!(Waiter::new(1, Barging).on(&semaphore), Ready(()));
    assert_eq!(semaphore.value(), 0);
    assert_eq!(Waiter::attempt(2, Barging).on(&semaphore), TimedOut);
    assert_eq!(Waiter::new(2, Barging).without_waker_on(&semaphore), WouldPark);
    assert_eq!(release(&semaphore, 1), []);
    assert_eq!(semaphore.value(), 1);
    assert_eq!(Waiter::attempt(2, InOrder).on(&semaphore), Ready(()));
}

#[test]
fn a_bound_is_kept() {
    let semaphore = TestSemaphore::new(1);
    assert!(matches!(semaphore.release(1, Some(1)), Err(TooMany)));
    assert_eq!(semaphore.value(), 1, "nothing was added");
    assert_eq!(Waiter::attempt(0, InOrder).on(&semaphore), Ready(()));
    assert!(matches!(semaphore.release(2, Some(1)), Err(TooMany)));
    assert!(semaphore.release(1, Some(1)).is_ok_and(|wakes| wakes.is_empty()));
    assert!(matches!(semaphore.release(u64::MAX, Some(1)), Err(TooMany)));
}

#[test]
fn what_is_handed_over_is_gone_from_the_number() {
    let semaphore = TestSemaphore::new(0);
    let [mut a, mut b, mut c] = waiters([InOrder; 3]);
    for waiter in [&mut a, &mut b, &mut c] {
        assert_eq!(waiter.on(&semaphore), Pending);
    }
    assert_eq!(release(&semaphore, 2), [0, 1]);
    assert_eq!(semaphore.value(), 0);
    assert_eq!(semaphore.waiting(), 1);
    assert_eq!(Waiter::attempt(9, Barging).on(&semaphore), TimedOut);
    assert_eq!(b.on(&semaphore), Ready(()));
    assert_eq!(a.on(&semaphore), Ready(()));
    assert_eq!(release(&semaphore, 5), [2]);
    assert_eq!(semaphore.value(), 4);
}

/// As in asyncio, where it shows: a permit is free, and yet whoever comes has to wait for a turn of the loop.
#[test]
fn one_in_order_waits_for_those_to_notice_who_were_handed_theirs() {
    for notices in [true, false] {
        let semaphore = TestSemaphore::new(0);
        let [mut a, mut newcomer] = waiters([InOrder; 2]);
        assert_eq!(a.on(&semaphore), Pending);
        assert_eq!(release(&semaphore, 2), [0]);
        assert_eq!(semaphore.value(), 1);
        assert_eq!(Waiter::attempt(9, InOrder).on(&semaphore), TimedOut);
        assert_eq!(newcomer.on(&semaphore), Pending);
        assert_eq!((semaphore.waiting(), semaphore.present()), (1, 2));
        match notices {
            true => assert_eq!(a.wakes_on(&semaphore), (Ready(()), vec![1])),
            false => assert_eq!(a.gives_up(&semaphore), [1]),
        }
        assert_eq!(newcomer.on(&semaphore), Ready(()));
        assert_eq!(semaphore.value(), u64::from(!notices));
    }
}

#[test]
fn a_permit_that_one_was_told_of_is_kept_from_those_behind_but_not_from_newcomers() {
    let semaphore = TestSemaphore::new(0);
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&semaphore), Pending);
    assert_eq!(b.on(&semaphore), Pending);
    assert_eq!(release(&semaphore, 1), [0]);
    assert_eq!(semaphore.value(), 1);
    assert_eq!(Waiter::attempt(9, InOrder).on(&semaphore), TimedOut, "b waits");
    assert_eq!(newcomer.on(&semaphore), Ready(()));
    assert_eq!(release(&semaphore, 1), [], "a was told and has not come yet");
    assert_eq!(release(&semaphore, 1), [1]);
    assert_eq!(a.on(&semaphore), Ready(()));
    assert_eq!(b.on(&semaphore), Ready(()));
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn those_who_were_overtaken_are_handed_the_next_permits() {
    let semaphore = TestSemaphore::new(0);
    let [mut a, mut b, mut newcomer] = waiters([Barging; 3]);
    assert_eq!(a.on(&semaphore), Pending);
    assert_eq!(b.on(&semaphore), Pending);
    assert_eq!(release(&semaphore, 1), [0]);
    assert_eq!(newcomer.on(&semaphore), Ready(()));
    assert_eq!(a.on(&semaphore), Pending);
    assert_eq!(release(&semaphore, 1), [0]);
    assert_eq!(semaphore.value(), 0, "handed over");
    assert_eq!(a.on(&semaphore), Ready(()));
    assert_eq!(release(&semaphore, 1), [1]);
    assert_eq!(semaphore.value(), 1, "there to be tried for");
}

#[test]
fn the_manners_mix_in_one_queue() {
    let semaphore = TestSemaphore::new(0);
    let [mut a, mut b, mut c] = waiters([Barging, InOrder, Barging]);
    for waiter in [&mut a, &mut b, &mut c] {
        assert_eq!(waiter.on(&semaphore), Pending);
    }
    assert_eq!(release(&semaphore, 3), [0, 1, 2]);
    assert_eq!(semaphore.value(), 2);
    for waiter in [&mut c, &mut b, &mut a] {
        assert_eq!(waiter.on(&semaphore), Ready(()));
    }
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn giving_up_passes_on_what_was_promised() {
    for (manner, next) in [(InOrder, InOrder), (InOrder, Barging), (Barging, InOrder), (Barging, Barging)] {
        let semaphore = TestSemaphore::new(0);
        let [mut a, mut b, mut c] = waiters([manner, next, next]);
        for waiter in [&mut a, &mut b, &mut c] {
            assert_eq!(waiter.on(&semaphore), Pending);
        }
        assert_eq!(c.gives_up(&semaphore), [], "it had nothing");
        assert_eq!(release(&semaphore, 1), [0]);
        assert_eq!(a.gives_up(&semaphore), [1]);
        assert_eq!(b.gives_up(&semaphore), []);
        assert_eq!(semaphore.value(), 1);
        assert_eq!(semaphore.waiting(), 0);
    }
}

#[test]
fn giving_up_a_chance_that_somebody_else_took_wakes_nobody() {
    let semaphore = TestSemaphore::new(0);
    let [mut a, mut b] = waiters([Barging; 2]);
    assert_eq!(a.on(&semaphore), Pending);
    assert_eq!(b.on(&semaphore), Pending);
    assert_eq!(release(&semaphore, 1), [0]);
    assert_eq!(Waiter::attempt(9, Barging).on(&semaphore), Ready(()));
    assert_eq!(a.gives_up(&semaphore), []);
    assert_eq!(release(&semaphore, 1), [1]);
}

#[test]
fn a_wait_that_expires_takes_what_it_was_promised_or_is_out() {
    for manner in [InOrder, Barging] {
        let semaphore = TestSemaphore::new(0);
        let [mut early, mut late] = waiters([manner; 2]);
        assert_eq!(early.on(&semaphore), Pending);
        assert_eq!(late.on(&semaphore), Pending);
        assert_eq!(early.expires_on(&semaphore), TimedOut);
        assert_eq!(release(&semaphore, 1), [1]);
        assert_eq!(late.expires_on(&semaphore), Ready(()));
        assert_eq!(semaphore.value(), 0);
    }
}
