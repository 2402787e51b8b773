//! What threads wait for, as `threading` has it. Each is also the blocking half of a universal primitive, which adds coroutines to it.
//!
//! Threads barge: whoever comes new may be faster than one that was just woken, and one that was overtaken once is served next.
//! Greenlets of a thread with a hub wait as greenlets, in order.

pub mod barrier;
pub mod condition;
pub mod event;
pub mod lock;
pub mod rlock;
pub mod semaphore;
