//! Who is running: a task, a greenlet or a thread. The holder of a lock that knows its holder.
//!
//! Told apart by address, or by number for a thread: what holds a lock is alive, so that nobody else has its address.

use crate::event_loop::current;
use crate::standard::standard;
use crate::waiters::greenlet;
use pyo3::intern;
use pyo3::prelude::*;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strand {
    Task(usize),
    Greenlet(usize),
    /// `threading.get_ident()`
    Thread(u64),
}

impl Strand {
    pub fn current(py: Python<'_>) -> PyResult<Strand> {
        let loop_ = standard(py).get_running_loop.bind(py).call0()?;
        if !loop_.is_none() {
            if let Some(task) = current::of(&loop_)? {
                return Ok(Strand::Task(task.as_ptr() as usize));
            }
        }
        if let Some(here) = greenlet::running(py)? {
            return Ok(Strand::Greenlet(here.as_ptr() as usize));
        }
        let ident = standard(py).glue.bind(py).call_method0(intern!(py, "get_ident"))?;
        Ok(Strand::Thread(ident.extract()?))
    }
}

impl fmt::Display for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strand::Task(address) => write!(f, "task {address:#x}"),
            Strand::Greenlet(address) => write!(f, "greenlet {address:#x}"),
            Strand::Thread(ident) => write!(f, "thread {ident}"),
        }
    }
}
