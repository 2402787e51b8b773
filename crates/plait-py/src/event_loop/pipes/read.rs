//! The end that is read.

use super::end::{self, End, PipeTransport};
use crate::errors::os_error;
use crate::event_loop::descriptors::{Direction, Watcher};
use crate::event_loop::future::Future;
use crate::event_loop::handle::{Call, Handle};
use crate::event_loop::ready::{Ready, TransportStep};
use crate::event_loop::streams::protocol::StreamReaderProtocol;
use crate::event_loop::streams::reader::StreamReader;
use crate::event_loop::transport::{report, Base, Names, Transport, READ_BUFFER};
use crate::event_loop::EventLoop;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::{pipe, ReadSize};
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::io;
use std::os::fd::RawFd;
use std::sync::OnceLock;

const EIO: i32 = 5;
const EAGAIN: i32 = 11;
const REFUSAL: &str = "Pipe transport is for pipes/sockets only.";

#[derive(Default)]
struct ReadState {
    read_size: ReadSize,
    paused: bool,
}

#[pyclass(module = "plait._native", frozen, dict, weakref)]
pub struct ReadPipeTransport {
    end: End,
    state: Guarded<ReadState>,
    built: Built,
}

impl Transport for ReadPipeTransport {
    const NAMES: Names = Names {
        read_ready: "_UnixReadPipeTransport._read_ready",
        write_ready: "_UnixReadPipeTransport._write_ready",
        connection_lost: "_UnixReadPipeTransport._call_connection_lost",
        add_reader: "_UnixReadPipeTransport._add_reader",
    };

    fn base(&self) -> &Base {
        &self.end.base
    }

    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.end.protocol(py)
    }

    fn ready(slf: Py<Self>, step: TransportStep) -> Ready {
        Ready::ReadPipe(slf, step)
    }

    fn watcher(slf: Py<Self>) -> Watcher {
        Watcher::ReadPipe(slf)
    }

    fn start_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().is_reading(slf.py()) {
            true => ReadPipeTransport::watch(slf, Direction::Read),
            false => Ok(()),
        }
    }

    fn read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_reading(py) || this.end.lost(py) {
            return Ok(()); // it was readable before somebody closed or paused it
        }
        let received = match this.plain_reader(py) {
            Some(reader) => this.receive_into(py, &reader),
            None => this.receive(py).map(|data| {
                data.map(|data| this.tell(py, intern!(py, "data_received"), Some(data.into_any())).map(drop))
            }),
        };
        match received {
            Ok(Some(told)) => told,
            Ok(None) => ReadPipeTransport::ended(slf),
            Err(error) => ReadPipeTransport::failed(slf, &error),
        }
    }

    /// It never writes.
    fn write_ready(_slf: &Bound<'_, Self>) -> PyResult<()> {
        Ok(())
    }

    fn connection_lost(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        end::connection_lost(slf, error)
    }
}

impl PipeTransport for ReadPipeTransport {
    fn end(&self) -> &End {
        &self.end
    }

    fn cut(slf: &Bound<'_, Self>, error: Option<PyErr>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        this.end.begin_closing(py);
        this.stop(py, Direction::Read)?;
        end::schedule_lost(slf, error.map(|error| error.into_value(py).into_any()))
    }
}

impl ReadPipeTransport {
    pub fn open(
        loop_: &Bound<'_, EventLoop>,
        pipe: Bound<'_, PyAny>,
        protocol: Bound<'_, PyAny>,
        waiter: Option<Bound<'_, Future>>,
        extra: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<ReadPipeTransport>> {
        let (end, _kind) = End::new(loop_, pipe, protocol, extra, REFUSAL)?;
        let state = Guarded::new(ReadState::default());
        let transport = Bound::new(loop_.py(), ReadPipeTransport { end, state, built: Built::new() })?;
        ReadPipeTransport::schedule(&transport, TransportStep::Begin(waiter.map(Bound::unbind)))?;
        Ok(transport.unbind())
    }

    fn plain_reader<'py>(&self, py: Python<'py>) -> Option<Bound<'py, StreamReader>> {
        let protocol = self.end.protocol(py)?;
        StreamReaderProtocol::plain_reader(protocol.bind(py).cast_exact().ok()?)
    }

    /// What is there, as bytes; None at the end.
    fn receive<'py>(&self, py: Python<'py>) -> io::Result<Option<Bound<'py, PyBytes>>> {
        match self.state.with(py, |s| s.read_size).fresh() {
            Some(size) => self.receive_large(py, size),
            None => READ_BUFFER.with_borrow_mut(|buffer| {
                self.receive_small(py, buffer).map(|n| (n > 0).then(|| PyBytes::new(py, &buffer[..n])))
            }),
        }
    }

    /// The same straight into a native reader. The inner result is what handing it over said.
    fn receive_into(
        &self,
        py: Python<'_>,
        reader: &Bound<'_, StreamReader>,
    ) -> io::Result<Option<PyResult<()>>> {
        let kept = match self.state.with(py, |s| s.read_size).fresh() {
            Some(size) => self.receive_large(py, size)?.map(|bytes| reader.get().keep(bytes)),
            None => READ_BUFFER.with_borrow_mut(|buffer| {
                let count = self.receive_small(py, buffer)?;
                io::Result::Ok((count > 0).then(|| {
                    reader.get().store(py, &buffer[..count]);
                    Ok(())
                }))
            })?,
        };
        Ok(kept.map(|kept| kept.and_then(|()| reader.get().arrived(py))))
    }

    fn receive_small(&self, py: Python<'_>, buffer: &mut [u8]) -> io::Result<usize> {
        let count = pipe::read(self.end.base.fd, buffer)?;
        self.state.with(py, |s| s.read_size.note(count));
        Ok(count)
    }

    fn receive_large<'py>(&self, py: Python<'py>, size: usize) -> io::Result<Option<Bound<'py, PyBytes>>> {
        ffi::bytes_filled_by(py, size, |memory| {
            let count = pipe::read_uninit(self.end.base.fd, memory)?;
            self.state.with(py, |s| s.read_size.note(count));
            Ok(count)
        })
    }

    fn ended(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        ReadPipeTransport::log(slf, "info", "%r was closed by peer")?;
        this.end.begin_closing(py);
        this.stop(py, Direction::Read)?;
        ReadPipeTransport::schedule_eof(slf)?;
        end::schedule_lost(slf, None)
    }

    /// `eof_received()` soon, a callback of its own.
    fn schedule_eof(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let Some(protocol) = slf.get().end.protocol(py) else { return Ok(()) };
        let base = slf.get().base();
        let loop_ = base.loop_.bind(py);
        let call = Call::new(protocol.bind(py).getattr(intern!(py, "eof_received"))?, &[], true)?;
        let handle = Handle::build(loop_, call, Some(base.context(py)), loop_.get().debug(py))?;
        loop_.get().push_ready(py, Ready::Handle(Py::new(py, handle)?))
    }

    #[cold]
    fn failed(slf: &Bound<'_, Self>, error: &io::Error) -> PyResult<()> {
        let py = slf.py();
        let errno = error.raw_os_error();
        if errno == Some(EAGAIN) {
            return Ok(());
        }
        let message = "Fatal read error on pipe transport";
        let error = os_error(py, error);
        let this = slf.get();
        // A terminal whose other side is gone says EIO; everything else nobody expects.
        match errno {
            Some(EIO) => report::log_error(this.event_loop(py), message, error.clone_ref(py), slf)?,
            _ => ReadPipeTransport::report(slf, message, error.clone_ref(py))?,
        }
        ReadPipeTransport::cut(slf, Some(error))
    }
}

#[pymethods]
impl ReadPipeTransport {
    /// asyncio's `max_size`: no read is larger, in bytes.
    #[classattr]
    #[pyo3(name = "max_size")]
    fn most_at_once() -> usize {
        plait_core::net::LARGEST_READ
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        standard(slf.py()).read_transport.bind(slf.py()).clone().into_any()
    }

    /// Close: `connection_lost(None)` is called soon, and the file is closed after it.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        match slf.get().end.closing(slf.py()) {
            true => Ok(()),
            false => ReadPipeTransport::cut(slf, None),
        }
    }

    fn is_closing(&self, py: Python<'_>) -> bool {
        self.end.closing(py)
    }

    fn is_reading(&self, py: Python<'_>) -> bool {
        !self.end.closing(py) && !self.state.with(py, |s| s.paused)
    }

    /// Receive nothing until `resume_reading`. Then the writer has to wait, once the pipe is full.
    fn pause_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.is_reading(py) {
            return Ok(());
        }
        this.state.with(py, |s| s.paused = true);
        this.stop(py, Direction::Read)?;
        ReadPipeTransport::log(slf, "debug", "%r pauses reading")
    }

    fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this.end.closing(py) || !this.state.with(py, |s| std::mem::replace(&mut s.paused, false)) {
            return Ok(());
        }
        ReadPipeTransport::watch(slf, Direction::Read)?;
        ReadPipeTransport::log(slf, "debug", "%r resumes reading")
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

    fn _read_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        ReadPipeTransport::read_ready(slf)
    }

    #[pyo3(signature = (exc))]
    fn _close(slf: &Bound<'_, Self>, exc: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        ReadPipeTransport::cut(slf, exc.map(PyErr::from_value))
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
    fn _paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.paused)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("<{}>", self.describe(py, "ReadPipeTransport", Direction::Read))
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

static READ_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for ReadPipeTransport {
    fn finalize(slf: &Bound<'_, Self>) {
        end::finalize(slf);
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &READ_DEALLOC
    }
}
