//! `asyncio.Event`.

use super::OneLoop;
use crate::faces::{answer, class_of, futures, plain_repr, traverse, waiters_in_words, Answer};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::task::{self, WaitFuture, ONE_LOOP};
use crate::waiters::{fire, Waker};
use plait_core::primitives::event::Event;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// A flag that tasks of one event loop wait for.
///
/// For the loop's own thread. Counterpart: asyncio.Event.
#[pyclass(module = "plait.asyncio", name = "Event", frozen, subclass, dict, weakref)]
pub struct AsyncioEvent {
    event: Event<Waker>,
    one_loop: OneLoop,
    built: Built,
}

#[pymethods]
impl AsyncioEvent {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioEvent { event: Event::default(), one_loop: OneLoop::unknown(), built: Built::new() }
    }

    fn __init__(&self) {
        self.event.reinitialise(true);
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.event)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let state = if slf.get().is_set() { "set" } else { "unset" };
        let waiters = waiters_in_words(slf.get().event.present());
        Ok(format!("<{} [{state}{waiters}]>", plain_repr(slf.as_any())?))
    }

    /// Whether the flag is set. For the loop's own thread. Counterpart: asyncio.Event.is_set.
    fn is_set(&self) -> bool {
        self.event.is_set()
    }

    /// Set the flag, and wake all tasks that wait for it. For the loop's own thread. Counterpart: asyncio.Event.set.
    fn set(&self, py: Python<'_>) {
        if !self.event.is_set() {
            fire(py, &self.event, self.event.set());
        }
    }

    /// Take the flag back. For the loop's own thread. Counterpart: asyncio.Event.clear.
    fn clear(&self) {
        self.event.clear();
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let this = slf.get();
        if this.event.is_set() {
            return Ok(None);
        }
        let loop_ = || this.one_loop.check(slf.as_any());
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.event.poll(wait, waker);
        answer(task::begin(slf.py(), &this.event, ONE_LOOP, loop_, poll))
    }

    fn _resume(&self, waiter: &Bound<'_, WaitFuture>) -> Answer {
        answer(task::resume(waiter, &self.event, |wait, waker, _| self.event.poll(wait, waker)))
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.event, waiter.as_unbound());
    }

    #[getter]
    fn _value(&self) -> bool {
        self.is_set()
    }

    #[getter]
    fn _waiters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        futures(py, &self.one_loop, self.event.present(), |note| self.event.visit(note))
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
        traverse(&visit, |waker| self.event.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| self.one_loop.set(py, None));
    }
}
