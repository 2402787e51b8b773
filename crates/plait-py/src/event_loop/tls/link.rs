//! What the transport below tells: the connection, its loss, its end of file.

use super::{Phase, TlsProtocol, Told};
use pyo3::exceptions::PyConnectionResetError;
use pyo3::intern;
use pyo3::prelude::*;

impl TlsProtocol {
    pub(super) fn made(slf: &Bound<'_, Self>, transport: Py<PyAny>) -> PyResult<()> {
        drop(slf.get().state.with(slf.py(), |s| s.transport.replace(transport)));
        TlsProtocol::start_handshake(slf)
    }

    pub(super) fn link_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        // The first trouble is the cause, whatever came of it.
        let ended_by = this.state.with(py, |s| s.ended_by.take());
        let ended_by = ended_by.map(|error| error.into_bound(py));
        let error = ended_by.as_ref().unwrap_or(error);
        this.drop_writes(py)?;
        this.mark_app_transport_closed(py);
        let tell = this.state.with(py, |s| {
            s.lost += 1;
            let tell = s.phase != Phase::Handshake && matches!(s.told, Told::Made | Told::Eof);
            if tell {
                s.told = Told::Lost;
            }
            tell
        });
        if let (true, Some(protocol)) = (tell, this.above(py)) {
            let callback = protocol.getattr(intern!(py, "connection_lost"))?;
            this.loop_.bind(py).call_method1(intern!(py, "call_soon"), (callback, error))?;
        }
        this.enter(py, Phase::Unwrapped)?;
        let released =
            this.state.with(py, |s| (s.transport.take(), s.app_transport.take(), s.protocol.take()));
        drop(released);
        TlsProtocol::wake_waiter(slf, Some(error).filter(|error| !error.is_none()))?;
        this.cancel_shutdown_timer(py)?;
        this.cancel_handshake_timer(py)
    }

    /// True: the transport below stays open.
    pub(super) fn link_ended(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        slf.get().state.with(py, |s| s.eof_received = true);
        let ended = TlsProtocol::end_by_phase(slf);
        match ended {
            Err(error) if super::write::is_exception(py, &error) => {
                if let Some(below) = slf.get().below(py) {
                    below.call_method0(intern!(py, "close"))?;
                }
                Err(error)
            }
            ended => ended,
        }
    }

    fn end_by_phase(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        TlsProtocol::log_debug(slf, "%r received EOF")?;
        match this.phase(py) {
            Phase::Handshake => {
                TlsProtocol::handshake_failed(slf, PyConnectionResetError::new_err(()))?;
            }
            Phase::Wrapped => {
                this.enter(py, Phase::Flushing)?;
                if this.state.with(py, |s| s.reading_paused) {
                    return Ok(true); // what has arrived is still to be read
                }
                TlsProtocol::do_flush(slf)?;
            }
            Phase::Flushing => {
                TlsProtocol::do_write(slf)?;
                if this.phase(py) == Phase::Flushing {
                    this.enter(py, Phase::Shutdown)?;
                    TlsProtocol::do_shutdown(slf)?;
                }
            }
            Phase::Shutdown => TlsProtocol::do_shutdown(slf)?,
            Phase::Unwrapped => (),
        }
        // What has arrived is still to be read, or what was written still to be sent.
        Ok(this.state.with(py, |s| s.phase == Phase::Flushing || s.ends_when_sent))
    }
}
