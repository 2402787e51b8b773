//! The transport's Python methods.

use super::DatagramTransport;
use crate::event_loop::transport::{SelectorTransport, Transport, Writing};
use crate::event_loop::EventLoop;
use crate::standard::standard;
use plait_core::net::datagram::LARGEST_READ_AT_ONCE;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::RawFd;

#[pymethods]
impl DatagramTransport {
    /// The most bytes of one datagram that are read.
    #[classattr]
    fn max_size() -> usize {
        LARGEST_READ_AT_ONCE
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py()).datagram_transport.bind(slf.py()).clone().into_any()
    }

    /// Close: no more is delivered; what waits is still sent, then `connection_lost(None)` is called.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::close_gracefully(slf)
    }

    /// Close at once; what waits is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::force_close(slf, None)
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.closing(py)
    }

    fn is_reading(&self, py: Python<'_>) -> bool {
        self.reads(py)
    }

    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::pause(slf)
    }

    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        DatagramTransport::resume(slf)
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        let py = protocol.py();
        let protocol = protocol.unbind();
        let replaced = self.state.with(py, |s| s.protocol.replace(protocol));
        drop(replaced);
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.protocol(py)
    }

    /// "socket", "peername", "sockname", and what the maker of the transport added.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        name: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self._extra(name.py()) {
            Some(extra) => Ok(extra.bind(name.py()).get_item(name)?.or(default)),
            None => Ok(default),
        }
    }

    /// How many bytes wait to be sent, with a header's worth for each datagram from Python 3.13 on.
    fn get_write_buffer_size(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.waiting.bytes())
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
        DatagramTransport::set_limits(slf, high, low)
    }

    fn _force_close(slf: &Bound<'_, Self>, exc: Option<Py<PyAny>>) -> PyResult<()> {
        DatagramTransport::force_close(slf, exc)
    }

    #[getter]
    fn _sock<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.known_socket(py)
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
    fn _address(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.address.as_ref().map(|address| address.clone_ref(py))
    }

    /// A snapshot of what waits to be sent, `(data, addr)` each (asyncio: the deque itself).
    #[getter]
    fn _buffer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let waiting = self.waiting_pairs(py)?;
        py.import("collections")?.getattr("deque")?.call1((waiting,))
    }

    #[getter]
    fn _extra(&self, py: Python<'_>) -> Option<Py<PyDict>> {
        self.state.with(py, |s| s.extra.as_ref().map(|extra| extra.clone_ref(py)))
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
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |s| s.course.lost)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let closed = self.state.with(py, |s| s.sock.is_none());
        self.describe(py, "DatagramTransport", closed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        self.base.traverse(&visit)?;
        visit.call(&self.address)?;
        let state = self.state.traverse();
        visit.call(&state.sock)?;
        visit.call(&state.protocol)?;
        visit.call(&state.extra)?;
        for (data, sender) in &state.arrived {
            visit.call(data)?;
            visit.call(sender)?;
        }
        state.waiting.traverse(&visit)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |s| {
                let left = (std::mem::take(&mut s.waiting), std::mem::take(&mut s.arrived));
                (s.protocol.take(), s.extra.take(), left)
            });
            drop(cleared);
        });
    }
}
