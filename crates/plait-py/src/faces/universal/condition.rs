//! `plait.Condition`: threading's over a universal lock, and coroutines.

use super::rlock::UniversalRLock;
use crate::faces::threading::condition::ThreadingCondition;
use crate::faces::{answer, Answer};
use crate::waiters::task::{self, running_loop, WaitFuture, UNIVERSAL};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Threads, tasks of any loop, and greenlets that wait to be notified, and a lock.
///
/// Args:
///     lock: a plait.Lock or plait.RLock; None: a new RLock.
///
/// Safe to use from everywhere. Counterparts: threading.Condition and asyncio.Condition.
#[pyclass(module = "plait", name = "Condition", frozen, subclass, extends = ThreadingCondition)]
pub struct UniversalCondition;

#[pymethods]
impl UniversalCondition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(lock=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingCondition::blank()).add_subclass(UniversalCondition)
    }

    #[pyo3(signature = (lock = None))]
    fn __init__(slf: &Bound<'_, Self>, lock: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let lock = match lock {
            Some(lock) => lock,
            None => py.get_type::<UniversalRLock>().call0()?,
        };
        slf.setattr("aacquire", lock.getattr("aacquire")?)?;
        ThreadingCondition::over(slf.as_super(), lock)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.get_type().into_any()
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.as_super().get().lock(slf.py())?.call_method0("__aenter__")
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        slf.as_super().get().lock(slf.py())?.call_method1("__aexit__", exception)
    }

    /// Parks the caller, which has to release the lock then.
    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let (py, this) = (slf.py(), slf.as_super().get());
        this.check_owned(py, "wait")?;
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.condition.poll(wait, waker);
        answer(task::begin(py, &this.condition, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let condition = &slf.as_super().get().condition;
        answer(task::resume(waiter, condition, |wait, waker, _| condition.poll(wait, waker)))
    }

    fn _give_up(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(slf.py(), &slf.as_super().get().condition, waiter.as_unbound());
    }

    /// Ends a wait; says whether it had been notified, which the caller has to pass on.
    fn _withdraw(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> bool {
        task::end(waiter, |wait, waker| slf.as_super().get().condition.withdraw(wait, waker))
    }

    fn _notify(slf: &Bound<'_, Self>, n: usize) {
        slf.as_super().get().notify_some(slf.py(), n);
    }
}
