//! Replacing a file's contents so that a crash leaves the old ones or the new ones, whole.
//!
//! A new file beside the old one is written, brought to the disk, and renamed over it; then the directory is brought to the disk, which is
//! what the name is in. Without the first `fsync` a crash may leave an empty file under the name, without the second the old one
//! may come back. The new file has the old one's permissions, and its owner where we may give it that. A symbolic link is followed, and stays.
//! What is no regular file cannot be replaced so, and is written as it is.

use super::{Done, Failure};
use rustix::fs::{
    fchmod, fchown, fstat, fsync, openat, renameat, statat, unlinkat, AtFlags, FileType, Gid, Mode, OFlags,
    Stat, Uid, CWD,
};
use rustix::io::{write, Errno, Result};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many names are tried for the new file.
const MOST_NAMES: u32 = 100;

/// Replaces what `path` contains by `data`. `mode` is for a file that was not there, before the process's umask.
///
/// If it fails the old contents are there as before, and the new file is not; but for a failure of the last step, after which the new contents are
/// there and may be lost in a crash.
pub fn replace(path: &CStr, data: &[u8], mode: u32) -> Done {
    let mut written = 0;
    match try_replace(path, data, mode, &mut written) {
        Ok(()) => Done::Count(written),
        Err(errno) => Done::Failed(Failure { errno: errno.raw_os_error(), written, rest: Vec::new() }),
    }
}

fn try_replace(path: &CStr, data: &[u8], mode: u32, written: &mut u64) -> Result<()> {
    let Some((directory, name)) = place_of(path)? else {
        return write_plainly(path, data, mode, written);
    };
    // First of all: if the directory cannot be opened, nothing has been done. All that follows is in it, wherever the process goes meanwhile.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, &directory, flags, Mode::empty())?;
    let old = match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(old) if FileType::from_raw_mode(old.st_mode) == FileType::RegularFile => Some(old),
        Ok(_) => return write_plainly(path, data, mode, written),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(errno),
    };
    // Nobody may look into the new file who may not look into the old one, also before it has the same owner.
    let first_mode = old.as_ref().map_or(mode, |old| old.st_mode & 0o600);
    let (temporary, fd) = make_beside(&directory, &name, first_mode)?;
    let renamed = match &old {
        Some(old) => make_like(&fd, old),
        None => Ok(()),
    };
    let renamed = renamed
        .and_then(|()| fill(&fd, data, written))
        .and_then(|()| fsync(&fd))
        .and_then(|()| renameat(&directory, &temporary, &directory, &name));
    if let Err(errno) = renamed {
        // What it failed with is what is told.
        let _ = unlinkat(&directory, &temporary, AtFlags::empty());
        return Err(errno);
    }
    fsync(directory)
}

/// The directory and the name of the file that a path means, behind symbolic links. None: it leads to nothing that could be replaced.
fn place_of(path: &CStr) -> Result<Option<(PathBuf, OsString)>> {
    let given = Path::new(OsStr::from_bytes(path.to_bytes()));
    if path.to_bytes().ends_with(b"/") {
        return Ok(None);
    }
    let is_link = std::fs::symlink_metadata(given).is_ok_and(|found| found.file_type().is_symlink());
    let target = match is_link.then(|| std::fs::canonicalize(given)) {
        None => given.to_owned(),
        Some(Ok(target)) => target,
        // A link to what is not there yet.
        Some(Err(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Some(Err(error)) => return Err(error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)),
    };
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(target.file_name().map(|name| (directory, name.to_owned())))
}

/// What is no regular file is written as it is, as by plain `open`: a pipe, a device. A directory is refused by that.
fn write_plainly(path: &CStr, data: &[u8], mode: u32, written: &mut u64) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let fd = loop {
        match openat(CWD, path, flags, Mode::from_raw_mode(mode)) {
            Err(Errno::INTR) => {}
            opened => break opened?,
        }
    };
    fill(&fd, data, written)?;
    match fsync(&fd) {
        // It is on no disk.
        Err(Errno::INVAL | Errno::ROFS | Errno::NOTSUP) => Ok(()),
        synced => synced,
    }
}

fn make_beside(directory: &OwnedFd, name: &OsStr, mode: u32) -> Result<(CString, OwnedFd)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for _ in 0..MOST_NAMES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let mut beside = Vec::from(b".".as_slice());
        // A name may have 255 bytes, and ours has more than the old one.
        beside.extend(name.as_bytes().iter().take(180));
        beside.extend(format!(".{}-{:x}-{number}.new", std::process::id(), clock.tv_nsec).bytes());
        let beside = CString::new(beside).map_err(|_| Errno::INVAL)?;
        match openat(directory, &beside, flags, Mode::from_raw_mode(mode)) {
            Err(Errno::EXIST | Errno::INTR) => {}
            made => return made.map(|fd| (beside, fd)),
        }
    }
    Err(Errno::EXIST)
}

/// Gives the new file the old one's owner, as far as we may, and its permissions.
fn make_like(fd: &OwnedFd, old: &Stat) -> Result<()> {
    let mut mode = old.st_mode & 0o7777;
    let new = fstat(fd)?;
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
        let (user, group) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
        // Only root may give files away; others replace the file by one of their own, as editors do.
        if fchown(fd, Some(user), Some(group)).is_err() {
            // What ran as the old owner must not run as us; what that group might do is not for ours.
            mode &= !0o6000;
            if old.st_gid != new.st_gid && fchown(fd, None, Some(group)).is_err() {
                mode &= !0o070;
            }
        }
    }
    fchmod(fd, Mode::from_raw_mode(mode))
}

fn fill(fd: &OwnedFd, data: &[u8], written: &mut u64) -> Result<()> {
    while (*written as usize) < data.len() {
        match write(fd, &data[*written as usize..]) {
            Err(Errno::INTR) => {}
            count => *written += count? as u64,
        }
    }
    Ok(())
}
