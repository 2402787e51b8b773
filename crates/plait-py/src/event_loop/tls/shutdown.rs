//! The end: in good order (flush, close_notify, wait for the peer's, close), by a time-out, or at once.

use super::host::host;
use super::{Phase, TlsProtocol};
use pyo3::exceptions::PyTimeoutError;
use pyo3::intern;
use pyo3::prelude::*;

impl TlsProtocol {
    pub fn start_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        match this.phase(py) {
            Phase::Shutdown | Phase::Unwrapped => Ok(()),
            Phase::Handshake => {
                this.mark_app_transport_closed(py);
                TlsProtocol::abort_with(slf, None)
            }
            // Since the peer's end of file; nobody may ever read again what it is flushed for.
            Phase::Flushing => TlsProtocol::limit_shutdown(slf),
            Phase::Wrapped => {
                this.mark_app_transport_closed(py);
                this.enter(py, Phase::Flushing)?;
                TlsProtocol::limit_shutdown(slf)?;
                TlsProtocol::do_flush(slf)
            }
        }
    }

    /// From now on the end may take as long as `ssl_shutdown_timeout`.
    fn limit_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.state.with(py, |s| s.shutdown_timer.is_some()) {
            return Ok(());
        }
        let check = slf.getattr(intern!(py, "_check_shutdown_timeout"))?;
        let timer = this
            .loop_
            .bind(py)
            .call_method1(intern!(py, "call_later"), (&this.shutdown_timeout, check))?
            .unbind();
        drop(this.state.with(py, |s| s.shutdown_timer.replace(timer)));
        Ok(())
    }

    pub(super) fn check_shutdown_timeout(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !matches!(this.phase(py), Phase::Flushing | Phase::Shutdown) {
            return Ok(());
        }
        let Some(below) = this.below(py) else { return Ok(()) };
        let error = PyTimeoutError::new_err("SSL shutdown timed out").into_value(py);
        below.call_method1(intern!(py, "_force_close"), (error,)).map(drop)
    }

    /// The last bytes in both directions, then close_notify.
    pub(super) fn do_flush(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        loop {
            TlsProtocol::do_read(slf)?;
            let (phase, paused, more) = slf
                .get()
                .state
                .with(py, |s| (s.phase, s.reading_paused, s.eof_received && s.filled_its_buffer));
            if phase != Phase::Flushing {
                return Ok(()); // the protocol has aborted meanwhile
            }
            match (more, paused) {
                (true, true) => return Ok(()), // until it reads again
                (true, false) => (),
                (false, _) => break,
            }
        }
        slf.get().enter(py, Phase::Shutdown)?;
        TlsProtocol::do_shutdown(slf)
    }

    pub(super) fn do_shutdown(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.state.with(py, |s| s.ended_by.is_some()) {
            return Ok(()); // only what was written is still to be sent
        }
        let answer = match this.state.with(py, |s| s.eof_received) {
            true => Ok(Some(())), // nobody is there to hear it
            false => this.session.unwrap(py),
        };
        match answer {
            Ok(None) => TlsProtocol::process_outgoing(slf),
            Ok(Some(())) => {
                TlsProtocol::process_outgoing(slf)?;
                TlsProtocol::call_eof_received(slf)?;
                TlsProtocol::shutdown_complete(slf, None)
            }
            // The peer goes on sending what nobody will read: no reason to lose what is on its way to it.
            Err(error) if is_unread_data(py, &error)? && this.has_unsent(py)? => {
                let error = error.into_value(py).into_any();
                drop(this.state.with(py, |s| s.ended_by.replace(error)));
                TlsProtocol::process_outgoing(slf)?;
                TlsProtocol::shutdown_complete(slf, None)
            }
            Err(error) if error.is_instance(py, host(py)?.ssl_error.bind(py)) => {
                TlsProtocol::shutdown_complete(slf, Some(error))
            }
            Err(error) => Err(error),
        }
    }

    fn has_unsent(&self, py: Python<'_>) -> PyResult<bool> {
        if self.write_buffer_size(py)? > 0 {
            return Ok(true);
        }
        let Some(below) = self.below(py) else { return Ok(false) };
        below.call_method0(intern!(py, "get_write_buffer_size"))?.is_truthy()
    }

    fn shutdown_complete(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if error.is_none() && this.session.unsent(py)? > 0 && this.below(py).is_some() {
            // The transport below is full. It would be closed without what was written before the end: until that is sent.
            this.state.with(py, |s| s.ends_when_sent = true);
            return TlsProtocol::limit_shutdown(slf);
        }
        this.cancel_shutdown_timer(py)?;
        if let Some(error) = error {
            return TlsProtocol::fatal_error(slf, error, "Fatal error on transport");
        }
        let Some(below) = this.below(py) else { return Ok(()) };
        let close = below.getattr(intern!(py, "close"))?;
        this.loop_.bind(py).call_method1(intern!(py, "call_soon"), (close,)).map(drop)
    }

    /// The transport below has taken something: perhaps it was the last that the end waits for.
    pub(super) fn go_on_ending(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let waits = this.state.with(py, |s| s.ends_when_sent && s.phase == Phase::Shutdown);
        if !waits || this.session.unsent(py)? > 0 {
            return Ok(());
        }
        this.state.with(py, |s| s.ends_when_sent = false);
        TlsProtocol::shutdown_complete(slf, None)
    }

    /// Nothing is left to wait for but the closing of the transport below.
    pub fn has_ended(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| match s.phase {
            Phase::Unwrapped => s.lost > 0,
            Phase::Shutdown => s.shutdown_timer.is_none(),
            Phase::Handshake | Phase::Wrapped | Phase::Flushing => false,
        })
    }

    pub(super) fn cancel_shutdown_timer(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.shutdown_timer.take()) {
            Some(timer) => timer.bind(py).call_method0(intern!(py, "cancel")).map(drop),
            None => Ok(()),
        }
    }

    /// At once; what waits is lost.
    pub fn abort_with(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        slf.get().enter(py, Phase::Unwrapped)?;
        match slf.get().below(py) {
            Some(below) => below.call_method1(intern!(py, "_force_close"), (error,)).map(drop),
            None => Ok(()),
        }
    }
}

/// What the engine says when application data comes where it waits for close_notify.
fn is_unread_data(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    if !error.is_instance(py, host(py)?.ssl_error.bind(py)) {
        return Ok(false);
    }
    let reason = error.value(py).getattr(intern!(py, "reason"))?;
    Ok(reason.extract::<&str>().is_ok_and(|reason| reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"))
}
