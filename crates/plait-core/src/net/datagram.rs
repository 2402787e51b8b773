//! Datagrams: received many at a time, sent one or many at a time, never waiting.
//!
//! A system call costs more than the datagram that it brings, so a receive asks for as many as there may be. They lie in a
//! [`Batch`], two mebibytes of address space of which the kernel only backs what datagrams have touched; one per thread is
//! enough. Two mebibytes are 32 datagrams of the largest size that UDP has, or 8 of the largest that asyncio reads.
//!
//! Written over libc: rustix has no `recvmmsg`.

use super::socket_address::SocketAddress;
use rustix::io::Errno;
use std::io;
use std::os::fd::RawFd;

/// The most datagrams that one call receives or sends.
pub const MOST_DATAGRAMS: usize = 32;
/// So many are usual.
const FEW_DATAGRAMS: usize = 6;
/// Larger than any datagram of UDP.
pub const LARGEST_UDP: usize = 64 * 1024;
/// asyncio reads no more of any datagram.
pub const LARGEST_READ_AT_ONCE: usize = 256 * 1024;
const MEMORY: usize = MOST_DATAGRAMS * LARGEST_UDP;
/// Datagrams are mostly short, and at distances of a power of two their first bytes would share a few lines of the processor's
/// caches: each place begins some lines further on.
const STAGGER: usize = 5 * 64;
const SEND: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// What one call has received.
pub struct Batch {
    memory: Box<[u8]>,
    senders: Box<[SocketAddress; MOST_DATAGRAMS]>,
    lengths: [usize; MOST_DATAGRAMS],
    slot: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            memory: vec![0; MEMORY + MOST_DATAGRAMS * STAGGER].into_boxed_slice(),
            senders: Box::new([SocketAddress::default(); MOST_DATAGRAMS]),
            lengths: [0; MOST_DATAGRAMS],
            slot: LARGEST_UDP,
        }
    }

    /// Receives what is there, up to `most` datagrams of up to `largest` bytes each; the rest of a longer one is lost, as ever.
    /// Says how many. An error that is met behind the first one stays with the socket for the next call.
    pub fn receive(&mut self, fd: RawFd, largest: usize, most: usize) -> io::Result<usize> {
        self.slot = largest.clamp(1, MEMORY);
        let count = most.clamp(1, MOST_DATAGRAMS).min(MEMORY / self.slot);
        // To clear the headers of 32 shows beside a call that brings one or two.
        match count <= FEW_DATAGRAMS {
            true => self.receive_with_headers_for::<FEW_DATAGRAMS>(fd, count),
            false => self.receive_with_headers_for::<MOST_DATAGRAMS>(fd, count),
        }
    }

    /// `count` is at most `N`.
    fn receive_with_headers_for<const N: usize>(&mut self, fd: RawFd, count: usize) -> io::Result<usize> {
        let count = count.min(N);
        let mut parts = [EMPTY_PART; N];
        let mut headers = [EMPTY_HEADER; N];
        let slots = self.memory.chunks_exact_mut(self.slot + STAGGER).zip(self.senders.iter_mut());
        for (index, (memory, sender)) in slots.take(count).enumerate() {
            let memory = &mut memory[..self.slot];
            parts[index] = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: memory.len() };
            let room = sender.room();
            headers[index].msg_hdr.msg_name = room.as_mut_ptr().cast();
            headers[index].msg_hdr.msg_namelen = room.len() as libc::socklen_t;
            headers[index].msg_hdr.msg_iov = &mut parts[index];
            headers[index].msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: `count` headers are filled in; each points to a name and a slice that are ours alone, live until the call is
        // over and are as long as it says; without a time-out the last argument may be null.
        #[allow(unsafe_code)]
        let received = retried(|| unsafe {
            let vector = headers.as_mut_ptr();
            libc::recvmmsg(fd, vector, count as u32, libc::MSG_DONTWAIT as _, std::ptr::null_mut()) as isize
        })?;
        for (index, header) in headers[..received].iter().enumerate() {
            self.lengths[index] = (header.msg_len as usize).min(self.slot);
            self.senders[index].set_length(header.msg_hdr.msg_namelen as usize);
        }
        Ok(received)
    }

    /// One of the datagrams that the last call has received.
    #[inline]
    pub fn get(&self, index: usize) -> (&[u8], &SocketAddress) {
        let start = index * (self.slot + STAGGER);
        (&self.memory[start..start + self.lengths[index]], &self.senders[index])
    }
}

const EMPTY_PART: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
const EMPTY_HEADER: libc::mmsghdr = {
    // SAFETY: a structure of numbers and pointers, for which zero is a value: nothing, and none.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::zeroed()
    }
};

/// Sends one datagram.
pub fn send_to(fd: RawFd, data: &[u8], to: &SocketAddress) -> io::Result<usize> {
    let name = to.as_bytes();
    // SAFETY: both slices live until the call is over, which only reads them.
    #[allow(unsafe_code)]
    retried(|| unsafe {
        let length = name.len() as libc::socklen_t;
        libc::sendto(fd, data.as_ptr().cast(), data.len(), SEND, name.as_ptr().cast(), length)
    })
}

/// Sends several, in order; those beyond [`MOST_DATAGRAMS`] are left for the next call. Says how many went; an error only if the
/// first did not go.
pub fn send_many<'a>(
    fd: RawFd,
    datagrams: impl Iterator<Item = (&'a [u8], &'a SocketAddress)>,
) -> io::Result<usize> {
    let mut parts = [EMPTY_PART; MOST_DATAGRAMS];
    let mut headers = [EMPTY_HEADER; MOST_DATAGRAMS];
    let mut count = 0;
    for (index, (data, to)) in datagrams.take(MOST_DATAGRAMS).enumerate() {
        parts[index] = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        let name = to.as_bytes();
        headers[index].msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
        headers[index].msg_hdr.msg_namelen = name.len() as libc::socklen_t;
        headers[index].msg_hdr.msg_iov = &mut parts[index];
        headers[index].msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    // SAFETY: `count` headers are filled in, with slices that live until the call is over; it only reads what they point to, and
    // writes into the headers, which are ours.
    #[allow(unsafe_code)]
    retried(|| unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count, SEND as _) as isize })
}

/// Again after EINTR: the call did not wait, so there is no wait for a signal to end.
fn retried(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if Errno::from_io_error(&error) != Some(Errno::INTR) {
                    return Err(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket_address::Decoded;
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    fn errno<T>(outcome: io::Result<T>) -> Option<Errno> {
        outcome.err().and_then(|error| Errno::from_io_error(&error))
    }

    fn received(batch: &Batch, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|index| batch.get(index).0.to_vec()).collect()
    }

    #[test]
    fn many_come_at_once_in_order_with_their_senders_from_a_blocking_socket() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (near, far) = (UdpSocket::bind(host).unwrap(), UdpSocket::bind(host).unwrap());
            let mut batch = Batch::new();
            assert_eq!(errno(batch.receive(near.as_raw_fd(), LARGEST_UDP, 32)), Some(Errno::AGAIN));
            let sent: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; usize::from(n) * 7]).collect();
            for data in &sent {
                far.send_to(data, near.local_addr().unwrap()).unwrap();
            }
            assert_eq!(batch.receive(near.as_raw_fd(), LARGEST_UDP, 5).unwrap(), 5);
            assert_eq!(received(&batch, 5), sent[..5]);
            assert_eq!(batch.receive(near.as_raw_fd(), LARGEST_UDP, usize::MAX).unwrap(), MOST_DATAGRAMS);
            assert_eq!(received(&batch, MOST_DATAGRAMS), sent[5..37]);
            assert_eq!(batch.receive(near.as_raw_fd(), LARGEST_UDP, 32).unwrap(), 3);
            assert_eq!(received(&batch, 3), sent[37..]);
            assert_eq!(batch.get(2).1.decode(), Decoded::Ip(far.local_addr().unwrap()));
        }
    }

    #[test]
    fn a_refusal_is_told_before_what_comes_after_it() {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        near.connect(far.local_addr().unwrap()).unwrap();
        drop(far);
        near.send(b"to nobody").unwrap();
        let mut batch = Batch::new();
        assert_eq!(errno(batch.receive(near.as_raw_fd(), LARGEST_UDP, 32)), Some(Errno::CONNREFUSED));
        assert_eq!(errno(batch.receive(near.as_raw_fd(), LARGEST_UDP, 32)), Some(Errno::AGAIN));
    }

    #[test]
    fn the_largest_datagrams_fit() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let data: Vec<u8> = (0..150_000u32).map(|n| n as u8).collect();
        far.send(&data).unwrap();
        far.send(b"").unwrap();
        let mut batch = Batch::new();
        let count = batch.receive(near.as_raw_fd(), LARGEST_READ_AT_ONCE, 32).unwrap();
        assert_eq!(received(&batch, count), [data, Vec::new()]);
        assert_eq!(batch.get(0).1.decode(), Decoded::Nobody);
        far.send(b"longer").unwrap();
        batch.receive(near.as_raw_fd(), 4, 1).unwrap();
        assert_eq!(batch.get(0).0, b"long");
    }

    #[test]
    fn sending_one_and_many() {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = SocketAddress::from(far.local_addr().unwrap());
        assert_eq!(send_to(near.as_raw_fd(), b"one", &to).unwrap(), 3);
        let many: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n]).collect();
        let offered = || many.iter().map(|data| (data.as_slice(), &to));
        assert_eq!(send_many(near.as_raw_fd(), offered()).unwrap(), MOST_DATAGRAMS);
        assert_eq!(send_many(near.as_raw_fd(), offered().skip(MOST_DATAGRAMS)).unwrap(), 8);
        assert_eq!(send_many(near.as_raw_fd(), offered().skip(40)).unwrap(), 0);
        let mut batch = Batch::new();
        assert_eq!(batch.receive(far.as_raw_fd(), LARGEST_UDP, 1).unwrap(), 1);
        assert_eq!(batch.get(0).0, b"one");
        let mut all = Vec::new();
        while let Ok(count) = batch.receive(far.as_raw_fd(), LARGEST_UDP, 32) {
            all.extend(received(&batch, count));
        }
        assert_eq!(all, many);
    }

    #[test]
    fn one_that_does_not_go_ends_the_row_and_is_told_when_it_is_first() {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = SocketAddress::from(far.local_addr().unwrap());
        let large = vec![0; 70_000];
        let row = [(&b"a"[..], &to), (&large[..], &to), (&b"b"[..], &to)];
        assert_eq!(send_many(near.as_raw_fd(), row.into_iter()).unwrap(), 1);
        assert_eq!(errno(send_many(near.as_raw_fd(), row.into_iter().skip(1))), Some(Errno::MSGSIZE));
        assert_eq!(errno(send_to(near.as_raw_fd(), &large, &to)), Some(Errno::MSGSIZE));
        assert_eq!(errno(send_to(-1, b"", &to)), Some(Errno::BADF));
    }

    #[test]
    fn a_full_receiver_makes_nobody_wait() {
        let name = format!("\0plait-datagram-test-{}", std::process::id());
        let to = SocketAddress::unix(name.as_bytes()).unwrap();
        let far = UnixDatagram::unbound().unwrap();
        let bound = rustix::net::SocketAddrUnix::new_abstract_name(&name.as_bytes()[1..]).unwrap();
        rustix::net::bind(&far, &bound).unwrap();
        let near = UnixDatagram::unbound().unwrap(); // in blocking mode
        let mut sent = 0;
        let refused = loop {
            match send_to(near.as_raw_fd(), b"x", &to) {
                Ok(_) => sent += 1,
                refused => break refused,
            }
        };
        assert_eq!(errno(refused), Some(Errno::AGAIN));
        assert_eq!(errno(send_many(near.as_raw_fd(), [(&b"y"[..], &to)].into_iter())), Some(Errno::AGAIN));
        let mut batch = Batch::new();
        let mut received = 0;
        while let Ok(count) = batch.receive(far.as_raw_fd(), LARGEST_READ_AT_ONCE, 32) {
            received += count;
        }
        assert_eq!(received, sent);
    }
}
