//! `plait.RLock`: a lock that its holder may take again.
//!
//! Its holder is the *strand* that took it: the running task, else the greenlet, else the thread.

use super::strand::Strand;
use crate::arguments::{Given, Truth};
use crate::faces::timeouts::patience_of_lock;
use crate::faces::{answer, answered, traverse, Answer};
use crate::guarded::{Built, Guarded};
use crate::waiters::task::{self, running_loop, Step, WaitFuture, UNIVERSAL};
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::lock::Lock;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

#[derive(Clone, Copy, Default)]
struct Holding {
    by: Option<Strand>,
    times: usize,
}

/// Mutual exclusion among threads, tasks of any loop, and greenlets, for a strand that may take it several times.
///
/// Who took it has to release it, as often as it took it: the task, the greenlet or the thread. Served as plait.Lock is.
///
/// Safe to use from everywhere. Counterpart: threading.RLock; asyncio has none.
#[pyclass(module = "plait", name = "RLock", frozen, subclass, dict, weakref)]
pub struct UniversalRLock {
    lock: Lock<Waker>,
    holding: Guarded<Holding>,
    built: Built,
}

impl UniversalRLock {
    /// Whether the caller holds it already, and now holds it once more.
    fn enter_again(&self, py: Python<'_>, here: Strand) -> bool {
        self.holding.with(py, |holding| {
            let again = holding.by == Some(here);
            holding.times += usize::from(again);
            again
        })
    }

    fn begin_holding(&self, py: Python<'_>, holding: Holding) {
        self.holding.with(py, |known| *known = holding);
    }

    fn acquire_within(&self, py: Python<'_>, patience: Option<Patience>) -> PyResult<bool> {
        let here = Strand::current(py)?;
        if self.enter_again(py, here) {
            return Ok(true);
        }
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.lock.poll(wait, waker);
        let mut acquired = attempt(py, &self.lock, Manner::Barging, poll).is_some();
        if let (false, Some(patience)) = (acquired, patience) {
            acquired = block(py, &self.lock, Manner::Barging, patience, poll)?.is_some();
        }
        if acquired {
            self.begin_holding(py, Holding { by: Some(here), times: 1 });
        }
        Ok(acquired)
    }

    fn open(&self, py: Python<'_>) {
        if let Ok(wakes) = self.lock.release() {
            fire(py, &self.lock, wakes);
        }
    }

    fn acquired(&self, py: Python<'_>, step: PyResult<Step<()>>) -> Answer {
        let waiter = answer(step)?;
        if waiter.is_none() {
            let by = Some(Strand::current(py)?);
            self.begin_holding(py, Holding { by, times: 1 });
        }
        Ok(waiter)
    }
}

#[pymethods]
impl UniversalRLock {
    #[new]
    fn new() -> Self {
        let holding = Guarded::new(Holding::default());
        UniversalRLock { lock: Lock::default(), holding, built: Built::new() }
    }

    /// Take the lock, or take it once more.
    ///
    /// Args:
    ///     blocking: wait until it can be had; otherwise answer at once.
    ///     timeout: wait for at most so many seconds; -1 for ever.
    ///
    /// Returns:
    ///     Whether the lock was taken.
    ///
    /// For threads and greenlets. See `aacquire` for coroutines. Counterpart: threading.RLock.acquire.
    #[pyo3(signature = (blocking = Truth(true), timeout = Given(None)), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(&self, py: Python<'_>, blocking: Truth, timeout: Given<'_>) -> PyResult<bool> {
        self.acquire_within(py, patience_of_lock(blocking.0, timeout.0.as_ref())?)
    }

    /// Release it once; the last time opens it. RuntimeError when the caller does not hold it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let here = Strand::current(py)?;
        let opens = self.holding.with(py, |holding| {
            if holding.by != Some(here) {
                return None;
            }
            holding.times -= 1;
            if holding.times == 0 {
                holding.by = None;
            }
            Some(holding.times == 0)
        });
        match opens {
            None => return Err(PyRuntimeError::new_err("cannot release un-acquired lock")),
            Some(true) => self.open(py),
            Some(false) => {}
        }
        Ok(())
    }

    /// Whether somebody holds it.
    fn locked(&self) -> bool {
        self.lock.is_held()
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, Some(Patience::Forever))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release(py)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0(intern!(slf.py(), "_enter_later"))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.release(py)?;
        answered(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let holding = this.holding.with(slf.py(), |holding| *holding);
        let state = if holding.by.is_some() { "locked" } else { "unlocked" };
        let class = slf.get_type().fully_qualified_name()?;
        let owner = holding.by.map_or("nobody".to_owned(), |by| by.to_string());
        let address = slf.as_ptr() as usize;
        Ok(format!("<{state} {class} object owner={owner} count={} at {address:#x}>", holding.times))
    }

    fn _begin(&self, py: Python<'_>) -> Answer {
        if self.enter_again(py, Strand::current(py)?) {
            return Ok(None);
        }
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.lock.poll(wait, waker);
        self.acquired(py, task::begin(py, &self.lock, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let step = task::resume(waiter, &self.lock, |wait, waker, _| self.lock.poll(wait, waker));
        self.acquired(waiter.py(), step)
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.lock, waiter.as_unbound());
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        let here = Strand::current(py)?;
        Ok(self.holding.with(py, |holding| holding.by == Some(here)))
    }

    fn _recursion_count(&self, py: Python<'_>) -> PyResult<usize> {
        let here = Strand::current(py)?;
        Ok(self.holding.with(py, |holding| if holding.by == Some(here) { holding.times } else { 0 }))
    }

    /// Opens it however often it was taken; returns how often.
    fn _release_save(&self, py: Python<'_>) -> PyResult<usize> {
        let here = Strand::current(py)?;
        let holding = self.holding.with(py, |holding| match holding.by == Some(here) {
            true => Some(std::mem::take(holding)),
            false => None,
        });
        let holding = holding.ok_or_else(|| PyRuntimeError::new_err("cannot release un-acquired lock"))?;
        self.open(py);
        Ok(holding.times)
    }

    fn _acquire_restore(&self, py: Python<'_>, times: usize) -> PyResult<()> {
        self.acquire_within(py, Some(Patience::Forever))?;
        self._restore(py, times);
        Ok(())
    }

    /// It has been taken again, once, and was held so often before.
    fn _restore(&self, py: Python<'_>, times: usize) {
        self.holding.with(py, |holding| holding.times = times);
    }

    /// How many wait for it now.
    #[getter]
    fn _waiting(&self) -> usize {
        self.lock.waiting()
    }

    fn _at_fork_reinit(&self, py: Python<'_>) {
        self.begin_holding(py, Holding::default());
        self.lock.reinitialise();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => traverse(&visit, |waker| self.lock.visit(waker)),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {}
}
