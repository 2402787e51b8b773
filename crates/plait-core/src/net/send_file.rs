//! A file's bytes to a socket, within the kernel.

use super::socket::is_nonblocking;
use crate::fd;
use rustix::fs::{fcntl_getfl, fcntl_setfl, seek, OFlags, SeekFrom};
use rustix::io::retry_on_intr;
use std::io;
use std::os::fd::RawFd;

/// The most bytes that one call sends: a reader that keeps up must not keep the loop.
pub const MOST_AT_ONCE: u64 = 1 << 20;

/// Sends from `offset` on as much as the socket takes, up to `count` bytes and [`MOST_AT_ONCE`]. Zero is the end of the file. Where
/// the file has been read before stays as it was.
///
/// There is no "do not wait" flag for this call, so a socket in blocking mode is taken out of it for as long.
pub fn send_file(socket: RawFd, file: RawFd, offset: u64, count: u64) -> io::Result<u64> {
    let blocking = !is_nonblocking(socket)?;
    if blocking {
        set_nonblocking(socket, true)?;
    }
    let mut from = offset;
    let count = usize::try_from(count.min(MOST_AT_ONCE)).unwrap_or(usize::MAX);
    let (to, source) = (fd::borrow(socket)?, fd::borrow(file)?);
    let sent = retry_on_intr(|| rustix::fs::sendfile(to, source, Some(&mut from), count));
    if blocking {
        set_nonblocking(socket, false)?;
    }
    Ok(sent? as u64)
}

/// Where the file is to be read next.
pub fn set_position(file: RawFd, position: u64) -> io::Result<()> {
    seek(fd::borrow(file)?, SeekFrom::Start(position))?;
    Ok(())
}

fn set_nonblocking(fd: RawFd, on: bool) -> io::Result<()> {
    let fd = fd::borrow(fd)?;
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, on);
    Ok(fcntl_setfl(fd, flags)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn file_of(bytes: &[u8]) -> std::fs::File {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let mut file = std::fs::File::from(rustix::fs::memfd_create("plait-test", flags).unwrap());
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn from_an_offset_and_the_position_stays() {
        let mut file = file_of(b"0123456789");
        let (near, mut far) = UnixStream::pair().unwrap();
        assert_eq!(send_file(near.as_raw_fd(), file.as_raw_fd(), 3, 4).unwrap(), 4);
        assert_eq!(send_file(near.as_raw_fd(), file.as_raw_fd(), 7, 100).unwrap(), 3);
        assert_eq!(send_file(near.as_raw_fd(), file.as_raw_fd(), 10, 100).unwrap(), 0);
        assert_eq!(file.stream_position().unwrap(), 0);
        set_position(file.as_raw_fd(), 7).unwrap();
        assert_eq!(file.stream_position().unwrap(), 7);
        let mut received = [0; 7];
        far.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"3456789");
    }

    #[test]
    fn a_full_blocking_socket_makes_nobody_wait_and_is_blocking_afterwards() {
        let file = file_of(&vec![7; 3 << 20]);
        let (near, _far) = UnixStream::pair().unwrap();
        let mut offset = 0;
        let refused = loop {
            match send_file(near.as_raw_fd(), file.as_raw_fd(), offset, u64::MAX) {
                Ok(sent) => offset += sent,
                Err(error) => break error,
            }
        };
        assert_eq!(Errno::from_io_error(&refused), Some(Errno::AGAIN));
        assert!(0 < offset && offset < 3 << 20);
        assert!(!is_nonblocking(near.as_raw_fd()).unwrap());
    }
}
