//! What `wait` and `as_completed` wait with: futures leave themselves there as they are done, and it knows when that is enough.

use super::future::{Callback, ConcurrentFuture, Phase};
use crate::deadlock;
use crate::faces::timeouts::patience;
use crate::guarded::{Built, Guarded};
use crate::waiters::{block, fire, Patience, Waker};
use plait_core::primitives::event::Event;
use plait_core::waiter::Manner;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PySet, PyTuple};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Enough {
    /// Each one, or the first.
    One,
    All,
    /// All, or one that failed.
    Failure,
}

struct Watched {
    enough: Enough,
    left: usize,
    finished: Vec<Py<ConcurrentFuture>>,
}

/// Who waits for several futures of pools.
#[pyclass(module = "plait._native", frozen)]
pub struct FutureWatcher {
    event: Event<Waker>,
    state: Guarded<Watched>,
    built: Built,
}

impl FutureWatcher {
    /// A future is done.
    pub fn told(&self, future: &Bound<'_, ConcurrentFuture>, failed: bool) {
        let py = future.py();
        let enough = self.state.with(py, |s| {
            s.finished.push(future.clone().unbind());
            s.left = s.left.saturating_sub(1);
            s.left == 0 || s.enough == Enough::One || (failed && s.enough == Enough::Failure)
        });
        if enough {
            fire(py, &self.event, self.event.set());
        }
    }

    /// Watches all of them. None: one of them is open, or of another make.
    fn over<'py>(futures: &Bound<'py, PySet>, enough: Enough) -> PyResult<Option<Bound<'py, FutureWatcher>>> {
        let py = futures.py();
        let Some(natives) = sealed(futures) else { return Ok(None) };
        let state = Watched { enough, left: natives.len(), finished: Vec::new() };
        let watcher = Bound::new(
            py,
            FutureWatcher { event: Event::default(), state: Guarded::new(state), built: Built::new() },
        )?;
        for future in &natives {
            let callback = Callback::Watch(watcher.clone().unbind());
            if future.get().add(py, callback, Phase::counts_as_done).is_some() {
                watcher.get().told(future, has_failed(future));
            }
        }
        Ok(Some(watcher))
    }

    fn wait(&self, futures: &Bound<'_, PySet>, timeout: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        if self.event.is_set() {
            return Ok(());
        }
        let py = futures.py();
        let patience = patience(timeout)?;
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.event.poll(wait, waker);
        let blocks = || block(py, &self.event, Manner::Barging, patience, poll).map(drop);
        match patience {
            Patience::Forever if deadlock::explaining() => {
                let every = self.state.with(py, |s| s.enough == Enough::All);
                deadlock::awaits_jobs(futures, every, py, blocks)
            }
            _ => blocks(),
        }
    }
}

fn has_failed(future: &Bound<'_, ConcurrentFuture>) -> bool {
    future.get().with(future.py(), |s| s.phase == Phase::Finished && s.exception.is_some())
}

/// All of them, if all are native and sealed.
fn sealed<'py>(futures: &Bound<'py, PySet>) -> Option<Vec<Bound<'py, ConcurrentFuture>>> {
    let sealed = |future: Bound<'py, PyAny>| match future.cast_into_exact::<ConcurrentFuture>() {
        Ok(native) if !native.get().is_open(native.py()) => Some(native),
        _ => None,
    };
    futures.iter().map(sealed).collect()
}

#[pymethods]
impl FutureWatcher {
    /// Those that are done since the last time, in that order; it blocks until there is one (of these), for at most so many seconds.
    #[pyo3(signature = (futures, timeout, /))]
    fn take<'py>(
        &self,
        futures: &Bound<'py, PySet>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = futures.py();
        self.wait(futures, timeout.as_ref())?;
        self.event.clear();
        let finished = self.state.with(py, |s| std::mem::take(&mut s.finished));
        PyList::new(py, finished)
    }

    /// These are not watched any more.
    #[pyo3(signature = (futures, /))]
    fn forget(slf: &Bound<'_, Self>, futures: &Bound<'_, PySet>) {
        for future in futures.iter() {
            if let Ok(native) = future.cast_exact::<ConcurrentFuture>() {
                native.get().unwatch(slf.py(), slf.as_unbound());
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            false => Ok(()),
            true => {
                self.state.traverse().finished.iter().try_for_each(|future| visit.call(future))?;
                self.event.visit(|waker| waker.traverse(&visit))
            }
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, |s| std::mem::take(&mut s.finished))));
    }
}

/// Watches a set of futures for `as_completed`. None: they are not all plait's, or one of them is open.
#[pyfunction]
#[pyo3(signature = (futures, /))]
pub fn watch_futures<'py>(futures: &Bound<'py, PySet>) -> PyResult<Option<Bound<'py, FutureWatcher>>> {
    FutureWatcher::over(futures, Enough::One)
}

/// The sets of `wait`. None: as above, or an unknown condition.
#[pyfunction]
#[pyo3(signature = (futures, timeout, return_when, /))]
pub fn wait_for_futures<'py>(
    futures: &Bound<'py, PySet>,
    timeout: Option<Bound<'py, PyAny>>,
    return_when: &str,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = futures.py();
    let enough = match return_when {
        "FIRST_COMPLETED" => Enough::One,
        "FIRST_EXCEPTION" => Enough::Failure,
        "ALL_COMPLETED" => Enough::All,
        _ => return Ok(None),
    };
    let Some(natives) = sealed(futures) else { return Ok(None) };
    let done = |future: &Bound<'py, ConcurrentFuture>| future.get().phase(py).counts_as_done();
    let finished = natives.iter().filter(|future| done(future)).count();
    let at_once = finished == natives.len()
        || (finished > 0 && enough == Enough::One)
        || (enough == Enough::Failure && natives.iter().any(has_failed));
    if !at_once {
        let Some(watcher) = FutureWatcher::over(futures, enough)? else { return Ok(None) };
        let waited = watcher.get().wait(futures, timeout.as_ref());
        natives.iter().for_each(|future| future.get().unwatch(py, watcher.as_unbound()));
        waited?;
    }
    let (done, not_done): (Vec<_>, Vec<_>) = natives.into_iter().partition(done);
    let sets = (PySet::new(py, done)?, PySet::new(py, not_done)?);
    Ok(Some(sets.into_pyobject(py)?))
}
