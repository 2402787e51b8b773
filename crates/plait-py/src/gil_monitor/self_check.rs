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
    let seen = match told.recv() {
        Ok(native_id) => is_seen_to_wait(interpreter, native_id),
        Err(_) => Err("the thread that was to wait for the GIL ended".into()),
    };
    // Err: it panicked, after it was seen or not.
    let _ = py.detach(|| waiter.join());
    seen.map_err(|what| PyRuntimeError::new_err(format!("plait cannot look into this interpreter: {what}")))
}

fn is_seen_to_wait(interpreter: &Interpreter, native_id: i32) -> Result<(), String> {
    let (files, start) = (Files::of(native_id), Instant::now());
    while start.elapsed() < PATIENCE {
        // It is there until this thread lets go of the GIL. So what the kernel does not tell now it never will.
        let Some(doing) = files.doing() else {
            return Err(format!("the kernel does not tell what a thread is at: {}", files.problem()));
        };
        if interpreter.is_gil_wait(doing) {
            return Ok(());
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    Err("a thread that waits for the GIL was not seen to wait".into())
}
