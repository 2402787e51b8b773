//! A stall that does not end is reported while it lasts: perhaps it never will. A thread is made for that, since it has to wait for the GIL, and the
//! watchdog's must not.

use super::pulse::Pulse;
use crate::daemon_threads::survives_exit;
use crate::errors::leaves_the_loop;
use crate::native_thread;
use pyo3::prelude::*;
use std::sync::Arc;

pub fn report(pulse: &Arc<Pulse>, beat: u64) {
    let pulse = pulse.clone();
    // Err: there is no room for a thread; then the loop tells of it in the end.
    let _ = native_thread::spawn("plait-watchdog", move || {
        survives_exit();
        // None: the interpreter is on its way out.
        Python::try_attach(|py| {
            // Not over meanwhile, and not told.
            let Some(mut stall) = pulse.take_back(beat) else { return };
            stall.still = true;
            let told = py
                .import("plait.watchdog")
                .and_then(|module| module.call_method1("_lasts", (stall.to_json(), stall.native_id)));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        });
    });
}

/// An error of a hook or a log handler is shown and forgotten, but not one that is to end the loop: Ctrl-C may come at any time.
pub fn unless_it_leaves(py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
    match result {
        Err(error) if !leaves_the_loop(py, &error) => {
            error.write_unraisable(py, None);
            Ok(())
        }
        result => result,
    }
}
