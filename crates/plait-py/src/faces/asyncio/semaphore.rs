//! `asyncio.Semaphore` and `BoundedSemaphore`.

use super::OneLoop;
use crate::arguments::{at_least, Given};
use crate::faces::{answer, answered, class_of, futures, plain_repr, traverse, waiters_in_words, Answer};
use crate::fastcall::{ignoring_method, install_ignoring, install_without, no_argument_method};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::task::{self, WaitFuture, ONE_LOOP};
use crate::waiters::{attempt, fire, Waker};
use plait_core::primitives::semaphore::Semaphore;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::sync::atomic::{AtomicU64, Ordering};

/// No bound.
const UNBOUNDED: u64 = u64::MAX;
const REFUSAL: &str = "Semaphore initial value must be >= 0";

/// A number of permits, which tasks of one event loop acquire and release.
///
/// Args:
///     value: how many permits there are at first, zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// Waiters get them first come, first served. A cancelled waiter passes on what it was handed. For the loop's own thread.
/// Counterpart: asyncio.Semaphore.
#[pyclass(module = "plait.asyncio", name = "Semaphore", frozen, subclass, dict, weakref)]
pub struct AsyncioSemaphore {
    semaphore: Semaphore<Waker>,
    /// The number that may not be exceeded. Written by `__init__`.
    bound: AtomicU64,
    one_loop: OneLoop,
    built: Built,
}

impl AsyncioSemaphore {
    fn blank() -> AsyncioSemaphore {
        AsyncioSemaphore {
            semaphore: Semaphore::new(1),
            bound: AtomicU64::new(UNBOUNDED),
            one_loop: OneLoop::unknown(),
            built: Built::new(),
        }
    }

    fn bound(&self) -> Option<u64> {
        Some(self.bound.load(Ordering::Relaxed)).filter(|bound| *bound != UNBOUNDED)
    }

    fn fill(&self, value: Given<'_>, bounded: bool) -> PyResult<()> {
        let value = match value.0 {
            None => 1,
            Some(value) => at_least(&value, 0)?.ok_or_else(|| PyValueError::new_err(REFUSAL))?,
        };
        self.semaphore.set_value(value);
        self.bound.store(if bounded { value } else { UNBOUNDED }, Ordering::Relaxed);
        Ok(())
    }
}

/// Whether it is one of the types here, and no subclass.
fn is_exact(slf: &Bound<'_, AsyncioSemaphore>) -> bool {
    slf.is_exact_instance_of::<AsyncioSemaphore>() || slf.is_exact_instance_of::<AsyncioBoundedSemaphore>()
}

no_argument_method!(enter_entry, AsyncioSemaphore, "Semaphore.__aenter__", AsyncioSemaphore::enter);
ignoring_method!(exit_entry, AsyncioSemaphore, "Semaphore.__aexit__", AsyncioSemaphore::exit);

/// Adds `async with` to the type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install_without::<AsyncioSemaphore>(py, c"__aenter__", c"__aenter__($self)\n--\n\n", enter_entry)?;
    install_ignoring::<AsyncioSemaphore>(
        py,
        c"__aexit__",
        c"__aexit__($self, *exception)\n--\n\n",
        exit_entry,
    )
}

impl AsyncioSemaphore {
    fn enter(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if !is_exact(slf) {
            return Ok(slf.call_method0(intern!(py, "_enter_by_acquiring"))?.unbind());
        }
        let semaphore = &slf.get().semaphore;
        match attempt(py, semaphore, ONE_LOOP.manner, |wait, waker, wakes| semaphore.poll(wait, waker, wakes))
        {
            Some(()) => answered(py),
            None => Ok(slf.call_method0(intern!(py, "_enter_later"))?.unbind()),
        }
    }

    fn exit(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match is_exact(slf) {
            true => slf.get().release(py)?,
            // A subclass may have its own.
            false => slf.call_method0(intern!(py, "release")).map(drop)?,
        }
        answered(py)
    }
}

#[pymethods]
impl AsyncioSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioSemaphore::blank()
    }

    #[pyo3(signature = (value = Given(None)))]
    fn __init__(&self, value: Given<'_>) -> PyResult<()> {
        self.fill(value, false)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.semaphore)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = match this.locked() {
            true => "locked".to_owned(),
            false => format!("unlocked, value:{}", this._value()),
        };
        let waiters = waiters_in_words(this.semaphore.present());
        Ok(format!("<{} [{state}{waiters}]>", plain_repr(slf.as_any())?))
    }

    /// Whether a task that comes now has to wait. For the loop's own thread. Counterpart: asyncio.Semaphore.locked.
    fn locked(&self) -> bool {
        self.semaphore.value() == 0 || self.semaphore.present() > 0
    }

    /// Give back a permit: to the task that has waited longest, if any waits. ValueError beyond the bound of a bounded one.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Semaphore.release.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        match self.semaphore.release(1, self.bound()) {
            Ok(wakes) => {
                fire(py, &self.semaphore, wakes);
                Ok(())
            }
            Err(_) => Err(PyValueError::new_err("BoundedSemaphore released too many times")),
        }
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let this = slf.get();
        let loop_ = || this.one_loop.check(slf.as_any());
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| this.semaphore.poll(wait, waker, wakes);
        answer(task::begin(slf.py(), &this.semaphore, ONE_LOOP, loop_, poll))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        answer(task::resume(waiter, &self.semaphore, |wait, waker, wakes| {
            self.semaphore.poll(wait, waker, wakes)
        }))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.semaphore, waiter.as_unbound());
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
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        // None until somebody had to wait, and so had to know the loop.
        match self.one_loop.get(py) {
            None => Ok(None),
            Some(_) => {
                futures(py, &self.one_loop, self.semaphore.present(), |note| self.semaphore.visit(note))
                    .map(Some)
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
        traverse(&visit, |waker| self.semaphore.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| self.one_loop.set(py, None));
    }
}

/// A semaphore that is never released more often than it was acquired.
///
/// Args:
///     value: how many permits there are at first, and at most; zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// For the loop's own thread. Counterpart: asyncio.BoundedSemaphore.
#[pyclass(module = "plait.asyncio", name = "BoundedSemaphore", frozen, subclass, extends = AsyncioSemaphore)]
pub struct AsyncioBoundedSemaphore;

#[pymethods]
impl AsyncioBoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(AsyncioSemaphore::blank()).add_subclass(AsyncioBoundedSemaphore)
    }

    #[pyo3(signature = (value = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, value: Given<'_>) -> PyResult<()> {
        slf.as_super().get().fill(value, true)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.bounded_semaphore)
    }

    #[getter]
    fn _bound_value(slf: &Bound<'_, Self>) -> Option<u64> {
        slf.as_super().get().bound()
    }

    #[setter(_bound_value)]
    fn set_private_bound_value(slf: &Bound<'_, Self>, value: u64) {
        slf.as_super().get().bound.store(value, Ordering::Relaxed);
    }
}
