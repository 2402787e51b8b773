//! The `sock_*` operations: one coroutine-like object each, which tries the system call, waits if it must, and
//! tries again.
//!
//! asyncio makes a coroutine, a future, a handle and two `epoll_ctl` of each. Here an operation that can be done at
//! once is done without any of them. Like a coroutine it does nothing before it is awaited, and it can be given to
//! `create_task`. Blocking sockets are taken as they come: every call here is made so that it cannot block.

mod attempts;

pub use attempts::{contiguous, writable};

use super::descriptors::Direction;
use super::future::Future;
use super::future_iter::thrown;
use super::sending_file::SendingFile;
use super::watching::fileno;
use super::EventLoop;
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use attempts::{
    accept, connect, open_fd, recv, recv_into, refuse_ssl_socket, send_all, unblocked, Attempt, SCRATCH,
};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::os::fd::RawFd;

enum Work {
    Recv {
        size: usize,
    },
    RecvInto {
        buffer: Py<PyAny>,
    },
    SendAll {
        data: Py<PyAny>,
        sent: usize,
    },
    Accept,
    Connect {
        address: Py<PyAny>,
        started: bool,
    },
    SendFile(SendingFile),
    /// A method of the socket object, for the calls that are not worth a path of their own.
    Method {
        method: &'static str,
        args: Py<PyTuple>,
        direction: Direction,
    },
}

impl Work {
    fn direction(&self) -> Direction {
        match self {
            Work::Recv { .. } | Work::RecvInto { .. } | Work::Accept => Direction::Read,
            Work::SendAll { .. } | Work::Connect { .. } | Work::SendFile(_) => Direction::Write,
            Work::Method { direction, .. } => *direction,
        }
    }
}

struct OpState {
    work: Option<Work>,
    /// Set while it waits: what the loop settles, and on which descriptor.
    waiting: Option<(Py<Future>, RawFd, Direction)>,
    started: bool,
}

#[pyclass(module = "plait._native", frozen, weakref)]
pub struct SockOp {
    loop_: Py<EventLoop>,
    sock: Py<PyAny>,
    name: &'static str,
    state: Guarded<OpState>,
}

impl SockOp {
    fn new(loop_: Bound<'_, EventLoop>, sock: Bound<'_, PyAny>, name: &'static str, work: Work) -> SockOp {
        SockOp {
            loop_: loop_.unbind(),
            sock: sock.unbind(),
            name,
            state: Guarded::new(OpState { work: Some(work), waiting: None, started: false }),
        }
    }

    pub fn recv<'py>(
        loop_: Bound<'py, EventLoop>,
        sock: Bound<'py, PyAny>,
        size: Bound<'py, PyAny>,
    ) -> PyResult<SockOp> {
        match size.extract::<usize>() {
            Ok(size) if size <= SCRATCH => Ok(SockOp::new(loop_, sock, "sock_recv", Work::Recv { size })),
            // Very large, or wrong in a way that the socket has its own words for.
            _ => SockOp::method(loop_, sock, "sock_recv", "recv", (size,), Direction::Read),
        }
    }

    pub fn recv_into(
        loop_: Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        buffer: Bound<'_, PyAny>,
    ) -> PyResult<SockOp> {
        Ok(SockOp::new(loop_, sock, "sock_recv_into", Work::RecvInto { buffer: buffer.unbind() }))
    }

    pub fn sendall(
        loop_: Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
    ) -> PyResult<SockOp> {
        Ok(SockOp::new(loop_, sock, "sock_sendall", Work::SendAll { data: data.unbind(), sent: 0 }))
    }

    pub fn connect(
        loop_: Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        address: Bound<'_, PyAny>,
    ) -> PyResult<SockOp> {
        let work = Work::Connect { address: address.unbind(), started: false };
        Ok(SockOp::new(loop_, sock, "sock_connect", work))
    }

    pub fn accept(loop_: Bound<'_, EventLoop>, sock: Bound<'_, PyAny>) -> PyResult<SockOp> {
        Ok(SockOp::new(loop_, sock, "sock_accept", Work::Accept))
    }

    /// Of the file, which has that number, from `offset` on `count` bytes, or all.
    pub fn send_file(
        loop_: Bound<'_, EventLoop>,
        sock: Bound<'_, PyAny>,
        file: Bound<'_, PyAny>,
        number: RawFd,
        offset: u64,
        count: Option<u64>,
    ) -> SockOp {
        let work = Work::SendFile(SendingFile::new(file.unbind(), number, offset, count));
        SockOp::new(loop_, sock, "sock_sendfile", work)
    }

    pub fn method<'py>(
        loop_: Bound<'py, EventLoop>,
        sock: Bound<'py, PyAny>,
        name: &'static str,
        method: &'static str,
        args: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
        direction: Direction,
    ) -> PyResult<SockOp> {
        let args = args.into_pyobject(loop_.py()).map_err(Into::into)?.unbind();
        Ok(SockOp::new(loop_, sock, name, Work::Method { method, args, direction }))
    }

    /// asyncio's checks, made when the operation begins.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let sock = self.sock.bind(py);
        // A plain socket, as nearly all are, is none of the others.
        if !sock.get_type().is(&standard(py).socket) {
            refuse_ssl_socket(sock)?;
        }
        if self.loop_.get().debug(py) {
            let timeout = sock.call_method0("gettimeout")?;
            if timeout.is_none() || timeout.extract::<f64>()? != 0.0 {
                return Err(PyValueError::new_err("the socket must be non-blocking"));
            }
        }
        self.loop_.get().check_closed(py)
    }

    /// One turn of the coroutine: Ok(Some) yields that future, Ok(None) returns None, StopIteration another value.
    fn advance(&self, py: Python<'_>) -> PyResult<Option<Py<Future>>> {
        if self.is_awaited(py) {
            return Err(PyRuntimeError::new_err("coroutine is being awaited already"));
        }
        let Some(mut work) = self.state.with(py, |s| s.work.take()) else {
            return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
        };
        let first = self.state.with(py, |s| !std::mem::replace(&mut s.started, true));
        let attempt = match first {
            true => self.check(py).and_then(|()| match self.would_block(py, &work) {
                true => Ok(Attempt::WouldBlock),
                false => self.attempt(py, &mut work),
            }),
            false => self.attempt(py, &mut work),
        };
        match attempt {
            Ok(Attempt::WouldBlock) => self.wait(py, work).map(Some),
            Ok(Attempt::Done(value)) => {
                self.finish(py);
                match value.is_none(py) {
                    true => Ok(None),
                    false => Err(ffi::stop_iteration(py, value)),
                }
            }
            Err(error) => {
                self.finish(py);
                Err(error)
            }
        }
    }

    /// It waits already: somebody else awaits it.
    fn is_awaited(&self, py: Python<'_>) -> bool {
        let waiting = self.state.with(py, |s| s.waiting.as_ref().map(|(waiter, ..)| waiter.clone_ref(py)));
        waiting.is_some_and(|waiter| !waiter.get().is_done(py))
    }

    /// Waits for the descriptor: yields a future that the loop settles.
    fn wait(&self, py: Python<'_>, work: Work) -> PyResult<Py<Future>> {
        let loop_ = self.loop_.bind(py);
        let future = Py::new(py, Future::on_loop(py, loop_)?)?;
        future.get().state.with(py, |s| s.blocking = true);
        let sock = self.sock.bind(py);
        let (fd, direction) = (fileno(sock)?, work.direction());
        EventLoop::ensure_number_no_transport(loop_, fd, sock)?;
        loop_.get().watch_for_operation(sock, fd, direction, future.clone_ref(py))?;
        let kept = (future.clone_ref(py), fd, direction);
        let replaced = self.state.with(py, |s| {
            s.work = Some(work);
            s.waiting.replace(kept)
        });
        drop(replaced);
        Ok(future)
    }

    /// The operation is over: nobody waits on the descriptor for it any more.
    fn finish(&self, py: Python<'_>) {
        if let Some((waiter, fd, direction)) = self.state.with(py, |s| s.waiting.take()) {
            self.loop_.get().end_wait(py, fd, direction, &waiter);
        }
    }

    /// Thrown into or closed. What it was at.
    fn abandon(&self, py: Python<'_>) -> Option<Work> {
        let work = self.state.with(py, |s| {
            s.started = true;
            s.work.take()
        });
        self.finish(py);
        work
    }

    /// Whether the last receive on this socket emptied it, and nothing was reported since: then the attempt is spared.
    fn would_block(&self, py: Python<'_>, work: &Work) -> bool {
        let receives = match work {
            Work::Recv { size } => *size > 0,
            Work::RecvInto { buffer } => buffer.bind(py).len().is_ok_and(|length| length > 0),
            _ => false,
        };
        if !receives {
            return false;
        }
        let sock = self.sock.bind(py);
        open_fd(sock).is_ok_and(|fd| self.loop_.get().lingers_for(sock, fd) == Some(true))
    }

    fn attempt(&self, py: Python<'_>, work: &mut Work) -> PyResult<Attempt> {
        let sock = self.sock.bind(py);
        match work {
            Work::Recv { size } => recv(self.loop_.get(), sock, *size),
            Work::RecvInto { buffer } => recv_into(self.loop_.get(), sock, buffer.bind(py)),
            Work::SendAll { data, sent } => send_all(sock, data.bind(py), sent),
            Work::Accept => accept(sock),
            Work::Connect { address, started } => connect(sock, address.bind(py), started),
            Work::SendFile(sending) => {
                let fd = open_fd(sock).inspect_err(|_| sending.leave_position(py))?;
                match sending.advance(py, fd)? {
                    Some(sent) => Ok(Attempt::Done(sent.into_pyobject(py)?.into_any().unbind())),
                    None => Ok(Attempt::WouldBlock),
                }
            }
            Work::Method { method, args, .. } => {
                unblocked(sock, |sock| sock.call_method1(*method, args.bind(py)))
            }
        }
    }
}

#[pymethods]
impl SockOp {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<Future>>> {
        self.advance(py)
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<Future>> {
        match self.advance(py)? {
            Some(future) => Ok(future),
            None => Err(pyo3::exceptions::PyStopIteration::new_err(())),
        }
    }

    #[pyo3(signature = (r#type, value = None, traceback = None, /))]
    fn throw(
        &self,
        py: Python<'_>,
        r#type: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<Future>> {
        let error = thrown(py, r#type, value, traceback)?;
        if let Some(Work::SendFile(sending)) = self.abandon(py) {
            sending.leave_position(py);
        }
        Err(error)
    }

    /// Perhaps by the collector, long after: nothing but letting go.
    fn close(&self, py: Python<'_>) {
        drop(self.abandon(py));
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __qualname__(&self) -> String {
        format!("EventLoop.{}", self.name)
    }

    #[getter]
    fn cr_running(&self) -> bool {
        false
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.sock)?;
        let state = self.state.traverse();
        visit.call(state.waiting.as_ref().map(|(waiter, ..)| waiter))?;
        match &state.work {
            Some(Work::RecvInto { buffer }) => visit.call(buffer),
            Some(Work::SendAll { data, .. }) => visit.call(data),
            Some(Work::Connect { address, .. }) => visit.call(address),
            Some(Work::Method { args, .. }) => visit.call(args),
            Some(Work::SendFile(sending)) => sending.traverse(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, |s| (s.work.take(), s.waiting.take()))));
    }
}
