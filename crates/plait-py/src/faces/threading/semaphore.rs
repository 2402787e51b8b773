//! `threading.Semaphore` and `BoundedSemaphore`.

use crate::arguments::{at_least, Given, Truth};
use crate::faces::timeouts::patience_by_end;
use crate::faces::{class_of, located_repr, traverse};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::semaphore::Semaphore;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};

/// No bound.
const UNBOUNDED: u64 = u64::MAX;
const REFUSAL: &str = "semaphore initial value must be >= 0";

/// A number of permits, which threads acquire and release.
///
/// Args:
///     value: how many permits there are at first, zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// Safe to use from all threads, and to release from coroutines and greenlets. Counterpart: threading.Semaphore.
#[pyclass(module = "plait.threading", name = "Semaphore", frozen, subclass, dict, weakref)]
pub struct ThreadingSemaphore {
    pub semaphore: Semaphore<Waker>,
    /// The number that may not be exceeded. Written by `__init__`.
    bound: AtomicU64,
    built: Built,
}

impl ThreadingSemaphore {
    /// Before `__init__`: with the one permit that it has unless something else is said.
    pub fn blank() -> ThreadingSemaphore {
        let (semaphore, bound) = (Semaphore::new(1), AtomicU64::new(UNBOUNDED));
        ThreadingSemaphore { semaphore, bound, built: Built::new() }
    }

    pub fn bound(&self) -> Option<u64> {
        Some(self.bound.load(Ordering::Relaxed)).filter(|bound| *bound != UNBOUNDED)
    }

    /// `__init__`: so many permits (1 unless said), which may be the bound too.
    pub fn fill(&self, value: Given<'_>, bounded: bool) -> PyResult<()> {
        let value = match value.0 {
            None => 1,
            Some(value) => at_least(&value, 0)?.ok_or_else(|| PyValueError::new_err(REFUSAL))?,
        };
        self.semaphore.set_value(value);
        self.bound.store(if bounded { value } else { UNBOUNDED }, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a permit; where there is none, `patience` says whether to wait, and for how long.
    fn acquire_within(
        &self,
        py: Python<'_>,
        patience: impl FnOnce() -> PyResult<Option<Patience<'static>>>,
    ) -> PyResult<bool> {
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.semaphore.poll(wait, waker, wakes);
        if attempt(py, &self.semaphore, Manner::Barging, poll).is_some() {
            return Ok(true);
        }
        match patience()? {
            None => Ok(false),
            Some(patience) => Ok(block(py, &self.semaphore, Manner::Barging, patience, poll)?.is_some()),
        }
    }

    pub fn add(&self, py: Python<'_>, count: u64) -> PyResult<()> {
        match self.semaphore.release(count, self.bound()) {
            Ok(wakes) => {
                fire(py, &self.semaphore, wakes);
                Ok(())
            }
            Err(_) => Err(PyValueError::new_err("Semaphore released too many times")),
        }
    }
}

#[pymethods]
impl ThreadingSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingSemaphore::blank()
    }

    #[pyo3(signature = (value = Given(None)))]
    fn __init__(&self, value: Given<'_>) -> PyResult<()> {
        self.fill(value, false)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.semaphore)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let bound = slf.get().bound().map_or(String::new(), |bound| format!("/{bound}"));
        Ok(format!("<{}: value={}{bound}>", located_repr(slf.as_any())?, slf.get()._value()))
    }

    /// Take a permit.
    ///
    /// Args:
    ///     blocking: wait until there is one; otherwise answer at once.
    ///     timeout: wait for at most so many seconds; None for ever.
    ///
    /// Returns:
    ///     Whether a permit was taken.
    ///
    /// Raises:
    ///     ValueError: a timeout for a call that does not block.
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; then it has taken nothing.
    ///
    /// For threads and greenlets. Counterpart: threading.Semaphore.acquire.
    #[pyo3(
        signature = (blocking = Truth(true), timeout = None),
        text_signature = "($self, blocking=True, timeout=None)"
    )]
    fn acquire(&self, py: Python<'_>, blocking: Truth, timeout: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        match (blocking.0, timeout) {
            (true, None) => self.acquire_within(py, || Ok(Some(Patience::Forever))),
            (true, timeout) => self.acquire_within(py, || patience_by_end(timeout.as_ref()).map(Some)),
            (false, None) => self.acquire_within(py, || Ok(None)),
            (false, Some(_)) => Err(PyValueError::new_err("can't specify timeout for non-blocking acquire")),
        }
    }

    /// Give back permits: to those that wait, if any do.
    ///
    /// Args:
    ///     n: how many, one or more.
    ///
    /// Raises:
    ///     ValueError: n is less than one, or goes beyond the bound of a bounded one.
    ///
    /// Safe to call from everywhere. Counterpart: threading.Semaphore.release.
    #[pyo3(signature = (n = Given(None)), text_signature = "($self, n=1)")]
    fn release(&self, py: Python<'_>, n: Given<'_>) -> PyResult<()> {
        let count = match n.0 {
            None => 1,
            Some(n) => at_least(&n, 1)?.ok_or_else(|| PyValueError::new_err("n must be one or more"))?,
        };
        self.add(py, count)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, || Ok(Some(Patience::Forever)))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        match slf.is_exact_instance_of::<ThreadingSemaphore>() {
            true => slf.get().add(slf.py(), 1),
            // By name: a subclass may have its own.
            false => slf.call_method0(intern!(slf.py(), "release")).map(drop),
        }
    }

    #[getter]
    fn _value(&self) -> u64 {
        self.semaphore.value()
    }

    #[setter(_value)]
    fn set_private_value(&self, value: u64) {
        self.semaphore.set_value(value);
    }

    #[getter]
    fn _waiting(&self) -> usize {
        self.semaphore.waiting()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => traverse(&visit, |waker| self.semaphore.visit(waker)),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {}
}

/// A semaphore that is never released more often than it was acquired.
///
/// Args:
///     value: how many permits there are at first, and at most; zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// Safe to use from all threads, and to release from coroutines and greenlets. Counterpart: threading.BoundedSemaphore.
#[pyclass(module = "plait.threading", name = "BoundedSemaphore", frozen, subclass, extends = ThreadingSemaphore)]
pub struct ThreadingBoundedSemaphore;

#[pymethods]
impl ThreadingBoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingSemaphore::blank()).add_subclass(ThreadingBoundedSemaphore)
    }

    #[pyo3(signature = (value = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, value: Given<'_>) -> PyResult<()> {
        slf.as_super().get().fill(value, true)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.bounded_semaphore)
    }

    #[getter]
    fn _initial_value(slf: &Bound<'_, Self>) -> Option<u64> {
        slf.as_super().get().bound()
    }
}
