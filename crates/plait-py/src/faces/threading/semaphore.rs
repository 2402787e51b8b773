//! `threading.Semaphore` and `BoundedSemaphore`.

use crate::faces::timeouts::Acquisition;
use crate::faces::{class_of, located_repr, traverse};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::{attempt, block, fire, Waker};
use plait_core::primitives::semaphore::Semaphore;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};

/// No bound.
const UNBOUNDED: u64 = u64::MAX;
const REFUSAL: &str = "semaphore initial value must be >= 0";

/// A number of permits, which threads acquire and release.
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
    pub fn fill(&self, value: Option<Bound<'_, PyAny>>, bounded: bool) -> PyResult<()> {
        let value = match value {
            None => 1,
            Some(value) if value.lt(0)? => return Err(PyValueError::new_err(REFUSAL)),
            Some(value) => value.extract::<u64>()?,
        };
        self.semaphore.set_value(value);
        self.bound.store(if bounded { value } else { UNBOUNDED }, Ordering::Relaxed);
        Ok(())
    }

    fn acquire_within(&self, py: Python<'_>, acquisition: Acquisition) -> PyResult<bool> {
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.semaphore.poll(wait, waker);
        if attempt(py, &self.semaphore, Manner::Barging, poll).is_some() {
            return Ok(true);
        }
        match acquisition.patience() {
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
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingSemaphore::blank()
    }

    #[pyo3(signature = (value = None))]
    fn __init__(&self, value: Option<Bound<'_, PyAny>>) -> PyResult<()> {
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
    #[pyo3(signature = (blocking = true, timeout = None))]
    fn acquire(&self, py: Python<'_>, blocking: bool, timeout: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        self.acquire_within(py, Acquisition::of_semaphore(blocking, timeout)?)
    }

    /// Give back n permits, one or more. ValueError beyond the bound of a bounded one.
    #[pyo3(signature = (n = None))]
    fn release(&self, py: Python<'_>, n: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let count = match n {
            None => 1,
            Some(n) if n.lt(1)? => return Err(PyValueError::new_err("n must be one or more")),
            Some(n) => n.extract()?,
        };
        self.add(py, count)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire_within(py, Acquisition::forever())
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.add(py, 1)
    }

    #[getter]
    fn _value(&self) -> u64 {
        self.semaphore.value()
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
}

/// A semaphore that is never released more often than it was acquired.
///
/// Counterpart: threading.BoundedSemaphore.
#[pyclass(module = "plait.threading", name = "BoundedSemaphore", frozen, subclass, extends = ThreadingSemaphore)]
pub struct ThreadingBoundedSemaphore;

#[pymethods]
impl ThreadingBoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingSemaphore::blank()).add_subclass(ThreadingBoundedSemaphore)
    }

    #[pyo3(signature = (value = None))]
    fn __init__(slf: &Bound<'_, Self>, value: Option<Bound<'_, PyAny>>) -> PyResult<()> {
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
