//! What a loop's thread tells the watchdog: as little as can be.

use super::stall::Stall;
use super::{lasting, look_again, rouse, threshold, unpark, CHANGES, SLEEPS, STATE};
use crate::event_loop::EventLoop;
use crate::observe;
use plait_core::fork;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::atomic::{fence, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Of one thread, and of all loops that run in it: of nested ones, only the innermost runs. In cache lines of its own: the thread writes to it all the
/// time, and the watchdog's only reads it.
#[repr(align(128))]
#[derive(Default)]
pub struct Pulse {
    /// Counts what has begun; odd while something runs. Written by this thread alone.
    beat: AtomicU64,
    /// The beat of which the watchdog wants to hear the end; 0: none.
    asked: AtomicU64,
    native_id: AtomicI32,
    thread_state: AtomicUsize,
    /// The frame that called the loop: a stack is told up to there.
    caller: AtomicUsize,
    /// How many loops run in this thread, each inside a callback of the one before: in the process of that generation.
    depth: AtomicUsize,
    generation: AtomicU32,
    /// What the watchdog has seen so far of the stall of which it wants to hear.
    stall: Mutex<Option<Stall>>,
}

thread_local!(static PULSE: Arc<Pulse> = Arc::default());

/// One run of a loop is watched, until this is dropped.
pub struct Watched {
    pulse: Arc<Pulse>,
    ran: bool,
    caller: usize,
    generation: u32,
}

impl Watched {
    pub fn begin(py: Python<'_>) -> Watched {
        let pulse = PULSE.with(Arc::clone);
        let beat = pulse.beat.load(Ordering::Relaxed);
        let caller = observe::running_frame(py);
        let before = pulse.caller.swap(caller, Ordering::Relaxed);
        let generation = fork::generation();
        if pulse.generation.swap(generation, Ordering::Relaxed) != generation {
            // In a child, inside a run that was the parent's: that one is not watched here.
            pulse.depth.store(0, Ordering::Relaxed);
        }
        if pulse.depth.fetch_add(1, Ordering::Relaxed) == 0 {
            pulse.native_id.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Relaxed);
            pulse.thread_state.store(observe::current_thread(py), Ordering::Relaxed);
            super::registry().pulses.push(pulse.clone());
            CHANGES.fetch_add(1, Ordering::Release);
        }
        pulse.wakes();
        rouse(py);
        look_again(py);
        Watched { pulse, ran: beat & 1 == 1, caller: before, generation }
    }

    #[inline(always)]
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A loop that ran inside another's callback leaves it running.
        if self.ran {
            self.pulse.begins();
        } else {
            self.pulse.sleeps();
        }
        self.pulse.caller.store(self.caller, Ordering::Relaxed);
        if self.generation != fork::generation() {
            return;
        }
        if self.pulse.depth.fetch_sub(1, Ordering::Relaxed) == 1 {
            super::registry().pulses.retain(|pulse| !Arc::ptr_eq(pulse, &self.pulse));
            CHANGES.fetch_add(1, Ordering::Release);
        }
    }
}

/// The loop's side. Nobody else writes the beat, so it takes no atomic addition.
impl Pulse {
    #[inline(always)]
    pub fn begins(&self) {
        let beat = self.beat.load(Ordering::Relaxed);
        self.beat.store((beat + 2) | 1, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn sleeps(&self) {
        let beat = self.beat.load(Ordering::Relaxed);
        self.beat.store((beat + 2) & !1, Ordering::Relaxed);
    }

    /// The loop has slept, and does not any more. May be called detached: a wait for the GIL that follows is part of what is watched.
    #[inline(always)]
    pub fn wakes(&self) {
        self.begins();
        // The watchdog's thread says that it is about to sleep and then looks at the pulses once more: one of the two sees the other.
        fence(Ordering::SeqCst);
        if STATE.load(Ordering::Relaxed) == SLEEPS {
            unpark();
        }
    }

    /// What began with the last beat has ended: whether there is something to be told.
    #[inline(always)]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Reports the stall that has just ended. `culprit` is what ran: a task, a handle, a transport; None: the loop itself.
    #[cold]
    pub fn tell(&self, loop_: &Bound<'_, EventLoop>, culprit: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = loop_.py();
        let asked = self.asked.swap(0, Ordering::Relaxed);
        let stall = self.stall().take_if(|stall| stall.beat == asked);
        let current = self.beat.load(Ordering::Relaxed) == asked;
        // What follows is not part of it.
        self.begins();
        let (Some(stall), Some(threshold), true) = (stall, threshold(), current) else { return Ok(()) };
        let stall = stall.ended(Instant::now());
        if stall.length < threshold {
            return Ok(());
        }
        let told = py
            .import("plait.watchdog")
            .and_then(|module| module.call_method1(intern!(py, "_ended"), (stall.to_json(), loop_, culprit)));
        self.begins();
        lasting::unless_it_leaves(py, told.map(drop))
    }
}

/// The watchdog's side.
impl Pulse {
    pub fn beat(&self) -> u64 {
        self.beat.load(Ordering::Relaxed)
    }

    pub fn native_id(&self) -> i32 {
        self.native_id.load(Ordering::Relaxed)
    }

    pub fn thread_state(&self) -> usize {
        self.thread_state.load(Ordering::Relaxed)
    }

    pub fn caller(&self) -> usize {
        self.caller.load(Ordering::Relaxed)
    }

    /// Has the loop tell of the stall when it is over.
    pub fn ask(&self, stall: Stall) {
        let beat = stall.beat;
        *self.stall() = Some(stall);
        self.asked.store(beat, Ordering::Relaxed);
    }

    /// Takes the question back, and what was known, if the stall still lasts.
    pub fn take_back(&self, beat: u64) -> Option<Stall> {
        let stall = self.stall().take_if(|stall| stall.beat == beat && self.beat() == beat);
        if stall.is_some() {
            self.asked.store(0, Ordering::Relaxed);
        }
        stall
    }

    /// Held for a few moves, never while a thread attaches.
    fn stall(&self) -> MutexGuard<'_, Option<Stall>> {
        self.stall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
