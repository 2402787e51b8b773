//! `asyncio.Lock`.

use super::OneLoop;
use crate::deadlock;
use crate::faces::{answer, answered, class_of, futures, plain_repr, traverse, waiters_in_words, Answer};
use crate::fastcall::{ignoring_method, install_ignoring, install_without, no_argument_method};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::task::{self, WaitFuture, ONE_LOOP};
use crate::waiters::{attempt, fire, Waker};
use plait_core::primitives::lock::Lock;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// A lock for the tasks of one event loop.
///
/// Not owned by a task: any may release it. Waiters get it first come, first served. A cancelled waiter passes it on.
/// For the loop's own thread. Counterpart: asyncio.Lock.
#[pyclass(module = "plait.asyncio", name = "Lock", frozen, subclass, dict, weakref)]
pub struct AsyncioLock {
    lock: Lock<Waker>,
    one_loop: OneLoop,
    built: Built,
}

no_argument_method!(enter_entry, AsyncioLock, "Lock.__aenter__", AsyncioLock::enter);
ignoring_method!(exit_entry, AsyncioLock, "Lock.__aexit__", AsyncioLock::exit);

/// Adds `async with` to the type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install_without::<AsyncioLock>(py, c"__aenter__", c"__aenter__($self)\n--\n\n", enter_entry)?;
    install_ignoring::<AsyncioLock>(py, c"__aexit__", c"__aexit__($self, *exception)\n--\n\n", exit_entry)
}

impl AsyncioLock {
    pub fn enter(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if !slf.is_exact_instance_of::<AsyncioLock>() {
            return Ok(slf.call_method0(intern!(py, "_enter_by_acquiring"))?.unbind());
        }
        let this = slf.get();
        match attempt(py, &this.lock, ONE_LOOP.manner, |wait, waker, _| this.lock.poll(wait, waker)) {
            Some(()) => {
                deadlock::taken(slf);
                answered(py)
            }
            None => Ok(slf.call_method0(intern!(py, "_enter_later"))?.unbind()),
        }
    }

    fn exit(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.is_exact_instance_of::<AsyncioLock>() {
            true => Self::release(slf)?,
            // A subclass may have its own.
            false => slf.call_method0(intern!(py, "release")).map(drop)?,
        }
        answered(py)
    }
}

#[pymethods]
impl AsyncioLock {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioLock { lock: Lock::default(), one_loop: OneLoop::unknown(), built: Built::new() }
    }

    fn __init__(slf: &Bound<'_, Self>) {
        deadlock::opens(slf);
        slf.get().lock.reinitialise();
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.lock)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().locked() { "locked" } else { "unlocked" };
        let waiters = waiters_in_words(slf.get().lock.present());
        Ok(format!("<{} [{state}{waiters}]>", plain_repr(slf.as_any())?))
    }

    /// Whether the lock is held. For the loop's own thread. Counterpart: asyncio.Lock.locked.
    pub fn locked(&self) -> bool {
        self.lock.is_held()
    }

    /// Open the lock, or hand it to the task that has waited longest. RuntimeError when it is not held.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Lock.release.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        deadlock::opens(slf);
        let lock = &slf.get().lock;
        match lock.release() {
            Ok(wakes) => {
                fire(slf.py(), lock, wakes);
                Ok(())
            }
            Err(_) => Err(PyRuntimeError::new_err("Lock is not acquired.")),
        }
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let this = slf.get();
        let loop_ = || this.one_loop.check(slf.as_any());
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.lock.poll(wait, waker);
        deadlock::answered(slf, answer(task::begin(slf.py(), &this.lock, ONE_LOOP, loop_, poll)))
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

    #[getter]
    fn _locked(&self) -> bool {
        self.locked()
    }

    #[getter]
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        // None until somebody had to wait, and so had to know the loop.
        match self.one_loop.get(py) {
            None => Ok(None),
            Some(_) => {
                futures(py, &self.one_loop, self.lock.present(), |note| self.lock.visit(note)).map(Some)
            }
        }
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.one_loop.get(py)
    }

    #[setter(_loop)]
    fn set_private_loop(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        self.one_loop.set(py, value);
    }

    fn _get_loop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().one_loop.check(slf.as_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        self.one_loop.traverse(&visit)?;
        traverse(&visit, |waker| self.lock.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| self.one_loop.set(py, None));
    }
}
