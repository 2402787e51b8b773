//! What every transport over a descriptor is and does, whatever it carries: it belongs to a loop, calls its protocol in one context,
//! begins, and ends once.
//!
//! A trait with provided methods over a few that each kind writes itself, and a struct for what they all have. Rejected: a base class
//! in Python's sense, since these types are leaves whose state differs, and a call through a table in the path of each byte.

use super::report;
use crate::event_loop::descriptors::{Direction, Owner, Watcher};
use crate::event_loop::future::{Future, Outcome};
use crate::event_loop::ready::{Ready, TransportStep};
use crate::event_loop::EventLoop;
use crate::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyString, PyTuple};
use pyo3::PyClass;
use std::os::fd::RawFd;

/// Whose it is, and what it drives.
pub struct Base {
    pub loop_: Py<EventLoop>,
    /// In which the protocol's methods run.
    context: Py<PyAny>,
    pub fd: RawFd,
}

impl Base {
    /// With a copy of the caller's context.
    pub fn new(loop_: &Bound<'_, EventLoop>, fd: RawFd) -> PyResult<Base> {
        Ok(Base::in_its_context(loop_, fd, ffi::copy_context(loop_.py())?))
    }

    pub fn in_its_context(loop_: &Bound<'_, EventLoop>, fd: RawFd, context: Py<PyAny>) -> Base {
        Base { loop_: loop_.clone().unbind(), context, fd }
    }

    pub fn context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loop_)?;
        visit.call(&self.context)
    }
}

/// asyncio's names of what it schedules for such a transport: under them it reports what they raise.
pub struct Names {
    pub read_ready: &'static str,
    pub write_ready: &'static str,
    pub connection_lost: &'static str,
    pub add_reader: &'static str,
}

pub trait Transport: PyClass<Frozen = True> + Sync {
    const NAMES: Names;

    fn base(&self) -> &Base;
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>>;
    fn ready(slf: Py<Self>, step: TransportStep) -> Ready;
    fn watcher(slf: Py<Self>) -> Watcher;
    /// Watches its descriptor, if it wants to read.
    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()>;
    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()>;
    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()>;
    /// `connection_lost(error)` now; whatever that does, the file is closed.
    fn connection_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()>;

    fn event_loop<'py>(&self, py: Python<'py>) -> &Bound<'py, EventLoop> {
        self.base().loop_.bind(py)
    }

    /// What the loop found in its ready queue for this transport. One connection's trouble is not the loop's.
    #[inline]
    fn advance(slf: &Bound<'_, Self>, step: TransportStep) -> PyResult<()> {
        let names = Self::NAMES;
        match step {
            TransportStep::Readable => {
                report::unless_ok(Self::read_ready(slf), |error| report_own(slf, error, names.read_ready))
            }
            TransportStep::Writable => {
                report::unless_ok(Self::write_ready(slf), |error| report_own(slf, error, names.write_ready))
            }
            TransportStep::Begin(waiter) => begin(slf, waiter),
            TransportStep::Lost(error) => {
                let argument = error.unwrap_or_else(|| slf.py().None()).into_bound(slf.py());
                report::unless_ok(Self::connection_lost(slf, &argument), |error| {
                    let args = PyTuple::new(slf.py(), [argument])?;
                    report::own_callback(slf.get().event_loop(slf.py()), error, names.connection_lost, args)
                })
            }
        }
    }

    /// Runs something that the loop began, in the connection's context. What the user's code begins runs in its own.
    #[inline]
    fn in_context<R>(&self, py: Python<'_>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
        ffi::in_context(self.base().context.bind(py), body)
    }

    /// Calls a method of the protocol in the connection's context; None without a protocol.
    #[inline]
    fn tell<'py>(
        &self,
        py: Python<'py>,
        method: &Bound<'py, PyString>,
        argument: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(protocol) = self.protocol(py) else {
            return Ok(py.None().into_bound(py));
        };
        let protocol = protocol.into_bound(py);
        self.in_context(py, || match argument {
            None => protocol.call_method0(method),
            Some(argument) => protocol.call_method1(method, (argument,)),
        })
    }

    fn schedule(slf: &Bound<'_, Self>, step: TransportStep) -> PyResult<()> {
        slf.get().base().loop_.get().push_ready(slf.py(), Self::ready(slf.clone().unbind(), step))
    }

    fn watch(slf: &Bound<'_, Self>, direction: Direction) -> PyResult<()> {
        let base = slf.get().base();
        base.loop_.get().watch(slf.py(), base.fd, direction, Self::watcher(slf.clone().unbind()))
    }

    fn stop(&self, py: Python<'_>, direction: Direction) -> PyResult<()> {
        self.base().loop_.get().unwatch_own(py, self.base().fd, direction, Owner::of(self))
    }

    /// Before the descriptor is closed.
    fn unwatch_closing(&self, py: Python<'_>) -> PyResult<()> {
        self.base().loop_.get().unwatch_closing(py, self.base().fd, Owner::of(self))
    }

    /// Whether it waits for its descriptor.
    fn is_watched(&self, py: Python<'_>, direction: Direction) -> bool {
        let base = self.base();
        base.loop_.get().state.with(py, |s| s.descriptors.is_watched_by(base.fd, direction, Owner::of(self)))
    }

    fn report(slf: &Bound<'_, Self>, message: &str, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        report::report(slf.get().event_loop(py), message, error, Some(slf.as_any()), slf.get().protocol(py))
    }

    /// In debug mode, to asyncio's log by its method `level`; `text` has a `%r` for the transport.
    fn log(slf: &Bound<'_, Self>, level: &str, text: &str) -> PyResult<()> {
        report::log(slf.get().event_loop(slf.py()), level, text, slf.as_any())
    }
}

/// Tells the protocol, starts to read, tells whoever waits for that. Each goes on whatever became of the one before, as in
/// asyncio, where these are three callbacks.
fn begin<T: Transport>(slf: &Bound<'_, T>, waiter: Option<Py<Future>>) -> PyResult<()> {
    let py = slf.py();
    let this = slf.get();
    let made = this.tell(py, intern!(py, "connection_made"), Some(slf.clone().into_any())).map(drop);
    let told = report::unless_ok(made, |error| {
        let protocol = this.protocol(py).map(|protocol| protocol.into_bound(py));
        let args = PyTuple::new(py, [slf])?;
        report::callback(this.event_loop(py), error, protocol.as_ref(), "connection_made", args)
    });
    let reading =
        report::unless_ok(T::start_reading(slf), |error| report_own(slf, error, T::NAMES.add_reader));
    if let Some(waiter) = waiter {
        Future::settle(waiter.bind(py), Outcome::Result(py.None()))?;
    }
    told.and(reading)
}

#[cold]
fn report_own<T: Transport>(slf: &Bound<'_, T>, error: PyErr, name: &str) -> PyResult<()> {
    report::own_callback(slf.get().event_loop(slf.py()), error, name, PyTuple::empty(slf.py()))
}
