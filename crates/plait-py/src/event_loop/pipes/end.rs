//! One end of a pipe and its protocol: from `connection_made` to `connection_lost`.

use super::PipeStep;
use crate::errors::os_error;
use crate::event_loop::descriptors::{Direction, Watcher};
use crate::event_loop::future::{Future, Outcome};
use crate::event_loop::ready::Ready;
use crate::event_loop::transport::report;
use crate::event_loop::EventLoop;
use crate::ffi;
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::net::pipe::{self, Kind};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::PyClass;
use std::os::fd::RawFd;

/// The file's object, its protocol and what is known of them.
pub struct End {
    pub loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    pub fd: RawFd,
    extra: Py<PyDict>,
    state: Guarded<EndState>,
}

struct EndState {
    /// None once it is closed.
    pipe: Option<Py<PyAny>>,
    protocol: Option<Py<PyAny>>,
    closing: bool,
    /// `connection_lost` has been called, or will be soon.
    lost: bool,
}

impl End {
    /// Takes a file object over; ValueError with `refusal` if it is none that can be waited for. Says what it is, too.
    pub fn new(
        loop_: &Bound<'_, EventLoop>,
        pipe: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        extra: Option<Bound<'_, PyDict>>,
        refusal: &'static str,
    ) -> PyResult<(End, Kind)> {
        let py = loop_.py();
        let fd = pipe.call_method0(intern!(py, "fileno"))?.extract::<RawFd>()?;
        let kind = pipe::kind(fd).map_err(|error| os_error(py, &error))?;
        if kind == Kind::Other {
            return Err(PyValueError::new_err(refusal));
        }
        pipe::set_nonblocking(fd).map_err(|error| os_error(py, &error))?;
        let extra = extra.unwrap_or_else(|| PyDict::new(py));
        extra.set_item(intern!(py, "pipe"), &pipe)?;
        let state = EndState {
            pipe: Some(pipe.unbind()),
            protocol: Some(protocol.unbind()),
            closing: false,
            lost: false,
        };
        let end = End {
            loop_: loop_.clone().unbind(),
            context: ffi::copy_context(py)?,
            fd,
            extra: extra.unbind(),
            state: Guarded::new(state),
        };
        Ok((end, kind))
    }

    pub fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.loop_.bind(py)
    }

    pub fn extra<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.extra.bind(py)
    }

    pub fn pipe(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.pipe.as_ref().map(|p| p.clone_ref(py)))
    }

    /// Puts another file object in place of the present one, which is handed back.
    pub fn set_pipe(&self, py: Python<'_>, pipe: Option<Py<PyAny>>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| std::mem::replace(&mut s.pipe, pipe))
    }

    pub fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))
    }

    pub fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        let py = protocol.py();
        let protocol = protocol.unbind();
        drop(self.state.with(py, |s| s.protocol.replace(protocol)));
    }

    pub fn closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.closing)
    }

    pub fn lost(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.lost)
    }

    /// From here on it is closing; true for the first who says so.
    pub fn begin_closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| !std::mem::replace(&mut s.closing, true))
    }

    /// Calls a method of the protocol in the transport's context.
    pub fn tell<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        argument: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(protocol) = self.protocol(py) else {
            return Ok(py.None().into_bound(py));
        };
        let protocol = protocol.bind(py);
        self.in_context(py, || match argument {
            None => protocol.call_method0(method),
            Some(argument) => protocol.call_method1(method, (argument,)),
        })
    }

    pub fn in_context<R>(&self, py: Python<'_>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        ffi::in_context(self.context.bind(py), body)
    }

    pub fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.loop_.get().unwatch(py, self.fd, direction).map(drop)
    }

    pub fn is_watched(&self, py: Python<'_>, direction: Direction) -> bool {
        self.loop_.get().state.with(py, |s| s.descriptors.is_watched(self.fd, direction))
    }

    /// Closes the file and lets go of the protocol, which is handed back.
    pub fn release(&self, py: Python<'_>) -> (Option<Py<PyAny>>, PyResult<()>) {
        let (pipe, protocol) = self.state.with(py, |s| {
            s.closing = true;
            s.lost = true;
            (s.pipe.take(), s.protocol.take())
        });
        let closed = pipe.map_or(Ok(()), |pipe| pipe.bind(py).call_method0(intern!(py, "close")).map(drop));
        (protocol, closed)
    }

    /// The beginning of a repr: name, state and number.
    pub fn describe(&self, py: Python<'_>, name: &str, direction: Direction) -> String {
        let (open, closing) = self.state.with(py, |s| (s.pipe.is_some(), s.closing));
        let state = match (open, closing) {
            (false, _) => " closed",
            (true, true) => " closing",
            (true, false) => "",
        };
        let polling = match (open, self.is_watched(py, direction)) {
            (false, _) => "closed",
            (true, _) if self.loop_.get().is_closed(py) => "open",
            (true, true) => "polling",
            (true, false) => "idle",
        };
        format!("{name}{state} fd={} {polling}", self.fd)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.context)?;
        visit.call(&self.extra)?;
        let state = self.state.traverse();
        visit.call(&state.pipe)?;
        visit.call(&state.protocol)
    }

    /// For the collector. The file stays: the finalizer has closed it.
    pub fn clear(&self, py: Python<'_>) {
        drop(self.state.with(py, |s| s.protocol.take()));
        self.extra.bind(py).clear();
    }
}

/// A transport over one end.
pub trait PipeTransport: PyClass<Frozen = True> + Sync {
    fn end(&self) -> &End;
    fn ready(slf: Py<Self>, step: PipeStep) -> Ready;
    fn watcher(slf: Py<Self>) -> Watcher;
    /// Whether the descriptor is to be watched for reading now.
    fn wants_to_read(&self, py: Python<'_>) -> bool;
    /// Ends the connection, with an error or without; what is buffered is lost.
    fn cut(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()>;
}

/// Puts a step into the ready queue.
pub fn schedule<T: PipeTransport>(slf: &Bound<'_, T>, step: PipeStep) -> PyResult<()> {
    slf.get().end().loop_.get().push_ready(slf.py(), T::ready(slf.clone().unbind(), step))
}

pub fn watch<T: PipeTransport>(slf: &Bound<'_, T>, direction: Direction) -> PyResult<()> {
    let end = slf.get().end();
    end.loop_.get().watch(slf.py(), end.fd, direction, T::watcher(slf.clone().unbind()))
}

pub fn begin<T: PipeTransport>(slf: &Bound<'_, T>, waiter: Option<Py<Future>>) -> PyResult<()> {
    let py = slf.py();
    let end = slf.get().end();
    let made = end.tell(py, intern!(py, "connection_made"), Some(slf.clone().into_any())).map(drop);
    let told = reported_as_protocols(slf, made, "connection_made", slf.as_any());
    // Each goes on whatever became of the one before, as in asyncio, where these are three callbacks.
    let reading = match slf.get().wants_to_read(py) {
        true => watch(slf, Direction::Read),
        false => Ok(()),
    };
    if let Some(waiter) = waiter {
        Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
    }
    told.and(reading)
}

fn reported_as_protocols<T: PipeTransport>(
    slf: &Bound<'_, T>,
    result: PyResult<()>,
    method: &str,
    argument: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let py = slf.py();
    if result.is_ok() {
        return Ok(());
    }
    let end = slf.get().end();
    let protocol = end.protocol(py).map(|p| p.into_bound(py));
    let args = PyTuple::new(py, [argument])?;
    report::callback_result(end.event_loop(py), result, protocol.as_ref(), method, args)
}

/// What a protocol's method raised from within a method of the transport, which in asyncio was the callback.
pub fn reported_as_own<T: PipeTransport>(
    slf: &Bound<'_, T>,
    result: PyResult<()>,
    method: &str,
) -> PyResult<()> {
    match result {
        Ok(()) => Ok(()),
        failed => {
            let loop_ = slf.get().end().event_loop(slf.py());
            report::callback_result(loop_, failed, Some(slf.as_any()), method, PyTuple::empty(slf.py()))
        }
    }
}

/// `connection_lost` soon, once.
pub fn schedule_lost<T: PipeTransport>(slf: &Bound<'_, T>, error: Option<Py<PyAny>>) -> PyResult<()> {
    let py = slf.py();
    let end = slf.get().end();
    match end.state.with(py, |s| std::mem::replace(&mut s.lost, true)) {
        true => Ok(()),
        false => schedule(slf, PipeStep::Lost(error)),
    }
}

/// `connection_lost(error)` now; whatever that does, the file is closed.
pub fn connection_lost<T: PipeTransport>(slf: &Bound<'_, T>, error: Option<Py<PyAny>>) -> PyResult<()> {
    let py = slf.py();
    let end = slf.get().end();
    end.state.with(py, |s| s.lost = true);
    let argument = error.map_or_else(|| py.None().into_bound(py), |error| error.into_bound(py));
    let told = end.tell(py, intern!(py, "connection_lost"), Some(argument.clone())).map(drop);
    let told = reported_as_protocols(slf, told, "connection_lost", &argument);
    let (protocol, closed) = end.release(py);
    drop(protocol);
    told.and(closed)
}

/// A transport dies with its file open: the host's warning, and the file is closed.
pub fn finalize<T: PipeTransport>(slf: &Bound<'_, T>) {
    let py = slf.py();
    let end = slf.get().end();
    if end.pipe(py).is_none() {
        return;
    }
    let warned = standard(py).warn_unclosed_transport.bind(py).call1((slf,)).map(drop);
    let (protocol, closed) = end.release(py);
    drop(protocol);
    if let Err(error) = warned.and(closed) {
        error.write_unraisable(py, Some(slf.as_any()));
    }
}
