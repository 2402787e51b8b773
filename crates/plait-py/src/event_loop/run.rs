//! The loop itself: collect what is ready, run it, sleep when there is nothing.

use super::current;
use super::datagram::DatagramTransport;
use super::descriptors::Wakeup;
use super::future::{Future, Outcome};
use super::gathering::GatheringFuture;
use super::handle::{Call, Handle, TimerHandle};
use super::pipes::read::ReadPipeTransport;
use super::pipes::write::WritePipeTransport;
use super::process::SubprocessTransport;
use super::ready::Ready;
use super::sleep::{Timer, TimerFuture};
use super::socket_transport::SocketTransport;
use super::step;
use super::timeout::Timeout;
use super::transport::Transport;
use super::{thread_token, EventLoop};
use crate::daemon_threads::survives_exit;
use crate::errors::{closed, leaves_the_loop, os_error};
use crate::faces::futures::follower;
use crate::ffi;
use crate::standard::standard;
use crate::waiters;
use crate::watchdog::{self, Pulse, Watched};
use plait_core::reactor::{Events, Reactor, Wakeup as ReactorWakeup};
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// asyncio's own limit on one sleep, in seconds.
const LONGEST_SLEEP: f64 = 24.0 * 3600.0;
/// How many iterations may go by without a look at the reactor while no descriptor is watched: only a signal that
/// was caught for `add_signal_handler` could be waiting there.
const MOST_UNPOLLED: u32 = 64;
/// How asyncio's report would name a task's step.
const STEP: &str = "TaskStepMethWrapper";
/// A ready queue longer than this is not kept at that size.
const LARGE_BATCH: usize = 16 * 1024;
const EINTR: i32 = 4;

/// The clock of all loops: CLOCK_MONOTONIC, as `time.monotonic()` reads it.
#[inline]
pub fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

pub fn run_forever(slf: &Bound<'_, EventLoop>) -> PyResult<()> {
    let py = slf.py();
    let this = slf.get();
    this.check_closed(py)?;
    this.check_not_running(py)?;
    survives_exit();
    let running_before = standard(py).get_running_loop.bind(py).call0()?;
    let reactor = this.reactor(py).ok_or_else(closed)?;
    let glue = standard(py).glue.bind(py);
    let run = glue.call_method1(intern!(py, "begin_run"), (slf,))?;
    let (thread_before, current_before) = {
        let thread = glue.call_method0(intern!(py, "get_ident"))?.extract::<u64>()?;
        this.state.with(py, |s| {
            (std::mem::replace(&mut s.thread_id, thread), std::mem::replace(&mut s.current, false))
        })
    };
    let watched = Watched::begin(py);
    let runner_before = this.runner.swap(thread_token(), Ordering::Relaxed);
    let result = standard(py).set_running_loop.bind(py).call1((slf,)).and_then(|_| {
        // A nested run (nest_asyncio) happens inside a task, which must be current again afterwards.
        current::swapped(slf.as_any(), None, || {
            let result = iterate_until_stopped(slf, &reactor, watched.pulse());
            current::leave(slf);
            result
        })
    });
    drop(watched);
    this.runner.store(runner_before, Ordering::Relaxed);
    this.state.with(py, |s| {
        s.stopping = false;
        s.thread_id = thread_before;
        s.current = current_before;
    });
    standard(py).set_running_loop.bind(py).call1((running_before,))?;
    glue.call_method1(intern!(py, "end_run"), (slf, run))?;
    result
}

fn iterate_until_stopped(slf: &Bound<'_, EventLoop>, reactor: &Arc<Reactor>, pulse: &Pulse) -> PyResult<()> {
    let py = slf.py();
    let mut iteration = Iteration {
        loop_: slf,
        reactor,
        pulse,
        events: Events::with_capacity(256),
        wakeups: Vec::new(),
        // The first iteration of a run always looks: for signals, if for nothing else.
        unpolled: MOST_UNPOLLED,
    };
    loop {
        iteration.run_once()?;
        if slf.get().state.with(py, |s| s.stopping) {
            return Ok(());
        }
    }
}

struct Iteration<'a, 'py> {
    loop_: &'a Bound<'py, EventLoop>,
    reactor: &'a Arc<Reactor>,
    pulse: &'a Pulse,
    events: Events,
    wakeups: Vec<Wakeup>,
    unpolled: u32,
}

impl Iteration<'_, '_> {
    fn run_once(&mut self) -> PyResult<()> {
        let py = self.loop_.py();
        let this = self.loop_.get();
        // Letting the last task go may run its finalizers, which may schedule: before it is decided whether there is
        // anything to do, and never between that and the wait.
        if this.state.with(py, |s| s.current && s.ready.is_empty()) {
            current::leave(self.loop_);
        }
        let (idle, next_timer, watching) = this.state.with(py, |s| {
            this.inbox.drain_into(&mut s.ready);
            let idle = s.ready.is_empty() && !s.stopping;
            (idle, s.timers.next_when(), s.descriptors.any_watched())
        });
        if idle {
            self.sleep(next_timer)?;
        } else if watching || self.unpolled >= MOST_UNPOLLED {
            self.poll(Some(Duration::ZERO))?;
        } else {
            self.unpolled += 1;
        }
        if next_timer.is_some() {
            self.collect_due_timers();
        }
        let todo = this.state.with(py, |s| {
            if self.unpolled == 0 {
                this.inbox.drain_into(&mut s.ready);
            }
            s.ready.len()
        });
        let debug = this.debug(py);
        for _ in 0..todo {
            let Some(ready) = this.state.with(py, |s| s.ready.pop_front()) else {
                break;
            };
            self.pulse.begins();
            if debug {
                execute_in_debug_mode(self.loop_, self.pulse, ready)?;
            } else {
                execute(self.loop_, self.pulse, ready)?;
            }
        }
        if todo > LARGE_BATCH {
            // A burst is over: its memory goes back.
            this.state.with(py, |s| s.ready.shrink_to(LARGE_BATCH));
        }
        Ok(())
    }

    fn sleep(&mut self, next_timer: Option<f64>) -> PyResult<()> {
        let timeout = next_timer.map(|when| (when - now()).min(LONGEST_SLEEP));
        match timeout {
            Some(seconds) if seconds.is_nan() || seconds <= 0.0 => self.poll(Some(Duration::ZERO)),
            Some(seconds) => self.poll(Some(Duration::from_secs_f64(seconds))),
            None => self.poll(None),
        }
    }

    /// Asks the reactor, asleep and detached unless the time-out is zero.
    fn poll(&mut self, timeout: Option<Duration>) -> PyResult<()> {
        let py = self.loop_.py();
        let this = self.loop_.get();
        self.unpolled = 0;
        let sleeps = timeout != Some(Duration::ZERO);
        let waited = if sleeps && this.works_elsewhere.any() {
            self.watch_and_sleep(timeout)
        } else if sleeps && this.inbox.prepare_sleep() {
            self.detached(|reactor, events| reactor.wait(events, timeout))
        } else {
            self.reactor.wait(&mut self.events, Some(Duration::ZERO))
        };
        if sleeps {
            this.inbox.woke();
        }
        if self.pulse.is_asked() {
            self.pulse.tell(self.loop_, None)?;
        }
        py.check_signals()?;
        match waited {
            Ok(wakeup) => {
                if wakeup.signals {
                    self.deliver_signals()?;
                }
                if wakeup.events > 0 {
                    self.dispatch()?;
                }
                Ok(())
            }
            Err(error) if error.raw_os_error() == Some(EINTR) => Ok(()),
            Err(error) => Err(os_error(py, &error)),
        }
    }

    /// Waits without the GIL, and tells the watchdog that the loop is asleep.
    fn detached(
        &mut self,
        wait: impl FnOnce(&Reactor, &mut Events) -> io::Result<ReactorWakeup> + Send,
    ) -> io::Result<ReactorWakeup> {
        let py = self.loop_.py();
        let (reactor, events, pulse) = (self.reactor, &mut self.events, self.pulse);
        pulse.sleeps();
        let waited = py.detach(|| {
            let waited = wait(reactor, events);
            // Still detached: that the loop has to wait for the GIL now is something to be watched.
            pulse.wakes();
            waited
        });
        watchdog::rouse(py);
        waited
    }

    /// Another thread works for this one: what it does is often done before a sleep has begun (`elsewhere`).
    fn watch_and_sleep(&mut self, timeout: Option<Duration>) -> io::Result<ReactorWakeup> {
        let inbox = &self.loop_.get().inbox;
        self.detached(|reactor, events| {
            let came = waiters::thread::watch_hopefully(|| !inbox.is_empty());
            let timeout = if came || !inbox.prepare_sleep() { Some(Duration::ZERO) } else { timeout };
            reactor.wait(events, timeout)
        })
    }

    fn deliver_signals(&self) -> PyResult<()> {
        let py = self.loop_.py();
        let signals = self.reactor.take_signals();
        // Python's own handlers first: they were to run "now", the loop's run in its turn.
        py.check_signals()?;
        for signal in signals.into_iter().filter(|signal| *signal != 0) {
            self.loop_.call_method1(intern!(py, "_handle_signal"), (signal,))?;
        }
        Ok(())
    }

    fn dispatch(&mut self) -> PyResult<()> {
        let py = self.loop_.py();
        let this = self.loop_.get();
        let (events, wakeups) = (&self.events, &mut self.wakeups);
        this.state.with(py, |s| {
            let mut haunted = false;
            for event in events.iter() {
                let before = wakeups.len();
                s.descriptors.wakeups(py, event, wakeups);
                if wakeups.len() == before {
                    haunted |= !s.descriptors.quiet_unwatched(self.reactor, event);
                }
            }
            if haunted && self.reactor.forget_all().is_ok() {
                s.descriptors.register_again(self.reactor);
            }
        });
        for wakeup in self.wakeups.drain(..) {
            match wakeup {
                Wakeup::Queue(ready) => this.state.with(py, |s| s.ready.push_back(ready)),
                Wakeup::Settle(future) => {
                    Future::settle(future.bind(py), Outcome::Result(py.None()))?;
                }
            }
        }
        Ok(())
    }

    fn collect_due_timers(&self) {
        let py = self.loop_.py();
        let this = self.loop_.get();
        // asyncio's `end_time`: what falls within the clock's resolution is due too.
        let end = now() + 1e-9;
        while let Some(timer) = this.state.with(py, |s| s.timers.pop_due(end)) {
            let ready = match timer {
                Timer::Handle(timer) => {
                    timer.get().set_key(py, None);
                    Ready::Handle(TimerHandle::into_handle(timer, py))
                }
                Timer::Sleep(timer) => Ready::Elapsed(timer),
                Timer::Timeout(timeout) => {
                    let turn = timeout.get().turn(py);
                    Ready::Overdue(timeout, turn)
                }
            };
            this.state.with(py, |s| s.ready.push_back(ready));
        }
    }
}

/// Runs one entry of the ready queue. An error leaves the loop.
///
/// What runs code of the program is `told` to the watchdog in the end, should it have asked, while it is there to be named.
#[inline]
fn execute(loop_: &Bound<'_, EventLoop>, pulse: &Pulse, ready: Ready) -> PyResult<()> {
    let py = loop_.py();
    let told = |what: &Bound<'_, PyAny>, result: PyResult<()>| match pulse.is_asked() {
        false => result,
        true => result.and(pulse.tell(loop_, Some(what))),
    };
    match ready {
        Ready::Handle(handle) => {
            current::leave(loop_);
            let handle = handle.into_bound(py);
            told(&handle, run_handle(loop_, &handle))
        }
        Ready::Step(task) => {
            let task = task.into_bound(py);
            told(&task, reported(loop_, step::step_on(loop_, &task, None), STEP))
        }
        Ready::Throw(task, error) => {
            let task = task.into_bound(py);
            told(&task, reported(loop_, step::step_on(loop_, &task, Some(error)), STEP))
        }
        Ready::Wake(task, future) => {
            let (task, future) = (task.into_bound(py), future.into_bound(py));
            told(&task, reported(loop_, step::wake_on(loop_, &task, &future), STEP))
        }
        Ready::Woken(future) => {
            reported(loop_, waiters::task::settle(&future.into_bound(py)).map(drop), "wake-up")
        }
        Ready::Offloaded(future, seen) => {
            let settled = follower::settle(&future.into_bound(py), seen);
            reported(loop_, settled, "_chain_future.<locals>._set_state")
        }
        Ready::Elapsed(timer) => reported(loop_, TimerFuture::elapse(&timer.into_bound(py)), "sleep"),
        Ready::Overdue(timeout, turn) => reported(loop_, Timeout::fire(timeout.bind(py), turn), "timeout"),
        Ready::Watched(watcher, child) => reported(loop_, watcher.run(loop_, child.bind(py)), watcher.name()),
        Ready::Gathered(outer, child) => {
            let (outer, child) = (outer.into_bound(py), child.into_bound(py));
            reported(loop_, GatheringFuture::child_done(&outer, child.as_any()), "gather")
        }
        Ready::Call { callback, argument, context } => {
            current::leave(loop_);
            let called = ffi::in_context(context.bind(py), || callback.bind(py).call1((argument.bind(py),)));
            let result = match called {
                Ok(_) => Ok(()),
                Err(error) if leaves_the_loop(py, &error) => Err(error),
                Err(error) => report_call(loop_, callback.clone_ref(py), argument, context, error),
            };
            told(callback.bind(py), result)
        }
        Ready::Transport(transport, step) => {
            current::leave(loop_);
            let transport = transport.into_bound(py);
            told(&transport, SocketTransport::advance(&transport, step))
        }
        Ready::Datagrams(transport, step) => {
            current::leave(loop_);
            let transport = transport.into_bound(py);
            told(&transport, DatagramTransport::advance(&transport, step))
        }
        Ready::ReadPipe(transport, step) => {
            let transport = transport.into_bound(py);
            told(&transport, ReadPipeTransport::advance(&transport, step))
        }
        Ready::WritePipe(transport, step) => {
            let transport = transport.into_bound(py);
            told(&transport, WritePipeTransport::advance(&transport, step))
        }
        Ready::Process(transport, step) => {
            let transport = transport.into_bound(py);
            told(
                &transport,
                reported(loop_, SubprocessTransport::advance(&transport, step), "subprocess transport"),
            )
        }
        Ready::ForeignHandle(handle) => {
            current::leave(loop_);
            let handle = handle.bind(py);
            if handle.getattr(intern!(py, "_cancelled"))?.is_truthy()? {
                return Ok(());
            }
            told(handle, handle.call_method0(intern!(py, "_run")).map(drop))
        }
    }
}

/// What goes wrong around a step, not in the coroutine, or around a child's transport, not in its protocol: reported like a
/// callback's error. The other transports report for themselves.
#[inline]
fn reported(loop_: &Bound<'_, EventLoop>, result: PyResult<()>, what: &str) -> PyResult<()> {
    let py = loop_.py();
    match result {
        Ok(()) => Ok(()),
        Err(error) if leaves_the_loop(py, &error) => Err(error),
        Err(error) => {
            let glue = standard(py).glue.bind(py);
            glue.call_method1(intern!(py, "report_error"), (loop_, what, error.into_value(py)))?;
            Ok(())
        }
    }
}

#[inline]
pub fn run_handle(loop_: &Bound<'_, EventLoop>, handle: &Bound<'_, Handle>) -> PyResult<()> {
    let py = loop_.py();
    let Some(call) = handle.get().to_run(py) else {
        return Ok(());
    };
    match call.invoke(py, handle.get().context(py)) {
        Ok(()) => Ok(()),
        Err(error) => handle_failed(loop_, handle, error),
    }
}

#[cold]
fn handle_failed(loop_: &Bound<'_, EventLoop>, handle: &Bound<'_, Handle>, error: PyErr) -> PyResult<()> {
    let py = loop_.py();
    if leaves_the_loop(py, &error) {
        return Err(error);
    }
    // None, as in asyncio, when the callback has cancelled its own handle.
    let (callback, args) = match handle.get().to_run(py) {
        Some(call) => (Some(call.callback(py)), Some(call.args(py)?)),
        None => (None, None),
    };
    let args = (loop_, handle, callback, args, error.into_value(py));
    standard(py).glue.bind(py).call_method1(intern!(py, "report_callback_error"), args)?;
    Ok(())
}

/// A done-callback failed: the Handle that asyncio would have had is made for the report.
fn report_call(
    loop_: &Bound<'_, EventLoop>,
    callback: Py<PyAny>,
    argument: Py<PyAny>,
    context: Py<PyAny>,
    error: PyErr,
) -> PyResult<()> {
    let py = loop_.py();
    let call = Call::new(callback.into_bound(py), &[argument.into_bound(py)], true)?;
    let debug = loop_.get().debug(py);
    let handle = Bound::new(py, Handle::build(loop_, call, Some(context), debug)?)?;
    handle_failed(loop_, &handle, error)
}

/// Debug mode: the same, timed, with the slow ones logged in asyncio's words.
fn execute_in_debug_mode(loop_: &Bound<'_, EventLoop>, pulse: &Pulse, ready: Ready) -> PyResult<()> {
    let py = loop_.py();
    let this = loop_.get();
    let shown = match &ready {
        Ready::Handle(handle) if handle.get().is_cancelled(py) => None,
        Ready::Handle(handle) => Some(handle.clone_ref(py).into_any()),
        Ready::ForeignHandle(handle) => Some(handle.clone_ref(py)),
        Ready::Step(task) | Ready::Throw(task, _) | Ready::Wake(task, _) => {
            Some(task.clone_ref(py).into_any())
        }
        Ready::Woken(future) => Some(future.clone_ref(py).into_any()),
        Ready::Offloaded(future, _) => Some(future.clone_ref(py).into_any()),
        Ready::Elapsed(timer) => Some(timer.clone_ref(py).into_any()),
        Ready::Overdue(timeout, _) => Some(timeout.clone_ref(py).into_any()),
        Ready::Watched(_, child) => Some(child.clone_ref(py).into_any()),
        Ready::Gathered(outer, _) => Some(outer.clone_ref(py).into_any()),
        Ready::Call { callback, .. } => Some(callback.clone_ref(py)),
        Ready::Transport(transport, _) => Some(transport.clone_ref(py).into_any()),
        Ready::Datagrams(transport, _) => Some(transport.clone_ref(py).into_any()),
        Ready::ReadPipe(transport, _) => Some(transport.clone_ref(py).into_any()),
        Ready::WritePipe(transport, _) => Some(transport.clone_ref(py).into_any()),
        Ready::Process(transport, _) => Some(transport.clone_ref(py).into_any()),
    };
    let handle = match &ready {
        Ready::Handle(handle) => Some(handle.clone_ref(py).into_any()),
        _ => None,
    };
    let replaced = this.state.with(py, |s| std::mem::replace(&mut s.current_handle, handle));
    drop(replaced);
    let started = now();
    let result = execute(loop_, pulse, ready);
    let seconds = now() - started;
    drop(this.state.with(py, |s| s.current_handle.take()));
    result?;
    let threshold = loop_.getattr(intern!(py, "slow_callback_duration"))?.extract::<f64>()?;
    if let (true, Some(shown)) = (seconds >= threshold, shown) {
        let glue = standard(py).glue.bind(py);
        glue.call_method1(intern!(py, "log_slow"), (shown, seconds))?;
    }
    Ok(())
}

impl EventLoop {
    /// asyncio's two refusals; where nest_asyncio is in use, runs may nest.
    pub(super) fn check_not_running(&self, py: Python<'_>) -> PyResult<()> {
        if standard(py).asyncio_module.bind(py).hasattr(intern!(py, "_nest_patched"))? {
            return Ok(());
        }
        if self.thread_id(py) != 0 {
            return Err(PyRuntimeError::new_err("This event loop is already running"));
        }
        if !standard(py).get_running_loop.bind(py).call0()?.is_none() {
            let text = "Cannot run the event loop while another loop is running";
            return Err(PyRuntimeError::new_err(text));
        }
        Ok(())
    }
}
