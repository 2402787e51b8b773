//! `multiprocessing.Event`.

use super::local::{patience, Local};
use super::memory::{new_slot, shown, LockSegment};
use super::Filled;
use crate::faces::{answer, traverse, Answer};
use crate::guarded::Built;
use crate::waiters::task::{self, WaitFuture};
use plait_core::shm::locks::event::Event;
use plait_core::shm::locks::pool::Slot;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A flag that several processes wait for: the base of `plait.multiprocessing.synchronize.Event`.
#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct ProcessEvent {
    core: Filled<Local<Event<Slot>>>,
    built: Built,
}

#[pymethods]
impl ProcessEvent {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ProcessEvent { core: Filled::new(), built: Built::new() }
    }

    /// Makes it: in new memory, or where another process has made it.
    #[pyo3(signature = (place = None))]
    fn _fill(&self, py: Python<'_>, place: Option<(Bound<'_, LockSegment>, u32)>) -> PyResult<()> {
        let place = match place {
            Some((segment, index)) => segment.get().slot(index)?,
            None => new_slot(py)?,
        };
        self.core.fill(Local::new(Event { place }))
    }

    fn _place(&self) -> PyResult<(LockSegment, u32)> {
        Ok(shown(&self.core.get()?.shared().place))
    }

    /// Whether the flag is set. Safe to call from everywhere. Counterpart: multiprocessing.Event.is_set.
    fn is_set(&self) -> PyResult<bool> {
        Ok(self.core.get()?.shared().is_set())
    }

    /// Set the flag, and wake all who wait, in all processes. Safe to call from everywhere. Counterpart: multiprocessing.Event.set.
    fn set(&self) -> PyResult<()> {
        self.core.get()?.shared().set();
        Ok(())
    }

    /// Take the flag back. Safe to call from everywhere. Counterpart: multiprocessing.Event.clear.
    fn clear(&self) -> PyResult<()> {
        self.core.get()?.shared().clear();
        Ok(())
    }

    /// Wait until the flag is set.
    ///
    /// Args:
    ///     timeout: wait for at most so many seconds; None for ever.
    ///
    /// Returns:
    ///     Whether it was set, even if it was taken back since.
    ///
    /// Raises:
    ///     KeyboardInterrupt: while it waited (or whatever else a signal's handler raises).
    ///
    /// For threads and greenlets of all processes. See `await_` for coroutines. Counterpart: multiprocessing.Event.wait.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let local = self.core.get()?;
        let times = local.shared().begin();
        Ok(local.take_within(py, times, patience(timeout)?)?.is_some())
    }

    fn _begin(&self, py: Python<'_>) -> Answer {
        let local = self.core.get()?;
        answer(local.begin(py, local.shared().begin()))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let local = self.core.get()?;
        answer(local.resume(local.shared().begin(), waiter))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) -> PyResult<()> {
        task::give_up(waiter.py(), self.core.get()?, waiter.as_unbound());
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.core.peek().filter(|_| self.built.is_complete()) {
            Some(local) => traverse(&visit, |waker| local.visit(waker)),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {}
}
