//! `threading.Lock`, for debugging only: installed where deadlocks are explained, since nobody can see who holds the interpreter's own.
//!
//! Not tracked by the garbage collector, which need not visit what it refers to: parked greenlets, which run on.

use crate::arguments::Given;
use crate::deadlock;
use crate::faces::timeouts::patience_of_lock;
use crate::faces::{class_of, plain_repr};
use crate::ffi;
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::lock::Lock;
use plait_core::waiter::Manner;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

static STANDARD: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Mutual exclusion among threads, whose holder plait knows.
///
/// Any thread may release it. Counterpart: threading.Lock.
#[pyclass(module = "plait.threading", name = "Lock", frozen, weakref)]
pub struct ThreadingLock {
    lock: Lock<Waker>,
}

/// `threading.Lock` where that is a function: before 3.13.
#[pyfunction]
pub fn allocate_lock(py: Python<'_>) -> PyResult<Bound<'_, ThreadingLock>> {
    let lock = Bound::new(py, ThreadingLock { lock: Lock::default() })?;
    ffi::untrack(&lock);
    Ok(lock)
}

/// `acquire(blocking=True, timeout=-1)` of the interpreter's locks, which refuse None.
pub fn acquisition(
    blocking: Option<&Bound<'_, PyAny>>,
    timeout: Given<'_>,
) -> PyResult<Option<Patience<'static>>> {
    let blocking = blocking.map_or(Ok(true), |blocking| blocking.is_truthy())?;
    match timeout.0 {
        Some(timeout) if timeout.is_none() => {
            Err(PyTypeError::new_err("'NoneType' object cannot be interpreted as an integer"))
        }
        timeout => patience_of_lock(blocking, timeout.as_ref()),
    }
}

impl ThreadingLock {
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
impl ThreadingLock {
    #[new]
    fn new() -> ThreadingLock {
        ThreadingLock { lock: Lock::default() }
    }

    fn __init__(slf: &Bound<'_, Self>) {
        ffi::untrack(slf);
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let standard = STANDARD.get_or_try_init(py, || {
            Ok::<_, PyErr>(py.import("_thread")?.getattr("LockType")?.cast_into::<PyType>()?.unbind())
        })?;
        Ok(class_of(slf, standard))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().locked() { "locked" } else { "unlocked" };
        Ok(format!("<{state} {}>", plain_repr(slf.as_any())?))
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
    /// For threads and greenlets. Counterpart: threading.Lock.acquire.
    #[pyo3(signature = (blocking = None, timeout = Given(None)), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Bound<'_, PyAny>>,
        timeout: Given<'_>,
    ) -> PyResult<bool> {
        Self::acquire_within(slf, acquisition(blocking.as_ref(), timeout)?)
    }

    /// An old name of acquire().
    #[pyo3(signature = (blocking = None, timeout = Given(None)), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire_lock(
        slf: &Bound<'_, Self>,
        blocking: Option<Bound<'_, PyAny>>,
        timeout: Given<'_>,
    ) -> PyResult<bool> {
        Self::acquire(slf, blocking, timeout)
    }

    /// Open the lock. RuntimeError when it is not held. Safe to call from all threads. Counterpart: threading.Lock.release.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        deadlock::opens(slf);
        let lock = &slf.get().lock;
        let wakes = lock.release().map_err(|_| PyRuntimeError::new_err("release unlocked lock"))?;
        fire(slf.py(), lock, wakes);
        Ok(())
    }

    /// An old name of release().
    fn release_lock(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::release(slf)
    }

    /// Whether the lock is held. Safe to call from all threads. Counterpart: threading.Lock.locked.
    fn locked(&self) -> bool {
        self.lock.is_held()
    }

    /// An old name of locked().
    fn locked_lock(&self) -> bool {
        self.locked()
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::acquire_within(slf, Some(Patience::Forever))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        Self::release(slf)
    }

    fn __reduce_ex__(&self, _protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle '_thread.lock' object"))
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
}
