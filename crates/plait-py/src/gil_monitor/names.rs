//! What the threads are called. Only Python knows, so this asks for the GIL: once for all threads that were seen since it asked last, and
//! a few times in a second at the most. The sampler does not wait for it.

use super::tally::Key;
use super::Shared;
use crate::daemon_threads::survives_exit;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long threads gather before they are asked for.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub struct Names {
    wanted: Mutex<bool>,
    changed: Condvar,
}

impl Names {
    /// There are threads without a name; or the monitor ends.
    pub fn wake(&self) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.changed.wait_while(wanted, |wanted| !*wanted);
        *woken.unwrap_or_else(PoisonError::into_inner) = false;
    }
}

pub fn run(shared: &Shared) {
    survives_exit();
    shared.tally().hide(rustix::thread::gettid().as_raw_nonzero().get());
    loop {
        shared.names.wait();
        if shared.ends() {
            return;
        }
        let nameless = shared.tally().nameless();
        // Err: the interpreter is not there any more, or a program has broken `threading`; then they stay nameless.
        let named = Python::try_attach(|py| look_up(py, &nameless)).and_then(Result::ok);
        shared.tally().name(named.unwrap_or_default());
        std::thread::park_timeout(PAUSE);
    }
}

/// The names of those that `threading` knows. An ident is given to a new thread as soon as the one before has ended, so the kernel's number has to agree.
pub fn look_up(py: Python<'_>, wanted: &[Key]) -> PyResult<Vec<(Key, String)>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let active = py.import("threading")?.getattr("_active")?.cast_into::<PyDict>()?;
    let mut named = Vec::new();
    for &(ident, native_id) in wanted {
        let Some(thread) = active.get_item(ident)? else { continue };
        let known: Option<i32> = thread.getattr("native_id")?.extract()?;
        // After a fork `threading` keeps the number that the thread had in the parent; it is the process's first one now.
        if known == Some(native_id) || native_id == std::process::id() as i32 {
            named.push(((ident, native_id), thread.getattr("name")?.str()?.to_string()));
        }
    }
    Ok(named)
}
