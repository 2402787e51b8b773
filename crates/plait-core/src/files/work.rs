//! What an engine is given to do, and its threads do.

use super::plan::{perform, Plan};
use super::Done;

/// What is to be done.
pub enum Work {
    /// Calls that either engine can make.
    Steps(Box<dyn Plan>),
    /// Something that only a thread can do.
    Blocking(Box<dyn FnOnce() -> Done + Send>),
}

impl Work {
    /// Does it here, whoever else waits.
    pub fn perform(self) -> Done {
        match self {
            Work::Steps(plan) => perform(plan),
            Work::Blocking(work) => work(),
        }
    }
}
