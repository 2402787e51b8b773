//! The network half of `plait bench`: what loads an echo server, and two servers to hold it against. Knows nothing of Python.
//!
//! A load client written in Python is slower than the servers that it should keep busy, and then measures itself. So it is
//! here, in native code on one thread, together with the least that a server on epoll or io_uring can be: the distance from
//! those is what a runtime adds. The extension module carries all of it, so that a benchmark needs nothing that is not
//! installed with the package. Rejected: the load generators that distributions ship, which speak HTTP or know nothing of the
//! server's CPU clock; and the engine of plait itself under the reference servers, which would then measure plait with plait.
//!
//! Read the files in this order:
//!
//! 1. [`client`]: a closed loop of requests on some connections, and what they cost. `rounds` drives the connections,
//!    `connection` is one of them.
//! 2. [`idle`]: connections that only stay open, to measure what one costs in memory.
//! 3. [`epoll_server`] and [`uring_server`]: the reference servers.
//! 4. [`latency`]: a histogram. [`cpu_clock`]: how long a process has been on a processor.
//! 5. `affinity`, `limits`, `ticker`: one core, enough descriptors, ten looks a second at whether to go on.
//! 6. [`failure`]: errors that say what was being done.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod affinity;
pub mod client;
mod connection;
pub mod cpu_clock;
pub mod epoll_server;
pub mod failure;
pub mod idle;
pub mod latency;
mod limits;
mod rounds;
mod ticker;
pub mod uring_server;

/// Asked about ten times a second, and whenever a signal came in, whether to go on.
pub type OnTick<'a> = &'a mut dyn FnMut() -> std::ops::ControlFlow<()>;
