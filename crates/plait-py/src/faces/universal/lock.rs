//! `plait.Lock`.

use crate::arguments::{Given, Truth};
use crate::deadlock;
use crate::faces::timeouts::patience_of_lock;
use crate::faces::{answer, answered, traverse, Answer};
use crate::guarded::Built;
use crate::waiters::task::{self, running_loop, WaitFuture, UNIVERSAL};
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::lock::Lock;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Mutual exclusion among threads, tasks of any loop, and greenlets.
///
/// Whoever holds it is nobody's affair: any of them may release it. Tasks and greenlets get it first come, first served; a thread
/// may be overtaken by one that comes new, once. A waiter that is cancelled or whose time is up passes it on.
///
/// Safe to use from everywhere. Counterparts: threading.Lock and asyncio.Lock.
#[pyclass(module = "plait", name = "Lock", frozen, subclass, dict, weakref)]
pub struct UniversalLock {
    lock: Lock<Waker>,
    built: Built,
}

impl UniversalLock {
    fn acquire_within(slf: &Bound<'_, Self>, patience: Option<Patience<'_>>) -> PyResult<bool> {
        let (py, lock) = (slf.py(), &slf.get().lock);
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| lock.poll(wait, waker);
        let mut acquired = attempt(py, lock, Manner::Barging, poll).is_some();
        if let (false, Some(patience)) = (acquired, patience) {
            acquired = deadlock::blocks(slf, patience, || block(py, lock, Manner::Barging, patience, poll))?;
        }
        if acquired {
            deadlock::taken(slf);
        }
        Ok(acquired)
    }
}

#[pymethods]
impl UniversalLock {
    #[new]
    fn new() -> Self {
        UniversalLock { lock: Lock::default(), built: Built::new() }
    }

    /// Take the lock.
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
    /// For threads and greenlets; it blocks the strand that calls it. See `aacquire` for coroutines. Counterpart: threading.Lock.acquire.
    #[pyo3(
        signature = (blocking = Truth(true), timeout = Given(None)),
        text_signature = "($self, blocking=True, timeout=-1)"
    )]
    fn acquire(slf: &Bound<'_, Self>, blocking: Truth, timeout: Given<'_>) -> PyResult<bool> {
        Self::acquire_within(slf, patience_of_lock(blocking.0, timeout.0.as_ref())?)
    }

    /// Open the lock, or hand it on. RuntimeError when it is not held.
    ///
    /// Safe to call from everywhere. Counterparts: threading.Lock.release and asyncio.Lock.release.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        deadlock::opens(slf);
        let lock = &slf.get().lock;
        match lock.release() {
            Ok(wakes) => {
                fire(slf.py(), lock, wakes);
                Ok(())
            }
            Err(_) => Err(PyRuntimeError::new_err("release unlocked lock")),
        }
    }

    /// Whether the lock is held. Safe to call from everywhere. Counterparts: threading.Lock.locked and asyncio.Lock.locked.
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

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.get();
        match attempt(py, &this.lock, UNIVERSAL.manner, |wait, waker, _| this.lock.poll(wait, waker)) {
            Some(()) => {
                deadlock::taken(slf);
                answered(py)
            }
            None => Ok(slf.call_method0(intern!(py, "_enter_later"))?.unbind()),
        }
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        Self::release(slf)?;
        answered(slf.py())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().locked() { "locked" } else { "unlocked" };
        let class = slf.get_type().fully_qualified_name()?;
        Ok(format!("<{state} {class} object at {:#x}>", slf.as_ptr() as usize))
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let (py, lock) = (slf.py(), &slf.get().lock);
        let loop_ = || running_loop(py);
        let step = task::begin(py, lock, UNIVERSAL, loop_, |wait, waker, _| lock.poll(wait, waker));
        deadlock::answered(slf, answer(step))
    }

    fn _resume(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> Answer {
        deadlock::ends(waiter);
        let lock = &slf.get().lock;
        let step = task::resume(waiter, lock, |wait, waker, _| lock.poll(wait, waker));
        deadlock::answered(slf, answer(step))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        deadlock::ends(waiter);
        task::give_up(waiter.py(), &self.lock, waiter.as_unbound());
    }

    /// How many wait for it now.
    #[getter]
    fn _waiting(&self) -> usize {
        self.lock.waiting()
    }

    fn _at_fork_reinit(slf: &Bound<'_, Self>) {
        deadlock::opens(slf);
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
