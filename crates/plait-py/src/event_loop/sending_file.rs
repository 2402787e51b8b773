//! A file on its way to a socket: what `sock_sendfile` has sent so far, and what becomes of errors.
//!
//! The rules are asyncio's: the file is left positioned behind what was sent, also when the rest fails, and a failure before the
//! first byte means that this file or socket cannot be used so. Beyond asyncio the position is also set when the operation is
//! cancelled; a program that goes on from there would otherwise send the same again. And a file that is closed meanwhile
//! is no longer touched: its number may be another file's by then, whose contents would be sent.

use crate::errors::os_error;
use plait_core::net::send_file::{send_file, set_position};
use pyo3::exceptions::PyConnectionError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use std::io;
use std::os::fd::RawFd;

const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const ENOTCONN: i32 = 107;

pub struct SendingFile {
    /// The file object, and the number that it had at the beginning.
    file: Py<PyAny>,
    number: RawFd,
    offset: u64,
    /// How much is to be sent; None: all that there is.
    count: Option<u64>,
    sent: u64,
    waited: bool,
}

impl SendingFile {
    pub fn new(file: Py<PyAny>, number: RawFd, offset: u64, count: Option<u64>) -> SendingFile {
        SendingFile { file, number, offset, count, sent: 0, waited: false }
    }

    /// Sends what the socket takes. None: it has to be waited for, also when there was a lot: others have their turn then.
    pub fn advance(&mut self, py: Python<'_>, socket: RawFd) -> PyResult<Option<u64>> {
        let mut in_this_turn = 0;
        loop {
            let left = self.count.map_or(u64::MAX, |count| count - self.sent);
            if left == 0 {
                return Ok(Some(self.finished(py)));
            }
            let (number, from) = (self.number, self.offset + self.sent);
            // The file may have to be read from a disk.
            let sent = self.check_open(py).and_then(|()| py.detach(|| send_file(socket, number, from, left)));
            match sent {
                Ok(0) => return Ok(Some(self.finished(py))),
                Ok(sent) => {
                    self.sent += sent;
                    in_this_turn += sent;
                }
                Err(error) if error.raw_os_error() == Some(EAGAIN) => {
                    self.waited = true;
                    return Ok(None);
                }
                Err(error) => return Err(self.failed(py, &error)),
            }
            if in_this_turn >= plait_core::net::send_file::MOST_AT_ONCE {
                self.waited = true;
                return Ok(None);
            }
        }
    }

    /// The next read of the file begins behind what was sent.
    pub fn leave_position(&self, py: Python<'_>) {
        // A file that was closed meanwhile has no position.
        if self.sent > 0 && self.check_open(py).is_ok() {
            let _ = set_position(self.number, self.offset + self.sent);
        }
    }

    fn check_open(&self, py: Python<'_>) -> io::Result<()> {
        let number =
            self.file.bind(py).call_method0(intern!(py, "fileno")).and_then(|n| n.extract::<RawFd>());
        match number {
            Ok(number) if number == self.number => Ok(()),
            _ => Err(io::Error::from_raw_os_error(EBADF)),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.file)
    }

    fn finished(&self, py: Python<'_>) -> u64 {
        self.leave_position(py);
        self.sent
    }

    #[cold]
    fn failed(&self, py: Python<'_>, error: &io::Error) -> PyErr {
        self.leave_position(py);
        let raised = os_error(py, error);
        if self.sent == 0 {
            return not_available(py).unwrap_or_else(|failed| failed);
        }
        if !self.waited || error.raw_os_error() != Some(ENOTCONN) {
            return raised;
        }
        let lost = PyConnectionError::new_err(("socket is not connected", ENOTCONN));
        lost.set_cause(py, Some(raised));
        lost
    }
}

fn not_available(py: Python<'_>) -> PyResult<PyErr> {
    let class = py.import("asyncio.exceptions")?.getattr("SendfileNotAvailableError")?;
    Ok(PyErr::from_value(class.call1(("os.sendfile call failed",))?))
}
