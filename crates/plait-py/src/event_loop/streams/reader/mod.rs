//! StreamReader: what arrived and was not read yet, and the one read that waits for more. `arrivals` fills it, `take` empties
//! it, `arguments` understands what it is given.

mod arguments;
mod arrivals;
mod methods;
mod take;

pub use take::install_methods;

use crate::guarded::{Built, Guarded};
use plait_core::net::Stream;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PySlice};

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

    /// Raises what `set_exception` was given.
    #[inline]
    pub(super) fn check(&self, py: Python<'_>) -> PyResult<()> {
        match self.state.with(py, |s| s.exception.as_ref().map(|e| e.clone_ref(py))) {
            None => Ok(()),
            Some(exception) => Err(raised(exception.bind(py))),
        }
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
