//! `plait.Barrier`: threading's, and coroutines.

use crate::faces::threading::barrier::ThreadingBarrier;
use crate::waiters::task::{self, running_loop, Step, WaitFuture, UNIVERSAL};
use plait_core::primitives::barrier::Passage;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A number of threads, tasks of any loop, and greenlets that wait for each other.
///
/// Args:
///     parties: how many have to come, one or more.
///     action: called without arguments by the last that comes, before any goes on; what it raises breaks the barrier. None: nothing.
///     timeout: how many seconds `wait` waits at most where it is not told (`await_` waits for ever); None for ever.
///
/// Raises:
///     ValueError: parties is less than one (from Python 3.13 on, as the counterpart).
///
/// Safe to use from everywhere. Counterparts: threading.Barrier and asyncio.Barrier.
#[pyclass(module = "plait", name = "Barrier", frozen, subclass, extends = ThreadingBarrier)]
pub struct UniversalBarrier;

/// A number, or what to await; the error where the barrier is broken.
fn answer<'py>(
    slf: &Bound<'py, UniversalBarrier>,
    step: PyResult<Step<Passage>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    match step? {
        Step::Wait(future) => Ok(future.into_bound(py).into_any()),
        Step::Ready(passage) => Ok(slf.as_super().get().go_on(py, passage)?.into_pyobject(py)?.into_any()),
    }
}

#[pymethods]
impl UniversalBarrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(parties, action=None, timeout=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingBarrier::blank()).add_subclass(UniversalBarrier)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.get_type().into_any()
    }

    fn _begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.as_super().get());
        let (barrier, acts) = (&this.barrier, this.acts(py));
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| barrier.poll(wait, acts, waker, wakes);
        answer(slf, task::begin(py, barrier, UNIVERSAL, || running_loop(py), poll))
    }

    fn _resume<'py>(slf: &Bound<'py, Self>, waiter: &Bound<'py, WaitFuture>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.as_super().get();
        let (barrier, acts) = (&this.barrier, this.acts(slf.py()));
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| barrier.poll(wait, acts, waker, wakes);
        answer(slf, task::resume(waiter, barrier, poll))
    }

    fn _give_up(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(slf.py(), &slf.as_super().get().barrier, waiter.as_unbound());
    }
}
