//! The transport's Python methods.

use super::pipe::ChildPipe;
use super::{ProcessStep, Stream, SubprocessTransport};
use crate::event_loop::future::Future;
use crate::event_loop::EventLoop;
use crate::standard::standard;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

#[pymethods]
impl SubprocessTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py()).subprocess_transport.bind(slf.py()).clone().into_any()
    }

    /// The child's process id, also after its end.
    fn get_pid(&self, py: Python<'_>) -> Option<i32> {
        self.state.with(py, |s| s.pid)
    }

    /// None while it runs; its exit code, or the negative number of the signal that ended it.
    fn get_returncode(&self, py: Python<'_>) -> Option<i32> {
        self.returncode(py)
    }

    /// The transport of stdin (0), stdout (1) or stderr (2), if that is a pipe of ours.
    fn get_pipe_transport(&self, py: Python<'_>, fd: i32) -> Option<Py<PyAny>> {
        let pipe = self.state.with(py, |s| match s.streams.get(usize::try_from(fd).ok()?)? {
            Stream::Connected(pipe) => Some(pipe.clone_ref(py)),
            Stream::Elsewhere | Stream::Expected => None,
        })?;
        pipe.get().transport(py)
    }

    /// Send a signal; nothing happens if the child has exited. ProcessLookupError after `connection_lost`.
    fn send_signal(&self, signal: &Bound<'_, PyAny>) -> PyResult<()> {
        self.signal(signal)
    }

    /// Send SIGTERM.
    fn terminate(&self, py: Python<'_>) -> PyResult<()> {
        self.signal(SIGTERM.into_pyobject(py)?.as_any())
    }

    /// Send SIGKILL.
    fn kill(&self, py: Python<'_>) -> PyResult<()> {
        self.signal(SIGKILL.into_pyobject(py)?.as_any())
    }

    /// Close the pipes, and kill the child if it still runs. `connection_lost` follows.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        SubprocessTransport::close_all(slf)
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.closed)
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        let py = protocol.py();
        let protocol = protocol.unbind();
        drop(self.state.with(py, |s| s.protocol.replace(protocol)));
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py)
    }

    /// "subprocess": the `subprocess.Popen` object.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.extra.bind(name.py()).get_item(name)?.or(default))
    }

    // ---- for the coroutines of `plait._processes`

    /// A future that is done at the very end; None when that is past.
    fn _exit_waiter(slf: &Bound<'_, Self>) -> PyResult<Option<Py<Future>>> {
        let py = slf.py();
        let this = slf.get();
        if this.returncode(py).is_some() {
            return Ok(None);
        }
        let waiter = Py::new(py, Future::on_loop(py, this.event_loop(py))?)?;
        let kept = waiter.clone_ref(py);
        this.state.with(py, |s| s.exit_waiters.push(kept));
        Ok(Some(waiter))
    }

    /// That one no longer waits.
    fn _forget_exit_waiter(&self, waiter: &Bound<'_, Future>) {
        let forgotten = self.state.with(waiter.py(), |s| {
            let place = s.exit_waiters.iter().position(|kept| kept.is(waiter))?;
            Some(s.exit_waiters.swap_remove(place))
        });
        drop(forgotten);
    }

    fn _set_pipe(slf: &Bound<'_, Self>, fd: usize, pipe: Py<ChildPipe>) {
        SubprocessTransport::set_pipe(slf, fd, pipe);
    }

    #[pyo3(signature = (waiter))]
    fn _pipes_connected(slf: &Bound<'_, Self>, waiter: Option<Py<Future>>) -> PyResult<()> {
        SubprocessTransport::schedule(slf, ProcessStep::Connected(waiter))
    }

    #[pyo3(signature = (waiter, error))]
    fn _pipes_not_connected(
        slf: &Bound<'_, Self>,
        waiter: Option<Bound<'_, Future>>,
        error: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        SubprocessTransport::not_connected(slf, waiter, PyErr::from_value(error))
    }

    /// What a child watcher calls, by the loop.
    fn _process_exited(slf: &Bound<'_, Self>, returncode: i32) -> PyResult<()> {
        SubprocessTransport::exited(slf, returncode)
    }

    // ---- what packages read

    #[getter]
    fn _proc<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.child(py)
    }

    #[getter]
    fn _pid(&self, py: Python<'_>) -> Option<i32> {
        self.get_pid(py)
    }

    #[getter]
    fn _returncode(&self, py: Python<'_>) -> Option<i32> {
        self.returncode(py)
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.loop_.clone_ref(py)
    }

    #[getter]
    fn _closed(&self, py: Python<'_>) -> bool {
        self.is_closing(py)
    }

    #[getter]
    fn _finished(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.finished)
    }

    #[getter]
    fn _extra<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.extra.bind(py).clone()
    }

    /// `{0: protocol of stdin, …}`, None for those that are not connected yet. A copy.
    #[getter]
    fn _pipes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pipes = PyDict::new(py);
        for fd in 0..3 {
            let found = self.state.with(py, |s| match &s.streams[fd] {
                Stream::Connected(pipe) => Some(Some(pipe.clone_ref(py))),
                Stream::Expected => Some(None),
                Stream::Elsewhere => None,
            });
            if let Some(pipe) = found {
                pipes.set_item(fd, pipe)?;
            }
        }
        Ok(pipes)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (closed, pid, returncode) = self.state.with(py, |s| (s.closed, s.pid, s.returncode));
        let mut text = String::from("<SubprocessTransport");
        if closed {
            text.push_str(" closed");
        }
        if let Some(pid) = pid {
            text.push_str(&format!(" pid={pid}"));
        }
        match (returncode, pid) {
            (Some(returncode), _) => text.push_str(&format!(" returncode={returncode}")),
            (None, Some(_)) => text.push_str(" running"),
            (None, None) => text.push_str(" not started"),
        }
        for (fd, name) in ["stdin", "stdout", "stderr"].into_iter().enumerate() {
            if let Some(pipe) = self.get_pipe_transport(py, fd as i32) {
                text.push_str(&format!(" {name}={}", pipe.bind(py).repr()?));
            }
        }
        text.push('>');
        Ok(text)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => self.traverse_fields(&visit),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| self.clear_fields(py));
    }
}
