//! The result of a call that another thread makes.
//!
//! A leaf type whose `__class__` is the standard Future. Its state is one word of phase and two values; who blocks for it stands in a wait queue,
//! as for an event that is set once.
//!
//! The standard one is a Condition with attributes around it, and packages use them: `concurrent.futures.wait` takes the conditions of all its
//! futures and appends to their `_waiters`. So, as with queues, there are two modes: *sealed*, and, one way, *open*, entered when such an attribute is first
//! read. In an open future the Condition and the lists are real, and the standard library's own methods run, on attributes that are kept
//! here. `_state`, `_result` and `_exception` can be read and written without that.

use super::follower::Follower;
use super::names;
use super::watcher::FutureWatcher;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::trashcan;
use crate::waiters::{block, fire, greenlet, Patience, Waker};
use plait_core::primitives::event::Event;
use plait_core::waiter::Manner;
use pyo3::exceptions::{PyException, PyTimeoutError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Running,
    /// By the user; the executor does not know it yet.
    Cancelled,
    /// The executor knows it: those who wait for several futures count it as done.
    Notified,
    Finished,
}

impl Phase {
    pub fn is_done(self) -> bool {
        !matches!(self, Phase::Pending | Phase::Running)
    }

    /// As `wait` and `as_completed` see it.
    pub fn counts_as_done(self) -> bool {
        matches!(self, Phase::Notified | Phase::Finished)
    }

    pub fn is_cancelled(self) -> bool {
        matches!(self, Phase::Cancelled | Phase::Notified)
    }

    pub fn name(self) -> &'static str {
        match self {
            Phase::Pending => "PENDING",
            Phase::Running => "RUNNING",
            Phase::Cancelled => "CANCELLED",
            Phase::Notified => "CANCELLED_AND_NOTIFIED",
            Phase::Finished => "FINISHED",
        }
    }

    pub fn description(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Running => "running",
            Phase::Cancelled | Phase::Notified => "cancelled",
            Phase::Finished => "finished",
        }
    }

    pub fn of(name: &str) -> Option<Phase> {
        let all = [Phase::Pending, Phase::Running, Phase::Cancelled, Phase::Notified, Phase::Finished];
        all.into_iter().find(|phase| phase.name() == name)
    }
}

/// Who is told when the future is done.
pub enum Callback {
    /// `callback(future)`
    Call(Py<PyAny>),
    /// An asyncio future becomes what this one is.
    Follow(Follower),
    /// `wait` or `as_completed`.
    Watch(Py<FutureWatcher>),
}

impl Callback {
    fn is_watcher(&self) -> bool {
        matches!(self, Callback::Watch(_))
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Callback::Call(callback) => visit.call(callback),
            Callback::Follow(follower) => follower.traverse(visit),
            Callback::Watch(watcher) => visit.call(watcher),
        }
    }
}

/// What an open future has as the standard one does.
pub struct Opened {
    pub condition: Py<PyAny>,
    pub waiters: Py<PyAny>,
    pub callbacks: Py<PyAny>,
}

pub struct State {
    pub phase: Phase,
    pub result: Option<Py<PyAny>>,
    pub exception: Option<Py<PyAny>>,
    pub callbacks: Vec<Callback>,
    pub opened: Option<Box<Opened>>,
    /// The pool of processes that makes the call, until it is over: who waits for the result has it read, and it can end the call.
    pub source: Option<Py<PyAny>>,
}

#[pyclass(module = "plait.concurrent.futures", name = "Future", frozen, subclass, dict, weakref)]
pub struct ConcurrentFuture {
    pub state: Guarded<State>,
    pub done: Event<Waker>,
    built: Built,
}

/// A chain of futures, each the result of another, is taken apart in a loop.
impl Drop for ConcurrentFuture {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(result) = state.result.take() {
            trashcan::let_go(move || drop(result));
        }
    }
}

/// What came of a call.
pub enum Outcome {
    Returned(Py<PyAny>),
    Raised(Py<PyAny>),
}

impl Outcome {
    pub fn of(py: Python<'_>, called: PyResult<Bound<'_, PyAny>>) -> Outcome {
        match called {
            Ok(value) => Outcome::Returned(value.unbind()),
            // `into_value`, for it puts the traceback on the exception, which `value` leaves to 3.12 and later.
            Err(error) => Outcome::Raised(error.into_value(py).into_any()),
        }
    }
}

/// What is seen of a future that is done.
pub enum Seen {
    Cancelled,
    Returned(Py<PyAny>),
    Raised(Py<PyAny>),
}

/// What became of a callback; who has no use for it hands it back.
pub enum Added {
    Yes,
    Done(Py<PyAny>),
    /// It belongs into the list that Python sees.
    Opened(Py<PyAny>),
}

/// What a change of the state came to.
enum Changed<T> {
    Yes(T),
    No(Phase),
    Opened,
}

impl ConcurrentFuture {
    pub fn blank() -> ConcurrentFuture {
        ConcurrentFuture {
            state: Guarded::new(State::pending()),
            done: Event::default(),
            built: Built::new(),
        }
    }

    #[inline]
    pub fn with<R>(&self, py: Python<'_>, body: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(py, body)
    }

    /// One whose call this pool makes.
    pub fn of_source(source: Py<PyAny>) -> ConcurrentFuture {
        let mut future = ConcurrentFuture::blank();
        future.state.get_mut().source = Some(source);
        future
    }

    /// The pool of processes that makes the call, as long as it is not over.
    pub fn source(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.with(py, |s| match s.phase.is_done() {
            true => None,
            false => s.source.as_ref().map(|source| source.clone_ref(py)),
        })
    }

    /// Has the pool read, if it likes to have that done by the thread that waits. A greenlet must not keep its thread.
    fn have_read(slf: &Bound<'_, Self>, patience: Patience<'_>) -> PyResult<()> {
        let py = slf.py();
        if let Some(source) = slf.get().source(py) {
            if greenlet::current(py)?.is_none() {
                let seconds = patience.left().map(|left| left.as_secs_f64());
                source.bind(py).call_method1(intern!(py, "_read_for"), (slf, seconds))?;
            }
        }
        Ok(())
    }

    /// As `__init__` leaves it.
    pub fn reset(&self, py: Python<'_>) {
        let before = self.with(py, |s| std::mem::replace(s, State::pending()));
        self.is_awaited_again(py);
        drop(before);
    }

    /// Who waits for it waits, from now on, unless it is done.
    fn is_awaited_again(&self, py: Python<'_>) {
        self.done.clear();
        // Without the GIL it may have been finished just then.
        if self.phase(py).is_done() {
            fire(py, &self.done, self.done.set());
        }
    }

    pub fn phase(&self, py: Python<'_>) -> Phase {
        self.with(py, |s| s.phase)
    }

    pub fn has_callbacks(&self, py: Python<'_>) -> bool {
        let is_call = |callback: &Callback| matches!(callback, Callback::Call(_));
        self.with(py, |s| s.opened.is_some() || s.callbacks.iter().any(is_call))
    }

    pub fn is_open(&self, py: Python<'_>) -> bool {
        self.with(py, |s| s.opened.is_some())
    }

    /// Lets the standard library's method of that name run: the future is open.
    pub fn openly<'py, A>(slf: &Bound<'py, Self>, method: &str, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: pyo3::call::PyCallArgs<'py>,
    {
        let method = names(slf.py())?.future.bind(slf.py()).getattr(method)?;
        method.getattr("__get__")?.call1((slf,))?.call1(args)
    }

    // ---- what an executor does with it

    /// The call begins. False: it was cancelled, and those who wait for several futures know it now.
    pub fn begin(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let changed = slf.get().with(py, |s| match s.phase {
            _ if s.opened.is_some() => Changed::Opened,
            Phase::Pending => {
                s.phase = Phase::Running;
                Changed::Yes(None)
            }
            Phase::Cancelled => {
                s.phase = Phase::Notified;
                Changed::Yes(Some(std::mem::take(&mut s.callbacks)))
            }
            other => Changed::No(other),
        });
        match changed {
            Changed::Yes(None) => Ok(true),
            Changed::Yes(Some(watchers)) => {
                ConcurrentFuture::tell(slf, watchers)?;
                Ok(false)
            }
            Changed::Opened => ConcurrentFuture::openly(slf, "set_running_or_notify_cancel", ())?.is_truthy(),
            Changed::No(phase) => {
                let id = slf.as_ptr() as usize;
                let logger = names(py)?.logger.bind(py);
                logger.call_method1("critical", ("Future %s in unexpected state: %s", id, phase.name()))?;
                Err(pyo3::exceptions::PyRuntimeError::new_err("Future in unexpected state"))
            }
        }
    }

    /// The call is over. An error is InvalidStateError, or what a callback raised that is no Exception.
    pub fn finish(slf: &Bound<'_, Self>, outcome: Outcome) -> PyResult<()> {
        let py = slf.py();
        let mut outcome = Some(outcome);
        let mut source = None;
        let changed = slf.get().with(py, |s| {
            if s.opened.is_some() {
                return Changed::Opened;
            }
            if s.phase.is_done() {
                return Changed::No(s.phase);
            }
            s.phase = Phase::Finished;
            match outcome.take() {
                Some(Outcome::Returned(value)) => s.result = Some(value),
                Some(Outcome::Raised(error)) => s.exception = Some(error),
                None => {}
            }
            source = s.source.take();
            Changed::Yes(std::mem::take(&mut s.callbacks))
        });
        drop(source);
        match (changed, outcome) {
            (Changed::Yes(callbacks), _) => {
                fire(py, &slf.get().done, slf.get().done.set());
                ConcurrentFuture::tell(slf, callbacks)
            }
            (Changed::No(phase), _) => {
                let text = format!("{}: {}", phase.name(), slf.repr()?);
                Err(PyErr::from_type(names(py)?.invalid_state_error.bind(py).clone(), (text,)))
            }
            (Changed::Opened, Some(Outcome::Returned(value))) => {
                ConcurrentFuture::openly(slf, "set_result", (value,)).map(drop)
            }
            (Changed::Opened, Some(Outcome::Raised(error))) => {
                ConcurrentFuture::openly(slf, "set_exception", (error,)).map(drop)
            }
            (Changed::Opened, None) => Ok(()),
        }
    }

    /// False: it runs, or is finished.
    pub fn cancel(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let changed = slf.get().with(py, |s| match s.phase {
            _ if s.opened.is_some() => Changed::Opened,
            Phase::Pending => {
                s.phase = Phase::Cancelled;
                // Those who wait for several futures are told by the executor.
                let (watchers, callbacks) =
                    std::mem::take(&mut s.callbacks).into_iter().partition(Callback::is_watcher);
                s.callbacks = watchers;
                Changed::Yes(callbacks)
            }
            other => Changed::No(other),
        });
        match changed {
            Changed::Yes(callbacks) => {
                fire(py, &slf.get().done, slf.get().done.set());
                ConcurrentFuture::tell(slf, callbacks)?;
                Ok(true)
            }
            Changed::No(phase) => Ok(phase.is_cancelled()),
            Changed::Opened => ConcurrentFuture::openly(slf, "cancel", ())?.is_truthy(),
        }
    }

    /// Tells all of them, those who wait for several futures first. An error is what a callback raised that is no Exception.
    pub fn tell(slf: &Bound<'_, Self>, callbacks: Vec<Callback>) -> PyResult<()> {
        let py = slf.py();
        if callbacks.iter().any(Callback::is_watcher) {
            let failed = slf.get().with(py, |s| s.exception.is_some());
            for callback in &callbacks {
                if let Callback::Watch(watcher) = callback {
                    watcher.get().told(slf, failed);
                }
            }
        }
        for callback in callbacks {
            match callback {
                Callback::Watch(_) => {}
                Callback::Follow(follower) => {
                    if let Some(seen) = slf.get().look(py) {
                        follower.resume(py, seen);
                    }
                }
                Callback::Call(callback) => ConcurrentFuture::call(slf, callback.bind(py))?,
            }
        }
        Ok(())
    }

    /// Calls a callback, with the standard report of its failure.
    pub fn call(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        match callback.call1((slf,)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let keywords = PyDict::new(py);
                keywords.set_item("exc_info", error.into_value(py))?;
                let args = ("exception calling callback for %r", slf);
                names(py)?.logger.bind(py).call_method("error", args, Some(&keywords))?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    // ---- what those do who want the result

    /// None: it is not done.
    #[inline]
    pub fn look(&self, py: Python<'_>) -> Option<Seen> {
        self.with(py, |s| match s.phase {
            Phase::Pending | Phase::Running => None,
            Phase::Cancelled | Phase::Notified => Some(Seen::Cancelled),
            Phase::Finished => Some(match (&s.exception, &s.result) {
                (Some(error), _) => Seen::Raised(error.clone_ref(py)),
                (None, Some(value)) => Seen::Returned(value.clone_ref(py)),
                (None, None) => Seen::Returned(py.None()),
            }),
        })
    }

    /// Blocks until it is done: TimeoutError when patience ends. None: it was opened, and the standard algorithm has to wait.
    pub fn awaited(slf: &Bound<'_, Self>, patience: Patience<'_>) -> PyResult<Option<Seen>> {
        let py = slf.py();
        let this = slf.get();
        ConcurrentFuture::have_read(slf, patience)?;
        loop {
            let poll = |wait: &mut _, waker: &mut _, _: &mut _| this.done.poll(wait, waker);
            let woken = block(py, &this.done, Manner::Barging, patience, poll)?;
            if this.is_open(py) {
                return Ok(None);
            }
            match (this.look(py), woken) {
                (Some(seen), _) => return Ok(Some(seen)),
                (None, None) => return Err(PyTimeoutError::new_err(())),
                // Set by hand to something that is not done. Whoever does that again and again is not to keep others from running.
                (None, Some(())) => {
                    py.detach(|| {});
                    py.check_signals()?;
                    if patience.is_over() {
                        return Err(PyTimeoutError::new_err(()));
                    }
                }
            }
        }
    }

    /// What was seen, as `result()` hands it out.
    #[inline]
    pub fn hand_out(py: Python<'_>, seen: Seen) -> PyResult<Py<PyAny>> {
        match seen {
            Seen::Returned(value) => Ok(value),
            Seen::Cancelled => Err(cancelled_error(py)),
            Seen::Raised(error) => {
                let error = error.into_bound(py);
                match error.is_instance_of::<pyo3::exceptions::PyBaseException>() {
                    true => Err(ffi::raised(&error)),
                    // A class, or what cannot be raised: `raise` knows what to do with it.
                    false => names(py)?.glue.bind(py).call_method1("raise_it", (error,)).map(Bound::unbind),
                }
            }
        }
    }

    // ---- the open mode

    /// Opens it, if it is sealed still, and answers with a part of it.
    pub fn open<'py>(slf: &Bound<'py, Self>, part: fn(&Opened) -> &Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let known = |s: &mut State| s.opened.as_ref().map(|opened| part(opened).clone_ref(py));
        if let Some(known) = slf.get().with(py, known) {
            return Ok(known.into_bound(py));
        }
        ConcurrentFuture::unseal(slf)?;
        ConcurrentFuture::open(slf, part)
    }

    /// Makes what an open future has, unless another thread comes first. An open future changes under its condition only, and this thread holds it before
    /// others can see it: nobody finishes the future, or adds to it, before everything has found its place.
    fn unseal(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let condition = py.import("threading")?.call_method0("Condition")?;
        let list = PyList::empty(py);
        let mut opened = Some(Box::new(Opened {
            condition: condition.clone().unbind(),
            waiters: PyList::empty(py).into_any().unbind(),
            callbacks: list.clone().into_any().unbind(),
        }));
        condition.call_method0(intern!(py, "acquire"))?;
        // What Python has added goes into the list that Python sees.
        let calls: Vec<Callback> = slf.get().with(py, |s| {
            if s.opened.is_some() {
                return Vec::new();
            }
            s.opened = opened.take();
            let is_call = |callback: &Callback| matches!(callback, Callback::Call(_));
            let (calls, others) = std::mem::take(&mut s.callbacks).into_iter().partition(is_call);
            s.callbacks = others;
            calls
        });
        let filled = calls.into_iter().try_for_each(|callback| match callback {
            Callback::Call(callback) => list.append(callback),
            _ => Ok(()),
        });
        let released = condition.call_method0(intern!(py, "release"));
        drop(opened);
        // Who waits is sent to wait at the condition.
        fire(py, &slf.get().done, slf.get().done.set());
        slf.get().is_awaited_again(py);
        filled.and(released.map(drop))
    }

    /// Puts something else in the place of a part.
    pub fn replace_part(&self, py: Python<'_>, part: fn(&mut Opened) -> &mut Py<PyAny>, with: Py<PyAny>) {
        let mut with = Some(with);
        let before = self.with(py, |s| match (&mut s.opened, with.take()) {
            (Some(opened), Some(new)) => Some(std::mem::replace(part(opened), new)),
            (_, unused) => unused,
        });
        drop(before);
    }

    /// Somebody has set the state by hand, or the standard algorithm has.
    pub fn set_phase(slf: &Bound<'_, Self>, phase: Phase) -> PyResult<()> {
        let py = slf.py();
        let told = slf.get().with(py, |s| {
            s.phase = phase;
            let due = |callback: &Callback| match callback {
                Callback::Watch(_) => phase.counts_as_done(),
                Callback::Follow(_) => phase.is_done(),
                Callback::Call(_) => false,
            };
            let (told, kept) = std::mem::take(&mut s.callbacks).into_iter().partition(due);
            s.callbacks = kept;
            told
        });
        match phase.is_done() {
            true => fire(py, &slf.get().done, slf.get().done.set()),
            false => slf.get().is_awaited_again(py),
        }
        ConcurrentFuture::tell(slf, told)
    }

    /// Adds what Python wants to be called. Whether it has a place here is decided while nobody can finish the future, or open it.
    pub fn add_call(&self, py: Python<'_>, callback: Py<PyAny>) -> Added {
        self.with(py, |s| {
            if s.opened.is_some() {
                return Added::Opened(callback);
            }
            if s.phase.is_done() {
                return Added::Done(callback);
            }
            s.callbacks.push(Callback::Call(callback));
            Added::Yes
        })
    }

    /// Adds one of plait's own, which an open future keeps here, too; hands it back if the future is done.
    pub fn add(&self, py: Python<'_>, callback: Callback, counts: fn(Phase) -> bool) -> Option<Callback> {
        self.with(py, |s| match counts(s.phase) {
            true => Some(callback),
            false => {
                s.callbacks.push(callback);
                None
            }
        })
    }

    /// Takes a watcher out.
    pub fn unwatch(&self, py: Python<'_>, watcher: &Py<FutureWatcher>) {
        let removed = self.with(py, |s| {
            let same = |c: &Callback| matches!(c, Callback::Watch(other) if other.is(watcher));
            s.callbacks.iter().position(same).map(|at| s.callbacks.remove(at))
        });
        drop(removed);
    }

    pub fn traverse_state(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        let state = self.state.traverse();
        visit.call(&state.result)?;
        visit.call(&state.exception)?;
        visit.call(&state.source)?;
        if let Some(opened) = &state.opened {
            visit.call(&opened.condition)?;
            visit.call(&opened.waiters)?;
            visit.call(&opened.callbacks)?;
        }
        state.callbacks.iter().try_for_each(|callback| callback.traverse(visit))?;
        self.done.visit(|waker| waker.traverse(visit))
    }
}

impl State {
    fn pending() -> State {
        State {
            phase: Phase::Pending,
            result: None,
            exception: None,
            callbacks: Vec::new(),
            opened: None,
            source: None,
        }
    }
}

#[cold]
pub fn cancelled_error(py: Python<'_>) -> PyErr {
    match names(py) {
        Ok(names) => PyErr::from_type(names.cancelled_error.bind(py).clone(), ()),
        Err(error) => error,
    }
}
