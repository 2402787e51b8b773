//! Datagrams as fast as the kernel takes them, from one thread, answered by nobody.
//!
//! They go in bunches, which the kernel cuts into datagrams itself (UDP_SEGMENT): with a call for each datagram, and even with
//! `sendmmsg`, a quick receiver is quicker than the sender, sleeps in between, and is measured waking up. The receiver tells how
//! many it was given: what its socket has no room for is dropped, which UDP is allowed to do.

use crate::failure::{invalid, Context};
use crate::message::pattern;
use crate::socket::{check_size, Address};
use crate::{affinity, OnTick};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Datagrams in a bunch, at most: what every kernel cuts.
const BUNCH: usize = 64;
/// Bytes in a bunch, at most: it is one packet until it is cut.
const PACKET: usize = 65_000;
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
    let in_a_bunch = PACKET.checked_div(size).map_or(1, |fit| fit.clamp(1, BUNCH));
    if in_a_bunch > 1 {
        cut_into(&socket, size).context(|| "UDP_SEGMENT (Linux 4.18)".into())?;
    }
    let bunch = pattern(size).repeat(in_a_bunch);
    let began = Instant::now();
    let mut looked = began;
    let mut left = datagrams;
    while left > 0 {
        let count = left.min(in_a_bunch as u64);
        socket
            .send(&bunch[..count as usize * size])
            .context(|| format!("with {left} of {datagrams} datagrams to go"))?;
        left -= count;
        if looked.elapsed() >= LOOK_AFTER {
            looked = Instant::now();
            if on_tick().is_break() {
                return Err(io::Error::new(ErrorKind::Interrupted, "stopped by the caller"));
            }
        }
    }
    Ok(began.elapsed())
}

/// What is sent from now on is datagrams of `size` bytes, and one that may be shorter.
fn cut_into(socket: &UdpSocket, size: usize) -> io::Result<()> {
    let size = size as libc::c_int;
    // SAFETY: the descriptor is open as long as `socket` is, and the kernel reads as many bytes of `size` as it has.
    #[allow(unsafe_code)]
    let outcome = unsafe {
        let length = size_of_val(&size) as libc::socklen_t;
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            std::ptr::from_ref(&size).cast(),
            length,
        )
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
