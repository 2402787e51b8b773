//! `threading.Barrier`.

use crate::faces::timeouts::patience_by_end;
use crate::faces::{class_of, located_repr, traverse};
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::barrier::{Barrier, Passage, Phase};
use plait_core::waiter::{Manner, Wait, Wakes};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::Cell;
use std::time::Instant;

#[derive(Default)]
struct Given {
    action: Option<Py<PyAny>>,
    timeout: Option<Py<PyAny>>,
}

/// A number of threads that wait for each other.
///
/// Args:
///     parties: how many have to come, one or more.
///     action: called without arguments by the last that comes, before any goes on; what it raises breaks the barrier. None: nothing.
///     timeout: how many seconds `wait` waits at most where it is not told; None for ever.
///
/// Raises:
///     ValueError: parties is less than one (from Python 3.13 on, as the counterpart).
///
/// Safe to use from all threads. Counterpart: threading.Barrier.
#[pyclass(module = "plait.threading", name = "Barrier", frozen, subclass, dict, weakref)]
pub struct ThreadingBarrier {
    pub barrier: Barrier<Waker>,
    given: Guarded<Given>,
    built: Built,
}

impl ThreadingBarrier {
    pub fn blank() -> ThreadingBarrier {
        let given = Guarded::new(Given::default());
        ThreadingBarrier { barrier: Barrier::new(1), given, built: Built::new() }
    }

    /// Whether the last party has something to do.
    pub fn acts(&self, py: Python<'_>) -> bool {
        self.given.with(py, |given| given.action.is_some())
    }

    /// At the door it waits for ever: the time counts from its own entry on. None: it ran out.
    fn wait_for_others(
        &self,
        py: Python<'_>,
        acts: bool,
        patience: Patience<'_>,
    ) -> PyResult<Option<Passage>> {
        let timeout = patience.left();
        let end = Cell::new(None);
        let poll = |wait: &mut Wait, waker: &mut _, wakes: &mut _| {
            let progress = self.barrier.poll(wait, acts, waker, wakes);
            if let (true, None, Some(timeout)) = (wait.is_inside(), end.get(), timeout) {
                end.set(Some(Instant::now() + timeout));
            }
            progress
        };
        block(py, &self.barrier, Manner::InOrder, Patience::Told(&end), poll)
    }

    /// What a party does that is let through: the last one acts first.
    pub fn go_on(&self, py: Python<'_>, passage: Passage) -> PyResult<usize> {
        let number = match passage {
            Passage::Through(number) => return Ok(number),
            Passage::Broken | Passage::Refused => {
                return Err(PyErr::from_type(standard(py).broken_barrier_error.bind(py).clone(), ()));
            }
            Passage::Act(number) => number,
        };
        let action = self.given.with(py, |given| given.action.as_ref().map(|action| action.clone_ref(py)));
        let acted = action.map_or(Ok(()), |action| action.call0(py).map(drop));
        let passage = if acted.is_ok() { Passage::Through(number) } else { Passage::Broken };
        let mut wakes = Wakes::None;
        self.barrier.acted(passage, &mut wakes);
        fire(py, &self.barrier, wakes);
        acted.map(|()| number)
    }
}

#[pymethods]
impl ThreadingBarrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(parties, action=None, timeout=None)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingBarrier::blank()
    }

    #[pyo3(signature = (parties, action = None, timeout = None))]
    fn __init__(
        &self,
        py: Python<'_>,
        parties: &Bound<'_, PyAny>,
        action: Option<Py<PyAny>>,
        timeout: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let nobody = parties.lt(1)?;
        if let (true, Some(words)) = (nobody, &standard(py).threading.no_parties) {
            return Err(PyValueError::new_err(words.clone()));
        }
        let action = action.filter(|action| action.bind(py).is_truthy().unwrap_or(true));
        // Where the host lets nobody be a party, everybody waits for ever.
        self.barrier.reinitialise(if nobody { 0 } else { parties.extract()? });
        drop(self.given.with(py, |given| std::mem::replace(given, Given { action, timeout })));
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.barrier)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let located = located_repr(slf.as_any())?;
        // By name: a subclass may hide the properties.
        if slf.as_any().getattr("broken")?.is_truthy()? {
            return Ok(format!("<{located}: broken>"));
        }
        let (waiting, parties) = (slf.as_any().getattr("n_waiting")?, slf.as_any().getattr("parties")?);
        Ok(format!("<{located}: waiters={}/{}>", waiting.str()?, parties.str()?))
    }

    /// Wait until all parties have come.
    ///
    /// Args:
    ///     timeout: wait for at most so many seconds, and then break the barrier; None for what the barrier was made with.
    ///
    /// Returns:
    ///     A number from 0 to parties - 1, another one for each.
    ///
    /// Raises:
    ///     BrokenBarrierError: the barrier is broken, or was reset meanwhile, or the time was up.
    ///     TypeError, OverflowError: the timeout is no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; then it counts as not having come. And whatever the action raises.
    ///
    /// For threads and greenlets. Counterpart: threading.Barrier.wait.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
        let timeout = match timeout {
            Some(timeout) => Some(timeout),
            None => self
                .given
                .with(py, |given| given.timeout.as_ref().map(|timeout| timeout.clone_ref(py)))
                .map(|timeout| timeout.into_bound(py)),
        };
        let acts = self.acts(py);
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.barrier.poll(wait, acts, waker, wakes);
        let passage = match attempt(py, &self.barrier, Manner::InOrder, poll) {
            Some(passage) => Some(passage),
            None => self.wait_for_others(py, acts, patience_by_end(timeout.as_ref())?)?,
        };
        self.go_on(py, passage.unwrap_or(Passage::Broken))
    }

    /// Back to the beginning: those who wait get BrokenBarrierError.
    ///
    /// It never waits. Safe to call from everywhere. Counterpart: threading.Barrier.reset.
    fn reset(&self, py: Python<'_>) {
        let mut wakes = Wakes::None;
        self.barrier.reset(false, &mut wakes);
        fire(py, &self.barrier, wakes);
    }

    /// Break it: those who wait or come get BrokenBarrierError, until it is reset.
    ///
    /// It never waits. Safe to call from everywhere. Counterpart: threading.Barrier.abort.
    fn abort(&self, py: Python<'_>) {
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
            Phase::Filling | Phase::Acting => self.barrier.inside(),
            _ => 0,
        }
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> bool {
        self.barrier.phase() == Phase::Broken
    }

    #[getter]
    fn _waiting(&self) -> usize {
        self.barrier.waiting()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(&self.given.traverse().action)?;
        visit.call(&self.given.traverse().timeout)?;
        traverse(&visit, |waker| self.barrier.visit(waker))
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.given.with(py, std::mem::take)));
    }
}
