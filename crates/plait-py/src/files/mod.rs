//! Files, as `plait.fs` sees them; what users see is in `python/plait/fs`.
//!
//! * `engine`: the loop's engine (`plait_core::files`) as a Python object, and what awaits its completions;
//! * `cached`: files that are opened and read at once, on the loop's own thread;
//! * `file`: an open file: what was read and not asked for yet, what was written and is not in the file yet;
//! * `attempts`: the operations that never wait: each has its answer or says what it lacks;
//! * `wanting`: how what it lacks is had;
//! * `stream`: the file as the standard `io.TextIOWrapper` sees it;
//! * `paths`: names of files.
//!
//! An operation is an attempt, made by a coroutine in Python: mostly it has its answer, and nothing was awaited. Otherwise the coroutine
//! awaits what is lacking and tries again. So a read that is cancelled takes nothing: what the kernel has read for it by then stays with the file.

mod attempts;
mod cached;
pub mod engine;
pub mod file;
mod methods;
mod paths;
mod stream;
mod wanting;
