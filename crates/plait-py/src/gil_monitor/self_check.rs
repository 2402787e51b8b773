//! The truth that a monitor has to tell before it is believed: this thread holds the GIL, and that one waits for it.

use crate::native_thread;
use crate::observe::kernel::Files;
use crate::observe::Interpreter;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long the other thread may take until it sleeps. It needs microseconds, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_LOOKS: Duration = Duration::from_micros(50);

/// # Errors
///
/// RuntimeError: a thread that waits for the GIL is not seen to do so.
pub fn check(py: Python<'_>, interpreter: &Interpreter) -> PyResult<()> {
    let (say, told) = mpsc::channel();
    let waiter = native_thread::spawn("plait-gil-check", move || {
        let _ = say.send(rustix::thread::gettid().as_raw_nonzero().get());
        Python::try_attach(|_| ());
    })?;
    // Still attached: it cannot have the GIL before this thread gives it away.
    let seen = told.recv().is_ok_and(|native_id| waits_within_patience(interpreter, native_id));
    let joined = py.detach(|| waiter.join());
    match seen && joined.is_ok() {
        true => Ok(()),
        false => Err(PyRuntimeError::new_err(
            "plait cannot look into this interpreter: a thread that waits for the GIL was not seen to wait (is \
             /proc/self/task/*/syscall readable?)",
        )),
    }
}

fn waits_within_patience(interpreter: &Interpreter, native_id: i32) -> bool {
    let (files, start) = (Files::of(native_id), Instant::now());
    while start.elapsed() < PATIENCE {
        if files.doing().is_some_and(|doing| interpreter.is_gil_wait(doing)) {
            return true;
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    false
}
