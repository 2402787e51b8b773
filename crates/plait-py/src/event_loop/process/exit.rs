//! How a child's end is seen, and what follows from it.
//!
//! `connection_lost` comes last: after the child has exited *and* all its pipes are disconnected, in whichever order. A child
//! whose own children keep a pipe open has exited long before.

use super::{processes, ProcessStep, Stream, SubprocessTransport};
use crate::errors::{leaves_the_loop, os_error};
use crate::event_loop::descriptors::{Direction, Watcher};
use crate::event_loop::future::{Future, Outcome};
use crate::standard::standard;
use pyo3::exceptions::PyAssertionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rustix::io::Errno;
use rustix::process::{pidfd_open, waitid, Pid, PidfdFlags, WaitId, WaitIdOptions};
use std::os::fd::{AsFd, AsRawFd};

/// What is said of a child whose status somebody else took.
const UNKNOWN: i32 = 255;

impl SubprocessTransport {
    /// From now on the child's end is seen: through a pidfd, or by a watcher.
    pub(super) fn watch_exit(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(pid) = this.state.with(py, |s| s.pid) else { return Ok(()) };
        let glue = processes(py)?;
        let by_watcher = glue.call_method0(intern!(py, "watches_by_itself"))?.is_truthy()?;
        let opened = match (by_watcher, Pid::from_raw(pid)) {
            (false, Some(pid)) => pidfd_open(pid, PidfdFlags::empty()),
            _ => Err(Errno::NOSYS),
        };
        match opened {
            Ok(pidfd) => {
                let watcher = Watcher::Process(slf.clone().unbind());
                this.loop_.get().watch(py, pidfd.as_raw_fd(), Direction::Read, watcher)?;
                this.state.with(py, |s| s.pidfd = Some(pidfd));
                Ok(())
            }
            // Gone already: somebody waits for any child.
            Err(Errno::SRCH) => SubprocessTransport::schedule(slf, ProcessStep::Reap),
            // No such call, forbidden, or no descriptor left.
            Err(_) => {
                let args = (this.event_loop(py), slf, pid);
                glue.call_method1(intern!(py, "watch"), args).map(drop)
            }
        }
    }

    /// The child has exited: takes its status, so that it is no zombie.
    pub(super) fn reap(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.returncode(py).is_some() {
            return Ok(());
        }
        let status = this.state.with(py, |s| match &s.pidfd {
            Some(pidfd) => {
                waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
            }
            None => Err(Errno::CHILD),
        });
        let returncode = match status {
            Ok(None) => return Ok(()), // not yet, whatever woke us
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => code,
                (None, Some(signal)) => -signal,
                (None, None) => return Ok(()),
            },
            Err(Errno::CHILD) => this.status_taken_by_others(py)?,
            Err(error) => return Err(os_error(py, &error.into())),
        };
        if let Some(pidfd) = this.state.with(py, |s| s.pidfd.take()) {
            this.loop_.get().unwatch(py, pidfd.as_raw_fd(), Direction::Read)?;
        }
        // From here on Popen must not signal the number either, nor wait for it.
        SubprocessTransport::note_in_child(slf, returncode)?;
        SubprocessTransport::schedule(slf, ProcessStep::Exited(returncode))
    }

    /// What Popen knows, if it was Popen who waited; else nobody can tell any more.
    fn status_taken_by_others(&self, py: Python<'_>) -> PyResult<i32> {
        if let Some(child) = self.child(py) {
            if let Some(known) = child.getattr(intern!(py, "returncode"))?.extract::<Option<i32>>()? {
                return Ok(known);
            }
        }
        let text = "child process pid %d exit status already read:  will report returncode 255";
        let pid = self.state.with(py, |s| s.pid);
        standard(py).logger.bind(py).call_method1("warning", (text, pid))?;
        Ok(UNKNOWN)
    }

    fn note_in_child(slf: &Bound<'_, Self>, returncode: i32) -> PyResult<()> {
        let py = slf.py();
        let name = intern!(py, "returncode");
        match slf.get().child(py) {
            Some(child) if child.getattr(name)?.is_none() => child.setattr(name, returncode),
            _ => Ok(()),
        }
    }

    /// asyncio's `_process_exited`: from the pidfd, or from a watcher.
    pub(super) fn exited(slf: &Bound<'_, Self>, returncode: i32) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if let Some(known) = this.returncode(py) {
            return Err(PyAssertionError::new_err(known));
        }
        if this.loop_.get().debug(py) {
            let args = ("%r exited with return code %r", slf, returncode);
            standard(py).logger.bind(py).call_method1("info", args)?;
        }
        this.state.with(py, |s| s.returncode = Some(returncode));
        SubprocessTransport::note_in_child(slf, returncode)?;
        SubprocessTransport::tell_soon(slf, ProcessStep::TellExited)?;
        SubprocessTransport::finish_if_done(slf)
    }

    pub(super) fn pipe_data(slf: &Bound<'_, Self>, fd: i32, data: Py<PyAny>) -> PyResult<()> {
        SubprocessTransport::tell_soon(slf, ProcessStep::PipeData(fd, data))
    }

    pub(super) fn pipe_lost(slf: &Bound<'_, Self>, fd: i32, error: Option<Py<PyAny>>) -> PyResult<()> {
        SubprocessTransport::tell_soon(slf, ProcessStep::PipeLost(fd, error))?;
        SubprocessTransport::finish_if_done(slf)
    }

    /// Once nothing more can come, `connection_lost` does.
    pub(super) fn finish_if_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let apart = this.connected_pipes(py).iter().all(|pipe| pipe.get().is_disconnected(py));
        let done = this.state.with(py, |s| {
            let expected = s.streams.iter().any(|stream| matches!(stream, Stream::Expected));
            let done = s.returncode.is_some() && apart && !expected && !s.finished;
            s.finished |= done;
            done
        });
        match done {
            true => SubprocessTransport::tell_soon(slf, ProcessStep::Lost),
            false => Ok(()),
        }
    }

    /// `connection_lost(None)`; whatever that does, those who wait for the end hear of it.
    pub(super) fn lost(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let args = PyTuple::new(py, [py.None()])?;
        let told = SubprocessTransport::tell(slf, "connection_lost", args);
        let (waiters, released, returncode) = this.state.with(py, |s| {
            (std::mem::take(&mut s.exit_waiters), (s.protocol.take(), s.child.take()), s.returncode)
        });
        drop(released);
        let returncode = returncode.into_pyobject(py)?.unbind();
        for waiter in &waiters {
            Future::settle(waiter.bind(py), Outcome::Result(returncode.clone_ref(py)))?;
        }
        match told {
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            told => told,
        }
    }
}
