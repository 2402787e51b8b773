//! `plait.Event`: threading's, and coroutines.

use crate::faces::threading::event::ThreadingEvent;
use crate::faces::{answer, Answer};
use crate::waiters::task::{self, running_loop, WaitFuture, UNIVERSAL};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A flag that threads, tasks of any loop, and greenlets wait for.
///
/// Safe to use from everywhere. Counterparts: threading.Event and asyncio.Event.
#[pyclass(module = "plait", name = "Event", frozen, subclass, extends = ThreadingEvent)]
pub struct UniversalEvent;

#[pymethods]
impl UniversalEvent {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "()")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingEvent::unset()).add_subclass(UniversalEvent)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.get_type().into_any()
    }

    fn _begin(slf: &Bound<'_, Self>) -> Answer {
        let py = slf.py();
        let event = &slf.as_super().get().event;
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| event.poll(wait, waker);
        answer(task::begin(py, event, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) -> Answer {
        let event = &slf.as_super().get().event;
        answer(task::resume(waiter, event, |wait, waker, _| event.poll(wait, waker)))
    }

    fn _give_up(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(slf.py(), &slf.as_super().get().event, waiter.as_unbound());
    }
}
