//! The protocols of the rings, in every interleaving.

use super::bell::Bell;
use super::claims::Claims;
use super::positions;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::Arc;
use loom::thread;

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    read: AtomicU64,
    data: AtomicU32,
    space: AtomicU32,
    slot: AtomicU32,
}

/// A ring of one place. A wake-up that is lost lets one of them sleep for ever, which loom reports. Up to three times a thread is stopped where it need not be: with
/// more, two sleepers at once take loom hours.
#[test]
fn loom_no_message_is_lost() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let shared = Arc::new(Shared::default());
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for number in 0..2 {
                    let room = || positions::room(number, &shared.read, 1).unwrap() > 0;
                    while !room() {
                        Bell::new(&shared.space).sleep(room, None);
                    }
                    shared.slot.store(number as u32 + 1, Ordering::Relaxed);
                    positions::show(&shared.written, number + 1);
                    assert!(!Bell::new(&shared.data).ring());
                }
            })
        };
        for number in 0..2 {
            let filled = || positions::filled(number, &shared.written, 1).unwrap() > 0;
            while !filled() {
                Bell::new(&shared.data).sleep(filled, None);
            }
            assert_eq!(shared.slot.load(Ordering::Relaxed), number as u32 + 1);
            positions::show(&shared.read, number + 1);
            assert!(!Bell::new(&shared.space).ring());
        }
        writer.join().unwrap();
    });
}

/// Two ringers and one who polls: whoever leaves it to the poller sees what has come, or one of them is told to write to the eventfd.
#[test]
fn loom_who_polls_is_told_of_all() {
    loom::model(|| {
        let shared = Arc::new(Shared::default());
        let ringers: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.slot.fetch_add(1, Ordering::Release);
                    u32::from(Bell::new(&shared.data).ring())
                })
            })
            .collect();
        let seen = shared.slot.load(Ordering::Acquire);
        let told_here =
            Bell::new(&shared.data).leave_to_poller(|| shared.slot.load(Ordering::Acquire) != seen);
        let told: u32 = ringers.into_iter().map(|ringer| ringer.join().unwrap()).sum();
        assert!(seen == 2 || told + u32::from(told_here) == 1);
    });
}

/// A call begins or is taken back, never both and never neither.
#[test]
fn loom_a_call_begins_or_is_taken_back() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        Claims::new(&word).restart(0);
        Claims::new(&word).allow(1);
        let worker = {
            let word = Arc::clone(&word);
            thread::spawn(move || [0, 1].map(|number| Claims::new(&word).claim(number)))
        };
        let first = Claims::new(&word).revoke();
        let begun = worker.join().unwrap();
        assert_eq!(begun, [first > 0, first > 1]);
    });
}
