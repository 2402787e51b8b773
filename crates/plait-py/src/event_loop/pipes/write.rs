//! The end that is written: at once as far as the pipe takes it; the rest waits, and the protocol is paused when that is much.

use super::end::{self, End, PipeTransport};
use crate::errors::os_error;
use crate::event_loop::descriptors::{Direction, Watcher};
use crate::event_loop::future::Future;
use crate::event_loop::ready::{Ready, TransportStep};
use crate::event_loop::sock::contiguous;
use crate::event_loop::transport::{
    is_bytes_like, report, warn_lost_write, Base, Chunk, Names, Transport, Writing,
};
use crate::event_loop::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::pipe::{self, Kind};
use plait_core::net::{FlowControl, WriteBuffer};
use pyo3::exceptions::{PyAssertionError, PyBrokenPipeError};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

const EAGAIN: i32 = 11;
const REFUSAL: &str = "Pipe transport is only for pipes, sockets and character devices";

struct WriteState {
    buffer: WriteBuffer<Chunk>,
    flow: FlowControl,
    /// Counts an error, then the writes that came after the end.
    lost_writes: u32,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct WritePipeTransport {
    end: End,
    /// Whether the end of the reader can be seen. A terminal has none, and what one types would look like it.
    shows_its_end: bool,
    state: Guarded<WriteState>,
    built: Built,
}

impl Transport for WritePipeTransport {
    const NAMES: Names = Names {
        read_ready: "_UnixWritePipeTransport._read_ready",
        write_ready: "_UnixWritePipeTransport._write_ready",
        connection_lost: "_UnixWritePipeTransport._call_connection_lost",
        add_reader: "BaseSelectorEventLoop._add_reader",
    };

    fn base(&self) -> &Base {
        &self.end.base
    }

    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.protocol(py)
    }

    fn ready(slf: Py<Self>, step: TransportStep) -> Ready {
        Ready::WritePipe(slf, step)
    }

    fn watcher(slf: Py<Self>) -> Watcher {
        Watcher::WritePipe(slf)
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().sees_its_end(slf.py()) {
            true => WritePipeTransport::watch(slf, Direction::Read),
            false => Ok(()),
        }
    }

    /// Only the end of the reader shows so.
    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        WritePipeTransport::peer_closed(slf)
    }

    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.lost(py) {
            return Ok(());
        }
        let mut spent = Vec::new();
        let flushed = this.state.with(py, |s| s.buffer.flush_to_pipe(this.end.base.fd, &mut spent));
        drop(spent);
        match flushed {
            Ok(empty) => WritePipeTransport::flushed(slf, empty),
            Err(error) => {
                let dropped = this.state.with(py, |s| {
                    s.lost_writes += 1;
                    s.buffer.take_all()
                });
                drop(dropped);
                WritePipeTransport::fail(slf, &error)
            }
        }
    }

    fn connection_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        end::connection_lost(slf, error)
    }
}

impl Writing for WritePipeTransport {
    fn with_flow<R>(&self, py: Python<'_>, body: impl FnOnce(&mut FlowControl, usize) -> R) -> R {
        self.state.with(py, |s| body(&mut s.flow, s.buffer.len()))
    }
}

impl PipeTransport for WritePipeTransport {
    fn end(&self) -> &End {
        &self.end
    }

    fn cut(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.lost(py) {
            return Ok(());
        }
        this.end.begin_closing(py);
        let dropped = this.state.with(py, |s| s.buffer.take_all());
        drop(dropped);
        this.stop(py, Direction::Write)?;
        this.stop(py, Direction::Read)?;
        end::schedule_lost(slf, error.map(|error| error.into_value(py).into_any()))
    }
}

impl WritePipeTransport {
    pub fn open(
        loop_: &Bound<'_, EventLoop>,
        pipe: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<WritePipeTransport>> {
        let (end, kind) = End::new(loop_, pipe, protocol, extra, REFUSAL)?;
        let state = WriteState { buffer: WriteBuffer::new(), flow: FlowControl::new(), lost_writes: 0 };
        let transport = WritePipeTransport {
            end,
            shows_its_end: kind != Kind::Character,
            state: Guarded::new(state),
            built: Built::new(),
        };
        let transport = Bound::new(loop_.py(), transport)?;
        WritePipeTransport::schedule(&transport, TransportStep::Begin(waiter.map(Bound::unbind)))?;
        Ok(transport.unbind())
    }

    fn sees_its_end(&self, py: Python<'_>) -> bool {
        self.shows_its_end && !self.end.lost(py)
    }

    /// Nobody reads any more.
    fn peer_closed(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.lost(py) {
            return Ok(());
        }
        WritePipeTransport::log(slf, "info", "%r was closed by peer")?;
        let unsent = !this.state.with(py, |s| s.buffer.is_empty());
        WritePipeTransport::cut(slf, unsent.then(|| PyBrokenPipeError::new_err(())))
    }

    fn write_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if !is_bytes_like(data) {
            return Err(PyAssertionError::new_err(data.repr()?.to_string()));
        }
        if data.len()? == 0 {
            return Ok(());
        }
        let this = slf.get();
        let lost_writes = this.state.with(py, |s| s.lost_writes);
        if lost_writes > 0 || this.end.closing(py) {
            let text = "pipe closed by peer or os.write(pipe, data) raised exception.";
            warn_lost_write(py, lost_writes, text)?;
            this.state.with(py, |s| s.lost_writes += 1);
            return Ok(());
        }
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            let length = bytes.as_bytes().len();
            return match WritePipeTransport::write_now(slf, bytes.as_bytes())? {
                Some(written) if written < length => {
                    let chunk = Chunk::Shared(PyBackedBytes::from(bytes.clone()));
                    WritePipeTransport::keep(slf, chunk, written)
                }
                _ => Ok(()),
            };
        }
        let view = contiguous(data)?;
        match ffi::with_bytes(&view, |bytes| WritePipeTransport::write_now(slf, bytes))? {
            Some(written) if written < view.len_bytes() => {
                let rest = ffi::with_bytes(&view, |bytes| Box::<[u8]>::from(&bytes[written..]));
                WritePipeTransport::keep(slf, Chunk::Copied(rest), 0)
            }
            _ => Ok(()),
        }
    }

    /// How much was written at once; nothing while older data waits. None: the connection broke.
    fn write_now(slf: &Bound<'_, Self>, bytes: &[u8]) -> PyResult<Option<usize>> {
        let py = slf.py();
        let this = slf.get();
        if !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(Some(0));
        }
        match pipe::write(this.end.base.fd, bytes) {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.raw_os_error() == Some(EAGAIN) => Ok(Some(0)),
            Err(error) => {
                this.state.with(py, |s| s.lost_writes += 1);
                WritePipeTransport::fail(slf, &error)?;
                Ok(None)
            }
        }
    }

    fn keep(slf: &Bound<'_, Self>, chunk: Chunk, written: usize) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.state.with(py, |s| s.buffer.push(chunk, written));
        if !this.is_watched(py, Direction::Write) {
            WritePipeTransport::watch(slf, Direction::Write)?;
        }
        WritePipeTransport::maybe_pause_protocol(slf)
    }

    fn flushed(slf: &Bound<'_, Self>, empty: bool) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if empty {
            this.stop(py, Direction::Write)?;
        }
        this.in_context(py, || WritePipeTransport::maybe_resume_protocol(slf))?; // the protocol may write more
        let empty = this.state.with(py, |s| s.buffer.is_empty());
        if !empty || !this.end.closing(py) || this.end.lost(py) {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        end::connection_lost(slf, py.None().bind(py))
    }

    #[cold]
    fn fail(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let error = os_error(py, error);
        let message = "Fatal write error on pipe transport";
        report::log_error(slf.get().event_loop(py), message, error.clone_ref(py), slf)?;
        WritePipeTransport::cut(slf, Some(error))
    }
}

#[pymethods]
impl WritePipeTransport {
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        // asyncio's is a full Transport too, by the mixin that it gets its flow control from.
        standard(slf.py()).transport.bind(slf.py()).clone().into_any()
    }

    /// Write data (bytes, bytearray or memoryview): at once as far as the pipe takes it, the rest later.
    fn write(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        WritePipeTransport::write_data(slf, data)
    }

    /// Write all items of an iterable of bytes-like objects.
    fn writelines(slf: &Bound<'_, Self>, list_of_data: &Bound<'_, PyAny>) -> PyResult<()> {
        let joined = PyBytes::new(slf.py(), b"").call_method1("join", (list_of_data,))?;
        WritePipeTransport::write_data(slf, &joined)
    }

    fn can_write_eof(&self) -> bool {
        true
    }

    /// Close once the buffer is empty: a pipe has no other way to tell its end.
    fn write_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.end.begin_closing(py) || !this.state.with(py, |s| s.buffer.is_empty()) {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        end::schedule_lost(slf, None)
    }

    /// Close: what is buffered is still written, then `connection_lost(None)` is called.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        WritePipeTransport::write_eof(slf)
    }

    /// Close at once; what is buffered is lost.
    fn abort(slf: &Bound<'_, Self>) -> PyResult<()> {
        WritePipeTransport::cut(slf, None)
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.end.closing(py)
    }

    fn set_protocol(&self, protocol: Bound<'_, PyAny>) {
        self.end.set_protocol(protocol);
    }

    fn get_protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.protocol(py)
    }

    /// "pipe": the file object.
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.end.extra(name.py()).get_item(name)?.or(default))
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
        WritePipeTransport::set_limits(slf, high, low)
    }

    #[pyo3(signature = (exc = None))]
    fn _close(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        WritePipeTransport::cut(slf, exc.map(PyErr::from_value))
    }

    #[getter]
    fn _pipe(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.pipe(py)
    }

    /// Without its file, a transport has nothing left to close or to warn of.
    #[setter(_pipe)]
    fn set_private_pipe(&self, py: Python<'_>, pipe: Option<Py<PyAny>>) {
        drop(self.end.set_pipe(py, pipe));
    }

    #[getter]
    fn _fileno(&self) -> RawFd {
        self.end.base.fd
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.protocol(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.end.base.loop_.clone_ref(py)
    }

    #[getter]
    fn _extra<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.end.extra(py).clone()
    }

    #[getter]
    fn _closing(&self, py: Python<'_>) -> bool {
        self.end.closing(py)
    }

    #[getter]
    fn _conn_lost(&self, py: Python<'_>) -> u32 {
        self.state.with(py, |s| s.lost_writes)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let described = self.describe(py, "WritePipeTransport", Direction::Write);
        match self.end.pipe(py) {
            Some(_) => format!("<{described} bufsize={}>", self.get_write_buffer_size(py)),
            None => format!("<{described}>"),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.built.is_complete() {
            true => self.end.traverse(&visit),
            false => Ok(()),
        }
    }

    fn __clear__(&self) {
        Python::attach(|py| self.end.clear(py));
    }
}

static WRITE_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for WritePipeTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        end::finalize(slf);
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &WRITE_DEALLOC
    }
}
