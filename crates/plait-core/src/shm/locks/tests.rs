//! Threads stand for processes: each has its own mapping of the memory, and its own proxy.

mod gates;
mod meeting;
mod places;

use super::pool::{Pool, Slot};
use super::proxy::{After, Proxy, Turn};
use super::{Shared, LONGEST_SLEEP};
use crate::parker::Parker;
use crate::waiter::{Manner, Progress, Wait};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Bell = Arc<Parker>;

fn fire(after: After<Bell>) {
    after.wakes.for_each(|bell| bell.unpark());
}

/// A new place, and the same place as another process has it.
fn two_mappings() -> (Slot, Slot) {
    let ours = Pool::default().slot().unwrap();
    let theirs = mapped_again(&ours);
    (ours, theirs)
}

fn mapped_again(slot: &Slot) -> Slot {
    let (segment, index) = slot.show();
    let descriptor = segment.descriptor().try_clone_to_owned().unwrap();
    Arc::new(super::pool::Segment::open(descriptor).unwrap()).slot(index).unwrap()
}

/// Waits as a thread does, at most for so long.
fn wait_for<S: Shared>(proxy: &Proxy<S, Bell>, mark: S::Mark, timeout: Option<Duration>) -> Option<S::Gain> {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    let left = || end.map(|end| end.saturating_duration_since(Instant::now()));
    let (mut wait, bell) = (Wait::new(Manner::Barging), Arc::new(Parker::new()));
    loop {
        let mut after = After::default();
        let progress = proxy.poll(mark, &mut wait, &mut Some(Arc::clone(&bell)), &mut after);
        fire(after);
        match progress {
            Progress::Ready(Turn::Gained(gain)) => return Some(gain),
            Progress::Ready(Turn::Lead) => return lead(proxy, mark, left),
            Progress::TimedOut => return None,
            Progress::Pending | Progress::WouldPark => {}
        }
        bell.park(left());
        if left() == Some(Duration::ZERO) {
            wait.expire();
        }
    }
}

fn lead<S: Shared>(
    proxy: &Proxy<S, Bell>,
    mark: S::Mark,
    left: impl Fn() -> Option<Duration>,
) -> Option<S::Gain> {
    let mut slept = false;
    let gain = loop {
        let gain = proxy.shared.take(mark, slept);
        if gain.is_some() || left() == Some(Duration::ZERO) {
            break gain;
        }
        if let Some(rest) = proxy.shared.rest(mark) {
            rest.sleep(left().unwrap_or(LONGEST_SLEEP));
            slept = true;
        }
    };
    if slept && gain.is_none() {
        proxy.shared.leave(mark);
    }
    let mut after = After::default();
    proxy.step_down(mark, &mut after);
    fire(after);
    gain
}

/// A wait of a task, which cannot lead: it is parked, and its bell is rung.
struct Task {
    wait: Wait,
    bell: Bell,
}

impl Task {
    fn new() -> Task {
        Task { wait: Wait::new(Manner::InOrder), bell: Arc::new(Parker::new()) }
    }

    fn poll<S: Shared>(&mut self, proxy: &Proxy<S, Bell>, mark: S::Mark) -> Option<S::Gain> {
        let mut after = After::default();
        let progress = proxy.poll(mark, &mut self.wait, &mut Some(Arc::clone(&self.bell)), &mut after);
        fire(after);
        match progress {
            Progress::Ready(Turn::Gained(gain)) => Some(gain),
            _ => None,
        }
    }

    fn give_up<S: Shared>(&mut self, proxy: &Proxy<S, Bell>) {
        let mut after = After::default();
        proxy.give_up(&mut self.wait, &mut None, &mut after);
        fire(after);
    }
}

/// What the helper thread does once.
fn help<S: Shared>(proxy: &Proxy<S, Bell>) -> bool {
    let mut after = After::default();
    let sleeps = proxy.serve(&mut after).is_some();
    fire(after);
    sleeps
}
