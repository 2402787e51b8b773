//! `multiprocessing.SimpleQueue`: what of it is native.

use super::base::ProcessQueueBase;
use super::channel::{Buffer, Channel};
use super::messages;
use crate::waiters::Patience;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The native half of plait.multiprocessing.SimpleQueue, which derives from it: see there.
///
/// Safe to use from all threads and processes. Counterpart: multiprocessing.queues.SimpleQueue.
#[pyclass(module = "plait._native", frozen, subclass, extends = ProcessQueueBase)]
pub struct ProcessSimpleQueue;

impl ProcessSimpleQueue {
    #[inline]
    fn open_channel<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Channel> {
        let channel = slf.as_super().get().channel()?;
        match channel.is_closed() {
            false => Ok(channel),
            true => Err(PyOSError::new_err("handle is closed")),
        }
    }
}

#[pymethods]
impl ProcessSimpleQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ProcessQueueBase::blank()).add_subclass(ProcessSimpleQueue)
    }

    /// Put an object into the queue; waits while there is no room in its memory (256 KiB).
    ///
    /// Args:
    ///     obj: what to put; it is pickled at once.
    ///
    /// Raises:
    ///     OSError: the queue was closed by this process.
    ///     KeyboardInterrupt: while it waited; then it has put nothing.
    ///     What pickling raises.
    ///
    /// Safe to call from all threads and processes. Counterpart: multiprocessing.SimpleQueue.put.
    fn put(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut buffer = Buffer::take();
        messages::encode(obj, &mut buffer.0)?;
        ProcessSimpleQueue::open_channel(slf)?.put_waiting(slf.py(), &buffer.0)
    }

    /// Take an object out of the queue; waits until there is one.
    ///
    /// Returns:
    ///     The object, unpickled.
    ///
    /// Raises:
    ///     OSError: the queue was closed by this process.
    ///     KeyboardInterrupt: while it waited; then it has taken nothing.
    ///
    /// Safe to call from all threads and processes. Counterpart: multiprocessing.SimpleQueue.get.
    fn get<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let object =
            ProcessSimpleQueue::open_channel(slf)?.get_object(slf.py(), || Ok(Some(Patience::Forever)))?;
        Ok(object.expect("it waits for as long as it takes"))
    }

    /// Whether there is nothing to get. Counterpart: multiprocessing.SimpleQueue.empty.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(ProcessSimpleQueue::open_channel(slf)?.queue.is_empty())
    }
}
