//! `threading.Event`.

use crate::faces::timeouts::patience;
use crate::faces::{class_of, located_repr, traverse};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::{block, fire, Waker};
use plait_core::primitives::event::Event;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyDeprecationWarning;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A flag that threads wait for.
///
/// Safe to use from all threads, and to set from coroutines and greenlets. Counterpart: threading.Event.
#[pyclass(module = "plait.threading", name = "Event", frozen, subclass, dict, weakref)]
pub struct ThreadingEvent {
    pub event: Event<Waker>,
    built: Built,
}

impl ThreadingEvent {
    pub fn unset() -> ThreadingEvent {
        ThreadingEvent { event: Event::default(), built: Built::new() }
    }
}

#[pymethods]
impl ThreadingEvent {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingEvent::unset()
    }

    fn __init__(&self) {
        self.event.reinitialise(true);
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.event)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().is_set() { "set" } else { "unset" };
        Ok(format!("<{}: {state}>", located_repr(slf.as_any())?))
    }

    /// Whether the flag is set. Safe to call from everywhere. Counterpart: threading.Event.is_set.
    fn is_set(&self) -> bool {
        self.event.is_set()
    }

    /// Whether the flag is set. Deprecated: use is_set(). Safe to call from everywhere. Counterpart: threading.Event.isSet.
    #[pyo3(name = "isSet")]
    fn is_set_in_camel_case<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let text = c"isSet() is deprecated, use is_set() instead";
        PyErr::warn(py, &py.get_type::<PyDeprecationWarning>(), text, 1)?;
        slf.call_method0("is_set")
    }

    /// Set the flag, and wake all who wait for it. Safe to call from everywhere. Counterpart: threading.Event.set.
    fn set(&self, py: Python<'_>) {
        fire(py, &self.event, self.event.set());
    }

    /// Take the flag back. Safe to call from everywhere. Counterpart: threading.Event.clear.
    fn clear(&self) {
        self.event.clear();
    }

    /// Block until the flag is set.
    ///
    /// Args:
    ///     timeout: for at most so many seconds; None for ever.
    ///
    /// Returns:
    ///     True; False if the time was up.
    ///
    /// Raises:
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited.
    ///
    /// For threads and greenlets. Counterpart: threading.Event.wait.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        if self.event.is_set() {
            return Ok(true);
        }
        let patience = patience(timeout.as_ref())?;
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.event.poll(wait, waker);
        Ok(block(py, &self.event, Manner::Barging, patience, poll)?.is_some())
    }

    #[getter]
    fn _flag(&self) -> bool {
        self.is_set()
    }

    #[getter]
    fn _waiting(&self) -> usize {
        self.event.waiting()
    }

    fn _at_fork_reinit(&self) {
        self.event.reinitialise(false);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => traverse(&visit, |waker| self.event.visit(waker)),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {}
}
