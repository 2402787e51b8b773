//! `plait.Semaphore` and `plait.BoundedSemaphore`: threading's, and coroutines.

use crate::arguments::Given;
use crate::faces::threading::semaphore::ThreadingSemaphore;
use crate::faces::{answer, answered, Answer};
use crate::waiters::attempt;
use crate::waiters::task::{self, running_loop, WaitFuture, UNIVERSAL};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A number of permits, for threads, tasks of any loop, and greenlets.
///
/// Args:
///     value: how many permits there are at first, zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// Tasks and greenlets get them first come, first served; a thread may be overtaken by one that comes new, once. A waiter that is
/// cancelled or whose time is up passes on what it was handed.
///
/// Safe to use from everywhere. Counterparts: threading.Semaphore and asyncio.Semaphore.
#[pyclass(module = "plait", name = "Semaphore", frozen, subclass, extends = ThreadingSemaphore)]
pub struct UniversalSemaphore;

#[pymethods]
impl UniversalSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingSemaphore::blank()).add_subclass(UniversalSemaphore)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.get_type().into_any()
    }

    /// How many permits are left.
    #[getter]
    fn value(slf: &Bound<'_, Self>) -> u64 {
        slf.as_super().get().semaphore.value()
    }

    fn __aenter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let semaphore = &slf.as_super().get().semaphore;
        match attempt(py, semaphore, UNIVERSAL.manner, |wait, waker, wakes| {
            semaphore.poll(wait, waker, wakes)
        }) {
            Some(()) => answered(py),
            None => Ok(slf.call_method0(intern!(py, "_enter_later"))?.unbind()),
        }
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        slf.as_super().get().add(py, 1)?;
        answered(py)
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let py = slf.py();
        let semaphore = &slf.as_super().get().semaphore;
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| semaphore.poll(wait, waker, wakes);
        answer(task::begin(py, semaphore, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let semaphore = &slf.as_super().get().semaphore;
        answer(task::resume(waiter, semaphore, |wait, waker, wakes| semaphore.poll(wait, waker, wakes)))
    }

    fn _give_up(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(slf.py(), &slf.as_super().get().semaphore, waiter.as_unbound());
    }
}

/// A universal semaphore that is never released more often than it was acquired.
///
/// Args:
///     value: how many permits there are at first, and at most; zero or more.
///
/// Raises:
///     ValueError: value is negative.
///
/// Safe to use from everywhere. Counterparts: threading.BoundedSemaphore and asyncio.BoundedSemaphore.
#[pyclass(module = "plait", name = "BoundedSemaphore", frozen, subclass, extends = UniversalSemaphore)]
pub struct UniversalBoundedSemaphore;

#[pymethods]
impl UniversalBoundedSemaphore {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(value=1)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingSemaphore::blank())
            .add_subclass(UniversalSemaphore)
            .add_subclass(UniversalBoundedSemaphore)
    }

    #[pyo3(signature = (value = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, value: Given<'_>) -> PyResult<()> {
        slf.as_super().as_super().get().fill(value, true)
    }
}
