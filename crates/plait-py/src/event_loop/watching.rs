//! Watching descriptors on behalf of callers: `add_reader` and its relatives, `sock_*` operations, transports.
//!
//! `descriptors` keeps the table; here is what goes with it outside: cancelling what was replaced, finding the number
//! behind an object, and refusing what a transport owns.

use super::descriptors::{Direction, Owner, Watcher};
use super::future::{Future, Outcome};
use super::handle::{Call, Handle};
use super::EventLoop;
use crate::errors::{closed, os_error};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple, PyWeakrefMethods, PyWeakrefReference};
use std::os::fd::RawFd;

impl EventLoop {
    /// Puts a watcher on a descriptor; what it replaces is cancelled.
    pub fn watch(&self, py: Python<'_>, fd: RawFd, direction: Direction, watcher: Watcher) -> PyResult<()> {
        let (result, left) = self.state.with(py, |s| match s.reactor.clone() {
            Some(reactor) => {
                let (result, left) = s.descriptors.watch(&reactor, fd, direction, watcher);
                (Some(result), left)
            }
            None => (None, [Some(watcher), None]),
        });
        for watcher in left.iter().flatten() {
            if let Watcher::Callback(callback) = watcher {
                Handle::cancel(callback.0.bind(py))?;
            }
        }
        drop(left);
        match result {
            Some(result) => result.map_err(|error| os_error(py, &error)),
            None => Err(closed()),
        }
    }

    /// The same, unless this transport watches already, since its buffer was not empty.
    pub fn watch_unless_watched(
        &self,
        py: Python<'_>,
        fd: RawFd,
        direction: Direction,
        watcher: Watcher,
    ) -> PyResult<()> {
        let owner = watcher.owner();
        match self
            .state
            .with(py, |s| owner.is_some_and(|owner| s.descriptors.is_watched_by(fd, direction, owner)))
        {
            true => Ok(()),
            false => self.watch(py, fd, direction, watcher),
        }
    }

    /// Takes a transport's watcher away, and nobody else's.
    pub fn unwatch_own(&self, py: Python<'_>, fd: RawFd, direction: Direction, owner: Owner) -> PyResult<()> {
        match self.state.with(py, |s| s.descriptors.is_watched_by(fd, direction, owner)) {
            true => self.unwatch(py, fd, direction).map(drop),
            false => Ok(()),
        }
    }

    /// A transport is about to close its descriptor: whatever it has forgotten to take back would stall the next one of that number.
    /// Operations that wait on it (a file that is sent past the transport) would never hear of it again, so they are woken.
    pub fn unwatch_closing(&self, py: Python<'_>, fd: RawFd, owner: Owner) -> PyResult<()> {
        for direction in [Direction::Read, Direction::Write] {
            let concerned = self.state.with(py, |s| {
                s.descriptors.is_watched_by(fd, direction, owner) || s.descriptors.is_awaited(fd, direction)
            });
            if concerned {
                self.unwatch(py, fd, direction)?;
            }
        }
        Ok(())
    }

    /// Takes a watcher away; true when there was one. An operation that loses its place tries again, and finds what has become
    /// of the descriptor.
    pub fn unwatch(&self, py: Python<'_>, fd: RawFd, direction: Direction) -> PyResult<bool> {
        let removed = self.state.with(py, |s| {
            let reactor = s.reactor.clone()?;
            s.descriptors.unwatch(&reactor, fd, direction)
        });
        match &removed {
            Some(Watcher::Callback(callback)) => Handle::cancel(callback.0.bind(py))?,
            Some(Watcher::Waiter { future, .. }) => {
                Future::settle(future.bind(py), Outcome::Result(py.None()))?;
            }
            _ => (),
        }
        Ok(removed.is_some())
    }

    /// Whether a registration lingers that was made for this very socket object, and whether it is drained: then an attempt
    /// to receive would only be told to wait.
    pub fn lingers_for(&self, sock: &Bound<'_, PyAny>, fd: RawFd) -> Option<bool> {
        let py = sock.py();
        let (known, drained) = self.state.with(py, |s| s.descriptors.lingering(py, fd))?;
        let same = known.bind(py).upgrade().is_some_and(|known| known.is(sock));
        same.then_some(drained)
    }

    /// Lets a `sock_*` operation wait.
    pub fn watch_for_operation(
        &self,
        sock: &Bound<'_, PyAny>,
        fd: RawFd,
        direction: Direction,
        future: Py<Future>,
    ) -> PyResult<()> {
        let py = sock.py();
        let known = self.lingers_for(sock, fd).is_some();
        self.watch(py, fd, direction, Watcher::Waiter { future, known })?;
        if !known {
            // What cannot be referred to weakly is registered anew each time.
            if let Ok(weak) = PyWeakrefReference::new(sock) {
                let weak = weak.unbind();
                drop(self.state.with(py, |s| s.descriptors.set_sock(fd, weak)));
            }
        }
        Ok(())
    }

    /// An operation on a descriptor has ended: see `Descriptors::end_wait`.
    pub fn end_wait(&self, py: Python<'_>, fd: RawFd, direction: Direction, waiter: &Py<Future>) {
        let removed = self.state.with(py, |s| {
            let reactor = s.reactor.clone()?;
            s.descriptors.end_wait(&reactor, fd, direction, waiter)
        });
        drop(removed);
    }

    /// The number of a descriptor to stop watching; its object may be closed by now.
    pub fn watched_number(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
        fileno(fd).or_else(|invalid| {
            let known = slf.get().state.with(slf.py(), |s| s.descriptors.number_of(fd));
            known.ok_or(invalid)
        })
    }

    /// A descriptor that one of our transports owns is not to be watched by others.
    pub fn ensure_fd_no_transport(slf: &Bound<'_, Self>, fd: &Bound<'_, PyAny>) -> PyResult<()> {
        // A closed object is nobody's; whoever goes on with it hears of that.
        EventLoop::ensure_number_no_transport(slf, number_of(fd)?, fd)
    }

    /// The same for a number that is known; `fd` is what it is called in the error.
    pub fn ensure_number_no_transport(
        slf: &Bound<'_, Self>,
        number: RawFd,
        fd: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = slf.py();
        match slf.get().state.with(py, |s| s.descriptors.transport_on(py, number)) {
            Some(transport) => {
                let (fd, transport) = (fd.repr()?, transport.bind(py).repr()?);
                let text = format!("File descriptor {fd} is used by transport {transport}");
                Err(PyRuntimeError::new_err(text))
            }
            None => Ok(()),
        }
    }

    pub fn add_callback(
        slf: &Bound<'_, Self>,
        fd: &Bound<'_, PyAny>,
        direction: Direction,
        callback: Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<Handle>> {
        let py = slf.py();
        let this = slf.get();
        this.check_closed(py)?;
        let number = fileno(fd)?;
        let source = (!fd.is_exact_instance_of::<PyInt>()).then(|| fd.clone().unbind());
        let call = Call::new(callback, args.as_slice(), false)?;
        let handle = Py::new(py, Handle::build(slf, call, None, this.debug(py))?)?;
        let callback = Box::new((handle.clone_ref(py), source));
        this.watch(py, number, direction, Watcher::Callback(callback))?;
        Ok(handle)
    }
}

/// The descriptor's number, of an int or of anything with `fileno()`.
pub fn fileno(fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    match number_of(fd)? {
        number if number >= 0 => Ok(number),
        number => Err(PyValueError::new_err(format!("Invalid file descriptor: {number}"))),
    }
}

/// The same; a closed object may answer with -1.
fn number_of(fd: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    // Not simply tried as a number first: a refusal is an exception, with its text.
    let number = match fd.is_instance_of::<PyInt>() {
        true => fd.extract::<RawFd>(),
        false => fd.call_method0(intern!(fd.py(), "fileno")).and_then(|n| n.extract::<RawFd>()),
    };
    match number {
        Ok(number) => Ok(number),
        Err(_) => Err(PyValueError::new_err(format!("Invalid file object: {}", fd.repr()?))),
    }
}
