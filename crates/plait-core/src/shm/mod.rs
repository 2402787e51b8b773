//! What processes share: memory, and the ways of waiting for each other that lie in it.
//!
//! Shared memory outlives whoever maps it badly: a process may be killed between any two of its instructions, and what it writes may be
//! anything. So nothing here is a pointer, nothing is locked by one process while another needs it, and whatever is read from
//! shared memory is checked before it is believed.
//!
//! 1. `memory`: a piece of memory with a descriptor, which can be handed to another process.
//! 2. [`futex`]: sleeping on a word of it.
//! 3. [`bell`]: one sleeper, many who wake it, and no system call where nobody sleeps.
//! 4. [`positions`]: how far one process has written and another has read.
//! 5. `ring`: messages from one process to another.
//! 6. [`claims`]: which of the calls that were sent have begun, and which may be taken back.
//! 7. `frame`: what a message says of itself.
//! 8. [`identity`]: which process that is, and whether it lives.
//! 9. [`locks`]: locks, semaphores, events, conditions and barriers for the waiters of several processes.
//! 10. `queue`: messages from many processes to many.
//!
//! Loom explores the protocols, which are words only: it knows neither mappings nor system calls.

pub mod bell;
pub mod claims;
#[cfg(not(loom))]
pub mod frame;
pub mod futex;
pub mod identity;
pub mod locks;
#[cfg(not(loom))]
pub mod memory;
pub mod positions;
#[cfg(not(loom))]
pub mod queue;
#[cfg(all(test, loom))]
#[path = "queue/signal.rs"]
#[allow(dead_code)]
mod queue_signal;
#[cfg(not(loom))]
pub mod ring;

#[cfg(all(test, loom))]
mod loom_tests;
