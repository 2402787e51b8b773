//! Whom a notification reaches.

use super::{ids, waiters, Waiter};
use crate::primitives::condition::Condition;
use crate::waiter::Manner::{Barging, InOrder};
use crate::waiter::Progress::{Pending, Ready, TimedOut, WouldPark};

type TestCondition = Condition<u32>;

#[test]
fn a_notification_that_reaches_nobody_is_lost() {
    let condition = TestCondition::default();
    assert_eq!(ids(condition.notify(3)), []);
    assert_eq!(Waiter::attempt(0, InOrder).on(&condition), TimedOut);
    assert_eq!(Waiter::new(0, InOrder).without_waker_on(&condition), WouldPark);
    assert_eq!(Waiter::new(0, InOrder).on(&condition), Pending);
}

#[test]
fn those_who_have_waited_longest_are_notified() {
    let condition = TestCondition::default();
    let mut crowd = waiters([InOrder, Barging, InOrder, Barging, InOrder]);
    for waiter in &mut crowd {
        assert_eq!(waiter.on(&condition), Pending);
    }
    assert_eq!(ids(condition.notify(0)), []);
    assert_eq!(ids(condition.notify(1)), [0]);
    assert_eq!(ids(condition.notify(2)), [1, 2]);
    assert_eq!(condition.waiting(), 2);
    assert_eq!(crowd[3].on(&condition), Pending);
    assert_eq!(ids(condition.notify(usize::MAX)), [3, 4]);
    for waiter in &mut crowd {
        assert_eq!(waiter.on(&condition), Ready(()));
    }
}

#[test]
fn one_that_gives_up_passes_its_notification_on() {
    let condition = TestCondition::default();
    let [mut a, mut b, mut c] = waiters([InOrder, Barging, InOrder]);
    for waiter in [&mut a, &mut b, &mut c] {
        assert_eq!(waiter.on(&condition), Pending);
    }
    assert_eq!(b.gives_up(&condition), [], "it had none");
    assert_eq!(ids(condition.notify(1)), [0]);
    assert_eq!(a.gives_up(&condition), [2]);
    assert_eq!(c.gives_up(&condition), [], "nobody is left");
}

#[test]
fn one_that_is_withdrawn_keeps_its_notification_to_itself() {
    let condition = TestCondition::default();
    let [mut a, mut b, mut c] = waiters([InOrder; 3]);
    for waiter in [&mut a, &mut b, &mut c] {
        assert_eq!(waiter.on(&condition), Pending);
    }
    assert_eq!(ids(condition.notify(1)), [0]);
    assert_eq!(condition.present(), 3);
    assert!(condition.withdraw(&mut a.wait, &mut None));
    assert!(!condition.withdraw(&mut a.wait, &mut None), "once");
    let mut waker = None;
    assert!(!condition.withdraw(&mut b.wait, &mut waker));
    assert_eq!(waker, Some(1));
    assert_eq!((condition.waiting(), condition.present()), (1, 1));
}

#[test]
fn one_whose_time_is_up_keeps_what_reached_it() {
    let condition = TestCondition::default();
    let [mut early, mut late] = waiters([InOrder; 2]);
    assert_eq!(early.on(&condition), Pending);
    assert_eq!(late.on(&condition), Pending);
    assert_eq!(early.expires_on(&condition), TimedOut);
    assert_eq!(ids(condition.notify(1)), [1]);
    assert_eq!(late.expires_on(&condition), Ready(()));
}

#[test]
fn made_anew_nobody_waits() {
    let condition = TestCondition::default();
    let [mut a, mut b] = waiters([InOrder; 2]);
    assert_eq!(a.on(&condition), Pending);
    assert_eq!(b.on(&condition), Pending);
    condition.reinitialise();
    assert_eq!(ids(condition.notify(9)), []);
    assert_eq!(Waiter::new(2, InOrder).on(&condition), Pending);
    assert_eq!(a.gives_up(&condition), [], "it had no notification to pass on");
    assert_eq!(b.on(&condition), Pending);
    assert_eq!(condition.waiting(), 2);
}
