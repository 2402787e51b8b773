//! A UDP echo server on epoll and nothing else, beside the TCP one and as plainly written.
//!
//! One thread and one socket. All that waits is taken, one by one, and sent back at once; an answer that finds no room is
//! dropped, as UDP allows. Rejected: batches by `recvmmsg`, which a load of one datagram per client seldom fills.

use crate::failure::Context;
use crate::ticker::Ticker;
use crate::{affinity, OnTick};
use rustix::event::epoll;
use rustix::io::{Errno, Result};
use rustix::net::{recvfrom, sendto, RecvFlags, SendFlags};
use std::io;
use std::os::fd::BorrowedFd;

const SOCKET: u64 = 0;
const TICKER: u64 = 1;
/// The largest datagram there is, in IPv6 as well.
const BUFFER: usize = 64 * 1024;

/// Echoes on `socket`, a bound UDP socket that is made non-blocking, until told to stop. `core` is the core to stay on.
pub fn serve(socket: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    rustix::io::ioctl_fionbio(socket, true).context(|| "the socket".into())?;
    let ticker = Ticker::new()?;
    let watched =
        epoll::create(epoll::CreateFlags::CLOEXEC).context(|| "epoll could not be set up".into())?;
    epoll::add(&watched, socket, epoll::EventData::new_u64(SOCKET), epoll::EventFlags::IN)
        .context(|| "the socket could not be watched".into())?;
    epoll::add(&watched, &ticker, epoll::EventData::new_u64(TICKER), epoll::EventFlags::IN)
        .context(|| "the timer could not be watched".into())?;
    let mut events = Vec::with_capacity(2);
    let mut buffer = vec![0; BUFFER];
    loop {
        events.clear();
        match epoll::wait(&watched, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(Errno::INTR) if on_tick().is_break() => return Ok(()),
            Err(Errno::INTR) => continue,
            outcome @ Err(_) => return outcome.map(drop).context(|| "epoll_pwait2 (Linux 5.11)".into()),
        }
        for &epoll::Event { data, .. } in &events {
            match data.u64() {
                SOCKET => echo(socket, &mut buffer).context(|| "a datagram".into())?,
                _ if ticker.ask(on_tick).is_break() => return Ok(()),
                _ => {}
            }
        }
    }
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
