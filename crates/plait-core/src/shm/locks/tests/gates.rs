use super::*;
use crate::shm::identity::Identity;
use crate::shm::locks::mutex::{Mutex, NotHeld, Taken};
use crate::shm::locks::permits::{Permits, TooMany};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

fn mutexes() -> (Proxy<Mutex<Slot>, Bell>, Proxy<Mutex<Slot>, Bell>) {
    let (ours, theirs) = two_mappings();
    (Proxy::new(Mutex { place: ours }), Proxy::new(Mutex { place: theirs }))
}

#[test]
fn one_holder_at_a_time_of_two_processes_with_two_threads_each() {
    let (ours, theirs) = mutexes();
    let (inside, total) = (AtomicU32::new(0), AtomicU32::new(0));
    let rounds = 2_000;
    thread::scope(|scope| {
        for proxy in [&ours, &ours, &theirs, &theirs] {
            scope.spawn(|| {
                for _ in 0..rounds {
                    assert_eq!(wait_for(proxy, (), None), Some(Taken { from: None }));
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    total.fetch_add(1, Ordering::Relaxed);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    proxy.shared.release().unwrap();
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 4 * rounds);
    assert_eq!(ours.shared.release(), Err(NotHeld));
    assert_eq!(theirs.shared.holder(), None);
}

#[test]
fn permits_are_neither_lost_nor_made() {
    let (here, there) = two_mappings();
    let (ours, theirs) = (Proxy::new(Permits::new(here, 2, 3)), Proxy::new(Permits::known(there, 3)));
    let inside = AtomicU32::new(0);
    thread::scope(|scope| {
        for proxy in [&ours, &ours, &ours, &theirs, &theirs, &theirs] {
            scope.spawn(|| {
                for round in 0..1_000 {
                    // Some give up in between.
                    let timeout = (round % 3 == 0).then(|| Duration::from_micros(20));
                    if wait_for(proxy, (), timeout).is_some() {
                        assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        proxy.shared.release().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(ours.shared.value(), 2);
    ours.shared.release().unwrap();
    assert_eq!(theirs.shared.release(), Err(TooMany));
}

#[test]
fn tasks_are_served_in_order_and_before_who_comes_new() {
    let (ours, theirs) = mutexes();
    let (mut first, mut second) = (Task::new(), Task::new());
    assert!(theirs.attempt(()).is_some());
    assert!(first.poll(&ours, ()).is_none());
    assert!(second.poll(&ours, ()).is_none());
    assert!(help(&ours));
    theirs.shared.release().unwrap();
    // Free, but there are others.
    assert!(ours.attempt(()).is_none());
    assert!(help(&ours));
    assert!(second.poll(&ours, ()).is_none());
    assert!(first.bell.try_take() && first.poll(&ours, ()).is_some());
    theirs.shared.release().unwrap();
    assert!(!help(&ours), "there is nobody left");
    assert!(second.poll(&ours, ()).is_some());
}

#[test]
fn what_a_task_was_handed_and_does_not_want_goes_to_the_next() {
    let (ours, theirs) = mutexes();
    let (mut first, mut second) = (Task::new(), Task::new());
    assert!(theirs.attempt(()).is_some());
    assert!(first.poll(&ours, ()).is_none());
    assert!(second.poll(&ours, ()).is_none());
    theirs.shared.release().unwrap();
    assert!(help(&ours));
    first.give_up(&ours);
    assert!(!help(&ours));
    assert!(second.poll(&ours, ()).is_some());
    second.give_up(&ours);
    assert!(ours.shared.is_ours());
    ours.shared.release().unwrap();
    assert!(theirs.attempt(()).is_some());
}

#[test]
fn who_leads_and_gives_up_leaves_it_to_a_task() {
    let (ours, theirs) = mutexes();
    assert!(theirs.attempt(()).is_some());
    let mut task = Task::new();
    thread::scope(|scope| {
        let leads = scope.spawn(|| wait_for(&ours, (), Some(Duration::from_millis(200))));
        // The lane of the crowd is taken as soon as the other leads.
        while !help_is_refused(&ours) {
            thread::yield_now();
        }
        assert!(task.poll(&ours, ()).is_none());
        assert!(leads.join().unwrap().is_none());
    });
    assert!(help(&ours));
    theirs.shared.release().unwrap();
    help(&ours);
    assert!(task.poll(&ours, ()).is_some());
}

/// Whether somebody leads who is no helper.
fn help_is_refused(proxy: &Proxy<Mutex<Slot>, Bell>) -> bool {
    let mut wait = Wait::attempt(Manner::Barging);
    let progress = proxy.poll((), &mut wait, &mut None, &mut After::default());
    progress == Progress::TimedOut && proxy.attempt(()).is_none() && !help(proxy)
}

#[test]
fn a_mutex_is_taken_from_a_dead_process_once() {
    let (ours, theirs) = mutexes();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let holder = Identity { pid: child.id(), start: 0 };
    assert!(theirs.shared.take_for(holder, false).is_some());
    assert_eq!(ours.shared.take_over(), None);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ours.shared.take_over(), Some(Taken { from: Some(child.id()) }));
    assert!(theirs.shared.is_ours());
    assert_eq!(theirs.shared.take_over(), None);
    ours.shared.release().unwrap();
    assert_eq!(theirs.attempt(()), Some(Taken { from: None }));
}

#[test]
fn a_stale_bit_is_taken_back_by_the_first_in_vain() {
    let (ours, theirs) = mutexes();
    assert!(ours.attempt(()).is_some());
    assert!(wait_for(&theirs, (), Some(Duration::from_millis(1))).is_none());
    use crate::shm::locks::Place;
    let bit = || ours.shared.place.word(0).load(Ordering::Relaxed) & 1;
    assert_eq!(bit(), 1);
    ours.shared.release().unwrap();
    assert_eq!(bit(), 0);
}
