//! The primitives' contracts: step by step, and under scripts that nobody would think of.
//!
//! Nothing here runs in parallel. A waiter is a number, which is its waker too, so that a test can say who was woken and in which
//! order, and can let a wake-up arrive late by polling late. What threads make of it is for loom (`loom_tests`).
//!
//! The scripts are played on a primitive and on a model of it, which keeps sets and lists of waiters where the primitive keeps counts,
//! and at the end everybody who still waits has to be served.

mod barrier;
mod barrier_scripts;
mod channel;
mod channel_places;
mod channel_promises;
mod channel_scripts;
mod condition;
mod event;
mod lock;
mod notice_scripts;
mod permit_scripts;
mod semaphore;

use super::condition::Condition;
use super::event::Event;
use super::lock::Lock;
use super::semaphore::Semaphore;
use super::Primitive;
use crate::waiter::{Manner, Progress, Wait, Wakes};
use proptest::prelude::*;

/// One that waits. Its waker is its number.
struct Waiter {
    id: u32,
    wait: Wait,
}

impl Waiter {
    fn new(id: u32, manner: Manner) -> Waiter {
        Waiter { id, wait: Wait::new(manner) }
    }

    fn attempt(id: u32, manner: Manner) -> Waiter {
        Waiter { id, wait: Wait::attempt(manner) }
    }

    /// Polls with a waker, and looks what became of that: it is kept by a queue while the waiter is in it, else it comes back.
    fn poll<T>(&mut self, poll: impl FnOnce(&mut Wait, &mut Option<u32>) -> Progress<T>) -> Progress<T> {
        let was_parked = self.wait.is_parked();
        let mut waker = Some(self.id);
        let progress = poll(&mut self.wait, &mut waker);
        match progress {
            Progress::Pending => {
                assert!(self.wait.is_parked());
                assert!(was_parked || waker.is_none(), "who parks leaves its waker");
            }
            Progress::WouldPark => panic!("it had a waker"),
            Progress::Ready(_) | Progress::TimedOut => {
                assert!(!self.wait.is_parked());
                assert_eq!(waker, Some(self.id), "the waker comes back");
            }
        }
        progress
    }

    /// Returns who is woken, too.
    fn wakes_on(&mut self, thing: &impl Waitable) -> (Progress<()>, Vec<u32>) {
        let mut wakes = Wakes::None;
        let progress = self.poll(|wait, waker| thing.poll_wait(wait, waker, &mut wakes));
        (progress, ids(wakes))
    }

    /// Wakes nobody.
    fn on(&mut self, thing: &impl Waitable) -> Progress<()> {
        let (progress, woken) = self.wakes_on(thing);
        assert_eq!(woken, []);
        progress
    }

    fn without_waker_on(&mut self, thing: &impl Waitable) -> Progress<()> {
        let mut wakes = Wakes::None;
        let progress = thing.poll_wait(&mut self.wait, &mut None, &mut wakes);
        assert!(wakes.is_empty());
        progress
    }

    /// The time is up.
    fn expires_on(&mut self, thing: &impl Waitable) -> Progress<()> {
        self.wait.expire();
        self.on(thing)
    }

    /// Returns who is woken instead.
    fn gives_up(&mut self, thing: &impl Primitive<u32>) -> Vec<u32> {
        let (mut waker, mut wakes) = (None, Wakes::None);
        thing.give_up(&mut self.wait, &mut waker, &mut wakes);
        assert!(!self.wait.is_parked());
        assert!(waker.is_none_or(|waker| waker == self.id), "somebody else's waker");
        ids(wakes)
    }
}

fn ids(wakes: Wakes<u32>) -> Vec<u32> {
    let mut ids = Vec::new();
    wakes.for_each(|id| ids.push(id));
    ids
}

/// Waiters 0, 1, 2 … of these manners.
fn waiters<const COUNT: usize>(manners: [Manner; COUNT]) -> [Waiter; COUNT] {
    let mut id = 0..;
    manners.map(|manner| Waiter::new(id.next().expect("there is no end of numbers"), manner))
}

/// What is waited for in one way only.
trait Waitable: Primitive<u32> {
    fn poll_wait(&self, wait: &mut Wait, waker: &mut Option<u32>, wakes: &mut Wakes<u32>) -> Progress<()>;
}

macro_rules! waitable {
    ($($primitive:ty),*) => {$(
        impl Waitable for $primitive {
            fn poll_wait(
                &self,
                wait: &mut Wait,
                waker: &mut Option<u32>,
                _wakes: &mut Wakes<u32>,
            ) -> Progress<()> {
                self.poll(wait, waker)
            }
        }
    )*};
}

waitable!(Lock<u32>, Event<u32>, Condition<u32>);

impl Waitable for Semaphore<u32> {
    fn poll_wait(&self, wait: &mut Wait, waker: &mut Option<u32>, wakes: &mut Wakes<u32>) -> Progress<()> {
        self.poll(wait, waker, wakes)
    }
}

/// How many clients the scripts have.
const CLIENTS: u32 = 6;

fn any_client() -> impl Strategy<Value = u32> {
    0..CLIENTS
}

fn any_manner() -> impl Strategy<Value = Manner> {
    prop::sample::select(vec![Manner::InOrder, Manner::Barging, Manner::Looping])
}

/// Of one manner, as in most programs, or mixed.
fn any_manners() -> impl Strategy<Value = Vec<Manner>> {
    let mixed = prop::collection::vec(any_manner(), CLIENTS as usize);
    prop_oneof![any_manner().prop_map(|manner| vec![manner; CLIENTS as usize]), mixed]
}

fn script<S: std::fmt::Debug>(step: impl Strategy<Value = S>) -> impl Strategy<Value = Vec<S>> {
    prop::collection::vec(step, 0..if cfg!(miri) { 15 } else { 100 })
}

/// Miri is slow. A script that once went wrong is not kept in a file by its seed: made short, it becomes a test of its own.
fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 2 } else { 500 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
