//! What transports of all kinds have in common, once: how errors are reported (`report`), how a protocol is paused and resumed
//! (`flow`, `limits`), what waits to be written, and the memory that small reads go through.
//!
//! Functions, no base type: transports are leaves with different states, and what they share does not know how they keep it.

pub mod flow;
pub mod limits;
pub mod report;

use plait_core::net::LARGEST_READ;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;

thread_local! {
    /// For reads that are expected to be small: what came is copied out. Nothing that runs Python may keep it borrowed.
    pub static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGEST_READ].into_boxed_slice());
}

const EBADF: i32 = 9;

/// Whether a socket object still has the number by which its transport knows it: a program that gave it away may have closed it, and then
/// the number is another's.
pub fn check_number(sock: &Bound<'_, PyAny>, fd: RawFd) -> io::Result<()> {
    match sock.call_method0(intern!(sock.py(), "fileno")).and_then(|number| number.extract::<RawFd>()) {
        Ok(number) if number != fd => Err(io::Error::from_raw_os_error(EBADF)),
        _ => Ok(()),
    }
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
