//! Datagrams as fast as the kernel takes them, from one thread, answered by nobody.
//!
//! They go in bunches, one system call each: with a call for each datagram, a quick receiver sleeps in between, and is measured
//! waking up. The receiver tells how many it was given: what its socket has no room for is dropped, which UDP is allowed to do.

use crate::failure::{invalid, Context};
use crate::message::pattern;
use crate::socket::{check_size, Address};
use crate::{affinity, OnTick};
use rustix::net::{sendmmsg, MMsgHdr, SendAncillaryBuffer, SendFlags};
use std::io::{self, ErrorKind, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Datagrams in a bunch.
const BUNCH: u64 = 64;
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Sends `datagrams` of `size` bytes each; returns how long it took.
pub fn run(
    address: SocketAddr,
    datagrams: u64,
    size: usize,
    core: Option<usize>,
    on_tick: OnTick<'_>,
) -> io::Result<Duration> {
    if datagrams == 0 {
        return Err(invalid("there are no datagrams to send"));
    }
    check_size(&Address::Udp(address), size)?;
    let _pinned = affinity::pin(core)?;
    let local: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    let datagram = pattern(size);
    let began = Instant::now();
    let mut looked = began;
    let pieces = [IoSlice::new(&datagram)];
    let mut left = datagrams;
    while left > 0 {
        let mut controls: Vec<_> = (0..left.min(BUNCH)).map(|_| SendAncillaryBuffer::default()).collect();
        let mut bunch: Vec<_> = controls.iter_mut().map(|control| MMsgHdr::new(&pieces, control)).collect();
        let sent = sendmmsg(&socket, &mut bunch, SendFlags::empty())
            .context(|| format!("with {left} of {datagrams} datagrams to go"))?;
        left -= sent as u64;
        if looked.elapsed() >= LOOK_AFTER {
            looked = Instant::now();
            if on_tick().is_break() {
                return Err(io::Error::new(ErrorKind::Interrupted, "stopped by the caller"));
            }
        }
    }
    Ok(began.elapsed())
}
