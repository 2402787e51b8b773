//! What the coroutines of `plait._streams` ask for: bytes off the buffer, by the rules of `plait_core::net::stream`.
//!
//! Each question has the answer at once or None, which says that the coroutine has to wait and ask again.

use super::arguments::{empty_separator, separators, size, Separator, Size};
use super::StreamReader;
use crate::fastcall::{self, one_argument_method};
use crate::standard::standard;
use plait_core::net::{Counted, Sought};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyTuple};

one_argument_method!(take_entry, StreamReader, "StreamReader._take", StreamReader::take_some);
one_argument_method!(
    take_available_entry,
    StreamReader,
    "StreamReader._take_available",
    StreamReader::take_available
);
one_argument_method!(
    take_until_entry,
    StreamReader,
    "StreamReader._take_until",
    StreamReader::take_until_first
);
one_argument_method!(
    take_exactly_entry,
    StreamReader,
    "StreamReader._take_exactly",
    StreamReader::take_exactly_first
);

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
    /// The first bytes, at most so many, as an object. A message that came whole is handed on as it came.
    #[inline]
    pub(super) fn take<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyAny>> {
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
    pub(super) fn take_and_resume(&self, py: Python<'_>, most: usize) -> PyResult<Py<PyAny>> {
        let taken = self.take(py, most)?;
        self.maybe_resume(py)?;
        Ok(taken.unbind())
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
    pub(super) fn take_until(
        &self,
        separator: &Bound<'_, PyAny>,
        resumed: bool,
    ) -> PyResult<Option<Py<PyAny>>> {
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
    pub(super) fn take_exactly(&self, n: &Bound<'_, PyAny>, resumed: bool) -> PyResult<Option<Py<PyAny>>> {
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
