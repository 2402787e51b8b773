//! The watchdog: it reports what holds a loop for longer than a threshold, with the stack *while* it does.
//!
//! A loop beats (`pulse`): it counts in a cache line of its own what it has begun, by a plain store, and says when it sleeps. One native thread of the
//! process (`watcher`) looks at the pulses of the loops that run, a few times within the threshold, and gathers evidence while a pulse stands still:
//! what the thread does (`evidence`), and its stack, for which it needs no GIL (`observe`). What began the stall tells about it when it has
//! returned, since then it is there to be named, and the length is known. One that lasts is reported meanwhile, by a thread made for it (`lasting`).
//!
//! While all loops sleep the thread sleeps too, and the first that wakes rouses it. It ends before a fork, so that the child's
//! parent is not told that it forks with threads of which it knows nothing, and comes back when a loop wakes next.
//!
//! Rejected: a clock read for each callback, as debug mode has it, which costs more than many a callback, and knows no stack; a signal
//! to the loop's thread, which interrupts its system calls; a thread of Python's, which waits for the GIL just when it is needed.

mod evidence;
mod lasting;
mod pulse;
mod stall;
mod watcher;

pub use pulse::{Pulse, Watched};

use crate::observe::Interpreter;
use plait_core::word_lock::{WordGuard, WordLock};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use watcher::Running;

/// In microseconds; 0: the watchdog is off.
static THRESHOLD: AtomicU64 = AtomicU64::new(0);
/// Whether the thread looks. What else it may be is for a loop that wakes to change.
static STATE: AtomicU32 = AtomicU32::new(LOOKS);
/// It looks, or is not wanted.
const LOOKS: u32 = 0;
/// All loops slept, so it does.
const SLEEPS: u32 = 1;
/// It is wanted, and is not there.
const GONE: u32 = 2;

/// The loops that run, by their threads.
static REGISTRY: LazyLock<WordLock<Registry>> = LazyLock::new(|| WordLock::new(Registry::default()));
/// Counts its changes, so that the thread need not open it for each look.
static CHANGES: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct Registry {
    pulses: Vec<Arc<Pulse>>,
    watcher: Option<Running>,
}

/// In a child process what the parent left is forgotten: its other threads are not here.
fn registry() -> WordGuard<'static, Registry> {
    let mut registry = REGISTRY.lock();
    if registry.inherited {
        // Not dropped: the thread to be let go is not here.
        std::mem::forget(std::mem::take(&mut *registry));
        CHANGES.fetch_add(1, Ordering::Release);
        registry.inherited = false;
    }
    registry
}

fn threshold() -> Option<Duration> {
    match THRESHOLD.load(Ordering::Relaxed) {
        0 => None,
        microseconds => Some(Duration::from_micros(microseconds)),
    }
}

/// Sets the threshold, in seconds; None switches the watchdog off. Returns the one before.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
pub fn watch_loops(py: Python<'_>, seconds: Option<f64>) -> PyResult<Option<f64>> {
    let microseconds = match seconds {
        None => 0,
        Some(seconds) if (0.001..=3600.0).contains(&seconds) => (seconds * 1e6).round() as u64,
        Some(seconds) => {
            let text = format!("{seconds} is no threshold: between 0.001 and 3600 seconds");
            return Err(PyValueError::new_err(text));
        }
    };
    let before = THRESHOLD.swap(microseconds, Ordering::Relaxed);
    if microseconds == 0 {
        end(py);
        STATE.store(LOOKS, Ordering::Relaxed);
    } else if before == 0 {
        STATE.store(GONE, Ordering::Relaxed);
        if !registry().pulses.is_empty() {
            start(py);
        }
    } else {
        look_again(py);
    }
    Ok((before != 0).then_some(before as f64 * 1e-6))
}

/// The threshold in seconds; None: the watchdog is off.
#[pyfunction]
pub fn watched_threshold() -> Option<f64> {
    threshold().map(|threshold| threshold.as_secs_f64())
}

/// Before a fork: the thread ends, and is gone from what the system counts.
#[pyfunction]
pub fn watchdog_before_fork(py: Python<'_>) {
    if end(py) {
        STATE.store(GONE, Ordering::Relaxed);
    }
}

/// After a fork, in the child.
pub fn after_fork_in_child() {
    let state = if threshold().is_some() { GONE } else { LOOKS };
    STATE.store(state, Ordering::Relaxed);
}

/// A loop is awake and attached: if the thread is wanted and not there, it is started.
#[inline(always)]
pub fn rouse(py: Python<'_>) {
    if STATE.load(Ordering::Relaxed) == GONE {
        start(py);
    }
}

#[cold]
fn start(py: Python<'_>) {
    if threshold().is_none() {
        return;
    }
    // Where the interpreter cannot be looked into, what the kernel tells is still told.
    let interpreter = Interpreter::find(py).ok();
    let mut registry = registry();
    if STATE.load(Ordering::Relaxed) != GONE || registry.watcher.is_some() {
        return;
    }
    STATE.store(LOOKS, Ordering::Relaxed);
    // Err: the system has no room for a thread, or a sandbox forbids it. Then there is no watchdog.
    registry.watcher = watcher::start(interpreter).ok();
}

/// A run begins, or the watchdog is started once more: what could not be found in the interpreter may be there now.
fn look_again(py: Python<'_>) {
    let is_blind = || registry().watcher.as_ref().is_some_and(Running::tries_again);
    if threshold().is_none() || !is_blind() {
        return;
    }
    let Ok(interpreter) = Interpreter::find(py) else { return };
    if let Some(running) = &registry().watcher {
        running.show(interpreter);
    }
}

/// Returns whether there was a thread.
fn end(py: Python<'_>) -> bool {
    let running = registry().watcher.take();
    let was_there = running.is_some();
    if let Some(running) = running {
        py.detach(|| running.end());
    }
    was_there
}

/// The thread slept, and a loop has woken.
#[cold]
fn unpark() {
    if STATE.compare_exchange(SLEEPS, LOOKS, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
        if let Some(running) = &registry().watcher {
            running.unpark();
        }
    }
}
