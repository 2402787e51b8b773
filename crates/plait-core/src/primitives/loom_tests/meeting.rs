//! What is told to others: a flag, a notification, that all are there.

use super::*;
use crate::primitives::barrier::{Barrier, Passage, Phase};
use crate::primitives::condition::Condition;
use crate::primitives::event::Event;
use crate::sync::atomic::{AtomicBool, Ordering};

struct Announced {
    event: Event<Bell>,
    /// What the event announces.
    done: AtomicBool,
}

impl Announced {
    fn new() -> Arc<Announced> {
        Arc::new(Announced { event: Event::default(), done: AtomicBool::new(false) })
    }

    fn announce(&self) {
        self.done.store(true, Ordering::Relaxed);
        ring(self.event.set());
    }

    /// Waits, and sees what was done before.
    fn learn(&self, end: End) -> bool {
        let poll =
            |wait: &mut Wait, waker: &mut Option<Bell>, _: &mut Wakes<Bell>| self.event.poll(wait, waker);
        let served = Waiter::new(Manner::InOrder).run(end, &self.event, poll).is_some();
        assert!(!served || self.done.load(Ordering::Relaxed));
        served
    }
}

#[test]
fn loom_event_reaches_all_who_begin_to_wait_beside_it() {
    for end in ENDS {
        model(move || {
            let announced = Announced::new();
            let hasty = spawn(&announced, move |announced| announced.learn(end));
            let patient = spawn(&announced, |announced| announced.learn(End::Served));
            announced.announce();
            hasty.join().unwrap();
            assert!(patient.join().unwrap());
            assert_eq!(announced.event.waiting(), 0);
        });
    }
}

#[test]
fn loom_event_that_is_taken_back_has_reached_those_who_waited() {
    model(|| {
        let announced = Announced::new();
        let event = &announced.event;
        let mut waiter = Waiter::park(Manner::InOrder, |wait, waker, _| event.poll(wait, waker));
        let waits = spawn(&announced, move |announced| {
            waiter.serve(|wait, waker, _| announced.event.poll(wait, waker));
        });
        let clears = spawn(&announced, |announced| announced.event.clear());
        announced.announce();
        waits.join().unwrap();
        clears.join().unwrap();
    });
}

#[test]
fn loom_event_shows_without_a_lock_what_was_done_before() {
    model(|| {
        let announced = Announced::new();
        let looks = spawn(&announced, |announced| {
            assert!(!announced.event.is_set() || announced.done.load(Ordering::Relaxed));
        });
        announced.announce();
        looks.join().unwrap();
    });
}

/// One notification, one that ends hastily: the other is notified unless the first kept it.
#[test]
fn loom_condition_notifications_are_passed_on() {
    type Notified = Condition<Bell>;
    fn poll(
        condition: &Notified,
    ) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<()> + '_ {
        |wait, waker, _| condition.poll(wait, waker)
    }
    for end in HASTY_ENDS {
        model(move || {
            let condition = Arc::new(Notified::default());
            let hasty = Waiter::park(Manner::InOrder, poll(&condition));
            let patient = Waiter::park(Manner::InOrder, poll(&condition));
            let hasty =
                spawn(&condition, move |condition| hasty.finish(end, condition, poll(condition)).is_some());
            let patient =
                spawn(&condition, move |condition| patient.finish(End::Served, condition, poll(condition)));
            ring(condition.notify(1));
            if hasty.join().unwrap() {
                ring(condition.notify(1));
            }
            assert!(patient.join().unwrap().is_some());
            assert_eq!(condition.waiting(), 0);
        });
    }
}

type Meeting = Barrier<Bell>;

/// For so many.
fn meeting(parties: usize) -> Arc<Meeting> {
    Arc::new(Meeting::new(parties))
}

fn come(
    barrier: &Meeting,
) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<Passage> + '_ {
    |wait, waker, wakes| barrier.poll(wait, false, waker, wakes)
}

fn pass(barrier: &Meeting) -> Passage {
    Waiter::new(Manner::InOrder).serve(come(barrier))
}

#[test]
fn loom_barrier_lets_two_through_twice() {
    model(|| {
        let barrier = meeting(2);
        let other = spawn(&barrier, |barrier| [pass(barrier), pass(barrier)]);
        let ours = [pass(&barrier), pass(&barrier)];
        let theirs = other.join().unwrap();
        for both in ours.into_iter().zip(theirs) {
            let (zero, one) = (Passage::Through(0), Passage::Through(1));
            assert!(both == (zero, one) || both == (one, zero), "{both:?}");
        }
        assert_eq!((barrier.phase(), barrier.inside(), barrier.waiting()), (Phase::Filling, 0, 0));
    });
}

/// One is inside when the other comes and the first one's time is up: both go through, or neither.
#[test]
fn loom_barrier_lets_all_through_or_none() {
    model(|| {
        let barrier = meeting(2);
        let inside = Waiter::park(Manner::InOrder, come(&barrier));
        let inside = spawn(&barrier, move |barrier| {
            inside.finish(End::Expired, barrier, come(barrier)).expect("it is told how it goes on")
        });
        let last = pass(&barrier);
        match inside.join().unwrap() {
            Passage::Broken => {
                assert_eq!((last, barrier.phase()), (Passage::Refused, Phase::Broken));
            }
            first => {
                assert_eq!((first, last), (Passage::Through(0), Passage::Through(1)));
                assert_eq!(barrier.phase(), Phase::Filling);
            }
        }
        assert_eq!(barrier.inside(), 0);
    });
}

/// One goes away while the last one comes: either that one stays the last, or it waits for one more.
#[test]
fn loom_barrier_waits_for_one_more_when_one_goes_away() {
    model(|| {
        let barrier = meeting(2);
        let inside = Waiter::park(Manner::InOrder, come(&barrier));
        let other = spawn(&barrier, pass);
        inside.finish(End::GivenUp, &*barrier, come(&barrier));
        // Whoever is let through is one of two: the other one with the first, or the other one with this one.
        let mut ours = Waiter::new(Manner::InOrder);
        let progress = ours.poll(come(&barrier));
        let theirs = other.join().unwrap();
        match progress {
            Progress::Ready(passage) => {
                assert_eq!((passage, theirs), (Passage::Through(1), Passage::Through(0)));
            }
            _ => {
                assert_eq!(theirs, Passage::Through(1));
                assert_eq!(barrier.inside(), 1);
                if barrier.phase() == Phase::Draining {
                    assert_eq!(ours.serve(come(&barrier)), Passage::Through(0));
                }
            }
        }
    });
}

/// A crowd leaves while the next one stands at the door.
#[test]
fn loom_barrier_opens_the_door_when_the_last_has_left() {
    model(|| {
        let barrier = meeting(2);
        let mut first = Waiter::park(Manner::InOrder, come(&barrier));
        assert_eq!(pass(&barrier), Passage::Through(1));
        let first = spawn(&barrier, move |barrier| first.serve(come(barrier)));
        let next = spawn(&barrier, pass);
        let ours = pass(&barrier);
        assert_eq!(first.join().unwrap(), Passage::Through(0));
        let (zero, one) = (Passage::Through(0), Passage::Through(1));
        assert!(matches!((ours, next.join().unwrap()), both if both == (zero, one) || both == (one, zero)));
    });
}

/// An abort beside the one that acts reaches both who wait inside and who wait at the door.
#[test]
fn loom_barrier_is_aborted_beside_its_action() {
    model(|| {
        let barrier = meeting(2);
        let mut inside = Waiter::park(Manner::InOrder, come(&barrier));
        let acts = |wait: &mut Wait, waker: &mut Option<Bell>, wakes: &mut Wakes<Bell>| {
            barrier.poll(wait, true, waker, wakes)
        };
        assert_eq!(Waiter::new(Manner::InOrder).serve(acts), Passage::Act(1));
        let mut at_the_door = Waiter::park(Manner::InOrder, come(&barrier));
        let inside = spawn(&barrier, move |barrier| inside.serve(come(barrier)));
        let aborts = spawn(&barrier, move |barrier| {
            let mut wakes = Wakes::None;
            barrier.abort(&mut wakes);
            ring(wakes);
            at_the_door.serve(come(barrier))
        });
        let mut wakes = Wakes::None;
        assert_eq!(barrier.acted(Passage::Through(1), &mut wakes), Passage::Through(1));
        ring(wakes);
        assert_eq!(aborts.join().unwrap(), Passage::Refused);
        assert!(matches!(inside.join().unwrap(), Passage::Through(0) | Passage::Broken));
        assert_eq!((barrier.phase(), barrier.inside()), (Phase::Broken, 0));
    });
}
