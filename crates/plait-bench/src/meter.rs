//! What a stretch of work cost: the wall clock, this thread's CPU clock, and the server's.

use crate::cpu_clock::{this_thread, CpuClock};
use std::io;
use std::time::Instant;

/// What some requests (or connections, or bytes) cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// How long they took, in nanoseconds.
    pub wall_ns: u64,
    /// How long the server's threads were on a processor for them, in nanoseconds.
    pub server_cpu_ns: Option<u64>,
    /// How long the client's thread was.
    pub client_cpu_ns: u64,
}

/// Clocks that were read when it was started.
#[derive(Debug)]
pub(crate) struct Meter {
    server: Option<(CpuClock, u64)>,
    client: u64,
    began: Instant,
}

impl Meter {
    pub(crate) fn start(server: Option<CpuClock>) -> io::Result<Self> {
        let server = server.map(|clock| Ok::<_, io::Error>((clock, clock.nanoseconds()?))).transpose()?;
        Ok(Self { server, client: this_thread(), began: Instant::now() })
    }

    pub(crate) fn stop(self) -> io::Result<Cost> {
        let wall_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let client_cpu_ns = this_thread() - self.client;
        let since = |(clock, before): (CpuClock, u64)| Ok::<_, io::Error>(clock.nanoseconds()? - before);
        Ok(Cost { wall_ns, server_cpu_ns: self.server.map(since).transpose()?, client_cpu_ns })
    }
}
