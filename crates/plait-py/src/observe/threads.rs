//! The thread states of the main interpreter.

use super::{layout, Interpreter};
use pyo3::ffi;
use pyo3::prelude::*;
use std::collections::HashSet;

/// A list longer than this is one that changed while it was read.
const MOST: usize = 100_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// Of the `PyThreadState`.
    pub address: usize,
    /// `threading.get_ident()`.
    pub ident: usize,
    /// `threading.get_native_id()`: the kernel's number.
    pub native_id: i32,
}

impl Interpreter {
    /// Where the newest lies, as it is read here.
    pub fn newest_thread(&self) -> Option<usize> {
        self.memory.words::<1>(self.state + layout::interpreter::NEWEST_THREAD).map(|[address]| address)
    }

    /// All of them, the newest first. One that comes or goes meanwhile may be missing, and those behind it.
    pub fn threads(&self) -> Vec<ThreadState> {
        let mut threads = Vec::new();
        let mut before = 0;
        let mut address = self.newest_thread().unwrap_or(0);
        while address != 0 && threads.len() < MOST {
            let Some([previous, next, interpreter]) = self.memory.words(address) else { break };
            let Some([ident, native_id]) = self.memory.words(address + layout::thread::IDENT) else { break };
            if interpreter != self.state || previous != before {
                break; // it was taken out of the list, or is none any more
            }
            // 0: made, and not begun.
            if native_id != 0 {
                threads.push(ThreadState { address, ident, native_id: native_id as i32 });
            }
            (before, address) = (address, next);
        }
        if cfg!(not(Py_3_12)) {
            leave_out_unbegun(&mut threads);
        }
        threads
    }
}

/// Up to 3.11 a new state has the numbers of the thread that made it, until its own begins: of two with the same the older is meant.
fn leave_out_unbegun(newest_first: &mut Vec<ThreadState>) {
    let mut known = HashSet::new();
    newest_first.reverse();
    newest_first.retain(|state| known.insert(state.native_id));
    newest_first.reverse();
}

/// The caller's.
pub fn current(_py: Python<'_>) -> usize {
    // SAFETY: attached.
    unsafe { ffi::PyThreadState_Get() }.addr()
}

pub fn main_interpreter(_py: Python<'_>) -> usize {
    // SAFETY: it reads a pointer.
    unsafe { ffi::PyInterpreterState_Main() }.addr()
}

/// The newest, as the interpreter says: a number to be compared. It is not followed, here or by the C-API (`PyThreadState_Next`): without the GIL the
/// others' states go away meanwhile.
pub fn newest(_py: Python<'_>) -> usize {
    // SAFETY: attached; it reads a pointer from the main interpreter's state, which is there for as long as anybody is attached.
    unsafe { ffi::PyInterpreterState_ThreadHead(ffi::PyInterpreterState_Main()) }.addr()
}
