//! The load client: a closed loop of requests to an echo server, and what they cost both sides.
//!
//! The figure that matters is the server's CPU time per request, by the server's own CPU clock. It is read when the warm-up
//! has been answered and again when the last counted reply is there, with nothing on its way at either time: neither the
//! server's start nor a half-done request is in it. What the wall clock says depends on the client and on what else the
//! machine does. Rejected: several threads, which on a small machine take the cores that the server needs, and more than
//! one message in flight per connection, which lets a server answer several with one write and hides what each costs.
//!
//! Contents are compared on every connection before the load and after it; under load only lengths are, since a comparison
//! of large messages would make the client the slower side.

use crate::cpu_clock::{this_thread, CpuClock};
use crate::failure::invalid;
use crate::latency::Histogram;
use crate::rounds::Rounds;
use crate::{affinity, limits, OnTick};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What to send, and where to.
#[derive(Clone, Debug)]
pub struct Load {
    /// The echo server.
    pub address: SocketAddr,
    /// How many connections, each with one message in flight.
    pub connections: usize,
    /// Bytes in a message.
    pub size: usize,
    /// Requests that are not counted, before the others.
    pub warm_up: u64,
    /// Requests that are counted.
    pub requests: u64,
    /// The core to stay on.
    pub core: Option<usize>,
    /// The server's process, if its CPU clock is to be read.
    pub server_pid: Option<u32>,
    /// Give up when no byte has moved for so long.
    pub timeout: Duration,
}

/// What a load cost.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that were counted.
    pub requests: u64,
    /// How long they took, in nanoseconds.
    pub wall_ns: u64,
    /// How long the server's threads were on a processor for them, in nanoseconds.
    pub server_cpu_ns: Option<u64>,
    /// How long the client's thread was.
    pub client_cpu_ns: u64,
    /// From the first byte sent to the last one back.
    pub latency: Histogram,
}

/// Loads the server. Fails when a connection does, when a reply is wrong, when nothing moves any more, or when told to stop.
pub fn run(load: &Load, on_tick: OnTick<'_>) -> io::Result<Report> {
    check(load.connections, load.size, load.timeout)?;
    if load.requests == 0 {
        return Err(invalid("there are no requests to count"));
    }
    let _pinned = affinity::pin(load.core)?;
    let server = load.server_pid.map(CpuClock::of_process).transpose()?;
    limits::make_room_for(load.connections)?;
    let mut rounds = Rounds::new(load.connections, load.size, load.timeout)?;
    rounds.open(load.address, on_tick)?;
    rounds.load(load.warm_up, None, on_tick)?;

    let read_server = || server.map(|clock| clock.nanoseconds()).transpose();
    let mut latency = Histogram::default();
    let server_before = read_server()?;
    let client_before = this_thread();
    let began = Instant::now();
    rounds.load(load.requests, Some(&mut latency), on_tick)?;
    let wall_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let client_cpu_ns = this_thread() - client_before;
    let server_cpu_ns = read_server()?.zip(server_before).map(|(after, before)| after - before);

    rounds.check_all(on_tick)?;
    Ok(Report { requests: load.requests, wall_ns, server_cpu_ns, client_cpu_ns, latency })
}

/// Refuses what cannot be run.
pub(crate) fn check(connections: usize, size: usize, timeout: Duration) -> io::Result<()> {
    if connections == 0 {
        return Err(invalid("at least one connection is needed"));
    }
    if size == 0 {
        return Err(invalid("a message has at least one byte"));
    }
    if timeout.is_zero() {
        return Err(invalid("the time-out has to be longer than nothing"));
    }
    Ok(())
}
