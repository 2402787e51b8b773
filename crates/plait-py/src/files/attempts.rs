//! What is asked of a file, as far as it can be answered without waiting.
//!
//! Each attempt is whole or has changed nothing that can be seen: what was read is kept until all of the answer is there. `Ok(None)`: the
//! file's `lack` says what is missing.

use super::file::{File, FileState, Lack, Refill};
use crate::ffi;
use plait_core::files::opening;
use plait_core::files::quick;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What an attempt came to.
pub enum Attempt<T> {
    Done(T),
    Lacks(Lack),
}

impl File {
    /// Makes an attempt that needs a file nobody is at, with nothing to be written.
    pub fn attempt<T>(
        &self,
        py: Python<'_>,
        doing: &'static str,
        body: impl FnOnce(&mut FileState) -> Attempt<T>,
    ) -> PyResult<Option<T>> {
        let made = self.state.with(py, |s| {
            s.descriptor.as_ref()?;
            let attempt = match (s.busy, s.behind.is_empty()) {
                (true, _) => Attempt::Lacks(Lack::Peace),
                (false, false) => Attempt::Lacks(Lack::Drained),
                (false, true) => body(s),
            };
            Some(match attempt {
                Attempt::Done(value) => Some(value),
                Attempt::Lacks(lack) => {
                    s.lack = Some(lack);
                    None
                }
            })
        });
        made.ok_or_else(|| self.closed_error(doing))
    }

    /// What to ask the engine for when `missing` bytes are missing: of a regular file at least a buffer full, all of it; of others what
    /// comes, since more may not come for hours.
    fn bytes_lacking(&self, missing: usize) -> Lack {
        let want = if self.is_raw() { missing } else { missing.max(self.buffer_size) };
        Lack::Bytes { want, all: self.facts.is_regular() }
    }

    /// Exactly `count` bytes, or what there is up to the end.
    pub fn take_exactly<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if let Some(bytes) = self.take_past_buffer(py, count)? {
            return Ok(Some(bytes));
        }
        self.attempt(py, "read of closed file", |s| loop {
            let available = s.unread().len();
            if available >= count {
                return Attempt::Done(take(py, s, count));
            }
            match s.refill((count - available).max(self.buffer_size)) {
                Refill::Some => {}
                Refill::End => {
                    s.at_end = false;
                    return Attempt::Done(take(py, s, available));
                }
                Refill::NotNow => return Attempt::Lacks(self.bytes_lacking(count - available)),
            }
        })
    }

    /// A large read with nothing read ahead goes straight into the `bytes` that are handed out.
    fn take_past_buffer<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if count < self.buffer_size || count > quick::MOST_AT_ONCE {
            return Ok(None);
        }
        let number = self.state.with(py, |s| {
            let idle = s.quick && !s.busy && !s.at_end && s.unread().is_empty() && s.behind.is_empty();
            (idle && s.descriptor.is_some()).then_some(s.number)
        });
        let Some(number) = number else {
            return Ok(None);
        };
        let (mut complete, mut never) = (false, false);
        let read = ffi::bytes_filled_by(py, count, |memory| {
            let mut filled = 0;
            while filled < count {
                match quick::read(number, &mut memory[filled..]) {
                    quick::AtOnce::Read(more) => filled += more,
                    quick::AtOnce::End => {
                        complete = true;
                        break;
                    }
                    quick::AtOnce::NotNow => break,
                    quick::AtOnce::Never => {
                        never = true;
                        break;
                    }
                }
            }
            complete |= filled == count;
            Ok(filled)
        });
        let bytes = read.map_err(|error| crate::errors::os_error(py, &error))?;
        let bytes = bytes.unwrap_or_else(|| PyBytes::new(py, &[]));
        if complete {
            return Ok(Some(bytes));
        }
        // What there was waits for the rest.
        self.state.with(py, |s| {
            s.quick &= !never;
            s.ahead.extend_from_slice(bytes.as_bytes());
        });
        Ok(None)
    }

    /// All there is up to the end.
    pub fn take_rest<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let likely = self.facts.size as usize;
        if likely < quick::MOST_AT_ONCE && likely > 0 {
            // One more than there should be: a read that comes short of it has met the end.
            if let Some(bytes) = self.take_past_buffer(py, (likely + 1).max(self.buffer_size))? {
                if bytes.as_bytes().len() <= likely {
                    return Ok(Some(bytes));
                }
                // It has grown.
                self.state.with(py, |s| s.ahead.extend_from_slice(bytes.as_bytes()));
            }
        }
        self.attempt(py, "read of closed file", |s| match self.reach_end(s) {
            true => {
                s.at_end = false;
                let all = s.unread().len();
                Attempt::Done(take(py, s, all))
            }
            false => Attempt::Lacks(Lack::TheRest),
        })
    }

    /// Whether all up to the end has been read ahead, at most so much as may be read at once.
    fn reach_end(&self, s: &mut FileState) -> bool {
        loop {
            let large = s.unread().len() > quick::MOST_AT_ONCE;
            if large && !s.at_end {
                return false;
            }
            match s.refill(self.buffer_size.max(64 * 1024)) {
                Refill::Some => {}
                Refill::End => return true,
                Refill::NotNow => return false,
            }
        }
    }

    /// What one system call gives, up to `count` bytes; what was read ahead first.
    pub fn take_once<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.state.with(py, |s| self.is_part_of_a_read(s)) {
            return self.take_exactly(py, count);
        }
        self.attempt(py, "read of closed file", |s| {
            if count == 0 {
                return Attempt::Done(PyBytes::new(py, &[]));
            }
            match self.have_some(s, count) {
                Some(available) => Attempt::Done(take(py, s, available.min(count))),
                None => Attempt::Lacks(Lack::Bytes { want: count, all: false }),
            }
        })
    }

    /// Whether a file without a buffer has read ahead, for a line: the standard one would not have, and gives all that was asked for in one read.
    fn is_part_of_a_read(&self, s: &FileState) -> bool {
        self.is_raw() && self.facts.is_regular() && !s.unread().is_empty()
    }

    /// How much was read ahead; if nothing, after one look. 0 at the end.
    fn have_some(&self, s: &mut FileState, want: usize) -> Option<usize> {
        if s.unread().is_empty() {
            match s.refill(want) {
                Refill::NotNow => return None,
                Refill::End => s.at_end = false,
                Refill::Some => {}
            }
        }
        Some(s.unread().len())
    }

    /// What comes next, which stays there.
    pub fn peek_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.attempt(py, "peek of closed file", |s| match self.have_some(s, self.buffer_size) {
            Some(_) => Attempt::Done(PyBytes::new(py, s.unread())),
            None => Attempt::Lacks(Lack::Bytes { want: self.buffer_size, all: false }),
        })
    }

    /// Up to and including the next newline, at most `limit` bytes.
    pub fn take_to_newline<'py>(
        &self,
        py: Python<'py>,
        limit: Option<usize>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.attempt(py, "readline of closed file", |s| {
            let mut searched = 0;
            loop {
                let unread = s.unread();
                let reach = limit.unwrap_or(usize::MAX).min(unread.len());
                let found = unread[searched.min(reach)..reach].iter().position(|byte| *byte == b'\n');
                if let Some(place) = found {
                    return Attempt::Done(take(py, s, searched + place + 1));
                }
                if limit.is_some_and(|limit| unread.len() >= limit) {
                    return Attempt::Done(take(py, s, reach));
                }
                searched = unread.len();
                match s.refill(self.buffer_size) {
                    Refill::Some => {}
                    Refill::End => {
                        s.at_end = false;
                        return Attempt::Done(take(py, s, searched));
                    }
                    Refill::NotNow => {
                        return Attempt::Lacks(Lack::Bytes { want: self.buffer_size, all: false })
                    }
                }
            }
        })
    }

    /// Into memory of the caller's; with `once`, what one system call gives.
    pub fn take_into(&self, py: Python<'_>, into: &mut [u8], once: bool) -> PyResult<Option<usize>> {
        self.attempt(py, "readinto of closed file", |s| loop {
            let available = s.unread().len();
            let once = once && !self.is_part_of_a_read(s);
            if available >= into.len() || (once && available > 0) {
                return Attempt::Done(copy_out(s, into));
            }
            let missing = into.len() - available;
            let want = if self.is_raw() { missing } else { missing.max(self.buffer_size) };
            match s.refill(want) {
                Refill::Some => {}
                Refill::End => {
                    s.at_end = false;
                    return Attempt::Done(copy_out(s, into));
                }
                Refill::NotNow if once => return Attempt::Lacks(Lack::Bytes { want, all: false }),
                Refill::NotNow => return Attempt::Lacks(self.bytes_lacking(missing)),
            }
        })
    }

    /// True when so many bytes, or the end, have been read ahead.
    pub fn has_ahead(&self, py: Python<'_>, count: usize) -> PyResult<Option<bool>> {
        /// As in `has_line_ahead`: what a chunk gives does not depend on how much is asked for.
        const CHUNK: usize = 8192;
        let count = if self.facts.is_regular() { count.max(CHUNK) } else { count };
        self.attempt(py, "", |s| loop {
            let available = s.unread().len();
            if available >= count || s.at_end {
                return Attempt::Done(true);
            }
            if s.refill((count - available).clamp(self.buffer_size, quick::MOST_AT_ONCE)) == Refill::NotNow {
                return Attempt::Lacks(self.bytes_lacking(count - available));
            }
        })
    }

    /// True when a newline, or the end, has been read ahead, and a text file's next chunk, or the end. (A pipe's chunk is what has come.)
    pub fn has_line_ahead(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        /// As much as `io.TextIOWrapper` asks for at a time.
        const CHUNK: usize = 8192;
        let chunk = if self.facts.is_regular() { CHUNK } else { 1 };
        self.attempt(py, "", |s| {
            let mut searched = 0;
            loop {
                let unread = s.unread();
                if s.at_end || (unread.len() >= chunk && unread[searched..].contains(&b'\n')) {
                    return Attempt::Done(true);
                }
                if unread.len() >= chunk {
                    searched = unread.len();
                }
                if s.refill(CHUNK) == Refill::NotNow {
                    return Attempt::Lacks(Lack::Bytes { want: CHUNK, all: chunk > 1 });
                }
            }
        })
    }

    /// True when all up to the end has been read ahead.
    pub fn has_all_ahead(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.attempt(py, "", |s| match self.reach_end(s) {
            true => Attempt::Done(true),
            false => Attempt::Lacks(Lack::TheRest),
        })
    }

    /// Moves the position; None in the answer's place where a system call says so: then its errno.
    pub fn move_to(&self, py: Python<'_>, offset: i64, whence: i32) -> PyResult<Option<Result<u64, i32>>> {
        self.attempt(py, "seek of closed file", |s| {
            let asked = s.sought.take() == Some((offset, whence));
            if let (Some(found), true) = (s.position.take(), asked) {
                return Attempt::Done(found);
            }
            match whence {
                libc::SEEK_SET | libc::SEEK_CUR => Attempt::Done(seek_in(s, offset, whence)),
                libc::SEEK_END if self.is_local() => Attempt::Done(seek_in(s, offset, whence)),
                _ => Attempt::Lacks(Lack::Position { offset, whence }),
            }
        })
    }
}

/// Moves the position, within what was read ahead where that suffices.
pub fn seek_in(s: &mut FileState, offset: i64, whence: i32) -> Result<u64, i32> {
    let errno = |error: rustix::io::Errno| error.raw_os_error();
    let unread = s.unread().len() as i64;
    if unread > 0 && whence != libc::SEEK_END {
        let kernel = opening::seek_number(s.number, 0, libc::SEEK_CUR).map_err(errno)? as i64;
        let target = match whence {
            libc::SEEK_SET => offset,
            _ => kernel - unread + offset,
        };
        let from_end = kernel - target;
        if (0..=s.ahead.len() as i64).contains(&from_end) {
            s.at = s.ahead.len() - from_end as usize;
            s.at_end &= from_end > 0;
            return Ok(target as u64);
        }
        let found = opening::seek_number(s.number, target, libc::SEEK_SET).map_err(errno)?;
        forget_ahead(s);
        return Ok(found);
    }
    let found = opening::seek_number(s.number, offset, whence).map_err(errno)?;
    forget_ahead(s);
    Ok(found)
}

fn forget_ahead(s: &mut FileState) {
    s.ahead.clear();
    s.at = 0;
    s.at_end = false;
}

fn take<'py>(py: Python<'py>, s: &mut FileState, count: usize) -> Bound<'py, PyBytes> {
    let bytes = PyBytes::new(py, &s.unread()[..count]);
    s.advance(count);
    bytes
}

fn copy_out(s: &mut FileState, into: &mut [u8]) -> usize {
    let count = into.len().min(s.unread().len());
    into[..count].copy_from_slice(&s.unread()[..count]);
    s.advance(count);
    count
}
