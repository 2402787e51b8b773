//! `asyncio.Condition`, over any lock with `acquire`, `release` and `locked`.

use super::lock::AsyncioLock;
use super::OneLoop;
use crate::arguments::{counted, Given};
use crate::faces::{answer, answered, class_of, futures, plain_repr, traverse, waiters_in_words, Answer};
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use crate::waiters::task::{self, WaitFuture, ONE_LOOP};
use crate::waiters::{fire, Waker};
use plait_core::primitives::condition::Condition;
use plait_core::waiter::Wakes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// Tasks of one event loop that wait to be notified, and a lock.
///
/// Args:
///     lock: anything with asyncio.Lock's `acquire`, `release` and `locked`; None: a new Lock.
///
/// A cancelled waiter passes its notification on. For the loop's own thread. Counterpart: asyncio.Condition.
#[pyclass(module = "plait.asyncio", name = "Condition", frozen, subclass, dict, weakref)]
pub struct AsyncioCondition {
    condition: Condition<Waker>,
    lock: Guarded<Option<Py<PyAny>>>,
    one_loop: OneLoop,
    built: Built,
}

impl AsyncioCondition {
    fn lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lock = self.lock.with(py, |lock| lock.as_ref().map(|lock| lock.clone_ref(py)));
        let lock = lock.ok_or_else(|| PyRuntimeError::new_err("Condition.__init__() was not called"))?;
        Ok(lock.into_bound(py))
    }

    /// Whether somebody holds the lock.
    fn is_locked(&self, py: Python<'_>) -> PyResult<bool> {
        let lock = self.lock(py)?;
        match lock.cast_exact::<AsyncioLock>() {
            Ok(native) => Ok(native.get().locked()),
            Err(_) => lock.call_method0(intern!(py, "locked"))?.is_truthy(),
        }
    }

    fn check_locked(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        match self.is_locked(py)? {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err(format!("cannot {what} on un-acquired lock"))),
        }
    }

    /// One after the other, for one that was cancelled does not count.
    fn notify_some(&self, py: Python<'_>, count: usize) {
        for _ in 0..count {
            match self.condition.notify(1) {
                Wakes::None => break,
                wakes => fire(py, &self.condition, wakes),
            }
        }
    }
}

#[pymethods]
impl AsyncioCondition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(lock=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioCondition {
            condition: Condition::default(),
            lock: Guarded::new(None),
            one_loop: OneLoop::unknown(),
            built: Built::new(),
        }
    }

    #[pyo3(signature = (lock = None))]
    fn __init__(slf: &Bound<'_, Self>, lock: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let lock = match lock {
            Some(lock) => lock,
            None => py.get_type::<AsyncioLock>().call0()?,
        };
        for name in [intern!(py, "locked"), intern!(py, "acquire"), intern!(py, "release")] {
            slf.setattr(name, lock.getattr(name)?)?;
        }
        let replaced = slf.get().lock.with(py, |known| known.replace(lock.unbind()));
        drop(replaced);
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.condition)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().is_locked(slf.py())? { "locked" } else { "unlocked" };
        let waiters = waiters_in_words(slf.get().condition.present());
        Ok(format!("<{} [{state}{waiters}]>", plain_repr(slf.as_any())?))
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let lock = slf.get().lock(py)?;
        match lock.cast_exact::<AsyncioLock>() {
            Ok(native) if slf.is_exact_instance_of::<AsyncioCondition>() => {
                Ok(AsyncioLock::enter(native)?.into_bound(py))
            }
            _ => slf.call_method0(intern!(py, "_enter_by_acquiring")),
        }
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        slf.call_method0(intern!(py, "release"))?;
        answered(py)
    }

    /// Wake tasks that wait, those that have waited longest. RuntimeError when nobody holds the lock.
    ///
    /// Args:
    ///     n: how many at most; zero or less: none.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Condition.notify.
    #[pyo3(signature = (n = Given(None)), text_signature = "($self, n=1)")]
    fn notify(slf: &Bound<'_, Self>, n: Given<'_>) -> PyResult<()> {
        slf.get().check_locked(slf.py(), "notify")?;
        let count = match n.0 {
            None => 1,
            Some(_) if slf.get().condition.waiting() == 0 => 0,
            Some(n) if n.le(0)? => 0,
            Some(n) => counted(&n) as usize,
        };
        slf.get().notify_some(slf.py(), count);
        Ok(())
    }

    /// Wake all tasks that wait. RuntimeError when nobody holds the lock.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Condition.notify_all.
    fn notify_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.is_exact_instance_of::<AsyncioCondition>() {
            true => {
                slf.get().check_locked(slf.py(), "notify")?;
                slf.get().notify_some(slf.py(), usize::MAX);
                Ok(())
            }
            // By name: a subclass may notify in its own way.
            false => {
                slf.call_method1(intern!(slf.py(), "notify"), (slf.get().condition.waiting(),)).map(drop)
            }
        }
    }

    fn _notify(&self, py: Python<'_>, n: i64) {
        self.notify_some(py, n.max(0) as usize);
    }

    /// Parks the caller, which has to release the lock then.
    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let this = slf.get();
        this.check_locked(slf.py(), "wait")?;
        let loop_ = || this.one_loop.check(slf.as_any());
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.condition.poll(wait, waker);
        answer(task::begin(slf.py(), &this.condition, ONE_LOOP, loop_, poll))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        answer(task::resume(waiter, &self.condition, |wait, waker, _| self.condition.poll(wait, waker)))
    }

    /// Ends a wait; says whether it had been notified, which the caller has to pass on.
    fn _withdraw(&self, waiter: &Bound<'_, WaitFuture>) -> bool {
        task::end(waiter, |wait, waker| self.condition.withdraw(wait, waker))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.condition, waiter.as_unbound());
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock(py)
    }

    #[getter]
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        futures(py, &self.one_loop, self.condition.present(), |note| self.condition.visit(note))
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
        visit.call(self.lock.traverse())?;
        self.one_loop.traverse(&visit)?;
        traverse(&visit, |waker| self.condition.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            self.one_loop.set(py, None);
            drop(self.lock.with(py, Option::take));
        });
    }
}
