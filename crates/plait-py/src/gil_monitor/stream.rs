//! The pipe to which a monitor writes what it knows, a line of JSON each time; `plait gil` reads it.
//!
//! Its reader may be slow, or stopped, and must not hold the program up: what cannot be written at once waits, and while it does further lines are left
//! out. The last is waited for, up to a limit.

use plait_core::fork;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the last line may take, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(2);

pub struct Stream {
    /// Never closed by itself: see `is_ours`. A process has one of these, to its end.
    file: ManuallyDrop<File>,
    /// Device and inode.
    pipe: (u64, u64),
    /// What is left of the line that was begun.
    unwritten: Mutex<Vec<u8>>,
    generation: u32,
}

impl Stream {
    /// Opened anew, so that it does not block, whoever else has the descriptor.
    pub fn open(descriptor: u32) -> io::Result<Stream> {
        let path = format!("/proc/self/fd/{descriptor}");
        let file = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let pipe = identity(&file)?;
        let (file, unwritten) = (ManuallyDrop::new(file), Mutex::default());
        Ok(Stream { file, pipe, unwritten, generation: fork::generation() })
    }

    /// Writes a line, or leaves it out if there is no room.
    pub fn offer(&self, line: &str) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        if self.write(&mut unwritten) {
            unwritten.extend_from_slice(line.as_bytes());
            unwritten.push(b'\n');
            self.write(&mut unwritten);
        }
    }

    /// Writes the last line.
    pub fn finish(&self, line: &str) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        unwritten.extend_from_slice(line.as_bytes());
        unwritten.push(b'\n');
        let start = Instant::now();
        while !self.write(&mut unwritten) && start.elapsed() < PATIENCE {
            std::thread::sleep(BETWEEN_TRIES);
        }
    }

    /// In a forked child, which has a copy: whoever reads would wait for the child as well.
    pub fn close_in_child(&self) {
        if self.generation != fork::generation() && self.is_ours() {
            // SAFETY: the number is this pipe's, and nobody else in this process uses it: the threads that write are the parent's. `file` is never
            // dropped, and whatever has this number afterwards is told from the pipe by `is_ours`.
            unsafe { libc::close(self.file.as_raw_fd()) };
        }
    }

    /// Whether nothing is left: all is written, or nobody will ever read it.
    fn write(&self, unwritten: &mut Vec<u8>) -> bool {
        while !unwritten.is_empty() && self.is_ours() {
            match (&*self.file).write(unwritten) {
                Ok(written) => drop(unwritten.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => break,
            }
        }
        unwritten.clear();
        true
    }

    /// A program may close every descriptor that it does not know, as daemons do, and have a file of its own by this number then.
    fn is_ours(&self) -> bool {
        identity(&self.file).is_ok_and(|now| now == self.pipe)
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let data = file.metadata()?;
    Ok((data.dev(), data.ino()))
}
