//! Every interleaving of small crowds. A lost wake-up is a model without end.

use super::condition::Condition;
use super::event::Event;
use super::mutex::Mutex;
use super::permits::Permits;
use super::proxy::{After, Proxy, Turn};
use super::{Place, Shared, LONGEST_SLEEP, WORDS};
use crate::parker::Parker;
use crate::shm::identity::Identity;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::Arc;
use crate::waiter::{Manner, Progress, Wait};
use loom::thread;

#[derive(Clone)]
struct Words(Arc<[AtomicU64; WORDS]>);

impl Words {
    fn new() -> Words {
        Words(Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl Place for Words {
    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0[index]
    }
}

/// As a process's only thread waits.
fn wait_for<S: Shared>(shared: &S, mark: S::Mark) -> S::Gain {
    let mut slept = false;
    loop {
        if let Some(gain) = shared.take(mark, slept) {
            return gain;
        }
        if let Some(rest) = shared.rest(mark) {
            rest.sleep(LONGEST_SLEEP);
            slept = true;
        }
    }
}

/// As one of several threads of a process waits.
fn wait_among<S: Shared>(proxy: &Proxy<S, Arc<Parker>>, mark: S::Mark) -> S::Gain {
    let (mut wait, bell) = (Wait::new(Manner::Barging), Arc::new(Parker::new()));
    loop {
        let mut after = After::default();
        let progress = proxy.poll(mark, &mut wait, &mut Some(Arc::clone(&bell)), &mut after);
        after.wakes.for_each(|bell| bell.unpark());
        match progress {
            Progress::Ready(Turn::Gained(gain)) => return gain,
            Progress::Ready(Turn::Lead) => {
                let (gain, mut after) = (wait_for(&proxy.shared, mark), After::default());
                proxy.step_down(mark, &mut after);
                after.wakes.for_each(|bell| bell.unpark());
                return gain;
            }
            _ => bell.park(None),
        };
    }
}

/// All interleavings of three threads take too long.
fn check(bound: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(bound);
    model.check(body);
}

#[test]
fn loom_each_of_three_gets_the_permit() {
    check(3, || {
        let words = Words::new();
        Permits::new(words.clone(), 1, 1);
        let counter = Arc::new(AtomicU64::new(0));
        let body = move || {
            let permits = Permits::known(words.clone(), 1);
            wait_for(&permits, ());
            // Not one operation: it is the permit that excludes the others.
            counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            permits.release().unwrap();
            counter.load(Ordering::Relaxed)
        };
        let others = [thread::spawn(body.clone()), thread::spawn(body.clone())];
        let mut most = body();
        for other in others {
            most = most.max(other.join().unwrap());
        }
        assert_eq!(most, 3);
    });
}

#[test]
fn loom_who_leaves_passes_its_wake_up_on() {
    check(3, || {
        let words = Words::new();
        let permits = Permits::new(words.clone(), 0, 2);
        let waits = {
            let permits = Permits::known(words.clone(), 2);
            thread::spawn(move || wait_for(&permits, ()))
        };
        let leaves = {
            let permits = Permits::known(words.clone(), 2);
            thread::spawn(move || {
                if permits.take((), false).is_some() {
                    permits.release().unwrap();
                } else if let Some(rest) = permits.rest(()) {
                    rest.sleep(LONGEST_SLEEP);
                    permits.leave(());
                }
            })
        };
        permits.release().unwrap();
        waits.join().unwrap();
        // For the one that leaves, if it came to sleep after that: it has no clock here.
        permits.release().unwrap();
        leaves.join().unwrap();
    });
}

#[test]
fn loom_a_mutex_that_is_released_is_got() {
    check(3, || {
        let words = Words::new();
        let body = move |pid| {
            let (mutex, me) = (Mutex { place: words.clone() }, Identity { pid, start: 1 });
            let mut slept = false;
            while mutex.take_for(me, slept).is_none() {
                if let Some(rest) = mutex.rest(()) {
                    rest.sleep(LONGEST_SLEEP);
                    slept = true;
                }
            }
            assert_eq!(mutex.holder(), Some(me));
            mutex.release().unwrap();
        };
        let other = [2, 3].map(|pid| {
            let body = body.clone();
            thread::spawn(move || body(pid))
        });
        body(1);
        other.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn loom_an_event_wakes_its_waiters_though_it_is_taken_back() {
    check(3, || {
        let words = Words::new();
        let event = Event { place: words.clone() };
        let others = [(); 2].map(|()| {
            let event = Event { place: words.clone() };
            let mark = event.begin();
            thread::spawn(move || wait_for(&event, mark))
        });
        event.set();
        event.clear();
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn loom_each_notification_wakes_one_of_those_who_were_there() {
    check(3, || {
        let words = Words::new();
        let condition = Condition { place: words.clone() };
        // They come one after the other, under the lock; so does what is done after that.
        let others = [condition.enter(), condition.enter()].map(|mark| {
            let condition = Condition { place: words.clone() };
            thread::spawn(move || wait_for(&condition, mark))
        });
        condition.notify(1);
        let late = condition.enter();
        assert!(condition.take(late, false).is_none());
        condition.notify(1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(!condition.withdraw(late));
        assert_eq!(condition.waiting(), (0, 0));
    });
}

#[test]
fn loom_one_who_is_notified_is_not_behind_a_later_one_of_its_process() {
    // Before the later one comes the one is notified, or another that came with it.
    for comes_with_another in [false, true] {
        check(2, move || {
            let words = Words::new();
            let condition = Condition { place: words.clone() };
            let proxy = Arc::new(Proxy::new(Condition { place: words.clone() }));
            let mark = condition.enter();
            let other = comes_with_another.then(|| condition.enter());
            condition.notify(1);
            assert!(other.is_none_or(|other| condition.take(other, false).is_some()));
            let late = condition.enter();
            let [early, later] = [mark, late].map(|mark| {
                let proxy = Arc::clone(&proxy);
                thread::spawn(move || wait_among(&proxy, mark))
            });
            if comes_with_another {
                condition.notify(1);
            }
            early.join().unwrap();
            condition.notify(1);
            later.join().unwrap();
            assert_eq!(condition.waiting(), (0, 0));
        });
    }
}
