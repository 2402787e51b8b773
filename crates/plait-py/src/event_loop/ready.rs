//! What a loop has to do next. The ready queue holds these, not Handle objects: a Handle exists only where a
//! caller was given one.

use super::datagram::DatagramTransport;
use super::future::Future;
use super::gathering::GatheringFuture;
use super::handle::Handle;
use super::pipes::read::ReadPipeTransport;
use super::pipes::write::WritePipeTransport;
use super::process::{ProcessStep, SubprocessTransport};
use super::sleep::TimerFuture;
use super::socket_transport::SocketTransport;
use super::task::Task;
use super::timeout::Timeout;
use super::watcher::Watcher;
use crate::faces::futures::future::Seen;
use crate::waiters::task::WaitFuture;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

pub enum Ready {
    /// A callback that somebody scheduled and may still cancel.
    Handle(Py<Handle>),
    /// A Handle that is not ours (asyncio's own signal handling makes such).
    ForeignHandle(Py<PyAny>),
    /// Step this task, for the first time or after a bare `yield`.
    Step(Py<Task>),
    /// Step this task with an exception.
    Throw(Py<Task>, Py<PyAny>),
    /// The future that this task awaits is done.
    Wake(Py<Task>, Py<Future>),
    /// A waiter of a wait queue was woken, by another thread.
    Woken(Py<WaitFuture>),
    /// Another thread is through with a call: what the future comes to.
    Offloaded(Py<Future>, Seen),
    /// A sleep is over.
    Elapsed(Py<TimerFuture>),
    /// A time-out's moment has come, unless it counts another turn by now.
    Overdue(Py<Timeout>, u32),
    /// A future is done that somebody watches.
    Watched(Watcher, Py<Future>),
    /// A child of a `gather` is done.
    Gathered(Py<GatheringFuture>, Py<Future>),
    /// A done-callback: `callback(argument)` in `context`.
    Call {
        callback: Py<PyAny>,
        argument: Py<PyAny>,
        context: Py<PyAny>,
    },
    /// A transport has something to do.
    Transport(Py<SocketTransport>, TransportStep),
    /// The same of one of datagrams.
    Datagrams(Py<DatagramTransport>, TransportStep),
    /// So has one end of a pipe.
    ReadPipe(Py<ReadPipeTransport>, TransportStep),
    WritePipe(Py<WritePipeTransport>, TransportStep),
    /// So has a child.
    Process(Py<SubprocessTransport>, ProcessStep),
}

pub enum TransportStep {
    /// Tell the protocol of the connection, start reading, then tell whoever waits for that.
    Begin(Option<Py<Future>>),
    Readable,
    Writable,
    /// Tell the protocol that the connection is gone, and close the file.
    Lost(Option<Py<PyAny>>),
}

impl Ready {
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Ready::Handle(handle) => visit.call(handle),
            Ready::ForeignHandle(handle) => visit.call(handle),
            Ready::Step(task) => visit.call(task),
            Ready::Throw(task, error) => {
                visit.call(task)?;
                visit.call(error)
            }
            Ready::Wake(task, future) => {
                visit.call(task)?;
                visit.call(future)
            }
            Ready::Woken(future) => visit.call(future),
            Ready::Offloaded(future, seen) => {
                visit.call(future)?;
                seen.traverse(visit)
            }
            Ready::Elapsed(timer) => visit.call(timer),
            Ready::Overdue(timeout, _) => visit.call(timeout),
            Ready::Watched(watcher, child) => {
                watcher.traverse(visit)?;
                visit.call(child)
            }
            Ready::Gathered(outer, child) => {
                visit.call(outer)?;
                visit.call(child)
            }
            Ready::Call { callback, argument, context } => {
                visit.call(callback)?;
                visit.call(argument)?;
                visit.call(context)
            }
            Ready::ReadPipe(transport, step) => {
                visit.call(transport)?;
                step.traverse(visit)
            }
            Ready::WritePipe(transport, step) => {
                visit.call(transport)?;
                step.traverse(visit)
            }
            Ready::Process(transport, step) => {
                visit.call(transport)?;
                step.traverse(visit)
            }
            Ready::Transport(transport, step) => {
                visit.call(transport)?;
                step.traverse(visit)
            }
            Ready::Datagrams(transport, step) => {
                visit.call(transport)?;
                step.traverse(visit)
            }
        }
    }
}

impl TransportStep {
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            TransportStep::Begin(waiter) => visit.call(waiter),
            TransportStep::Lost(error) => visit.call(error),
            TransportStep::Readable | TransportStep::Writable => Ok(()),
        }
    }
}
