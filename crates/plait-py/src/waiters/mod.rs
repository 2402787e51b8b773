//! Who waits, and how each is put to sleep and woken: the three kinds of waiter, over one protocol (`plait_core::waiter`).
//!
//! * [`thread`]: an OS thread parks on its word, detached from the interpreter.
//! * [`task`]: a task, of any loop, awaits a [`WaitFuture`](task::WaitFuture).
//! * [`greenlet`]: a greenlet of a thread with a hub does the same, and is switched to when the future is done.
//!
//! A face (`faces/`) says what is to be polled, and in what manner its callers are served; what happens between two polls is said here,
//! once for all primitives: [`block`] for calls that block, [`task::begin`] and [`task::resume`] for coroutines. Nothing is woken
//! while a queue is open: wake-ups are collected and fired afterwards.

pub mod greenlet;
pub mod task;
pub mod thread;

use crate::deadlock;
use plait_core::parker::Parker;
use plait_core::primitives::Primitive;
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use task::WaitFuture;

/// How a waiter is woken.
pub enum Waker {
    Thread(Arc<Parker>),
    /// A task or a greenlet.
    Future(Py<WaitFuture>),
}

impl Waker {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Waker::Thread(_) => Ok(()),
            Waker::Future(future) => visit.call(future),
        }
    }
}

/// Wakes them. One that cannot be woken (it was cancelled, or its loop is closed) passes on what it was handed.
#[inline]
pub fn fire<P: Primitive<Waker>>(py: Python<'_>, primitive: &P, wakes: Wakes<Waker>) {
    wakes.for_each(|waker| match waker {
        Waker::Thread(parker) => parker.unpark(),
        Waker::Future(future) => wake_future(py, primitive, &future),
    });
}

/// Apart, so that `fire` stays small where it is inlined: mostly nobody waits.
#[inline(never)]
fn wake_future<P: Primitive<Waker>>(py: Python<'_>, primitive: &P, future: &Py<WaitFuture>) {
    if !task::wake(future.bind(py)) {
        task::give_up(py, primitive, future);
    } else if deadlock::explaining() {
        deadlock::handed(future.bind(py));
    }
}

/// Tries at once. None: it would have to wait.
#[inline]
pub fn attempt<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    manner: Manner,
    poll: impl FnOnce(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> Option<T> {
    let (mut wait, mut wakes) = (Wait::new(manner), Wakes::None);
    let progress = poll(&mut wait, &mut None, &mut wakes);
    fire(py, primitive, wakes);
    match progress {
        Progress::Ready(value) => Some(value),
        _ => None,
    }
}

/// For how long a call may block.
#[derive(Clone, Copy)]
pub enum Patience<'a> {
    Forever,
    Until(Instant),
    /// For ever, as long as this says nothing: the time begins to count during the wait.
    Told(&'a Cell<Option<Instant>>),
}

impl Patience<'_> {
    /// For so many seconds from now on, at most [`LONGEST_TIMEOUT`]; negative means not at all.
    pub fn seconds(timeout: f64) -> Patience<'static> {
        Patience::Until(Instant::now() + Duration::from_secs_f64(timeout.clamp(0.0, LONGEST_TIMEOUT)))
    }

    pub fn left(self) -> Option<Duration> {
        left_until(self.end())
    }

    fn end(self) -> Option<Instant> {
        match self {
            Patience::Forever => None,
            Patience::Until(end) => Some(end),
            Patience::Told(end) => end.get(),
        }
    }

    pub fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }
}

fn left_until(end: Option<Instant>) -> Option<Duration> {
    end.map(|end| end.saturating_duration_since(Instant::now()))
}

/// `threading.TIMEOUT_MAX`: what fits into 63 bits of nanoseconds.
pub const LONGEST_TIMEOUT: f64 = 9_223_372_036.0;

/// Polls until it is ready or patience ends; None then. The calling strand sleeps meanwhile: the greenlet, where its thread has a hub,
/// else the thread. What a signal handler raises comes through, and then nothing has been taken.
///
/// To be called when an [`attempt`] has failed.
pub fn block<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    manner: Manner,
    patience: Patience<'_>,
    poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Option<T>> {
    block_after(py, primitive, manner, patience, || Ok(()), poll)
}

/// The same; `parked` is called each time before it sleeps. What it raises ends the wait.
pub fn block_after<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    manner: Manner,
    patience: Patience<'_>,
    parked: impl FnMut() -> PyResult<()>,
    poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Option<T>> {
    match greenlet::current(py)? {
        Some(here) => greenlet::block(&here, primitive, patience, parked, poll),
        None => thread::block(py, primitive, manner, patience, parked, poll),
    }
}
