//! Flow control, twice: what waits to be sent pauses the application's writing, what waits to be read pauses the transport's reading.
//!
//! asyncio's rules here are not those of its socket transports (`plait_core::net::FlowControl`): the marks are set in other words, and
//! reaching the high one is enough (asyncio lets even nothing reach a mark of zero, and then waits for ever).

use super::{TlsProtocol, Told};
use crate::event_loop::transport::limits;
use pyo3::intern;
use pyo3::prelude::*;

/// In bytes: asyncio's FLOW_CONTROL_HIGH_WATER_SSL_WRITE and …_READ.
const WRITING: usize = 512 * 1024;
const READING: usize = 256 * 1024;

/// Two marks, and whether the one who fills is paused.
pub struct Marks {
    default: usize,
    pub high: usize,
    pub low: usize,
    pub paused: bool,
}

/// What a change of the level asks for.
#[derive(PartialEq, Eq)]
pub enum Turn {
    None,
    Pause,
    Resume,
}

impl Marks {
    pub fn of_writing() -> Marks {
        Marks { default: WRITING, high: WRITING, low: WRITING / 4, paused: false }
    }

    pub fn of_reading() -> Marks {
        Marks { default: READING, high: READING, low: READING / 4, paused: false }
    }

    /// Nothing at all never pauses, not even with a high mark of zero: there would be nothing whose going resumes.
    #[inline]
    pub fn turn(&mut self, level: usize) -> Turn {
        if level >= self.high.max(1) && !self.paused {
            self.paused = true;
            Turn::Pause
        } else if level <= self.low && self.paused {
            self.paused = false;
            Turn::Resume
        } else {
            Turn::None
        }
    }
}

impl TlsProtocol {
    pub fn set_write_limits(
        slf: &Bound<'_, Self>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let default = this.state.with(py, |s| s.outgoing.default);
        let (high, low) = limits::resolve(py, high, low, default)?;
        this.state.with(py, |s| (s.outgoing.high, s.outgoing.low) = (high, low));
        TlsProtocol::control_writing(slf, this.session.unsent(py)?)
    }

    pub fn set_read_limits(
        slf: &Bound<'_, Self>,
        high: Option<Bound<'_, PyAny>>,
        low: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let default = this.state.with(py, |s| s.incoming.default);
        let (high, low) = limits::resolve(py, high, low, default)?;
        this.state.with(py, |s| {
            (s.incoming.high, s.incoming.low) = (high, low);
            s.unread_at_most = usize::MAX; // ask, for the marks are others
        });
        TlsProtocol::control_reading(slf)
    }

    /// Bytes written by the application that the transport below was not given yet.
    pub fn write_buffer_size(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.session.unsent(py)? + self.state.with(py, |s| s.backlog_size))
    }

    /// Pauses or resumes the application, with `unsent` bytes in `outgoing`.
    #[inline]
    pub(super) fn control_writing(slf: &Bound<'_, Self>, unsent: usize) -> PyResult<()> {
        let py = slf.py();
        let turn = slf.get().state.with(py, |s| {
            let level = unsent + s.backlog_size;
            match s.told {
                Told::Lost => Turn::None, // nothing comes after that
                _ => s.outgoing.turn(level),
            }
        });
        match turn {
            Turn::None => Ok(()),
            Turn::Pause => TlsProtocol::tell_flow(slf, intern!(py, "pause_writing")),
            Turn::Resume => TlsProtocol::tell_flow(slf, intern!(py, "resume_writing")),
        }
    }

    /// Pauses or resumes the transport below. `incoming` is only asked how much it holds if that may matter.
    #[inline]
    pub(super) fn control_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let matters = this.state.with(py, |s| s.incoming.paused || s.unread_at_most >= s.incoming.high);
        match matters {
            true => TlsProtocol::control_full_reading(slf),
            false => Ok(()),
        }
    }

    fn control_full_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let unread = this.session.unread(py)?;
        let turn = this.state.with(py, |s| {
            s.unread_at_most = unread;
            s.incoming.turn(unread)
        });
        let Some(below) = this.below(py) else { return Ok(()) };
        match turn {
            Turn::None => Ok(()),
            Turn::Pause => below.call_method0(intern!(py, "pause_reading")).map(drop),
            Turn::Resume => below.call_method0(intern!(py, "resume_reading")).map(drop),
        }
    }

    pub fn pause_reading(&self, py: Python<'_>) {
        self.state.with(py, |s| s.reading_paused = true);
    }

    pub fn resume_reading(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        match slf.get().state.with(py, |s| std::mem::replace(&mut s.reading_paused, false)) {
            true => TlsProtocol::call_soon(slf, intern!(py, "_go_on_reading")),
            false => Ok(()),
        }
    }
}
