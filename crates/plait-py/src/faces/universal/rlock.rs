//! `plait.RLock`: a lock that its holder may take again.
//!
//! Its holder is the *strand* that took it: the running task, else the greenlet, else the thread.

use super::strand::Strand;
use crate::arguments::{Given, Truth};
use crate::deadlock;
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

    fn acquire_within(slf: &Bound<'_, Self>, patience: Option<Patience<'_>>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let here = Strand::current(py)?;
        if this.enter_again(py, here) {
            return Ok(true);
        }
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.lock.poll(wait, waker);
        let mut acquired = attempt(py, &this.lock, Manner::Barging, poll).is_some();
        if let (false, Some(patience)) = (acquired, patience) {
            let block = || block(py, &this.lock, Manner::Barging, patience, poll);
            acquired = deadlock::blocks(slf, patience, block)?;
        }
        if acquired {
            this.begin_holding(py, Holding { by: Some(here), times: 1 });
            deadlock::taken(slf);
        }
        Ok(acquired)
    }

    fn open(slf: &Bound<'_, Self>) {
        let lock = &slf.get().lock;
        if let Ok(wakes) = lock.release() {
            fire(slf.py(), lock, wakes);
        }
    }

    /// It is about to be released so often. The graph is told while it still is the caller's, who may want it in there: in a signal handler.
    #[inline]
    fn tell_opens(slf: &Bound<'_, Self>, here: Strand, times: usize) {
        let opens = |holding: &mut Holding| holding.by == Some(here) && holding.times <= times;
        if deadlock::explaining() && slf.get().holding.with(slf.py(), opens) {
            deadlock::opens(slf);
        }
    }

    fn acquired(slf: &Bound<'_, Self>, step: PyResult<Step<()>>) -> Answer {
        let answer = answer(step);
        if let Ok(None) = answer {
            let by = Some(Strand::current(slf.py())?);
            slf.get().begin_holding(slf.py(), Holding { by, times: 1 });
        }
        deadlock::answered(slf, answer)
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
    /// Raises:
    ///     ValueError: the timeout is negative and not -1, or given for a call that does not block.
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; then it has not taken the lock.
    ///
    /// For threads and greenlets. See `aacquire` for coroutines. Counterpart: threading.RLock.acquire.
    #[pyo3(
        signature = (blocking = Truth(true), timeout = Given(None)),
        text_signature = "($self, blocking=True, timeout=-1)"
    )]
    fn acquire(slf: &Bound<'_, Self>, blocking: Truth, timeout: Given<'_>) -> PyResult<bool> {
        Self::acquire_within(slf, patience_of_lock(blocking.0, timeout.0.as_ref())?)
    }

    /// Release it once; the last time opens it. RuntimeError when the caller does not hold it.
    ///
    /// For the task, greenlet or thread that took it. Counterpart: threading.RLock.release.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let here = Strand::current(py)?;
        Self::tell_opens(slf, here, 1);
        let opens = slf.get().holding.with(py, |holding| {
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
            Some(true) => Self::open(slf),
            Some(false) => {}
        }
        Ok(())
    }

    /// Whether somebody holds it. Safe to call from everywhere. Counterpart: threading.RLock.locked (from Python 3.14 on).
    fn locked(&self) -> bool {
        self.lock.is_held()
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::acquire_within(slf, Some(Patience::Forever))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        Self::release(slf)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0(intern!(slf.py(), "_enter_later"))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        Self::release(slf)?;
        answered(slf.py())
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

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let (py, this) = (slf.py(), slf.get());
        if this.enter_again(py, Strand::current(py)?) {
            return Ok(None);
        }
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.lock.poll(wait, waker);
        Self::acquired(slf, task::begin(py, &this.lock, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> Answer {
        deadlock::ends(waiter);
        let lock = &slf.get().lock;
        Self::acquired(slf, task::resume(waiter, lock, |wait, waker, _| lock.poll(wait, waker)))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        deadlock::ends(waiter);
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
    fn _release_save(slf: &Bound<'_, Self>) -> PyResult<usize> {
        let py = slf.py();
        let here = Strand::current(py)?;
        Self::tell_opens(slf, here, usize::MAX);
        let holding = slf.get().holding.with(py, |holding| match holding.by == Some(here) {
            true => Some(std::mem::take(holding)),
            false => None,
        });
        let holding = holding.ok_or_else(|| PyRuntimeError::new_err("cannot release un-acquired lock"))?;
        Self::open(slf);
        Ok(holding.times)
    }

    fn _acquire_restore(slf: &Bound<'_, Self>, times: usize) -> PyResult<()> {
        Self::acquire_within(slf, Some(Patience::Forever))?;
        slf.get()._restore(slf.py(), times);
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

    fn _at_fork_reinit(slf: &Bound<'_, Self>) {
        deadlock::opens(slf);
        slf.get().begin_holding(slf.py(), Holding::default());
        slf.get().lock.reinitialise();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => traverse(&visit, |waker| self.lock.visit(waker)),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {}
}
