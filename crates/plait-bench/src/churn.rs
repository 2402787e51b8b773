//! Connections that are opened, used once and closed: what coming and going costs a server.
//!
//! They come in waves: a wave is opened, every connection of it asks, every one is answered and checked, and all are closed
//! before the next. So several are under way at once, as at a server that is reached by many, and no backlog overflows.
//! Each wave comes from another address if the server listens on the loopback (`outgoing`).

use crate::client::check;
use crate::cpu_clock::CpuClock;
use crate::failure::{invalid, Context};
use crate::message::Message;
use crate::meter::{Cost, Meter};
use crate::outgoing::connect;
use crate::{affinity, limits, OnTick};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const LOOK_AFTER: Duration = Duration::from_millis(100);

/// How many connections, and where to.
#[derive(Clone, Debug)]
pub struct Churn {
    /// A TCP echo server.
    pub address: SocketAddr,
    /// How many are open at once.
    pub at_once: usize,
    /// Bytes in the one message of each.
    pub size: usize,
    /// Connections that are not counted, before the others.
    pub warm_up: u64,
    /// Connections that are counted.
    pub connections: u64,
    /// The core to stay on.
    pub core: Option<usize>,
    /// The server's process, if its CPU clock is to be read.
    pub server_pid: Option<u32>,
    /// Give up when a connection or an answer takes so long.
    pub timeout: Duration,
}

/// Opens, uses and closes them all. Fails when a connection does, when a reply is wrong, or when told to stop.
pub fn run(churn: &Churn, on_tick: OnTick<'_>) -> io::Result<Cost> {
    check(churn.at_once, churn.size, churn.timeout)?;
    if churn.connections == 0 {
        return Err(invalid("there are no connections to count"));
    }
    let _pinned = affinity::pin(churn.core)?;
    let server = churn.server_pid.map(CpuClock::of_process).transpose()?;
    limits::make_room_for(churn.at_once)?;
    let mut waves = Waves {
        churn,
        message: Message::echo(churn.size),
        buffer: vec![0; churn.size],
        source: 0,
        looked: Instant::now(),
    };
    waves.run(churn.warm_up, on_tick)?;
    let meter = Meter::start(server)?;
    waves.run(churn.connections, on_tick)?;
    meter.stop()
}

struct Waves<'a> {
    churn: &'a Churn,
    message: Message,
    buffer: Vec<u8>,
    source: u64,
    looked: Instant,
}

impl Waves<'_> {
    fn run(&mut self, connections: u64, on_tick: OnTick<'_>) -> io::Result<()> {
        let mut left = connections;
        while left > 0 {
            let count = left.min(self.churn.at_once as u64);
            self.wave(count as usize)
                .context(|| format!("with {left} of {connections} connections to go"))?;
            left -= count;
            if self.looked.elapsed() >= LOOK_AFTER {
                self.looked = Instant::now();
                if on_tick().is_break() {
                    return Err(io::Error::new(ErrorKind::Interrupted, "stopped by the caller"));
                }
            }
        }
        Ok(())
    }

    fn wave(&mut self, count: usize) -> io::Result<()> {
        self.source += 1;
        let mut streams = Vec::with_capacity(count);
        for number in 0..count {
            let mut stream = connect(self.churn.address, self.source, self.churn.timeout)?;
            stream.write_all(self.message.of(number))?;
            streams.push(stream);
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.read_exact(&mut self.buffer)?;
            if !self.message.is_right(number, 0, &self.buffer) {
                return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came back than were sent"));
            }
        }
        Ok(())
    }
}
