//! Many bytes over one connection: the client asks for a number of them, and takes them in.
//!
//! A request is the number in eight bytes, the least first. The answer is so many bytes, each of which is its place's remainder
//! by 251. All of them are compared in the warm-up; then only their number is, since comparing would make the client the slower side.

use crate::cpu_clock::CpuClock;
use crate::failure::{invalid, Context};
use crate::message::{pattern, PERIOD};
use crate::meter::{Cost, Meter};
use crate::{affinity, OnTick};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Received at once, at most.
const BUFFER: usize = 1 << 20;
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// How many bytes, and where from.
#[derive(Clone, Debug)]
pub struct Download {
    /// The server.
    pub address: SocketAddr,
    /// Bytes that are not counted and are compared, before the others.
    pub warm_up: u64,
    /// Bytes that are counted.
    pub bytes: u64,
    /// The core to stay on.
    pub core: Option<usize>,
    /// The server's process, if its CPU clock is to be read.
    pub server_pid: Option<u32>,
    /// Give up when no byte has come for so long.
    pub timeout: Duration,
}

/// Takes them all. Fails when the connection does, when other bytes come, or when told to stop.
pub fn run(download: &Download, on_tick: OnTick<'_>) -> io::Result<Cost> {
    if download.bytes == 0 {
        return Err(invalid("there are no bytes to count"));
    }
    let _pinned = affinity::pin(download.core)?;
    let server = download.server_pid.map(CpuClock::of_process).transpose()?;
    let mut stream = TcpStream::connect_timeout(&download.address, download.timeout)
        .context(|| format!("a connection to {}", download.address))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(download.timeout))?;
    let mut buffer = vec![0; BUFFER];
    let expected = pattern(BUFFER + PERIOD);
    take(&mut stream, download.warm_up, &mut buffer, Some(&expected), on_tick)?;
    let meter = Meter::start(server)?;
    take(&mut stream, download.bytes, &mut buffer, None, on_tick)?;
    meter.stop()
}

fn take(
    stream: &mut TcpStream,
    bytes: u64,
    buffer: &mut [u8],
    expected: Option<&[u8]>,
    on_tick: OnTick<'_>,
) -> io::Result<()> {
    stream.write_all(&bytes.to_le_bytes())?;
    let mut received = 0;
    let mut looked = Instant::now();
    while received < bytes {
        let most = buffer.len().min((bytes - received) as usize);
        let count = match stream.read(&mut buffer[..most]) {
            Ok(0) => return Err(io::Error::new(ErrorKind::ConnectionAborted, "closed by the server")),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => 0,
            outcome => outcome.context(|| format!("after {received} of {bytes} bytes"))?,
        };
        if expected.is_some_and(|all| buffer[..count] != all[received as usize % PERIOD..][..count]) {
            return Err(io::Error::new(ErrorKind::InvalidData, "other bytes came than were asked for"));
        }
        received += count as u64;
        if count == 0 || looked.elapsed() >= LOOK_AFTER {
            looked = Instant::now();
            if on_tick().is_break() {
                return Err(io::Error::new(ErrorKind::Interrupted, "stopped by the caller"));
            }
        }
    }
    Ok(())
}
