use super::*;
use crate::primitives::barrier::{Passage, Phase};
use crate::shm::locks::barrier::{Barrier, Stand, Step};
use crate::shm::locks::condition::Condition;
use crate::shm::locks::event::Event;
use crate::shm::locks::Place;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex as ThreadMutex;
use std::thread;

const LONG: Option<Duration> = Some(Duration::from_secs(60));

#[test]
fn an_event_wakes_all_even_if_it_is_taken_back() {
    let (here, there) = two_mappings();
    let (ours, theirs) = (Proxy::new(Event { place: here }), Proxy::new(Event { place: there }));
    let mark = theirs.shared.begin();
    let mut task = Task::new();
    assert!(task.poll(&theirs, mark).is_none());
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| scope.spawn(|| wait_for(&theirs, mark, LONG)));
        ours.shared.set();
        ours.shared.clear();
        for waiter in waiters {
            assert!(waiter.join().unwrap().is_some());
        }
    });
    assert!(!help(&theirs));
    assert!(task.poll(&theirs, mark).is_some());
    assert!(wait_for(&ours, ours.shared.begin(), Some(Duration::from_millis(1))).is_none());
    ours.shared.set();
    assert!(theirs.shared.is_set() && theirs.attempt(theirs.shared.begin()).is_some());
}

fn conditions() -> (Proxy<Condition<Slot>, Bell>, Proxy<Condition<Slot>, Bell>) {
    let (ours, theirs) = two_mappings();
    (Proxy::new(Condition { place: ours }), Proxy::new(Condition { place: theirs }))
}

#[test]
fn a_notification_goes_to_nobody_who_came_after_it() {
    let (ours, theirs) = conditions();
    let [early, other] = [ours.shared.enter(), ours.shared.enter()];
    theirs.shared.notify(1);
    let late = theirs.shared.enter();
    assert_eq!(theirs.attempt(late), None);
    assert_eq!(ours.shared.waiting(), (2, 1));
    assert_eq!(ours.attempt(early), Some(()));
    assert_eq!(ours.attempt(other), None);
    theirs.shared.notify(2);
    assert_eq!((ours.attempt(other), theirs.attempt(late)), (Some(()), Some(())));
    assert_eq!(ours.shared.waiting(), (0, 0));
    theirs.shared.notify(5);
    let new = ours.shared.enter();
    assert_eq!(ours.attempt(new), None);
}

#[test]
fn who_leaves_a_condition_takes_no_notification_with_it() {
    let (ours, theirs) = conditions();
    let [first, second, third] = [(); 3].map(|()| ours.shared.enter());
    assert!(!ours.shared.withdraw(first));
    theirs.shared.notify(1);
    assert!(ours.shared.withdraw(second), "it had been notified");
    theirs.shared.notify(1);
    assert_eq!(ours.attempt(third), Some(()));
    assert_eq!(ours.shared.waiting(), (0, 0));
}

#[test]
fn every_notified_waiter_of_two_processes_wakes_and_no_other() {
    let (ours, theirs) = conditions();
    let (lock, woken) = (ThreadMutex::new(()), AtomicU32::new(0));
    let enter = |proxy: &Proxy<Condition<Slot>, Bell>| {
        let _held = lock.lock().unwrap();
        proxy.shared.enter()
    };
    for notified in [1, 3, 4, 6] {
        woken.store(0, Ordering::Relaxed);
        let marks = [&ours, &theirs, &ours, &theirs, &theirs, &ours].map(|proxy| (proxy, enter(proxy)));
        thread::scope(|scope| {
            for (proxy, mark) in marks {
                let woken = &woken;
                scope.spawn(move || {
                    assert_eq!(wait_for(proxy, mark, LONG), Some(()));
                    woken.fetch_add(1, Ordering::Relaxed);
                });
            }
            let held = lock.lock().unwrap();
            ours.shared.notify(notified);
            drop(held);
            while u64::from(woken.load(Ordering::Relaxed)) < notified {
                thread::yield_now();
            }
            let _held = lock.lock().unwrap();
            assert_eq!(theirs.shared.waiting().0, 6 - notified);
            theirs.shared.notify(u64::MAX);
        });
        assert_eq!((woken.load(Ordering::Relaxed), ours.shared.waiting()), (6, (0, 0)));
    }
}

/// Until a thread sleeps for this group, or is about to.
fn until_one_sleeps(proxy: &Proxy<Condition<Slot>, Bell>, group: u64) {
    let value = proxy.shared.place.word(1 + (group & 1) as usize);
    while value.load(Ordering::Relaxed) & 1 == 0 {
        thread::yield_now();
    }
}

#[test]
fn one_who_was_notified_before_it_slept_is_not_behind_a_later_one_of_its_process() {
    let (ours, theirs) = conditions();
    let [first, second, third] = [(); 3].map(|()| ours.shared.enter());
    theirs.shared.notify(u64::MAX);
    let late = ours.shared.enter();
    thread::scope(|scope| {
        let later = scope.spawn(|| wait_for(&ours, late, LONG));
        until_one_sleeps(&ours, late);
        assert_eq!(ours.attempt(first), Some(()));
        assert_eq!(Task::new().poll(&ours, second), Some(()));
        assert_eq!(wait_for(&ours, third, Some(Duration::from_millis(1))), Some(()));
        assert_eq!(ours.attempt(late), None);
        theirs.shared.notify(1);
        assert_eq!(later.join().unwrap(), Some(()));
    });
}

#[test]
fn one_who_is_notified_is_not_behind_a_later_one_of_its_process() {
    for (sleeps_by_itself, late_sleeps_by_itself) in
        [(true, true), (true, false), (false, true), (false, false)]
    {
        let (ours, theirs) = conditions();
        let [first, second] = [ours.shared.enter(), ours.shared.enter()];
        theirs.shared.notify(1);
        assert_eq!(ours.attempt(first), Some(()));
        let late = theirs.shared.enter();
        thread::scope(|scope| {
            let (mut task, mut late_task) = (Task::new(), Task::new());
            let later = late_sleeps_by_itself.then(|| scope.spawn(|| wait_for(&ours, late, LONG)));
            match &later {
                Some(_) => until_one_sleeps(&ours, late),
                None => assert!(late_task.poll(&ours, late).is_none() && help(&ours)),
            }
            let sooner = sleeps_by_itself.then(|| scope.spawn(|| wait_for(&ours, second, LONG)));
            match &sooner {
                Some(_) => until_one_sleeps(&ours, second),
                None => assert!(task.poll(&ours, second).is_none() && help(&ours)),
            }
            theirs.shared.notify(1);
            match sooner {
                Some(sooner) => assert_eq!(sooner.join().unwrap(), Some(())),
                None => {
                    help(&ours);
                    assert_eq!(task.poll(&ours, second), Some(()));
                }
            }
            theirs.shared.notify(1);
            match later {
                Some(later) => assert_eq!(later.join().unwrap(), Some(())),
                None => {
                    help(&ours);
                    assert_eq!(late_task.poll(&ours, late), Some(()));
                }
            }
        });
    }
}

#[test]
fn the_helper_sleeps_for_the_group_that_is_notified_first() {
    let (ours, theirs) = conditions();
    let [first, second] = [ours.shared.enter(), ours.shared.enter()];
    theirs.shared.notify(1);
    assert_eq!(ours.attempt(first), Some(()));
    let late = ours.shared.enter();
    let (mut task, mut late_task) = (Task::new(), Task::new());
    let (mut wakes, mut rings) = (After::default(), After::default());
    assert!(late_task.poll(&ours, late).is_none());
    let rest = ours.serve(&mut wakes).unwrap();
    // What it is told by those who park: to look again.
    let mut bell = Some(Arc::clone(&task.bell));
    assert_eq!(ours.poll(second, &mut task.wait, &mut bell, &mut rings), Progress::Pending);
    assert!(rings.summon && !rest.is_over());
    let rest = ours.serve(&mut wakes).unwrap();
    theirs.shared.notify(1);
    assert!(rest.is_over());
    let rest = ours.serve(&mut wakes).unwrap();
    fire(wakes);
    assert_eq!((task.poll(&ours, second), late_task.poll(&ours, late)), (Some(()), None));
    theirs.shared.notify(1);
    assert!(rest.is_over() && !help(&ours));
    assert_eq!(late_task.poll(&ours, late), Some(()));
}

#[test]
fn who_waits_for_the_same_notifications_is_served_in_order_within_a_process() {
    let (ours, theirs) = conditions();
    let marks = [(); 3].map(|()| ours.shared.enter());
    thread::scope(|scope| {
        let first = scope.spawn(|| wait_for(&ours, marks[0], LONG));
        until_one_sleeps(&ours, marks[0]);
        let (mut second, mut third) = (Task::new(), Task::new());
        assert_eq!((second.poll(&ours, marks[1]), third.poll(&ours, marks[2])), (None, None));
        theirs.shared.notify(2);
        assert_eq!(first.join().unwrap(), Some(()));
        assert!(help(&ours));
        assert_eq!((third.poll(&ours, marks[2]), second.poll(&ours, marks[1])), (None, Some(())));
        third.give_up(&ours);
        assert!(!ours.shared.withdraw(marks[2]));
    });
    assert_eq!((ours.shared.waiting(), ours.waiting()), ((0, 0), 0));
}

fn barriers(parties: u32, acts: bool) -> (Proxy<Barrier<Slot>, Bell>, Proxy<Barrier<Slot>, Bell>) {
    let (here, there) = two_mappings();
    (Proxy::new(Barrier { place: here, parties, acts }), Proxy::new(Barrier { place: there, parties, acts }))
}

fn pass(proxy: &Proxy<Barrier<Slot>, Bell>) -> Passage {
    match wait_for(proxy, Stand::Door, LONG) {
        Some(Step::Entered(number)) => match wait_for(proxy, Stand::Inside(number), LONG) {
            Some(Step::Passed(passage)) => passage,
            other => panic!("{other:?}"),
        },
        Some(Step::Passed(passage)) => passage,
        None => panic!("nobody came"),
    }
}

#[test]
fn parties_of_two_processes_meet_again_and_again() {
    let (ours, theirs) = barriers(3, false);
    let numbers = AtomicU32::new(0);
    thread::scope(|scope| {
        for proxy in [&ours, &theirs, &theirs] {
            scope.spawn(|| {
                for _ in 0..500 {
                    match pass(proxy) {
                        Passage::Through(number) => numbers.fetch_add(number as u32, Ordering::Relaxed),
                        other => panic!("{other:?}"),
                    };
                }
            });
        }
    });
    assert_eq!(numbers.into_inner(), 500 * 3);
    assert_eq!((ours.shared.inside(), theirs.shared.phase()), (0, Phase::Filling));
}

#[test]
fn a_time_out_breaks_a_barrier_and_a_reset_mends_it() {
    let (ours, theirs) = barriers(3, false);
    assert_eq!(ours.attempt(Stand::Door), Some(Step::Entered(0)));
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Entered(1)));
    assert_eq!(ours.shared.time_out(0), Some(Passage::Broken));
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Passed(Passage::Refused)));
    theirs.shared.reset();
    assert_eq!(ours.shared.phase(), Phase::Resetting);
    assert_eq!(theirs.attempt(Stand::Inside(1)), Some(Step::Passed(Passage::Broken)));
    assert_eq!((ours.shared.phase(), ours.shared.inside()), (Phase::Filling, 0));
}

#[test]
fn while_the_last_one_acts_no_time_out_counts() {
    let (ours, theirs) = barriers(2, true);
    assert_eq!(ours.attempt(Stand::Door), Some(Step::Entered(0)));
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Passed(Passage::Act(1))));
    assert_eq!(ours.shared.time_out(0), None);
    assert_eq!(theirs.shared.acted(Passage::Through(1)), Passage::Through(1));
    assert_eq!(ours.attempt(Stand::Inside(0)), Some(Step::Passed(Passage::Through(0))));
    assert_eq!(ours.shared.phase(), Phase::Filling);
}

#[test]
fn a_task_inside_is_not_behind_one_at_the_door() {
    let (ours, theirs) = barriers(2, false);
    let (mut inside, mut door) = (Task::new(), Task::new());
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Entered(0)));
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Passed(Passage::Through(1))));
    // One of the crowd before has not left.
    assert_eq!(door.poll(&ours, Stand::Door), None);
    assert_eq!(theirs.attempt(Stand::Inside(0)), Some(Step::Passed(Passage::Through(0))));
    assert_eq!(ours.attempt(Stand::Door), Some(Step::Entered(0)));
    assert_eq!(inside.poll(&ours, Stand::Inside(0)), None);
    assert_eq!(theirs.attempt(Stand::Door), Some(Step::Passed(Passage::Through(1))));
    help(&ours);
    assert_eq!(inside.poll(&ours, Stand::Inside(0)), Some(Step::Passed(Passage::Through(0))));
    assert_eq!(door.poll(&ours, Stand::Door), Some(Step::Entered(0)));
}
