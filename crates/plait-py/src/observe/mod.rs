//! The interpreter as a bystander sees it: who holds the GIL, what each thread is at, and in which line.
//!
//! All of it is read *without* the GIL, from a native thread. Whoever asks for the GIL to look at it changes what is to be seen, and is kept
//! waiting just when there is something to see: while C code holds it, while the collector runs. So it is done as a debugger does it from outside:
//!
//! * `memory` reads this process's own memory through the kernel, which refuses where nothing is mapped. An object that vanishes while it is looked
//!   at costs a wrong or a missing sample, never a crash, and none of it is unsafe beyond that one system call.
//! * `gil_words` finds the GIL by what must stand in it. `layout` has the places of the rest for each version of CPython.
//! * `threads` lists the thread states, `stack` and `code` tell file, line and function; `kernel` what the kernel knows of a thread.
//!
//! None of it is believed before it has been compared with what the interpreter itself says, in [`Interpreter::find`]. Where that fails the caller is
//! told; nothing is guessed. Rejected: `sys._current_frames()` from a thread of Python's, which needs the GIL for each look; symbols
//! and debug information, which an installed Python has not.

mod code;
mod gil_words;
pub mod kernel;
mod layout;
mod memory;
mod stack;
mod syscalls;
mod threads;

pub use stack::{Place, Places};
pub use syscalls::{name as call_name, takes_descriptor};
pub use threads::ThreadState;

use memory::Memory;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How many frames are compared with the interpreter's own answer.
const COMPARED: usize = 3;
/// How often the list of threads is read, where it changes all the time.
const TRIES: usize = 100;

/// Where the interpreter's own data lie. Plain numbers: it can be copied to the thread that looks.
#[derive(Clone, Copy)]
pub struct Interpreter {
    memory: Memory,
    /// The main interpreter's state.
    state: usize,
    /// None: there is no GIL.
    gil: Option<gil_words::GilWords>,
    /// The address of the type `code`.
    code_type: usize,
}

impl Interpreter {
    /// Finds it all, and compares it with what the interpreter says. To be called from the thread of a program, attached.
    ///
    /// # Errors
    ///
    /// RuntimeError, with what is unknown or did not agree.
    pub fn find(py: Python<'_>) -> PyResult<Interpreter> {
        if !layout::KNOWN {
            return Err(unknown("the layout of this version of Python is not known to plait"));
        }
        let memory = Memory::open().map_err(|error| unknown(&error))?;
        let gil = match has_gil(py)? {
            true => Some(gil_words::GilWords::find(py, memory)?),
            false => None,
        };
        let found = Interpreter {
            memory,
            state: threads::main_interpreter(py),
            gil,
            code_type: code::type_address(),
        };
        found.check_threads(py)?;
        found.check_stack(py)?;
        Ok(found)
    }

    pub fn gil(&self) -> Option<gil_words::GilWords> {
        self.gil
    }

    /// Who holds the GIL, and how often it changed hands. None: it cannot be read, or there is none.
    pub fn gil_now(&self) -> Option<gil_words::GilNow> {
        self.gil?.now(self.memory)
    }

    /// Whether that is how a thread waits for the GIL.
    pub fn is_gil_wait(&self, doing: kernel::Doing) -> bool {
        match (doing, self.gil) {
            (kernel::Doing::Call { number, first }, Some(gil)) => {
                number == libc::SYS_futex && gil.is_awaited_at(first)
            }
            _ => false,
        }
    }

    /// Whether a collection is under way.
    pub fn collects(&self) -> bool {
        let collecting = self.memory.words::<1>(self.state + layout::interpreter::COLLECTING);
        collecting.is_some_and(|[word]| word as u32 == 1)
    }

    /// The list must begin where the interpreter says, and have the caller on it. Threads come and go meanwhile, so it may take some tries.
    fn check_threads(&self, py: Python<'_>) -> PyResult<()> {
        let here = threads::current(py);
        let native = rustix::thread::gettid().as_raw_nonzero().get();
        for _ in 0..TRIES {
            let begins = self.newest_thread() == Some(threads::newest(py));
            let knows = |thread: &ThreadState| thread.address == here && thread.native_id == native;
            if begins && self.threads().iter().any(knows) {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Err(unknown("the list of threads is not where it should be"))
    }

    /// The frames of the caller, as they are read here, must be those that the interpreter shows.
    fn check_stack(&self, py: Python<'_>) -> PyResult<()> {
        let mut places = Places::new(*self);
        let seen = places.stack(threads::current(py), 0, COMPARED);
        let mut frame = match py.import("sys")?.call_method0("_getframe") {
            Ok(frame) => frame,
            Err(_) => return Ok(()), // called from C alone: there is nothing to compare
        };
        for place in seen {
            let read = (place.file.to_string(), place.line, place.function.to_string());
            if let Some(told) = told_of_frame(&frame)?.filter(|told| *told != read) {
                return Err(unknown(&format!("the stack was read as {place:?}, but it is {told:?}")));
            }
            let back = frame.getattr("f_back")?;
            if back.is_none() {
                return Ok(());
            }
            frame = back;
        }
        match places.is_empty() {
            true => Err(unknown("no frame can be read")),
            false => Ok(()),
        }
    }
}

/// File, line and function of a frame. None: they cannot be compared, since the name is not UTF-8, or the instruction belongs to no line.
fn told_of_frame(frame: &Bound<'_, PyAny>) -> PyResult<Option<(String, u32, String)>> {
    let code = frame.getattr("f_code")?;
    let file = code.getattr("co_filename")?.extract().ok();
    let line = frame.getattr("f_lineno")?.extract().ok();
    let function = code.getattr("co_qualname")?.extract().ok();
    Ok(file.zip(line).zip(function).map(|((file, line), function)| (file, line, function)))
}

/// The caller's thread state, and the frame that it runs (0: it cannot be told): plain numbers, to be looked up by another thread.
pub fn current_thread(py: Python<'_>) -> usize {
    threads::current(py)
}

/// See [`current_thread`].
pub fn running_frame(py: Python<'_>) -> usize {
    if !layout::KNOWN {
        return 0;
    }
    stack::running_frame(Memory::default(), threads::current(py)).unwrap_or(0)
}

/// Whether threads exclude each other by a GIL: a build without one may have it switched on.
fn has_gil(py: Python<'_>) -> PyResult<bool> {
    match cfg!(Py_GIL_DISABLED) {
        true => py.import("sys")?.call_method0("_is_gil_enabled")?.extract(),
        false => Ok(true),
    }
}

fn unknown(what: &str) -> PyErr {
    PyRuntimeError::new_err(format!("plait cannot look into this interpreter: {what}"))
}
