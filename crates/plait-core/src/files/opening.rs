//! Opening a file, and what has to be known of it.

use crate::fd::borrow;
use rustix::fs::{
    fcntl_getfl, fcntl_setfl, fstat, fstatfs, openat, openat2, seek, FileType, Mode, OFlags, ResolveFlags,
    SeekFrom, CWD,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// What has to be known of an open file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// `st_mode`
    pub mode: u32,
    /// `st_size`
    pub size: u64,
    /// `st_blksize`
    pub block: u64,
    /// `st_dev`
    pub device: u64,
    /// Of a file system whose `open`, `lseek` and `close` do not wait for anybody else: see [`is_local`].
    pub local: bool,
}

impl Facts {
    /// A regular file, not a pipe, a terminal or another thing that may have nothing to say for hours.
    pub fn is_regular(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::RegularFile
    }

    /// A directory.
    pub fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }
}

/// A file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub fd: OwnedFd,
    /// What is known of it.
    pub facts: Facts,
}

/// Opens a file and finds out about it; waits as long as that takes.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<Opened> {
    let fd = loop {
        match openat(
            CWD,
            path,
            OFlags::from_bits_retain(flags as u32) | OFlags::CLOEXEC,
            Mode::from_raw_mode(mode),
        ) {
            Err(Errno::INTR) => {}
            opened => break opened?,
        }
    };
    let facts = examine(fd.as_fd())?;
    if facts.is_directory() {
        return Err(Errno::ISDIR);
    }
    if flags & libc::O_APPEND != 0 {
        // As the standard one: where it cannot be done, on a pipe, it need not.
        let _ = seek(&fd, SeekFrom::End(0));
    }
    Ok(Opened { fd, facts })
}

pub(super) fn open_number(path: &CStr, flags: i32, mode: u32) -> Result<RawFd> {
    let flags = OFlags::from_bits_retain(flags as u32);
    openat(CWD, path, flags, Mode::from_raw_mode(mode)).map(IntoRawFd::into_raw_fd)
}

/// What is known of an open file, with a look at its file system.
pub fn examine(fd: BorrowedFd<'_>) -> Result<Facts> {
    let mut facts = glance(fd)?;
    facts.local = is_local(fd);
    Ok(facts)
}

/// Moves a file's position, or asks for it (`SEEK_CUR` and 0). From the end on, and for holes, it may have to wait where the file is not local.
pub fn seek_number(fd: RawFd, offset: i64, whence: i32) -> Result<u64> {
    // rustix knows no number that it has no name for; the kernel says EINVAL to those.
    // SAFETY: plain numbers; one that is no descriptor is answered with an error.
    #[allow(unsafe_code)]
    let position = unsafe { libc::lseek64(fd, offset, whence) };
    u64::try_from(position).map_err(|_| last_errno())
}

/// Whether reads and writes refuse to wait.
pub fn is_nonblocking(fd: RawFd) -> bool {
    borrow(fd).and_then(fcntl_getfl).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}

/// Cuts a file, or makes it longer.
pub fn truncate_number(fd: RawFd, length: u64) -> Result<()> {
    rustix::fs::ftruncate(borrow(fd)?, length)
}

/// Whether it is a terminal.
pub fn is_terminal(fd: RawFd) -> bool {
    use std::io::IsTerminal;
    borrow(fd).is_ok_and(|fd| fd.is_terminal())
}

fn last_errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}

/// The same by number.
pub fn examine_number(fd: RawFd) -> Result<Facts> {
    examine(borrow(fd)?)
}

/// Without that look. On a file system that is local it waits for nothing.
pub fn glance(fd: BorrowedFd<'_>) -> Result<Facts> {
    let stat = fstat(fd)?;
    Ok(Facts {
        mode: stat.st_mode,
        size: stat.st_size as u64,
        block: stat.st_blksize as u64,
        device: stat.st_dev,
        local: false,
    })
}

/// Whether the file lies on this machine, in a file system that is part of the kernel. On all others (NFS, CIFS, FUSE …) even closing a file
/// may have to ask somebody who does not answer.
fn is_local(fd: BorrowedFd<'_>) -> bool {
    /// tmpfs, ramfs, ext2 to 4, xfs, btrfs, f2fs, overlayfs, squashfs, erofs
    const LOCAL: [u32; 9] = [
        0x0102_1994,
        0x8584_58f6,
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0xf2f5_2010,
        0x794c_7630,
        0x7371_7368,
        0xe0f5_e1e2,
    ];
    fstatfs(fd).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

/// What came of an attempt to open a file for reading without waiting.
#[derive(Debug)]
pub enum AtOnce {
    /// A regular file; nobody has looked at its file system.
    Opened(Opened),
    /// It is somebody else's turn.
    NotNow,
    /// There is no such file, or the like.
    Failed(Errno),
}

/// Opens a file for reading if all of its name is in the kernel's caches. Only for a directory of a local file system: what opening a file
/// does depends on that. A symbolic link at the end of the name, which may lead to another, is not followed.
///
/// It is looked at first, without being opened: opening a named pipe or a device is something that others notice.
pub fn open_at_once(path: &CStr) -> AtOnce {
    let find = |flags| {
        openat2(CWD, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), ResolveFlags::CACHED)
    };
    let looked_at = match find(OFlags::PATH) {
        Ok(fd) => glance(fd.as_fd()),
        Err(errno @ (Errno::NOENT | Errno::NOTDIR | Errno::MFILE | Errno::NFILE)) => {
            return AtOnce::Failed(errno)
        }
        Err(_) => return AtOnce::NotNow,
    };
    match looked_at {
        Ok(facts) if facts.is_directory() => return AtOnce::Failed(Errno::ISDIR),
        Ok(facts) if facts.is_regular() => {}
        _ => return AtOnce::NotNow,
    }
    // Should it be another by now, it does not keep us waiting.
    let Ok(fd) = find(OFlags::RDONLY | OFlags::NONBLOCK) else {
        return AtOnce::NotNow;
    };
    match glance(fd.as_fd()) {
        Ok(facts) if facts.is_regular() && fcntl_setfl(&fd, OFlags::empty()).is_ok() => {
            AtOnce::Opened(Opened { fd, facts })
        }
        _ => AtOnce::NotNow,
    }
}
