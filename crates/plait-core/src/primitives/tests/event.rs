//! A flag, and those who wait for it.

use super::{ids, waiters, Waiter};
use crate::primitives::event::Event;
use crate::waiter::Manner::{Barging, InOrder};
use crate::waiter::Progress::{Pending, Ready, TimedOut, WouldPark};

type TestEvent = Event<u32>;

#[test]
fn who_comes_when_it_is_set_does_not_wait() {
    let event = TestEvent::default();
    assert!(!event.is_set());
    assert_eq!(Waiter::attempt(0, InOrder).on(&event), TimedOut);
    assert_eq!(Waiter::new(0, InOrder).without_waker_on(&event), WouldPark);
    assert_eq!(ids(event.set()), []);
    assert!(event.is_set());
    assert_eq!(Waiter::new(0, InOrder).without_waker_on(&event), Ready(()));
    assert_eq!(Waiter::attempt(0, Barging).on(&event), Ready(()));
    event.clear();
    assert!(!event.is_set());
    assert_eq!(Waiter::attempt(0, InOrder).on(&event), TimedOut);
}

#[test]
fn setting_it_wakes_all_the_longest_waiting_first() {
    let event = TestEvent::default();
    let mut crowd = waiters([InOrder, Barging, InOrder, Barging]);
    for waiter in &mut crowd {
        assert_eq!(waiter.on(&event), Pending);
    }
    assert_eq!(crowd[1].gives_up(&event), []);
    assert_eq!(event.waiting(), 3);
    assert_eq!(ids(event.set()), [0, 2, 3]);
    assert_eq!(ids(event.set()), [], "once is enough");
    assert_eq!(event.waiting(), 0);
    for index in [0, 2, 3] {
        assert_eq!(crowd[index].on(&event), Ready(()));
    }
}

#[test]
fn a_wake_up_counts_though_the_flag_is_taken_back() {
    let event = TestEvent::default();
    let [mut a, mut b, mut late] = waiters([InOrder, Barging, InOrder]);
    assert_eq!(a.on(&event), Pending);
    assert_eq!(b.on(&event), Pending);
    assert_eq!(ids(event.set()), [0, 1]);
    event.clear();
    assert_eq!(late.on(&event), Pending);
    assert_eq!(a.on(&event), Ready(()));
    assert_eq!(b.expires_on(&event), Ready(()), "its time was up, but it had been woken");
    assert_eq!(late.expires_on(&event), TimedOut);
    assert_eq!(event.waiting(), 0);
}

#[test]
fn made_anew_it_is_as_it_was_without_the_waiters() {
    let event = TestEvent::default();
    let [mut a, mut b] = waiters([InOrder; 2]);
    assert_eq!(a.on(&event), Pending);
    assert_eq!(b.on(&event), Pending);
    event.reinitialise(false);
    assert_eq!((event.waiting(), event.present()), (0, 0));
    assert_eq!(a.gives_up(&event), []);
    assert_eq!(b.on(&event), Pending, "nobody has set it");
    assert_eq!(ids(event.set()), [1]);
    assert_eq!((event.waiting(), event.present()), (0, 1));
    event.reinitialise(false);
    assert!(event.is_set());
    assert_eq!(b.on(&event), Ready(()), "as one who comes new");
    event.reinitialise(true);
    assert!(!event.is_set());
}
