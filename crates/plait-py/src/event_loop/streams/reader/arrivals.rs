//! The transport's side of a StreamReader: what arrives, the end, and when the transport is paused and resumed.

use super::StreamReader;
use crate::event_loop::streams::wake;
use pyo3::exceptions::PyNotImplementedError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

impl StreamReader {
    /// Whether a transport may `store` what it receives, instead of calling `feed_data`.
    #[inline]
    pub fn stores(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.open.is_none() && !s.stream.has_ended())
    }

    /// What a transport has read from its socket, for a reader that `stores`. Runs no Python; `arrived` is to follow.
    #[inline]
    pub fn store(&self, py: Python<'_>, data: &[u8]) {
        let displaced = self.state.with(py, |s| match s.stream.buffer().is_empty() {
            true => s.stream.fill(PyBackedBytes::from(PyBytes::new(py, data))).err(),
            false => s.stream.extend(data),
        });
        drop(displaced);
    }

    /// The same for what came as an object, and for any reader: it is kept as it is if nothing else waits.
    pub fn keep(&self, bytes: Bound<'_, PyBytes>) -> PyResult<()> {
        let py = bytes.py();
        let chunk = PyBackedBytes::from(bytes);
        let displaced = self.with_stream(py, |stream| match stream.fill(chunk) {
            Ok(()) => [None, None],
            Err(chunk) => [stream.extend(&chunk), Some(chunk)],
        })?;
        drop(displaced);
        Ok(())
    }

    /// Bytes were added: wakes who waits, and pauses the transport when there are too many.
    #[inline]
    pub fn arrived(&self, py: Python<'_>) -> PyResult<()> {
        self.wake_waiter(py)?;
        let can_pause = self.state.with(py, |s| s.transport.is_some() && !s.paused);
        if can_pause && self.with_stream(py, |stream| stream.is_over_mark())? {
            return self.pause(py);
        }
        Ok(())
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py)));
        let Some(transport) = transport else { return Ok(()) };
        match transport.bind(py).call_method0(intern!(py, "pause_reading")) {
            Ok(_) => {
                self.state.with(py, |s| s.paused = true);
                Ok(())
            }
            // It cannot be paused: then everything is kept, and it is not asked again.
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                drop(self.state.with(py, |s| s.transport.take()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    #[inline]
    pub(super) fn wake_waiter(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.waiter.take()) {
            None => Ok(()),
            Some(waiter) => wake(waiter.bind(py)),
        }
    }

    pub fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.state.with(py, |s| s.stream.set_ended(true));
        self.wake_waiter(py)
    }

    #[inline]
    pub(super) fn maybe_resume(&self, py: Python<'_>) -> PyResult<()> {
        if self.state.with(py, |s| s.paused) && self.with_stream(py, |stream| stream.is_under_mark())? {
            return self.resume(py);
        }
        Ok(())
    }

    pub(super) fn resume(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.state.with(py, |s| {
            s.paused = false;
            s.transport.as_ref().map(|t| t.clone_ref(py))
        });
        let transport = transport.unwrap_or_else(|| py.None());
        transport.bind(py).call_method0(intern!(py, "resume_reading")).map(drop)
    }
}
