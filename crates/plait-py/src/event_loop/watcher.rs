//! Who waits for a future natively without awaiting it: `wait`, `shield`, `as_completed`, a TaskGroup.
//!
//! asyncio leaves a Python function with the future. Here the future holds one of these, and what goes through the ready queue in
//! the function's place is this and the future: the order is the same, and nothing is called. Futures of other makes, and
//! loops of other makes, are given it as a callable.

use super::callbacks::Callback;
use super::completions::Completions;
use super::current;
use super::future::{Future, Phase};
use super::ready::Ready;
use super::shield;
use super::step::exact_future;
use super::task_group::TaskGroup;
use super::waiting::WaitManyFuture;
use super::EventLoop;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

pub enum Watcher {
    Wait(Py<WaitManyFuture>),
    Group(Py<TaskGroup>),
    Completions(Py<Completions>),
    /// Left with the inner future of a `shield`: the outer one.
    ShieldsTo(Py<Future>),
    /// Left with the outer future of a `shield`: the inner one.
    Shields(Py<Future>),
}

impl Watcher {
    /// Leaves it with a future that may be done already.
    pub fn leave_with(self, future: &Bound<'_, Future>) -> PyResult<()> {
        let mut watcher = Some(self);
        future.get().state.with(future.py(), |s| {
            if s.phase == Phase::Pending {
                if let Some(watcher) = watcher.take() {
                    s.callbacks.push(Callback::Watch(watcher));
                }
            }
        });
        watcher.map_or(Ok(()), |watcher| watcher.settled(future))
    }

    /// Takes it back.
    pub fn take_from(&self, future: &Bound<'_, Future>) {
        drop(future.get().state.with(future.py(), |s| s.callbacks.remove_watcher(self)));
    }

    /// The future has been settled: the watcher's turn is due, unless it does not want one.
    #[inline]
    pub fn settled(self, future: &Bound<'_, Future>) -> PyResult<()> {
        let py = future.py();
        let wanted = match &self {
            Watcher::Wait(waiter) => WaitManyFuture::child_settled(waiter.bind(py), future),
            Watcher::Shields(inner) => !inner.get().is_done(py),
            Watcher::Group(_) | Watcher::Completions(_) | Watcher::ShieldsTo(_) => true,
        };
        if !wanted {
            return Ok(());
        }
        // None: the collector has taken the future apart, and nobody waits any more.
        match future.get().state.with(py, |s| s.native_loop(py)) {
            Some(loop_) => {
                let ready = Ready::Watched(self, future.clone().unbind());
                loop_.bind(py).cast::<EventLoop>()?.get().push_step(py, ready)
            }
            None => Ok(()),
        }
    }

    /// Its turn has come.
    #[inline]
    pub fn run(&self, loop_: &Bound<'_, EventLoop>, future: &Bound<'_, Future>) -> PyResult<()> {
        if let Watcher::Group(_) = self {
            if future.get().state.with(future.py(), |s| s.phase) == Phase::Failed {
                // The group is going to cancel tasks, which may run Python. No task is current then.
                current::leave(loop_);
            }
        }
        self.tell(future.as_any())
    }

    /// The same for a future of any make.
    fn tell(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = future.py();
        match self {
            Watcher::Wait(waiter) => WaitManyFuture::child_done(waiter.bind(py), future),
            Watcher::Group(group) => TaskGroup::task_done(group.bind(py), future),
            Watcher::Completions(completions) => Completions::done(completions.bind(py), future),
            Watcher::ShieldsTo(outer) => match exact_future(future) {
                Some(inner) => shield::inner_done(outer.bind(py), inner),
                None => Ok(()),
            },
            Watcher::Shields(inner) => match exact_future(future) {
                Some(outer) => {
                    shield::outer_done(inner.bind(py), outer);
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// What it is called in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Watcher::Wait(_) => "_wait.<locals>._on_completion",
            Watcher::Group(_) => "TaskGroup._on_task_done",
            Watcher::Completions(_) => "_AsCompletedIterator._handle_completion",
            Watcher::ShieldsTo(_) => "shield.<locals>._inner_done_callback",
            Watcher::Shields(_) => "shield.<locals>._outer_done_callback",
        }
    }

    pub fn is(&self, other: &Watcher) -> bool {
        match (self, other) {
            (Watcher::Wait(one), Watcher::Wait(other)) => one.is(other),
            (Watcher::Group(one), Watcher::Group(other)) => one.is(other),
            (Watcher::Completions(one), Watcher::Completions(other)) => one.is(other),
            (Watcher::ShieldsTo(one), Watcher::ShieldsTo(other))
            | (Watcher::Shields(one), Watcher::Shields(other)) => one.is(other),
            _ => false,
        }
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Watcher {
        match self {
            Watcher::Wait(waiter) => Watcher::Wait(waiter.clone_ref(py)),
            Watcher::Group(group) => Watcher::Group(group.clone_ref(py)),
            Watcher::Completions(completions) => Watcher::Completions(completions.clone_ref(py)),
            Watcher::ShieldsTo(outer) => Watcher::ShieldsTo(outer.clone_ref(py)),
            Watcher::Shields(inner) => Watcher::Shields(inner.clone_ref(py)),
        }
    }

    /// As a callable: for other makes, and to show.
    pub fn callable<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, WatcherCallback>> {
        Bound::new(py, WatcherCallback { watcher: self.clone_ref(py) })
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Watcher::Wait(waiter) => visit.call(waiter),
            Watcher::Group(group) => visit.call(group),
            Watcher::Completions(completions) => visit.call(completions),
            Watcher::ShieldsTo(future) | Watcher::Shields(future) => visit.call(future),
        }
    }
}

/// "This future is done", as a callable.
#[pyclass(module = "plait._native", frozen)]
pub struct WatcherCallback {
    watcher: Watcher,
}

#[pymethods]
impl WatcherCallback {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        self.watcher.tell(future)
    }

    /// As asyncio's function shows in the repr of a future.
    #[getter]
    fn __qualname__(&self) -> &'static str {
        self.watcher.name()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.watcher.traverse(&visit)
    }
}
