//! A receiver of datagrams on epoll and nothing else: what a flood costs where nobody is told of a datagram.
//!
//! One thread and one socket. As many datagrams as there are, up to 32, come by one `recvmmsg`, with their senders, which whoever receives
//! for a protocol has to know; they are counted and forgotten. One such call for each event, as in a loop, which has others to serve.
//!
//! Quicker than the sender, it often sleeps, and going to sleep and waking up are in its figure: 17 times for 100 datagrams where
//! plait slept 4 times and uvloop, which the kernel had to drop some for, once. So this is no lower bound of what a receiver can cost.
//!
//! Written over libc: rustix has no `recvmmsg`.

use crate::failure::Context;
use crate::{affinity, turns, OnTick};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// Datagrams that one call takes.
const MOST: usize = 32;
/// Larger than any datagram of UDP.
const LARGEST: usize = 64 * 1024;
/// Beyond that, the places of the datagrams would begin in the same few lines of the processor's caches.
const STAGGER: usize = 5 * 64;

/// Receives on `socket`, a bound UDP socket that is made non-blocking, until told to stop, and counts in `received`. `core` is
/// the core to stay on.
pub fn serve(
    socket: BorrowedFd<'_>,
    received: &AtomicU64,
    core: Option<usize>,
    on_tick: OnTick<'_>,
) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    rustix::io::ioctl_fionbio(socket, true).context(|| "the socket".into())?;
    let watcher = turns::watcher()?;
    turns::watch(&watcher, socket, 0).context(|| "the socket could not be watched".into())?;
    let mut memory = vec![0; MOST * (LARGEST + STAGGER)];
    turns::serve(&watcher, 2, on_tick, |_| {
        let count = receive(socket, &mut memory).context(|| "a datagram".into())?;
        received.fetch_add(count, Ordering::Relaxed);
        Ok(())
    })
}

/// How many datagrams one call has brought.
fn receive(socket: BorrowedFd<'_>, memory: &mut [u8]) -> rustix::io::Result<u64> {
    type Places = ([libc::iovec; MOST], [libc::mmsghdr; MOST], [libc::sockaddr_storage; MOST]);
    // SAFETY: structures of numbers and pointers, for which zero is a value: nothing, and none.
    #[allow(unsafe_code)]
    let (mut parts, mut headers, mut senders): Places = unsafe { std::mem::zeroed() };
    let places = memory.chunks_exact_mut(LARGEST + STAGGER).zip(&mut senders);
    for ((place, sender), (part, header)) in places.zip(parts.iter_mut().zip(&mut headers)) {
        *part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: LARGEST };
        header.msg_hdr.msg_name = std::ptr::from_mut(sender).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: each header points to a name and a place that are ours alone, live until the call is over and are as long as it says;
    // without a time-out the last argument may be null.
    #[allow(unsafe_code)]
    let count = unsafe {
        let (vector, most) = (headers.as_mut_ptr(), MOST as libc::c_uint);
        libc::recvmmsg(socket.as_raw_fd(), vector, most, libc::MSG_DONTWAIT as _, std::ptr::null_mut())
    };
    match u64::try_from(count) {
        Ok(count) => Ok(count),
        Err(_) => match Errno::from_io_error(&io::Error::last_os_error()) {
            Some(Errno::AGAIN | Errno::INTR) => Ok(0),
            error => Err(error.unwrap_or(Errno::IO)),
        },
    }
}
