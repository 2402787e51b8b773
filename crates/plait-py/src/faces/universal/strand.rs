//! Who is running: a task, a greenlet or a thread. The holder of a lock that knows its holder.
//!
//! Told apart by address, or by number for a thread: what holds a lock is alive, so that nobody else has its address.

use crate::event_loop::current;
use crate::standard::standard;
use crate::waiters::greenlet;
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
        if let Some(task) = running_task(py)? {
            return Ok(Strand::Task(task.as_ptr() as usize));
        }
        if let Some(here) = greenlet::running(py)? {
            return Ok(Strand::Greenlet(here.as_ptr() as usize));
        }
        Ok(Strand::Thread(thread_ident()))
    }

    /// The same as an object: the task or the greenlet; None, a thread.
    pub fn running(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
        match running_task(py)? {
            Some(task) => Ok(Some(task)),
            None => greenlet::running(py),
        }
    }
}

#[inline]
fn running_task(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let loop_ = standard(py).get_running_loop.bind(py).call0()?;
    match loop_.is_none() {
        true => Ok(None),
        false => current::of(&loop_),
    }
}

/// `threading.get_ident()`, which is the C library's name of the thread, without a call of Python.
#[inline]
pub fn thread_ident() -> u64 {
    // SAFETY: it always succeeds.
    unsafe { libc::pthread_self() as u64 }
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
