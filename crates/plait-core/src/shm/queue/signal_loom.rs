//! Sleepers and wakers of a signal, in every interleaving. In the model nobody looks again after a time, so that a lost wake-up is a sleep without an end,
//! which loom reports.

use super::Signal;
use crate::sync::atomic::{AtomicU32, Ordering::SeqCst};
use crate::sync::Arc;
use loom::thread;

#[derive(Default)]
struct Shared {
    event: AtomicU32,
    announced: AtomicU32,
    served: AtomicU32,
    /// What is waited for.
    value: AtomicU32,
}

impl Shared {
    fn signal(&self) -> Signal<'_> {
        Signal::new(&self.event, &self.announced, &self.served)
    }

    fn wait_for(&self, value: u32) {
        loop {
            let ticket = self.signal().announce();
            if super::now(&self.value) >= value {
                return;
            }
            self.signal().sleep(ticket, std::time::Duration::MAX);
        }
    }

    fn add(&self) {
        self.value.fetch_add(1, SeqCst);
        self.signal().notify_one();
    }
}

/// One sleeper sleeps twice while two wakers wake it: what a late waker writes down of the first sleep must not hide the second.
#[test]
fn loom_a_late_waker_hides_nobody() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new(Shared::default());
        let wakers: Vec<_> = [1, 2]
            .into_iter()
            .map(|adds| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || (0..adds).for_each(|_| shared.add()))
            })
            .collect();
        (1..=3).for_each(|value| shared.wait_for(value));
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

/// Two sleepers are woken by one who wakes all.
#[test]
fn loom_all_are_woken() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new(Shared::default());
        let second = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.wait_for(1))
        };
        let waker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.value.fetch_add(1, SeqCst);
                shared.signal().notify_all();
            })
        };
        shared.wait_for(1);
        second.join().unwrap();
        waker.join().unwrap();
    });
}
