//! An operation on a file, as the system calls that it takes.
//!
//! A plan is asked for its next call and told the answer, until it is over. Both engines do the asking; a plan does not know which
//! one it is. It owns the memory that its calls read into and write from, and an engine owns the plan until the kernel is done: a
//! caller that does not wait any longer takes nothing away from under it.

use super::descriptor::Descriptor;
use super::{Done, Failure};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// What Linux reads or writes in one call, at most.
const MOST_IN_ONE_CALL: usize = 0x7fff_f000;
/// A file of unknown size is read into so much memory at first.
const FIRST_CHUNK: usize = 16 * 1024;

/// One system call. Reads and writes are at the file's own position, which they move, as plain `read` and `write` do.
pub enum Call<'a> {
    /// `openat(AT_FDCWD, …)`
    Open {
        /// Which file.
        path: &'a CStr,
        /// `O_…`
        flags: i32,
        /// The permissions of a file that is made.
        mode: u32,
    },
    /// `read`
    Read {
        /// Of which file.
        fd: RawFd,
        /// At most so much.
        into: &'a mut [MaybeUninit<u8>],
    },
    /// `write`
    Write {
        /// To which file.
        fd: RawFd,
        /// At most that.
        data: &'a [u8],
    },
    /// `fsync` or `fdatasync`
    Sync {
        /// Which file.
        fd: RawFd,
        /// The second.
        data_only: bool,
    },
    /// `close`. The plan has given the number away.
    Close {
        /// Which file.
        fd: RawFd,
    },
}

/// A call's answer: its result, or errno.
pub type Answer = Result<u64, i32>;

/// See the module's text.
pub trait Plan: Send {
    /// The next call; None when it is over.
    fn call(&mut self) -> Option<Call<'_>>;
    /// What came of that call.
    fn answer(&mut self, answer: Answer);
    /// What came of it all.
    fn finish(self: Box<Self>) -> Done;
}

fn interrupted(answer: &Answer) -> bool {
    matches!(answer, Err(errno) if *errno == Errno::INTR.raw_os_error())
}

/// When a read has read enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After one call.
    Once,
    /// When all that was wanted is there, or the end.
    Full,
    /// At the end; what is wanted is a guess.
    End,
}

/// Reads on, from where the file is.
pub struct Read {
    file: Arc<Descriptor>,
    buffer: Vec<u8>,
    want: usize,
    until: Until,
    over: bool,
    errno: Option<i32>,
}

impl Read {
    /// Up to `want` bytes more than there are in `buffer`.
    pub fn new(file: Arc<Descriptor>, buffer: Vec<u8>, want: usize, until: Until) -> Read {
        let want = buffer.len().saturating_add(want);
        Read { file, buffer, want, until, over: false, errno: None }
    }
}

impl Plan for Read {
    fn call(&mut self) -> Option<Call<'_>> {
        if self.over {
            return None;
        }
        let missing = match self.want.saturating_sub(self.buffer.len()) {
            0 => self.buffer.len().max(FIRST_CHUNK),
            missing => missing,
        };
        let missing = missing.min(MOST_IN_ONE_CALL);
        if self.buffer.try_reserve(missing).is_err() {
            self.errno = Some(Errno::NOMEM.raw_os_error());
            return None;
        }
        let into = &mut self.buffer.spare_capacity_mut()[..missing];
        Some(Call::Read { fd: self.file.number(), into })
    }

    fn answer(&mut self, answer: Answer) {
        if interrupted(&answer) {
            return;
        }
        match answer {
            Ok(0) => self.over = true,
            Ok(count) => {
                let filled = self.buffer.len() + count as usize;
                assert!(filled <= self.buffer.capacity(), "more was read than there was room for");
                // SAFETY: the kernel has written so many bytes behind the old end, into the spare capacity.
                #[allow(unsafe_code)]
                unsafe {
                    self.buffer.set_len(filled);
                }
                self.over = match self.until {
                    Until::Once => true,
                    Until::Full => filled >= self.want,
                    Until::End => false,
                };
            }
            Err(errno) => {
                self.over = true;
                // What was read is told first; whoever reads on meets the error again.
                if self.buffer.is_empty() || self.until == Until::End {
                    self.errno = Some(errno);
                }
            }
        }
    }

    fn finish(self: Box<Self>) -> Done {
        match self.errno {
            None => Done::Bytes(self.buffer),
            Some(errno) => Done::Failed(Failure { errno, written: 0, rest: self.buffer }),
        }
    }
}

/// Writes on.
pub struct Write {
    file: Arc<Descriptor>,
    data: Vec<u8>,
    written: usize,
    once: bool,
    over: bool,
    errno: Option<i32>,
}

impl Write {
    /// All of `data`; with `once`, what the first call takes of it.
    pub fn new(file: Arc<Descriptor>, data: Vec<u8>, once: bool) -> Write {
        // No bytes are written by a call as well, where one call is asked for: it may have something to say.
        let over = data.is_empty() && !once;
        Write { file, data, written: 0, once, over, errno: None }
    }
}

impl Plan for Write {
    fn call(&mut self) -> Option<Call<'_>> {
        if self.over {
            return None;
        }
        let rest = &self.data[self.written..];
        Some(Call::Write { fd: self.file.number(), data: &rest[..rest.len().min(MOST_IN_ONE_CALL)] })
    }

    fn answer(&mut self, answer: Answer) {
        if interrupted(&answer) {
            return;
        }
        match answer {
            Ok(0) if !self.once => {
                // What takes nothing and does not say why would be asked for ever.
                self.over = true;
                self.errno = Some(Errno::IO.raw_os_error());
            }
            Ok(count) => {
                self.written += count as usize;
                self.over = self.once || self.written >= self.data.len();
            }
            Err(errno) => {
                self.over = true;
                self.errno = Some(errno);
            }
        }
    }

    fn finish(self: Box<Self>) -> Done {
        let written = self.written as u64;
        match self.errno {
            None => Done::Count(written),
            Some(errno) => {
                let mut rest = self.data;
                rest.drain(..self.written);
                Done::Failed(Failure { errno, written, rest })
            }
        }
    }
}

/// One call that only succeeds or fails.
pub struct Single {
    kind: SingleKind,
    errno: Option<i32>,
    over: bool,
}

enum SingleKind {
    Sync { file: Arc<Descriptor>, data_only: bool },
    Close { fd: Option<OwnedFd> },
}

impl Single {
    /// Waits until what was written is on the disk.
    pub fn sync(file: Arc<Descriptor>, data_only: bool) -> Single {
        Single { kind: SingleKind::Sync { file, data_only }, errno: None, over: false }
    }

    /// Closes the file.
    pub fn close(fd: OwnedFd) -> Single {
        Single { kind: SingleKind::Close { fd: Some(fd) }, errno: None, over: false }
    }
}

impl Plan for Single {
    fn call(&mut self) -> Option<Call<'_>> {
        if self.over {
            return None;
        }
        match &mut self.kind {
            SingleKind::Sync { file, data_only } => {
                Some(Call::Sync { fd: file.number(), data_only: *data_only })
            }
            SingleKind::Close { fd } => Some(Call::Close { fd: fd.take()?.into_raw_fd() }),
        }
    }

    fn answer(&mut self, answer: Answer) {
        // Linux has closed the file even where it says that it was interrupted.
        let closes = matches!(self.kind, SingleKind::Close { .. });
        if interrupted(&answer) && !closes {
            return;
        }
        self.over = true;
        self.errno = answer.err().filter(|errno| !(closes && *errno == Errno::INTR.raw_os_error()));
    }

    fn finish(self: Box<Self>) -> Done {
        self.errno.map_or(Done::Nothing, Done::failed)
    }
}

/// What is done with a file that is opened for it and closed behind it.
pub enum Whole {
    /// Its contents are read; a guess how long they are.
    Read {
        /// How much memory to begin with.
        expected: usize,
    },
    /// It is written.
    Write {
        /// What.
        data: Vec<u8>,
        /// Until it is on the disk.
        durable: bool,
    },
}

/// A whole file, by its name.
pub struct WholeFile {
    path: CString,
    flags: i32,
    mode: u32,
    fd: Option<Arc<Descriptor>>,
    /// What to do once it is open.
    whole: Option<Whole>,
    stage: Stage,
    durable: bool,
    result: Done,
}

enum Stage {
    Open,
    Read(Box<Read>),
    Write(Box<Write>),
    Sync,
    Close,
    Over,
}

impl WholeFile {
    /// `flags` are those of `open`.
    pub fn new(path: CString, flags: i32, mode: u32, whole: Whole) -> WholeFile {
        let durable = matches!(whole, Whole::Write { durable: true, .. });
        WholeFile {
            path,
            flags: flags | libc::O_CLOEXEC,
            mode,
            fd: None,
            whole: Some(whole),
            stage: Stage::Open,
            durable,
            result: Done::Nothing,
        }
    }

    /// The rest of a file that is open already, behind what was read of it.
    pub fn rest(fd: OwnedFd, read: Vec<u8>, expected: usize) -> WholeFile {
        let mut this = WholeFile::new(CString::default(), 0, 0, Whole::Read { expected });
        let file = Arc::new(Descriptor::Owned(fd));
        this.stage = Stage::Read(Box::new(Read::new(Arc::clone(&file), read, expected, Until::End)));
        this.fd = Some(file);
        this.whole = None;
        this
    }

    fn opened(&mut self, answer: Answer) {
        let Some(whole) = self.whole.take() else {
            return;
        };
        match answer {
            Err(errno) => {
                let rest = match whole {
                    Whole::Write { data, .. } => data,
                    Whole::Read { .. } => Vec::new(),
                };
                self.result = Done::Failed(Failure { errno, written: 0, rest });
                self.stage = Stage::Over;
            }
            Ok(number) => {
                // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
                #[allow(unsafe_code)]
                let fd = unsafe { OwnedFd::from_raw_fd(number as RawFd) };
                let file = Arc::new(Descriptor::Owned(fd));
                self.fd = Some(Arc::clone(&file));
                self.stage = match whole {
                    Whole::Read { expected } => {
                        Stage::Read(Box::new(Read::new(file, Vec::new(), expected, Until::End)))
                    }
                    Whole::Write { data, .. } => Stage::Write(Box::new(Write::new(file, data, false))),
                };
                self.skip_what_is_over();
            }
        }
    }

    /// Moves to the next stage when the one it is in has no more calls.
    fn skip_what_is_over(&mut self) {
        let over = match &mut self.stage {
            Stage::Read(read) => read.call().is_none(),
            Stage::Write(write) => write.call().is_none(),
            _ => false,
        };
        if !over {
            return;
        }
        self.result = match std::mem::replace(&mut self.stage, Stage::Close) {
            Stage::Read(read) => read.finish(),
            Stage::Write(write) => write.finish(),
            _ => Done::Nothing,
        };
        if self.durable && !matches!(self.result, Done::Failed(_)) {
            self.stage = Stage::Sync;
        }
    }

    /// Errors of closing count where there was none before: some file systems tell only then that they could not write.
    fn fail(&mut self, errno: i32) {
        let written = match &self.result {
            Done::Failed(_) => return,
            Done::Count(written) => *written,
            _ => 0,
        };
        self.result = Done::Failed(Failure { errno, written, rest: Vec::new() });
    }
}

impl Plan for WholeFile {
    fn call(&mut self) -> Option<Call<'_>> {
        match &mut self.stage {
            Stage::Open => Some(Call::Open { path: &self.path, flags: self.flags, mode: self.mode }),
            Stage::Read(read) => read.call(),
            Stage::Write(write) => write.call(),
            Stage::Sync => Some(Call::Sync { fd: self.fd.as_ref()?.number(), data_only: false }),
            Stage::Close => {
                let fd = self.fd.take().and_then(Descriptor::into_owned)?;
                Some(Call::Close { fd: fd.into_raw_fd() })
            }
            Stage::Over => None,
        }
    }

    fn answer(&mut self, answer: Answer) {
        match &mut self.stage {
            Stage::Open if interrupted(&answer) => {}
            Stage::Open => self.opened(answer),
            Stage::Read(read) => {
                read.answer(answer);
                self.skip_what_is_over();
            }
            Stage::Write(write) => {
                write.answer(answer);
                self.skip_what_is_over();
            }
            Stage::Sync if interrupted(&answer) => {}
            Stage::Sync => {
                if let Err(errno) = answer {
                    self.fail(errno);
                }
                self.stage = Stage::Close;
            }
            Stage::Close => {
                let closed_anyway = interrupted(&answer);
                if let (Err(errno), false) = (answer, closed_anyway) {
                    self.fail(errno);
                }
                self.stage = Stage::Over;
            }
            Stage::Over => {}
        }
    }

    fn finish(self: Box<Self>) -> Done {
        self.result
    }
}

/// Makes the calls one after the other, waiting for each: what a thread of the pool does.
pub fn perform(mut plan: Box<dyn Plan>) -> Done {
    while let Some(call) = plan.call() {
        let answer = perform_call(call);
        plan.answer(answer);
    }
    plan.finish()
}

fn perform_call(call: Call<'_>) -> Answer {
    use crate::fd::borrow;
    let errno = |error: Errno| error.raw_os_error();
    match call {
        Call::Open { path, flags, mode } => {
            super::opening::open_number(path, flags, mode).map(|fd| fd as u64).map_err(errno)
        }
        Call::Read { fd, into } => {
            let fd = borrow(fd).map_err(errno)?;
            rustix::io::read(fd, into).map(|(read, _)| read.len() as u64).map_err(errno)
        }
        Call::Write { fd, data } => {
            let fd = borrow(fd).map_err(errno)?;
            rustix::io::write(fd, data).map(|count| count as u64).map_err(errno)
        }
        Call::Sync { fd, data_only } => {
            let fd = borrow(fd).map_err(errno)?;
            let synced = if data_only { rustix::fs::fdatasync(fd) } else { rustix::fs::fsync(fd) };
            synced.map(|()| 0).map_err(errno)
        }
        Call::Close { fd } => close_number(fd).map(|()| 0).map_err(errno),
    }
}

/// Closes a descriptor that a plan has given away, and says what came of it, which dropping it would not.
fn close_number(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the number came out of an `OwnedFd` a moment ago: nobody else closes it.
    #[allow(unsafe_code)]
    match unsafe { libc::close(fd) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)),
    }
}
