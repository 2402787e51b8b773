//! The thread states of the main interpreter.

use super::{layout, Interpreter};
use pyo3::ffi;
use pyo3::prelude::*;

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
    /// All of them, the newest first. One that comes or goes meanwhile may be missing, and those behind it.
    pub fn threads(&self) -> Vec<ThreadState> {
        let mut threads = Vec::new();
        let mut before = 0;
        let newest = self.memory.words::<1>(self.state + layout::interpreter::NEWEST_THREAD);
        let mut address = newest.map_or(0, |[address]| address);
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
        threads
    }
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

/// What [`Interpreter::threads`] is to find.
pub fn told_by_interpreter(_py: Python<'_>) -> Vec<usize> {
    let mut told = Vec::new();
    // SAFETY: attached, and nothing in between lets another thread run that could take one out of the list.
    unsafe {
        let mut thread = ffi::PyInterpreterState_ThreadHead(ffi::PyInterpreterState_Main());
        while !thread.is_null() {
            told.push(thread.addr());
            thread = ffi::PyThreadState_Next(thread);
        }
    }
    told
}
