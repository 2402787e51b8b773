//! The link between a pool and its worker processes, as Python sees it.
//!
//! * [`descriptors`]: handing descriptors to another process;
//! * [`segments`]: the memory in which long parts of messages cross, who uses it and when it may be used again;
//! * [`carrier`]: how messages travel: by a ring in shared memory, or by a socket where that is forbidden;
//! * [`end`]: one end of a link, with what both ends do;
//! * [`buffer`]: such memory as an object with Python's buffer protocol;
//! * [`link`] is the pool's end, [`worker`] the worker's, [`switchboard`] the place where one sleeper waits for all workers;
//! * [`guard`]: how a worker learns of its parent's death.
//!
//! What is sent, to whom and what becomes of it is said in Python (`python/plait/_process_pool`).

pub mod buffer;
mod carrier;
mod descriptors;
mod end;
mod guard;
pub mod link;
mod segments;
pub mod switchboard;
pub mod worker;

use pyo3::prelude::*;

/// Adds the types to the native module.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<buffer::SharedBuffer>()?;
    module.add_class::<link::ProcessLink>()?;
    module.add_class::<switchboard::Switchboard>()?;
    module.add_class::<worker::WorkerEnd>()
}
