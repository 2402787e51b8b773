//! The file as the standard `io.TextIOWrapper` sees it: a buffered binary file whose methods do not wait.
//!
//! Decoding, newlines and the cookies of `tell` are the standard library's own work, exact to the last corner. The coroutines of a text file see
//! that what the wrapper is going to read has been read ahead; what it writes goes into the buffer. Where nobody can know how much it
//! will read (a codec of one's own), the call is made in another thread, and then these methods wait.

use super::attempts::seek_in;
use super::file::File;
use crate::errors::os_error_with;
use crate::ffi;
use plait_core::files::opening;
use plait_core::files::plan::{perform, Read, Until, Write};
use plait_core::files::{Done, Failure};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

impl File {
    /// What is there, at most `count` bytes; nothing at the end.
    pub fn stream_read<'py>(
        &self,
        py: Python<'py>,
        count: Option<usize>,
        once: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if self.state.with(py, |s| s.blocking && !s.behind.is_empty()) {
            // The position is before what is to be written: read first, that would be written over what follows what was read.
            self.stream_flush(py)?;
        }
        loop {
            let descriptor = self.descriptor(py, "read of closed file")?;
            let (available, at_end, blocking) =
                self.state.with(py, |s| (s.unread().len(), s.at_end, s.blocking));
            let enough = match count {
                Some(count) => available >= count || (once && available > 0),
                None => false,
            };
            if enough || at_end {
                return Ok(self.state.with(py, |s| {
                    let taken = count.unwrap_or(available).min(available);
                    // The end was told by a read that comes short of what it asked for.
                    if count.is_none_or(|count| taken < count) && taken == available && !(once && taken > 0) {
                        s.at_end = s.end_held;
                    }
                    let bytes = PyBytes::new(py, &s.unread()[..taken]);
                    s.advance(taken);
                    bytes
                }));
            }
            if !blocking {
                return Err(PyRuntimeError::new_err("a text file's codec has read more than was there"));
            }
            let want = count.unwrap_or(0).max(self.buffer_size);
            let plan = Box::new(Read::new(descriptor, Vec::new(), want, Until::Once));
            match py.detach(move || perform(plan)) {
                Done::Bytes(bytes) => self.state.with(py, |s| s.append(bytes)),
                Done::Failed(failure) => return Err(os_error_with(py, failure.errno, None)),
                _ => {}
            }
        }
    }

    /// Into the buffer.
    pub fn stream_write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        drop(self.descriptor(py, "write to closed file")?);
        let view = super::engine::written(data)?;
        let length = view.len_bytes();
        self.state.with(py, |s| {
            s.rewind();
            ffi::with_bytes(&view, |bytes| s.behind.extend_from_slice(bytes));
        });
        Ok(length)
    }

    /// In a thread that may wait: writes what is to be written.
    pub fn stream_flush(&self, py: Python<'_>) -> PyResult<()> {
        drop(self.descriptor(py, "flush of closed file")?);
        match self.state.with(py, |s| s.blocking) {
            true => self.write_waiting(py),
            false => Ok(()),
        }
    }

    /// Writes what is to be written, and waits.
    pub fn write_waiting(&self, py: Python<'_>) -> PyResult<()> {
        let descriptor = self.descriptor(py, "flush of closed file")?;
        let data = self.state.with(py, |s| std::mem::take(&mut s.behind));
        if data.is_empty() {
            return Ok(());
        }
        let plan = Box::new(Write::new(descriptor, data, false));
        match py.detach(move || perform(plan)) {
            Done::Failed(Failure { errno, rest, .. }) => {
                self.state.with(py, |s| s.behind = rest);
                Err(os_error_with(py, errno, None))
            }
            _ => Ok(()),
        }
    }

    pub fn stream_seek(&self, py: Python<'_>, offset: i64, whence: i32) -> PyResult<u64> {
        self.stream_flush(py)?;
        let found = self.state.with(py, |s| seek_in(s, offset, whence));
        found.map_err(|errno| os_error_with(py, errno, None))
    }

    /// Where the file is, for whoever reads and writes it.
    pub fn stream_tell(&self, py: Python<'_>) -> PyResult<u64> {
        drop(self.descriptor(py, "")?);
        let found = self.state.with(py, |s| {
            let kernel = opening::seek_number(s.number, 0, libc::SEEK_CUR)?;
            Ok((kernel + s.behind.len() as u64).saturating_sub(s.unread().len() as u64))
        });
        found.map_err(|errno: rustix::io::Errno| os_error_with(py, errno.raw_os_error(), None))
    }

    /// Whether the position can be moved: not a pipe, a terminal, a socket.
    pub fn can_seek(&self, py: Python<'_>) -> PyResult<bool> {
        drop(self.descriptor(py, "")?);
        Ok(self.state.with(py, |s| {
            let number = s.number;
            *s.seekable.get_or_insert_with(|| opening::seek_number(number, 0, libc::SEEK_CUR).is_ok())
        }))
    }
}
