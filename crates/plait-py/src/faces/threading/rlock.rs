//! `threading.RLock`, for debugging only, as `lock.rs` is. Its owner is the thread, whichever of its tasks or greenlets took it.
//!
//! Not tracked by the garbage collector: gevent walks all tracked objects for what looks like an RLock, to patch it.

use super::lock::acquisition;
use crate::arguments::Given;
use crate::deadlock;
use crate::faces::class_of;

use crate::faces::universal::strand::thread_ident;
use crate::ffi;
use crate::guarded::Guarded;
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::lock::Lock;
use plait_core::waiter::Manner;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

static STANDARD: PyOnceLock<Py<PyType>> = PyOnceLock::new();

#[derive(Clone, Copy, Default)]
struct Owned {
    /// Zero times: by nobody.
    times: usize,
    by: u64,
}

/// Mutual exclusion among threads, for one that may take it several times, and whose holder plait knows.
///
/// The thread that took it has to release it, as often as it took it. Counterpart: threading.RLock.
#[pyclass(module = "plait.threading", name = "RLock", frozen, subclass, weakref)]
pub struct ThreadingRLock {
    lock: Lock<Waker>,
    owned: Guarded<Owned>,
}

impl ThreadingRLock {
    fn times(&self, py: Python<'_>) -> PyResult<usize> {
        let here = thread_ident();
        Ok(self.owned.with(py, |owned| if owned.by == here { owned.times } else { 0 }))
    }

    fn own(&self, py: Python<'_>, owned: Owned) {
        self.owned.with(py, |known| *known = owned);
    }

    fn acquire_within(slf: &Bound<'_, Self>, patience: Option<Patience<'_>>) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let times = this.times(py)?;
        if times > 0 {
            this.owned.with(py, |owned| owned.times = times + 1);
            return Ok(true);
        }
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.lock.poll(wait, waker);
        let mut acquired = attempt(py, &this.lock, Manner::Barging, poll).is_some();
        if let (false, Some(patience)) = (acquired, patience) {
            let block = || block(py, &this.lock, Manner::Barging, patience, poll);
            acquired = deadlock::blocks(slf, patience, block)?;
        }
        if acquired {
            this.own(py, Owned { times: 1, by: thread_ident() });
            deadlock::taken(slf);
        }
        Ok(acquired)
    }

    /// The last time that it is released. The graph is told first, while it still is the caller's.
    fn open(slf: &Bound<'_, Self>) {
        deadlock::opens(slf);
        let (py, this) = (slf.py(), slf.get());
        this.own(py, Owned::default());
        if let Ok(wakes) = this.lock.release() {
            fire(py, &this.lock, wakes);
        }
    }
}

fn not_owned() -> PyErr {
    PyRuntimeError::new_err("cannot release un-acquired lock")
}

#[pymethods]
impl ThreadingRLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> ThreadingRLock {
        ThreadingRLock { lock: Lock::default(), owned: Guarded::new(Owned::default()) }
    }

    #[pyo3(signature = (*_args, **_kwargs))]
    fn __init__(slf: &Bound<'_, Self>, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) {
        // One of a subclass may have anything in its dictionary.
        if slf.is_exact_instance_of::<ThreadingRLock>() {
            ffi::untrack(slf);
        }
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let standard = STANDARD.get_or_try_init(py, || {
            Ok::<_, PyErr>(py.import("_thread")?.getattr("RLock")?.cast_into::<PyType>()?.unbind())
        })?;
        Ok(class_of(slf, standard))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let owned = slf.get().owned.with(slf.py(), |owned| *owned);
        let state = if owned.times > 0 { "locked" } else { "unlocked" };
        let class = slf.getattr("__class__")?.cast_into::<PyType>()?.fully_qualified_name()?;
        let (by, times, address) = (owned.by, owned.times, slf.as_ptr() as usize);
        Ok(format!("<{state} {class} object owner={by} count={times} at {address:#x}>"))
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
    /// For threads and greenlets. Counterpart: threading.RLock.acquire.
    #[pyo3(signature = (blocking = None, timeout = Given(None)), text_signature = "($self, blocking=True, timeout=-1)")]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Bound<'_, PyAny>>,
        timeout: Given<'_>,
    ) -> PyResult<bool> {
        Self::acquire_within(slf, acquisition(blocking.as_ref(), timeout)?)
    }

    /// Release it once; the last time opens it. RuntimeError in a thread that does not hold it. Counterpart: threading.RLock.release.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().times(slf.py())? {
            0 => return Err(not_owned()),
            1 => Self::open(slf),
            times => slf.get().owned.with(slf.py(), |owned| owned.times = times - 1),
        }
        Ok(())
    }

    /// Whether somebody holds it. Safe to call from all threads. Counterpart: threading.RLock.locked.
    #[cfg(Py_3_14)]
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

    fn __reduce_ex__(&self, _protocol: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyTypeError::new_err("cannot pickle '_thread.RLock' object"))
    }

    fn _is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.times(py)? > 0)
    }

    fn _recursion_count(&self, py: Python<'_>) -> PyResult<usize> {
        self.times(py)
    }

    /// Opens it however often it was taken; returns what `_acquire_restore` wants.
    fn _release_save(slf: &Bound<'_, Self>) -> PyResult<(usize, u64)> {
        let py = slf.py();
        match slf.get().times(py)? {
            0 => Err(not_owned()),
            times => {
                let by = thread_ident();
                Self::open(slf);
                Ok((times, by))
            }
        }
    }

    fn _acquire_restore(slf: &Bound<'_, Self>, saved: (usize, u64)) -> PyResult<()> {
        Self::acquire_within(slf, Some(Patience::Forever))?;
        slf.get().own(slf.py(), Owned { times: saved.0, by: saved.1 });
        Ok(())
    }

    /// How many wait for it now.
    #[getter]
    fn _waiting(&self) -> usize {
        self.lock.waiting()
    }

    fn _at_fork_reinit(slf: &Bound<'_, Self>) {
        deadlock::opens(slf);
        slf.get().own(slf.py(), Owned::default());
        slf.get().lock.reinitialise();
    }
}
