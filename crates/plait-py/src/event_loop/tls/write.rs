//! Writing: what the application writes is encrypted at once, and all that came of it given to the transport below in one call.

use super::host::warn_closed;
use super::{Phase, TlsProtocol};
use crate::event_loop::sock::contiguous;
use crate::event_loop::socket_transport::SocketTransport;
use crate::event_loop::transport::QUIET_LOST_WRITES;
use crate::ffi;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};

impl TlsProtocol {
    /// Whether the connection takes no more; then the write counts as lost.
    fn refuses(&self, py: Python<'_>) -> PyResult<bool> {
        let lost = self.state.with(py, |s| {
            let lost = s.phase.is_over().then_some(s.lost);
            if lost.is_some() {
                s.lost += 1;
            }
            lost
        });
        if lost.is_some_and(|lost| lost >= QUIET_LOST_WRITES) {
            warn_closed(py)?;
        }
        Ok(lost.is_some())
    }

    /// Writes one bytes-like object.
    #[inline]
    pub fn write_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().refuses(py)? {
            return Ok(());
        }
        let written = slf.get().append(data).and_then(|()| TlsProtocol::write_what_waits(slf));
        TlsProtocol::fatal_unless_ok(slf, written)
    }

    /// Writes every item of an iterable.
    pub fn write_lines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().refuses(py)? {
            return Ok(());
        }
        for data in list_of_data.try_iter()? {
            let data = data?;
            data.len()?; // asyncio raises what this does, and takes what comes later for the connection's trouble
            if let Err(error) = slf.get().append(&data) {
                return TlsProtocol::fatal_unless_ok(slf, Err(error));
            }
        }
        let written = TlsProtocol::write_what_waits(slf);
        TlsProtocol::fatal_unless_ok(slf, written)
    }

    fn write_what_waits(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().phase(slf.py()) {
            Phase::Wrapped => TlsProtocol::do_write(slf),
            _ => Ok(()),
        }
    }

    /// Puts data behind what waits already. What its owner may change is copied if it cannot go at once.
    pub fn append(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let (kept, length) = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => (data.clone(), bytes.as_bytes().len()),
            Err(_) if self.phase(py) == Phase::Wrapped && self.state.with(py, |s| s.backlog.is_empty()) => {
                let view = contiguous(data)?;
                (data.clone(), view.len_bytes())
            }
            Err(_) => {
                let bytes = ffi::with_bytes(&contiguous(data)?, |bytes| PyBytes::new(py, bytes));
                let length = bytes.as_bytes().len();
                (bytes.into_any(), length)
            }
        };
        if length == 0 {
            return Ok(());
        }
        let kept = kept.unbind();
        self.state.with(py, |s| {
            s.backlog.push_back(kept);
            s.backlog_size += length;
        });
        Ok(())
    }

    /// Encrypts what waits, as far as the engine takes it, and sends what came of it.
    pub(super) fn do_write(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        while let Some(data) = this.state.with(py, |s| s.backlog.pop_front()) {
            if !this.encrypt(&data.into_bound(py))? {
                break;
            }
        }
        TlsProtocol::process_outgoing(slf)
    }

    /// Encrypts all of `data`, or puts the rest back. False: the engine needs more from the peer first.
    ///
    /// It takes a record's worth at a time, so what is longer goes as views of it: cutting the rest off would copy it each time.
    fn encrypt(&self, data: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = data.py();
        let exact = data.cast_exact::<PyBytes>();
        let length = match &exact {
            Ok(bytes) => bytes.as_bytes().len(),
            Err(_) => contiguous(data)?.len_bytes(),
        };
        let mut view = None;
        let mut done = 0;
        while done < length {
            let wrote = match done {
                0 => self.session.write(data),
                _ => {
                    let view = match &view {
                        Some(view) => view,
                        None => view.insert(bytes_view(data)?),
                    };
                    self.session.write(&rest_of(view, done)?)
                }
            };
            match wrote {
                Ok(Some(count)) => {
                    done += count;
                    self.state.with(py, |s| s.backlog_size = s.backlog_size.saturating_sub(count));
                }
                Ok(None) => {
                    self.put_back(data, done)?;
                    return Ok(false);
                }
                Err(error) => {
                    self.put_back(data, done)?;
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// What the engine did not take comes first again, as something that nobody changes.
    #[cold]
    fn put_back(&self, data: &Bound<'_, PyAny>, done: usize) -> PyResult<()> {
        let py = data.py();
        let rest = match (data.cast_exact::<PyBytes>(), done) {
            (Ok(_), 0) => data.clone(),
            _ => ffi::with_bytes(&contiguous(data)?, |bytes| PyBytes::new(py, &bytes[done..]).into_any()),
        };
        let rest = rest.unbind();
        self.state.with(py, |s| s.backlog.push_front(rest));
        Ok(())
    }

    /// After a read: writes what waits for the engine, or at least sends what it has to say by itself.
    #[inline]
    pub(super) fn send_what_waits(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().state.with(slf.py(), |s| s.backlog.is_empty()) {
            true => TlsProtocol::process_outgoing(slf),
            false => TlsProtocol::do_write(slf),
        }
    }

    /// Gives the transport below what waits for it, unless that has too much already.
    #[inline]
    pub(super) fn process_outgoing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let unsent = match this.state.with(py, |s| s.sending_paused) {
            true => this.session.unsent(py)?,
            false => {
                let data = this.session.drain(py)?;
                if !data.as_bytes().is_empty() {
                    this.send_below(data.as_any())?;
                }
                0
            }
        };
        TlsProtocol::control_writing(slf, unsent)
    }

    #[inline]
    fn send_below(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let Some(below) = self.below(py) else { return Ok(()) };
        match below.cast_exact::<SocketTransport>() {
            Ok(native) if !ffi::has_instance_dict(&below) => SocketTransport::write_data(native, data),
            _ => below.call_method1(intern!(py, "write"), (data,)).map(drop),
        }
    }

    /// The transport below has room again.
    pub(super) fn resume_sending(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state.with(slf.py(), |s| s.sending_paused = false);
        TlsProtocol::process_outgoing(slf)?;
        TlsProtocol::go_on_ending(slf)
    }

    /// Forgets what waits.
    pub(super) fn drop_writes(&self, py: Python<'_>) -> PyResult<()> {
        let dropped = self.state.with(py, |s| {
            s.backlog_size = 0;
            std::mem::take(&mut s.backlog)
        });
        drop(dropped);
        self.session.drain(py).map(drop)
    }
}

fn bytes_view<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let view = PyMemoryView::from(data)?.into_any();
    match view.getattr("itemsize")?.extract::<usize>()? == 1 && view.getattr("ndim")?.extract::<usize>()? == 1
    {
        true => Ok(view),
        false => view.call_method1("cast", ("B",)),
    }
}

fn rest_of<'py>(view: &Bound<'py, PyAny>, done: usize) -> PyResult<Bound<'py, PyAny>> {
    view.get_item(PySlice::new(view.py(), done as isize, isize::MAX, 1))
}

/// What `except Exception` catches.
pub(super) fn is_exception(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyException>(py)
}
