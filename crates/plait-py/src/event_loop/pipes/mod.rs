//! Transports of pipes, FIFOs, terminals, and sockets that are used like them: one end is read, the other written.
//!
//! The rules are those of asyncio's two Unix pipe transports: what is accepted, which errors are reported, and that the writing end
//! is watched for reading, which is how the kernel tells that nobody reads any more. What differs is the cost, as with sockets:
//! no Handle per event, one context per transport, one gathered write for what waits.
//!
//! `end` is what both have: the file, its protocol, how they come together and part. `read` and `write` are the two types.

mod end;
pub mod read;
pub mod write;

use super::future::Future;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// What a pipe's transport has to do next.
pub enum PipeStep {
    /// Tell the protocol of the connection, start reading, then tell whoever waits for that.
    Begin(Option<Py<Future>>),
    Readable,
    Writable,
    /// Tell the protocol that nothing more will come.
    Eof,
    /// Tell the protocol that the connection is gone, and close the file.
    Lost(Option<Py<PyAny>>),
}

impl PipeStep {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            PipeStep::Begin(waiter) => visit.call(waiter),
            PipeStep::Lost(error) => visit.call(error),
            PipeStep::Readable | PipeStep::Writable | PipeStep::Eof => Ok(()),
        }
    }
}
