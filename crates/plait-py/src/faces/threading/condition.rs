//! `threading.Condition`, over any lock that has `acquire` and `release`.
//!
//! The lock's methods are looked up once. As in the standard library they become attributes of the object, so that
//! `condition.acquire()` is the lock's own method.

use super::rlock::ThreadingRLock;
use crate::arguments::{counted, Given};
use crate::deadlock;
use crate::faces::timeouts::{patience, patience_by_end};
use crate::faces::{class_of, traverse};
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use crate::waiters::{block_after, fire, Patience, Waker};
use plait_core::primitives::condition::Condition;
use plait_core::waiter::Manner;
use pyo3::exceptions::{PyDeprecationWarning, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// The lock, and what it can do beyond being acquired and released.
#[derive(Default)]
struct Underlying {
    lock: Option<Py<PyAny>>,
    release_save: Option<Py<PyAny>>,
    acquire_restore: Option<Py<PyAny>>,
    is_owned: Option<Py<PyAny>>,
}

/// Threads that wait to be notified, and a lock.
///
/// Args:
///     lock: anything with a lock's `acquire` and `release`; None: a new RLock.
///
/// Safe to use from all threads. Counterpart: threading.Condition.
#[pyclass(module = "plait.threading", name = "Condition", frozen, subclass, dict, weakref)]
pub struct ThreadingCondition {
    pub condition: Condition<Waker>,
    underlying: Guarded<Underlying>,
    built: Built,
}

impl ThreadingCondition {
    pub fn blank() -> ThreadingCondition {
        let underlying = Guarded::new(Underlying::default());
        ThreadingCondition { condition: Condition::default(), underlying, built: Built::new() }
    }

    /// `__init__`: takes the lock and its methods.
    pub fn over(slf: &Bound<'_, Self>, lock: Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        for name in [intern!(py, "acquire"), intern!(py, "release")] {
            slf.setattr(name, lock.getattr(name)?)?;
        }
        let special = |name| -> PyResult<Option<Py<PyAny>>> {
            let method = lock.getattr_opt(name)?;
            if let Some(method) = &method {
                slf.setattr(name, method)?;
            }
            Ok(method.map(Bound::unbind))
        };
        let underlying = Underlying {
            release_save: special(intern!(py, "_release_save"))?,
            acquire_restore: special(intern!(py, "_acquire_restore"))?,
            is_owned: special(intern!(py, "_is_owned"))?,
            lock: Some(lock.unbind()),
        };
        drop(slf.get().underlying.with(py, |u| std::mem::replace(u, underlying)));
        Ok(())
    }

    pub fn lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let lock = self.underlying.with(py, |u| u.lock.as_ref().map(|lock| lock.clone_ref(py)));
        let lock = lock.ok_or_else(|| PyRuntimeError::new_err("Condition.__init__() was not called"))?;
        Ok(lock.into_bound(py))
    }

    fn special(&self, py: Python<'_>, which: fn(&Underlying) -> &Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        self.underlying.with(py, |u| which(u).as_ref().map(|method| method.clone_ref(py)))
    }

    /// Whether the caller holds the lock; a lock that cannot tell is tried.
    pub fn is_owned(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(is_owned) = self.special(py, |u| &u.is_owned) {
            return is_owned.bind(py).call0()?.is_truthy();
        }
        let lock = self.lock(py)?;
        let free = lock.call_method1(intern!(py, "acquire"), (false,))?.is_truthy()?;
        if free {
            lock.call_method0(intern!(py, "release"))?;
        }
        Ok(!free)
    }

    pub fn check_owned(&self, py: Python<'_>, what: &str) -> PyResult<()> {
        match self.is_owned(py)? {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err(format!("cannot {what} on un-acquired lock"))),
        }
    }

    fn release_all(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.special(py, |u| &u.release_save) {
            Some(release_save) => release_save.call0(py),
            None => {
                self.lock(py)?.call_method0(intern!(py, "release"))?;
                Ok(py.None())
            }
        }
    }

    fn acquire_again(&self, py: Python<'_>, saved: Py<PyAny>) -> PyResult<()> {
        match self.special(py, |u| &u.acquire_restore) {
            Some(acquire_restore) => acquire_restore.call1(py, (saved,)).map(drop),
            None => self.lock(py)?.call_method0(intern!(py, "acquire")).map(drop),
        }
    }

    fn wait_within(&self, py: Python<'_>, patience: Patience<'_>) -> PyResult<bool> {
        self.check_owned(py, "wait")?;
        let mut saved = None;
        // Parked first, then the lock is released: no notification falls between the two.
        let parked = || {
            if saved.is_none() {
                saved = Some(self.release_all(py)?);
            }
            Ok(())
        };
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.condition.poll(wait, waker);
        let notified = block_after(py, &self.condition, Manner::Barging, patience, parked, poll);
        if let Some(saved) = saved {
            if let Err(failed) = self.acquire_again(py, saved) {
                if let Ok(Some(())) = notified {
                    // What nobody will hear of goes to the next.
                    self.notify_some(py, 1);
                }
                return Err(failed);
            }
        }
        Ok(notified?.is_some())
    }

    pub fn notify_some(&self, py: Python<'_>, count: usize) {
        fire(py, &self.condition, self.condition.notify(count));
    }
}

#[pymethods]
impl ThreadingCondition {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(lock=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingCondition::blank()
    }

    #[pyo3(signature = (lock = None))]
    fn __init__(slf: &Bound<'_, Self>, lock: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let lock = match lock {
            Some(lock) => lock,
            None if deadlock::explaining() => slf.py().get_type::<ThreadingRLock>().call0()?,
            None => standard(slf.py()).rlock.bind(slf.py()).call0()?,
        };
        ThreadingCondition::over(slf, lock)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.condition)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Condition({}, {})>", self.lock(py)?.str()?, self.condition.waiting()))
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock(py)?.call_method0(intern!(py, "__enter__"))
    }

    #[pyo3(signature = (*exception))]
    fn __exit__<'py>(&self, exception: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = exception.py();
        self.lock(py)?.call_method1(intern!(py, "__exit__"), exception)
    }

    /// Release the lock, block until notified, and take the lock again.
    ///
    /// Args:
    ///     timeout: block for at most so many seconds; None for ever.
    ///
    /// Returns:
    ///     True; False if the time was up. A notification that comes together with the end of the time counts.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock.
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; it takes the lock again first, and a notification goes to the next.
    ///
    /// For threads and greenlets. Counterpart: threading.Condition.wait.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        let patience = patience(timeout.as_ref());
        match patience {
            Ok(patience) => self.wait_within(py, patience),
            // Without the lock that is what is wrong first.
            Err(error) => self.check_owned(py, "wait").and(Err(error)),
        }
    }

    /// Wait until predicate() is true.
    ///
    /// Args:
    ///     predicate: called with the lock held.
    ///     timeout: wait for at most so many seconds; None for ever.
    ///
    /// Returns:
    ///     What the predicate returned last: something false if the time was up.
    ///
    /// Raises:
    ///     RuntimeError: the caller does not hold the lock, and has to wait.
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: as `wait`; and whatever the predicate raises.
    ///
    /// For threads and greenlets. Counterpart: threading.Condition.wait_for.
    #[pyo3(signature = (predicate, timeout = None))]
    fn wait_for<'py>(
        slf: &Bound<'py, Self>,
        predicate: Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let mut end = None;
        loop {
            let result = predicate.call0()?;
            if result.is_truthy()? {
                return Ok(result);
            }
            let left = match (&timeout, end) {
                (None, _) => None,
                (Some(timeout), None) => {
                    end = Some(patience_by_end(Some(timeout))?);
                    Some(timeout.clone())
                }
                (Some(_), Some(patience)) => match patience.left() {
                    Some(left) if left.is_zero() => return Ok(result),
                    left => left
                        .map(|left| left.as_secs_f64().into_pyobject(py))
                        .transpose()?
                        .map(Bound::into_any),
                },
            };
            // By name: a subclass may wait in its own way.
            slf.call_method1(intern!(py, "wait"), (left,))?;
        }
    }

    /// Wake some of those that wait, those that have waited longest. RuntimeError without the lock.
    ///
    /// Args:
    ///     n: how many at most; zero or less: none.
    ///
    /// For whoever holds the lock. Counterpart: threading.Condition.notify.
    #[pyo3(signature = (n = Given(None)), text_signature = "($self, n=1)")]
    fn notify(&self, py: Python<'_>, n: Given<'_>) -> PyResult<()> {
        self.check_owned(py, "notify")?;
        let count = match n.0 {
            None => 1,
            Some(_) if self.condition.waiting() == 0 => 0,
            Some(n) if n.gt(0)? => counted(&n) as usize,
            Some(_) => 0,
        };
        self.notify_some(py, count);
        Ok(())
    }

    /// Wake all that wait. RuntimeError without the lock.
    ///
    /// For whoever holds the lock. Counterpart: threading.Condition.notify_all.
    fn notify_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if !slf.is_exact_instance_of::<ThreadingCondition>() {
            // By name: a subclass may notify in its own way.
            return slf.call_method1(intern!(py, "notify"), (this.condition.waiting(),)).map(drop);
        }
        this.check_owned(py, "notify")?;
        this.notify_some(py, usize::MAX);
        Ok(())
    }

    /// Deprecated: use notify_all(). For whoever holds the lock, as that. Counterpart: threading.Condition.notifyAll.
    #[pyo3(name = "notifyAll")]
    fn notify_all_in_camel_case(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let text = c"notifyAll() is deprecated, use notify_all() instead";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), text, 1)?;
        slf.call_method0(intern!(py, "notify_all")).map(drop)
    }

    #[pyo3(name = "_is_owned")]
    fn is_owned_by_trying(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_owned(py)
    }

    fn _release_save(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.release_all(py)
    }

    fn _acquire_restore(&self, py: Python<'_>, state: Py<PyAny>) -> PyResult<()> {
        self.acquire_again(py, state)
    }

    fn _at_fork_reinit(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.call_method0(intern!(py, "_at_fork_reinit"))?;
        self.condition.reinitialise();
        Ok(())
    }

    #[getter]
    fn _lock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lock(py)
    }

    /// One entry for each who waits, which says nothing more.
    #[getter]
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, (0..self.condition.waiting()).map(|_| py.None()).collect::<Vec<_>>())
    }

    #[getter]
    fn _waiting(&self) -> usize {
        self.condition.waiting()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        let underlying = self.underlying.traverse();
        visit.call(&underlying.lock)?;
        visit.call(&underlying.release_save)?;
        visit.call(&underlying.acquire_restore)?;
        visit.call(&underlying.is_owned)?;
        traverse(&visit, |waker| self.condition.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.underlying.with(py, std::mem::take)));
    }
}
