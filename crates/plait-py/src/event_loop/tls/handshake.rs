//! The handshake: begun when the connection is made, driven by what arrives, and given up after a time.

use super::host::host;
use super::{Phase, TlsProtocol, Told};
use crate::event_loop::run::now;
use crate::standard::standard;
use pyo3::exceptions::{PyConnectionAbortedError, PyException};
use pyo3::intern;
use pyo3::prelude::*;

impl TlsProtocol {
    pub(super) fn start_handshake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        TlsProtocol::log_debug(slf, "%r starts SSL handshake")?;
        let began = this.loop_.get().debug(py).then(now);
        this.state.with(py, |s| s.handshake_began = began);
        this.enter(py, Phase::Handshake)?;
        let check = slf.getattr(intern!(py, "_check_handshake_timeout"))?;
        let timer = this
            .loop_
            .bind(py)
            .call_method1(intern!(py, "call_later"), (&this.handshake_timeout, check))?
            .unbind();
        drop(this.state.with(py, |s| s.handshake_timer.replace(timer)));
        TlsProtocol::do_handshake(slf)
    }

    pub(super) fn check_handshake_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.phase(py) != Phase::Handshake {
            return Ok(());
        }
        let seconds = this.handshake_timeout.bind(py);
        let text = format!("SSL handshake is taking longer than {seconds} seconds: aborting the connection");
        let error = PyConnectionAbortedError::new_err(text);
        TlsProtocol::fatal_error(slf, error, "Fatal error on transport")
    }

    pub(super) fn do_handshake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().session.do_handshake(py) {
            Ok(Some(())) => TlsProtocol::handshake_succeeded(slf),
            Ok(None) => TlsProtocol::process_outgoing(slf),
            Err(error) if error.is_instance(py, host(py)?.ssl_error.bind(py)) => {
                TlsProtocol::handshake_failed(slf, error)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn cancel_handshake_timer(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.handshake_timer.take()) {
            Some(timer) => timer.bind(py).call_method0(intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    fn handshake_succeeded(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.cancel_handshake_timer(py)?;
        let object = this.session.object.bind(py);
        let entered = this.enter(py, Phase::Wrapped);
        let certificate = match entered.and_then(|()| object.call_method0("getpeercert")) {
            Ok(certificate) => certificate,
            Err(error) => return TlsProtocol::end_handshake(slf, error),
        };
        let began = this.state.with(py, |s| s.handshake_began);
        if let (true, Some(began)) = (this.loop_.get().debug(py), began) {
            let arguments = ("%r: SSL handshake took %.1f ms", slf, (now() - began) * 1e3);
            standard(py).logger.bind(py).call_method1("debug", arguments)?;
        }
        if let Some(extra) = this.extra(py) {
            extra.set_item("peercert", certificate)?;
            extra.set_item("cipher", object.call_method0("cipher")?)?;
            extra.set_item("compression", object.call_method0("compression")?)?;
            extra.set_item("ssl_object", object)?;
        }
        let first = this.state.with(py, |s| {
            let first = s.told == Told::Nothing;
            if first {
                s.told = Told::Made;
            }
            first
        });
        if let (true, Some(protocol)) = (first, this.above(py)) {
            let transport = TlsProtocol::app_transport(slf)?;
            protocol.call_method1(intern!(py, "connection_made"), (transport,))?;
        }
        TlsProtocol::wake_waiter(slf, None)?;
        TlsProtocol::do_read(slf)
    }

    pub(super) fn handshake_failed(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        slf.get().cancel_handshake_timer(slf.py())?;
        TlsProtocol::end_handshake(slf, error)
    }

    fn end_handshake(slf: &Bound<'_, Self>, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        if !error.is_instance_of::<PyException>(py) {
            return Err(error);
        }
        slf.get().enter(py, Phase::Unwrapped)?;
        let message = match error.is_instance(py, host(py)?.certificate_error.bind(py)) {
            true => "SSL handshake failed on verifying the certificate",
            false => "SSL handshake failed",
        };
        let kept = error.clone_ref(py).into_value(py).into_bound(py).into_any();
        TlsProtocol::fatal_error(slf, error, message)?;
        TlsProtocol::wake_waiter(slf, Some(&kept))
    }
}
