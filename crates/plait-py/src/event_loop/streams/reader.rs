//! StreamReader: what arrived and was not read yet, and the one read that waits for more.

use super::{fail, loop_or_current, new_future, wake};
use crate::event_loop::sock::contiguous;
use crate::fastcall::{self, one_argument_method};
use crate::ffi;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use plait_core::net::{Counted, Sought, Stream};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{
    PyAssertionError, PyNotImplementedError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyMemoryView, PySlice, PyTuple};

/// asyncio's default, in bytes.
const DEFAULT_LIMIT: usize = 64 * 1024;

pub(super) struct ReaderState {
    stream: Stream<PyBackedBytes>,
    /// As it was given: any number that can be compared.
    limit: Option<Py<PyAny>>,
    loop_: Option<Py<PyAny>>,
    waiter: Option<Py<PyAny>>,
    exception: Option<Py<PyAny>>,
    transport: Option<Py<PyAny>>,
    source_traceback: Option<Py<PyAny>>,
    /// Made when somebody reaches for `_buffer`: from then on the contents are there between any two calls.
    open: Option<Py<PyByteArray>>,
    paused: bool,
}

impl ReaderState {
    fn new(limit: usize) -> ReaderState {
        ReaderState {
            stream: Stream::new(limit),
            limit: None,
            loop_: None,
            waiter: None,
            exception: None,
            transport: None,
            source_traceback: None,
            open: None,
            paused: false,
        }
    }
}

/// What may still wait: up to so many bytes.
enum Size {
    Negative,
    Most(usize),
}

#[pyclass(module = "plait._native", frozen, subclass, dict, weakref)]
pub struct StreamReader {
    state: Guarded<ReaderState>,
    built: Built,
}

impl StreamReader {
    /// Works on the stream. Where `_buffer` was reached for, its contents go in before and out after.
    #[inline]
    fn with_stream<R>(
        &self,
        py: Python<'_>,
        body: impl FnOnce(&mut Stream<PyBackedBytes>) -> R,
    ) -> PyResult<R> {
        match self.state.with(py, |s| s.open.as_ref().map(|open| open.clone_ref(py))) {
            None => Ok(self.state.with(py, |s| body(&mut s.stream))),
            Some(open) => self.with_open_stream(open.bind(py), body),
        }
    }

    #[cold]
    fn with_open_stream<R>(
        &self,
        open: &Bound<'_, PyByteArray>,
        body: impl FnOnce(&mut Stream<PyBackedBytes>) -> R,
    ) -> PyResult<R> {
        let py = open.py();
        let before = open.to_vec();
        let (result, after, dropped) = self.state.with(py, |s| {
            s.stream.extend(&before);
            let result = body(&mut s.stream);
            let after = s.stream.buffer().as_slice().to_vec();
            let dropped = s.stream.consume(usize::MAX);
            (result, after, dropped)
        });
        drop(dropped);
        if after != before {
            open.set_item(PySlice::full(py), PyBytes::new(py, &after))?;
        }
        Ok(result)
    }

    /// The first bytes, at most so many, as an object. A message that came whole is handed on as it came.
    #[inline]
    fn take<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyAny>> {
        enum Taken<'py> {
            Whole(PyBackedBytes),
            Copied(Bound<'py, PyBytes>, Option<PyBackedBytes>),
        }
        let taken = self.with_stream(py, |stream| match stream.take_chunk(most) {
            Some(chunk) => Taken::Whole(chunk),
            None => {
                let bytes = stream.buffer().as_slice();
                let count = bytes.len().min(most);
                let copied = PyBytes::new(py, &bytes[..count]);
                Taken::Copied(copied, stream.consume(count))
            }
        })?;
        match taken {
            Taken::Whole(chunk) => Ok(chunk.into_pyobject(py)?.into_any()),
            Taken::Copied(bytes, spent) => {
                drop(spent);
                Ok(bytes.into_any())
            }
        }
    }

    /// The same, then lets a paused transport go on if there is room again.
    #[inline]
    fn take_and_resume(&self, py: Python<'_>, most: usize) -> PyResult<Py<PyAny>> {
        let taken = self.take(py, most)?;
        self.maybe_resume(py)?;
        Ok(taken.unbind())
    }

    #[inline]
    fn maybe_resume(&self, py: Python<'_>) -> PyResult<()> {
        if self.state.with(py, |s| s.paused) && self.with_stream(py, |stream| stream.is_under_mark())? {
            return self.resume(py);
        }
        Ok(())
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.state.with(py, |s| {
            s.paused = false;
            s.transport.as_ref().map(|t| t.clone_ref(py))
        });
        let transport = transport.unwrap_or_else(|| py.None());
        transport.bind(py).call_method0(intern!(py, "resume_reading")).map(drop)
    }

    /// Raises what `set_exception` was given.
    #[inline]
    pub(super) fn check(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.exception.as_ref().map(|e| e.clone_ref(py))) {
            None => Ok(()),
            Some(exception) => Err(raised(exception.bind(py))),
        }
    }

    /// Whether a transport may `store` what it receives, instead of calling `feed_data`.
    #[inline]
    pub fn stores(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.open.is_none() && !s.stream.has_ended())
    }

    /// What a transport has read from its socket, for a reader that `stores`. Runs no Python; `arrived` is to follow.
    #[inline]
    pub fn store(&self, py: Python<'_>, data: &[u8]) {
        let displaced = self.state.with(py, |s| match s.stream.buffer().is_empty() {
            true => s.stream.fill(PyBackedBytes::from(PyBytes::new(py, data))).err(),
            false => s.stream.extend(data),
        });
        drop(displaced);
    }

    /// Bytes were added: wakes who waits, and pauses the transport when there are too many.
    #[inline]
    pub fn arrived(&self, py: Python<'_>) -> PyResult<()> {
        self.wake_waiter(py)?;
        let can_pause = self.state.with(py, |s| s.transport.is_some() && !s.paused);
        if can_pause && self.with_stream(py, |stream| stream.is_over_mark())? {
            return self.pause(py);
        }
        Ok(())
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        let transport = self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py)));
        let Some(transport) = transport else { return Ok(()) };
        match transport.bind(py).call_method0(intern!(py, "pause_reading")) {
            Ok(_) => {
                self.state.with(py, |s| s.paused = true);
                Ok(())
            }
            // It cannot be paused: then everything is kept, and it is not asked again.
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                drop(self.state.with(py, |s| s.transport.take()));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn wake_waiter(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.waiter.take()) {
            None => Ok(()),
            Some(waiter) => wake(waiter.bind(py)),
        }
    }

    pub fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.state.with(py, |s| s.stream.set_ended(true));
        self.wake_waiter(py)
    }

    /// The answer of a search, once there is one.
    fn found(&self, py: Python<'_>, sought: Sought) -> PyResult<Option<Py<PyAny>>> {
        let errors = standard(py);
        match sought {
            Sought::Found(end) => self.take_and_resume(py, end).map(Some),
            Sought::NotYet => Ok(None),
            Sought::Ended => {
                let partial = self.take(py, usize::MAX)?;
                Err(PyErr::from_value(errors.incomplete_read_error.bind(py).call1((partial, py.None()))?))
            }
            Sought::FoundTooFar(consumed) | Sought::NotFound(consumed) => {
                let args = (too_long(sought), consumed);
                Err(PyErr::from_value(errors.limit_overrun_error.bind(py).call1(args)?))
            }
        }
    }
}

one_argument_method!(take_entry, StreamReader, "_take", StreamReader::take_some);
one_argument_method!(take_available_entry, StreamReader, "_take_available", StreamReader::take_available);
one_argument_method!(take_until_entry, StreamReader, "_take_until", StreamReader::take_until_first);
one_argument_method!(take_exactly_entry, StreamReader, "_take_exactly", StreamReader::take_exactly_first);

/// Adds what the coroutines of `plait._streams` ask for at each read.
pub fn install_methods(py: Python<'_>) -> PyResult<()> {
    let add = fastcall::install_with_one::<StreamReader>;
    add(
        py,
        c"_take",
        c"For read: up to n bytes, or None when it has to wait (or n is negative).",
        take_entry,
    )?;
    add(py, c"_take_available", c"For read after its wait: whatever is there.", take_available_entry)?;
    add(py, c"_take_until", c"For readuntil: the message, or None when it has to wait.", take_until_entry)?;
    add(py, c"_take_exactly", c"For readexactly: n bytes, or None when it has to wait.", take_exactly_entry)
}

impl StreamReader {
    fn take_some(slf: &Bound<'_, Self>, n: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = n.py();
        let this = slf.get();
        this.check(py)?;
        match size(n)? {
            Size::Negative => Ok(py.None()),
            Size::Most(0) => Ok(PyBytes::new(py, &[]).into_any().unbind()),
            Size::Most(most) => {
                let waits = this.with_stream(py, |s| s.buffer().is_empty() && !s.has_ended())?;
                if waits {
                    Ok(py.None())
                } else {
                    this.take_and_resume(py, most)
                }
            }
        }
    }

    fn take_available(slf: &Bound<'_, Self>, n: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match size(n)? {
            Size::Most(most) => slf.get().take_and_resume(n.py(), most),
            Size::Negative => slf.get().take_and_resume(n.py(), usize::MAX),
        }
    }

    fn take_until_first(slf: &Bound<'_, Self>, separator: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Ok(slf.get().take_until(separator, false)?.unwrap_or_else(|| slf.py().None()))
    }

    fn take_exactly_first(slf: &Bound<'_, Self>, n: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Ok(slf.get().take_exactly(n, false)?.unwrap_or_else(|| slf.py().None()))
    }

    #[inline]
    fn take_until(&self, separator: &Bound<'_, PyAny>, resumed: bool) -> PyResult<Option<Py<PyAny>>> {
        let py = separator.py();
        if let Ok(tuple) = separator.cast::<PyTuple>() {
            let separators = separators(tuple)?;
            if !resumed {
                self.check(py)?;
            }
            let sought = self.with_stream(py, |stream| stream.seek(&separators, resumed))?;
            return self.found(py, sought);
        }
        if separator.len()? == 0 {
            return Err(empty_separator());
        }
        if !resumed {
            self.check(py)?;
        }
        let separator = Separator::new(separator)?;
        let sought = self.with_stream(py, |stream| stream.seek(&[&separator], resumed))?;
        self.found(py, sought)
    }

    #[inline]
    fn take_exactly(&self, n: &Bound<'_, PyAny>, resumed: bool) -> PyResult<Option<Py<PyAny>>> {
        let py = n.py();
        let Size::Most(count) = size(n)? else {
            return Err(PyValueError::new_err("readexactly size can not be less than zero"));
        };
        if !resumed {
            self.check(py)?;
        }
        match self.with_stream(py, |stream| stream.count(count))? {
            Counted::Enough if count == 0 => Ok(Some(PyBytes::new(py, &[]).into_any().unbind())),
            Counted::Enough => self.take_and_resume(py, count).map(Some),
            Counted::NotYet => Ok(None),
            Counted::Ended => {
                let partial = self.take(py, usize::MAX)?;
                Err(PyErr::from_value(standard(py).incomplete_read_error.bind(py).call1((partial, n))?))
            }
        }
    }
}

fn too_long(sought: Sought) -> &'static str {
    match sought {
        Sought::FoundTooFar(_) => "Separator is found, but chunk is longer than limit",
        _ => "Separator is not found, and chunk exceed the limit",
    }
}

/// What `raise exception` raises.
fn raised(exception: &Bound<'_, PyAny>) -> PyErr {
    let instance = match exception.is_instance_of::<pyo3::types::PyType>() {
        true => exception.call0(),
        false => Ok(exception.clone()),
    };
    instance.map_or_else(|failed| failed, PyErr::from_value)
}

/// A number of bytes as asyncio compares and slices it.
#[inline]
fn size(n: &Bound<'_, PyAny>) -> PyResult<Size> {
    if n.is_exact_instance_of::<PyInt>() {
        if let Ok(n) = n.extract::<isize>() {
            return Ok(usize::try_from(n).map_or(Size::Negative, Size::Most));
        }
    }
    other_size(n)
}

#[cold]
fn other_size(n: &Bound<'_, PyAny>) -> PyResult<Size> {
    if n.lt(0)? {
        return Ok(Size::Negative);
    }
    if n.eq(0)? {
        return Ok(Size::Most(0));
    }
    let index = n.py().import("operator")?.call_method1("index", (n,)).map_err(|_| {
        PyTypeError::new_err("slice indices must be integers or None or have an __index__ method")
    })?;
    match index.extract::<usize>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(n.py()) => Ok(Size::Most(usize::MAX)),
        most => most.map(Size::Most),
    }
}

/// The bytes of the usual objects that have some.
fn bytes_like(data: &Bound<'_, PyAny>) -> Option<PyBuffer<u8>> {
    let known = data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>();
    if known {
        contiguous(data).ok()
    } else {
        None
    }
}

/// An argument that was left out differs from None.
struct Given<'py>(Option<Bound<'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Given(Some(object.to_owned())))
    }
}

/// A limit for comparisons with lengths: the next whole number below, or as much as can be.
fn limit_as_length(limit: &Bound<'_, PyAny>) -> PyResult<usize> {
    match size(limit) {
        Ok(Size::Most(limit)) => Ok(limit),
        Ok(Size::Negative) => Ok(0),
        Err(_) => limit.extract::<f64>().map(|limit| limit as usize),
    }
}

/// One separator of `readuntil`.
enum Separator {
    Bytes(PyBackedBytes),
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Separator {
    fn as_ref(&self) -> &[u8] {
        match self {
            Separator::Bytes(bytes) => bytes,
            Separator::Copied(bytes) => bytes,
        }
    }
}

impl Separator {
    #[inline]
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Separator> {
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return Ok(Separator::Bytes(PyBackedBytes::from(bytes.clone())));
        }
        let kind = object.get_type();
        let buffer = contiguous(object).map_err(|_| match kind.name() {
            Ok(kind) => {
                PyTypeError::new_err(format!("argument should be integer or bytes-like object, not '{kind}'"))
            }
            Err(error) => error,
        })?;
        Ok(Separator::Copied(ffi::with_bytes(&buffer, <[u8]>::to_vec)))
    }
}

/// The separators of a tuple, shortest first; those of one length in their order.
fn separators(tuple: &Bound<'_, PyTuple>) -> PyResult<Vec<Separator>> {
    let mut sorted = Vec::with_capacity(tuple.len());
    for object in tuple {
        sorted.push((object.len()?, object));
    }
    sorted.sort_by_key(|(length, _)| *length);
    match sorted.first() {
        None => return Err(PyValueError::new_err("Separator should contain at least one element")),
        Some((0, _)) => return Err(empty_separator()),
        Some(_) => {}
    }
    sorted.iter().map(|(_, object)| Separator::new(object)).collect()
}

fn empty_separator() -> PyErr {
    PyValueError::new_err("Separator should be at least one-byte string")
}

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
            let chunk = PyBackedBytes::from(bytes.clone());
            let displaced = this.with_stream(py, |stream| match stream.fill(chunk) {
                Ok(()) => [None, None],
                Err(chunk) => [stream.extend(&chunk), Some(chunk)],
            })?;
            drop(displaced);
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

    /// For `readline`: a line that is there, or None: then `readuntil` is to be asked, as also for a subclass, which may
    /// have one of its own.
    fn _take_line(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        if !slf.is_exact_instance_of::<StreamReader>() {
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
