//! A task waits: it awaits a future that is its place in the queue.
//!
//! `begin` polls; where that would park, it makes a [`WaitFuture`] of the running loop, plait's or any other, for the coroutine to yield.
//! Whoever wakes it settles the future: directly where that is the loop's own thread, else through the loop's inbox, which
//! wakes the loop once for a whole batch. The coroutine then calls `resume`, or, whatever else ended its wait, `give_up`.

use super::{fire, Waker};
use crate::event_loop::future::{Future, Outcome};
use crate::event_loop::ready::Ready;
use crate::event_loop::{EventLoop, Runs};
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::primitives::Primitive;
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::intern;
use pyo3::prelude::*;

/// What a task waits for in a wait queue. Marked as being awaited when it is made: its task yields it as it is.
#[pyclass(module = "plait._native", frozen, extends = Future)]
pub struct WaitFuture {
    wait: Guarded<Wait>,
    /// It belongs to a primitive that is used from one loop's thread only, as asyncio's are.
    bound: bool,
}

#[pymethods]
impl WaitFuture {
    #[getter]
    fn __class__(slf: &Bound<'_, Self>) -> Py<PyAny> {
        standard(slf.py()).future.clone_ref(slf.py()).into_any()
    }
}

/// How far a coroutine has come.
pub enum Step<T> {
    Ready(T),
    /// Await this, then resume.
    Wait(Py<WaitFuture>),
}

/// How a primitive serves tasks.
#[derive(Clone, Copy)]
pub struct Service {
    pub manner: Manner,
    /// See [`WaitFuture`].
    pub bound: bool,
}

/// The universal primitives: in order, from everywhere.
pub const UNIVERSAL: Service = Service { manner: Manner::InOrder, bound: false };
/// asyncio's locks: in order, from one loop.
pub const ONE_LOOP: Service = Service { manner: Manner::InOrder, bound: true };
/// asyncio's queues.
pub const ONE_LOOP_QUEUE: Service = Service { manner: Manner::Looping, bound: true };

/// The running loop, which a task needs for its wait.
pub fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let running = standard(py).get_running_loop.bind(py).call0()?;
    match running.is_none() {
        false => Ok(running),
        true => Err(pyo3::exceptions::PyRuntimeError::new_err("no running event loop")),
    }
}

/// Polls for a coroutine, which has not waited yet; `loop_` is asked for when it has to.
#[inline]
pub fn begin<'py, P: Primitive<Waker>, T>(
    py: Python<'py>,
    primitive: &P,
    service: Service,
    loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Step<T>> {
    go_on(py, primitive, service.bound, Wait::new(service.manner), loop_, poll)
}

/// Polls again for a coroutine that has awaited what it was told to.
pub fn resume<P: Primitive<Waker>, T>(
    future: &Bound<'_, WaitFuture>,
    primitive: &P,
    poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Step<T>> {
    let py = future.py();
    let wait = future.get().wait.with(py, |wait| std::mem::replace(wait, Wait::new(Manner::InOrder)));
    go_on(py, primitive, future.get().bound, wait, || future.as_super().get().loop_of(py), poll)
}

fn go_on<'py, P: Primitive<Waker>, T>(
    py: Python<'py>,
    primitive: &P,
    bound: bool,
    mut wait: Wait,
    loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    mut poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Step<T>> {
    if let Some(value) = poll_once(py, primitive, &mut wait, &mut poll) {
        return Ok(Step::Ready(value));
    }
    let future = WaitFuture::on_loop(&loop_()?, wait, bound)?;
    let mut waker = Some(Waker::Future(future.clone().unbind()));
    let mut wakes = Wakes::None;
    let progress = future.get().wait.with(py, |wait| poll(wait, &mut waker, &mut wakes));
    drop(waker);
    fire(py, primitive, wakes);
    match progress {
        Progress::Ready(value) => Ok(Step::Ready(value)),
        _ => Ok(Step::Wait(future.unbind())),
    }
}

/// What a coroutine that has awaited its future was woken for. None: somebody was faster, and it has to begin anew.
pub fn collect<P: Primitive<Waker>, T>(
    future: &Bound<'_, WaitFuture>,
    primitive: &P,
    mut poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> Option<T> {
    let py = future.py();
    let mut wait = future.get().wait.with(py, |wait| std::mem::replace(wait, Wait::new(Manner::InOrder)));
    poll_once(py, primitive, &mut wait, &mut poll)
}

/// Polls without a waker.
#[inline]
fn poll_once<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    wait: &mut Wait,
    poll: &mut impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> Option<T> {
    let (mut waker, mut wakes) = (None, Wakes::None);
    let progress = poll(wait, &mut waker, &mut wakes);
    if let Progress::Pending = progress {
        // Nobody has woken it: its future was settled by hand. It waits anew, with another one.
        primitive.give_up(wait, &mut waker, &mut wakes);
    }
    drop(waker);
    fire(py, primitive, wakes);
    match progress {
        Progress::Ready(value) => Some(value),
        _ => None,
    }
}

/// Polls for the last time, since the time is up. None: in vain.
pub fn expire<P: Primitive<Waker>, T>(
    future: &Bound<'_, WaitFuture>,
    primitive: &P,
    poll: impl FnOnce(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> Option<T> {
    let py = future.py();
    let (mut waker, mut wakes) = (None, Wakes::None);
    let progress = future.get().wait.with(py, |wait| {
        wait.expire();
        poll(wait, &mut waker, &mut wakes)
    });
    drop(waker);
    fire(py, primitive, wakes);
    match progress {
        Progress::Ready(value) => Some(value),
        _ => None,
    }
}

/// Ends a wait otherwise than by `resume`.
pub fn give_up<P: Primitive<Waker>>(py: Python<'_>, primitive: &P, future: &Py<WaitFuture>) {
    let (mut waker, mut wakes) = (None, Wakes::None);
    future.get().wait.with(py, |wait| primitive.give_up(wait, &mut waker, &mut wakes));
    drop(waker);
    fire(py, primitive, wakes);
}

/// Ends a wait as `body` says.
pub fn end<T>(future: &Bound<'_, WaitFuture>, body: impl FnOnce(&mut Wait, &mut Option<Waker>) -> T) -> T {
    let mut waker = None;
    let result = future.get().wait.with(future.py(), |wait| body(wait, &mut waker));
    drop(waker);
    result
}

/// Settles the future, or sees to it that its loop does. False when that is in vain: it is done already, or its loop is closed.
pub fn wake(future: &Bound<'_, WaitFuture>) -> bool {
    let py = future.py();
    let inner = future.as_super();
    let Ok(loop_) = inner.get().loop_of(py) else {
        return false; // the collector has been here
    };
    let woken = match loop_.cast_exact::<EventLoop>() {
        Ok(native) => match native.get().runs() {
            Runs::Here => settle(future),
            Runs::Nowhere if future.get().bound => settle(future),
            _ => native.get().post(py, Ready::Woken(future.clone().unbind())).map(|()| true),
        },
        Err(_) if future.get().bound => settle(future),
        Err(_) => wake_on_foreign_loop(future, &loop_),
    };
    // A loop that is closed runs no more tasks.
    woken.unwrap_or(false)
}

/// The future is done: its task runs in the loop's next turn.
pub fn settle(future: &Bound<'_, WaitFuture>) -> PyResult<bool> {
    let py = future.py();
    let value = true.into_pyobject(py)?.to_owned().into_any().unbind();
    Future::settle(future.as_super(), Outcome::Result(value))
}

fn wake_on_foreign_loop(future: &Bound<'_, WaitFuture>, loop_: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = future.py();
    if standard(py).get_running_loop.bind(py).call0()?.is(loop_) {
        return settle(future);
    }
    let callback = &standard(py).set_result_unless_cancelled;
    loop_.call_method1(intern!(py, "call_soon_threadsafe"), (callback, future, true))?;
    Ok(true)
}

impl WaitFuture {
    /// Whether it stands in a queue, or has been woken and its waiter does not know it yet.
    pub fn is_parked(&self, py: Python<'_>) -> bool {
        self.wait.with(py, |wait| wait.is_parked())
    }

    fn on_loop<'py>(loop_: &Bound<'py, PyAny>, wait: Wait, bound: bool) -> PyResult<Bound<'py, WaitFuture>> {
        let py = loop_.py();
        let future = Future::blank();
        future.attach_to(py, loop_)?;
        future.state.with(py, |s| s.blocking = true);
        let wait = WaitFuture { wait: Guarded::new(wait), bound };
        Bound::new(py, PyClassInitializer::from(future).add_subclass(wait))
    }
}
