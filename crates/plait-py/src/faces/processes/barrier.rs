//! `multiprocessing.Barrier`.
//!
//! A wait has two stages: at the door, until the crowd before has left, and inside, until all have come. Time counts inside.
//!
//! A party leaves once. Who is let through has left: where it is given up before it has noticed, it is not counted out again.

use super::local::{patience, Local};
use super::memory::{new_slot, shown, LockSegment};
use super::Filled;
use crate::faces::traverse;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use crate::waiters::task::{self, WaitFuture};
use crate::waiters::{Patience, Waker};
use plait_core::primitives::barrier::{Passage, Phase};
use plait_core::primitives::Primitive;
use plait_core::shm::locks::barrier::{Barrier, Stand, Step};
use plait_core::shm::locks::pool::Slot;
use plait_core::waiter::{Wait, Wakes};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::cell::Cell;

/// A number of strands of several processes that wait for each other: the base of `plait.multiprocessing.synchronize.Barrier`.
#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct ProcessBarrier {
    core: Filled<Local<Barrier<Slot>>>,
    action: Guarded<Option<Py<PyAny>>>,
    built: Built,
}

/// A party that blocks inside. It wakes nobody when it polls, so the waits that are given up are its own.
struct Party<'a> {
    local: &'a Local<Barrier<Slot>>,
    /// It had been let through when it was given up.
    has_left: Cell<bool>,
}

impl Primitive<Waker> for Party<'_> {
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<Waker>, wakes: &mut Wakes<Waker>) {
        self.local.give_up(wait, waker, wakes);
        self.has_left.set(wait.has_given_back());
    }
}

fn stand(inside: Option<usize>) -> Stand {
    inside.map_or(Stand::Door, Stand::Inside)
}

impl ProcessBarrier {
    /// Blocks inside, with this number.
    fn wait_inside(
        &self,
        py: Python<'_>,
        number: usize,
        mut patience: Option<Patience<'_>>,
    ) -> PyResult<Passage> {
        let local = self.core.get()?;
        let party = Party { local, has_left: Cell::new(false) };
        loop {
            let step = match (local.attempt(Stand::Inside(number)), patience) {
                (None, Some(patience)) => local.block_as(py, &party, Stand::Inside(number), patience),
                (step, _) => Ok(step),
            };
            match step {
                Ok(Some(Step::Passed(passage))) => return Ok(passage),
                Ok(_) => {}
                Err(raised) => {
                    if !party.has_left.get() {
                        local.shared().leave_inside();
                    }
                    return Err(raised);
                }
            }
            match local.shared().time_out(number) {
                Some(passage) => return Ok(passage),
                // The last one acts, for which nobody's time runs.
                None => patience = Some(Patience::Forever),
            }
        }
    }

    /// What a party does that is let through: the last one acts first.
    fn go_on(&self, py: Python<'_>, passage: Passage) -> PyResult<usize> {
        let number = match passage {
            Passage::Through(number) => return Ok(number),
            Passage::Broken | Passage::Refused => {
                return Err(PyErr::from_type(standard(py).broken_barrier_error.bind(py).clone(), ()));
            }
            Passage::Act(number) => number,
        };
        let action = self.action.with(py, |action| action.as_ref().map(|action| action.clone_ref(py)));
        let acted = action.map_or(Ok(()), |action| action.call0(py).map(drop));
        let passage = if acted.is_ok() { Passage::Through(number) } else { Passage::Broken };
        self.core.get()?.shared().acted(passage);
        acted.map(|()| number)
    }

    /// For a coroutine: what to await; a tuple, its number inside, where it is to begin anew; a number, with which it goes on.
    fn answer<'py>(&self, py: Python<'py>, step: task::Step<Step>) -> PyResult<Bound<'py, PyAny>> {
        match step {
            task::Step::Wait(future) => Ok(future.into_bound(py).into_any()),
            task::Step::Ready(Step::Entered(number)) => Ok((number,).into_pyobject(py)?.into_any()),
            task::Step::Ready(Step::Passed(passage)) => {
                Ok(self.go_on(py, passage)?.into_pyobject(py)?.into_any())
            }
        }
    }
}

#[pymethods]
impl ProcessBarrier {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ProcessBarrier { core: Filled::new(), action: Guarded::new(None), built: Built::new() }
    }

    /// Makes it: in new memory, or where another process has made it.
    #[pyo3(signature = (parties, action, place = None))]
    fn _fill(
        &self,
        py: Python<'_>,
        parties: u32,
        action: Option<Py<PyAny>>,
        place: Option<(Bound<'_, LockSegment>, u32)>,
    ) -> PyResult<()> {
        if parties < 1 {
            return Err(PyValueError::new_err("parties must be > 0"));
        }
        let place = match place {
            Some((segment, index)) => segment.get().slot(index)?,
            None => new_slot(py)?,
        };
        let acts = action.is_some();
        self.core.fill(Local::new(Barrier { place, parties, acts }))?;
        drop(self.action.with(py, |known| std::mem::replace(known, action)));
        Ok(())
    }

    fn _place(&self) -> PyResult<(LockSegment, u32)> {
        Ok(shown(&self.core.get()?.shared().place))
    }

    /// Blocks until all have come; its number. For at most so many seconds, which breaks it.
    #[pyo3(signature = (timeout = None))]
    fn _wait(&self, py: Python<'_>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
        let local = self.core.get()?;
        // Before it comes in: what is no number is refused at the door.
        let patience = patience(timeout)?;
        let step = match local.attempt(Stand::Door) {
            Some(step) => Some(step),
            None => local.block(py, Stand::Door, Patience::Forever)?,
        };
        let passage = match step {
            Some(Step::Passed(passage)) => passage,
            Some(Step::Entered(number)) => self.wait_inside(py, number, patience)?,
            None => Passage::Refused,
        };
        self.go_on(py, passage)
    }

    #[pyo3(signature = (inside))]
    fn _begin<'py>(&self, py: Python<'py>, inside: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        let local = self.core.get()?;
        match local.begin(py, stand(inside)) {
            Ok(step) => self.answer(py, step),
            Err(raised) => {
                if inside.is_some() {
                    local.shared().leave_inside();
                }
                Err(raised)
            }
        }
    }

    #[pyo3(signature = (waiter, inside))]
    fn _resume<'py>(
        &self,
        waiter: &Bound<'py, WaitFuture>,
        inside: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let step = self.core.get()?.resume(stand(inside), waiter)?;
        self.answer(waiter.py(), step)
    }

    /// It counts as not having come.
    #[pyo3(signature = (waiter, inside))]
    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>, inside: Option<usize>) -> PyResult<()> {
        let local = self.core.get()?;
        if !local.give_back(waiter) && inside.is_some() {
            local.shared().leave_inside();
        }
        Ok(())
    }

    /// Back to the beginning: those who wait get BrokenBarrierError.
    ///
    /// It never waits. Safe to call from everywhere. Counterpart: multiprocessing.Barrier.reset.
    fn reset(&self) -> PyResult<()> {
        self.core.get()?.shared().reset();
        Ok(())
    }

    /// Break it: those who wait or come get BrokenBarrierError, until it is reset.
    ///
    /// It never waits. Safe to call from everywhere. Counterpart: multiprocessing.Barrier.abort.
    fn abort(&self) -> PyResult<()> {
        self.core.get()?.shared().abort();
        Ok(())
    }

    /// How many have to come.
    #[getter]
    fn parties(&self) -> PyResult<u32> {
        Ok(self.core.get()?.shared().parties)
    }

    /// How many have come and wait.
    #[getter]
    fn n_waiting(&self) -> PyResult<usize> {
        let barrier = self.core.get()?.shared();
        Ok(match barrier.phase() {
            Phase::Filling | Phase::Acting => barrier.inside(),
            _ => 0,
        })
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> PyResult<bool> {
        Ok(self.core.get()?.shared().phase() == Phase::Broken)
    }

    #[getter]
    fn _action(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.action.with(py, |action| action.as_ref().map(|action| action.clone_ref(py)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(self.action.traverse())?;
        self.core.peek().map_or(Ok(()), |local| traverse(&visit, |waker| local.visit(waker)))
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.action.with(py, Option::take)));
    }
}
