//! Reading: what the engine can decrypt goes to the application's protocol, all that is there in one call.

use super::session::LARGEST_RECORD;
use super::{Phase, TlsProtocol, Told};
use crate::errors::leaves_the_loop;
use crate::event_loop::socket_transport::Takes;
use crate::event_loop::streams::protocol::StreamReaderProtocol;
use crate::ffi;
use crate::standard::standard;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};
use std::mem::MaybeUninit;

/// Why there is no more to read.
enum End {
    /// Until more arrives.
    ForNow,
    /// The peer has sent close_notify.
    Closed,
    Failed(PyErr),
}

/// What was decrypted in one go: mostly one record.
#[derive(Default)]
struct Received<'py> {
    first: Option<Bound<'py, PyBytes>>,
    rest: Vec<Bound<'py, PyBytes>>,
}

impl<'py> Received<'py> {
    fn push(&mut self, chunk: Bound<'py, PyBytes>) {
        match &self.first {
            None => self.first = Some(chunk),
            Some(_) => self.rest.push(chunk),
        }
    }

    /// As one object; None if nothing was received.
    fn joined(self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(first) = self.first else { return Ok(None) };
        if self.rest.is_empty() {
            return Ok(Some(first));
        }
        let length = first.as_bytes().len() + self.rest.iter().map(|c| c.as_bytes().len()).sum::<usize>();
        let joined = ffi::bytes_filled_by(py, length, |memory| {
            let mut filled = 0;
            for chunk in std::iter::once(&first).chain(&self.rest) {
                let bytes = chunk.as_bytes();
                let place = &mut memory[filled..filled + bytes.len()];
                for (to, from) in place.iter_mut().zip(bytes) {
                    *to = MaybeUninit::new(*from);
                }
                filled += bytes.len();
            }
            Ok(filled)
        });
        Ok(joined?)
    }
}

impl TlsProtocol {
    /// What the transport below has received.
    #[inline]
    pub fn received(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>, count: usize) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.session.feed(data)?;
        let phase = this.state.with(py, |s| {
            s.unread_at_most = s.unread_at_most.saturating_add(count);
            s.phase
        });
        match phase {
            Phase::Wrapped => TlsProtocol::do_read(slf),
            Phase::Handshake => TlsProtocol::do_handshake(slf),
            Phase::Flushing => TlsProtocol::do_flush(slf),
            Phase::Shutdown => TlsProtocol::do_shutdown(slf),
            Phase::Unwrapped => Ok(()),
        }
    }

    pub(super) fn do_read(slf: &Bound<'_, Self>) -> PyResult<()> {
        let read = TlsProtocol::read_and_answer(slf);
        TlsProtocol::fatal_unless_ok(slf, read)
    }

    fn read_and_answer(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (phase, paused, takes) = this.state.with(py, |s| {
            s.filled_its_buffer = false;
            (s.phase, s.reading_paused, s.takes)
        });
        if !matches!(phase, Phase::Wrapped | Phase::Flushing) {
            return Ok(());
        }
        match takes {
            _ if paused => (),
            Takes::IntoItsBuffer => TlsProtocol::read_into_its_buffer(slf)?,
            Takes::Bytes | Takes::IntoItsReader | Takes::IntoTls => TlsProtocol::read_bytes(slf, takes)?,
        }
        // Paused or not: the engine may have something to say by itself, as the end of a handshake.
        TlsProtocol::send_what_waits(slf)?;
        TlsProtocol::control_reading(slf)
    }

    /// How much to ask the engine for. None: it has nothing, as far as can be known without asking.
    #[inline]
    fn readable(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        if !self.session.exact {
            return Ok(Some(LARGEST_RECORD));
        }
        let unread = self.session.unread(py)?;
        let inside_record = self.state.with(py, |s| {
            s.unread_at_most = unread;
            s.inside_record
        });
        Ok(match (unread, inside_record) {
            (0, _) => Some(self.session.decrypted(py)?).filter(|size| *size > 0),
            (_, true) => Some(LARGEST_RECORD),
            // A record is never longer decrypted than encrypted.
            (unread, false) => Some(unread.min(LARGEST_RECORD)),
        })
    }

    /// Notes how a read ended: what the engine wants more for is the rest of a record, unless it had none.
    #[inline]
    fn note_inside_record(&self, py: Python<'_>, inside: bool) {
        self.state.with(py, |s| s.inside_record = inside);
    }

    fn decrypt<'py>(&self, py: Python<'py>, received: &mut Received<'py>) -> PyResult<End> {
        loop {
            let Some(size) = self.readable(py)? else { return Ok(End::ForNow) };
            match self.session.read(py, size) {
                Ok(None) => {
                    self.note_inside_record(py, true);
                    return Ok(End::ForNow);
                }
                Ok(Some(chunk)) if chunk.as_bytes().is_empty() => return Ok(End::Closed),
                Ok(Some(chunk)) => {
                    self.note_inside_record(py, false);
                    received.push(chunk);
                }
                Err(error) => return Ok(End::Failed(error)),
            }
        }
    }

    fn read_bytes(slf: &Bound<'_, Self>, takes: Takes) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let mut received = Received::default();
        let end = this.decrypt(py, &mut received)?;
        match takes {
            Takes::IntoItsReader => TlsProtocol::into_reader(slf, received)?,
            _ => {
                if let Some(data) = received.joined(py)? {
                    TlsProtocol::hand_over(slf, takes, data)?;
                }
            }
        }
        TlsProtocol::finish_reading(slf, end)
    }

    fn finish_reading(slf: &Bound<'_, Self>, end: End) -> PyResult<()> {
        match end {
            End::ForNow => Ok(()),
            End::Failed(error) => Err(error),
            End::Closed => {
                TlsProtocol::call_eof_received(slf)?;
                TlsProtocol::start_shutdown(slf)
            }
        }
    }

    #[inline]
    fn hand_over<'py>(slf: &Bound<'py, Self>, takes: Takes, data: Bound<'py, PyBytes>) -> PyResult<()> {
        let py = slf.py();
        let Some(protocol) = slf.get().above(py) else { return Ok(()) };
        if let (Takes::IntoTls, Ok(tls)) = (takes, protocol.cast_exact::<TlsProtocol>()) {
            let count = data.as_bytes().len();
            return TlsProtocol::received(tls, &data, count);
        }
        protocol.call_method1(intern!(py, "data_received"), (data,)).map(drop)
    }

    /// Into a native StreamReader, unless its methods are not our own any more.
    fn into_reader<'py>(slf: &Bound<'py, Self>, received: Received<'py>) -> PyResult<()> {
        let py = slf.py();
        let Some(protocol) = slf.get().above(py) else { return Ok(()) };
        let reader = match protocol.cast_exact::<StreamReaderProtocol>() {
            Ok(protocol) => StreamReaderProtocol::plain_reader(protocol),
            Err(_) => None,
        };
        let Some(reader) = reader else {
            return match received.joined(py)? {
                Some(data) => TlsProtocol::hand_over(slf, Takes::Bytes, data),
                None => Ok(()),
            };
        };
        let Some(first) = received.first else { return Ok(()) };
        reader.get().keep(first)?;
        for chunk in received.rest {
            reader.get().keep(chunk)?;
        }
        reader.get().arrived(py)
    }

    /// Straight into the buffer of a BufferedProtocol.
    fn read_into_its_buffer(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(protocol) = this.above(py) else { return Ok(()) };
        let hint = this.session.unread(py)?;
        let buffer = protocol.call_method1(intern!(py, "get_buffer"), (hint,))?;
        let (filled, full, end) = this.decrypt_into(&buffer)?;
        let last = this.state.with(py, |s| {
            s.filled_its_buffer = full;
            s.eof_received
        });
        if full && !last {
            // There may be more, for which the protocol is to give another buffer. After the end `do_flush` sees to it.
            TlsProtocol::call_soon(slf, intern!(py, "_do_read"))?;
        }
        if filled > 0 {
            protocol.call_method1(intern!(py, "buffer_updated"), (filled,))?;
        }
        TlsProtocol::finish_reading(slf, end)
    }

    /// How many bytes, whether the buffer is full, and why that was all.
    fn decrypt_into(&self, buffer: &Bound<'_, PyAny>) -> PyResult<(usize, bool, End)> {
        let py = buffer.py();
        let wanted = buffer.len()?;
        if wanted == 0 {
            return Err(PyRuntimeError::new_err("get_buffer() returned an empty buffer"));
        }
        let mut view = None;
        let mut filled = 0;
        while filled < wanted {
            if self.readable(py)?.is_none() {
                return Ok((filled, false, End::ForNow));
            }
            let read = match filled {
                0 => self.session.read_into(wanted, buffer),
                _ => {
                    let view = match &view {
                        Some(view) => view,
                        None => view.insert(PyMemoryView::from(buffer)?),
                    };
                    let rest = PySlice::new(py, filled as isize, wanted as isize, 1);
                    self.session.read_into(wanted - filled, &view.get_item(rest)?)
                }
            };
            match read {
                Ok(None) => {
                    self.note_inside_record(py, true);
                    return Ok((filled, false, End::ForNow));
                }
                Ok(Some(0)) => return Ok((filled, false, End::Closed)),
                Ok(Some(count)) => {
                    self.note_inside_record(py, false);
                    filled += count;
                }
                Err(error) => return Ok((filled, false, End::Failed(error))),
            }
        }
        Ok((filled, true, End::ForNow))
    }

    /// Once, and only to a protocol that was told of the connection.
    pub(super) fn call_eof_received(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let first = this.state.with(py, |s| {
            let first = s.told == Told::Made;
            if first {
                s.told = Told::Eof;
            }
            first
        });
        let (true, Some(protocol)) = (first, this.above(py)) else { return Ok(()) };
        let answer = protocol
            .call_method0(intern!(py, "eof_received"))
            .and_then(|keep_open| keep_open.is_truthy())
            .and_then(|keep_open| match keep_open {
                true => {
                    let text = "returning true from eof_received() has no effect when using ssl";
                    standard(py).logger.bind(py).call_method1("warning", (text,)).map(drop)
                }
                false => Ok(()),
            });
        match answer {
            Err(error) if !leaves_the_loop(py, &error) => {
                TlsProtocol::fatal_error(slf, error, "Error calling eof_received()")
            }
            answer => answer,
        }
    }

    /// The application reads again.
    pub(super) fn go_on_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().phase(slf.py()) {
            Phase::Wrapped => TlsProtocol::do_read(slf),
            Phase::Flushing => TlsProtocol::do_flush(slf),
            Phase::Shutdown => TlsProtocol::do_shutdown(slf),
            Phase::Unwrapped | Phase::Handshake => Ok(()),
        }
    }
}
