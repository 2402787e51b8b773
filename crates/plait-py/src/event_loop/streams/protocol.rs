//! StreamReaderProtocol: between a transport and a StreamReader, and the flow control that `drain` asks.
//!
//! What happens once per connection (calling the user's handler, reporting what it raised) is the host's own `connection_made`,
//! lent by `plait._streams`: its details differ from one Python to the next.

use super::reader::StreamReader;
use super::{fail, loop_or_current, new_future, plain, wake};
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use pyo3::exceptions::{PyAssertionError, PyConnectionResetError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyWeakrefMethods, PyWeakrefReference};

/// How the connection ended.
enum Closed {
    Cleanly,
    With(Py<PyAny>),
}

#[derive(Default)]
struct ProtocolState {
    loop_: Option<Py<PyAny>>,
    /// Weak, as in asyncio: a reader that nobody uses any more must not be kept by its connection.
    reader: Option<Py<PyWeakrefReference>>,
    /// Until the connection is there: then the user's handler holds it.
    strong_reader: Option<Py<PyAny>>,
    transport: Option<Py<PyAny>>,
    callback: Option<Py<PyAny>>,
    task: Option<Py<PyAny>>,
    /// Kept up to 3.12.
    writer: Option<Py<PyAny>>,
    source_traceback: Option<Py<PyAny>>,
    drain_waiters: Vec<Py<PyAny>>,
    /// Made when somebody waits for the end (`wait_closed`).
    closed_waiter: Option<Py<PyAny>>,
    closed: Option<Closed>,
    reject_connection: bool,
    over_ssl: bool,
    paused: bool,
    lost: bool,
}

#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct StreamReaderProtocol {
    state: Guarded<ProtocolState>,
    built: Built,
}

impl StreamReaderProtocol {
    /// Neither paused nor lost.
    #[inline]
    pub fn flows(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| !s.paused && !s.lost)
    }

    #[inline]
    fn reader<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let weak = self.state.with(py, |s| s.reader.as_ref().map(|weak| weak.clone_ref(py)))?;
        weak.bind(py).upgrade()
    }

    /// The reader that takes what a transport of ours receives without a method's being called: nobody has put one of
    /// their own on it, nor on the protocol.
    #[inline]
    pub fn plain_reader<'py>(slf: &Bound<'py, Self>) -> Option<Bound<'py, StreamReader>> {
        plain::<StreamReaderProtocol>(slf.as_any())?;
        let reader = slf.get().reader(slf.py())?;
        let reader = plain::<StreamReader>(&reader)?;
        reader.get().stores(slf.py()).then(|| reader.clone())
    }

    fn loop_of<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self._loop(py).unwrap_or_else(|| py.None()).into_bound(py)
    }

    fn log(slf: &Bound<'_, Self>, text: &str) -> PyResult<()> {
        let py = slf.py();
        if slf.get().loop_of(py).call_method0(intern!(py, "get_debug"))?.is_truthy()? {
            standard(py).logger.bind(py).call_method1("debug", (text, slf))?;
        }
        Ok(())
    }

    /// Tells who waits for the end. The exception counts as seen: whether anybody asks is up to them.
    fn tell_closed(&self, waiter: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = waiter.py();
        let error = self.state.with(py, |s| match &s.closed {
            Some(Closed::With(error)) => Some(Some(error.clone_ref(py))),
            Some(Closed::Cleanly) => Some(None),
            None => None,
        });
        match error {
            None => Ok(()),
            Some(None) => wake(waiter),
            Some(Some(error)) => {
                fail(waiter, error.bind(py))?;
                if !waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
                    waiter.call_method0(intern!(py, "exception"))?;
                }
                Ok(())
            }
        }
    }
}

#[pymethods]
impl StreamReaderProtocol {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> StreamReaderProtocol {
        StreamReaderProtocol { state: Guarded::new(ProtocolState::default()), built: Built::new() }
    }

    #[pyo3(signature = (stream_reader, client_connected_cb = None, r#loop = None))]
    fn __init__(
        &self,
        py: Python<'_>,
        stream_reader: Option<Bound<'_, PyAny>>,
        client_connected_cb: Option<Bound<'_, PyAny>>,
        r#loop: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let loop_ = loop_or_current(py, r#loop)?;
        let (mut weak, mut source_traceback) = (None, None);
        if let Some(reader) = &stream_reader {
            weak = Some(PyWeakrefReference::new(reader)?.unbind());
            let traceback = reader.getattr(intern!(py, "_source_traceback"))?;
            source_traceback = (!traceback.is_none()).then(|| traceback.unbind());
        }
        let fresh = ProtocolState {
            loop_: Some(loop_.unbind()),
            reader: weak,
            strong_reader: client_connected_cb.as_ref().and(stream_reader).map(Bound::unbind),
            callback: client_connected_cb.map(Bound::unbind),
            source_traceback,
            ..ProtocolState::default()
        };
        drop(self.state.with(py, |s| std::mem::replace(s, fresh)));
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        match slf.is_exact_instance_of::<StreamReaderProtocol>() {
            true => standard(slf.py()).stream_reader_protocol.bind(slf.py()).clone().into_any(),
            false => slf.get_type().into_any(),
        }
    }

    // ---- the transport's side

    /// Bytes have arrived: they go to the reader.
    fn data_received(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = data.py();
        let Some(reader) = self.reader(py) else { return Ok(()) };
        reader.call_method1(intern!(py, "feed_data"), (data,)).map(drop)
    }

    /// The peer sends no more. True: the transport stays open for writing.
    fn eof_received(&self, py: Python<'_>) -> PyResult<bool> {
        if let Some(reader) = self.reader(py) {
            reader.call_method0(intern!(py, "feed_eof"))?;
        }
        Ok(!self._over_ssl(py))
    }

    /// The connection is gone: the reader, `drain` and `wait_closed` are told.
    fn connection_lost(&self, exc: Bound<'_, PyAny>) -> PyResult<()> {
        let py = exc.py();
        if let Some(reader) = self.reader(py) {
            match exc.is_none() {
                true => reader.call_method0(intern!(py, "feed_eof"))?,
                false => reader.call_method1(intern!(py, "set_exception"), (&exc,))?,
            };
        }
        let closed = match exc.is_none() {
            true => Closed::Cleanly,
            false => Closed::With(exc.clone().unbind()),
        };
        let (closed_waiter, paused, drain_waiters, unused) = self.state.with(py, |s| {
            let unused = match s.closed {
                None => s.closed.replace(closed),
                Some(_) => Some(closed),
            };
            s.lost = true;
            let drain_waiters = s.drain_waiters.iter().map(|w| w.clone_ref(py)).collect::<Vec<_>>();
            (s.closed_waiter.as_ref().map(|w| w.clone_ref(py)), s.paused, drain_waiters, unused)
        });
        drop(unused);
        if let Some(waiter) = closed_waiter {
            self.tell_closed(waiter.bind(py))?;
        }
        for waiter in drain_waiters.iter().filter(|_| paused) {
            match exc.is_none() {
                true => wake(waiter.bind(py))?,
                false => fail(waiter.bind(py), &exc)?,
            }
        }
        let released =
            self.state.with(py, |s| (s.reader.take(), s.writer.take(), s.task.take(), s.transport.take()));
        drop(released);
        Ok(())
    }

    /// The transport has too much to write. AssertionError when it has said so already.
    fn pause_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let before = slf.get().state.with(slf.py(), |s| std::mem::replace(&mut s.paused, true));
        match before {
            true => Err(PyAssertionError::new_err(())),
            false => StreamReaderProtocol::log(slf, "%r pauses writing"),
        }
    }

    /// The transport has room again: every `drain` that waits goes on.
    fn resume_writing(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if !this.state.with(py, |s| std::mem::replace(&mut s.paused, false)) {
            return Err(PyAssertionError::new_err(()));
        }
        StreamReaderProtocol::log(slf, "%r resumes writing")?;
        let waiters =
            this.state.with(py, |s| s.drain_waiters.iter().map(|w| w.clone_ref(py)).collect::<Vec<_>>());
        waiters.iter().try_for_each(|waiter| wake(waiter.bind(py)))
    }

    // ---- what the coroutines of `plait._streams` ask for

    /// For `_drain_helper`: the future to wait for, or None. ConnectionResetError when the connection is lost.
    fn _drain_waiter(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let (lost, paused) = self.state.with(py, |s| (s.lost, s.paused));
        if lost {
            return Err(PyConnectionResetError::new_err("Connection lost"));
        }
        if !paused {
            return Ok(None);
        }
        let waiter = new_future(&self.loop_of(py))?.unbind();
        let kept = waiter.clone_ref(py);
        self.state.with(py, |s| s.drain_waiters.push(kept));
        Ok(Some(waiter))
    }

    /// That `drain` no longer waits.
    fn _drained(&self, waiter: &Bound<'_, PyAny>) {
        let removed = self.state.with(waiter.py(), |s| {
            let place = s.drain_waiters.iter().position(|own| own.is(waiter))?;
            Some(s.drain_waiters.remove(place))
        });
        drop(removed);
    }

    /// The future that is done when the connection is lost.
    fn _get_close_waiter(&self, py: Python<'_>, _stream: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self._closed(py)
    }

    // ---- what asyncio's own has, for those who reach for it

    #[getter]
    fn _closed(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(waiter) = self.state.with(py, |s| s.closed_waiter.as_ref().map(|w| w.clone_ref(py))) {
            return Ok(waiter);
        }
        let waiter = new_future(&self.loop_of(py))?;
        let kept = waiter.clone().unbind();
        drop(self.state.with(py, |s| s.closed_waiter.replace(kept)));
        self.tell_closed(&waiter)?;
        Ok(waiter.unbind())
    }

    #[getter]
    fn _stream_reader<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.reader(py)
    }

    #[getter]
    fn _stream_reader_wr(&self, py: Python<'_>) -> Option<Py<PyWeakrefReference>> {
        self.state.with(py, |s| s.reader.as_ref().map(|weak| weak.clone_ref(py)))
    }

    #[setter(_stream_reader_wr)]
    fn set_private_stream_reader_wr(&self, py: Python<'_>, reader: Option<Py<PyWeakrefReference>>) {
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
    fn _strong_reader(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.strong_reader.as_ref().map(|r| r.clone_ref(py)))
    }

    #[setter(_strong_reader)]
    fn set_private_strong_reader(&self, py: Python<'_>, reader: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.strong_reader, reader)));
    }

    #[getter]
    fn _transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py)))
    }

    #[setter(_transport)]
    fn set_private_transport(&self, py: Python<'_>, transport: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.transport, transport)));
    }

    #[getter]
    fn _client_connected_cb(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.callback.as_ref().map(|c| c.clone_ref(py)))
    }

    #[setter(_client_connected_cb)]
    fn set_private_client_connected_cb(&self, py: Python<'_>, callback: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.callback, callback)));
    }

    #[getter]
    fn _task(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.task.as_ref().map(|t| t.clone_ref(py)))
    }

    #[setter(_task)]
    fn set_private_task(&self, py: Python<'_>, task: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.task, task)));
    }

    #[getter]
    fn _stream_writer(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.writer.as_ref().map(|w| w.clone_ref(py)))
    }

    #[setter(_stream_writer)]
    fn set_private_stream_writer(&self, py: Python<'_>, writer: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.writer, writer)));
    }

    #[getter]
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.source_traceback.as_ref().map(|tb| tb.clone_ref(py)))
    }

    /// A copy, in the order in which they wait.
    #[getter]
    fn _drain_waiters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let waiters =
            self.state.with(py, |s| s.drain_waiters.iter().map(|w| w.clone_ref(py)).collect::<Vec<_>>());
        py.import("collections")?.getattr("deque")?.call1((waiters,))
    }

    #[getter]
    fn _reject_connection(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.reject_connection)
    }

    #[setter(_reject_connection)]
    fn set_private_reject_connection(&self, py: Python<'_>, reject: bool) {
        self.state.with(py, |s| s.reject_connection = reject);
    }

    #[getter]
    fn _over_ssl(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.over_ssl)
    }

    #[setter(_over_ssl)]
    fn set_private_over_ssl(&self, py: Python<'_>, over_ssl: bool) {
        self.state.with(py, |s| s.over_ssl = over_ssl);
    }

    #[getter]
    fn _paused(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.paused)
    }

    #[setter(_paused)]
    fn set_private_paused(&self, py: Python<'_>, paused: bool) {
        self.state.with(py, |s| s.paused = paused);
    }

    #[getter]
    fn _connection_lost(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.lost)
    }

    #[setter(_connection_lost)]
    fn set_private_connection_lost(&self, py: Python<'_>, lost: bool) {
        self.state.with(py, |s| s.lost = lost);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        let state = self.state.traverse();
        visit.call(&state.reader)?;
        for object in [&state.loop_, &state.strong_reader, &state.transport, &state.callback, &state.task] {
            visit.call(object)?;
        }
        for object in [&state.writer, &state.source_traceback, &state.closed_waiter] {
            visit.call(object)?;
        }
        if let Some(Closed::With(error)) = &state.closed {
            visit.call(error)?;
        }
        state.drain_waiters.iter().try_for_each(|waiter| visit.call(waiter))
    }

    fn __clear__(&self) {
        Python::attach(|py| drop(self.state.with(py, std::mem::take)));
    }
}
