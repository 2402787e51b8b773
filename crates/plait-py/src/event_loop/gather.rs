//! `asyncio.gather`: each argument becomes a child, and the children a future (`gathering.rs`).
//!
//! The steps, and the order in which they run, are asyncio's: a later argument may be refused after earlier ones have been
//! scheduled. Coroutines on a plait loop become tasks, and native futures get their callback, without a Python call;
//! any other argument goes through `asyncio.ensure_future`.

use super::callbacks::Callback;
use super::future::{Future, Phase};
use super::gathering::GatheringFuture;
use super::step::exact_future;
use super::task::Task;
use super::EventLoop;
use crate::ffi::{self, Held};
use crate::standard::standard;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::Borrowed;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Run awaitables concurrently and return a future for the list of their results.
///
/// Args:
///     coros_or_futures: coroutines (each becomes a task of the running loop), futures of one loop, or other awaitables. One
///         that is given twice runs once, and its result stands in both places.
///     return_exceptions: exceptions, CancelledError among them, stand in the list in the place of results. Otherwise
///         the first one is raised to whoever awaits the future, at once, and the other awaitables go on.
///
/// Returns:
///     A future. Its result has the order of the arguments, not that in which they ended.
///
/// Raises:
///     TypeError: an argument is not awaitable.
///     ValueError: the futures belong to different loops.
///
/// Cancelling the future cancels all children that are not done, and it then ends with CancelledError. A child that is
/// cancelled by somebody else counts as one that raised CancelledError: the others are not cancelled.
///
/// For the loop's own thread. Counterpart: asyncio.gather; see also asyncio.TaskGroup, which ends its tasks when one fails.
#[pyfunction]
#[pyo3(
    signature = (*coros_or_futures, return_exceptions = None),
    text_signature = "(*coros_or_futures, return_exceptions=False)"
)]
pub fn gather<'py>(
    coros_or_futures: &Bound<'py, PyTuple>,
    return_exceptions: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = coros_or_futures.py();
    if coros_or_futures.is_empty() {
        return standard(py).gather.bind(py).call0();
    }
    let return_exceptions = return_exceptions.map_or(Ok(false), |value| value.is_truthy())?;
    let mut gathering = Gathering {
        outer: GatheringFuture::unfinished(py, return_exceptions)?,
        loop_: None,
        native_loop: None,
        children: Vec::with_capacity(coros_or_futures.len()),
        known: Known::for_arguments(coros_or_futures),
        different: 0,
        done: Vec::new(),
    };
    for argument in coros_or_futures.iter_borrowed() {
        gathering.add(&argument)?;
    }
    gathering.finish()
}

struct Gathering<'py> {
    outer: Bound<'py, GatheringFuture>,
    /// The first child's.
    loop_: Option<Bound<'py, PyAny>>,
    /// The same, where it makes tasks without a Python call.
    native_loop: Option<Bound<'py, EventLoop>>,
    children: Vec<Held<PyAny>>,
    known: Known<'py>,
    /// How many children there are, when each is counted once.
    different: usize,
    /// Children that were done when they came (3.12 and later, because of eager tasks).
    done: Vec<Bound<'py, PyAny>>,
}

impl<'py> Gathering<'py> {
    fn add(&mut self, argument: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Some(position) = self.known.position(argument)? {
            self.children.push(Held::new(self.children[position].clone_ref(argument.py())));
            return Ok(());
        }
        let child = self.ensure_future(argument)?;
        if self.loop_.is_none() {
            self.loop_ = Some(loop_of(&child)?);
        }
        if !child.is(argument) {
            stay_quiet(&child)?;
        }
        self.known.add(argument, self.children.len())?;
        self.different += 1;
        self.watch(&child)?;
        self.children.push(Held::new(child.unbind()));
        Ok(())
    }

    fn ensure_future(&mut self, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = argument.py();
        if let Some(native) = exact_future(argument) {
            return match &self.loop_ {
                Some(loop_) if !native.get().loop_of(py)?.is(loop_) => Err(PyValueError::new_err(
                    "The future belongs to a different loop than the one specified as the loop argument",
                )),
                _ => Ok(argument.clone()),
            };
        }
        if ffi::is_coroutine(argument) {
            if let Some(loop_) = self.task_maker(py)? {
                return EventLoop::create_task(&loop_, argument, None, None, None)
                    .map_err(|error| close_after(argument, error));
            }
        }
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "loop"), &self.loop_)?;
        standard(py).ensure_future.bind(py).call((argument,), Some(&keywords))
    }

    /// The loop, where coroutines become tasks natively.
    fn task_maker(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, EventLoop>>> {
        if self.native_loop.is_none() {
            let loop_ = match &self.loop_ {
                Some(loop_) => loop_.clone(),
                None => standard(py).get_running_loop.bind(py).call0()?,
            };
            if let Ok(loop_) = loop_.cast_into::<EventLoop>() {
                self.native_loop = EventLoop::makes_tasks_natively(&loop_)?.then_some(loop_);
            }
        }
        Ok(self.native_loop.clone())
    }

    /// Leaves the callback with a child, or notes that it is done.
    fn watch(&mut self, child: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = child.py();
        let Some(native) = exact_future(child) else {
            return self.watch_by_protocol(child);
        };
        if !native.get().state.with(py, |s| s.native) {
            return self.watch_by_protocol(child);
        }
        let mut callback = Some(Callback::Gather(self.outer.clone().unbind()));
        native.get().state.with(py, |s| {
            if s.phase == Phase::Pending {
                if let Some(callback) = callback.take() {
                    s.callbacks.push(callback);
                }
            }
        });
        match callback {
            None => Ok(()),
            Some(_) if cfg!(Py_3_12) => {
                self.done.push(child.clone());
                Ok(())
            }
            Some(already_done) => Future::schedule_one(native, already_done),
        }
    }

    /// The same with the methods that a future of any make has.
    fn watch_by_protocol(&mut self, child: &Bound<'py, PyAny>) -> PyResult<()> {
        let py = child.py();
        if cfg!(Py_3_12) && child.call_method0(intern!(py, "done"))?.is_truthy()? {
            self.done.push(child.clone());
            return Ok(());
        }
        self.outer.get().expect_queued(py);
        let callback = GatheringFuture::callback(&self.outer)?;
        child.call_method1(intern!(py, "add_done_callback"), (callback,))?;
        Ok(())
    }

    fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        let loop_ = self.loop_.expect("there is a first child, and it has a loop");
        if !self.done.is_empty() {
            self.outer.get().expect_queued(loop_.py());
        }
        GatheringFuture::complete(&self.outer, &loop_, self.children, self.different)?;
        for child in self.done {
            GatheringFuture::child_done(&self.outer, &child)?;
        }
        Ok(self.outer.into_any())
    }
}

/// Which arguments have come already, and where their children stand.
enum Known<'py> {
    /// What is compared by identity, as coroutines and native futures are, needs neither their hash nor a lookup in a dict.
    Identical(HashMap<usize, usize, BuildHasherDefault<AddressHasher>>),
    /// asyncio's way.
    Equal(Bound<'py, PyDict>),
}

impl<'py> Known<'py> {
    fn for_arguments(arguments: &Bound<'py, PyTuple>) -> Known<'py> {
        let identical = |argument: Borrowed<'_, 'py, PyAny>| {
            ffi::is_coroutine(&argument) || exact_future(&argument).is_some()
        };
        match arguments.iter_borrowed().all(identical) {
            true => Known::Identical(HashMap::with_capacity_and_hasher(arguments.len(), Default::default())),
            false => Known::Equal(PyDict::new(arguments.py())),
        }
    }

    fn position(&self, argument: &Bound<'py, PyAny>) -> PyResult<Option<usize>> {
        match self {
            Known::Identical(known) => Ok(known.get(&(argument.as_ptr() as usize)).copied()),
            Known::Equal(known) => known.get_item(argument)?.map(|position| position.extract()).transpose(),
        }
    }

    fn add(&mut self, argument: &Bound<'py, PyAny>, position: usize) -> PyResult<()> {
        match self {
            Known::Identical(known) => drop(known.insert(argument.as_ptr() as usize, position)),
            Known::Equal(known) => known.set_item(argument, position)?,
        }
        Ok(())
    }
}

/// Addresses are spread well enough by one multiplication.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn loop_of<'py>(child: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = child.py();
    if let Some(native) = exact_future(child) {
        return native.get().loop_of(py);
    }
    match child.getattr_opt(intern!(py, "get_loop"))? {
        Some(get_loop) => get_loop.call0(),
        None => child.getattr(intern!(py, "_loop")),
    }
}

/// What `gather` made itself, its caller cannot keep: no report when such a task is destroyed while pending.
fn stay_quiet(child: &Bound<'_, PyAny>) -> PyResult<()> {
    match child.cast_exact::<Task>() {
        Ok(task) => {
            task.get().stay_quiet(child.py());
            Ok(())
        }
        Err(_) => child.setattr(intern!(child.py(), "_log_destroy_pending"), false),
    }
}

/// asyncio closes a coroutine that the loop would not take, so that it does not warn too.
#[cold]
pub fn close_after(coroutine: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = coroutine.py();
    if !error.is_instance_of::<PyRuntimeError>(py) {
        return error;
    }
    coroutine.call_method0(intern!(py, "close")).err().unwrap_or(error)
}
