//! `plait.Queue`, `LifoQueue` and `PriorityQueue`: threading's, and coroutines. They are never opened.

use super::answers::{answer, item, waiting};
use super::store::Kind;
use super::threading::ThreadingQueue;
use crate::arguments::{Given, Truth};
use crate::waiters::task::{running_loop, WaitFuture, UNIVERSAL};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A queue for threads, tasks of any loop, and greenlets.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Tasks and greenlets are served first come, first served; a thread may be overtaken by one that comes new, once. A waiter that is
/// cancelled or whose time is up takes nothing.
///
/// Safe to use from everywhere. Counterparts: queue.Queue and asyncio.Queue.
#[pyclass(module = "plait", name = "Queue", frozen, subclass, extends = ThreadingQueue)]
pub struct UniversalQueue;

impl UniversalQueue {
    fn blank(kind: Kind) -> PyClassInitializer<UniversalQueue> {
        PyClassInitializer::from(ThreadingQueue::blank(kind)).add_subclass(UniversalQueue)
    }
}

#[pymethods]
impl UniversalQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        UniversalQueue::blank(Kind::Fifo)
    }

    #[pyo3(signature = (maxsize = Given(None)))]
    fn __init__(slf: &Bound<'_, Self>, maxsize: Given<'_>) -> PyResult<()> {
        let Some(maxsize) = maxsize.0 else { return Ok(()) };
        let kind = maxsize.get_type().name()?;
        match slf.as_super().get().store.set_maxsize(maxsize) {
            true => Ok(()),
            false => {
                Err(pyo3::exceptions::PyTypeError::new_err(format!("maxsize must be a number, not {kind}")))
            }
        }
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.get_type().into_any()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (py, store) = (slf.py(), &slf.as_super().get().store);
        let class = slf.get_type().fully_qualified_name()?;
        let (maxsize, items) = (store.maxsize(py)?.repr()?, store.len());
        let waiting = store.waiting().iter().sum::<usize>();
        let address = slf.as_ptr() as usize;
        Ok(format!("<{class} object at {address:#x} maxsize={maxsize} items={items} waiting={waiting}>"))
    }

    /// From now on puts raise ShutDown, and gets too as soon as the queue is empty.
    ///
    /// Args:
    ///     immediate: drop the items that are there, and count them as done.
    ///
    /// Safe to call from everywhere. Counterparts: queue.Queue.shutdown and asyncio.Queue.shutdown (from Python 3.13 on).
    #[pyo3(signature = (immediate = Truth(false)), text_signature = "($self, immediate=False)")]
    fn shutdown(slf: &Bound<'_, Self>, immediate: Truth) -> PyResult<()> {
        slf.as_super().get().store.shut_down(slf.py(), immediate.0)
    }

    /// Whether it was shut down. Safe to call from everywhere. Counterpart: queue.Queue.is_shutdown (from Python 3.13 on).
    #[getter]
    fn is_shutdown(slf: &Bound<'_, Self>) -> bool {
        slf.as_super().get().store.is_shut_down()
    }

    fn _take<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        item(py, slf.as_super().get().store.try_get(py, UNIVERSAL.manner)?, ThreadingQueue::shut_down_error)
    }

    fn _take_woken<'py>(
        slf: &Bound<'py, Self>,
        waiter: &Bound<'py, WaitFuture>,
    ) -> PyResult<Bound<'py, PyAny>> {
        item(slf.py(), slf.as_super().get().store.collect(waiter)?, ThreadingQueue::shut_down_error)
    }

    fn _wait_to_take<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let step = slf.as_super().get().store.begin_get(py, UNIVERSAL, || running_loop(py))?;
        waiting(py, step, ThreadingQueue::shut_down_error)
    }

    fn _offer<'py>(slf: &Bound<'py, Self>, item: Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let step = slf.as_super().get().store.begin_put(&item, UNIVERSAL, None, || running_loop(py))?;
        answer(py, step, ThreadingQueue::shut_down_error)
    }

    fn _offer_woken<'py>(
        slf: &Bound<'py, Self>,
        item: Bound<'py, PyAny>,
        waiter: &Bound<'py, WaitFuture>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let step =
            slf.as_super().get().store.begin_put(&item, UNIVERSAL, Some(waiter), || running_loop(py))?;
        answer(py, step, ThreadingQueue::shut_down_error)
    }

    fn _begin_join<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let step = slf.as_super().get().store.begin_join(py, UNIVERSAL, None, || running_loop(py))?;
        answer(py, step, ThreadingQueue::shut_down_error)
    }

    fn _resume_join<'py>(
        slf: &Bound<'py, Self>,
        waiter: &Bound<'py, WaitFuture>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let step = slf.as_super().get().store.begin_join(py, UNIVERSAL, Some(waiter), || running_loop(py))?;
        answer(py, step, ThreadingQueue::shut_down_error)
    }

    fn _give_up(slf: &Bound<'_, Self>, waiter: &Bound<'_, WaitFuture>) {
        slf.as_super().get().store.give_up(waiter);
    }
}

/// A universal queue that gives the newest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Safe to use from everywhere. Counterparts: queue.LifoQueue and asyncio.LifoQueue.
#[pyclass(module = "plait", name = "LifoQueue", frozen, subclass, extends = UniversalQueue)]
pub struct UniversalLifoQueue;

#[pymethods]
impl UniversalLifoQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        UniversalQueue::blank(Kind::Lifo).add_subclass(UniversalLifoQueue)
    }
}

/// A universal queue that gives the smallest item first.
///
/// Args:
///     maxsize: how many items it may hold; zero or less: any number.
///
/// Items are compared by `<`, as heapq does.
///
/// Safe to use from everywhere. Counterparts: queue.PriorityQueue and asyncio.PriorityQueue.
#[pyclass(module = "plait", name = "PriorityQueue", frozen, subclass, extends = UniversalQueue)]
pub struct UniversalPriorityQueue;

#[pymethods]
impl UniversalPriorityQueue {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(maxsize=0)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        UniversalQueue::blank(Kind::Priority).add_subclass(UniversalPriorityQueue)
    }
}
