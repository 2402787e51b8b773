//! The primitives for everybody at once: threads, tasks of any loop, greenlets.
//!
//! Most are threading's with coroutines added. A method that waits has a twin for coroutines: its name with an `a` before it, and an underscore
//! after it where that makes a keyword. Tasks and greenlets are served in the order of their coming; a thread may be overtaken once.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod lock;
pub mod rlock;
pub mod semaphore;
pub mod strand;
