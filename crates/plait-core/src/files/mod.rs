//! Files: what is asked of them, and who does it.
//!
//! A file is never *ready*, as a socket is: the kernel makes whoever asks wait, for the disk, the network or another process.
//! So an operation is handed over and its completion is collected later. Two engines do that, behind one contract
//! ([`Engine`]): io_uring, where the kernel and the container let us, and a few threads ([`pool`]). Both walk through the
//! same [`plan::Plan`], system call by system call, so that what comes out cannot depend on which of them it was; a plan is one hop,
//! however many calls it takes.
//!
//! In front of both stands [`quick`]: what lies in the kernel's caches is had at once, by calls that refuse to wait. Handing
//! such a read over costs more than the read. Rejected: to do all reads of regular files on the calling thread, as
//! "disks are fast"; network file systems are not, nor is a disk that is busy writing.
//!
//! What is asked rarely or is made of many different calls (opening what no cache knows, replacing a file, finding the end of
//! one) goes to the threads with either engine: the kernel would give it to threads of its own.

mod completions;
pub mod descriptor;
mod engine;
pub mod opening;
pub mod plan;
mod pool;
pub mod quick;
pub mod replacing;
mod uring;
mod work;

pub use engine::{Choice, Engine, Kind};
pub use work::Work;

use opening::{Facts, Opened};

/// What an operation came to.
#[derive(Debug)]
pub enum Done {
    /// A file was opened.
    Opened(Opened),
    /// What is known of a file that was open already.
    Examined(Facts),
    /// All of a file, and what is known of it.
    Explored(Vec<u8>, Facts),
    /// So much was read; nothing at the end of the file.
    Bytes(Vec<u8>),
    /// A number of bytes, or a position.
    Count(u64),
    /// Done, and there is nothing to say about it.
    Nothing,
    /// It went wrong.
    Failed(Failure),
}

/// What is known of a failure.
#[derive(Debug, Default)]
pub struct Failure {
    /// The kernel's number for it.
    pub errno: i32,
    /// What was written before.
    pub written: u64,
    /// What was not.
    pub rest: Vec<u8>,
}

impl Done {
    /// A failure of an operation that does not write.
    pub fn failed(errno: i32) -> Done {
        Done::Failed(Failure { errno, ..Failure::default() })
    }
}

impl From<rustix::io::Result<Done>> for Done {
    fn from(result: rustix::io::Result<Done>) -> Done {
        result.unwrap_or_else(|errno| Done::failed(errno.raw_os_error()))
    }
}

#[cfg(test)]
mod tests;
