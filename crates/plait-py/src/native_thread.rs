//! Threads of plait's own, which look at the others. They take no part in the program: no signal is delivered to them, which the program might
//! expect to interrupt a call of its own, and Python does not know them.

use std::mem::MaybeUninit;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. `name`, up to 15 bytes, is what `top -H` shows.
pub fn spawn<R: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> R + Send + 'static,
) -> std::io::Result<JoinHandle<R>> {
    without_signals(|| Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(body))
}

/// A new thread inherits which signals are blocked.
fn without_signals<R>(body: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are written before they are read, by these calls; all zeros is a set as well.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = body();
    // SAFETY: the set that this thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    result
}
