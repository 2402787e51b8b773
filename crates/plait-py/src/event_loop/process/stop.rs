//! Signals, closing, and a transport that nobody closed.

use super::{processes, SubprocessTransport};
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::{PyPermissionError, PyProcessLookupError};
use pyo3::ffi::destructor;
use pyo3::intern;
use pyo3::prelude::*;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

impl SubprocessTransport {
    /// Signals the child; nothing happens if it has exited. ProcessLookupError once all of it is over.
    pub(super) fn signal(&self, signal: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = signal.py();
        let (child, pid, pidfd, reaped) = self.state.with(py, |s| {
            let pidfd = s.pidfd.as_ref().map(AsRawFd::as_raw_fd);
            (s.child.is_some(), s.pid, pidfd, s.returncode.is_some())
        });
        if !child {
            return Err(PyProcessLookupError::new_err(()));
        }
        let known = match self.child(py) {
            Some(child) => !child.getattr(intern!(py, "returncode"))?.is_none(),
            None => true,
        };
        if reaped || (known && pidfd.is_none()) {
            return Ok(());
        }
        processes(py)?.call_method1(intern!(py, "send_signal"), (pidfd, pid, signal)).map(drop)
    }

    /// Closes the pipes and kills the child if it still runs.
    pub(super) fn close_all(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.state.with(py, |s| std::mem::replace(&mut s.closed, true)) {
            return Ok(());
        }
        let mut pipes_closed = Ok(());
        for pipe in this.connected_pipes(py) {
            if let Some(pipe) = pipe.get().transport(py) {
                pipes_closed = pipes_closed.and(pipe.bind(py).call_method0(intern!(py, "close")).map(drop));
            }
        }
        this.kill_if_running(slf)?;
        pipes_closed
    }

    fn kill_if_running(&self, slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let Some(child) = self.child(py) else { return Ok(()) };
        // What `poll` finds out stands in the Popen object, where `reap` looks for it.
        if self.returncode(py).is_some() || !child.call_method0(intern!(py, "poll"))?.is_none() {
            return Ok(());
        }
        SubprocessTransport::log(slf, "warning", "Close running child process: kill %r")?;
        match child.call_method0(intern!(py, "kill")) {
            Ok(_) => Ok(()),
            // It has just exited, or runs as somebody else.
            Err(error)
                if error.is_instance_of::<PyProcessLookupError>(py)
                    || error.is_instance_of::<PyPermissionError>(py) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

static PROCESS_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for SubprocessTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf.get().state.with(py, |s| s.closed) {
            return;
        }
        let warned = standard(py).warn_unclosed_transport.bind(py).call1((slf,)).map(drop);
        let closed = match slf.get().loop_.get().is_closed(py) {
            // Its pipes cannot tell anybody any more; their own finalizers close them.
            true => {
                slf.get().state.with(py, |s| s.closed = true);
                slf.get().kill_if_running(slf)
            }
            false => SubprocessTransport::close_all(slf),
        };
        if let Err(error) = warned.and(closed) {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &PROCESS_DEALLOC
    }
}
