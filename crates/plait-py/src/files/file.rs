//! An open file: its descriptor, what was read ahead, what is to be written.
//!
//! The buffers are those of the standard library's buffered files, of the same sizes, so that what is in the file at a given moment is
//! what would be there of one that is opened with `open`. The kernel's position is behind what was read ahead, and before what is
//! to be written; a file has only one of the two at a time.

use super::engine::{failed, settle_future, FileEngine, Then};
use crate::guarded::Guarded;
use plait_core::files::descriptor::Descriptor;
use plait_core::files::opening::{self, Facts};
use plait_core::files::quick;
use plait_core::files::{Done, Failure};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::os::fd::RawFd;
use std::sync::Arc;

/// How a file was opened.
pub struct Openness {
    pub name: Py<PyAny>,
    pub readable: bool,
    pub writable: bool,
    /// The buffer's size in bytes; negative: what suits the file; 0: none.
    pub buffering: isize,
}

/// Nothing of what is written was brought by the call that waits: it is a `flush`.
pub const ALL_OLDER: usize = usize::MAX;

/// What an attempt lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// An operation is under way that nobody waits for any more.
    Peace,
    /// So many bytes more; all of them, or some.
    Bytes { want: usize, all: bool },
    /// All bytes up to the end.
    TheRest,
    /// What was written has to be in the file.
    Drained,
    /// A position that may not be had at once.
    Position { offset: i64, whence: i32 },
}

/// What a look into the cache came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Refill {
    Some,
    End,
    NotNow,
}

pub struct FileState {
    /// None once it is closed.
    pub descriptor: Option<Arc<Descriptor>>,
    pub number: RawFd,
    /// Read, from `at` on not asked for yet.
    pub ahead: Vec<u8>,
    pub at: usize,
    /// The end was met, and nobody was told.
    pub at_end: bool,
    /// Being told of the end does not make it forgotten: a call of the text wrapper asks for it several times.
    pub end_held: bool,
    /// To be written.
    pub behind: Vec<u8>,
    /// How much of that is older than the write that is being waited for.
    pub older: usize,
    /// An operation is at it.
    pub busy: bool,
    /// That operation writes.
    pub writing: bool,
    /// A write is under way beside it: of a file without positions.
    pub aside: bool,
    pub lack: Option<Lack>,
    /// What waits for the end of an operation that is not its own.
    pub waiters: Vec<Py<PyAny>>,
    /// Reads from the cache may be tried.
    pub quick: bool,
    /// The seek that is under way, or was answered: None when nobody waits for it any more.
    pub sought: Option<(i64, i32)>,
    /// Where it has come to.
    pub position: Option<Result<u64, i32>>,
    /// Its buffer is read and written by somebody who may wait: not the loop's thread.
    pub blocking: bool,
    pub seekable: Option<bool>,
}

#[pyclass(module = "plait._native", frozen, weakref)]
pub struct File {
    pub engine: Py<FileEngine>,
    pub state: Guarded<FileState>,
    pub facts: Facts,
    pub openness: Openness,
    pub buffer_size: usize,
}

impl FileState {
    /// Read and not asked for yet.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.ahead[self.at..]
    }

    /// Takes the next `count` bytes, which are there, off.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.at += count;
        if self.at == self.ahead.len() {
            self.ahead.clear();
            self.at = 0;
        }
    }

    /// Adds up to `want` bytes to what is there, if they can be had at once.
    pub fn refill(&mut self, want: usize) -> Refill {
        if self.at_end {
            return Refill::End;
        }
        if !self.quick || want > quick::MOST_AT_ONCE {
            return Refill::NotNow;
        }
        self.compact();
        match quick::read_onto(self.number, &mut self.ahead, want) {
            quick::AtOnce::Read(_) => Refill::Some,
            quick::AtOnce::End => {
                self.at_end = true;
                Refill::End
            }
            quick::AtOnce::NotNow => Refill::NotNow,
            quick::AtOnce::Never => {
                self.quick = false;
                Refill::NotNow
            }
        }
    }

    fn compact(&mut self) {
        if self.at > 0 {
            self.ahead.drain(..self.at);
            self.at = 0;
        }
    }

    /// Adds what an operation has read.
    pub fn append(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.at_end = true;
        } else if self.ahead.is_empty() {
            self.ahead = bytes;
        } else {
            self.compact();
            self.ahead.extend_from_slice(&bytes);
        }
    }

    /// Forgets what was read ahead: the kernel's position becomes the file's. Waits for nothing, as it moves only a number.
    pub fn rewind(&mut self) {
        let unread = self.unread().len();
        if unread > 0 && opening::seek_number(self.number, -(unread as i64), libc::SEEK_CUR).is_err() {
            // A pipe, a socket, a terminal: what is written there goes elsewhere, and what was read cannot be had again.
            return;
        }
        self.ahead.clear();
        self.at = 0;
        self.at_end = false;
    }

    /// What could not be written comes back before what was added since.
    fn keep_unwritten(&mut self, failure: &mut Failure, waited_for: bool) {
        let mut rest = std::mem::take(&mut failure.rest);
        if waited_for {
            // Whoever wrote is told that it failed: only what earlier writes left is tried again.
            rest.truncate(self.older.saturating_sub(failure.written as usize));
            if self.older != ALL_OLDER {
                failure.written = failure.written.saturating_sub(self.older as u64);
            }
        }
        rest.append(&mut self.behind);
        self.behind = rest;
    }
}

impl File {
    /// Whether the buffer takes so many bytes more. One piece that fills it goes past it from 3.13 on: which matters to the position in a
    /// file that is appended to.
    pub fn has_room(&self, older: usize, length: usize) -> bool {
        older + length <= self.buffer_size && (length < self.buffer_size || cfg!(not(Py_3_13)))
    }

    /// The object of a file that was opened.
    pub fn make(
        engine: &Bound<'_, FileEngine>,
        descriptor: Arc<Descriptor>,
        facts: Facts,
        openness: Openness,
    ) -> PyResult<Py<PyAny>> {
        let py = engine.py();
        let quick = engine.get().at_once && openness.readable;
        let buffer_size = buffer_size(&openness, &facts);
        let state = FileState {
            number: descriptor.number(),
            descriptor: Some(descriptor),
            ahead: Vec::new(),
            at: 0,
            at_end: false,
            end_held: false,
            behind: Vec::new(),
            older: 0,
            busy: false,
            writing: false,
            aside: false,
            lack: None,
            waiters: Vec::new(),
            quick,
            sought: None,
            position: None,
            blocking: false,
            seekable: None,
        };
        let engine = engine.clone().unbind();
        let file = File { engine, state: Guarded::new(state), facts, openness, buffer_size };
        Ok(Py::new(py, file)?.into_any())
    }

    /// Whether moving about in it, and closing it, keeps nobody waiting.
    pub fn is_local(&self) -> bool {
        self.facts.local && self.facts.is_regular()
    }

    pub fn is_raw(&self) -> bool {
        self.openness.buffering == 0
    }

    /// The open file, or the error of a closed one.
    pub fn descriptor(&self, py: Python<'_>, doing: &'static str) -> PyResult<Arc<Descriptor>> {
        self.state.with(py, |s| s.descriptor.clone()).ok_or_else(|| self.closed_error(doing))
    }

    /// In the words of the standard class: a buffered file says what was tried.
    pub fn closed_error(&self, doing: &'static str) -> PyErr {
        match self.is_raw() || doing.is_empty() {
            true => PyValueError::new_err("I/O operation on closed file."),
            false => PyValueError::new_err(doing),
        }
    }

    /// The loop has an answer of the engine's for a read.
    pub fn filled(slf: &Bound<'_, Self>, done: Done) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let result = match done {
            Done::Bytes(bytes) => {
                slf.get().state.with(py, |s| s.append(bytes));
                Ok(py.None())
            }
            Done::Count(position) => {
                slf.get().state.with(py, |s| s.position = Some(Ok(position)));
                Ok(py.None())
            }
            Done::Failed(mut failure) => {
                let rest = std::mem::take(&mut failure.rest);
                if !rest.is_empty() {
                    slf.get().state.with(py, |s| s.append(rest));
                }
                Err(failed(py, &failure, None))
            }
            _ => Ok(py.None()),
        };
        File::release(slf)?;
        result
    }

    /// The same for a write.
    pub fn drained_by(slf: &Bound<'_, Self>, done: Done) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let result = match done {
            Done::Failed(mut failure) => {
                let told =
                    Failure { errno: failure.errno, written: failure.written, rest: failure.rest.clone() };
                slf.get().state.with(py, |s| s.keep_unwritten(&mut failure, true));
                Err(failed(py, &Failure { written: failure.written, ..told }, None))
            }
            _ => Ok(py.None()),
        };
        File::release(slf)?;
        result
    }

    /// The operation is over: whoever waited for that may go on.
    pub fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        slf.get().state.with(py, |s| (s.busy, s.writing) = (false, false));
        File::wake(slf)
    }

    /// The same of a write beside it.
    pub fn release_aside(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().state.with(slf.py(), |s| s.aside = false);
        File::wake(slf)
    }

    fn wake(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let waiters = slf.get().state.with(py, |s| std::mem::take(&mut s.waiters));
        let mut first = Ok(());
        for waiter in waiters {
            first = first.and(settle_future(waiter.bind(py), Ok(py.None())));
        }
        first
    }

    /// Nobody will be told of the operation's end: whoever closes the file need not wait for it.
    pub fn let_be(&self, py: Python<'_>) {
        let waiters = self.state.with(py, |s| {
            (s.busy, s.writing, s.aside) = (false, false, false);
            std::mem::take(&mut s.waiters)
        });
        drop(waiters);
    }

    /// Gives an operation to the engine; the file is busy until it is over.
    pub fn begin(
        slf: &Bound<'_, Self>,
        work: plait_core::files::Work,
        then: Then,
        writes: bool,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let future = FileEngine::begin(slf.get().engine.bind(py), work, then, writes)?;
        slf.get().state.with(py, |s| (s.busy, s.writing) = (true, writes));
        Ok(future)
    }
}

/// As `io.open` chooses it.
fn buffer_size(openness: &Openness, facts: &Facts) -> usize {
    const DEFAULT: usize = if cfg!(Py_3_14) { 128 * 1024 } else { 8192 };
    let block = facts.block as usize;
    match openness.buffering {
        size if size > 0 => size as usize,
        _ if cfg!(Py_3_14) => block.clamp(DEFAULT, 8 * 1024 * 1024),
        _ if block > 1 => block,
        _ => DEFAULT,
    }
}
