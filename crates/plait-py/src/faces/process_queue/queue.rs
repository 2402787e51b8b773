//! `multiprocessing.Queue` and `JoinableQueue`: what of them is native.

use super::base::ProcessQueueBase;
use super::channel::{Buffer, Channel};
use super::messages;
use crate::arguments::Truth;
use crate::faces::timeouts::patience_of_queue;
use crate::standard::standard;
use crate::waiters::Patience;
use plait_core::shm::queue::backlog::Backlog;
use plait_core::shm::queue::Put;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The native half of plait.multiprocessing.Queue, which derives from it: see there.
///
/// Safe to use from all threads and processes. Counterpart: multiprocessing.queues.Queue.
#[pyclass(module = "plait._native", frozen, subclass, extends = ProcessQueueBase)]
pub struct ProcessQueue;

impl ProcessQueue {
    #[inline]
    fn open_channel<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Channel> {
        let channel = slf.as_super().get().channel()?;
        match channel.is_closed() {
            false => Ok(channel),
            true => Err(PyValueError::new_err(format!("Queue {} is closed", slf.as_any().repr()?))),
        }
    }

    #[inline]
    fn put_object(
        slf: &Bound<'_, Self>,
        object: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let channel = ProcessQueue::open_channel(slf)?;
        let mut buffer = Buffer::take();
        if let Err(error) = messages::encode(object, &mut buffer.0) {
            return ProcessQueue::not_pickled(slf, error, object);
        }
        let mut put = channel.try_put(py, &mut buffer.0)?;
        if put.0 == Put::Full && block {
            let patience = patience_to_put(timeout)?;
            while put.0 == Put::Full && !patience.is_over() {
                channel.wait_for_place(py, patience).inspect_err(|_| channel.queue.pass_on())?;
                put = channel.try_put(py, &mut buffer.0)?;
            }
        }
        match put {
            (Put::Done, false) => Ok(()),
            (Put::Done, true) => slf.call_method0(intern!(py, "_feeding")).map(drop),
            _ => {
                channel.queue.pass_on();
                Err(PyErr::from_type(standard(py).queue_full.bind(py).clone(), ()))
            }
        }
    }

    /// As the standard queue, which notices it in a thread, the caller hears nothing of it.
    #[cold]
    fn not_pickled(slf: &Bound<'_, Self>, error: PyErr, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        slf.call_method1(intern!(py, "_not_pickled"), (error.into_value(py), object)).map(drop)
    }

    #[inline]
    fn get_object<'py>(
        slf: &Bound<'py, Self>,
        block: bool,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let channel = ProcessQueue::open_channel(slf)?;
        let patience = || block.then(|| patience_of_queue(timeout)).transpose();
        match channel.get_object(py, patience)? {
            Some(object) => Ok(object),
            None => Err(PyErr::from_type(standard(py).queue_empty.bind(py).clone(), ())),
        }
    }
}

/// How long `put` waits, as the standard queue's semaphore reads it.
fn patience_to_put(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Patience<'static>> {
    timeout.map_or(Ok(Patience::Forever), |timeout| Ok(Patience::seconds(timeout.extract()?)))
}

#[pymethods]
impl ProcessQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ProcessQueueBase::blank()).add_subclass(ProcessQueue)
    }

    /// Put an object into the queue.
    ///
    /// Args:
    ///     obj: what to put. It is pickled at once; if that fails, `_on_queue_feeder_error` is called, and nothing is put.
    ///     block: wait until there is a place, if the queue has a bound; otherwise raise Full at once.
    ///     timeout: wait for at most so many seconds, and raise Full then; None: for ever.
    ///
    /// Raises:
    ///     queue.Full: there was no place.
    ///     ValueError: the queue was closed by this process.
    ///     KeyboardInterrupt: while it waited; then it has put nothing.
    ///
    /// Safe to call from all threads and processes. Counterpart: multiprocessing.Queue.put.
    #[pyo3(signature = (obj, block = Truth(true), timeout = None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        obj: Bound<'_, PyAny>,
        block: Truth,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        ProcessQueue::put_object(slf, &obj, block.0, timeout.as_ref())
    }

    /// Take an object out of the queue.
    ///
    /// Args:
    ///     block: wait until there is one; otherwise raise Empty at once.
    ///     timeout: wait for at most so many seconds, and raise Empty then; None: for ever.
    ///
    /// Returns:
    ///     The object, unpickled.
    ///
    /// Raises:
    ///     queue.Empty: there was none.
    ///     ValueError: the queue was closed by this process.
    ///     KeyboardInterrupt: while it waited; then it has taken nothing.
    ///
    /// Safe to call from all threads and processes. Counterpart: multiprocessing.Queue.get.
    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Truth,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ProcessQueue::get_object(slf, block.0, timeout.as_ref())
    }

    /// How many objects there are; others may change that at any time. Counterpart: multiprocessing.Queue.qsize.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<u32> {
        Ok(slf.as_super().get().channel()?.queue.len())
    }

    /// Whether there is as much in the queue as it may hold. Counterpart: multiprocessing.Queue.full.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(slf.as_super().get().channel()?.queue.is_full())
    }

    /// Whether there is nothing to get right now.
    fn _is_empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(slf.as_super().get().channel()?.queue.is_empty())
    }

    /// Whether this process has put something.
    #[getter]
    fn _has_put(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(slf.as_super().get().channel()?.has_put())
    }

    /// What this process has still to send.
    fn _unsent(slf: &Bound<'_, Self>) -> PyResult<Unsent> {
        Ok(Unsent { backlog: slf.as_super().get().channel()?.backlog(slf.py()) })
    }

    /// Says that an object that was got is done. ValueError when called more often than objects were put.
    fn _task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.as_super().get().channel()?.queue.task_done() {
            true => Ok(()),
            false => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    /// Blocks until all that was put is done.
    fn _join(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.as_super().get().channel()?.join(slf.py())
    }
}

/// What a process has put into a queue and what is not there yet. Two of the same process and queue are equal.
#[pyclass(module = "plait._native", frozen, eq, hash)]
pub struct Unsent {
    backlog: Arc<Backlog>,
}

impl PartialEq for Unsent {
    fn eq(&self, other: &Unsent) -> bool {
        Arc::ptr_eq(&self.backlog, &other.backlog)
    }
}

impl Hash for Unsent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.backlog).hash(state);
    }
}

#[pymethods]
impl Unsent {
    /// Whether all is sent.
    fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Whether a thread sends, or waits for more to send: then the next put starts none, and does not tell of it.
    fn is_fed(&self) -> bool {
        self.backlog.is_fed()
    }

    /// Blocks until all is sent or given up. KeyboardInterrupt ends the wait.
    fn join(&self, py: Python<'_>) -> PyResult<()> {
        while !py.detach(|| self.backlog.wait_sent(None)) {
            py.check_signals()?;
        }
        Ok(())
    }

    /// Gives up what is not sent.
    fn give_up(&self) {
        self.backlog.give_up();
    }
}
