//! `queue.Queue`, `LifoQueue` and `PriorityQueue`.

use super::store::{Done, Kind, Opened, Store};
use crate::arguments::{Given, Truth};
use crate::faces::class_of;
use crate::faces::timeouts::patience_of_queue;
use crate::guarded::Built;
use crate::standard::standard;
use plait_core::waiter::Manner;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

/// A queue for threads.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Safe to use from all threads (and greenlets). Counterpart: queue.Queue.
#[pyclass(module = "plait.queue", name = "Queue", frozen, subclass, dict, weakref)]
pub struct ThreadingQueue {
    pub store: Store,
    built: Built,
}

impl ThreadingQueue {
    pub fn blank(kind: Kind) -> ThreadingQueue {
        ThreadingQueue { store: Store::new(kind), built: Built::new() }
    }

    /// Lets the standard library's method of that name run: the queue is open.
    fn openly<'py, A>(slf: &Bound<'py, Self>, method: &str, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: pyo3::call::PyCallArgs<'py>,
    {
        let method = standard(slf.py()).threading.queue.bind(slf.py()).getattr(method)?;
        method.getattr("__get__")?.call1((slf,))?.call1(args)
    }

    fn full_error(py: Python<'_>) -> PyErr {
        PyErr::from_type(standard(py).queue_full.bind(py).clone(), ())
    }

    fn empty_error(py: Python<'_>) -> PyErr {
        PyErr::from_type(standard(py).queue_empty.bind(py).clone(), ())
    }

    pub fn shut_down_error(py: Python<'_>) -> PyErr {
        PyErr::from_type(standard(py).queue_shut_down.bind(py).clone(), ())
    }

    #[inline]
    pub fn put_item(
        slf: &Bound<'_, Self>,
        item: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let store = &slf.get().store;
        if let (true, Some(timeout), true) = (block, timeout, store.is_limited() && !store.is_shut_down()) {
            check_not_negative(timeout)?;
        }
        let mut done = store.try_put(item, Manner::Barging)?;
        if done.is_none() && block {
            let patience = patience_of_queue(timeout)?;
            done = store.put(item, Manner::Barging, patience)?;
        }
        match done {
            Some(Done::Yes(())) => Ok(()),
            Some(Done::ShutDown) => Err(ThreadingQueue::shut_down_error(py)),
            Some(Done::Opened) => ThreadingQueue::openly(slf, "put", (item, block, timeout)).map(drop),
            None => Err(ThreadingQueue::full_error(py)),
        }
    }

    #[inline]
    pub fn get_item<'py>(
        slf: &Bound<'py, Self>,
        block: bool,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let store = &slf.get().store;
        if let (true, Some(timeout), false) = (block, timeout, store.is_shut_down() && store.len() == 0) {
            check_not_negative(timeout)?;
        }
        let mut done = store.try_get(py, Manner::Barging)?;
        if done.is_none() && block {
            let patience = patience_of_queue(timeout)?;
            done = store.get(py, Manner::Barging, patience)?;
        }
        match done {
            Some(Done::Yes(item)) => Ok(item),
            Some(Done::ShutDown) => Err(ThreadingQueue::shut_down_error(py)),
            Some(Done::Opened) => ThreadingQueue::openly(slf, "get", (block, timeout)),
            None => Err(ThreadingQueue::empty_error(py)),
        }
    }

    /// Opens the queue if it is still sealed and a number is not what it should be, or a subclass has ideas of its own.
    fn initialise(slf: &Bound<'_, Self>, maxsize: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        slf.get().store.empty_out(py);
        let measured = maxsize.is_none_or(|maxsize| slf.get().store.set_maxsize(maxsize));
        let glue = standard(py).open_queues.bind(py);
        if !measured
            || (!is_exact(slf) && glue.call_method1("overrides_hooks", (slf.get_type(),))?.is_truthy()?)
        {
            glue.call_method1("open_thread_queue", (slf,))?;
        }
        Ok(())
    }
}

/// Whether it is one of the types here, and no subclass.
fn is_exact(slf: &Bound<'_, ThreadingQueue>) -> bool {
    slf.is_exact_instance_of::<ThreadingQueue>()
        || slf.is_exact_instance_of::<ThreadingLifoQueue>()
        || slf.is_exact_instance_of::<ThreadingPriorityQueue>()
}

/// Refused even where there is no need to wait.
fn check_not_negative(timeout: &Bound<'_, PyAny>) -> PyResult<()> {
    match timeout.lt(0)? {
        true => Err(PyValueError::new_err("'timeout' must be a non-negative number")),
        false => Ok(()),
    }
}

#[pymethods]
impl ThreadingQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ThreadingQueue::blank(Kind::Fifo)
    }

    #[pyo3(signature = (maxsize = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Given<'_>) -> PyResult<()> {
        ThreadingQueue::initialise(slf, maxsize.0)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.queue)
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        Ok(alias.call1((cls, item))?.unbind())
    }

    /// Put an item into the queue.
    ///
    /// Args:
    ///     item: what to put.
    ///     block: wait until there is room; otherwise raise Full at once.
    ///     timeout: wait for at most so many seconds, and raise Full then; None: for ever.
    ///
    /// Raises:
    ///     Full: there was no room.
    ///     ShutDown: the queue was shut down.
    ///     ValueError, TypeError, OverflowError: the timeout is negative, no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; then it has put nothing.
    ///
    /// For threads and greenlets. Counterpart: queue.Queue.put.
    #[pyo3(signature = (item, block = Truth(true), timeout = None), text_signature = "($self, item, block=True, timeout=None)")]
    fn put(
        slf: &Bound<'_, Self>,
        item: Bound<'_, PyAny>,
        block: Truth,
        timeout: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        ThreadingQueue::put_item(slf, &item, block.0, timeout.as_ref())
    }

    /// Take an item out of the queue.
    ///
    /// Args:
    ///     block: wait until there is one; otherwise raise Empty at once.
    ///     timeout: wait for at most so many seconds, and raise Empty then; None: for ever.
    ///
    /// Returns:
    ///     The item.
    ///
    /// Raises:
    ///     Empty: there was nothing.
    ///     ShutDown: the queue was shut down, and is empty.
    ///     ValueError, TypeError, OverflowError: the timeout is negative, no number, or longer than threading.TIMEOUT_MAX.
    ///     KeyboardInterrupt: while it waited; then it has taken nothing.
    ///
    /// For threads and greenlets. Counterpart: queue.Queue.get.
    #[pyo3(signature = (block = Truth(true), timeout = None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Truth,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ThreadingQueue::get_item(slf, block.0, timeout.as_ref())
    }

    /// The same as put(item, block=False): Full when there is no room, ShutDown after a shutdown.
    ///
    /// Args:
    ///     item: what to put.
    ///
    /// Safe to call from everywhere. Counterpart: queue.Queue.put_nowait.
    fn put_nowait(slf: &Bound<'_, Self>, item: Bound<'_, PyAny>) -> PyResult<()> {
        match is_exact(slf) {
            true => ThreadingQueue::put_item(slf, &item, false, None),
            // By name: a subclass may put in its own way.
            false => slf.call_method1("put", (item, false)).map(drop),
        }
    }

    /// The same as get(block=False): the item; Empty when there is none, ShutDown after a shutdown.
    ///
    /// Safe to call from everywhere. Counterpart: queue.Queue.get_nowait.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match is_exact(slf) {
            true => ThreadingQueue::get_item(slf, false, None),
            false => slf.call_method1("get", (false,)),
        }
    }

    /// Say that an item that was got is done. ValueError when called more often than items were put.
    ///
    /// Safe to call from everywhere. Counterpart: queue.Queue.task_done.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().store.is_open() {
            return ThreadingQueue::openly(slf, "task_done", ()).map(drop);
        }
        match slf.get().store.task_done(slf.py()) {
            true => Ok(()),
            false => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    /// Block until task_done() was called for each item that was put. KeyboardInterrupt ends the wait.
    ///
    /// For threads and greenlets. Counterpart: queue.Queue.join.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().store.join(py, Manner::Barging)? {
            Done::Opened => ThreadingQueue::openly(slf, "join", ()).map(drop),
            _ => Ok(()),
        }
    }

    /// How many items there are; another thread may change that at any time. Counterpart: queue.Queue.qsize.
    fn qsize<'py>(slf: &Bound<'py, Self>) -> PyResult<usize> {
        match slf.get().store.is_open() {
            true => ThreadingQueue::openly(slf, "qsize", ())?.extract(),
            false => Ok(slf.get().store.len()),
        }
    }

    /// Whether there is no item; another thread may change that at any time. Counterpart: queue.Queue.empty.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        match slf.get().store.is_open() {
            true => ThreadingQueue::openly(slf, "empty", ())?.extract(),
            false => Ok(slf.get().store.len() == 0),
        }
    }

    /// Whether there is no room; another thread may change that at any time. Counterpart: queue.Queue.full.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        match slf.get().store.is_open() {
            true => ThreadingQueue::openly(slf, "full", ())?.extract(),
            false => Ok(slf.get().store.is_full()),
        }
    }

    /// From now on puts raise ShutDown, and gets too as soon as the queue is empty.
    ///
    /// Args:
    ///     immediate: drop the items that are there, and count them as done.
    ///
    /// Safe to call from everywhere. Counterpart: queue.Queue.shutdown.
    #[cfg(Py_3_13)]
    #[pyo3(signature = (immediate = Truth(false)), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: Truth) -> PyResult<()> {
        match slf.get().store.is_open() {
            true => ThreadingQueue::openly(slf, "shutdown", (immediate.0,)).map(drop),
            false => slf.get().store.shut_down(slf.py(), immediate.0),
        }
    }

    /// Whether it was shut down. Safe to call from everywhere. Counterpart: queue.Queue.is_shutdown.
    #[cfg(Py_3_13)]
    #[getter]
    fn is_shutdown(&self) -> bool {
        self.store.is_shut_down()
    }

    #[cfg(Py_3_13)]
    #[setter(is_shutdown)]
    fn set_is_shutdown(&self, value: bool) {
        self.store.note_shut_down(value);
    }

    /// How many items it may hold; zero or less: any number.
    #[getter]
    fn maxsize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.store.maxsize(py)
    }

    #[setter]
    fn set_maxsize(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<()> {
        match slf.get().store.set_maxsize(value) {
            true => Ok(()),
            false => standard(slf.py())
                .open_queues
                .bind(slf.py())
                .call_method1("open_thread_queue", (slf,))
                .map(drop),
        }
    }

    /// For how many items task_done() was not called.
    #[getter]
    fn unfinished_tasks(&self) -> i64 {
        self.store.unfinished()
    }

    #[setter]
    fn set_unfinished_tasks(&self, py: Python<'_>, value: i64) {
        self.store.set_unfinished(py, value);
    }

    /// Opens the queue; its items, or None when it is open already.
    fn _close_down<'py>(&self, py: Python<'py>) -> PyResult<Option<Opened<'py>>> {
        self.store.open(py)
    }

    #[getter]
    fn _is_open(&self) -> bool {
        self.store.is_open()
    }

    #[getter]
    fn _waiting(&self) -> usize {
        self.store.waiting().iter().sum()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => self.store.traverse(&visit),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| self.store.clear(py));
    }
}

/// A queue for threads that gives the newest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Safe to use from all threads (and greenlets). Counterpart: queue.LifoQueue.
#[pyclass(module = "plait.queue", name = "LifoQueue", frozen, subclass, extends = ThreadingQueue)]
pub struct ThreadingLifoQueue;

#[pymethods]
impl ThreadingLifoQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingQueue::blank(Kind::Lifo)).add_subclass(ThreadingLifoQueue)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.lifo_queue)
    }
}

/// A queue for threads that gives the smallest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Items are compared by `<`, as heapq does. Safe to use from all threads (and greenlets). Counterpart: queue.PriorityQueue.
#[pyclass(module = "plait.queue", name = "PriorityQueue", frozen, subclass, extends = ThreadingQueue)]
pub struct ThreadingPriorityQueue;

#[pymethods]
impl ThreadingPriorityQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ThreadingQueue::blank(Kind::Priority)).add_subclass(ThreadingPriorityQueue)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).threading.priority_queue)
    }
}
