//! One core for the calling thread, for as long as a guard lives.
//!
//! Client and server on cores of their own are what makes two runs comparable. The earlier set of cores comes back
//! afterwards, because the thread belongs to the caller.

use crate::failure::{invalid, Context};
use rustix::io::Errno;
use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};
use std::io;

/// Puts the cores that were allowed before back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: Option<CpuSet>,
}

/// Pins the calling thread to `core`; without one it stays where it is.
pub(crate) fn pin(core: Option<usize>) -> io::Result<Pinned> {
    let Some(core) = core else { return Ok(Pinned { before: None }) };
    if core >= CpuSet::MAX_CPU {
        return Err(invalid(format!("there is no core {core}")));
    }
    let before = sched_getaffinity(None).context(|| "the allowed cores could not be read".into())?;
    let mut only = CpuSet::new();
    only.set(core);
    match sched_setaffinity(None, &only) {
        Ok(()) => Ok(Pinned { before: Some(before) }),
        Err(Errno::INVAL) => Err(invalid(format!("there is no core {core}, or it is not allowed"))),
        Err(error) => Err(error).context(|| format!("the thread could not be pinned to core {core}")),
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Fails only if those cores were taken away meanwhile; then the kernel has chosen others already.
            let _ = sched_setaffinity(None, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_and_puts_back() {
        let before = sched_getaffinity(None).unwrap();
        let core = (0..CpuSet::MAX_CPU).rfind(|core| before.is_set(*core)).unwrap();
        let pinned = pin(Some(core)).unwrap();
        let during = sched_getaffinity(None).unwrap();
        assert!(during.is_set(core));
        assert_eq!(during.count(), 1);
        drop(pinned);
        assert!(sched_getaffinity(None).unwrap() == before);
    }

    #[test]
    fn refuses_cores_that_are_not_there() {
        assert_eq!(pin(Some(CpuSet::MAX_CPU)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let error = pin(Some(CpuSet::MAX_CPU - 1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("core 1023"), "{error}");
    }
}
