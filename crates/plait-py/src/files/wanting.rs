//! How what an attempt lacks is had: by an operation of the engine, for whose end a future stands.

use super::engine::{FileEngine, Then};
use super::file::{File, FileState, Lack, ALL_OLDER};
use plait_core::files::descriptor::Descriptor;
use plait_core::files::opening;
use plait_core::files::plan::{perform, Plan, Read, Single, Until, Write};
use plait_core::files::{Done, Work};
use pyo3::prelude::*;
use std::sync::Arc;

impl File {
    /// Begins what the last attempt lacks.
    pub fn want(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let descriptor = slf.get().descriptor(py, "")?;
        let lack = slf.get().state.with(py, |s| match s.busy {
            true => Lack::Peace,
            false => s.lack.take().unwrap_or(Lack::Peace),
        });
        match lack {
            Lack::Peace => File::wait_while(slf, |s| s.busy),
            Lack::Bytes { want, all } => {
                let until = if all { Until::Full } else { Until::Once };
                File::fill(slf, descriptor, want, until)
            }
            Lack::TheRest => {
                let known = slf.get().facts.size as usize;
                File::fill(slf, descriptor, known.saturating_add(1), Until::End)
            }
            Lack::Drained => File::drain(slf, descriptor, ALL_OLDER),
            Lack::Position { offset, whence } => File::find_position(slf, descriptor, offset, whence),
        }
    }

    /// Waits for the end of an operation that its caller has given up: `still` tells whether it is under way.
    pub fn wait_while(slf: &Bound<'_, Self>, still: fn(&FileState) -> bool) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let engine = slf.get().engine.get();
        if engine.has_ended(py)? {
            // The loop does not collect what is over any more.
            engine.end(py);
        }
        let future = engine.create_future(py)?;
        let kept = future.clone_ref(py);
        let quiet = slf.get().state.with(py, |s| match still(s) {
            true => {
                s.waiters.push(kept);
                None
            }
            false => Some(kept),
        });
        if let Some(quiet) = quiet {
            super::engine::settle_future(quiet.bind(py), Ok(py.None()))?;
        }
        Ok(future)
    }

    /// A read or a write for the engine. In non-blocking mode it has to say that it would wait; the ring would wait.
    fn work(&self, py: Python<'_>, plan: impl Plan + 'static) -> Work {
        let may_refuse = || opening::is_nonblocking(self.state.with(py, |s| s.number));
        match !self.facts.is_regular() && may_refuse() {
            true => Work::Blocking(Box::new(move || perform(Box::new(plan)))),
            false => Work::Steps(Box::new(plan)),
        }
    }

    fn fill(
        slf: &Bound<'_, Self>,
        descriptor: Arc<Descriptor>,
        want: usize,
        until: Until,
    ) -> PyResult<Py<PyAny>> {
        let plan = Read::new(descriptor, Vec::new(), want, until);
        let then = Then::Fill { file: slf.clone().unbind() };
        File::begin(slf, slf.get().work(slf.py(), plan), then, false)
    }

    /// Writes what is to be written. `older` of it was so before the call that waits for it.
    pub fn drain(slf: &Bound<'_, Self>, descriptor: Arc<Descriptor>, older: usize) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let engine = slf.get().engine.get();
        if engine.has_ended(py)? {
            // Nobody else is left to write it, and it must not be lost.
            slf.get().write_waiting(py)?;
            return engine.settled_future(py);
        }
        // Before anything is taken.
        engine.check_usable(py)?;
        let data = slf.get().state.with(py, |s| {
            s.older = older;
            std::mem::take(&mut s.behind)
        });
        let plan = Write::new(descriptor, data, false);
        let then = Then::Drain { file: slf.clone().unbind() };
        File::begin(slf, slf.get().work(slf.py(), plan), then, true)
    }

    fn find_position(
        slf: &Bound<'_, Self>,
        descriptor: Arc<Descriptor>,
        offset: i64,
        whence: i32,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        slf.get().state.with(py, |s| {
            s.rewind();
            (s.sought, s.position) = (Some((offset, whence)), None);
        });
        let work = Work::Blocking(Box::new(move || {
            opening::seek_number(descriptor.number(), offset, whence).map(Done::Count).into()
        }));
        File::begin(slf, work, Then::Fill { file: slf.clone().unbind() }, false)
    }

    /// Hands one write over that no buffer is for; a future of how much was written.
    pub fn write_once(slf: &Bound<'_, Self>, data: Vec<u8>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let descriptor = slf.get().descriptor(py, "write to closed file")?;
        slf.get().state.with(py, |s| s.rewind());
        let plan = Write::new(descriptor, data, true);
        File::begin(slf, slf.get().work(slf.py(), plan), Then::Release { file: slf.clone().unbind() }, true)
    }

    /// The same for a file without positions: a read that waits there for somebody else has nothing to do with it, and goes on. Nobody
    /// else writes meanwhile.
    pub fn write_aside(slf: &Bound<'_, Self>, data: Vec<u8>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let descriptor = slf.get().descriptor(py, "write to closed file")?;
        let plan = Write::new(descriptor, data, true);
        let then = Then::Aside { file: slf.clone().unbind() };
        let engine = slf.get().engine.bind(py);
        let future = FileEngine::begin(engine, slf.get().work(slf.py(), plan), then, true)?;
        slf.get().state.with(py, |s| s.aside = true);
        Ok(future)
    }

    /// Cuts the file, which has nothing to be written; a future.
    pub fn truncate_to(slf: &Bound<'_, Self>, length: u64) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let descriptor = slf.get().descriptor(py, "truncate of closed file")?;
        slf.get().state.with(py, |s| s.rewind());
        let work = Work::Blocking(Box::new(move || {
            let cut = opening::truncate_number(descriptor.number(), length);
            cut.map(|()| Done::Count(length)).into()
        }));
        File::begin(slf, work, Then::Release { file: slf.clone().unbind() }, true)
    }

    /// Brings what was written to the disk; a future.
    pub fn sync(slf: &Bound<'_, Self>, data_only: bool) -> PyResult<Py<PyAny>> {
        let descriptor = slf.get().descriptor(slf.py(), "")?;
        let plan = Single::sync(descriptor, data_only);
        File::begin(slf, Work::Steps(Box::new(plan)), Then::Release { file: slf.clone().unbind() }, true)
    }

    /// Closes the file. A future, where that may have to wait for somebody.
    pub fn close_now(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        let Some(descriptor) = this.state.with(py, |s| s.descriptor.take()) else {
            return Ok(None);
        };
        let Some(fd) = Descriptor::into_owned(descriptor) else {
            return Ok(None);
        };
        let at_once = this.is_local() && !this.openness.writable;
        if at_once || this.engine.get().has_ended(py)? {
            drop(fd);
            return Ok(None);
        }
        let work = Work::Steps(Box::new(Single::close(fd)));
        FileEngine::begin(this.engine.bind(py), work, Then::Value { path: None }, true).map(Some)
    }
}
