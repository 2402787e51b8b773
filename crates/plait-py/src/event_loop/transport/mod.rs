//! What transports of all kinds have in common, once: how errors are reported (`report`), how a protocol is paused and resumed
//! (`flow`, `limits`), what waits to be written, and the memory that small reads go through.
//!
//! Functions, no base type: transports are leaves with different states, and what they share does not know how they keep it.

pub mod flow;
pub mod limits;
pub mod report;

use plait_core::net::LARGEST_READ;
use pyo3::pybacked::PyBackedBytes;
use std::cell::RefCell;

thread_local! {
    /// For reads that are expected to be small: what came is copied out. Nothing that runs Python may keep it borrowed.
    pub static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST_READ].into_boxed_slice());
}

/// What waits to be written.
pub enum Chunk {
    /// A `bytes` object, shared with whoever wrote it.
    Shared(PyBackedBytes),
    /// The rest of something that its owner may change.
    Copied(Box<[u8]>),
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        match self {
            Chunk::Shared(bytes) => bytes,
            Chunk::Copied(bytes) => bytes,
        }
    }
}
