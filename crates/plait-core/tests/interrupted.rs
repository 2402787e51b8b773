//! A signal ends a wait, which says so.

use plait_core::reactor::{Events, Reactor};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};

extern "C" fn ignore(_signal: libc::c_int) {}

/// Installs a handler that does nothing, without SA_RESTART.
fn catch_signal() {
    // SAFETY: the struct is plain data for which zero is a valid value, and the handler does
    // nothing at all.
    let outcome = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as libc::sighandler_t;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut())
    };
    assert_eq!(outcome, 0);
}

#[test]
fn a_signal_ends_an_endless_wait_with_eintr() {
    catch_signal();
    let reactor = Reactor::new().unwrap();
    let interrupted = AtomicBool::new(false);
    // SAFETY: always succeeds.
    let waiting_thread = unsafe { libc::pthread_self() };
    std::thread::scope(|scope| {
        // Again and again, since the first may arrive before the wait has begun.
        scope.spawn(|| {
            while !interrupted.load(Ordering::Acquire) {
                // SAFETY: the thread outlives the scope.
                unsafe { libc::pthread_kill(waiting_thread, libc::SIGUSR1) };
                std::thread::yield_now();
            }
        });
        let error = reactor.wait(&mut Events::with_capacity(1), None).unwrap_err();
        interrupted.store(true, Ordering::Release);
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(error.raw_os_error(), Some(libc::EINTR));
    });
}
