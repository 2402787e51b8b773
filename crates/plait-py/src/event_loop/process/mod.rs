//! Children: a transport that starts a program, passes on what its pipes bring, and tells of its end.
//!
//! A child is started by the standard `subprocess.Popen`, in the loop's thread, so that every option means what it says. Its end
//! is seen through a pidfd, watched like any other descriptor: SIGCHLD, handlers of it and the user's own `waitpid` stay
//! alone, and a number that was given to another process since is never signalled. Without pidfds (an old kernel, a sandbox) a
//! thread waits, as asyncio's does. Rejected: SIGCHLD, which the program may want for itself; `waitid` on a timer.
//!
//! * `start` from arguments to a running child; `pipe` the protocol of each of its pipes;
//! * `exit` how its end is seen, and when `connection_lost` may be called;
//! * `stop` signals, `close`, and what happens to a transport that nobody closed.

mod exit;
mod methods;
pub mod pipe;
pub mod start;
mod stop;

use super::future::Future;
use super::ready::Ready;
use super::transport::report;
use super::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use pipe::ChildPipe;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::os::fd::OwnedFd;

/// What a child's transport has to do next.
pub enum ProcessStep {
    /// Its pipes are connected: tell the protocol of the connection, then whoever waits for that.
    Connected(Option<Py<Future>>),
    /// The pidfd says that it has exited.
    Reap,
    /// How it ended.
    Exited(i32),
    /// Tell the protocol of bytes from a pipe, …
    PipeData(i32, Py<PyAny>),
    /// … that a pipe is closed, …
    PipeLost(i32, Option<Py<PyAny>>),
    /// … that the child has exited, …
    TellExited,
    /// … and, when there is nothing left to come, that it was all.
    Lost,
}

impl ProcessStep {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            ProcessStep::Connected(waiter) => visit.call(waiter),
            ProcessStep::PipeData(_, data) => visit.call(data),
            ProcessStep::PipeLost(_, error) => visit.call(error),
            ProcessStep::Reap | ProcessStep::Exited(_) | ProcessStep::TellExited | ProcessStep::Lost => {
                Ok(())
            }
        }
    }
}

/// One of the child's first three descriptors, seen from here.
enum Stream {
    /// None of ours.
    Elsewhere,
    /// A pipe that is not connected yet.
    Expected,
    Connected(Py<ChildPipe>),
}

struct ProcessState {
    protocol: Option<Py<PyAny>>,
    /// The Popen object.
    child: Option<Py<PyAny>>,
    pid: Option<i32>,
    /// Until the child is reaped; never, where a watcher waits for it.
    pidfd: Option<OwnedFd>,
    returncode: Option<i32>,
    streams: [Stream; 3],
    /// What the protocol is told after `connection_made`; None from then on.
    pending: Option<Vec<ProcessStep>>,
    exit_waiters: Vec<Py<Future>>,
    closed: bool,
    finished: bool,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct SubprocessTransport {
    loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    extra: Py<PyDict>,
    state: Guarded<ProcessState>,
    built: Built,
}

impl SubprocessTransport {
    fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.loop_.bind(py)
    }

    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))
    }

    fn child<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.with(py, |s| s.child.as_ref().map(|c| c.clone_ref(py))).map(|c| c.into_bound(py))
    }

    fn returncode(&self, py: Python<'_>) -> Option<i32> {
        self.state.with(py, |s| s.returncode)
    }

    fn connected_pipes(&self, py: Python<'_>) -> Vec<Py<ChildPipe>> {
        self.state.with(py, |s| {
            let connected = s.streams.iter().filter_map(|stream| match stream {
                Stream::Connected(pipe) => Some(pipe.clone_ref(py)),
                Stream::Elsewhere | Stream::Expected => None,
            });
            connected.collect()
        })
    }

    fn schedule(slf: &Bound<'_, Self>, step: ProcessStep) -> PyResult<()> {
        slf.get().loop_.get().push_ready(slf.py(), Ready::Process(slf.clone().unbind(), step))
    }

    /// Lets the protocol be told soon, and not before `connection_made`.
    fn tell_soon(slf: &Bound<'_, Self>, step: ProcessStep) -> PyResult<()> {
        let now = slf.get().state.with(slf.py(), |s| match &mut s.pending {
            Some(pending) => {
                pending.push(step);
                None
            }
            None => Some(step),
        });
        now.map_or(Ok(()), |step| SubprocessTransport::schedule(slf, step))
    }

    /// What the loop found in its ready queue for this transport.
    pub fn advance(slf: &Bound<'_, Self>, step: ProcessStep) -> PyResult<()> {
        let py = slf.py();
        match step {
            ProcessStep::Connected(waiter) => SubprocessTransport::connected(slf, waiter),
            ProcessStep::Reap => SubprocessTransport::reap(slf),
            ProcessStep::Exited(returncode) => SubprocessTransport::exited(slf, returncode),
            ProcessStep::PipeData(fd, data) => {
                let args = (fd, data).into_pyobject(py)?;
                SubprocessTransport::tell(slf, "pipe_data_received", args)
            }
            ProcessStep::PipeLost(fd, error) => {
                let args = (fd, error).into_pyobject(py)?;
                SubprocessTransport::tell(slf, "pipe_connection_lost", args)
            }
            ProcessStep::TellExited => SubprocessTransport::tell(slf, "process_exited", PyTuple::empty(py)),
            ProcessStep::Lost => SubprocessTransport::lost(slf),
        }
    }

    /// Calls a method of the protocol in the transport's context; what it raises is reported.
    fn tell(slf: &Bound<'_, Self>, method: &str, args: Bound<'_, PyTuple>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(protocol) = this.protocol(py) else { return Ok(()) };
        let protocol = protocol.bind(py);
        let told = ffi::in_context(this.context.bind(py), || protocol.call_method1(method, &args)).map(drop);
        report::unless_ok(told, |error| {
            report::callback(this.event_loop(py), error, Some(protocol), method, args)
        })
    }

    fn connected(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        let py = slf.py();
        let args = (slf,).into_pyobject(py)?;
        let told = SubprocessTransport::tell(slf, "connection_made", args);
        let pending = slf.get().state.with(py, |s| s.pending.take());
        for step in pending.into_iter().flatten() {
            SubprocessTransport::schedule(slf, step)?;
        }
        if let Some(waiter) = waiter {
            Future::settle(waiter.bind(py), super::future::Outcome::Result(py.None()))?;
        }
        told
    }

    fn log(slf: &Bound<'_, Self>, level: &str, text: &str) -> PyResult<()> {
        report::log(slf.get().event_loop(slf.py()), level, text, slf)
    }
}

impl SubprocessTransport {
    fn traverse_fields(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.context)?;
        visit.call(&self.extra)?;
        let state = self.state.traverse();
        visit.call(&state.protocol)?;
        visit.call(&state.child)?;
        for stream in &state.streams {
            if let Stream::Connected(pipe) = stream {
                visit.call(pipe)?;
            }
        }
        for step in state.pending.iter().flatten() {
            step.traverse(visit)?;
        }
        state.exit_waiters.iter().try_for_each(|waiter| visit.call(waiter))
    }

    fn clear_fields(&self, py: Python<'_>) {
        let cleared = self.state.with(py, |s| {
            let streams =
                std::mem::replace(&mut s.streams, [Stream::Elsewhere, Stream::Elsewhere, Stream::Elsewhere]);
            (
                streams,
                s.protocol.take(),
                s.child.take(),
                s.pending.take(),
                std::mem::take(&mut s.exit_waiters),
            )
        });
        drop(cleared);
        self.extra.bind(py).clear();
    }
}

/// The module with what is written in Python.
fn processes(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "plait._processes"))
}
