//! `asyncio.Queue`, `LifoQueue` and `PriorityQueue`.

use super::answers::{answer, item, waiting};
use super::store::{Done, Kind, Opened, Store};
use crate::arguments::Given;
use crate::faces::asyncio::OneLoop;
use crate::faces::class_of;
use crate::fastcall::{install_with_one, install_without, no_argument_method, one_argument_method};
use crate::guarded::Built;
use crate::standard::standard;
use crate::waiters::task::{Step, WaitFuture, ONE_LOOP_QUEUE};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

/// A queue for the tasks of one event loop.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Waiters are served first come, first served; a task that does not wait may be faster than one that was just woken. A cancelled
/// waiter takes nothing. For the loop's own thread. Counterpart: asyncio.Queue.
#[pyclass(module = "plait.asyncio", name = "Queue", frozen, subclass, dict, weakref)]
pub struct AsyncioQueue {
    store: Store,
    one_loop: OneLoop,
    built: Built,
}

impl AsyncioQueue {
    fn blank(kind: Kind) -> AsyncioQueue {
        AsyncioQueue { store: Store::for_one_loop(kind), one_loop: OneLoop::unknown(), built: Built::new() }
    }

    /// Lets asyncio's method of that name run: the queue is open.
    fn openly<'py, A>(slf: &Bound<'py, Self>, method: &str, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: pyo3::call::PyCallArgs<'py>,
    {
        let method = standard(slf.py()).asyncio.queue.bind(slf.py()).getattr(method)?;
        method.getattr("__get__")?.call1((slf,))?.call1(args)
    }

    fn open(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        standard(py).open_queues.bind(py).call_method1("open_task_queue", (slf,)).map(drop)
    }

    fn shut_down_error(py: Python<'_>) -> PyErr {
        PyErr::from_type(standard(py).asyncio_queue_shut_down.bind(py).clone(), ())
    }
}

one_argument_method!(offer_entry, AsyncioQueue, "Queue._offer", AsyncioQueue::offer);
no_argument_method!(take_entry, AsyncioQueue, "Queue._take", AsyncioQueue::take);

/// Adds what `get` and `put` ask to the type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install_with_one::<AsyncioQueue>(py, c"_offer", c"_offer($self, item, /)\n--\n\n", offer_entry)?;
    install_without::<AsyncioQueue>(py, c"_take", c"_take($self)\n--\n\n", take_entry)
}

impl AsyncioQueue {
    fn take(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let got = slf.get().store.try_get(py, ONE_LOOP_QUEUE.manner)?;
        item(py, got, AsyncioQueue::shut_down_error).map(Bound::unbind)
    }

    fn offer(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let done = match this.store.try_put(item, ONE_LOOP_QUEUE.manner)? {
            Some(Done::Yes(())) => None,
            Some(done) => answer(py, Step::Ready(done), AsyncioQueue::shut_down_error)?,
            None => {
                let loop_ = || this.one_loop.check(slf.as_any());
                answer(
                    py,
                    this.store.begin_put(item, ONE_LOOP_QUEUE, None, loop_)?,
                    AsyncioQueue::shut_down_error,
                )?
            }
        };
        Ok(done.map_or_else(|| py.None(), Bound::unbind))
    }
}

#[pymethods]
impl AsyncioQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        AsyncioQueue::blank(Kind::Fifo)
    }

    #[pyo3(signature = (maxsize = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Given<'_>) -> PyResult<()> {
        let py = slf.py();
        slf.get().store.empty_out(py);
        let measured = maxsize.0.is_none_or(|maxsize| slf.get().store.set_maxsize(maxsize));
        let exact = slf.is_exact_instance_of::<AsyncioQueue>()
            || slf.is_exact_instance_of::<AsyncioLifoQueue>()
            || slf.is_exact_instance_of::<AsyncioPriorityQueue>();
        let glue = standard(py).open_queues.bind(py);
        if !measured || (!exact && glue.call_method1("overrides_hooks", (slf.get_type(),))?.is_truthy()?) {
            AsyncioQueue::open(slf)?;
        }
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.queue)
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        Ok(alias.call1((cls, item))?.unbind())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let name = slf.get_type().name()?;
        let format = slf.call_method0("_format")?;
        Ok(format!("<{name} at {:#x} {format}>", slf.as_ptr() as usize))
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} {}>", slf.get_type().name()?, slf.call_method0("_format")?))
    }

    fn _format(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, store) = (slf.py(), &slf.get().store);
        if store.is_open() {
            return AsyncioQueue::openly(slf, "_format", ())?.extract();
        }
        let mut text = format!("maxsize={}", store.maxsize(py)?.repr()?);
        if store.len() > 0 {
            text.push_str(&format!(" _queue={}", store.items(py)?.repr()?));
        }
        let [getters, putters, _] = store.waiting();
        for (name, count) in [("_getters", getters), ("_putters", putters)] {
            if count > 0 {
                text.push_str(&format!(" {name}[{count}]"));
            }
        }
        if store.unfinished() != 0 {
            text.push_str(&format!(" tasks={}", store.unfinished()));
        }
        if store.is_shut_down() {
            text.push_str(" shutdown");
        }
        Ok(text)
    }

    /// How many items there are. For the loop's own thread. Counterpart: asyncio.Queue.qsize.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<usize> {
        match slf.get().store.is_open() {
            true => AsyncioQueue::openly(slf, "qsize", ())?.extract(),
            false => Ok(slf.get().store.len()),
        }
    }

    /// How many items it may hold; zero or less: any number.
    #[getter]
    fn maxsize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.store.maxsize(py)
    }

    /// Whether there is no item. For the loop's own thread. Counterpart: asyncio.Queue.empty.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        match slf.get().store.is_open() {
            true => AsyncioQueue::openly(slf, "empty", ())?.extract(),
            false => Ok(slf.get().store.len() == 0),
        }
    }

    /// Whether there is no room. For the loop's own thread. Counterpart: asyncio.Queue.full.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        match slf.get().store.is_open() {
            true => AsyncioQueue::openly(slf, "full", ())?.extract(),
            false => Ok(slf.get().store.is_full()),
        }
    }

    /// Put an item into the queue; QueueFull when there is no room, QueueShutDown after a shutdown.
    ///
    /// Args:
    ///     item: what to put.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Queue.put_nowait.
    fn put_nowait<'py>(slf: &Bound<'py, Self>, item: Bound<'py, PyAny>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().store.try_put(&item, ONE_LOOP_QUEUE.manner)? {
            Some(Done::Yes(())) => Ok(()),
            Some(Done::ShutDown) => Err(AsyncioQueue::shut_down_error(py)),
            Some(Done::Opened) => AsyncioQueue::openly(slf, "put_nowait", (item,)).map(drop),
            None => Err(PyErr::from_type(standard(py).asyncio_queue_full.bind(py).clone(), ())),
        }
    }

    /// Take an item out of the queue, and return it; QueueEmpty when there is none, QueueShutDown then after a shutdown.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Queue.get_nowait.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match slf.get().store.try_get(py, ONE_LOOP_QUEUE.manner)? {
            Some(Done::Yes(item)) => Ok(item),
            Some(Done::ShutDown) => Err(AsyncioQueue::shut_down_error(py)),
            Some(Done::Opened) => AsyncioQueue::openly(slf, "get_nowait", ()),
            None => Err(PyErr::from_type(standard(py).asyncio_queue_empty.bind(py).clone(), ())),
        }
    }

    /// Say that an item that was got is done. ValueError when called more often than items were put.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Queue.task_done.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().store.is_open() {
            return AsyncioQueue::openly(slf, "task_done", ()).map(drop);
        }
        match slf.get().store.task_done(slf.py()) {
            true => Ok(()),
            false => Err(PyValueError::new_err("task_done() called too many times")),
        }
    }

    /// From now on puts raise QueueShutDown, and gets too as soon as the queue is empty.
    ///
    /// Args:
    ///     immediate: drop the items that are there, and count them as done.
    ///
    /// For the loop's own thread. Counterpart: asyncio.Queue.shutdown.
    #[cfg(Py_3_13)]
    #[pyo3(signature = (immediate = crate::arguments::Truth(false)), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: crate::arguments::Truth) -> PyResult<()> {
        match slf.get().store.is_open() {
            true => AsyncioQueue::openly(slf, "shutdown", (immediate.0,)).map(drop),
            false => slf.get().store.shut_down(slf.py(), immediate.0),
        }
    }

    // ---- what the coroutines ask

    fn _take_woken<'py>(&self, waiter: &Bound<'py, WaitFuture>) -> PyResult<Bound<'py, PyAny>> {
        let got = self.store.collect(waiter)?;
        item(waiter.py(), got, AsyncioQueue::shut_down_error)
    }

    fn _wait_to_take<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let loop_ = || this.one_loop.check(slf.as_any());
        waiting(py, this.store.begin_get(py, ONE_LOOP_QUEUE, loop_)?, AsyncioQueue::shut_down_error)
    }

    fn _offer_woken<'py>(
        slf: &Bound<'py, Self>,
        item: Bound<'py, PyAny>,
        waiter: &Bound<'py, WaitFuture>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        let loop_ = || this.one_loop.check(slf.as_any());
        answer(
            py,
            this.store.begin_put(&item, ONE_LOOP_QUEUE, Some(waiter), loop_)?,
            AsyncioQueue::shut_down_error,
        )
    }

    fn _begin_join<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        let loop_ = || this.one_loop.check(slf.as_any());
        answer(py, this.store.begin_join(py, ONE_LOOP_QUEUE, None, loop_)?, AsyncioQueue::shut_down_error)
    }

    fn _resume_join<'py>(
        slf: &Bound<'py, Self>,
        waiter: &Bound<'py, WaitFuture>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (py, this) = (slf.py(), slf.get());
        let loop_ = || this.one_loop.check(slf.as_any());
        answer(
            py,
            this.store.begin_join(py, ONE_LOOP_QUEUE, Some(waiter), loop_)?,
            AsyncioQueue::shut_down_error,
        )
    }

    fn _give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        self.store.give_up(waiter);
    }

    // ---- for the standard algorithm, and for those who look inside

    fn _close_down<'py>(&self, py: Python<'py>) -> PyResult<Option<Opened<'py>>> {
        self.store.open(py)
    }

    #[getter]
    fn _is_open(&self) -> bool {
        self.store.is_open()
    }

    #[getter]
    fn _maxsize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.store.maxsize(py)
    }

    #[setter(_maxsize)]
    fn set_private_maxsize(slf: &Bound<'_, Self>, value: Bound<'_, PyAny>) -> PyResult<()> {
        match slf.get().store.set_maxsize(value) {
            true => Ok(()),
            false => AsyncioQueue::open(slf),
        }
    }

    #[getter]
    fn _unfinished_tasks(&self) -> i64 {
        self.store.unfinished()
    }

    #[setter(_unfinished_tasks)]
    fn set_private_unfinished_tasks(&self, py: Python<'_>, value: i64) {
        self.store.set_unfinished(py, value);
    }

    #[getter]
    fn _is_shutdown(&self) -> bool {
        self.store.is_shut_down()
    }

    #[setter(_is_shutdown)]
    fn set_private_is_shutdown(&self, value: bool) {
        self.store.note_shut_down(value);
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.one_loop.get(py)
    }

    #[setter(_loop)]
    fn set_private_loop(&self, py: Python<'_>, value: Option<Py<PyAny>>) {
        self.one_loop.set(py, value);
    }

    fn _get_loop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().one_loop.check(slf.as_any())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        self.one_loop.traverse(&visit)?;
        self.store.traverse(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            self.one_loop.set(py, None);
            self.store.clear(py);
        });
    }
}

/// A queue for tasks that gives the newest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// For the loop's own thread. Counterpart: asyncio.LifoQueue.
#[pyclass(module = "plait.asyncio", name = "LifoQueue", frozen, subclass, extends = AsyncioQueue)]
pub struct AsyncioLifoQueue;

#[pymethods]
impl AsyncioLifoQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(AsyncioQueue::blank(Kind::Lifo)).add_subclass(AsyncioLifoQueue)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.lifo_queue)
    }
}

/// A queue for tasks that gives the smallest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Items are compared by `<`, as heapq does. For the loop's own thread. Counterpart: asyncio.PriorityQueue.
#[pyclass(module = "plait.asyncio", name = "PriorityQueue", frozen, subclass, extends = AsyncioQueue)]
pub struct AsyncioPriorityQueue;

#[pymethods]
impl AsyncioPriorityQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(AsyncioQueue::blank(Kind::Priority)).add_subclass(AsyncioPriorityQueue)
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        class_of(slf, &standard(slf.py()).asyncio.priority_queue)
    }
}
