//! A daemon thread that is at work when the interpreter exits.
//!
//! Before 3.14 the interpreter ends such a thread with `pthread_exit` as soon as it asks for the GIL, which it may do below any
//! call of Python code. That unwinds the thread's stack, and Rust's frames cannot be unwound so: the process would abort. From 3.14
//! on the interpreter lets the thread sleep until the process is gone. [`survives_exit`] has the same done by the older ones.
//!
//! It enters a clean-up handler for the thread that never returns. The C library calls the handlers of `pthread_cleanup_push` in the order
//! of the stack, each when the frame is left in which its record lies: musl before any frame is left, glibc by comparing
//! addresses. Hence the records lie below every stack: the handler then is called before the first frame is left.

use crate::ffi;
use rustix::mm::{mmap_anonymous, MapFlags, ProtFlags};
use std::cell::OnceCell;
use std::ffi::c_void;
use std::ptr::{null_mut, NonNull};
use std::sync::{Mutex, PoisonError};

/// `struct _pthread_cleanup_buffer` of glibc, `struct __ptcb` of musl: at most four words, all written by the C library.
type Record = [usize; 4];

extern "C" {
    fn _pthread_cleanup_push(record: *mut Record, routine: extern "C" fn(*mut c_void), argument: *mut c_void);
    fn _pthread_cleanup_pop(record: *mut Record, execute: i32);
}

const PAGE: usize = 4096;
/// A place that is free in every process, far below where stacks are made. The kernel takes it as a wish.
const LOW: usize = 0x1000_0000;

/// Records that no thread uses.
static FREE: Mutex<Vec<LowRecord>> = Mutex::new(Vec::new());

struct LowRecord(NonNull<Record>);

// SAFETY: it is memory of which one thread at a time is the owner: who has taken it out of `FREE`.
unsafe impl Send for LowRecord {}

thread_local!(static ENTERED: OnceCell<Entered> = const { OnceCell::new() });

/// From now on, if the interpreter ends this thread at its exit, it sleeps instead. Without effect where records cannot lie below the stack.
#[inline]
pub fn survives_exit() {
    if cfg!(not(Py_3_14)) {
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
        let here = 0_u8;
        let record = take_record().filter(|record| record.0.as_ptr().addr() < (&raw const here).addr());
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
        if let Some(record) = self.0.take() {
            // SAFETY: the thread returns from its outermost function; what C code entered after this has been left again.
            unsafe { _pthread_cleanup_pop(record.0.as_ptr(), 0) };
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        }
    }
}

fn take_record() -> Option<LowRecord> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if free.is_empty() {
        let (rights, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: memory that nobody else has, at an address that the kernel chooses. It is never given back.
        let page =
            unsafe { mmap_anonymous(std::ptr::without_provenance_mut(LOW), PAGE, rights, flags) }.ok()?;
        let records = page.cast::<Record>();
        // SAFETY: all of them lie in the page.
        free.extend(
            (0..PAGE / size_of::<Record>())
                .map(|n| LowRecord(unsafe { NonNull::new_unchecked(records.add(n)) })),
        );
    }
    free.pop()
}

/// Called by `pthread_exit`. Somebody else's reasons for one are none of ours: then it goes on.
extern "C" fn sleep_if_exiting(_: *mut c_void) {
    while ffi::is_finalizing() {
        let _ = rustix::thread::nanosleep(&rustix::time::Timespec { tv_sec: 3600, tv_nsec: 0 });
    }
}
