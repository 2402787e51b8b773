//! The transport's Python methods.

use super::{Socket, SocketTransport, Takes};
use crate::event_loop::future::Future;
use crate::event_loop::transport::{SelectorTransport, Transport, Writing};
use crate::event_loop::EventLoop;
use crate::standard::standard;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::RawFd;

#[pymethods]
impl SocketTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py()).transport.bind(slf.py()).clone().into_any()
    }

    /// Write every item of an iterable, gathered into as few system calls as can be.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        SocketTransport::write_lines(slf, list_of_data)
    }

    /// Close the writing side once the buffer is empty.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::end_writing(slf)
    }

    fn can_write_eof(&self) -> bool {
        true
    }

    /// Close: no more reading; what is buffered is still sent, then `connection_lost(None)` is called.
    pub(super) fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::close_gracefully(slf)
    }

    /// Close at once; what is buffered is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::force_close(slf, None)
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.closing(py)
    }

    fn is_reading(&self, py: Python<'_>) -> bool {
        self.reads(py)
    }

    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::pause(slf)
    }

    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        SocketTransport::resume(slf)
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        let py = protocol.py();
        let takes = Takes::of(&protocol)?;
        let protocol = protocol.unbind();
        let replaced = self.state.with(py, |s| {
            s.takes = takes;
            s.protocol.replace(protocol)
        });
        drop(replaced);
        Ok(())
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py)
    }

    /// "socket", "peername", "sockname", and what the maker of the transport added.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(SocketTransport::lookup_extra(slf, name)?.or(default))
    }

    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.buffer.len())
    }

    /// `(low, high)` in bytes.
    fn get_write_buffer_limits(&self, py: Python<'_>) -> (usize, usize) {
        self.limits(py)
    }

    /// Pause the protocol's writing above `high` bytes, resume it at `low` or below.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        SocketTransport::set_limits(slf, high, low)
    }

    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        SocketTransport::force_close(slf, exc)
    }

    fn _make_empty_waiter(slf: &Bound<'_, Self>) -> PyResult<Py<Future>> {
        SocketTransport::make_empty_waiter(slf)
    }

    fn _reset_empty_waiter(&self, py: Python<'_>) {
        drop(self.state.with(py, |s| s.empty_waiter.take()));
    }

    #[getter]
    fn _sock<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.socket_object(py)
    }

    #[getter]
    fn _sock_fd(&self) -> RawFd {
        self.base.fd
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.base.loop_.clone_ref(py)
    }

    #[getter]
    fn _server(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.server.as_ref().map(|server| server.clone_ref(py)))
    }

    #[getter]
    fn _extra<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        for name in ["socket", "sockname", "peername"] {
            SocketTransport::lookup_extra(slf, name)?;
        }
        Ok(slf.get().extra_dict(slf.py()))
    }

    #[getter]
    fn _closing(&self, py: Python<'_>) -> bool {
        self.closing(py)
    }

    #[getter]
    fn _paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.course.paused)
    }

    #[getter]
    fn _protocol_paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.flow.is_paused())
    }

    #[getter]
    fn _eof(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.eof)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |s| s.course.lost)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let closed = self.state.with(py, |s| matches!(s.socket, Socket::Closed));
        self.describe(py, "SocketTransport", closed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        self.base.traverse(&visit)?;
        let state = self.state.traverse();
        if let Socket::Object(object) = &state.socket {
            visit.call(object)?;
        }
        visit.call(&state.protocol)?;
        visit.call(&state.server)?;
        visit.call(&state.extra)?;
        visit.call(&state.empty_waiter)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self
                .state
                .with(py, |s| (s.protocol.take(), s.server.take(), s.extra.take(), s.empty_waiter.take()));
            drop(cleared);
        });
    }
}
