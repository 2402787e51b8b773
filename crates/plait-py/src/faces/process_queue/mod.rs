//! Queues between processes: `multiprocessing.Queue`, `JoinableQueue` and `SimpleQueue`, over `plait_core::shm::queue`.
//!
//! The standard queue hands each object to a thread, which pickles it and writes it to a pipe; the reader takes a semaphore and reads twice. Here `put` pickles
//! at once and copies the bytes into the ring, and `get` copies them out, each with one call from Python and mostly without a system call. What
//! finds no room waits in this process, for a native thread that never needs the interpreter.
//!
//! * [`messages`]: from an object to bytes and back.
//! * [`channel`]: a queue as this process sees it, and how its threads wait.
//! * [`base`], [`queue`] and [`simple`]: the types. What is rare is in `python/plait/multiprocessing/queues.py`.
//!
//! Rejected: pickling in the feeding thread, as the standard queue does: it would need the interpreter in turns with the writer, and the object may have
//! changed by then.

pub mod base;
pub mod channel;
pub mod messages;
pub mod queue;
pub mod simple;
