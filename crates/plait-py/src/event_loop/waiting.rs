//! What `asyncio.wait` waits for on a plait loop: a future that the children, or the time-out, settle.
//!
//! Native children of the loop are counted when they are settled, as in `gathering.rs`, and only one that may end the wait goes
//! through the ready queue, at the place where its callback would have run. Where a child of another make or another loop is
//! among them, each goes through a queue and is counted there. The time-out is the future's own entry among the timers.

use super::future::{Future, Outcome, Phase};
use super::schedule::due;
use super::sleep::TimerFuture;
use super::step::exact_future;
use super::watcher::{Watcher, WatcherCallback};
use super::EventLoop;
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::{PyAssertionError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFrozenSet, PyList, PySet, PyString, PyTuple};

/// `return_when`
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    All,
    First,
    FirstException,
}

impl Until {
    fn named(name: &Bound<'_, PyAny>) -> Option<Until> {
        match name.cast::<PyString>().ok()?.to_str().ok()? {
            "ALL_COMPLETED" => Some(Until::All),
            "FIRST_COMPLETED" => Some(Until::First),
            "FIRST_EXCEPTION" => Some(Until::FirstException),
            _ => None,
        }
    }
}

struct Waited {
    /// Always there; an Option because on 3.11 the collector may look at memory that is zero still (`Built`).
    children: Option<Py<PySet>>,
    /// What children of other makes were given.
    callable: Option<Py<WatcherCallback>>,
    remaining: usize,
    until: Until,
    /// Children are counted when they are settled.
    counts_at_once: bool,
}

/// What a waiting task waits for.
#[pyclass(module = "plait._native", frozen, extends = TimerFuture)]
pub struct WaitManyFuture {
    waited: Guarded<Option<Waited>>,
}

/// What `wait` asks first: the future that it is to yield, and then to ask for its `answer`. None where the standard function has
/// to do it: on other loops, and to complain about arguments.
#[pyfunction]
#[pyo3(signature = (fs, timeout, return_when, /))]
pub fn start_wait<'py>(
    fs: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
    return_when: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, WaitManyFuture>>> {
    let py = fs.py();
    let running = standard(py).get_running_loop.bind(py).call0()?;
    let (Some(loop_), Some(until)) = (EventLoop::timing_natively(&running)?, Until::named(return_when))
    else {
        return Ok(None);
    };
    if !is_collection(fs)? || !fs.is_truthy()? {
        return Ok(None);
    }
    let children = py.get_type::<PySet>().call1((fs,))?.cast_into::<PySet>()?;
    let all_native = check(&children, &running)?;
    let when = match timeout.is_none() {
        true => None,
        false => Some(due(timeout)?),
    };
    let future = Future::on_loop(py, loop_)?;
    future.state.with(py, |s| s.blocking = true);
    let waited = Waited {
        children: Some(children.clone().unbind()),
        callable: None,
        remaining: children.len(),
        until,
        counts_at_once: all_native,
    };
    let waiter = PyClassInitializer::from(future)
        .add_subclass(TimerFuture::unarmed())
        .add_subclass(WaitManyFuture { waited: Guarded::new(Some(waited)) });
    let waiter = Bound::new(py, waiter)?;
    if let Some(when) = when {
        loop_.get().check_thread_in_debug_mode(py)?;
        TimerFuture::arm(waiter.as_super(), loop_, when);
    }
    for child in &children {
        if let Err(error) = WaitManyFuture::watch(&waiter, &child, &running) {
            drop(WaitManyFuture::stop(&waiter)); // what is no future has no callbacks to remove either
            return Err(error);
        }
    }
    Ok(Some(waiter))
}

/// Whether it may be iterated over. A future or a coroutine is refused by the standard function.
fn is_collection(fs: &Bound<'_, PyAny>) -> PyResult<bool> {
    if fs.is_exact_instance_of::<PyList>()
        || fs.is_exact_instance_of::<PySet>()
        || fs.is_exact_instance_of::<PyTuple>()
        || fs.is_exact_instance_of::<PyFrozenSet>()
    {
        return Ok(true);
    }
    let known = standard(fs.py()).waiting.isfuture.bind(fs.py()).call1((fs,))?.is_truthy()?;
    Ok(!known && !standard(fs.py()).iscoroutine.bind(fs.py()).call1((fs,))?.is_truthy()?)
}

/// Refuses what asyncio refuses; tells whether all are native futures of this loop.
fn check(children: &Bound<'_, PySet>, loop_: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = children.py();
    if children.is_empty() {
        return Err(PyAssertionError::new_err("Set of Futures is empty."));
    }
    let mut all_native = true;
    for child in children {
        if native_of(&child, loop_).is_some() {
            continue;
        }
        all_native = false;
        if standard(py).iscoroutine.bind(py).call1((&child,))?.is_truthy()? {
            return Err(PyTypeError::new_err("Passing coroutines is forbidden, use tasks explicitly."));
        }
    }
    Ok(all_native)
}

fn native_of<'a, 'py>(
    child: &'a Bound<'py, PyAny>,
    loop_: &Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, Future>> {
    let native = exact_future(child)?;
    let own = native.get().state.with(child.py(), |s| s.loop_.as_ref().map(Py::as_ptr));
    (own == Some(loop_.as_ptr())).then_some(native)
}

impl WaitManyFuture {
    fn with<R: Default>(&self, py: Python<'_>, body: impl FnOnce(&mut Waited) -> R) -> R {
        self.waited.with(py, |waited| waited.as_mut().map(body).unwrap_or_default())
    }

    fn watch(
        slf: &Bound<'_, WaitManyFuture>,
        child: &Bound<'_, PyAny>,
        loop_: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        let watcher = Watcher::Wait(slf.clone().unbind());
        if let Some(native) = native_of(child, loop_) {
            return watcher.leave_with(native);
        }
        let known = slf.get().with(py, |w| w.callable.as_ref().map(|callable| callable.clone_ref(py)));
        let callable = match known {
            Some(known) => known,
            None => {
                let made = watcher.callable(py)?.unbind();
                let kept = made.clone_ref(py);
                slf.get().with(py, |w| w.callable = Some(kept));
                made
            }
        };
        child.call_method1(intern!(py, "add_done_callback"), (callable,))?;
        Ok(())
    }

    /// A native child has been settled. Whether its turn is wanted.
    #[inline]
    pub fn child_settled(slf: &Bound<'_, WaitManyFuture>, child: &Bound<'_, Future>) -> bool {
        let py = slf.py();
        let phase = child.get().state.with(py, |s| s.phase);
        if slf.as_super().as_super().get().is_done(py) {
            return false;
        }
        slf.get().with(py, |w| {
            if !w.counts_at_once {
                return true;
            }
            w.remaining = w.remaining.saturating_sub(1);
            w.remaining == 0
                || w.until == Until::First
                || (w.until == Until::FirstException && phase == Phase::Failed)
        })
    }

    /// asyncio's `_on_completion`: the turn of a child's callback has come.
    pub fn child_done(slf: &Bound<'_, WaitManyFuture>, child: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let ends = slf.get().waited.with(py, |waited| {
            waited.as_mut().map(|w| {
                if !w.counts_at_once {
                    w.remaining = w.remaining.saturating_sub(1);
                }
                (w.remaining == 0 || w.until == Until::First, w.until)
            })
        });
        let ends = match ends {
            None => false,
            Some((true, _)) => true,
            Some((false, until)) => until == Until::FirstException && has_failed(child)?,
        };
        if ends {
            TimerFuture::stop(slf.as_super())?;
            Future::settle(slf.as_super().as_super(), Outcome::Result(py.None()))?;
        }
        Ok(())
    }

    /// Takes the timer, and what it left with the children, back.
    fn stop(slf: &Bound<'_, WaitManyFuture>) -> PyResult<()> {
        let py = slf.py();
        TimerFuture::stop(slf.as_super())?;
        let Some((children, callable)) = slf.get().children(py) else {
            return Ok(());
        };
        let watcher = Watcher::Wait(slf.clone().unbind());
        let mut failed = None;
        for child in children.bind(py) {
            if let Some(native) = exact_future(&child) {
                watcher.take_from(native);
            }
            if let Some(callable) = &callable {
                let removed = child.call_method1(intern!(py, "remove_done_callback"), (callable,));
                failed = failed.or(removed.err());
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn children(&self, py: Python<'_>) -> Option<(Py<PySet>, Option<Py<WatcherCallback>>)> {
        self.waited.with(py, |waited| {
            let waited = waited.as_ref()?;
            let children = waited.children.as_ref()?.clone_ref(py);
            Some((children, waited.callable.as_ref().map(|callable| callable.clone_ref(py))))
        })
    }
}

/// `not f.cancelled() and f.exception() is not None`
fn has_failed(child: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = child.py();
    if let Some(native) = exact_future(child) {
        native.get().stop_logging(py);
        return Ok(native.get().state.with(py, |s| s.phase == Phase::Failed));
    }
    Ok(!child.call_method0(intern!(py, "cancelled"))?.is_truthy()?
        && !child.call_method0(intern!(py, "exception"))?.is_none())
}

fn is_done(child: &Bound<'_, PyAny>) -> PyResult<bool> {
    match exact_future(child) {
        Some(native) => Ok(native.get().is_done(child.py())),
        None => child.call_method0(intern!(child.py(), "done"))?.is_truthy(),
    }
}

#[pymethods]
impl WaitManyFuture {
    /// Wait no more.
    fn give_up(slf: &Bound<'_, Self>) -> PyResult<()> {
        WaitManyFuture::stop(slf)
    }

    /// What `wait` returns: the children that are done, and those that are not.
    fn answer<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PySet>, Bound<'py, PySet>)> {
        let py = slf.py();
        let (done, pending) = (PySet::empty(py)?, PySet::empty(py)?);
        let Some((children, callable)) = slf.get().children(py) else {
            return Ok((done, pending));
        };
        for child in children.bind(py) {
            match is_done(&child)? {
                true => done.add(child)?,
                false => pending.add(child)?,
            }
        }
        if callable.is_some() || !pending.is_empty() {
            WaitManyFuture::stop(slf)?;
        } else {
            TimerFuture::stop(slf.as_super())?;
        }
        Ok((done, pending))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.waited.traverse() {
            Some(waited) => {
                visit.call(&waited.children)?;
                visit.call(&waited.callable)
            }
            None => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.waited.with(py, Option::take)));
    }
}
