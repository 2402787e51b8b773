//! A UDP echo server on epoll and nothing else, beside the TCP one and as plainly written.
//!
//! One thread and one socket. All that waits is taken, one by one, and sent back at once; an answer that finds no room is
//! dropped, as UDP allows. Rejected: batches by `recvmmsg`, which a load of one datagram per client seldom fills.

use crate::failure::Context;
use crate::{affinity, turns, OnTick};
use rustix::io::{Errno, Result};
use rustix::net::{recvfrom, sendto, RecvFlags, SendFlags};
use std::io;
use std::os::fd::BorrowedFd;

/// The largest datagram there is, in IPv6 as well.
const BUFFER: usize = 64 * 1024;

/// Echoes on `socket`, a bound UDP socket that is made non-blocking, until told to stop. `core` is the core to stay on.
pub fn serve(socket: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    rustix::io::ioctl_fionbio(socket, true).context(|| "the socket".into())?;
    let watcher = turns::watcher()?;
    turns::watch(&watcher, socket, 0).context(|| "the socket could not be watched".into())?;
    let mut buffer = vec![0; BUFFER];
    turns::serve(&watcher, 2, on_tick, |_| echo(socket, &mut buffer).context(|| "a datagram".into()))
}

/// Sends back all that wait.
fn echo(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<()> {
    loop {
        let (count, sender) = match recvfrom(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, count, Some(sender))) => (count, sender),
            Ok((_, _, None)) => continue,
            Err(Errno::AGAIN) => return Ok(()),
            // An earlier answer found nobody there.
            Err(Errno::INTR | Errno::CONNREFUSED) => continue,
            Err(error) => return Err(error),
        };
        match sendto(socket, &buffer[..count], SendFlags::empty(), &sender) {
            Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::CONNREFUSED | Errno::NOBUFS) => {}
            Err(error) => return Err(error),
        }
    }
}
