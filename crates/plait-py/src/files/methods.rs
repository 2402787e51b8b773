//! A file's Python methods, for the coroutines of `plait.fs` and for `io.TextIOWrapper`.

use super::file::File;
use crate::event_loop::sock::writable;
use crate::ffi;
use plait_core::files::descriptor::Descriptor;
use plait_core::files::opening;
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

/// What an attempt answers that has to be tried again.
type Tried<'py, T> = PyResult<Option<T>>;

#[pymethods]
impl File {
    /// Reads `count` bytes, or fewer at the end; all of them with a negative number or None.
    #[pyo3(signature = (count = None, /))]
    fn take<'py>(&self, py: Python<'py>, count: Option<isize>) -> Tried<'py, Bound<'py, PyBytes>> {
        let count = count.unwrap_or(-1);
        if count < -1 && !self.is_raw() {
            drop(self.descriptor(py, "read of closed file")?);
            return Err(PyValueError::new_err("read length must be non-negative or -1"));
        }
        match usize::try_from(count) {
            Err(_) => self.take_rest(py),
            Ok(count) if self.is_raw() => File::take_once(self, py, count),
            Ok(count) => self.take_exactly(py, count),
        }
    }

    /// What one system call gives.
    #[pyo3(name = "take_once")]
    fn py_take_once<'py>(&self, py: Python<'py>, count: isize) -> Tried<'py, Bound<'py, PyBytes>> {
        File::take_once(self, py, usize::try_from(count).unwrap_or(self.buffer_size))
    }

    #[pyo3(signature = (limit = None, /))]
    fn take_line<'py>(&self, py: Python<'py>, limit: Option<isize>) -> Tried<'py, Bound<'py, PyBytes>> {
        self.take_to_newline(py, limit.and_then(|limit| usize::try_from(limit).ok()))
    }

    #[pyo3(name = "take_into")]
    fn py_take_into(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>, once: bool) -> PyResult<Option<usize>> {
        let view = writable(buffer)?;
        ffi::with_bytes_mut(&view, |bytes| File::take_into(self, py, bytes, once || self.is_raw()))
    }

    fn look<'py>(&self, py: Python<'py>) -> Tried<'py, Bound<'py, PyBytes>> {
        self.peek_at(py)
    }

    fn bytes_ready(&self, py: Python<'_>, count: usize) -> PyResult<Option<bool>> {
        self.has_ahead(py, count)
    }

    fn line_ready(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.has_line_ahead(py)
    }

    fn all_ready(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.has_all_ahead(py)
    }

    /// True when all that was written is in the file.
    fn drained(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.attempt(py, "flush of closed file", |_| super::attempts::Attempt::Done(true))
    }

    #[pyo3(name = "move_to")]
    fn py_move_to(&self, py: Python<'_>, offset: i64, whence: i32) -> PyResult<Option<u64>> {
        match File::move_to(self, py, offset, whence)? {
            None => Ok(None),
            Some(Ok(position)) => Ok(Some(position)),
            Some(Err(errno)) => Err(crate::errors::os_error_with(py, errno, None)),
        }
    }

    /// Begins what the last attempt lacks; a future of its end.
    fn proceed(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        File::want(slf)
    }

    /// Whether an operation is at the file.
    #[getter]
    fn busy(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.busy)
    }

    /// Whether that operation writes.
    #[getter]
    fn writing(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.writing)
    }

    /// Whether a write is under way beside it.
    #[getter]
    fn aside(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.aside)
    }

    /// A future of that write's end.
    fn wait_aside(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        File::wait_while(slf, |s| s.aside)
    }

    /// Nobody waits any more for what this future of `proceed` stands for.
    fn give_up(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) {
        // A seek's answer is for whoever asked: the file may be elsewhere when the same is asked again.
        slf.get().state.with(slf.py(), |s| (s.sought, s.position) = (None, None));
        slf.get().engine.get().give_up(future);
    }

    /// Puts bytes into the buffer if they fit, and says how many there are. None if they do not, or an operation is at the file.
    fn put(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        drop(self.descriptor(py, "write to closed file")?);
        let view = super::engine::written(data)?;
        Ok(self.state.with(py, |s| {
            let fits = !s.busy && self.has_room(s.behind.len(), view.len_bytes());
            fits.then(|| {
                s.rewind();
                ffi::with_bytes(&view, |bytes| s.behind.extend_from_slice(bytes));
                view.len_bytes()
            })
        }))
    }

    /// The same if they do not fit: then there is a future that stands for all of it being written. Nobody else may be at the file.
    fn put_and_drain(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<(usize, Option<Py<PyAny>>)> {
        let py = slf.py();
        let this = slf.get();
        let descriptor = this.descriptor(py, "write to closed file")?;
        let older = this.state.with(py, |s| s.behind.len());
        let length = this.stream_write(py, data)?;
        match this.has_room(older, length) {
            true => Ok((length, None)),
            false => Ok((length, Some(File::drain(slf, descriptor, older)?))),
        }
    }

    /// Whether more is to be written than the buffer is meant for.
    #[getter]
    fn crowded(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.behind.len() > self.buffer_size)
    }

    #[pyo3(name = "write_once")]
    fn py_write_once(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        drop(slf.get().descriptor(slf.py(), "write to closed file")?);
        let view = super::engine::written(data)?;
        File::write_once(slf, ffi::with_bytes(&view, <[u8]>::to_vec))
    }

    #[pyo3(name = "write_aside")]
    fn py_write_aside(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        drop(slf.get().descriptor(slf.py(), "write to closed file")?);
        let view = super::engine::written(data)?;
        File::write_aside(slf, ffi::with_bytes(&view, <[u8]>::to_vec))
    }

    #[pyo3(name = "truncate_to")]
    fn py_truncate_to(slf: &Bound<'_, Self>, length: u64) -> PyResult<Py<PyAny>> {
        File::truncate_to(slf, length)
    }

    #[pyo3(name = "sync")]
    fn py_sync(slf: &Bound<'_, Self>, data_only: bool) -> PyResult<Py<PyAny>> {
        File::sync(slf, data_only)
    }

    /// Closes the file; a future, where that has to be waited for.
    #[pyo3(name = "close_now")]
    fn py_close_now(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        File::close_now(slf)
    }

    /// Lets the methods below wait, for a thread that may.
    fn set_blocking(&self, py: Python<'_>, blocking: bool) {
        self.state.with(py, |s| s.blocking = blocking);
    }

    /// Has the methods below meet the end again and again, until it is let go of.
    fn hold_end(&self, py: Python<'_>, held: bool) {
        self.state.with(py, |s| {
            s.end_held = held;
            s.at_end &= held;
        });
    }

    /// Gives the descriptor away, as a number, and whether whoever has it must close it. None while an operation is at it.
    fn detach(&self, py: Python<'_>) -> PyResult<Option<(i32, bool)>> {
        let descriptor = self.state.with(py, |s| s.descriptor.take()).ok_or_else(|| self.closed_error(""))?;
        match Arc::try_unwrap(descriptor) {
            Ok(Descriptor::Owned(fd)) => Ok(Some((fd.into_raw_fd(), true))),
            Ok(Descriptor::Lent { lent, .. }) => Ok(Some((lent, false))),
            Err(shared) => {
                self.state.with(py, |s| s.descriptor = Some(shared));
                Ok(None)
            }
        }
    }

    #[getter]
    fn is_regular(&self) -> bool {
        self.facts.is_regular()
    }

    #[getter]
    #[pyo3(name = "is_local")]
    fn py_is_local(&self) -> bool {
        File::is_local(self)
    }

    #[getter]
    #[pyo3(name = "buffer_size")]
    fn py_buffer_size(&self) -> usize {
        self.buffer_size
    }

    #[getter]
    fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.openness.name.clone_ref(py)
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.state.with(py, |s| s.descriptor.is_none())
    }

    fn readable(&self, py: Python<'_>) -> PyResult<bool> {
        drop(self.descriptor(py, "")?);
        Ok(self.openness.readable)
    }

    fn writable(&self, py: Python<'_>) -> PyResult<bool> {
        drop(self.descriptor(py, "")?);
        Ok(self.openness.writable)
    }

    fn seekable(&self, py: Python<'_>) -> PyResult<bool> {
        self.can_seek(py)
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.descriptor(py, "").map(|descriptor| descriptor.shown())
    }

    fn isatty(&self, py: Python<'_>) -> PyResult<bool> {
        self.descriptor(py, "").map(|descriptor| opening::is_terminal(descriptor.number()))
    }

    #[pyo3(signature = (count = None, /))]
    fn read<'py>(&self, py: Python<'py>, count: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.stream_read(py, count.and_then(|count| usize::try_from(count).ok()), false)
    }

    #[pyo3(signature = (count = -1, /))]
    fn read1<'py>(&self, py: Python<'py>, count: isize) -> PyResult<Bound<'py, PyBytes>> {
        self.stream_read(py, Some(usize::try_from(count).unwrap_or(self.buffer_size)), true)
    }

    #[pyo3(signature = (data, /))]
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.stream_write(py, data)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.stream_flush(py)
    }

    #[pyo3(signature = (offset, whence = 0, /))]
    fn seek(&self, py: Python<'_>, offset: i64, whence: i32) -> PyResult<u64> {
        self.stream_seek(py, offset, whence)
    }

    fn tell(&self, py: Python<'_>) -> PyResult<u64> {
        self.stream_tell(py)
    }

    /// Marks it closed and lets go of the descriptor; what is to be written is lost.
    fn close(&self, py: Python<'_>) {
        let descriptor = self.state.with(py, |s| s.descriptor.take());
        drop(descriptor);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.engine)?;
        visit.call(&self.openness.name)?;
        for waiter in &self.state.traverse().waiters {
            visit.call(waiter)?;
        }
        Ok(())
    }
}
