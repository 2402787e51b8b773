//! What the threads are called. Only Python knows, so this asks for the GIL: once for all threads that were seen since it asked last, and
//! a few times in a second at the most. The sampler does not wait for it.

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

/// The names of those that `threading` knows.
pub fn look_up(py: Python<'_>, idents: &[usize]) -> PyResult<Vec<(usize, String)>> {
    if idents.is_empty() {
        return Ok(Vec::new());
    }
    let active = py.import("threading")?.getattr("_active")?.cast_into::<PyDict>()?;
    let mut named = Vec::new();
    for &ident in idents {
        if let Some(thread) = active.get_item(ident)? {
            named.push((ident, thread.getattr("name")?.str()?.to_string()));
        }
    }
    Ok(named)
}
