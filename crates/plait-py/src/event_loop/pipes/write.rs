//! The end that is written: at once as far as the pipe takes it; the rest waits, and the protocol is paused when that is much.

use super::end::{self, End, PipeTransport};
use super::PipeStep;
use crate::errors::os_error;
use crate::event_loop::descriptors::{Direction, Watcher};
use crate::event_loop::future::Future;
use crate::event_loop::ready::Ready;
use crate::event_loop::sock::contiguous;
use crate::event_loop::transport::{flow, limits};
use crate::event_loop::transport::{report, Chunk};
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
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView};
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

const EAGAIN: i32 = 11;
/// asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const QUIET_LOST_WRITES: u32 = 5;
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

impl PipeTransport for WritePipeTransport {
    fn end(&self) -> &End {
        &self.end
    }

    fn ready(slf: Py<Self>, step: PipeStep) -> Ready {
        Ready::WritePipe(slf, step)
    }

    fn watcher(slf: Py<Self>) -> Watcher {
        Watcher::WritePipe(slf)
    }

    fn wants_to_read(&self, py: Python<'_>) -> bool {
        self.shows_its_end && !self.end.lost(py)
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
        this.end.stop(py, Direction::Write)?;
        this.end.stop(py, Direction::Read)?;
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
        end::schedule(&transport, PipeStep::Begin(waiter.map(Bound::unbind)))?;
        Ok(transport.unbind())
    }

    /// What the loop found in its ready queue for this transport.
    pub fn advance(slf: &Bound<'_, Self>, step: PipeStep) -> PyResult<()> {
        match step {
            PipeStep::Begin(waiter) => end::begin(slf, waiter),
            PipeStep::Readable | PipeStep::Eof => WritePipeTransport::peer_closed(slf),
            PipeStep::Writable => WritePipeTransport::write_ready(slf),
            PipeStep::Lost(error) => end::connection_lost(slf, error),
        }
    }

    /// Nobody reads any more.
    fn peer_closed(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.lost(py) {
            return Ok(());
        }
        report::log(this.end.event_loop(py), "info", "%r was closed by peer", slf)?;
        let unsent = !this.state.with(py, |s| s.buffer.is_empty());
        WritePipeTransport::cut(slf, unsent.then(|| PyBrokenPipeError::new_err(())))
    }

    fn write_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let known = data.is_instance_of::<PyBytes>()
            || data.is_instance_of::<PyByteArray>()
            || data.is_instance_of::<PyMemoryView>();
        if !known {
            return Err(PyAssertionError::new_err(data.repr()?.to_string()));
        }
        if data.len()? == 0 {
            return Ok(());
        }
        let this = slf.get();
        let lost_writes = this.state.with(py, |s| s.lost_writes);
        if lost_writes > 0 || this.end.closing(py) {
            if lost_writes >= QUIET_LOST_WRITES {
                let text = "pipe closed by peer or os.write(pipe, data) raised exception.";
                standard(py).logger.bind(py).call_method1("warning", (text,))?;
            }
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
        match pipe::write(this.end.fd, bytes) {
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
        if !this.end.is_watched(py, Direction::Write) {
            end::watch(slf, Direction::Write)?;
        }
        WritePipeTransport::maybe_pause_protocol(slf)
    }

    fn maybe_pause_protocol(slf: &Bound<'_, Self>) -> PyResult<()> {
        let pause = slf.get().state.with(slf.py(), |s| s.flow.on_grow(s.buffer.len()));
        match pause {
            true => WritePipeTransport::tell_flow(slf, "pause_writing"),
            false => Ok(()),
        }
    }

    fn tell_flow(slf: &Bound<'_, Self>, method: &str) -> PyResult<()> {
        let end = &slf.get().end;
        flow::tell(end.event_loop(slf.py()), slf, end.protocol(slf.py()), method)
    }

    fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.lost(py) {
            return Ok(());
        }
        let mut spent = Vec::new();
        let flushed = this.state.with(py, |s| s.buffer.flush_to_pipe(this.end.fd, &mut spent));
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

    fn flushed(slf: &Bound<'_, Self>, empty: bool) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if empty {
            this.end.stop(py, Direction::Write)?;
        }
        let resume = this.state.with(py, |s| s.flow.on_shrink(s.buffer.len()));
        if resume {
            // The protocol may write more.
            this.end.in_context(py, || WritePipeTransport::tell_flow(slf, "resume_writing"))?;
        }
        let empty = this.state.with(py, |s| s.buffer.is_empty());
        if !empty || !this.end.closing(py) || this.end.lost(py) {
            return Ok(());
        }
        this.end.stop(py, Direction::Read)?;
        end::connection_lost(slf, None)
    }

    #[cold]
    fn fail(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let error = os_error(py, error);
        let message = "Fatal write error on pipe transport";
        report::log_error(slf.get().end.event_loop(py), message, error.clone_ref(py), slf)?;
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
        this.end.stop(py, Direction::Read)?;
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
        self.state.with(py, |s| s.flow.limits())
    }

    /// Pause the protocol's writing above `high` bytes, resume it at `low` or below.
    #[pyo3(signature = (high = None, low = None))]
    fn set_write_buffer_limits(
        slf: &Bound<'_, Self>,
        high: Option<isize>,
        low: Option<isize>,
    ) -> PyResult<()> {
        let py = slf.py();
        slf.get().state.with(py, |s| limits::set_limits(&mut s.flow, high, low))?;
        WritePipeTransport::maybe_pause_protocol(slf)
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
        self.end.fd
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.protocol(py)
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Py<EventLoop> {
        self.end.loop_.clone_ref(py)
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
        let described = self.end.describe(py, "WritePipeTransport", Direction::Write);
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
