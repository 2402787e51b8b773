//! From a descriptor's number to a borrowed descriptor.
//!
//! Python hands descriptors around as numbers, and so do our callers. Rejected: taking `BorrowedFd`
//! in every signature, which only moves the same unsafe line into many callers who know no more
//! about it.

use std::os::fd::{BorrowedFd, RawFd};

/// Lends `fd` to one system call. A negative number is answered with `EBADF`, as the kernel would.
#[inline]
pub(crate) fn borrow<'a>(fd: RawFd) -> rustix::io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(rustix::io::Errno::BADF);
    }
    // SAFETY: the one value that `borrow_raw` forbids, -1, was refused above. That the descriptor
    // is open is not needed for memory safety: the number goes to the kernel, which answers
    // EBADF for a closed one, and nobody here keeps it beyond the call. That it still means the
    // same file is for the owner to see to, exactly as with the same number in Python.
    #[allow(unsafe_code)]
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

#[cfg(test)]
mod tests {
    use super::borrow;
    use std::os::fd::AsRawFd;

    #[test]
    fn negative_numbers_are_bad_descriptors() {
        assert_eq!(borrow(-1).unwrap_err(), rustix::io::Errno::BADF);
        assert_eq!(borrow(i32::MIN).unwrap_err(), rustix::io::Errno::BADF);
        assert_eq!(borrow(0).unwrap().as_raw_fd(), 0);
    }
}
