//! StreamWriter: passes on to the transport, and tells whether its user has to wait.

use super::protocol::StreamReaderProtocol;
use super::reader::StreamReader;
use super::{new_future, plain, wake};
use crate::event_loop::socket_transport::SocketTransport;
use crate::event_loop::tls::transport::TlsTransport;
use crate::event_loop::transport::SelectorTransport;
use crate::fastcall::{fast_method, install, Arguments};
use crate::ffi::{self, Finalize};
use crate::guarded::Guarded;
use crate::standard::standard;
use pyo3::exceptions::PyAssertionError;
use pyo3::ffi::destructor;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::OnceLock;

#[derive(Default)]
struct WriterState {
    transport: Option<Py<PyAny>>,
    protocol: Option<Py<PyAny>>,
    reader: Option<Py<PyAny>>,
    loop_: Option<Py<PyAny>>,
    /// asyncio makes it with the writer; nobody but old code looks at it.
    complete: Option<Py<PyAny>>,
}

#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct StreamWriter {
    state: Guarded<WriterState>,
}

impl StreamWriter {
    #[inline]
    fn transport_of<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        let transport = self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py)));
        transport.unwrap_or_else(|| py.None()).into_bound(py)
    }
}

/// Whether a transport of ours is not closing; None: it is to be asked by its methods.
#[inline]
fn is_open(transport: &Bound<'_, PyAny>) -> Option<bool> {
    if let Some(native) = plain::<SocketTransport>(transport) {
        return Some(!native.get().closing(transport.py()));
    }
    plain::<TlsTransport>(transport).map(|tls| !tls.get().closing())
}

fast_method!(write_entry, StreamWriter, "StreamWriter.write", write);

/// Adds `write` to the type.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    install::<StreamWriter>(
        py,
        c"write",
        c"write($self, data)\n--\n\n\
Write data (bytes, bytearray or memoryview) to the transport, which keeps what cannot be sent at once.",
        write_entry,
    )
}

fn write<'py>(slf: &Bound<'py, StreamWriter>, arguments: Arguments<'_, 'py>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let [data] = arguments.exactly(py, ["data"])?;
    let transport = slf.get().transport_of(py);
    match plain::<SocketTransport>(&transport) {
        Some(native) => SocketTransport::write_data(native, &data)?,
        None => match plain::<TlsTransport>(&transport) {
            Some(tls) => TlsTransport::write_data(tls, &data)?,
            None => drop(transport.call_method1(intern!(py, "write"), (data,))?),
        },
    }
    Ok(py.None())
}

#[pymethods]
impl StreamWriter {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> StreamWriter {
        StreamWriter { state: Guarded::new(WriterState::default()) }
    }

    #[pyo3(signature = (transport, protocol, reader, r#loop))]
    fn __init__(
        &self,
        transport: Bound<'_, PyAny>,
        protocol: Py<PyAny>,
        reader: Option<Bound<'_, PyAny>>,
        r#loop: Py<PyAny>,
    ) -> PyResult<()> {
        let py = transport.py();
        // `drain` expects that the reader has an exception() method.
        if let Some(reader) = &reader {
            let known = reader.is_instance_of::<StreamReader>()
                || reader.is_instance(standard(py).stream_reader.bind(py))?;
            if !known {
                return Err(PyAssertionError::new_err(()));
            }
        }
        let fresh = WriterState {
            transport: Some(transport.unbind()),
            protocol: Some(protocol),
            reader: reader.map(Bound::unbind),
            loop_: Some(r#loop),
            complete: None,
        };
        drop(self.state.with(py, |s| std::mem::replace(s, fresh)));
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        match slf.is_exact_instance_of::<StreamWriter>() {
            true => standard(slf.py()).stream_writer.bind(slf.py()).clone().into_any(),
            false => slf.get_type().into_any(),
        }
    }

    /// The transport underneath.
    #[getter]
    fn transport<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.transport_of(py)
    }

    /// Write every item of an iterable of bytes-like objects.
    fn writelines(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.transport_of(data.py()).call_method1(intern!(data.py(), "writelines"), (data,)).map(drop)
    }

    /// Close the writing side once the buffer is empty.
    fn write_eof<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.transport_of(py).call_method0(intern!(py, "write_eof"))
    }

    fn can_write_eof<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.transport_of(py).call_method0(intern!(py, "can_write_eof"))
    }

    /// Close: what is buffered is still sent.
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.transport_of(py).call_method0(intern!(py, "close"))
    }

    fn is_closing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.transport_of(py).call_method0(intern!(py, "is_closing"))
    }

    /// What the transport knows: "peername", "socket", …
    #[pyo3(signature = (name, default = None))]
    fn get_extra_info<'py>(
        &self,
        name: Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        self.transport_of(py).call_method1(intern!(py, "get_extra_info"), (name, default))
    }

    /// For `drain`: True when there is nothing to wait for. Raises what the reader was given.
    ///
    /// False is no verdict: then the transport and the protocol are to be asked by their methods.
    fn _flows(&self, py: Python<'_>) -> PyResult<bool> {
        let (transport, protocol, reader) = self.state.with(py, |s| {
            let clone = |object: &Option<Py<PyAny>>| object.as_ref().map(|o| o.clone_ref(py).into_bound(py));
            (clone(&s.transport), clone(&s.protocol), clone(&s.reader))
        });
        if let Some(reader) = &reader {
            match plain::<StreamReader>(reader) {
                Some(native) => native.get().check(py)?,
                None => {
                    let exception = reader.call_method0(intern!(py, "exception"))?;
                    if !exception.is_none() {
                        return Err(PyErr::from_value(exception));
                    }
                }
            }
        }
        let (Some(transport), Some(protocol)) = (transport, protocol) else {
            return Ok(false);
        };
        let Some(protocol) = plain::<StreamReaderProtocol>(&protocol) else {
            return Ok(false);
        };
        Ok(is_open(&transport) == Some(true) && protocol.get().flows(py))
    }

    #[getter]
    fn _transport<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.transport_of(py)
    }

    #[setter(_transport)]
    fn set_private_transport(&self, py: Python<'_>, transport: Py<PyAny>) {
        drop(self.state.with(py, |s| s.transport.replace(transport)));
    }

    #[getter]
    fn _protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py)))
    }

    #[setter(_protocol)]
    fn set_private_protocol(&self, py: Python<'_>, protocol: Py<PyAny>) {
        drop(self.state.with(py, |s| s.protocol.replace(protocol)));
    }

    #[getter]
    fn _reader(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.reader.as_ref().map(|r| r.clone_ref(py)))
    }

    #[setter(_reader)]
    fn set_private_reader(&self, py: Python<'_>, reader: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.reader, reader)));
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.loop_.as_ref().map(|l| l.clone_ref(py)))
    }

    #[setter(_loop)]
    fn set_private_loop(&self, py: Python<'_>, loop_: Py<PyAny>) {
        drop(self.state.with(py, |s| s.loop_.replace(loop_)));
    }

    #[getter]
    fn _complete_fut(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(complete) = self.state.with(py, |s| s.complete.as_ref().map(|c| c.clone_ref(py))) {
            return Ok(complete);
        }
        let complete = new_future(self._loop(py).unwrap_or_else(|| py.None()).bind(py))?;
        wake(&complete)?;
        let kept = complete.clone().unbind();
        drop(self.state.with(py, |s| s.complete.replace(kept)));
        Ok(complete.unbind())
    }

    fn __del__(slf: &Bound<'_, Self>) {
        <StreamWriter as Finalize>::finalize(slf);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let state = self.state.traverse();
        for object in [&state.transport, &state.protocol, &state.reader, &state.loop_, &state.complete] {
            visit.call(object)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, std::mem::take)));
    }
}

static WRITER_DEALLOC: OnceLock<destructor> = OnceLock::new();

impl ffi::Finalize for StreamWriter {
    /// An open connection is closed, with the warning of the host's asyncio.
    fn finalize(slf: &Bound<'_, Self>) {
        let py = slf.py();
        let transport = slf.get().transport_of(py);
        let closed = is_open(&transport).map_or(transport.is_none(), |open| !open);
        if closed {
            return;
        }
        let told = standard(py).stream_writer_del.bind(py).call1((slf,));
        if let Err(error) = told {
            error.write_unraisable(py, Some(slf.as_any()));
        }
    }

    fn original_dealloc() -> &'static OnceLock<destructor> {
        &WRITER_DEALLOC
    }
}
