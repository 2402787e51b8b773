//! A daemon thread that is at work when the interpreter exits.
//!
//! Before 3.14 the interpreter ends such a thread with `pthread_exit` as soon as it asks for the GIL, which it may do below any call of
//! Python code. That unwinds the thread's stack, and Rust's frames cannot be unwound so: the process would abort. From 3.14 on the interpreter
//! lets the thread sleep until the process is gone. Here the older ones are made to do the same.
//!
//! Each thread gets a clean-up handler that does not return. glibc calls the handlers of `_pthread_cleanup_push` as it unwinds, each when the
//! frame is left in which its record lies, and finds that out by comparing addresses. Hence the records lie below every stack: the handler is
//! called before the first frame is left. (musl's `pthread_exit` unwinds nothing.)
//!
//! A thread can only enter a handler for itself, and there are more ways from Rust to Python than one could watch. So it is done at the last moment:
//! [`shelter`] is called at exit, and has the threads that are there do it by a signal. Threads of which `threading` does not know
//! do it when they begin to wait, or to run a loop ([`survives_exit`]).

use crate::ffi;
use pyo3::prelude::*;
use rustix::mm::{mmap_anonymous, MapFlags, ProtFlags};
use std::cell::OnceCell;
use std::ffi::{c_int, c_void};
use std::mem::{zeroed, MaybeUninit};
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Whether this interpreter ends threads in that way.
const UNWINDS: bool = cfg!(all(target_os = "linux", target_env = "gnu", not(Py_3_14)));

/// `struct _pthread_cleanup_buffer`: the handler, its argument, a number, and the record of who entered before. Written by the C library.
type Record = [usize; 4];
const HANDLER: usize = 0;
const BEFORE: usize = 3;

extern "C" {
    fn _pthread_cleanup_push(record: *mut Record, routine: extern "C" fn(*mut c_void), argument: *mut c_void);
    fn _pthread_cleanup_pop(record: *mut Record, execute: c_int);
    fn _Unwind_Backtrace(
        look: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        argument: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(frame: *mut c_void) -> usize;
}

/// Far below where stacks are made, and mostly free.
const LOW: usize = 0x1000_0000;
const PAGE: usize = 4096;
const MOST_TRIES: usize = 1000;
const AT_ONCE: usize = PAGE / size_of::<Record>();

/// Records below every stack. None: there is no room.
fn low_records(count: usize) -> Option<NonNull<Record>> {
    let (rights, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE);
    let bytes = count * size_of::<Record>();
    (0..MOST_TRIES).find_map(|n| {
        let place = std::ptr::without_provenance_mut(LOW + n * PAGE);
        // SAFETY: memory that nobody else has: it fails where there is some already. It is never given back.
        let memory = unsafe { mmap_anonymous(place, bytes, rights, flags) }.ok()?;
        // A kernel that does not know the flag takes the place as a wish.
        NonNull::new(memory.cast::<Record>()).filter(|_| memory == place)
    })
}

// ---- threads that do it themselves

/// Records that no thread uses. Only ever tried: a fork may leave it locked.
static FREE: Mutex<Vec<LowRecord>> = Mutex::new(Vec::new());

struct LowRecord(NonNull<Record>);

// SAFETY: it is memory of which one thread at a time is the owner: who has taken it out of `FREE`.
unsafe impl Send for LowRecord {}

thread_local!(static ENTERED: OnceCell<Entered> = const { OnceCell::new() });

/// From now on, if the interpreter ends this thread at its exit, it sleeps instead.
#[inline]
pub fn survives_exit() {
    if UNWINDS {
        // Err: the thread ends just now, and comes here once more from another thread-local value.
        let _ = ENTERED.try_with(|entered| {
            entered.get_or_init(Entered::now);
        });
    }
}

/// The handler is entered. Goes with the thread.
struct Entered(Option<LowRecord>);

impl Entered {
    #[cold]
    fn now() -> Entered {
        let record = take_record();
        if let Some(record) = &record {
            // SAFETY: the record is this thread's until `drop`, and is large enough. The handler may be called in the midst of anything:
            // it uses no value of this thread.
            unsafe { _pthread_cleanup_push(record.0.as_ptr(), sleep_if_exiting, null_mut()) };
        }
        Entered(record)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(record) = self.0.take() else { return };
        // SAFETY: the thread returns from its outermost function; what C code entered after this has been left again.
        unsafe { _pthread_cleanup_pop(record.0.as_ptr(), 0) };
        if let Ok(mut free) = FREE.try_lock() {
            free.push(record);
        }
    }
}

fn take_record() -> Option<LowRecord> {
    let Ok(mut free) = FREE.try_lock() else {
        return low_records(1).map(LowRecord);
    };
    if free.is_empty() {
        let records = low_records(AT_ONCE)?;
        // SAFETY: all of them lie in that memory.
        free.extend((0..AT_ONCE).map(|n| LowRecord(unsafe { records.add(n) })));
    }
    free.pop()
}

// ---- all others, at exit

/// How long the exit waits until the threads have done it: they need microseconds, but for one that blocks all signals.
const PATIENCE: Duration = Duration::from_millis(50);
/// The signal may come just when the C library enters a handler, and then be forgotten: but not twice.
const ROUNDS: usize = 2;

static SHELTERS: AtomicPtr<Record> = AtomicPtr::new(null_mut());
static SHELTERS_LEFT: AtomicUsize = AtomicUsize::new(0);

/// Has the threads of these ids (`threading.get_native_id()`) survive the exit that is about to come.
#[pyfunction]
pub fn shelter(py: Python<'_>, threads: Vec<i32>) {
    if !UNWINDS || threads.is_empty() {
        return;
    }
    let shelters = ROUNDS * threads.len();
    let (Some(signal), Some(records)) = (unused_signal(), low_records(shelters)) else { return };
    SHELTERS.store(records.as_ptr(), Ordering::Relaxed);
    // Release: the handler sees the records.
    SHELTERS_LEFT.store(shelters, Ordering::Release);
    // SAFETY: all zeros is an action without flags and mask; the handler does nothing but enter another one. It stays, for a signal may come late.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = enter_shelter as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(signal, &action, null_mut());
    }
    let mut left = shelters;
    for _ in 0..ROUNDS {
        left -= threads.iter().filter(|&&thread| send(signal, thread)).count();
        py.detach(|| {
            let start = Instant::now();
            while SHELTERS_LEFT.load(Ordering::Relaxed) > left && start.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
        });
    }
}

/// A real-time signal that nobody has a use for.
fn unused_signal() -> Option<c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|&signal| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: it only writes what the action is; all zeros is one.
        unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_DFL
        }
    })
}

fn send(signal: c_int, thread: i32) -> bool {
    // SAFETY: numbers only. A thread that is gone is not found; another of this process that has got its number does no harm.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) == 0 }
}

/// The signal's handler. It uses what is safe in one: atomics, and calls that write a pointer or two.
extern "C" fn enter_shelter(_: c_int) {
    let left = SHELTERS_LEFT.fetch_update(Ordering::Acquire, Ordering::Relaxed, |left| left.checked_sub(1));
    if let Ok(left) = left {
        // SAFETY: there are as many records as were left at first, and each number comes once.
        unsafe { enter_last(SHELTERS.load(Ordering::Relaxed).add(left - 1)) };
    }
}

/// Enters the handler behind all that are there. The C library's own functions enter and leave some (those that wait for a lock do); where they
/// go back to what was before, this must be it.
///
/// # Safety
///
/// The record is this thread's for ever.
unsafe fn enter_last(record: *mut Record) {
    // SAFETY: the record is this thread's; what lies before it are records of the thread's own stack, as long as this runs on top of it.
    unsafe {
        _pthread_cleanup_push(record, sleep_if_exiting, null_mut());
        let mut before = (*record)[BEFORE] as *mut Record;
        if before.is_null() {
            return;
        }
        _pthread_cleanup_pop(record, 0);
        (*record)[BEFORE] = 0;
        loop {
            if (*before)[HANDLER] == sleep_if_exiting as extern "C" fn(*mut c_void) as usize {
                return; // it was here already
            }
            match (*before)[BEFORE] as *mut Record {
                next if next.is_null() => break,
                next => before = next,
            }
        }
        (*before)[BEFORE] = record as usize;
    }
}

// ---- the handler

/// Called by `pthread_exit`. One that has nothing to do with Python any more may go on: C libraries end threads so, and wait for their end.
extern "C" fn sleep_if_exiting(_: *mut c_void) {
    // SAFETY: it reads a value of the thread.
    let is_pythons = || unsafe { !pyo3::ffi::PyGILState_GetThisThreadState().is_null() };
    while ffi::is_finalizing() && (is_pythons() || has_frames_of_ours()) {
        let _ = rustix::thread::nanosleep(&rustix::time::Timespec { tv_sec: 3600, tv_nsec: 0 });
    }
}

/// Whether code of this module is on the stack, beneath the C library that calls the handler.
fn has_frames_of_ours() -> bool {
    #[derive(Default)]
    struct Seen {
        another: bool,
        ours: bool,
    }
    extern "C" fn look(frame: *mut c_void, seen: *mut c_void) -> c_int {
        // SAFETY: the argument is the one below.
        let seen = unsafe { &mut *seen.cast::<Seen>() };
        // SAFETY: the frame is the one that is looked at.
        let is_ours = module_of(unsafe { _Unwind_GetIP(frame) }) == module_of(look as *const () as usize);
        seen.another |= !is_ours;
        seen.ours = is_ours && seen.another;
        c_int::from(seen.ours) // enough
    }
    let mut seen = Seen::default();
    // SAFETY: the argument outlives the call.
    unsafe { _Unwind_Backtrace(look, (&raw mut seen).cast()) };
    seen.ours
}

/// Where the module begins that has code at that address; 0 for none.
fn module_of(address: usize) -> usize {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: it writes what it finds, and all zeros is nothing.
    unsafe {
        libc::dladdr(address as *const c_void, info.as_mut_ptr());
        info.assume_init().dli_fbase.addr()
    }
}
