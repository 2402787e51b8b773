//! The load client: a closed loop of requests to a server, and what they cost both sides.
//!
//! The figure that matters is the server's CPU time per request, by the server's own CPU clock. It is read when the warm-up
//! has been answered and again when the last counted reply is there, with nothing on its way at either time: neither the
//! server's start nor a half-done request is in it. What the wall clock says depends on the client and on what else the
//! machine does. Rejected: several threads, which on a small machine take the cores that the server needs, and more than
//! one message in flight per connection, which lets a server answer several with one write and hides what each costs.
//!
//! Contents are compared on every connection before the load and after it; under load only lengths are, since a comparison
//! of large messages would make the client the slower side.

use crate::cpu_clock::CpuClock;
use crate::failure::invalid;
use crate::latency::Histogram;
use crate::message::Message;
use crate::meter::{Cost, Meter};
use crate::rounds::Rounds;
use crate::socket::{check_size, Address};
use crate::{affinity, limits, OnTick};
use std::io;
use std::time::Duration;

/// What to send, and where to.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub address: Address,
    /// How many connections, each with one message in flight.
    pub connections: usize,
    /// What goes to and fro.
    pub exchange: Exchange,
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

/// A request and its reply.
#[derive(Clone, Debug)]
pub enum Exchange {
    /// So many bytes, which come back.
    Echo(usize),
    /// These bytes, and a reply of which the length and the beginning are known.
    Request {
        /// What is sent.
        bytes: Vec<u8>,
        /// How many bytes come back.
        reply_size: usize,
        /// The first of them.
        beginning: Vec<u8>,
    },
}

impl Exchange {
    fn size(&self) -> usize {
        match self {
            Self::Echo(size) => *size,
            Self::Request { bytes, reply_size, .. } => bytes.len().min(*reply_size),
        }
    }

    fn message(&self) -> Message {
        match self.clone() {
            Self::Echo(size) => Message::echo(size),
            Self::Request { bytes, reply_size, beginning } => {
                Message::Request { bytes, reply_size, beginning }
            }
        }
    }
}

/// What a load cost.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that were counted.
    pub requests: u64,
    /// What they cost.
    pub cost: Cost,
    /// From the first byte sent to the last one back.
    pub latency: Histogram,
}

/// Loads the server. Fails when a connection does, when a reply is wrong, when nothing moves any more, or when told to stop.
pub fn run(load: &Load, on_tick: OnTick<'_>) -> io::Result<Report> {
    check(load.connections, load.exchange.size(), load.timeout)?;
    check_size(&load.address, load.exchange.size())?;
    if load.requests == 0 {
        return Err(invalid("there are no requests to count"));
    }
    let _pinned = affinity::pin(load.core)?;
    let server = load.server_pid.map(CpuClock::of_process).transpose()?;
    limits::make_room_for(load.connections)?;
    let mut rounds = Rounds::new(load.connections, load.exchange.message(), load.timeout)?;
    rounds.open(&load.address, on_tick)?;
    rounds.load(load.warm_up, None, on_tick)?;

    let mut latency = Histogram::default();
    let meter = Meter::start(server)?;
    rounds.load(load.requests, Some(&mut latency), on_tick)?;
    let cost = meter.stop()?;

    rounds.check_all(on_tick)?;
    Ok(Report { requests: load.requests, cost, latency })
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
