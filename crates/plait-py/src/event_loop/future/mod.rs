//! Future: a result that is not there yet. The state machine is here; what a task does with it is in `step.rs`.
//!
//! A leaf type whose `__class__` is `asyncio.Future`, not a subtype of the C one: half the memory, and no
//! field of a foreign struct that could be read uninitialised. On a plait loop the completion of a future puts
//! its waiters straight into the ready queue; on any other loop it goes through `call_soon`.

mod methods;

use crate::errors::invalid_state;
use crate::event_loop::callbacks::{Callback, Callbacks};
use crate::event_loop::gathering::GatheringFuture;
use crate::event_loop::ready::Ready;
use crate::event_loop::task::Task;
use crate::event_loop::EventLoop;
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::OnceLock;

/// What a future is settled with.
pub enum Outcome {
    Cancelled,
    Result(Py<PyAny>),
    Exception(Py<PyAny>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Cancelled,
    Returned,
    Failed,
}

/// What few futures have.
#[derive(Default)]
pub struct Rare {
    cancel_message: Option<Py<PyAny>>,
    /// The CancelledError that ended a task, kept with its traceback until it is raised once.
    cancelled_error: Option<Py<PyAny>>,
    exception_traceback: Option<Py<PyAny>>,
    source_traceback: Option<Py<PyAny>>,
}

/// Laid out to be small: the phase stands with the flags, not as the tag of an enum that would take a word for it.
pub struct FutureState {
    /// None until `__init__` ran (a subclass may forget it).
    pub loop_: Option<Py<PyAny>>,
    /// The result, or the exception, when the phase says so.
    value: Option<Py<PyAny>>,
    pub callbacks: Callbacks,
    pub rare: Option<Box<Rare>>,
    pub phase: Phase,
    pub blocking: bool,
    log_traceback: bool,
    /// `loop_` is a plait loop whose `call_soon` nobody overrides.
    pub native: bool,
}

impl FutureState {
    fn value_in(&self, py: Python<'_>, phase: Phase) -> Option<Py<PyAny>> {
        match self.phase == phase {
            true => self.value.as_ref().map(|value| value.clone_ref(py)),
            false => None,
        }
    }
}

impl FutureState {
    /// The loop where callbacks may go straight into its ready queue.
    #[inline]
    pub fn native_loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match self.native {
            true => self.loop_.as_ref().map(|l| l.clone_ref(py)),
            false => None,
        }
    }
}

#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct Future {
    pub state: Guarded<FutureState>,
}

impl Future {
    /// Before `__init__`.
    pub fn blank() -> Future {
        Future {
            state: Guarded::new(FutureState {
                loop_: None,
                value: None,
                phase: Phase::Pending,
                callbacks: Callbacks::None,
                rare: None,
                blocking: false,
                log_traceback: false,
                native: false,
            }),
        }
    }

    /// A pending future of a plait loop, for `create_future` and for the runtime itself.
    #[inline]
    pub fn on_loop(py: Python<'_>, loop_: &Bound<'_, EventLoop>) -> PyResult<Future> {
        let future = Future::blank();
        future.attach_to(py, loop_.as_any())?;
        Ok(future)
    }

    /// Sets the loop, as `__init__` does; also remembers the stack in debug mode.
    pub fn attach_to(&self, py: Python<'_>, loop_: &Bound<'_, PyAny>) -> PyResult<()> {
        let plait_loop = loop_.cast::<EventLoop>().ok().map(Bound::get);
        let debug = match plait_loop {
            Some(plait_loop) => plait_loop.debug(py),
            None => loop_.call_method0(intern!(py, "get_debug"))?.is_truthy()?,
        };
        let source_traceback = match debug {
            true => Some(standard(py).extract_stack.call0(py)?),
            false => None,
        };
        let native = plait_loop.is_some_and(EventLoop::steps_natively);
        let loop_ = loop_.clone().unbind();
        let replaced = self.state.with(py, |s| {
            let fresh = FutureState {
                loop_: Some(loop_),
                value: None,
                phase: Phase::Pending,
                callbacks: Callbacks::None,
                rare: source_traceback
                    .map(|tb| Box::new(Rare { source_traceback: Some(tb), ..Rare::default() })),
                blocking: false,
                log_traceback: false,
                native,
            };
            std::mem::replace(s, fresh)
        });
        drop(replaced);
        Ok(())
    }

    #[inline]
    pub fn is_done(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.phase != Phase::Pending)
    }

    pub fn is_cancelled(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.phase == Phase::Cancelled)
    }

    pub fn loop_of<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.state
            .with(py, |s| s.loop_.as_ref().map(|l| l.clone_ref(py)))
            .map(|l| l.into_bound(py))
            .ok_or_else(|| PyRuntimeError::new_err("Future object is not initialized."))
    }

    /// The result, or the exception to raise; the standard words when there is neither yet.
    pub fn take_outcome(&self, py: Python<'_>, pending: &'static str) -> PyResult<Py<PyAny>> {
        enum Seen {
            Pending,
            Cancelled,
            Result(Py<PyAny>),
            Exception(Py<PyAny>, Option<Py<PyAny>>),
        }
        let seen = self.state.with(py, |s| match (s.phase, &s.value) {
            (Phase::Pending, _) => Seen::Pending,
            (Phase::Returned, Some(value)) => Seen::Result(value.clone_ref(py)),
            (Phase::Failed, Some(error)) => {
                s.log_traceback = false;
                let traceback = s.rare.as_mut().and_then(|r| r.exception_traceback.take());
                Seen::Exception(error.clone_ref(py), traceback)
            }
            // A settled value is only ever missing when the collector took it: as good as cancelled.
            _ => Seen::Cancelled,
        });
        match seen {
            Seen::Result(value) => Ok(value),
            Seen::Exception(error, traceback) => {
                let error = error.into_bound(py);
                ffi::set_traceback(&error, traceback.as_ref().map(|tb| tb.bind(py)));
                Err(ffi::raised(&error))
            }
            Seen::Cancelled => Err(ffi::raised(self.cancelled_error(py).value(py).as_any())),
            Seen::Pending => Err(invalid_state(py, pending.to_owned())),
        }
    }

    /// The CancelledError to raise: the one that ended the task, once, else a new one with `cancel()`'s message.
    pub fn cancelled_error(&self, py: Python<'_>) -> PyErr {
        let (kept, message) = self.state.with(py, |s| match &mut s.rare {
            None => (None, None),
            Some(rare) => {
                (rare.cancelled_error.take(), rare.cancel_message.as_ref().map(|m| m.clone_ref(py)))
            }
        });
        if let Some(kept) = kept {
            return PyErr::from_value(kept.into_bound(py));
        }
        let class = standard(py).cancelled_error.bind(py);
        let made = match message {
            None => class.call0(),
            Some(message) => class.call1((message,)),
        };
        made.map_or_else(|failed| failed, PyErr::from_value)
    }

    pub fn cancel_message(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state
            .with(py, |s| s.rare.as_ref().and_then(|r| r.cancel_message.as_ref().map(|m| m.clone_ref(py))))
    }

    pub fn set_cancel_message(&self, py: Python<'_>, message: Option<Py<PyAny>>) {
        let replaced = self.state.with(py, |s| match (&mut s.rare, message) {
            (None, None) => None,
            (rare, message) => std::mem::replace(&mut rare.get_or_insert_default().cancel_message, message),
        });
        drop(replaced);
    }

    pub fn keep_cancelled_error(&self, py: Python<'_>, error: Py<PyAny>) {
        let replaced = self.state.with(py, |s| s.rare.get_or_insert_default().cancelled_error.replace(error));
        drop(replaced);
    }

    /// The result or the exception, counted as retrieved; None when there is neither.
    #[inline]
    pub fn value_seen(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| {
            s.log_traceback = false;
            s.value.as_ref().map(|value| value.clone_ref(py))
        })
    }

    pub fn stop_logging(&self, py: Python<'_>) {
        self.state.with(py, |s| s.log_traceback = false);
    }

    /// Settles a pending future and hands its callbacks to the loop. False when it was settled already.
    #[inline]
    pub fn settle(slf: &Bound<'_, Future>, outcome: Outcome) -> PyResult<bool> {
        let py = slf.py();
        let (phase, value) = match outcome {
            Outcome::Cancelled => (Phase::Cancelled, None),
            Outcome::Result(value) => (Phase::Returned, Some(value)),
            Outcome::Exception(error) => (Phase::Failed, Some(error)),
        };
        let settled = slf.get().state.with(py, |s| {
            if s.phase != Phase::Pending {
                return Err(value);
            }
            s.phase = phase;
            s.value = value;
            s.log_traceback = phase == Phase::Failed;
            Ok(std::mem::take(&mut s.callbacks))
        });
        match settled {
            Ok(Callbacks::None) => Ok(true),
            Ok(Callbacks::Wake(task)) => {
                let task = task.into_bound(py);
                Task::schedule_wakeup(&task, slf).map(|()| true)
            }
            Ok(Callbacks::Gather(outer)) => {
                GatheringFuture::child_settled(outer.bind(py), slf).map(|()| true)
            }
            Ok(Callbacks::Watch(watcher)) => watcher.settled(slf).map(|()| true),
            Ok(Callbacks::Some(list)) => {
                list.into_iter().try_for_each(|callback| Future::schedule_one(slf, callback))?;
                Ok(true)
            }
            Err(unused) => {
                drop(unused);
                Ok(false)
            }
        }
    }

    pub fn schedule_one(slf: &Bound<'_, Future>, callback: Callback) -> PyResult<()> {
        let py = slf.py();
        match callback {
            Callback::Wake(task) => Task::schedule_wakeup(task.bind(py), slf),
            Callback::Gather(outer) => GatheringFuture::child_settled(outer.bind(py), slf),
            Callback::Watch(watcher) => watcher.settled(slf),
            Callback::Call { callback, context } => {
                let (loop_, native) =
                    slf.get().state.with(py, |s| (s.loop_.as_ref().map(|l| l.clone_ref(py)), s.native));
                let loop_ = loop_.expect("a future with callbacks was initialised").into_bound(py);
                if native {
                    let plait_loop = loop_.cast::<EventLoop>()?;
                    if !plait_loop.get().debug(py) {
                        let argument = slf.clone().into_any().unbind();
                        let call = Ready::Call { callback, argument, context };
                        return plait_loop.get().push_ready(py, call);
                    }
                }
                call_soon(&loop_, callback.bind(py), slf.as_any(), context.bind(py))
            }
        }
    }

    pub fn set_error(slf: &Bound<'_, Future>, error: Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let traceback = error.getattr(intern!(py, "__traceback__"))?;
        if !traceback.is_none() {
            let traceback = Some(traceback.unbind());
            let replaced = slf.get().state.with(py, |s| {
                let rare = s.rare.get_or_insert_default();
                std::mem::replace(&mut rare.exception_traceback, traceback)
            });
            drop(replaced);
        }
        Future::settle(slf, Outcome::Exception(error.unbind()))
    }

    /// `set_exception` for an exception that a step raised.
    pub fn fail(slf: &Bound<'_, Future>, error: &PyErr) -> PyResult<bool> {
        // `into_value`, for it puts the traceback on the exception, which `value` leaves to 3.12 and later.
        let py = slf.py();
        Future::set_error(slf, error.clone_ref(py).into_value(py).into_bound(py).into_any())
    }

    fn state_name(&self, py: Python<'_>) -> &'static str {
        self.state.with(py, |s| match s.phase {
            Phase::Pending => "PENDING",
            Phase::Cancelled => "CANCELLED",
            Phase::Returned | Phase::Failed => "FINISHED",
        })
    }

    pub fn cancel_base(slf: &Bound<'_, Future>, message: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        this.loop_of(py)?;
        this.stop_logging(py);
        if this.is_done(py) {
            return Ok(false);
        }
        this.set_cancel_message(py, message);
        Future::settle(slf, Outcome::Cancelled)
    }

    pub fn traverse_state(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.state.traverse();
        // Without a loop it has not begun to hold anything; and on 3.11 it may be memory that is zero still (`Built`).
        if state.loop_.is_none() {
            return Ok(());
        }
        visit.call(&state.loop_)?;
        visit.call(&state.value)?;
        state.callbacks.traverse(visit)?;
        if let Some(rare) = &state.rare {
            visit.call(&rare.cancel_message)?;
            visit.call(&rare.cancelled_error)?;
            visit.call(&rare.exception_traceback)?;
            visit.call(&rare.source_traceback)?;
        }
        Ok(())
    }

    /// "… exception was never retrieved", from the finalizers of Future and Task.
    pub fn log_never_retrieved(slf: &Bound<'_, Future>) -> PyResult<()> {
        let py = slf.py();
        let unseen = slf.get().state.with(py, |s| match std::mem::replace(&mut s.log_traceback, false) {
            true => s.value_in(py, Phase::Failed),
            false => None,
        });
        let Some(error) = unseen else { return Ok(()) };
        let class = slf.as_any().getattr("__class__")?.getattr("__name__")?;
        let context = PyDict::new(py);
        context.set_item("message", format!("{class} exception was never retrieved"))?;
        context.set_item("exception", error)?;
        context.set_item("future", slf)?;
        if let Some(traceback) = slf.get()._source_traceback(py) {
            context.set_item("source_traceback", traceback)?;
        }
        let loop_ = slf.get().loop_of(py)?;
        loop_.call_method1(intern!(py, "call_exception_handler"), (context,))?;
        Ok(())
    }
}

/// `loop.call_soon(callback, argument, context=context)` on a loop of any kind.
pub fn call_soon(
    loop_: &Bound<'_, PyAny>,
    callback: &Bound<'_, PyAny>,
    argument: &Bound<'_, PyAny>,
    context: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = loop_.py();
    let kwargs = PyDict::new(py);
    kwargs.set_item(intern!(py, "context"), context)?;
    loop_.call_method(intern!(py, "call_soon"), (callback, argument), Some(&kwargs))?;
    Ok(())
}

/// StopIteration cannot travel through `await`: what to raise, or keep, in its place.
fn without_stop_iteration<'py>(error: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if !error.is_instance_of::<PyStopIteration>() {
        return Ok(error);
    }
    let text = "StopIteration interacts badly with generators and cannot be raised into a Future";
    let py = error.py();
    if standard(py).stop_iteration_is_refused {
        return Err(PyTypeError::new_err(text));
    }
    let replacement = PyRuntimeError::new_err(text).into_value(py).into_bound(py).into_any();
    replacement.setattr("__cause__", &error)?;
    replacement.setattr("__context__", &error)?;
    Ok(replacement)
}

static FUTURE_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for Future {
    fn finalize(slf: &Bound<'_, Self>) {
        if let Err(error) = Future::log_never_retrieved(slf) {
            error.write_unraisable(slf.py(), Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &FUTURE_DEALLOC
    }
}
