//! `multiprocessing.Condition`: who waits for a notification. Its lock is the affair of the Python class.

use super::local::{patience, Local};
use super::memory::{new_slot, shown, LockSegment};
use super::Filled;
use crate::faces::{answer, traverse, Answer};
use crate::guarded::Built;
use crate::waiters::task::{self, WaitFuture};
use plait_core::shm::locks::condition::Condition;
use plait_core::shm::locks::pool::Slot;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Who waits, in several processes, to be notified: the base of `plait.multiprocessing.synchronize.Condition`.
///
/// A waiter comes (`_enter`), releases the lock, sleeps, takes the lock again, and if it was not notified goes away (`_leave`).
#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct ProcessCondition {
    core: Filled<Local<Condition<Slot>>>,
    built: Built,
}

#[pymethods]
impl ProcessCondition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ProcessCondition { core: Filled::new(), built: Built::new() }
    }

    /// Makes it: in new memory, or where another process has made it.
    #[pyo3(signature = (place = None))]
    fn _fill(&self, py: Python<'_>, place: Option<(Bound<'_, LockSegment>, u32)>) -> PyResult<()> {
        let place = match place {
            Some((segment, index)) => segment.get().slot(index)?,
            None => new_slot(py)?,
        };
        self.core.fill(Local::new(Condition { place }))
    }

    fn _place(&self) -> PyResult<(LockSegment, u32)> {
        Ok(shown(&self.core.get()?.shared().place))
    }

    /// The caller is going to wait; what it is told it tells the others of these. For the lock's holder.
    fn _enter(&self) -> PyResult<u64> {
        Ok(self.core.get()?.shared().enter())
    }

    /// Blocks until notified; whether it was.
    #[pyo3(signature = (group, timeout = None))]
    fn _sleep(&self, py: Python<'_>, group: u64, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self.core.get()?.take_within(py, group, patience(timeout)?)?.is_some())
    }

    /// The caller does not wait any more; whether it was notified. For the lock's holder.
    fn _leave(&self, group: u64) -> PyResult<bool> {
        Ok(self.core.get()?.shared().withdraw(group))
    }

    /// Notifies so many at most, those that have waited longest. For the lock's holder.
    fn _notify(&self, count: u64) -> PyResult<()> {
        self.core.get()?.shared().notify(count);
        Ok(())
    }

    /// How many have not been notified, and how many have, and do not know it yet.
    fn _waiting(&self) -> PyResult<(u64, u64)> {
        Ok(self.core.get()?.shared().waiting())
    }

    fn _begin(&self, py: Python<'_>, group: u64) -> Answer {
        answer(self.core.get()?.begin(py, group))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>, group: u64) -> Answer {
        answer(self.core.get()?.resume(group, waiter))
    }

    /// Ends a coroutine's sleep; whether it had been notified.
    fn _end(&self, waiter: &Bound<'_, WaitFuture>) -> PyResult<bool> {
        Ok(self.core.get()?.withdraw(waiter).is_some())
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
