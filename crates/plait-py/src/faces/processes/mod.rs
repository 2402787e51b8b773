//! The primitives of `multiprocessing`: for the threads, tasks and greenlets of several processes.
//!
//! The words in shared memory and the queue of local waiters are the core's (`plait_core::shm::locks`). Here is how each kind of waiter sleeps for them
//! ([`local`]), who sleeps on behalf of tasks and greenlets ([`helper`]), where new primitives lie and how they get to other processes
//! ([`memory`]), and what Python sees: [`lock`] (locks and semaphores), [`event`], [`condition`], [`barrier`]. The classes that
//! programs use are `plait.multiprocessing.synchronize`, Python over these and over the standard classes.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod helper;
pub mod local;
pub mod lock;
pub mod memory;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// What `__init__` or `__setstate__` fills in, once.
pub struct Filled<T>(OnceLock<T>);

impl<T> Filled<T> {
    pub fn new() -> Filled<T> {
        Filled(OnceLock::new())
    }

    #[inline]
    pub fn get(&self) -> PyResult<&T> {
        self.0.get().ok_or_else(|| PyRuntimeError::new_err("__init__() was not called"))
    }

    /// For the collector, who comes at any time.
    pub fn peek(&self) -> Option<&T> {
        self.0.get()
    }

    pub fn fill(&self, value: T) -> PyResult<()> {
        self.0.set(value).map_err(|_| PyRuntimeError::new_err("__init__() was called before"))
    }
}

/// Called around each fork: see `plait_core::fork::attempts`.
#[pyfunction]
pub fn count_fork_attempt() {
    plait_core::fork::count_attempt();
}

pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    memory::initialise();
    helper::initialise();
    module.add_class::<memory::LockSegment>()?;
    module.add_class::<lock::ProcessLock>()?;
    module.add_class::<event::ProcessEvent>()?;
    module.add_class::<condition::ProcessCondition>()?;
    module.add_class::<barrier::ProcessBarrier>()?;
    module.add_function(wrap_pyfunction!(count_fork_attempt, module)?)
}
