//! The network half of `plait bench`: what loads a server, and servers to hold it against. Knows nothing of Python.
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
//!    `connection` is one of them, `message` what it sends, [`socket`] what it sends on: TCP, UDP or Unix.
//! 2. [`churn`]: connections that come and go. [`download`]: many bytes over one. [`flood`]: datagrams that nobody answers.
//!    [`endurance`]: requests to a server that is reloaded and killed meanwhile, and what became of each.
//! 3. [`idle`]: connections that only stay open, to measure what one costs in memory.
//! 4. [`epoll_server`], [`uring_server`], [`udp_server`] and [`transfer_server`]: the reference servers. [`udp_receiver`]: the one
//!    that is flooded.
//! 5. [`meter`]: what a stretch of work cost. [`latency`]: a histogram. [`cpu_clock`]: how long a process has been on a processor.
//! 6. `affinity`, `limits`, `ticker`: one core, enough descriptors, ten looks a second at whether to go on. `turns`: the waiting
//!    that all servers on epoll have in common.
//! 7. [`failure`]: errors that say what was being done.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod affinity;
pub mod churn;
pub mod client;
mod connection;
pub mod cpu_clock;
pub mod download;
pub mod endurance;
pub mod epoll_server;
pub mod failure;
pub mod flood;
pub mod idle;
pub mod latency;
mod limits;
mod message;
pub mod meter;
mod outgoing;
mod rounds;
pub mod socket;
mod ticker;
pub mod transfer_server;
mod turns;
pub mod udp_receiver;
pub mod udp_server;
pub mod uring_server;

/// Asked about ten times a second, and whenever a signal came in, whether to go on.
pub type OnTick<'a> = &'a mut dyn FnMut() -> std::ops::ControlFlow<()>;
