//! The barrier's phases, one by one.

use super::{ids, waiters, Waiter};
use crate::primitives::barrier::Passage::{Act, Broken, Refused, Through};
use crate::primitives::barrier::{Barrier, Passage, Phase};
use crate::waiter::Manner::InOrder;
use crate::waiter::Progress::{self, Pending, Ready, WouldPark};
use crate::waiter::{Wait, Wakes};

type TestBarrier = Barrier<u32>;
type Outcome = (Progress<Passage>, Vec<u32>);

impl Waiter {
    fn comes(&mut self, barrier: &TestBarrier, acts: bool) -> Outcome {
        let mut wakes = Wakes::None;
        let progress = self.poll(|wait, waker| barrier.poll(wait, acts, waker, &mut wakes));
        (progress, ids(wakes))
    }

    fn at(&mut self, barrier: &TestBarrier) -> Outcome {
        self.comes(barrier, false)
    }

    fn expires_at(&mut self, barrier: &TestBarrier) -> Outcome {
        self.wait.expire();
        self.at(barrier)
    }
}

fn acted(barrier: &TestBarrier, passage: Passage) -> (Passage, Vec<u32>) {
    let mut wakes = Wakes::None;
    (barrier.acted(passage, &mut wakes), ids(wakes))
}

fn reset(barrier: &TestBarrier, even_draining: bool) -> Vec<u32> {
    let mut wakes = Wakes::None;
    barrier.reset(even_draining, &mut wakes);
    ids(wakes)
}

fn abort(barrier: &TestBarrier) -> Vec<u32> {
    let mut wakes = Wakes::None;
    barrier.abort(&mut wakes);
    ids(wakes)
}

const PENDING: Outcome = (Pending, Vec::new());

fn ready(passage: Passage, woken: &[u32]) -> Outcome {
    (Ready(passage), woken.to_vec())
}

/// A barrier for three, and two who are inside.
fn filling() -> (TestBarrier, [Waiter; 2]) {
    let barrier = TestBarrier::new(3);
    let mut inside = waiters([InOrder; 2]);
    for waiter in &mut inside {
        assert_eq!(waiter.at(&barrier), PENDING);
    }
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Filling, 2, 2));
    (barrier, inside)
}

/// The third has come and gone; the two have been woken.
fn draining() -> (TestBarrier, [Waiter; 2]) {
    let (barrier, inside) = filling();
    assert_eq!(Waiter::new(2, InOrder).at(&barrier), ready(Through(2), &[0, 1]));
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Draining, 2, 0));
    (barrier, inside)
}

/// The third has come, and acts.
fn acting() -> (TestBarrier, [Waiter; 2]) {
    let (barrier, inside) = filling();
    assert_eq!(Waiter::new(2, InOrder).comes(&barrier, true), ready(Act(2), &[]));
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Acting, 3, 2));
    (barrier, inside)
}

/// Somebody comes while the door is closed.
fn at_the_door(barrier: &TestBarrier) -> Waiter {
    let mut waiter = Waiter::new(7, InOrder);
    assert_eq!(waiter.at(barrier), PENDING);
    waiter
}

#[test]
fn a_barrier_for_one_stops_nobody() {
    let barrier = TestBarrier::new(1);
    assert_eq!(barrier.parties(), 1);
    for _ in 0..2 {
        assert_eq!(Waiter::attempt(0, InOrder).at(&barrier), ready(Through(0), &[]));
        assert_eq!(barrier.phase(), Phase::Filling);
    }
}

#[test]
fn polling_without_a_waker_leaves_no_trace() {
    let barrier = TestBarrier::new(2);
    let mut wakes = Wakes::None;
    let progress = barrier.poll(&mut Wait::new(InOrder), false, &mut None, &mut wakes);
    assert_eq!(progress, WouldPark);
    assert_eq!((barrier.inside(), barrier.waiting()), (0, 0));
    // The last one needs none.
    assert_eq!(Waiter::new(0, InOrder).at(&barrier), PENDING);
    let progress = barrier.poll(&mut Wait::new(InOrder), false, &mut None, &mut wakes);
    assert_eq!(progress, Ready(Through(1)));
    assert_eq!(ids(wakes), [0]);
    let progress = barrier.poll(&mut Wait::new(InOrder), false, &mut None, &mut Wakes::None);
    assert_eq!(progress, WouldPark, "nor is the door a place for one without");
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn the_last_one_lets_all_through_and_the_next_crowd_waits_at_the_door() {
    let (barrier, [mut a, mut b]) = draining();
    let mut next = at_the_door(&barrier);
    assert_eq!(barrier.inside(), 2);
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));
    assert_eq!(a.at(&barrier), ready(Through(0), &[7]));
    assert_eq!(barrier.phase(), Phase::Filling);
    assert_eq!(next.at(&barrier), PENDING);
    assert_eq!((barrier.inside(), barrier.waiting()), (1, 1));
    assert_eq!(Waiter::new(8, InOrder).at(&barrier), PENDING);
    assert_eq!(Waiter::new(9, InOrder).at(&barrier), ready(Through(2), &[7, 8]));
    assert_eq!(next.at(&barrier), ready(Through(0), &[]));
}

#[test]
fn one_that_acts_is_waited_for() {
    let (barrier, [mut a, mut b]) = acting();
    let mut next = at_the_door(&barrier);
    assert_eq!(a.at(&barrier), PENDING);
    assert_eq!(acted(&barrier, Through(2)), (Through(2), vec![0, 1]));
    assert_eq!(barrier.phase(), Phase::Draining);
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[7]));
    assert_eq!(next.at(&barrier), PENDING);
}

#[test]
fn one_that_acts_badly_breaks_it() {
    let (barrier, [mut a, mut b]) = acting();
    let mut next = at_the_door(&barrier);
    assert_eq!(acted(&barrier, Broken), (Broken, vec![0, 1, 7]));
    for waiter in [&mut a, &mut b] {
        assert_eq!(waiter.at(&barrier), ready(Broken, &[]));
    }
    assert_eq!(next.at(&barrier), ready(Refused, &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 0));
}

#[test]
fn a_time_out_while_filling_breaks_it() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(a.expires_at(&barrier), ready(Broken, &[1]));
    assert_eq!(b.at(&barrier), ready(Broken, &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 0));
    assert_eq!(Waiter::new(2, InOrder).at(&barrier), ready(Refused, &[]));
}

#[test]
fn an_attempt_breaks_it_unless_it_is_the_last_to_come() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(Waiter::attempt(2, InOrder).at(&barrier), ready(Through(2), &[0, 1]));
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));
    assert_eq!(a.at(&barrier), PENDING);
    assert_eq!(Waiter::attempt(2, InOrder).at(&barrier), ready(Broken, &[0]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 1));
}

#[test]
fn a_time_out_after_all_have_come_does_not_count() {
    let (barrier, [mut a, mut b]) = draining();
    assert_eq!(a.expires_at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));

    let (barrier, [mut a, mut b]) = acting();
    assert_eq!(a.expires_at(&barrier), PENDING);
    assert_eq!(acted(&barrier, Through(2)), (Through(2), vec![0, 1]));
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));
}

#[test]
fn at_the_door_a_time_out_counts_as_soon_as_it_opens() {
    let (barrier, [mut a, mut b]) = draining();
    let mut next = at_the_door(&barrier);
    assert_eq!(next.expires_at(&barrier), PENDING);
    let mut attempt = Waiter::attempt(8, InOrder);
    assert_eq!(attempt.at(&barrier), PENDING);
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[7, 8]));
    assert_eq!(next.at(&barrier), ready(Broken, &[]));
    assert_eq!(attempt.at(&barrier), ready(Refused, &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 0));
}

#[test]
fn giving_up_inside_makes_one_party_less() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(a.gives_up(&barrier), []);
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Filling, 1, 1));
    let mut c = Waiter::new(2, InOrder);
    assert_eq!(c.at(&barrier), PENDING);
    assert_eq!(Waiter::new(3, InOrder).at(&barrier), ready(Through(2), &[1, 2]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));
    assert_eq!(c.gives_up(&barrier), []);
    assert_eq!(barrier.phase(), Phase::Filling, "the last one, however it left, opened the door");
}

#[test]
fn giving_up_while_leaving_opens_the_door_all_the_same() {
    let (barrier, [mut a, mut b]) = draining();
    let mut next = at_the_door(&barrier);
    assert_eq!(a.gives_up(&barrier), []);
    assert_eq!(b.gives_up(&barrier), [7]);
    assert_eq!(next.gives_up(&barrier), [], "it is not inside");
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Filling, 0, 0));
}

#[test]
fn giving_up_at_the_door_changes_nothing_inside() {
    let (barrier, _inside) = draining();
    let mut next = at_the_door(&barrier);
    assert_eq!(next.gives_up(&barrier), []);
    assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Draining, 2, 0));
}

#[test]
fn giving_up_while_somebody_acts() {
    let (barrier, [mut a, mut b]) = acting();
    assert_eq!(a.gives_up(&barrier), []);
    assert_eq!(acted(&barrier, Through(2)), (Through(2), vec![1]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Filling, 0));
}

#[test]
fn a_reset_turns_out_those_inside() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(reset(&barrier, false), [0, 1]);
    assert_eq!(barrier.phase(), Phase::Resetting);
    let mut next = at_the_door(&barrier);
    assert_eq!(a.at(&barrier), ready(Broken, &[]));
    assert_eq!(b.at(&barrier), ready(Broken, &[7]));
    assert_eq!(barrier.phase(), Phase::Filling);
    assert_eq!(next.at(&barrier), PENDING);
}

#[test]
fn a_reset_with_nobody_inside_mends_what_is_broken() {
    let barrier = TestBarrier::new(2);
    assert_eq!(reset(&barrier, false), []);
    assert_eq!(abort(&barrier), []);
    assert_eq!(Waiter::new(0, InOrder).at(&barrier), ready(Refused, &[]));
    assert_eq!(reset(&barrier, true), []);
    assert_eq!(Waiter::new(0, InOrder).at(&barrier), PENDING);
}

#[test]
fn a_reset_while_it_is_broken_waits_for_those_inside() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(abort(&barrier), [0, 1]);
    assert_eq!(a.at(&barrier), ready(Broken, &[]));
    assert_eq!(reset(&barrier, false), []);
    assert_eq!(barrier.phase(), Phase::Resetting);
    let _next = at_the_door(&barrier);
    assert_eq!(b.at(&barrier), ready(Broken, &[7]));
    assert_eq!(barrier.phase(), Phase::Filling);
}

#[test]
fn a_reset_while_a_crowd_leaves_lets_it_go_or_not() {
    for even_draining in [false, true] {
        let (barrier, [mut a, mut b]) = draining();
        assert_eq!(reset(&barrier, even_draining), []);
        let passage = |number| if even_draining { Broken } else { Through(number) };
        assert_eq!(a.at(&barrier), ready(passage(0), &[]));
        assert_eq!(b.at(&barrier), ready(passage(1), &[]));
        assert_eq!(barrier.phase(), Phase::Filling);
    }
}

#[test]
fn a_reset_while_somebody_acts_waits_for_that_one() {
    let (barrier, [mut a, mut b]) = acting();
    assert_eq!(reset(&barrier, false), [0, 1]);
    let mut next = at_the_door(&barrier);
    assert_eq!(a.at(&barrier), ready(Broken, &[]));
    assert_eq!(b.at(&barrier), ready(Broken, &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Resetting, 1));
    assert_eq!(acted(&barrier, Through(2)), (Through(2), vec![7]));
    assert_eq!(next.at(&barrier), PENDING);
}

#[test]
fn an_abort_while_somebody_acts_stands() {
    let (barrier, [mut a, mut b]) = acting();
    let mut next = at_the_door(&barrier);
    assert_eq!(abort(&barrier), [0, 1, 7]);
    assert_eq!(next.at(&barrier), ready(Refused, &[]));
    assert_eq!(acted(&barrier, Through(2)), (Through(2), vec![]));
    assert_eq!(a.at(&barrier), ready(Broken, &[]));
    assert_eq!(b.at(&barrier), ready(Broken, &[]));
    assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 0));
}

#[test]
fn an_abort_while_a_crowd_leaves_reaches_those_still_there() {
    let (barrier, [mut a, mut b]) = draining();
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(abort(&barrier), []);
    assert_eq!(b.at(&barrier), ready(Broken, &[]));
    assert_eq!(barrier.phase(), Phase::Broken, "until it is reset");
}

#[test]
fn one_that_was_woken_at_the_door_and_finds_it_closed_waits_on() {
    let (barrier, [mut a, mut b]) = draining();
    let mut next = at_the_door(&barrier);
    assert_eq!(a.at(&barrier), ready(Through(0), &[]));
    assert_eq!(b.at(&barrier), ready(Through(1), &[7]));
    // Three others are faster.
    let mut crowd = waiters([InOrder; 2]);
    for waiter in &mut crowd {
        assert_eq!(waiter.at(&barrier), PENDING);
    }
    assert_eq!(Waiter::new(2, InOrder).at(&barrier), ready(Through(2), &[0, 1]));
    assert_eq!(next.at(&barrier), PENDING);
    assert_eq!(barrier.waiting(), 1);
    assert_eq!(crowd[0].at(&barrier), ready(Through(0), &[]));
    assert_eq!(crowd[1].at(&barrier), ready(Through(1), &[7]));
    assert_eq!(next.at(&barrier), PENDING);
    assert_eq!(barrier.inside(), 1);
}

#[test]
fn made_anew_it_is_empty_whatever_it_was() {
    let (barrier, [mut a, mut b]) = filling();
    assert_eq!(abort(&barrier), [0, 1]);
    barrier.reinitialise(2);
    assert_eq!((barrier.parties(), barrier.inside(), barrier.phase()), (2, 0, Phase::Filling));
    assert_eq!(a.at(&barrier), PENDING);
    assert_eq!(b.gives_up(&barrier), []);
    assert_eq!(barrier.inside(), 1, "who was inside before does not count");
    assert_eq!(Waiter::new(2, InOrder).at(&barrier), ready(Through(1), &[0]));
}

#[test]
fn those_who_wait_are_shown() {
    let (barrier, _inside) = filling();
    let mut seen = Vec::new();
    let outcome = barrier.visit(|id| {
        seen.push(*id);
        Ok::<(), ()>(())
    });
    assert_eq!((outcome, seen), (Ok(()), vec![0, 1]));
}
