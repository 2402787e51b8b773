//! Replacing a file's contents so that a crash leaves the old ones or the new ones, whole.
//!
//! A new file beside the old one is written, brought to the disk, and renamed over it; then the directory is brought to the disk, which is
//! what the name is in. Without the first `fsync` a crash may leave an empty file under the name, without the second the old one
//! may come back. The new file has the old one's permissions, and its owner where we may give it that. A symbolic link is followed, and stays.

use super::{Done, Failure};
use rustix::fs::{
    fchmod, fchown, fstat, fsync, openat, renameat, stat, unlinkat, AtFlags, Gid, Mode, OFlags, Uid, CWD,
};
use rustix::io::{write, Errno, Result};
use std::ffi::{CStr, CString, OsStr};
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
    let target = followed(path)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    // First of all: if the directory cannot be opened, nothing has been done.
    let directory_fd =
        openat(CWD, &directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let (temporary, fd) = make_beside(&directory, target.file_name().ok_or(Errno::ISDIR)?, mode)?;
    let renamed = fill(&fd, &target, data, written)
        .and_then(|()| fsync(&fd))
        .and_then(|()| renameat(CWD, &temporary, CWD, &target));
    if let Err(errno) = renamed {
        // What it failed with is what is told.
        let _ = unlinkat(CWD, &temporary, AtFlags::empty());
        return Err(errno);
    }
    fsync(directory_fd)
}

/// The file that a name means, behind symbolic links.
fn followed(path: &CStr) -> Result<PathBuf> {
    let given = Path::new(OsStr::from_bytes(path.to_bytes()));
    let is_link = std::fs::symlink_metadata(given).is_ok_and(|found| found.file_type().is_symlink());
    if !is_link {
        return Ok(given.to_owned());
    }
    let follow = || std::fs::canonicalize(given);
    follow().map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
}

fn make_beside(directory: &Path, name: &OsStr, mode: u32) -> Result<(CString, OwnedFd)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    for _ in 0..MOST_NAMES {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let mut beside = Vec::from(b".".as_slice());
        // A name may have 255 bytes, and ours has more than the old one.
        beside.extend(name.as_bytes().iter().take(180));
        beside.extend(format!(".{}-{:x}-{number}.new", std::process::id(), clock.tv_nsec).bytes());
        let path = directory.join(OsStr::from_bytes(&beside));
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        match openat(CWD, &path, flags, Mode::from_raw_mode(mode)) {
            Err(Errno::EXIST | Errno::INTR) => {}
            made => return made.map(|fd| (path, fd)),
        }
    }
    Err(Errno::EXIST)
}

fn fill(fd: &OwnedFd, target: &Path, data: &[u8], written: &mut u64) -> Result<()> {
    if let Ok(old) = stat(target) {
        let new = fstat(fd)?;
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
            // Only root may give files away; others replace the file by one of their own, as editors do.
            let _ = fchown(fd, Some(Uid::from_raw(old.st_uid)), Some(Gid::from_raw(old.st_gid)));
        }
        fchmod(fd, Mode::from_raw_mode(old.st_mode & 0o7777))?;
    }
    while (*written as usize) < data.len() {
        match write(fd, &data[*written as usize..]) {
            Err(Errno::INTR) => {}
            count => *written += count? as u64,
        }
    }
    Ok(())
}
