//! The engine of one loop, as a Python object: it begins operations, and settles futures when they are over.
//!
//! Works on every loop that has `add_reader` and `call_soon`, not on plait's alone: the engine's bell is watched like any descriptor.
//! What a turn of the loop asks for is handed over together, by a callback at its end.

use super::cached::LocalPlaces;
use super::file::{File, Openness};
use super::paths::{audit, kernel_path};
use crate::errors::os_error_named;
use crate::event_loop::future::{Future, Outcome};
use crate::event_loop::sock::contiguous;
use crate::ffi;
use crate::guarded::{Built, Guarded};
use plait_core::files::descriptor::Descriptor;
use plait_core::files::opening::{self, AtOnce};
use plait_core::files::plan::{Single, Whole, WholeFile};
use plait_core::files::{replacing, Choice, Done, Engine, Failure, Kind, Work};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt};
use slab::Slab;
use std::ffi::CString;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// What is done with an operation's result, beside settling its future.
pub enum Then {
    /// It is the future's result. An error names this file.
    Value { path: Option<Py<PyAny>> },
    /// The same for a whole file, whose directory may have become known by it.
    Whole { name: Py<PyAny>, path: CString },
    /// A file becomes an object.
    Open { openness: Openness, path: CString },
    /// The same for one that was open.
    Adopt { openness: Openness, descriptor: Arc<Descriptor> },
    /// It is the file's, which reads on.
    Fill { file: Py<File> },
    /// What the file had to write is written.
    Drain { file: Py<File> },
    /// The same for a write beside whatever is at the file.
    Aside { file: Py<File> },
    /// The file is free for the next operation, and the result is the future's; of an error it is told how much was written.
    Release { file: Py<File> },
}

impl Then {
    /// The file that is busy until then.
    fn file(&self) -> Option<&Py<File>> {
        match self {
            Then::Fill { file } | Then::Drain { file } | Then::Release { file } | Then::Aside { file } => {
                Some(file)
            }
            _ => None,
        }
    }
}

struct Pending {
    future: Py<PyAny>,
    then: Then,
}

pub(super) struct State {
    /// None once it is closed.
    engine: Option<Engine>,
    pending: Slab<Pending>,
    flush_scheduled: bool,
    pub(super) places: LocalPlaces,
    pub(super) served: Served,
}

/// How often who was asked.
#[derive(Clone, Copy, Default)]
pub(super) struct Served {
    pub(super) at_once: u64,
    handed_over: u64,
}

#[pyclass(module = "plait._native", frozen, weakref)]
pub struct FileEngine {
    loop_: Py<PyAny>,
    pub(super) state: Guarded<State>,
    /// Whether what is cached is read on the loop's thread.
    #[pyo3(get)]
    pub at_once: bool,
    built: Built,
}

impl FileEngine {
    /// Begins an operation. The future is settled when it is over, after what `then` says.
    pub fn begin(slf: &Bound<'_, Self>, work: Work, then: Then, writes: bool) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.get();
        this.check_usable(py)?;
        let loop_ = this.loop_.bind(py);
        let future = loop_.call_method0(intern!(py, "create_future"))?;
        let pending = Pending { future: future.clone().unbind(), then };
        let schedule = this.state.with(py, |s| {
            let id = s.pending.insert(pending) as u64;
            s.served.handed_over += 1;
            if let Some(engine) = &mut s.engine {
                engine.stage(id, work, writes);
            }
            !std::mem::replace(&mut s.flush_scheduled, true)
        });
        if schedule {
            let flush = slf.getattr(intern!(py, "_flush"))?;
            loop_.call_method1(intern!(py, "call_soon"), (flush,))?;
        }
        Ok(future.unbind())
    }

    /// Lets the caller wait for a future of the loop's that somebody else settles.
    pub fn create_future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.loop_.bind(py).call_method0(intern!(py, "create_future")).map(Bound::unbind)
    }

    /// What has nothing to wait for.
    pub fn settled_future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let future = self.create_future(py)?;
        settle_future(future.bind(py), Ok(py.None()))?;
        Ok(future)
    }

    /// Closes a file for which nobody waits any more.
    pub fn close_behind(slf: &Bound<'_, Self>, fd: OwnedFd) -> PyResult<()> {
        let work = Work::Steps(Box::new(Single::close(fd)));
        FileEngine::begin(slf, work, Then::Value { path: None }, true).map(drop)
    }

    /// For statistics: an operation that needed no engine.
    pub fn note_at_once(&self, py: Python<'_>) {
        self.state.with(py, |s| s.served.at_once += 1);
    }

    /// Whether nobody will be told of anything any more: the engine is closed, or its loop is.
    pub fn has_ended(&self, py: Python<'_>) -> PyResult<bool> {
        let inherited = self.state.with(py, |s| s.engine.as_ref().map(Engine::is_inherited));
        match inherited {
            None => Ok(true),
            Some(true) => Ok(false),
            Some(false) => self.loop_.bind(py).call_method0(intern!(py, "is_closed"))?.is_truthy(),
        }
    }

    /// The loop is closed: what is being written is waited for, for some seconds, the rest is given up.
    pub fn end(&self, py: Python<'_>) {
        let engine = self.state.with(py, |s| s.engine.take());
        py.detach(move || drop(engine));
        let pending = self.state.with(py, |s| std::mem::take(&mut s.pending));
        for file in pending.iter().filter_map(|(_, pending)| pending.then.file()) {
            file.get().let_be(py);
        }
        drop(pending);
    }

    /// An error where nothing can be begun.
    pub fn check_usable(&self, py: Python<'_>) -> PyResult<()> {
        let reason = self.state.with(py, |s| match &s.engine {
            None => Some("the engine of this loop's files is closed"),
            Some(engine) if engine.is_inherited() => {
                Some("files cannot be used on a loop that was made before the process forked")
            }
            Some(_) => None,
        });
        reason.map_or(Ok(()), |reason| Err(PyRuntimeError::new_err(reason)))
    }

    fn settle(slf: &Bound<'_, Self>, id: u64, done: Done) -> PyResult<()> {
        let py = slf.py();
        let Some(pending) = slf.get().state.with(py, |s| s.pending.try_remove(id as usize)) else {
            return Ok(());
        };
        let result = FileEngine::conclude(slf, pending.then, done);
        settle_future(pending.future.bind(py), result)
    }

    fn conclude(slf: &Bound<'_, Self>, then: Then, done: Done) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match then {
            Then::Value { path } => value_of(py, done, path.as_ref().map(|path| path.bind(py))),
            Then::Whole { name, path } => match done {
                Done::Explored(bytes, facts) => {
                    slf.get().learn(py, &path, facts);
                    Ok(PyBytes::new(py, &bytes).into_any().unbind())
                }
                done => value_of(py, done, Some(name.bind(py))),
            },
            Then::Open { openness, path } => match done {
                Done::Opened(opened) => {
                    slf.get().learn(py, &path, opened.facts);
                    let descriptor = Arc::new(Descriptor::Owned(opened.fd));
                    File::make(slf, descriptor, opened.facts, openness)
                }
                done => value_of(py, done, Some(openness.name.bind(py))),
            },
            Then::Adopt { openness, descriptor } => match done {
                Done::Examined(facts) if facts.is_directory() => {
                    refuse_directory(py, &openness.name, descriptor)
                }
                Done::Examined(facts) => File::make(slf, descriptor, facts, openness),
                done => value_of(py, done, None),
            },
            Then::Fill { file } => File::filled(file.bind(py), done),
            Then::Drain { file } => File::drained_by(file.bind(py), done),
            Then::Aside { file } => {
                File::release_aside(file.bind(py))?;
                value_of(py, done, None)
            }
            Then::Release { file } => {
                File::release(file.bind(py))?;
                value_of(py, done, None)
            }
        }
    }
}

/// A directory is no file. Whoever gave its number keeps it, open; what an opener has opened is closed.
fn refuse_directory(py: Python<'_>, name: &Py<PyAny>, descriptor: Arc<Descriptor>) -> PyResult<Py<PyAny>> {
    let name = name.bind(py);
    if let (true, Some(Descriptor::Owned(fd))) = (name.is_instance_of::<PyInt>(), Arc::into_inner(descriptor))
    {
        let _ = fd.into_raw_fd();
    }
    Err(os_error_named(py, libc::EISDIR, Some(name)))
}

/// The engine's answer as Python's.
fn value_of(py: Python<'_>, done: Done, path: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
    Ok(match done {
        Done::Bytes(bytes) => PyBytes::new(py, &bytes).into_any().unbind(),
        Done::Count(count) => count.into_pyobject(py)?.into_any().unbind(),
        Done::Nothing | Done::Opened(_) | Done::Examined(_) | Done::Explored(..) => py.None(),
        Done::Failed(failure) => return Err(failed(py, &failure, path)),
    })
}

/// The OSError, which also tells what was written before.
pub fn failed(py: Python<'_>, failure: &Failure, path: Option<&Bound<'_, PyAny>>) -> PyErr {
    let error = os_error_named(py, failure.errno, path);
    if failure.written > 0 || !failure.rest.is_empty() {
        let told = error.value(py).setattr(intern!(py, "written"), failure.written).and_then(|()| {
            let total = failure.written + failure.rest.len() as u64;
            let note = format!("{} of {total} bytes were written before", failure.written);
            error.value(py).call_method1(intern!(py, "add_note"), (note,))
        });
        if let Err(broken) = told {
            return broken;
        }
    }
    error
}

/// The bytes of what is to be written, in the words of the standard `write` where it has none.
pub fn written(data: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    contiguous(data).map_err(|error| match error.is_instance_of::<PyTypeError>(data.py()) {
        true => {
            let kind = data.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
            PyTypeError::new_err(format!("a bytes-like object is required, not '{kind}'"))
        }
        false => error,
    })
}

/// Settles a future of any make, unless it is done: whoever waited may have been cancelled.
pub fn settle_future(future: &Bound<'_, PyAny>, result: PyResult<Py<PyAny>>) -> PyResult<()> {
    let py = future.py();
    if let Ok(native) = future.cast::<Future>() {
        let outcome = match result {
            Ok(value) => Outcome::Result(value),
            Err(error) => Outcome::Exception(error.into_value(py).into_any()),
        };
        return Future::settle(native, outcome).map(drop);
    }
    if future.call_method0(intern!(py, "done"))?.is_truthy()? {
        return Ok(());
    }
    match result {
        Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
        Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?,
    };
    Ok(())
}

fn choice(name: Option<&str>) -> PyResult<Choice> {
    match name {
        None | Some("auto") => Ok(Choice::Best),
        Some("io_uring") => Ok(Choice::Only(Kind::IoUring)),
        Some("threads") => Ok(Choice::Only(Kind::Threads)),
        Some(other) => Err(PyValueError::new_err(format!(
            "there is no engine {other:?}: 'io_uring', 'threads' and 'auto' there are"
        ))),
    }
}

#[pymethods]
impl FileEngine {
    #[new]
    #[pyo3(signature = (r#loop, engine = None, at_once = true))]
    fn new(r#loop: Bound<'_, PyAny>, engine: Option<&str>, at_once: bool) -> PyResult<FileEngine> {
        let py = r#loop.py();
        let engine = Engine::new(choice(engine)?).map_err(|error| match error.kind() {
            std::io::ErrorKind::Unsupported => {
                PyRuntimeError::new_err("io_uring is not to be had here: the kernel or a filter refuses it")
            }
            _ => crate::errors::os_error(py, &error),
        })?;
        let state = State {
            engine: Some(engine),
            pending: Slab::new(),
            flush_scheduled: false,
            places: LocalPlaces::default(),
            served: Served::default(),
        };
        Ok(FileEngine { loop_: r#loop.unbind(), state: Guarded::new(state), at_once, built: Built::new() })
    }

    /// The number of the descriptor that is readable when something is over.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.check_usable(py)?;
        let number = self.state.with(py, |s| s.engine.as_ref().map(|engine| engine.bell().as_raw_fd()));
        Ok(number.unwrap_or(-1))
    }

    /// "io_uring" or "threads".
    #[getter]
    fn kind(&self, py: Python<'_>) -> &'static str {
        match self.state.with(py, |s| s.engine.as_ref().map(Engine::kind)) {
            Some(Kind::IoUring) => "io_uring",
            _ => "threads",
        }
    }

    /// How many threads there are now.
    #[getter]
    fn threads(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.engine.as_ref().map_or(0, Engine::threads))
    }

    /// How many operations were done at once, and how many were handed over.
    #[getter]
    fn served(&self, py: Python<'_>) -> (u64, u64) {
        let served = self.state.with(py, |s| s.served);
        (served.at_once, served.handed_over)
    }

    /// How many operations are under way.
    #[getter]
    fn pending(&self, py: Python<'_>) -> usize {
        self.state.with(py, |s| s.pending.len())
    }

    #[getter]
    fn r#loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.loop_.clone_ref(py)
    }

    fn is_usable(&self, py: Python<'_>) -> bool {
        self.check_usable(py).is_ok()
    }

    fn _flush(&self, py: Python<'_>) {
        self.state.with(py, |s| {
            s.flush_scheduled = false;
            if let Some(engine) = s.engine.as_mut().filter(|engine| !engine.is_inherited()) {
                engine.flush();
            }
        });
    }

    fn _collect(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let mut over = Vec::new();
        slf.get().state.with(py, |s| {
            if let Some(engine) = s.engine.as_mut().filter(|engine| !engine.is_inherited()) {
                engine.collect(&mut over);
            }
        });
        // All of them are told, whatever becomes of one.
        let mut first = Ok(());
        for (id, done) in over {
            first = first.and(FileEngine::settle(slf, id, done));
        }
        first
    }

    /// Nobody waits for that future any more: what it stands for is given up, if that only reads, and waits for somebody else.
    pub fn give_up(&self, future: &Bound<'_, PyAny>) {
        self.state.with(future.py(), |s| {
            let found = s.pending.iter().find(|(_, pending)| pending.future.is(future));
            if let (Some((id, _)), Some(engine)) = (found, &mut s.engine) {
                if !engine.is_inherited() {
                    engine.cancel(id as u64);
                }
            }
        });
    }

    /// Waits, without the GIL, until nothing changes a file any more; False when the time is up.
    fn settle_writes(&self, py: Python<'_>, seconds: f64) -> bool {
        let engine = self.state.with(py, |s| s.engine.take());
        let Some(mut engine) = engine.filter(|engine| !engine.is_inherited()) else {
            return true;
        };
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        let (settled, engine) = py.detach(move || {
            // What else is over: the loop does not run any more, and nobody is told.
            let settled = engine.settle_writes(patience, &mut Vec::new());
            (settled, engine)
        });
        drop(self.state.with(py, |s| s.engine.replace(engine)));
        settled
    }

    /// The loop is closed: what is being written is waited for, for some seconds, the rest is given up.
    fn close(&self, py: Python<'_>) {
        self.end(py);
    }

    /// Opens a file: gives the `File`, or a future of it. Its arguments were checked.
    #[pyo3(signature = (path, mode, flags, readable, writable, buffering))]
    fn open<'py>(
        slf: &Bound<'py, Self>,
        path: Bound<'py, PyAny>,
        mode: &str,
        flags: i32,
        readable: bool,
        writable: bool,
        buffering: isize,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let named = kernel_path(&path)?;
        audit(&path, mode, flags)?;
        slf.get().check_usable(py)?;
        let openness = Openness { name: path.unbind(), readable, writable, buffering };
        if flags & !libc::O_CLOEXEC == libc::O_RDONLY {
            match slf.get().open_at_once(py, &named) {
                AtOnce::Opened(opened) => {
                    let descriptor = Arc::new(Descriptor::Owned(opened.fd));
                    return File::make(slf, descriptor, opened.facts, openness);
                }
                AtOnce::Failed(errno) => {
                    return Err(os_error_named(py, errno.raw_os_error(), Some(openness.name.bind(py))));
                }
                AtOnce::NotNow => {}
            }
        }
        let path = named.clone();
        let work =
            Work::Blocking(Box::new(move || opening::open(&named, flags, 0o666).map(Done::Opened).into()));
        FileEngine::begin(slf, work, Then::Open { openness, path }, false)
    }

    /// The same for a descriptor; a future.
    #[pyo3(signature = (fd, name, owned, readable, writable, buffering))]
    fn adopt(
        slf: &Bound<'_, Self>,
        fd: i32,
        name: Py<PyAny>,
        owned: bool,
        readable: bool,
        writable: bool,
        buffering: isize,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let descriptor = match owned {
            true => Descriptor::Owned(ffi::own_descriptor(fd)?),
            false => Descriptor::lent(fd).map_err(|errno| os_error_named(py, errno.raw_os_error(), None))?,
        };
        let fd = descriptor.number();
        let openness = Openness { name, readable, writable, buffering };
        let work = Work::Blocking(Box::new(move || opening::examine_number(fd).map(Done::Examined).into()));
        let then = Then::Adopt { openness, descriptor: Arc::new(descriptor) };
        FileEngine::begin(slf, work, then, false)
    }

    /// All of a file: its bytes, or a future of them.
    fn read_path<'py>(slf: &Bound<'py, Self>, path: Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let named = kernel_path(&path)?;
        audit(&path, "rb", libc::O_RDONLY | libc::O_CLOEXEC)?;
        slf.get().check_usable(py)?;
        match FileEngine::read_at_once(slf, &named, &path)? {
            Ok(bytes) => Ok(bytes.into_any().unbind()),
            Err(work) => {
                FileEngine::begin(slf, work, Then::Whole { name: path.unbind(), path: named }, false)
            }
        }
    }

    /// Writes all of a file; a future of the number of bytes.
    fn write_path(
        slf: &Bound<'_, Self>,
        path: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
        flags: i32,
        durable: bool,
    ) -> PyResult<Py<PyAny>> {
        let named = kernel_path(&path)?;
        let data = ffi::with_bytes(&written(&data)?, <[u8]>::to_vec);
        audit(&path, "wb", flags)?;
        let plan = WholeFile::new(named, flags, 0o666, Whole::Write { data, durable });
        let then = Then::Value { path: Some(path.unbind()) };
        FileEngine::begin(slf, Work::Steps(Box::new(plan)), then, true)
    }

    /// Replaces a file so that a crash leaves the old or the new one; a future of the number of bytes.
    fn replace_path(
        slf: &Bound<'_, Self>,
        path: Bound<'_, PyAny>,
        data: Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let named = kernel_path(&path)?;
        let data = ffi::with_bytes(&written(&data)?, <[u8]>::to_vec);
        audit(&path, "wb", libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC)?;
        let work = Work::Blocking(Box::new(move || replacing::replace(&named, &data, 0o666)));
        FileEngine::begin(slf, work, Then::Value { path: Some(path.unbind()) }, true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if !self.built.is_complete() {
            return Ok(());
        }
        visit.call(&self.loop_)?;
        for (_, pending) in &self.state.traverse().pending {
            visit.call(&pending.future)?;
            visit.call(pending.then.file())?;
            match &pending.then {
                Then::Value { path } => visit.call(path)?,
                Then::Whole { name, .. } => visit.call(name)?,
                Then::Open { openness, .. } | Then::Adopt { openness, .. } => visit.call(&openness.name)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn __clear__(&self, py: Python<'_>) {
        let pending = self.state.with(py, |s| std::mem::take(&mut s.pending));
        drop(pending);
    }
}
