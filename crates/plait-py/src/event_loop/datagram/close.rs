//! Endings, and errors: which of them end the transport, and what is told to whom.

use super::super::transport::Transport;
use super::DatagramTransport;
use crate::ffi;
use crate::standard::standard;
use pyo3::ffi::destructor;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::OnceLock;

impl DatagramTransport {
    /// Closes the socket and lets go of the protocol.
    pub(super) fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.unwatch_closing(py)?;
        let (sock, left) = slf.get().state.with(py, |s| {
            let left = (s.protocol.take(), std::mem::take(&mut s.waiting), std::mem::take(&mut s.arrived));
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
        match slf.get().protocol(py) {
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
