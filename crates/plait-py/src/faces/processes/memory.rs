//! Where the primitives of this process lie, and the pieces of memory that other processes made.

use crate::errors::os_error;
use plait_core::shm::locks::pool::{Pool, Segment, Slot};
use plait_core::word_lock::WordLock;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, OnceLock};

/// Filled when the module is imported: a child whose parent was just about to fill it would wait for ever.
static POOL: OnceLock<WordLock<Pool>> = OnceLock::new();

pub fn initialise() {
    POOL.get_or_init(|| WordLock::new(Pool::default()));
}

/// A place for a new primitive. OSError: there is no memory, or no descriptor for it.
pub fn new_slot(py: Python<'_>) -> PyResult<Slot> {
    let slot = POOL.get_or_init(|| WordLock::new(Pool::default())).lock().slot();
    slot.map_err(|error| os_error(py, &error))
}

/// A piece of shared memory with primitives in it. Pickled, by `plait.multiprocessing.synchronize`, while a process is being spawned.
#[pyclass(module = "plait._native", frozen, weakref)]
pub struct LockSegment {
    segment: Arc<Segment>,
}

#[pymethods]
impl LockSegment {
    /// The one behind a descriptor, which is this object's from now on. OSError: it is something else.
    #[new]
    fn new(py: Python<'_>, descriptor: RawFd) -> PyResult<LockSegment> {
        if descriptor < 0 {
            return Err(PyValueError::new_err("negative file descriptor"));
        }
        // SAFETY: the caller gives it away; Python has only numbers.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        match Segment::open(descriptor) {
            Ok(segment) => Ok(LockSegment { segment: Arc::new(segment) }),
            Err(error) => Err(os_error(py, &error)),
        }
    }

    /// Its descriptor, which stays its own.
    fn fileno(&self) -> RawFd {
        self.segment.descriptor().as_raw_fd()
    }

    /// What it is known by, in all processes.
    #[getter]
    fn key(&self) -> (u64, u64, u64) {
        self.segment.name().into()
    }
}

impl LockSegment {
    /// A place in it that another process told of. ValueError: there is none.
    pub fn slot(&self, index: u32) -> PyResult<Slot> {
        self.segment.slot(index).ok_or_else(|| PyValueError::new_err("no such lock in this memory"))
    }
}

/// Where a primitive lies, for another process that is about to be told.
pub fn shown(slot: &Slot) -> (LockSegment, u32) {
    let (segment, index) = slot.show();
    (LockSegment { segment: Arc::clone(segment) }, index)
}
