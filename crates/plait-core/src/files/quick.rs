//! Reads that are served from the kernel's page cache, or not at all.
//!
//! Handing a read over to another thread or to the ring, and being told of its end, costs several times what copying a page costs.
//! `preadv2` with `RWF_NOWAIT` (Linux 4.14) copies what is there and refuses to wait for what is not. File systems that do not know it
//! say so, and are not asked again for that file.

use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// More than that is not read at once even where it could be: copying it would keep the loop's thread for too long.
pub const MOST_AT_ONCE: usize = 256 * 1024;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOnce {
    /// So many bytes, at most what was asked for. More may be there.
    Read(usize),
    /// The end of the file.
    End,
    /// It is not in the cache.
    NotNow,
    /// This file's reads always might wait.
    Never,
}

/// Reads at the file's position, which moves, without waiting. Errors are for the one who asks again and waits: they come as `NotNow`.
pub fn read(fd: RawFd, into: &mut [MaybeUninit<u8>]) -> AtOnce {
    let part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: the one part is memory of ours, writable and of that length; the kernel writes no more than that. A number that is
    // no descriptor is answered with an error.
    #[allow(unsafe_code)]
    let read = unsafe { libc::preadv2(fd, &part, 1, -1, libc::RWF_NOWAIT) };
    match usize::try_from(read) {
        Ok(0) => AtOnce::End,
        Ok(count) => AtOnce::Read(count),
        Err(_) => match std::io::Error::last_os_error().raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => AtOnce::Never,
            _ => AtOnce::NotNow,
        },
    }
}

/// The same, onto the end of a vector, at most `want` bytes.
pub fn read_onto(fd: RawFd, onto: &mut Vec<u8>, want: usize) -> AtOnce {
    onto.reserve(want);
    let read = read(fd, &mut onto.spare_capacity_mut()[..want]);
    if let AtOnce::Read(count) = read {
        // SAFETY: the kernel has written so many bytes behind the old end, into the spare capacity.
        #[allow(unsafe_code)]
        unsafe {
            onto.set_len(onto.len() + count);
        }
    }
    read
}
