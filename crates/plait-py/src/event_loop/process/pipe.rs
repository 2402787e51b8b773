//! The protocol of one of the child's pipes: tells the child's transport what happens there.

use super::SubprocessTransport;
use crate::guarded::Guarded;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

#[derive(Default)]
struct PipeState {
    process: Option<Py<SubprocessTransport>>,
    /// The pipe's transport.
    pipe: Option<Py<PyAny>>,
    disconnected: bool,
}

#[pyclass(module = "plait._native", frozen, weakref)]
pub struct ChildPipe {
    fd: i32,
    state: Guarded<PipeState>,
}

impl ChildPipe {
    pub fn process(&self, py: Python<'_>) -> Option<Py<SubprocessTransport>> {
        self.state.with(py, |s| s.process.as_ref().map(|p| p.clone_ref(py)))
    }

    pub fn transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.pipe.as_ref().map(|p| p.clone_ref(py)))
    }

    pub fn is_disconnected(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.disconnected)
    }

    /// What flow control says goes to the child's protocol.
    fn tell_protocol(&self, py: Python<'_>, method: &str) -> PyResult<()> {
        let protocol = self.process(py).and_then(|process| process.get().protocol(py));
        protocol.map_or(Ok(()), |protocol| protocol.bind(py).call_method0(method).map(drop))
    }
}

#[pymethods]
impl ChildPipe {
    #[new]
    pub fn new(proc: Py<SubprocessTransport>, fd: i32) -> ChildPipe {
        let state = PipeState { process: Some(proc), ..PipeState::default() };
        ChildPipe { fd, state: Guarded::new(state) }
    }

    fn connection_made(&self, py: Python<'_>, transport: Py<PyAny>) {
        drop(self.state.with(py, |s| s.pipe.replace(transport)));
    }

    fn data_received(&self, data: Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        match self.process(py) {
            Some(process) => SubprocessTransport::pipe_data(process.bind(py), self.fd, data.unbind()),
            None => Ok(()),
        }
    }

    fn eof_received(&self) {}

    #[pyo3(signature = (exc))]
    fn connection_lost(&self, py: Python<'_>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        let process = self.state.with(py, |s| {
            s.disconnected = true;
            s.process.take()
        });
        match process {
            Some(process) => SubprocessTransport::pipe_lost(process.bind(py), self.fd, exc),
            None => Ok(()),
        }
    }

    fn pause_writing(&self, py: Python<'_>) -> PyResult<()> {
        self.tell_protocol(py, "pause_writing")
    }

    fn resume_writing(&self, py: Python<'_>) -> PyResult<()> {
        self.tell_protocol(py, "resume_writing")
    }

    #[getter]
    fn fd(&self) -> i32 {
        self.fd
    }

    #[getter]
    fn proc(&self, py: Python<'_>) -> Option<Py<SubprocessTransport>> {
        self.process(py)
    }

    #[getter]
    fn pipe(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.transport(py)
    }

    #[getter]
    fn disconnected(&self, py: Python<'_>) -> bool {
        self.is_disconnected(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let pipe = match self.transport(py) {
            Some(pipe) => pipe.bind(py).repr()?.to_string(),
            None => String::from("None"),
        };
        let name = if self.fd == 0 { "WriteSubprocessPipeProto" } else { "ReadSubprocessPipeProto" };
        Ok(format!("<{name} fd={} pipe={pipe}>", self.fd))
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let name = if slf.get().fd == 0 { "WriteSubprocessPipeProto" } else { "ReadSubprocessPipeProto" };
        slf.py().import(intern!(slf.py(), "asyncio.base_subprocess"))?.getattr(name)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.state.traverse();
        visit.call(&state.process)?;
        visit.call(&state.pipe)
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, |s| (s.process.take(), s.pipe.take()))));
    }
}
