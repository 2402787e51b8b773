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
//! 2. [`timers`]: what is to happen later. One heap for everything that has a deadline.
//! 3. [`inbox`]: what other threads want of a loop, and who has to wake it.
//! 4. [`reactor`]: which descriptors are ready. The contract first, then epoll.
//! 5. [`net`]: the socket calls, what could not be written yet, when to tell the writer to pause, and
//!    what was received: the rules of reading a stream.
//! 6. [`fork`]: how all of the above learns that it woke up in a child process.
//!
//! `fd` is the bridge from a bare descriptor number, which is what Python has, to the borrowed
//! descriptors of safe Rust.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod fd;
pub mod fork;
pub mod inbox;
pub mod net;
pub mod reactor;
pub mod sync;
pub mod timers;
