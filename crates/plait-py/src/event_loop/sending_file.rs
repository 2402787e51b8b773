//! A file on its way to a socket: what `sock_sendfile` has sent so far, and what becomes of errors.
//!
//! The rules are asyncio's: the file is left positioned behind what was sent, also when the rest fails, and a failure before the
//! first byte means that this file or socket cannot be used so. Beyond asyncio the position is also set when the operation is
//! cancelled; a program that goes on from there would otherwise send the same again.

use crate::errors::os_error;
use plait_core::net::send_file::{send_file, set_position};
use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use std::io;
use std::os::fd::RawFd;

const EAGAIN: i32 = 11;
const ENOTCONN: i32 = 107;

pub struct SendingFile {
    file: RawFd,
    offset: u64,
    /// How much is to be sent; None: all that there is.
    count: Option<u64>,
    sent: u64,
    waited: bool,
}

impl SendingFile {
    pub fn new(file: RawFd, offset: u64, count: Option<u64>) -> SendingFile {
        SendingFile { file, offset, count, sent: 0, waited: false }
    }

    /// Sends what the socket takes. None: it has to be waited for, also when there was a lot: others have their turn then.
    pub fn advance(&mut self, py: Python<'_>, socket: RawFd) -> PyResult<Option<u64>> {
        let mut in_this_turn = 0;
        loop {
            let left = self.count.map_or(u64::MAX, |count| count - self.sent);
            if left == 0 {
                return Ok(Some(self.finished()));
            }
            let (file, from) = (self.file, self.offset + self.sent);
            // The file may have to be read from a disk.
            match py.detach(|| send_file(socket, file, from, left)) {
                Ok(0) => return Ok(Some(self.finished())),
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
    pub fn leave_position(&self) {
        if self.sent > 0 {
            // A file that was closed meanwhile has no position.
            let _ = set_position(self.file, self.offset + self.sent);
        }
    }

    fn finished(&self) -> u64 {
        self.leave_position();
        self.sent
    }

    #[cold]
    fn failed(&self, py: Python<'_>, error: &io::Error) -> PyErr {
        self.leave_position();
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
