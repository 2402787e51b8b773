//! The GIL: `{interval, last_holder, locked, switch_number, a condition and its mutex, another pair}`, in all versions of CPython from 3.11 on.
//!
//! It lies somewhere in `_PyRuntime`, in each version elsewhere. So it is searched for by its content: the switch interval, which
//! `sys.getswitchinterval()` tells, then the caller's own thread state, which holds it, then a one.

use super::memory::Memory;
use super::{threads, unknown};
use pyo3::prelude::*;

/// How much is searched: `_PyRuntime` has less than half of that.
const SEARCHED: usize = 1 << 20;
const PAGE: usize = 4096;
const WORD: usize = size_of::<usize>();
/// The structure without the words at its front: two condition variables and two mutexes of glibc.
const WAITED_ON: std::ops::Range<usize> = 4 * WORD..4 * WORD + 2 * (48 + 40);

#[derive(Clone, Copy)]
pub struct GilWords {
    address: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GilNow {
    /// The thread state that holds it; 0: nobody.
    pub holder: usize,
    /// The interpreter's own count of how often another thread took it than had it before.
    pub switches: usize,
}

impl GilWords {
    pub fn find(py: Python<'_>, memory: Memory) -> PyResult<GilWords> {
        let runtime = runtime_address().ok_or_else(|| unknown("it has no symbol _PyRuntime"))?;
        let interval: f64 = py.import("sys")?.call_method0("getswitchinterval")?.extract()?;
        let here = threads::current(py);
        let front = [(interval * 1e6).round() as usize, here];
        let found: Vec<usize> = candidates(memory, runtime, front).collect();
        let [address] = found[..] else {
            return Err(unknown("the GIL was not found"));
        };
        let gil = GilWords { address };
        let when_held = gil.now(memory).map(|now| now.holder);
        // Nobody holds it now, or somebody else.
        let when_not = py.detach(|| gil.now(memory)).map(|now| now.holder);
        match when_held == Some(here) && when_not.is_some_and(|holder| holder != here) {
            true => Ok(gil),
            false => Err(unknown("what looked like the GIL was not taken and given back with it")),
        }
    }

    pub fn now(self, memory: Memory) -> Option<GilNow> {
        let [_, holder, locked, switches] = memory.words(self.address)?;
        Some(GilNow { holder: if locked as u32 == 1 { holder } else { 0 }, switches })
    }

    /// Whether a thread that sleeps on the futex at that address waits for the GIL.
    pub fn is_awaited_at(self, futex: usize) -> bool {
        WAITED_ON.contains(&futex.wrapping_sub(self.address))
    }
}

/// Where these words stand, followed by a one.
fn candidates(memory: Memory, runtime: usize, front: [usize; 2]) -> impl Iterator<Item = usize> {
    let start = runtime & !(WORD - 1);
    let mut copy = Vec::new();
    let mut page = vec![0; PAGE];
    while copy.len() < SEARCHED && memory.read(start + copy.len(), &mut page).is_some() {
        copy.extend_from_slice(&page);
    }
    let words: Vec<usize> =
        copy.chunks_exact(WORD).map(|word| usize::from_ne_bytes(word.try_into().expect("a word"))).collect();
    let hits: Vec<usize> = words
        .windows(3)
        .enumerate()
        .filter(|(_, window)| window[..2] == front && window[2] as u32 == 1)
        .map(|(index, _)| start + index * WORD)
        .collect();
    hits.into_iter()
}

fn runtime_address() -> Option<usize> {
    // SAFETY: it looks a name up among what is loaded.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_PyRuntime".as_ptr()) };
    (!symbol.is_null()).then(|| symbol.addr())
}
