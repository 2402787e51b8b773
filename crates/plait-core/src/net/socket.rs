//! Socket calls that never wait.
//!
//! Each takes a bare descriptor number, tries once, and returns the kernel's error with its number;
//! `EAGAIN` means "not now". `MSG_DONTWAIT` is always given: a socket that Python made may be in
//! blocking mode, and the loop must not stall on it. `EINTR` is retried here because the calls do
//! not wait: there is no wait for a signal to end.
//!
//! Rejected: `std::net` types, which own and close their descriptor; here it belongs to a Python
//! socket.

use super::socket_address::SocketAddress;
use crate::fd;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_getfl, OFlags};
use rustix::io::{retry_on_intr, Errno};
use rustix::net::{self, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

/// The most slices that [`send_vectored`] takes; more gain nothing, for the kernel copies them one
/// by one.
pub const MOST_SLICES: usize = 64;

const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// Reads what is there, up to the size of `buffer`. Zero is the end of the stream.
#[inline]
pub fn recv(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    let (count, _) = retry_on_intr(|| net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT))?;
    Ok(count)
}

/// The same into memory that nobody has written yet. As many bytes as it says are written after.
#[inline]
pub fn recv_uninit(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    let count = retry_on_intr(|| net::recv(fd, &mut *buffer, RecvFlags::DONTWAIT).map(|(_, count)| count))?;
    Ok(count)
}

/// Writes what there is room for, perhaps less than all of `data`.
#[inline]
pub fn send(fd: RawFd, data: &[u8]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    Ok(retry_on_intr(|| net::send(fd, data, SEND))?)
}

/// Writes several slices as if they were one. Those beyond [`MOST_SLICES`] are left for the next
/// call.
#[inline]
pub fn send_vectored(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    let slices = &slices[..slices.len().min(MOST_SLICES)];
    Ok(retry_on_intr(|| net::sendmsg(fd, slices, &mut SendAncillaryBuffer::default(), SEND))?)
}

/// Takes the next connection, nonblocking and closed on exec, and its peer's address if that is an IP address;
/// `EAGAIN` if there is none.
///
/// There is no "do not wait" flag for accept, so a listener in blocking mode is polled first.
/// Between the two calls another process may take the connection, and then this one waits: share
/// only nonblocking listeners.
pub fn accept(fd: RawFd) -> io::Result<(OwnedFd, Option<SocketAddr>)> {
    let listener = fd::borrow(fd)?;
    if !is_nonblocking(fd)? {
        let mut watched = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if retry_on_intr(|| poll(&mut watched, Some(&now)))? == 0 {
            return Err(Errno::AGAIN.into());
        }
    }
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (connection, peer) = retry_on_intr(|| net::acceptfrom_with(listener, flags))?;
    Ok((connection, peer.and_then(|peer| SocketAddr::try_from(peer).ok())))
}

/// The address that a socket is bound to, if that is an IP address or a Unix socket's.
pub fn local_address(fd: RawFd) -> io::Result<Option<SocketAddress>> {
    Ok(known_address(net::getsockname(fd::borrow(fd)?)?))
}

/// The address of the peer, likewise.
pub fn peer_address(fd: RawFd) -> io::Result<Option<SocketAddress>> {
    let peer = net::getpeername(fd::borrow(fd)?)?;
    Ok(peer.and_then(known_address).or_else(|| SocketAddress::unix(b"")))
}

fn known_address(address: net::SocketAddrAny) -> Option<SocketAddress> {
    if let Ok(ip) = SocketAddr::try_from(address.clone()) {
        return Some(ip.into());
    }
    let unix = net::SocketAddrUnix::try_from(address).ok()?;
    match (unix.path_bytes(), unix.abstract_name()) {
        (Some(path), _) => SocketAddress::unix(path),
        // One without a name may come as an abstract one of no length.
        (None, Some(name)) if !name.is_empty() => SocketAddress::unix(&[&[0], name].concat()),
        (None, _) => SocketAddress::unix(b""),
    }
}

/// Takes the error that is pending on the socket, if there is one (`SO_ERROR`). The outer error is
/// the call's own.
pub fn take_error(fd: RawFd) -> io::Result<Option<io::Error>> {
    Ok(net::sockopt::socket_error(fd::borrow(fd)?)?.err().map(io::Error::from))
}

/// Tells the peer that nothing more will be written.
pub fn shutdown_write(fd: RawFd) -> io::Result<()> {
    Ok(net::shutdown(fd::borrow(fd)?, Shutdown::Write)?)
}

/// Sends small writes at once instead of waiting to fill a packet (`TCP_NODELAY`).
pub fn set_nodelay(fd: RawFd) -> io::Result<()> {
    Ok(net::sockopt::set_tcp_nodelay(fd::borrow(fd)?, true)?)
}

/// Whether a descriptor is in nonblocking mode.
pub fn is_nonblocking(fd: RawFd) -> io::Result<bool> {
    Ok(fcntl_getfl(fd::borrow(fd)?)?.contains(OFlags::NONBLOCK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{fcntl_getfd, FdFlags};
    use rustix::net::{socket_with, AddressFamily, SocketType};
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn errno<T>(outcome: io::Result<T>) -> Option<Errno> {
        outcome.err().and_then(|error| Errno::from_io_error(&error))
    }

    fn nonblocking_tcp_socket() -> OwnedFd {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
    }

    fn wait_for(fd: &impl std::os::fd::AsFd, flags: PollFlags) {
        assert_eq!(poll(&mut [PollFd::new(fd, flags)], None).unwrap(), 1);
    }

    #[test]
    fn reading_a_blocking_socket_does_not_wait() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut buffer = [0; 4];
        assert!(!is_nonblocking(near.as_raw_fd()).unwrap());
        assert_eq!(errno(recv(near.as_raw_fd(), &mut buffer)), Some(Errno::AGAIN));
        far.write_all(b"abcdef").unwrap();
        assert_eq!(recv(near.as_raw_fd(), &mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"abcd");
        assert_eq!(recv(near.as_raw_fd(), &mut buffer).unwrap(), 2);
        drop(far);
        assert_eq!(recv(near.as_raw_fd(), &mut buffer).unwrap(), 0);
    }

    #[test]
    fn writing_to_a_full_blocking_socket_does_not_wait() {
        let (near, far) = UnixStream::pair().unwrap();
        let block = [0u8; 65536];
        while send(near.as_raw_fd(), &block).is_ok() {}
        assert_eq!(errno(send(near.as_raw_fd(), &block)), Some(Errno::AGAIN));
        let slices = [IoSlice::new(&block), IoSlice::new(&block)];
        assert_eq!(errno(send_vectored(near.as_raw_fd(), &slices)), Some(Errno::AGAIN));
        drop(far);
        assert_eq!(errno(send(near.as_raw_fd(), &block)), Some(Errno::PIPE));
        assert_eq!(errno(send_vectored(near.as_raw_fd(), &slices)), Some(Errno::PIPE));
    }

    #[test]
    fn slices_are_written_in_order_and_the_excess_is_left() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let data: Vec<[u8; 1]> = (0..100).map(|n| [n]).collect();
        let slices: Vec<_> = data.iter().map(|byte| IoSlice::new(byte)).collect();
        assert_eq!(send_vectored(near.as_raw_fd(), &slices).unwrap(), MOST_SLICES);
        let mut received = [0; MOST_SLICES];
        far.read_exact(&mut received).unwrap();
        assert!(received.iter().copied().eq(0..MOST_SLICES as u8));
    }

    #[test]
    fn accepting_from_a_blocking_listener_does_not_wait() {
        for nonblocking in [false, true] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let fd = listener.as_raw_fd();
            listener.set_nonblocking(nonblocking).unwrap();
            assert_eq!(is_nonblocking(fd).unwrap(), nonblocking);
            assert_eq!(errno(accept(fd)), Some(Errno::AGAIN));
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            wait_for(&listener, PollFlags::IN);
            let accepted = TcpStream::from(accept(fd).unwrap().0);
            assert!(is_nonblocking(accepted.as_raw_fd()).unwrap());
            assert!(fcntl_getfd(&accepted).unwrap().contains(FdFlags::CLOEXEC));
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            assert!(!accepted.nodelay().unwrap());
            set_nodelay(accepted.as_raw_fd()).unwrap();
            assert!(accepted.nodelay().unwrap());
        }
    }

    #[test]
    fn the_error_of_a_refused_connection_is_told_once() {
        let address = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let socket = nonblocking_tcp_socket();
        let fd = socket.as_raw_fd();
        assert_eq!(net::connect(&socket, &address), Err(Errno::INPROGRESS));
        wait_for(&socket, PollFlags::OUT);
        let error = take_error(fd).unwrap().unwrap();
        assert_eq!(error.raw_os_error(), Some(Errno::CONNREFUSED.raw_os_error()));
        assert!(take_error(fd).unwrap().is_none());
    }

    #[test]
    fn a_half_closed_socket_still_reads() {
        let (near, mut far) = UnixStream::pair().unwrap();
        shutdown_write(near.as_raw_fd()).unwrap();
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
        far.write_all(b"a").unwrap();
        assert_eq!(recv(near.as_raw_fd(), &mut [0; 4]).unwrap(), 1);
    }

    #[test]
    fn addresses_of_ip_and_unix_sockets() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let there = listener.local_addr().unwrap();
        let client = TcpStream::connect(there).unwrap();
        assert_eq!(peer_address(client.as_raw_fd()).unwrap(), Some(there.into()));
        assert_eq!(local_address(client.as_raw_fd()).unwrap(), Some(client.local_addr().unwrap().into()));
        assert_eq!(errno(peer_address(listener.as_raw_fd())), Some(Errno::NOTCONN));
        let (near, _far) = UnixStream::pair().unwrap();
        let nameless = SocketAddress::unix(b"");
        assert_eq!(local_address(near.as_raw_fd()).unwrap(), nameless);
        assert_eq!(peer_address(near.as_raw_fd()).unwrap(), nameless);
        let name = format!("plait-socket-test-{}", std::process::id());
        let bound = net::SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
        let flags = SocketFlags::CLOEXEC;
        let server = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        net::bind(&server, &bound).unwrap();
        let expected = SocketAddress::unix(format!("\0{name}").as_bytes());
        assert_eq!(local_address(server.as_raw_fd()).unwrap(), expected);
    }

    #[test]
    fn errors_keep_their_number() {
        assert_eq!(errno(recv(-1, &mut [])), Some(Errno::BADF));
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        assert_eq!(errno(recv(reader.as_raw_fd(), &mut [0; 1])), Some(Errno::NOTSOCK));
        assert_eq!(errno(set_nodelay(reader.as_raw_fd())), Some(Errno::NOTSOCK));
    }
}
