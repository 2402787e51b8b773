//! What `asyncio.as_completed` iterates over: futures, in the order in which they end.
//!
//! The iterator and its coroutines are `plait._waiting`'s; here is what asyncio keeps in a Queue of its own: who is done and was
//! not asked for, and who waits for the next. They are served in the order in which they came.

use super::any_task::running_loop;
use super::future::{Future, Outcome};
use super::gather::close_after;
use super::step::exact_future;
use super::watcher::{Watcher, WatcherCallback};
use super::EventLoop;
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::{PyRuntimeError, PyTimeoutError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet};
use std::collections::VecDeque;

#[derive(Default)]
struct State {
    /// Those that are not done; empty once the time is over.
    todo: Option<Py<PySet>>,
    /// None: the time was over before this one was done.
    done: VecDeque<Option<Py<PyAny>>>,
    waiters: VecDeque<Py<Future>>,
    timer: Option<Py<PyAny>>,
    /// What futures of other makes were given.
    callable: Option<Py<WatcherCallback>>,
}

#[pyclass(module = "plait._native", frozen)]
pub struct Completions {
    state: Guarded<State>,
}

/// The awaitables as futures of the current loop, each watched; how many they are is its length.
#[pyfunction]
#[pyo3(signature = (aws, timeout, /))]
pub fn start_completions<'py>(
    aws: &Bound<'py, PyAny>,
    timeout: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, Completions>> {
    let py = aws.py();
    let loop_ = standard(py).get_event_loop.bind(py).call0()?;
    let todo = PySet::empty(py)?;
    for argument in &py.get_type::<PySet>().call1((aws,))?.cast_into::<PySet>()? {
        todo.add(future_of(&argument, &loop_)?)?;
    }
    let state = State { todo: Some(todo.clone().unbind()), ..State::default() };
    let completions = Bound::new(py, Completions { state: Guarded::new(state) })?;
    for future in todo.iter().collect::<Vec<_>>() {
        Completions::watch(&completions, &future)?;
    }
    if !todo.is_empty() && !timeout.is_none() {
        let late = completions.getattr(intern!(py, "_handle_timeout"))?;
        let timer = loop_.call_method1(intern!(py, "call_later"), (timeout, late))?.unbind();
        drop(completions.get().state.with(py, |s| s.timer.replace(timer)));
    }
    Ok(completions)
}

/// `asyncio.ensure_future(argument, loop=loop_)`
fn future_of<'py>(argument: &Bound<'py, PyAny>, loop_: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = argument.py();
    if ffi::is_coroutine(argument) {
        if let Ok(native) = loop_.cast::<EventLoop>() {
            if EventLoop::makes_tasks_natively(native)? {
                return EventLoop::create_task(native, argument, None, None, None)
                    .map_err(|error| close_after(argument, error));
            }
        }
    }
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), loop_)?;
    standard(py).ensure_future.bind(py).call((argument,), Some(&keywords))
}

impl Completions {
    fn watch(slf: &Bound<'_, Completions>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let watcher = Watcher::Completions(slf.clone().unbind());
        if let Some(native) = exact_future(future) {
            if native.get().state.with(py, |s| s.native) {
                return watcher.leave_with(native);
            }
        }
        let known = slf.get().state.with(py, |s| s.callable.as_ref().map(|callable| callable.clone_ref(py)));
        let callable = match known {
            Some(known) => known,
            None => {
                let made = watcher.callable(py)?.unbind();
                let kept = made.clone_ref(py);
                drop(slf.get().state.with(py, |s| s.callable.replace(kept)));
                made
            }
        };
        future.call_method1(intern!(py, "add_done_callback"), (callable,)).map(drop)
    }

    fn todo<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        match self.state.with(py, |s| s.todo.as_ref().map(|todo| todo.clone_ref(py))) {
            Some(todo) => Ok(todo.into_bound(py)),
            None => PySet::empty(py),
        }
    }

    /// asyncio's `_handle_completion`.
    pub fn done(slf: &Bound<'_, Completions>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let todo = slf.get().todo(py)?;
        if todo.is_empty() {
            return Ok(()); // the time was over before
        }
        todo.discard(future)?;
        slf.get().put(py, Some(future.clone().unbind()))?;
        if todo.is_empty() {
            if let Some(timer) = slf.get().state.with(py, |s| s.timer.take()) {
                timer.bind(py).call_method0(intern!(py, "cancel"))?;
            }
        }
        Ok(())
    }

    fn put(&self, py: Python<'_>, future: Option<Py<PyAny>>) -> PyResult<()> {
        self.state.with(py, |s| s.done.push_back(future));
        self.wake_next(py)
    }

    fn wake_next(&self, py: Python<'_>) -> PyResult<()> {
        while let Some(waiter) = self.state.with(py, |s| s.waiters.pop_front()) {
            if Future::settle(waiter.bind(py), Outcome::Result(py.None()))? {
                break;
            }
        }
        Ok(())
    }
}

#[pymethods]
impl Completions {
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.todo(py)?.len())
    }

    /// None when something is done; else what its caller is to yield before it asks again.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Future>>> {
        if self.state.with(py, |s| !s.done.is_empty()) {
            return Ok(None);
        }
        let future = Future::blank();
        future.attach_to(py, &running_loop(py)?)?;
        future.state.with(py, |s| s.blocking = true);
        let waiter = Bound::new(py, future)?;
        let kept = waiter.clone().unbind();
        self.state.with(py, |s| s.waiters.push_back(kept));
        Ok(Some(waiter))
    }

    /// The coroutine that yielded `waiter` is not going to ask: what it was woken for goes to the next.
    fn give_up(&self, waiter: &Bound<'_, Future>) -> PyResult<()> {
        let py = waiter.py();
        Future::cancel_base(waiter, None)?;
        let (removed, passes_on) = self.state.with(py, |s| {
            let position = s.waiters.iter().position(|other| other.is(waiter));
            (position.and_then(|position| s.waiters.remove(position)), !s.done.is_empty())
        });
        drop(removed);
        match passes_on && !waiter.get().is_cancelled(py) {
            true => self.wake_next(py),
            false => Ok(()),
        }
    }

    /// The next that is done. TimeoutError when the time was over before.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.state.with(py, |s| s.done.pop_front()) {
            Some(Some(future)) => Ok(future.into_bound(py)),
            Some(None) => Err(PyTimeoutError::new_err(())),
            None => Err(PyRuntimeError::new_err("nothing is done yet")),
        }
    }

    fn _handle_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let todo = slf.get().todo(py)?;
        let callable =
            slf.get().state.with(py, |s| s.callable.as_ref().map(|callable| callable.clone_ref(py)));
        let watcher = Watcher::Completions(slf.clone().unbind());
        for future in todo.iter().collect::<Vec<_>>() {
            if let Some(native) = exact_future(&future) {
                watcher.take_from(native);
            }
            if let Some(callable) = &callable {
                future.call_method1(intern!(py, "remove_done_callback"), (callable,))?;
            }
            slf.get().put(py, None)?;
        }
        todo.clear();
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.state.traverse();
        visit.call(&state.todo)?;
        state.done.iter().flatten().try_for_each(|future| visit.call(future))?;
        state.waiters.iter().try_for_each(|waiter| visit.call(waiter))?;
        visit.call(&state.timer)?;
        visit.call(&state.callable)
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, std::mem::take)));
    }
}
