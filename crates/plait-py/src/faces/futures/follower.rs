//! An asyncio future that becomes what a call on another thread comes to.
//!
//! The thread that is through with the call puts the future and its outcome into the loop's inbox, as one entry; the loop settles the future in its
//! next turn, and the task that awaits it goes on. asyncio schedules a Python function with `call_soon_threadsafe` for that, and has two futures
//! for each call that `run_in_executor` makes. Here there is one: the pool's queue holds the asyncio future itself, and whoever is
//! about to run the call looks whether it was cancelled.

use super::future::{Callback, ConcurrentFuture, Outcome, Phase, Seen};
use super::names;
use crate::event_loop::future::{Future, Outcome as Settlement};
use crate::event_loop::ready::Ready;
use crate::event_loop::EventLoop;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// A future of plait's loop, exactly, and that loop. While one is there, the loop knows that somebody works for it.
pub struct Follower {
    future: Py<Future>,
    loop_: Py<EventLoop>,
}

impl Follower {
    pub fn new(future: &Bound<'_, Future>, loop_: &Bound<'_, EventLoop>) -> Follower {
        loop_.get().works_elsewhere.begin();
        Follower { future: future.clone().unbind(), loop_: loop_.clone().unbind() }
    }

    pub fn is_cancelled(&self, py: Python<'_>) -> bool {
        self.future.get().is_cancelled(py)
    }

    /// Hands the outcome to the loop, from any thread. A loop that is closed has no use for it.
    pub fn resume(self, py: Python<'_>, seen: Seen) {
        let entry = Ready::Offloaded(self.future.clone_ref(py), seen);
        let _ = self.loop_.get().post(py, entry);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)?;
        visit.call(&self.loop_)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.loop_.get().works_elsewhere.end();
    }
}

impl From<Outcome> for Seen {
    fn from(outcome: Outcome) -> Seen {
        match outcome {
            Outcome::Returned(value) => Seen::Returned(value),
            Outcome::Raised(error) => Seen::Raised(error),
        }
    }
}

impl Seen {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Seen::Cancelled => Ok(()),
            Seen::Returned(value) | Seen::Raised(value) => visit.call(value),
        }
    }
}

/// What the loop does with it: asyncio's `_copy_future_state`.
pub fn settle(future: &Bound<'_, Future>, seen: Seen) -> PyResult<()> {
    let py = future.py();
    if future.get().is_done(py) {
        return Ok(()); // it was cancelled meanwhile
    }
    match seen {
        Seen::Returned(value) => Future::settle(future, Settlement::Result(value)).map(drop),
        Seen::Cancelled => Future::cancel_base(future, None).map(drop),
        Seen::Raised(error) => {
            let error = names(py)?.convert_error.bind(py).call1((error,))?;
            Future::set_exception(future, error)
        }
    }
}

/// `source`, of a pool, ends, and so does `future`, of a plait loop; and if that is cancelled, so is `source`. False: they are not of
/// these kinds, and asyncio's own way is to be taken.
#[pyfunction]
#[pyo3(signature = (source, future, loop_, /))]
pub fn follow(
    source: &Bound<'_, PyAny>,
    future: &Bound<'_, PyAny>,
    loop_: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let py = source.py();
    let (Ok(source), Ok(future), Ok(loop_)) = (
        source.cast_exact::<ConcurrentFuture>(),
        future.cast_exact::<Future>(),
        loop_.cast_exact::<EventLoop>(),
    ) else {
        return Ok(false);
    };
    let canceller = Bound::new(py, SourceCanceller { source: source.clone().unbind() })?;
    future.call_method1("add_done_callback", (canceller,))?;
    let follower = Callback::Follow(Follower::new(future, loop_));
    if let Some(Callback::Follow(follower)) = source.get().add(py, follower, Phase::is_done) {
        if let Some(seen) = source.get().look(py) {
            follower.resume(py, seen);
        }
    }
    Ok(true)
}

/// Cancels a pool's future when the one is cancelled that follows it.
#[pyclass(module = "plait._native", frozen)]
pub struct SourceCanceller {
    source: Py<ConcurrentFuture>,
}

#[pymethods]
impl SourceCanceller {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        if future.call_method0("cancelled")?.is_truthy()? {
            ConcurrentFuture::cancel(self.source.bind(future.py()))?;
        }
        Ok(())
    }

    /// As asyncio's function shows in the repr of a future.
    #[getter]
    fn __qualname__(&self) -> &'static str {
        "_chain_future.<locals>._call_check_cancel"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.source)
    }
}
