//! `asyncio.Barrier`.

use super::OneLoop;
use crate::faces::{answered, class_of, plain_repr, traverse};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::task::{self, Step, WaitFuture, ONE_LOOP};
use crate::waiters::{fire, Waker};
use plait_core::primitives::barrier::{Barrier, Passage, Phase};
use plait_core::waiter::Wakes;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A number of tasks of one event loop that wait for each other.
///
/// Args:
///     parties: how many have to come, one or more.
///
/// Raises:
///     ValueError: parties is less than one.
///
/// A cancelled waiter counts as one that has not come. For the loop's own thread. Counterpart: asyncio.Barrier.
#[pyclass(module = "plait.asyncio", name = "Barrier", frozen, subclass, dict, weakref)]
pub struct AsyncioBarrier {
    barrier: Barrier<Waker>,
    one_loop: OneLoop,
    built: Built,
}

impl AsyncioBarrier {
    /// A number, or what to await; the error where the barrier is broken.
    fn answer<'py>(&self, py: Python<'py>, step: PyResult<Step<Passage>>) -> PyResult<Bound<'py, PyAny>> {
        match step? {
            Step::Wait(future) => Ok(future.into_bound(py).into_any()),
            Step::Ready(Passage::Through(number) | Passage::Act(number)) => {
                Ok(number.into_pyobject(py)?.into_any())
            }
            Step::Ready(Passage::Broken) => Err(broken(py, "Abort or reset of barrier")),
            Step::Ready(Passage::Refused) => Err(broken(py, "Barrier aborted")),
        }
    }
}

fn broken(py: Python<'_>, message: &'static str) -> PyErr {
    PyErr::from_type(standard(py).asyncio_broken_barrier_error.bind(py).clone(), (message,))
}

#[pymethods]
impl AsyncioBarrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(parties)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioBarrier { barrier: Barrier::new(1), one_loop: OneLoop::unknown(), built: Built::new() }
    }

    fn __init__(&self, parties: &Bound<'_, PyAny>) -> PyResult<()> {
        if parties.lt(1)? {
            let words = standard(parties.py()).asyncio.no_parties.clone();
            return Err(PyValueError::new_err(words.unwrap_or_default()));
        }
        self.barrier.reinitialise(parties.extract()?);
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.barrier)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let state = this.phase_name();
        let waiters = match this.broken() {
            true => String::new(),
            false => format!(", waiters:{}/{}", this.n_waiting(), this.parties()),
        };
        Ok(format!("<{} [{state}{waiters}]>", plain_repr(slf.as_any())?))
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0(intern!(slf.py(), "wait"))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        answered(py)
    }

    fn _begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let loop_ = || this.one_loop.check(slf.as_any());
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| this.barrier.poll(wait, false, waker, wakes);
        this.answer(py, task::begin(py, &this.barrier, ONE_LOOP, loop_, poll))
    }

    fn _resume<'py>(&self, waiter: &Bound<'py, WaitFuture>) -> PyResult<Bound<'py, PyAny>> {
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.barrier.poll(wait, false, waker, wakes);
        let step = task::resume(waiter, &self.barrier, poll);
        self.answer(waiter.py(), step)
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.barrier, waiter.as_unbound());
    }

    fn _reset(&self, py: Python<'_>) {
        let mut wakes = Wakes::None;
        self.barrier.reset(true, &mut wakes);
        fire(py, &self.barrier, wakes);
    }

    fn _abort(&self, py: Python<'_>) {
        let mut wakes = Wakes::None;
        self.barrier.abort(&mut wakes);
        fire(py, &self.barrier, wakes);
    }

    /// How many have to come.
    #[getter]
    fn parties(&self) -> usize {
        self.barrier.parties()
    }

    /// How many have come and wait.
    #[getter]
    fn n_waiting(&self) -> usize {
        match self.barrier.phase() {
            Phase::Filling => self.barrier.inside(),
            _ => 0,
        }
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> bool {
        self.barrier.phase() == Phase::Broken
    }

    #[getter]
    fn _parties(&self) -> usize {
        self.parties()
    }

    #[getter]
    fn _count(&self) -> usize {
        self.barrier.inside()
    }

    /// The state by its name, as the standard library's enumeration has it.
    #[getter(_phase)]
    fn phase_name(&self) -> &'static str {
        match self.barrier.phase() {
            Phase::Filling | Phase::Acting => "filling",
            Phase::Draining => "draining",
            Phase::Resetting => "resetting",
            Phase::Broken => "broken",
        }
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.one_loop.get(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        self.one_loop.traverse(&visit)?;
        traverse(&visit, |waker| self.barrier.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| self.one_loop.set(py, None));
    }
}
