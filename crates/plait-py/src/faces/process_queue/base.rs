//! What both types of queue have in common: how they are made, handed on and watched.

use super::channel::Channel;
use crate::arguments::Truth;
use crate::faces::timeouts::patience;
use crate::ffi::own_descriptor;
use plait_core::shm::queue::Side;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

/// A queue between processes, without its face. (The Python types that derive from it bring a dictionary and weak references along.)
#[pyclass(module = "plait._native", frozen, subclass)]
pub struct ProcessQueueBase {
    channel: OnceLock<Channel>,
}

impl ProcessQueueBase {
    pub fn blank() -> ProcessQueueBase {
        ProcessQueueBase { channel: OnceLock::new() }
    }

    #[inline]
    pub fn channel(&self) -> PyResult<&Channel> {
        self.channel.get().ok_or_else(|| PyRuntimeError::new_err("the queue's __init__() was not called"))
    }

    fn initialise(&self, channel: Channel) -> PyResult<()> {
        self.channel.set(channel).map_err(|_| PyRuntimeError::new_err("the queue is there already"))
    }
}

#[pymethods]
impl ProcessQueueBase {
    /// Makes a new queue of this object. `maxsize`: how many items it may hold; 0: any number.
    fn _create(&self, py: Python<'_>, maxsize: u32) -> PyResult<()> {
        self.initialise(Channel::create(py, maxsize)?)
    }

    /// Makes this object one more view of a queue, by descriptors which are its own from now on.
    fn _open(&self, py: Python<'_>, memory: RawFd, items: RawFd, slots: Option<RawFd>) -> PyResult<()> {
        self.initialise(Channel::open(py, memory, items, slots)?)
    }

    /// The descriptors that another process needs for `_open`; still this queue's own.
    fn _descriptors(&self) -> PyResult<(RawFd, RawFd, Option<RawFd>)> {
        Ok(self.channel()?.descriptors())
    }

    /// Whether there is something to get, now or within so many seconds; None: whenever it may be.
    #[pyo3(signature = (timeout))]
    fn _wait_for_item(&self, py: Python<'_>, timeout: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        self.channel()?.wait_for_item(py, patience(timeout.as_ref())?)
    }

    /// This process does not put any more: EOFError is raised where it would wait to get though nobody has the writing end of that pipe. `pipe`: its reading
    /// end, which belongs to the queue from now on.
    fn _ends_with(&self, pipe: RawFd) -> PyResult<()> {
        self.channel()?.ends_with(own_descriptor(pipe)?);
        Ok(())
    }

    /// The next object, for whoever may have taken the reading end away from all others.
    fn _receive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.channel()?.receive(py)
    }

    #[getter]
    fn _closed(&self) -> PyResult<bool> {
        Ok(self.channel()?.is_closed())
    }

    /// From now on this process refuses to put and to get.
    fn _refuse(&self) -> PyResult<()> {
        self.channel()?.close();
        Ok(())
    }

    /// A descriptor that is readable while there is something to get. It is the queue's.
    fn _watch_items(&self) -> PyResult<RawFd> {
        Ok(self.channel()?.queue.watch_items().as_raw_fd())
    }

    /// A descriptor that is readable while there are free places. None: there always are.
    fn _watch_slots(&self) -> PyResult<Option<RawFd>> {
        Ok(self.channel()?.queue.watch_slots().map(|descriptor| descriptor.as_raw_fd()))
    }

    /// Takes one end of the queue away from all processes. `reading`: the end where one gets. False: not in time.
    fn _hold(
        &self,
        py: Python<'_>,
        reading: bool,
        block: Truth,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let patience = block.0.then(|| patience(timeout.as_ref())).transpose()?;
        self.channel()?.hold(py, side(reading), patience)
    }

    /// Gives it back. False: this process had not taken it.
    fn _release(&self, reading: bool) -> PyResult<bool> {
        Ok(self.channel()?.release(side(reading)))
    }
}

fn side(reading: bool) -> Side {
    match reading {
        true => Side::Head,
        false => Side::Tail,
    }
}
