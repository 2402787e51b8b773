//! asyncio's locks and queues, for the tasks of one loop: exactly asyncio's rules of fairness, cancellation and errors.
//!
//! They are bound to the loop in which somebody first has to wait, as asyncio's are, and wake their waiters without a detour where
//! that loop runs.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod lock;
pub mod semaphore;

use crate::guarded::Guarded;
use crate::waiters::task::running_loop;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// The one loop whose tasks wait here; None until somebody does.
pub struct OneLoop(Guarded<Option<Py<PyAny>>>);

impl OneLoop {
    pub fn unknown() -> OneLoop {
        OneLoop(Guarded::new(None))
    }

    /// The running loop, which becomes the one; RuntimeError if another is.
    pub fn check<'py>(&self, owner: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = owner.py();
        let running = running_loop(py)?;
        let kept = running.clone().unbind();
        let same = self.0.with(py, |known| known.get_or_insert(kept).is(&running));
        match same {
            true => Ok(running),
            false => {
                let text = format!("{} is bound to a different event loop", owner.repr()?);
                Err(PyRuntimeError::new_err(text))
            }
        }
    }

    pub fn get(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.0.with(py, |known| known.as_ref().map(|known| known.clone_ref(py)))
    }

    pub fn set(&self, py: Python<'_>, loop_: Option<Py<PyAny>>) {
        drop(self.0.with(py, |known| std::mem::replace(known, loop_)));
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.0.traverse())
    }
}
