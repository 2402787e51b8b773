//! Endings, and errors: which of them end the transport, and what is told to whom.

use super::super::descriptors::{Direction, Watcher};
use super::super::ready::{Ready, TransportStep};
use super::super::transport::report;
use super::DatagramTransport;
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::PyOSError;
use pyo3::ffi::destructor;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::OnceLock;

impl DatagramTransport {
    pub(super) fn close_gracefully(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, empty, dropped) = this.state.with(py, |s| {
            let first = !std::mem::replace(&mut s.closing, true);
            let empty = s.waiting.is_empty();
            if first && empty {
                s.lost += 1;
            }
            // They would never have been read.
            (first, empty, std::mem::take(&mut s.arrived))
        });
        drop(dropped);
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        if !empty {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        DatagramTransport::schedule_lost(slf, None)
    }

    pub(super) fn force_close(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let dropped = this.state.with(py, |s| {
            if s.lost > 0 {
                return None;
            }
            s.lost += 1;
            s.closing = true;
            Some((s.waiting.take_all(), std::mem::take(&mut s.arrived)))
        });
        if dropped.is_none() {
            return Ok(());
        }
        drop(dropped);
        this.stop(py, Direction::Read)?;
        this.stop(py, Direction::Write)?;
        DatagramTransport::schedule_lost(slf, error)
    }

    fn schedule_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let step = Ready::Datagrams(slf.clone().unbind(), TransportStep::Lost(error));
        slf.get().loop_.get().push_ready(slf.py(), step)
    }

    /// `connection_lost(error)`; whatever that does, the socket is closed.
    pub(super) fn connection_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let argument = error.unwrap_or_else(|| py.None()).into_bound(py);
        let told = DatagramTransport::tell_once(slf, intern!(py, "connection_lost"), &argument);
        told.and(DatagramTransport::release(slf))
    }

    /// Closes the socket and lets go of the protocol.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.loop_.get().unwatch_own(py, this.fd, &Watcher::Datagrams(slf.clone().unbind()))?;
        let (sock, left) = slf.get().state.with(py, |s| {
            let left = (s.protocol.take(), s.waiting.take_all(), std::mem::take(&mut s.arrived));
            (s.sock.take(), (left, std::mem::take(&mut s.peers)))
        });
        drop(left);
        match sock {
            Some(sock) => sock.bind(py).call_method0(intern!(py, "close")).map(drop),
            None => Ok(()),
        }
    }

    /// An error of the socket's is the protocol's concern. What that raises goes to whoever called.
    pub(super) fn error_received(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        match slf.get().get_protocol(py) {
            Some(protocol) => {
                let told =
                    protocol.bind(py).call_method1(intern!(py, "error_received"), (error.into_value(py),));
                told.map(drop)
            }
            None => Ok(()),
        }
    }

    pub(super) fn error_received_in_context(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        slf.get().in_context(slf.py(), || DatagramTransport::error_received(slf, error))
    }

    pub(super) fn fatal_error(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let py = slf.py();
        let kept = error.clone_ref(py).into_value(py).into_any();
        let loop_ = slf.get().event_loop(py);
        match error.is_instance_of::<PyOSError>(py) {
            true => report::log_error(loop_, message, error, slf)?,
            false => report::report(loop_, message, error, Some(slf), slf.get().get_protocol(py))?,
        }
        DatagramTransport::force_close(slf, Some(kept))
    }

    pub(super) fn log_debug(slf: &Bound<'_, Self>, text: &str) -> PyResult<()> {
        report::log(slf.get().event_loop(slf.py()), "debug", text, slf)
    }
}

static TRANSPORT_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for DatagramTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        if slf.get().state.with(py, |s| s.sock.is_none()) {
            return;
        }
        let warn = standard(py).warn_unclosed_transport.bind(py);
        if let Err(error) = warn.call1((slf,)).and_then(|_| DatagramTransport::release(slf)) {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &TRANSPORT_DEALLOC
    }
}
