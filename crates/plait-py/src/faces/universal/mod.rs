//! The primitives for everybody at once: threads, tasks of any loop, greenlets.
//!
//! A method that waits has a twin for coroutines: its name with an `a` before it. Tasks and greenlets are served in the order of
//! their coming; a thread may be overtaken once.

pub mod lock;
