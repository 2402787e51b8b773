//! Files that are opened and read on the loop's own thread, since nobody has to wait for them: small ones, in the cache, on a local device.
//!
//! A file system of the network may keep even an `open` waiting for minutes. So the first file of each directory is opened by the engine, which asks what device it is
//! on; that is remembered, and the next ones are tried at once.

use super::engine::FileEngine;
use super::paths::absolute_parent;
use crate::errors::os_error_named;
use crate::ffi;
use plait_core::files::opening::{self, AtOnce, Facts, Opened};
use plait_core::files::plan::{perform, Whole, WholeFile};
use plait_core::files::{quick, Done, Work};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::AsRawFd;

/// So many directories are known as local at a time.
const MOST_DIRECTORIES: usize = 1024;

#[derive(Default)]
pub struct LocalPlaces {
    /// Which devices are local, as far as anybody has asked.
    devices: HashMap<u64, bool>,
    /// Directories in which a regular file was opened, and whether it was on a local device.
    directories: HashMap<Box<[u8]>, bool>,
}

impl FileEngine {
    /// Remembers where files of local devices lie.
    pub(super) fn learn(&self, py: Python<'_>, path: &CString, facts: Facts) {
        let parent = absolute_parent(path).map(Box::<[u8]>::from);
        self.state.with(py, |s| {
            s.places.devices.insert(facts.device, facts.local);
            if let (Some(parent), true) = (parent, facts.is_regular()) {
                if s.places.directories.len() >= MOST_DIRECTORIES {
                    s.places.directories.clear();
                }
                s.places.directories.insert(parent, facts.local);
            }
        });
    }

    /// Opens a file for reading, if that cannot keep anybody waiting.
    pub(super) fn open_at_once(&self, py: Python<'_>, path: &CString) -> AtOnce {
        if self.knows_directory(py, path) != Some(true) {
            return AtOnce::NotNow;
        }
        match opening::open_at_once(path) {
            AtOnce::Opened(mut opened) => {
                let device = opened.facts.device;
                opened.facts.local = self.state.with(py, |s| {
                    s.served.at_once += 1;
                    s.places.devices.get(&device) == Some(&true)
                });
                if !opened.facts.local {
                    // Something else was mounted there.
                    self.state.with(py, |s| s.places.directories.clear());
                }
                AtOnce::Opened(opened)
            }
            other => other,
        }
    }

    /// Whether the file's directory is on a local device; None where nobody has found out.
    fn knows_directory(&self, py: Python<'_>, path: &CString) -> Option<bool> {
        match (self.at_once, absolute_parent(path)) {
            (true, Some(parent)) => self.state.with(py, |s| s.places.directories.get(parent).copied()),
            _ => Some(false),
        }
    }

    pub(super) fn read_at_once<'py>(
        slf: &Bound<'py, Self>,
        path: &CString,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Result<Bound<'py, PyBytes>, Work>> {
        let py = slf.py();
        if slf.get().knows_directory(py, path).is_none() {
            return Ok(Err(exploring_read(path.clone())));
        }
        match slf.get().open_at_once(py, path) {
            AtOnce::Failed(errno) => Err(os_error_named(py, errno.raw_os_error(), Some(name))),
            AtOnce::NotNow => Ok(Err(whole_read(path.clone()))),
            AtOnce::Opened(opened) => read_whole(slf, opened),
        }
    }
}

/// A whole read that is handed over.
fn whole_read(path: CString) -> Work {
    Work::Steps(Box::new(WholeFile::new(path, libc::O_RDONLY, 0, Whole::Read { expected: 0 })))
}

/// A whole read that also finds out where the file is: the first in its directory.
fn exploring_read(path: CString) -> Work {
    Work::Blocking(Box::new(move || {
        let opened = match opening::open(&path, libc::O_RDONLY, 0) {
            Ok(opened) => opened,
            Err(errno) => return Done::failed(errno.raw_os_error()),
        };
        let expected = opened.facts.size as usize + 1;
        match perform(Box::new(WholeFile::rest(opened.fd, Vec::new(), expected))) {
            Done::Bytes(bytes) => Done::Explored(bytes, opened.facts),
            done => done,
        }
    }))
}

/// Reads a small file of which all is in the cache. Else: the work that remains.
fn read_whole<'py>(
    slf: &Bound<'py, FileEngine>,
    opened: Opened,
) -> PyResult<Result<Bound<'py, PyBytes>, Work>> {
    let py = slf.py();
    let (fd, size) = (opened.fd.as_raw_fd(), opened.facts.size as usize);
    if size >= quick::MOST_AT_ONCE {
        return Ok(Err(Work::Steps(Box::new(WholeFile::rest(opened.fd, Vec::new(), size + 1)))));
    }
    let mut complete = false;
    let read = ffi::bytes_filled_by(py, size + 1, |memory| {
        let mut filled = 0;
        while filled < memory.len() {
            match quick::read(fd, &mut memory[filled..]) {
                quick::AtOnce::Read(count) => filled += count,
                quick::AtOnce::End => {
                    complete = true;
                    break;
                }
                quick::AtOnce::NotNow | quick::AtOnce::Never => break,
            }
        }
        Ok(filled)
    });
    let bytes = read.map_err(|error| crate::errors::os_error(py, &error))?;
    let bytes = bytes.unwrap_or_else(|| PyBytes::new(py, &[]));
    if !complete {
        let read = bytes.as_bytes().to_vec();
        return Ok(Err(Work::Steps(Box::new(WholeFile::rest(opened.fd, read, size + 1)))));
    }
    match opened.facts.local {
        true => drop(opened.fd),
        false => FileEngine::close_behind(slf, opened.fd)?,
    }
    Ok(Ok(bytes))
}
