//! The engine of plait, which knows nothing of Python.
//!
//! Nothing here attaches to an interpreter, so that loom, Miri and a fuzzer can work on all of it,
//! and so that a core lock can never be held while Python code runs. Values that belong to Python
//! pass through as a type parameter `T`: they are moved, and handed back to be dropped by the
//! caller.
//!
//! Read the files in this order:
//!
//! 1. [`sync`]: the standard library's atomics and locks, or loom's; chosen there and nowhere else.
//! 2. [`waiter`]: one wait, settled once; what a thread, a task and a greenlet have in common.
//! 3. [`wait_queue`]: a primitive's state and its waiters under one lock (`word_lock`), which a fork opens.
//! 4. [`primitives`]: Lock, Semaphore, Event, Condition, Barrier and Channel, each a small state and one wait queue.
//! 5. [`parker`]: how a thread sleeps until it is woken.
//! 6. [`timers`]: what is to happen later. One heap for everything that has a deadline.
//! 7. [`inbox`]: what other threads want of a loop, and who has to wake it.
//! 8. [`reactor`]: which descriptors are ready. The contract first, then epoll.
//! 9. [`net`]: the socket calls, what could not be written yet, when to tell the writer to pause, and
//!    what was received: the rules of reading a stream.
//! 10. [`files`]: what a loop asks of files, and who waits for them: io_uring or a few threads.
//! 11. [`shm`]: what processes share.
//! 12. [`fork`]: how all of the above learns that it woke up in a child process.
//!
//! `fd` is the bridge from a bare descriptor number, which is what Python has, to the borrowed
//! descriptors of safe Rust.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod fd;
#[cfg(not(loom))]
pub mod files;
pub mod fork;
pub mod inbox;
pub mod net;
pub mod parker;
pub mod primitives;
pub mod reactor;
pub mod shm;
pub mod sync;
pub mod timers;
pub mod wait_queue;
pub mod waiter;
// Under loom only its own tests use it: see `sync`.
#[cfg_attr(loom, allow(dead_code))]
pub mod word_lock;
