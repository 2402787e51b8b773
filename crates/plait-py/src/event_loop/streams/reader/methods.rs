//! StreamReader's Python methods, and the attributes of asyncio's own for those who reach for them.

use super::arguments::{bytes_like, limit_as_length};
use super::{ReaderState, StreamReader, DEFAULT_LIMIT};
use crate::arguments::Given;
use crate::event_loop::streams::{fail, loop_or_current, new_future, plain};
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::Sought;
use pyo3::exceptions::{PyAssertionError, PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyTuple};

#[pymethods]
impl StreamReader {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> StreamReader {
        StreamReader { state: Guarded::new(ReaderState::new(DEFAULT_LIMIT)), built: Built::new() }
    }

    #[pyo3(signature = (limit = Given(None), r#loop = None))]
    fn __init__(slf: &Bound<'_, Self>, limit: Given<'_>, r#loop: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        if let Given(Some(limit)) = limit {
            if limit.le(0)? {
                return Err(PyValueError::new_err("Limit cannot be <= 0"));
            }
            slf.get().set_private_limit(limit)?;
        }
        let loop_ = loop_or_current(py, r#loop)?;
        let source_traceback = match loop_.call_method0(intern!(py, "get_debug"))?.is_truthy()? {
            true => Some(standard(py).extract_stack.call0(py)?),
            false => None,
        };
        let loop_ = Some(loop_.unbind());
        let replaced = slf.get().state.with(py, |s| {
            let (limit, length) = (s.limit.take(), s.stream.limit());
            let fresh = ReaderState { limit, loop_, source_traceback, ..ReaderState::new(length) };
            std::mem::replace(s, fresh)
        });
        drop(replaced);
        Ok(())
    }

    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        match slf.is_exact_instance_of::<StreamReader>() {
            true => standard(slf.py()).stream_reader.bind(slf.py()).clone().into_any(),
            false => slf.get_type().into_any(),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let this = slf.get();
        let mut text = String::from("<StreamReader");
        let waiting = this.with_stream(py, |stream| stream.buffer().len())?;
        if waiting > 0 {
            text.push_str(&format!(" {waiting} bytes"));
        }
        if this._eof(py) {
            text.push_str(" eof");
        }
        if !this._limit(py)?.eq(DEFAULT_LIMIT)? {
            text.push_str(&format!(" limit={}", this._limit(py)?));
        }
        let named = [
            ("waiter", this._waiter(py)),
            ("exception", this.exception(py)),
            ("transport", this._transport(py)),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                if value.bind(py).is_truthy()? {
                    text.push_str(&format!(" {name}={}", value.bind(py).repr()?));
                }
            }
        }
        text.push_str(if this._paused(py) { " paused>" } else { ">" });
        Ok(text)
    }

    // ---- the transport's side

    /// Add bytes that have arrived. AssertionError after `feed_eof`.
    fn feed_data(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        if this._eof(py) {
            return Err(PyAssertionError::new_err("feed_data after feed_eof"));
        }
        if !data.is_truthy()? {
            return Ok(());
        }
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            this.keep(bytes.clone())?;
        } else if let Some(view) = bytes_like(data) {
            drop(ffi::with_bytes(&view, |bytes| this.with_stream(py, |stream| stream.extend(bytes)))?);
        } else {
            // Whatever else a bytearray can be extended by, and the refusal of what it cannot.
            let bytes = PyByteArray::new(py, &[]);
            bytes.call_method1(intern!(py, "extend"), (data,))?;
            let bytes = bytes.to_vec();
            drop(this.with_stream(py, |stream| stream.extend(&bytes))?);
        }
        this.arrived(py)
    }

    /// No more is going to arrive.
    fn feed_eof(&self, py: Python<'_>) -> PyResult<()> {
        self.end(py)
    }

    /// The exception that reads raise, or None.
    fn exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.exception.as_ref().map(|e| e.clone_ref(py)))
    }

    /// Let this exception be raised by the read that waits and by those to come.
    fn set_exception(&self, exc: Bound<'_, PyAny>) -> PyResult<()> {
        let py = exc.py();
        let kept = (!exc.is_none()).then(|| exc.clone().unbind());
        let (replaced, waiter) =
            self.state.with(py, |s| (std::mem::replace(&mut s.exception, kept), s.waiter.take()));
        drop(replaced);
        waiter.map_or(Ok(()), |waiter| fail(waiter.bind(py), &exc))
    }

    /// The transport to pause when more than twice the limit waits. AssertionError when one is set already.
    fn set_transport(&self, transport: Bound<'_, PyAny>) -> PyResult<()> {
        if self.state.with(transport.py(), |s| s.transport.is_some()) {
            return Err(PyAssertionError::new_err("Transport already set"));
        }
        self.set_private_transport(transport);
        Ok(())
    }

    /// Whether the end was announced and everything was read.
    fn at_eof(&self, py: Python<'_>) -> PyResult<bool> {
        self.with_stream(py, |stream| stream.has_ended() && stream.buffer().is_empty())
    }

    fn _wakeup_waiter(&self, py: Python<'_>) -> PyResult<()> {
        self.wake_waiter(py)
    }

    fn _maybe_resume_transport(&self, py: Python<'_>) -> PyResult<()> {
        self.maybe_resume(py)
    }

    // ---- what the coroutines of `plait._streams` ask for

    /// For `readline`: a line that is there, or None: then `readuntil` is to be asked, as also where a
    /// subclass or the object itself may have one of its own.
    fn _take_line(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        if plain::<StreamReader>(slf.as_any()).is_none() {
            return Ok(None);
        }
        this.check(py)?;
        match this.with_stream(py, |stream| stream.seek(&[b"\n"], false))? {
            Sought::Found(end) => this.take_and_resume(py, end).map(Some),
            _ => Ok(None),
        }
    }

    /// For `readline` when the line is too long: throws it away if its end, after so many bytes, is there, else everything.
    fn _skip_line(&self, py: Python<'_>, consumed: usize) -> PyResult<()> {
        let dropped = self.with_stream(py, |stream| {
            let ends = stream.buffer().as_slice().get(consumed) == Some(&b'\n');
            stream.consume(if ends { consumed + 1 } else { usize::MAX })
        })?;
        drop(dropped);
        self.maybe_resume(py)
    }

    /// For `readuntil` after a wait.
    fn _take_until_again(&self, separator: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        self.take_until(separator, true)
    }

    /// For `readexactly` after a wait.
    fn _take_exactly_again(&self, n: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        self.take_exactly(n, true)
    }

    /// The future to wait for in the method of that name; a paused transport goes on.
    fn _arrival(&self, py: Python<'_>, func_name: &str) -> PyResult<Py<PyAny>> {
        let (waiting, ended, paused) =
            self.state.with(py, |s| (s.waiter.is_some(), s.stream.has_ended(), s.paused));
        if waiting {
            return Err(PyRuntimeError::new_err(format!(
                "{func_name}() called while another coroutine is already waiting for incoming data"
            )));
        }
        if ended {
            return Err(PyAssertionError::new_err("_wait_for_data after EOF"));
        }
        // Set after the last arrival, before this read had its turn: nothing else is going to wake it.
        self.check(py)?;
        if paused {
            self.resume(py)?;
        }
        let loop_ = self._loop(py).unwrap_or_else(|| py.None());
        let waiter = new_future(loop_.bind(py))?.unbind();
        let kept = waiter.clone_ref(py);
        let replaced = self.state.with(py, |s| s.waiter.replace(kept));
        drop(replaced);
        Ok(waiter)
    }

    /// The wait for that future was given up.
    fn _give_up(&self, waiter: &Bound<'_, PyAny>) {
        let given_up = self.state.with(waiter.py(), |s| match &s.waiter {
            Some(own) if own.is(waiter) => s.waiter.take(),
            _ => None,
        });
        drop(given_up);
    }

    // ---- what asyncio's own has, for those who reach for it

    /// The contents as a bytearray, which may be changed. From then on each call costs a copy of it.
    #[getter]
    fn _buffer<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        if let Some(open) = self.state.with(py, |s| s.open.as_ref().map(|open| open.clone_ref(py))) {
            return open.into_bound(py);
        }
        let contents = self.state.with(py, |s| s.stream.buffer().as_slice().to_vec());
        let open = PyByteArray::new(py, &contents);
        let kept = open.clone().unbind();
        let dropped = self.state.with(py, |s| (s.open.replace(kept), s.stream.consume(usize::MAX)));
        drop(dropped);
        open
    }

    #[setter(_buffer)]
    fn set_private_buffer(&self, buffer: Bound<'_, PyByteArray>) {
        let py = buffer.py();
        let buffer = buffer.unbind();
        drop(self.state.with(py, |s| (s.open.replace(buffer), s.stream.consume(usize::MAX))));
    }

    #[getter]
    fn _limit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.state.with(py, |s| s.limit.as_ref().map(|limit| limit.clone_ref(py))) {
            Some(limit) => Ok(limit.into_bound(py)),
            None => Ok(DEFAULT_LIMIT.into_pyobject(py)?.into_any()),
        }
    }

    #[setter(_limit)]
    fn set_private_limit(&self, limit: Bound<'_, PyAny>) -> PyResult<()> {
        let py = limit.py();
        let length = limit_as_length(&limit)?;
        let limit = limit.unbind();
        let replaced = self.state.with(py, |s| {
            s.stream.set_limit(length);
            s.limit.replace(limit)
        });
        drop(replaced);
        Ok(())
    }

    #[getter]
    fn _loop(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.loop_.as_ref().map(|l| l.clone_ref(py)))
    }

    #[setter(_loop)]
    fn set_private_loop(&self, loop_: Bound<'_, PyAny>) {
        let py = loop_.py();
        let loop_ = loop_.unbind();
        drop(self.state.with(py, |s| s.loop_.replace(loop_)));
    }

    #[getter]
    fn _eof(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.stream.has_ended())
    }

    #[setter(_eof)]
    fn set_private_eof(&self, py: Python<'_>, ended: bool) {
        self.state.with(py, |s| s.stream.set_ended(ended));
    }

    #[getter]
    fn _waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.waiter.as_ref().map(|w| w.clone_ref(py)))
    }

    #[setter(_waiter)]
    fn set_private_waiter(&self, py: Python<'_>, waiter: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.waiter, waiter)));
    }

    #[getter]
    fn _exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.exception(py)
    }

    #[setter(_exception)]
    fn set_private_exception(&self, py: Python<'_>, exception: Option<Py<PyAny>>) {
        drop(self.state.with(py, |s| std::mem::replace(&mut s.exception, exception)));
    }

    #[getter]
    fn _transport(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py)))
    }

    #[setter(_transport)]
    fn set_private_transport(&self, transport: Bound<'_, PyAny>) {
        let py = transport.py();
        let transport = (!transport.is_none()).then(|| transport.unbind());
        drop(self.state.with(py, |s| std::mem::replace(&mut s.transport, transport)));
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
    fn _source_traceback(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state.with(py, |s| s.source_traceback.as_ref().map(|tb| tb.clone_ref(py)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        let state = self.state.traverse();
        for object in [&state.limit, &state.loop_, &state.waiter, &state.exception, &state.transport] {
            visit.call(object)?;
        }
        visit.call(&state.source_traceback)?;
        visit.call(&state.open)
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let cleared = self.state.with(py, |s| {
                (
                    s.loop_.take(),
                    s.waiter.take(),
                    s.exception.take(),
                    s.transport.take(),
                    s.source_traceback.take(),
                )
            });
            drop(cleared);
        });
    }
}
