//! What transports of all kinds have in common, once.
//!
//! 1. [`base`]: what every one is and does: its loop, its context, how it begins and ends.
//! 2. [`flow`]: how a protocol is paused and resumed, by the marks of `limits`.
//! 3. [`selector`]: what those over sockets do alike: closing, pausing, fatal errors. `course` is how far one has come.
//! 4. [`report`]: what goes wrong, in asyncio's words.
//!
//! Traits and functions, no base type: transports are leaves with different states, and what they share asks them for the part that
//! it needs.

pub mod base;
pub mod course;
pub mod flow;
pub mod limits;
pub mod report;
pub mod selector;

pub use base::{Base, Names, Transport};
pub use course::Course;
pub use flow::Writing;
pub use selector::SelectorTransport;

use crate::standard::standard;
use plait_core::net::LARGEST_READ;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};
use std::cell::RefCell;

thread_local! {
    /// For reads that are expected to be small: what came is copied out. Nothing that runs Python may keep it borrowed.
    pub static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST_READ].into_boxed_slice());
}

/// asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
pub const QUIET_LOST_WRITES: u32 = 5;

/// For a write after the end: a warning, when there were some before.
pub fn warn_lost_write(py: Python<'_>, lost: u32, text: &str) -> PyResult<()> {
    match lost >= QUIET_LOST_WRITES {
        true => standard(py).logger.bind(py).call_method1("warning", (text,)).map(drop),
        false => Ok(()),
    }
}

/// Whether it is of a type that can be written.
#[inline]
pub fn is_bytes_like(data: &Bound<'_, PyAny>) -> bool {
    data.is_exact_instance_of::<PyBytes>()
        || data.is_instance_of::<PyBytes>()
        || data.is_instance_of::<PyByteArray>()
        || data.is_instance_of::<PyMemoryView>()
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
