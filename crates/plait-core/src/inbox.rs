//! Other threads hand work to a loop, and at most one of them has to wake it.
//!
//! Waking a sleeping loop is a system call, so it must happen when it is needed and not otherwise.
//! One word tells:
//!
//! ```text
//!               push, ring: WORK, ASLEEP cleared            (whoever cleared ASLEEP must wake the loop)
//!        +----------------------------------------------+
//!        |                                              v
//!     ASLEEP  <-- prepare_sleep --  0  -- push, ring --> WORK
//!        |                          ^                    |
//!        +---------- woke ----------+------ drain -------+
//! ```
//!
//! - `prepare_sleep` goes from 0 to ASLEEP in one step and fails when there is WORK: a push is
//!   therefore either before it, and prevents the sleep, or after it, and sees ASLEEP.
//! - Setting WORK clears ASLEEP in the same step, so exactly one caller per sleep sees the bit.
//! - WORK and the queue change together under the lock, so that an empty queue is never announced;
//!   the loop may look at the word without the lock, since missing a push there only means that
//!   `prepare_sleep` will fail.
//!
//! Under the lock items are moved and nothing else: none is dropped or cloned, for an item may own
//! a Python object, whose destructor may run any code, and no such code may run while a core lock
//! is held.
//!
//! Rejected: a lock-free queue (needs unsafe code or a dependency; the lock is held for some
//! nanoseconds, and the loop takes it once per batch), and the wake-up decision inside the reactor,
//! where loom could not reach it.

use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{lock, Mutex};
use std::collections::VecDeque;

/// Something was pushed, or the bell rung, since the last drain.
const WORK: u8 = 1;
/// The loop sleeps, or is about to, and nobody has yet been told to wake it.
const ASLEEP: u8 = 2;
/// A queue that a burst has made longer than this is given up instead of being kept for the next
/// items.
const KEPT_CAPACITY: usize = 4096;

/// Work for a loop, from any thread. One thread, the loop's, drains and sleeps; all others push and
/// ring.
#[derive(Debug)]
pub struct Inbox<T> {
    state: AtomicU8,
    items: Mutex<VecDeque<T>>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Inbox<T> {
    /// An empty inbox of a loop that is awake.
    pub fn new() -> Self {
        Self { state: AtomicU8::new(0), items: Mutex::new(VecDeque::new()) }
    }

    /// Adds an item. True if the loop sleeps or is about to: the caller must then wake it. At most
    /// one caller per sleep is told so.
    #[must_use = "true means that the caller has to wake the loop"]
    pub fn push(&self, item: T) -> bool {
        let mut items = lock(&self.items);
        items.push_back(item);
        self.ring()
    }

    /// Makes the loop go round once more. The answer is that of [`Inbox::push`].
    #[must_use = "true means that the caller has to wake the loop"]
    pub fn ring(&self) -> bool {
        self.state.swap(WORK, Ordering::AcqRel) & ASLEEP != 0
    }

    /// Moves all items to the end of `out`, oldest first. Takes no lock when there are none.
    pub fn drain_into(&self, out: &mut VecDeque<T>) {
        if self.is_empty() {
            return;
        }
        let mut items = lock(&self.items);
        self.state.fetch_and(!WORK, Ordering::AcqRel);
        if items.capacity() <= KEPT_CAPACITY {
            out.append(&mut items);
        } else {
            let mut burst = std::mem::take(&mut *items);
            drop(items);
            out.append(&mut burst);
        }
    }

    /// The loop is about to sleep. False: there is work, it must not.
    #[must_use = "false means that the loop must not sleep"]
    pub fn prepare_sleep(&self) -> bool {
        match self.state.compare_exchange(0, ASLEEP, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state & WORK == 0,
        }
    }

    /// The loop is awake again, for whatever reason.
    pub fn woke(&self) {
        self.state.fetch_and(!ASLEEP, Ordering::AcqRel);
    }

    /// Shows each waiting item, unless another thread is at the inbox right now: for a garbage collector, which must not
    /// wait. Stops at the first error.
    pub fn try_for_each<E>(&self, mut show: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        match self.items.try_lock() {
            Ok(items) => items.iter().try_for_each(&mut show),
            Err(_) => Ok(()),
        }
    }

    /// Whether nothing was pushed or rung since the last drain. A hint: another thread may push
    /// right now.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.state.load(Ordering::Acquire) & WORK == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn drain<T>(inbox: &Inbox<T>) -> Vec<T> {
        let mut out = VecDeque::new();
        inbox.drain_into(&mut out);
        out.into()
    }

    #[test]
    fn nobody_wakes_a_loop_that_is_awake() {
        let inbox = Inbox::new();
        assert!(!inbox.push(1));
        assert!(!inbox.ring());
        assert!(!inbox.is_empty());
        assert_eq!(drain(&inbox), [1]);
        assert!(inbox.is_empty());
    }

    #[test]
    fn one_caller_wakes_a_loop_that_sleeps() {
        let inbox = Inbox::new();
        assert!(inbox.prepare_sleep());
        assert!(inbox.push(1));
        assert!(!inbox.push(2));
        assert!(!inbox.ring());
        inbox.woke();
        assert!(!inbox.prepare_sleep(), "there is work");
        assert_eq!(drain(&inbox), [1, 2]);
        assert!(inbox.prepare_sleep());
        assert!(inbox.ring());
    }

    #[test]
    fn a_bell_is_answered_by_one_more_round() {
        let inbox = Inbox::<()>::new();
        assert!(!inbox.ring());
        assert!(!inbox.prepare_sleep());
        assert_eq!(drain(&inbox), []);
        assert!(inbox.prepare_sleep());
    }

    #[test]
    fn a_loop_that_woke_by_itself_needs_no_waking() {
        let inbox = Inbox::new();
        assert!(inbox.prepare_sleep());
        inbox.woke();
        assert!(!inbox.push(1));
    }

    #[test]
    fn preparing_twice_is_preparing_once() {
        let inbox = Inbox::new();
        assert!(inbox.prepare_sleep());
        assert!(inbox.prepare_sleep());
        assert!(inbox.push(1));
        assert!(!inbox.push(2));
    }

    #[test]
    fn items_follow_what_is_there_and_bursts_are_not_kept() {
        let many = if cfg!(miri) { 5_000 } else { 100_000 };
        let inbox = Inbox::new();
        let mut out = VecDeque::from([-1]);
        for n in 0..many {
            assert!(!inbox.push(n));
        }
        inbox.drain_into(&mut out);
        assert!(out.iter().copied().eq(-1..many));
        assert_eq!(lock(&inbox.items).capacity(), 0);

        assert!(!inbox.push(many));
        inbox.drain_into(&mut out);
        assert_eq!(out.back(), Some(&many));
        assert_ne!(lock(&inbox.items).capacity(), 0);
    }

    /// An item whose destructor uses the inbox, as a Python object's may: it would hang if dropped
    /// under the lock.
    struct Reenters(Arc<Inbox<Reenters>>, u32);

    impl Drop for Reenters {
        fn drop(&mut self) {
            if self.1 > 0 {
                assert!(!self.0.push(Reenters(Arc::clone(&self.0), self.1 - 1)));
            }
        }
    }

    #[test]
    fn items_are_dropped_by_the_caller_outside_the_lock() {
        let inbox = Arc::new(Inbox::new());
        for _ in 0..2 * KEPT_CAPACITY {
            assert!(!inbox.push(Reenters(Arc::clone(&inbox), 2)));
        }
        for _ in 0..3 {
            let items = drain(&inbox);
            assert_eq!(items.len(), 2 * KEPT_CAPACITY);
        }
        assert!(inbox.is_empty());
    }
}

/// Every interleaving of small programs. A lost wake-up shows as a deadlock, which loom reports.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Arc;
    use loom::sync::Notify;
    use loom::thread;

    /// An inbox and what the loop sleeps on: a bell that remembers, as an eventfd does.
    struct Loop {
        inbox: Inbox<(u32, u32)>,
        bell: Notify,
    }

    impl Loop {
        fn new() -> Arc<Self> {
            Arc::new(Self { inbox: Inbox::new(), bell: Notify::new() })
        }

        fn push(&self, item: (u32, u32)) {
            if self.inbox.push(item) {
                self.bell.notify();
            }
        }

        /// Runs as a loop does, until so many items have come.
        fn collect(&self, count: usize) -> Vec<(u32, u32)> {
            let mut got = VecDeque::new();
            loop {
                self.inbox.drain_into(&mut got);
                if got.len() == count {
                    return got.into();
                }
                if self.inbox.prepare_sleep() {
                    self.bell.wait();
                    self.inbox.woke();
                }
            }
        }
    }

    fn spawn_producer(shared: &Arc<Loop>, id: u32, count: u32) -> thread::JoinHandle<()> {
        let shared = Arc::clone(shared);
        thread::spawn(move || (0..count).for_each(|n| shared.push((id, n))))
    }

    #[test]
    fn loom_no_wake_up_is_lost() {
        loom::model(|| {
            let shared = Loop::new();
            let producer = spawn_producer(&shared, 0, 2);
            assert_eq!(shared.collect(2), [(0, 0), (0, 1)]);
            producer.join().unwrap();
            assert!(shared.inbox.is_empty());
        });
    }

    #[test]
    fn loom_two_producers_each_in_order() {
        let mut model = loom::model::Builder::new();
        // All interleavings of three threads take many minutes; three forced switches, a second.
        model.preemption_bound = Some(3);
        model.check(|| {
            let shared = Loop::new();
            let producers = [spawn_producer(&shared, 0, 2), spawn_producer(&shared, 1, 1)];
            let got = shared.collect(3);
            let of = |id| got.iter().filter(move |item| item.0 == id).map(|item| item.1);
            assert!(of(0).eq(0..2));
            assert!(of(1).eq(0..1));
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            assert!(shared.inbox.is_empty());
        });
    }

    #[test]
    fn loom_one_sleep_is_ended_by_one_caller() {
        loom::model(|| {
            let shared = Loop::new();
            let callers: Vec<_> = [false, true]
                .map(|rings| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || match rings {
                        true => shared.inbox.ring(),
                        false => shared.inbox.push((0, 0)),
                    })
                })
                .into();
            let sleeps = shared.inbox.prepare_sleep();
            let told = callers.into_iter().map(|caller| caller.join().unwrap());
            // Asleep: nothing came before, so the first that came since was told. Not asleep:
            // nobody was.
            assert_eq!(told.filter(|told| *told).count(), usize::from(sleeps));
        });
    }

    #[test]
    fn loom_a_time_out_beside_a_push() {
        loom::model(|| {
            let shared = Loop::new();
            let producer = spawn_producer(&shared, 0, 1);
            if shared.inbox.prepare_sleep() {
                // The sleep ends by its time-out, whatever the producer is just doing.
                shared.inbox.woke();
            }
            assert_eq!(shared.collect(1), [(0, 0)]);
            producer.join().unwrap();
        });
    }

    #[test]
    fn loom_a_bell_beside_going_to_sleep() {
        loom::model(|| {
            let shared = Loop::new();
            let ringer = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    if shared.inbox.ring() {
                        shared.bell.notify();
                    }
                })
            };
            if shared.inbox.prepare_sleep() {
                shared.bell.wait();
                shared.inbox.woke();
            }
            ringer.join().unwrap();
            assert!(!shared.inbox.is_empty(), "the bell is heard");
        });
    }
}
