//! Calls on pipes, terminals and whatever else is read and written as a file.
//!
//! The same contract as in `socket`: a bare number, one attempt, the kernel's error. There is one difference: files
//! have no "do not wait" flag per call, so a descriptor has to be put into nonblocking mode first
//! ([`set_nonblocking`]). Rejected: the `RWF_NOWAIT` flag of `preadv2`, which pipes know since Linux 5.5 only and
//! terminals not at all.

use crate::fd;
use rustix::fs::{fstat, FileType};
use rustix::io::{ioctl_fionbio, read as read_file, retry_on_intr, write as write_file, writev};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// What a descriptor is, as far as it matters to a pipe transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A pipe or a FIFO.
    Fifo,
    /// A socket of any family.
    Socket,
    /// A terminal, or another character device.
    Character,
    /// A regular file, a directory, a disk: always ready, so that waiting for it means nothing.
    Other,
}

/// What kind of file a descriptor is.
pub fn kind(fd: RawFd) -> io::Result<Kind> {
    let mode = fstat(fd::borrow(fd)?)?.st_mode;
    Ok(match FileType::from_raw_mode(mode) {
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::Character,
        _ => Kind::Other,
    })
}

/// From now on neither reading nor writing waits. All descriptors of the same open file share that, those of other
/// processes too.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    Ok(ioctl_fionbio(fd::borrow(fd)?, true)?)
}

/// Reads what is there, up to the size of `buffer`. Zero is the end of the stream.
#[inline]
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    Ok(retry_on_intr(|| read_file(fd, &mut *buffer))?)
}

/// The same into memory that nobody has written yet. As many bytes as it says are written after.
#[inline]
pub fn read_uninit(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    Ok(retry_on_intr(|| read_file(fd, &mut *buffer).map(|(filled, _)| filled.len()))?)
}

/// Writes what there is room for, perhaps less than all of `data`.
#[inline]
pub fn write(fd: RawFd, data: &[u8]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    Ok(retry_on_intr(|| write_file(fd, data))?)
}

/// Writes several slices as if they were one.
#[inline]
pub fn write_vectored(fd: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let fd = fd::borrow(fd)?;
    Ok(retry_on_intr(|| writev(fd, slices))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use rustix::pipe::pipe;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;

    fn errno<T>(outcome: io::Result<T>) -> Option<Errno> {
        outcome.err().and_then(|error| Errno::from_io_error(&error))
    }

    fn nonblocking_pipe() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = pipe().unwrap();
        set_nonblocking(reader.as_raw_fd()).unwrap();
        set_nonblocking(writer.as_raw_fd()).unwrap();
        (reader, writer)
    }

    #[test]
    fn bytes_go_through_and_neither_side_waits() {
        let (reader, writer) = nonblocking_pipe();
        let mut buffer = [0; 4];
        assert_eq!(errno(read(reader.as_raw_fd(), &mut buffer)), Some(Errno::AGAIN));
        assert_eq!(write(writer.as_raw_fd(), b"abc").unwrap(), 3);
        let slices = [IoSlice::new(b"de"), IoSlice::new(b"f")];
        assert_eq!(write_vectored(writer.as_raw_fd(), &slices).unwrap(), 3);
        assert_eq!(read(reader.as_raw_fd(), &mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"abcd");
        let mut fresh = [MaybeUninit::uninit(); 8];
        assert_eq!(read_uninit(reader.as_raw_fd(), &mut fresh).unwrap(), 2);
        while write(writer.as_raw_fd(), &[0; 4096]).is_ok() {}
        assert_eq!(errno(write_vectored(writer.as_raw_fd(), &slices)), Some(Errno::AGAIN));
        drop(reader);
        assert_eq!(errno(write(writer.as_raw_fd(), b"x")), Some(Errno::PIPE));
    }

    #[test]
    fn kinds_are_told_apart() {
        let (reader, _writer) = nonblocking_pipe();
        assert_eq!(kind(reader.as_raw_fd()).unwrap(), Kind::Fifo);
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(kind(near.as_raw_fd()).unwrap(), Kind::Socket);
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(kind(null.as_raw_fd()).unwrap(), Kind::Character);
        let own = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(kind(own.as_raw_fd()).unwrap(), Kind::Other);
        assert_eq!(errno(kind(-1)), Some(Errno::BADF));
    }
}
