//! The future that `gather` returns, and what happens to it as its children end. `gather.rs` fills it.
//!
//! asyncio leaves a Python function with each child, which counts. Here a native child on a loop that steps natively holds
//! `Callback::Gather` in its place, and mostly there is nothing to call: while all children are of that kind, one that
//! ends well is counted when it is settled, and only the last, or one that fails, goes through the ready queue. The
//! order stays asyncio's: callbacks run in the order in which children settle, so the last to be counted is the last whose
//! callback would have run, and at that place in the queue the result is set. Where a child of another make is among them, or
//! one had settled before the count was known, each goes through the queue and is counted there.

use super::future::{Future, Phase};
use super::ready::Ready;
use super::step::{cancel_awaited, exact_future};
use super::EventLoop;
use crate::ffi::{self, Held};
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::PyRecursionError;
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::OnceLock;

pub struct Gathered {
    /// None until all arguments of `gather` have become children. A tuple, because gathers may be nested without end, and
    /// tuples are taken apart without recursion.
    children: Option<Py<PyTuple>>,
    /// How many different children are not done; below zero while they are being collected.
    remaining: isize,
    return_exceptions: bool,
    /// `cancel()` has reached a child: the end is a CancelledError, whatever the results.
    cancel_requested: bool,
    /// Children are counted when they are settled, not when their turn in the ready queue comes.
    counts_at_once: bool,
    /// A child went through the ready queue, or will go through `call_soon`: so must all.
    queued: bool,
}

/// What `gather` returns: the list of its children's results.
#[pyclass(module = "plait._native", frozen, extends = Future, name = "_GatheringFuture")]
pub struct GatheringFuture {
    gathered: Guarded<Option<Gathered>>,
}

impl GatheringFuture {
    /// Without a loop and without children, so that children can hold it already.
    pub fn unfinished(py: Python<'_>, return_exceptions: bool) -> PyResult<Bound<'_, GatheringFuture>> {
        let gathered = Gathered {
            children: None,
            remaining: 0,
            return_exceptions,
            cancel_requested: false,
            counts_at_once: false,
            queued: false,
        };
        let outer = GatheringFuture { gathered: Guarded::new(Some(gathered)) };
        Bound::new(py, PyClassInitializer::from(Future::blank()).add_subclass(outer))
    }

    /// Opens what is gathered; the default when the collector has taken it.
    #[inline]
    fn with<R: Default>(&self, py: Python<'_>, body: impl FnOnce(&mut Gathered) -> R) -> R {
        self.gathered.with(py, |gathered| gathered.as_mut().map(body).unwrap_or_default())
    }

    fn children<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        let children = self.with(py, |g| g.children.as_ref().map(|children| children.clone_ref(py)));
        children.map_or_else(|| PyTuple::empty(py), |children| children.into_bound(py))
    }

    /// A child reports through a queue of its own.
    pub fn expect_queued(&self, py: Python<'_>) {
        self.with(py, |g| g.queued = true);
    }

    /// All children are known: `different` of them, when each is counted once.
    pub fn complete(
        slf: &Bound<'_, GatheringFuture>,
        loop_: &Bound<'_, PyAny>,
        children: Vec<Held<PyAny>>,
        different: usize,
    ) -> PyResult<()> {
        let py = slf.py();
        slf.as_super().get().attach_to(py, loop_)?;
        let children = PyTuple::new(py, children.iter().map(|child| child.bind(py)))?.unbind();
        slf.get().with(py, |g| {
            g.children = Some(children);
            g.remaining += different as isize;
            g.counts_at_once = !g.queued;
        });
        Ok(())
    }

    /// A native child has been settled: its callback is due.
    #[inline]
    pub fn child_settled(slf: &Bound<'_, GatheringFuture>, child: &Bound<'_, Future>) -> PyResult<()> {
        let py = slf.py();
        let (native_loop, phase) = child.get().state.with(py, |s| (s.native_loop(py), s.phase));
        let outer_pending = !slf.as_super().get().is_done(py);
        let only_counted = slf.get().with(py, |g| {
            if !g.counts_at_once {
                g.queued = true;
                return false;
            }
            g.remaining -= 1;
            // A failure of which nobody will hear any more has to be marked as retrieved.
            g.remaining > 0 && (phase == Phase::Returned || (g.return_exceptions && outer_pending))
        });
        if only_counted {
            return Ok(());
        }
        let ready = Ready::Gathered(slf.clone().unbind(), child.clone().unbind());
        match native_loop {
            Some(loop_) => loop_.bind(py).cast::<EventLoop>()?.get().push_step(py, ready),
            // The collector has taken the child apart: nobody waits any more.
            None => Ok(()),
        }
    }

    /// asyncio's `_done_callback`: the turn of a child's callback has come.
    pub fn child_done(slf: &Bound<'_, GatheringFuture>, child: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let (remaining, return_exceptions) = slf.get().with(py, |g| {
            if !g.counts_at_once {
                g.remaining -= 1;
            }
            (g.remaining, g.return_exceptions)
        });
        let future = slf.as_super();
        let given_up = future.get().state.with(py, |s| s.loop_.is_none() || s.phase != Phase::Pending);
        if given_up {
            return mark_retrieved(child);
        }
        if !return_exceptions {
            if let Some(error) = failure_of(child)? {
                return Future::set_exception(future, error);
            }
        }
        match remaining {
            0 => GatheringFuture::finish(slf),
            _ => Ok(()),
        }
    }

    fn finish(slf: &Bound<'_, GatheringFuture>) -> PyResult<()> {
        let py = slf.py();
        let children = slf.get().children(py);
        let cancelled = slf.get()._cancel_requested(py);
        let results: PyResult<Vec<_>> = children.iter_borrowed().map(|child| result_of(&child)).collect();
        let results = results?;
        match (cancelled, children.iter().last()) {
            // The last child's, as in asyncio, whichever was cancelled.
            (true, Some(last)) => Future::set_exception(slf.as_super(), cancelled_error_of(&last)?),
            _ => Future::set_result(slf.as_super(), PyList::new(py, results)?.into_any().unbind()),
        }
    }

    /// The callback as a Python callable, for children of another make and to be shown.
    pub fn callback<'py>(slf: &Bound<'py, GatheringFuture>) -> PyResult<Bound<'py, GatherCallback>> {
        Bound::new(slf.py(), GatherCallback { outer: slf.clone().unbind() })
    }
}

thread_local!(static DEPTH: Cell<c_int> = const { Cell::new(0) });

/// One gather inside another that is being cancelled. As many as asyncio's Python functions could be nested: more would reach
/// the end of a thread's stack, and that is no exception.
struct Level;

impl Level {
    fn enter(py: Python<'_>) -> PyResult<Level> {
        let depth = DEPTH.get();
        if depth >= ffi::recursion_limit(py) {
            return Err(PyRecursionError::new_err("maximum recursion depth exceeded"));
        }
        DEPTH.set(depth + 1);
        Ok(Level)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// `child.exception()`, unless it was cancelled: so that nobody complains that it was never retrieved.
fn mark_retrieved(child: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = child.py();
    if let Some(native) = exact_future(child) {
        native.get().stop_logging(py);
    } else if !is_cancelled(child)? {
        child.call_method0(intern!(py, "exception"))?;
    }
    Ok(())
}

fn is_cancelled(child: &Bound<'_, PyAny>) -> PyResult<bool> {
    child.call_method0(intern!(child.py(), "cancelled"))?.is_truthy()
}

fn cancelled_error_of<'py>(child: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match exact_future(child) {
        Some(native) => Ok(native
            .get()
            .cancelled_error(child.py())
            .into_value(child.py())
            .into_bound(child.py())
            .into_any()),
        None => child.call_method0(intern!(child.py(), "_make_cancelled_error")),
    }
}

/// What a child has failed with, if it has; retrieved by that.
fn failure_of<'py>(child: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = child.py();
    let cancelled = match exact_future(child) {
        Some(native) => match native.get().state.with(py, |s| s.phase) {
            Phase::Returned => return Ok(None),
            phase => phase == Phase::Cancelled,
        },
        None => is_cancelled(child)?,
    };
    if cancelled {
        return cancelled_error_of(child).map(Some);
    }
    let error = match exact_future(child) {
        Some(native) => native.get().exception(py)?.map(|error| error.into_bound(py)),
        None => Some(child.call_method0(intern!(py, "exception"))?),
    };
    Ok(error.filter(|error| !error.is_none()))
}

/// What stands for a child in the list: its result, or the exception.
fn result_of<'py>(child: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = child.py();
    if let Some(native) = exact_future(child) {
        if let Some(value) = native.get().value_seen(py) {
            return Ok(value.into_bound(py));
        }
    }
    let cancelled = match exact_future(child) {
        Some(native) => native.get().is_cancelled(py),
        None => is_cancelled(child)?,
    };
    if cancelled {
        // Not the kept CancelledError: that is raised once, with its traceback, by whoever awaits the child.
        let message = child.getattr(intern!(py, "_cancel_message"))?;
        let class = standard(py).cancelled_error.bind(py);
        return if message.is_none() { class.call1(("",)) } else { class.call1((message,)) };
    }
    let error = child.call_method0(intern!(py, "exception"))?;
    match error.is_none() {
        true => child.call_method0(intern!(py, "result")),
        false => Ok(error),
    }
}

#[pymethods]
impl GatheringFuture {
    #[getter]
    fn __class__(slf: &Bound<'_, Self>) -> Py<PyAny> {
        standard(slf.py()).gathering_future.clone_ref(slf.py()).into_any()
    }

    /// Cancel the children; the future itself ends when they have. False when it, or all of them, are done already.
    #[pyo3(signature = (msg = None))]
    pub fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        if slf.as_super().get().is_done(py) {
            return Ok(false);
        }
        let _level = Level::enter(py)?;
        let mut any = false;
        for child in slf.get().children(py) {
            any |= cancel_awaited(&child, msg.as_ref().map(|msg| msg.clone_ref(py)))?;
        }
        if any {
            slf.get().with(py, |g| g.cancel_requested = true);
        }
        Ok(any)
    }

    #[getter]
    fn _children<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        self.children(py).to_list()
    }

    #[getter]
    fn _cancel_requested(&self, py: Python<'_>) -> bool {
        self.with(py, |g| g.cancel_requested)
    }

    #[setter(_cancel_requested)]
    fn set_private_cancel_requested(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = value.is_truthy()?;
        self.with(py, |g| g.cancel_requested = value);
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.gathered.traverse() {
            Some(gathered) => visit.call(&gathered.children),
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.gathered.with(py, Option::take)));
    }
}

static GATHERING_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for GatheringFuture {
    fn finalize(slf: &Bound<'_, Self>) {
        <Future as ffi::Finalize>::finalize(slf.as_super());
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &GATHERING_DEALLOC
    }
}

/// "This child is done", as a callable.
#[pyclass(module = "plait._native", frozen)]
pub struct GatherCallback {
    outer: Py<GatheringFuture>,
}

#[pymethods]
impl GatherCallback {
    fn __call__(&self, future: &Bound<'_, PyAny>) -> PyResult<()> {
        GatheringFuture::child_done(self.outer.bind(future.py()), future)
    }

    /// As asyncio's function shows in the repr of a child.
    #[getter]
    fn __qualname__(&self) -> &'static str {
        "gather.<locals>._done_callback"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.outer)
    }
}
