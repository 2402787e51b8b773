//! What the transports over sockets, of streams and of datagrams, do alike: asyncio's `_SelectorTransport`.

use super::report;
use super::{is_bytes_like, Course, Writing};
use crate::errors::leaves_the_loop;
use crate::event_loop::descriptors::Direction;
use crate::event_loop::ready::TransportStep;
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::{PyOSError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::io;
use std::os::fd::RawFd;

const EBADF: i32 = 9;

pub trait SelectorTransport: Writing {
    type State;
    /// What waits to be sent; what was received and not delivered yet. To be dropped where Python may run.
    type Unsent;
    type Undelivered;

    fn state(&self) -> &Guarded<Self::State>;
    fn course(state: &mut Self::State) -> &mut Course;
    fn has_unsent(state: &Self::State) -> bool;
    fn take_unsent(state: &mut Self::State) -> Self::Unsent;
    fn take_undelivered(state: &mut Self::State) -> Self::Undelivered;
    /// The socket object, if there is one already.
    fn known_socket<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>>;

    fn closing(&self, py: Python<'_>) -> bool {
        self.state().with(py, |s| Self::course(s).closing)
    }

    fn reads(&self, py: Python<'_>) -> bool {
        self.state().with(py, |s| Self::course(s).is_reading())
    }

    /// No more is delivered; what waits is still sent.
    fn close_gracefully(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, unsent, dropped) = this.state().with(py, |s| {
            let unsent = Self::has_unsent(s);
            (Self::course(s).begin_closing(unsent), unsent, Self::take_undelivered(s))
        });
        drop(dropped);
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        if unsent {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        Self::schedule(slf, TransportStep::Lost(None))
    }

    /// What waits is lost.
    fn force_close(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let dropped = this
            .state()
            .with(py, |s| Self::course(s).cut().then(|| (Self::take_unsent(s), Self::take_undelivered(s))));
        if dropped.is_none() {
            return Ok(());
        }
        drop(dropped);
        this.stop(py, Direction::Read)?;
        this.stop(py, Direction::Write)?;
        Self::schedule(slf, TransportStep::Lost(error))
    }

    /// Ends the connection; only what peers do not cause is reported.
    fn fatal_error(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let py = slf.py();
        let kept = error.clone_ref(py).into_value(py).into_any();
        match error.is_instance_of::<PyOSError>(py) {
            true => report::log_error(slf.get().event_loop(py), message, error, slf.as_any())?,
            false => Self::report(slf, message, error)?,
        }
        Self::force_close(slf, Some(kept))
    }

    /// Passes a value on; an error ends the connection with `message` and gives None.
    #[inline]
    fn fatal_unless_ok<T>(slf: &Bound<'_, Self>, result: PyResult<T>, message: &str) -> PyResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if leaves_the_loop(slf.py(), &error) => Err(error),
            Err(error) => Self::fatal_error(slf, error, message).map(|()| None),
        }
    }

    fn pause(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if !slf.get().state().with(py, |s| Self::course(s).pause()) {
            return Ok(());
        }
        slf.get().stop(py, Direction::Read)?;
        Self::log(slf, "debug", "%r pauses reading")
    }

    fn resume(slf: &Bound<'_, Self>) -> PyResult<()> {
        if !slf.get().state().with(slf.py(), |s| Self::course(s).resume()) {
            return Ok(());
        }
        Self::start_reading(slf)?;
        Self::log(slf, "debug", "%r resumes reading")
    }

    /// Whether the descriptor is still its own: a program that gave it a socket may have closed that, and then the number is another's.
    #[inline]
    fn check_open(&self, py: Python<'_>) -> io::Result<()> {
        self.known_socket(py).map_or(Ok(()), |sock| check_number(&sock, self.base().fd))
    }

    fn describe(&self, py: Python<'_>, name: &str, closed: bool) -> String {
        let (closing, unsent) = (self.closing(py), self.with_flow(py, |_, unsent| unsent));
        let fd = self.base().fd;
        let polling = |direction| match self.is_watched(py, direction) {
            true => "polling",
            false => "idle",
        };
        match (closed, closing) {
            (true, _) => format!("<{name} closed fd={fd}>"),
            (false, _) => {
                let state = if closing { " closing" } else { "" };
                let (read, write) = (polling(Direction::Read), polling(Direction::Write));
                format!("<{name}{state} fd={fd} read={read} write=<{write}, bufsize={unsent}>>")
            }
        }
    }
}

/// Whether a socket object still has the number by which its transport knows it.
#[inline]
pub fn check_number(sock: &Bound<'_, PyAny>, fd: RawFd) -> io::Result<()> {
    let py = sock.py();
    let standard = standard(py);
    // Asked before each datagram: the usual class's method is not looked up again and again.
    let number = match sock.get_type().is(&standard.socket) {
        true => standard.socket_fileno.bind(py).call1((sock,)),
        false => sock.call_method0(intern!(py, "fileno")),
    };
    match number.and_then(|number| number.extract::<RawFd>()) {
        Ok(number) if number != fd => Err(io::Error::from_raw_os_error(EBADF)),
        _ => Ok(()),
    }
}

/// TypeError for what cannot be written.
#[inline]
pub fn check_bytes_like(data: &Bound<'_, PyAny>) -> PyResult<()> {
    if is_bytes_like(data) {
        return Ok(());
    }
    let kind = data.get_type().name()?.repr()?;
    Err(PyTypeError::new_err(format!("data argument must be a bytes-like object, not {kind}")))
}

/// The socket's two addresses, for `get_extra_info`; a `peername` that stands there already stays.
pub fn note_addresses(sock: &Bound<'_, PyAny>, extra: &Bound<'_, PyDict>) -> PyResult<()> {
    let py = sock.py();
    for (key, method) in [("sockname", "getsockname"), ("peername", "getpeername")] {
        if key == "peername" && extra.contains(key)? {
            continue;
        }
        match sock.call_method0(method) {
            Ok(address) => extra.set_item(key, address)?,
            Err(error) if error.is_instance_of::<PyOSError>(py) => extra.set_item(key, py.None())?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
