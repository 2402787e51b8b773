//! One end of a pipe and its protocol: from `connection_made` to `connection_lost`.

use crate::errors::os_error;
use crate::event_loop::descriptors::Direction;
use crate::event_loop::ready::TransportStep;
use crate::event_loop::transport::{Base, Transport};
use crate::event_loop::EventLoop;
use crate::guarded::Guarded;
use crate::standard::standard;
use plait_core::net::pipe::{self, Kind};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::RawFd;

/// The file's object, its protocol and what is known of them.
pub struct End {
    pub base: Base,
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
        let base = Base::new(loop_, fd)?;
        Ok((End { base, extra: extra.unbind(), state: Guarded::new(state) }, kind))
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

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.base.traverse(visit)?;
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
pub trait PipeTransport: Transport {
    fn end(&self) -> &End;
    /// Ends the connection, with an error or without; what is buffered is lost.
    fn cut(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()>;

    /// The beginning of a repr: name, state and number.
    fn describe(&self, py: Python<'_>, name: &str, direction: Direction) -> String {
        let end = self.end();
        let (open, closing) = end.state.with(py, |s| (s.pipe.is_some(), s.closing));
        let state = match (open, closing) {
            (false, _) => " closed",
            (true, true) => " closing",
            (true, false) => "",
        };
        let polling = match (open, self.is_watched(py, direction)) {
            (false, _) => "closed",
            (true, _) if end.base.loop_.get().is_closed(py) => "open",
            (true, true) => "polling",
            (true, false) => "idle",
        };
        format!("{name}{state} fd={} {polling}", end.base.fd)
    }
}

/// `connection_lost` soon, once.
pub fn schedule_lost<T: PipeTransport>(slf: &Bound<'_, T>, error: Option<Py<PyAny>>) -> PyResult<()> {
    let py = slf.py();
    match slf.get().end().state.with(py, |s| std::mem::replace(&mut s.lost, true)) {
        true => Ok(()),
        false => T::schedule(slf, TransportStep::Lost(error)),
    }
}

/// `connection_lost(error)` now; whatever that does, the file is closed.
pub fn connection_lost<T: PipeTransport>(slf: &Bound<'_, T>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = slf.py();
    let this = slf.get();
    this.end().state.with(py, |s| s.lost = true);
    let told = this.tell(py, intern!(py, "connection_lost"), Some(error.clone())).map(drop);
    let (protocol, closed) = this.end().release(py);
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
