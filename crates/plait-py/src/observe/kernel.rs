//! What the kernel knows of a thread of this process: whether it sleeps and in which system call, and how long it had a processor.

use std::fs::File;
use std::io::Read;

/// How many bytes of those files are ever read. They have less.
const MOST: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It has a processor, or waits for one.
    Running,
    /// It sleeps in the system call of that number.
    Call { number: i64, first: usize },
    /// It sleeps, but in no call: for a page of memory, or for a debugger.
    Sleeping,
}

/// How long it had a processor, and how long it waited for one; nanoseconds since it began.
#[derive(Clone, Copy, Default)]
pub struct Processor {
    pub had: u64,
    pub waited: u64,
}

/// The files of one thread.
pub struct Files {
    call: String,
    processor: String,
}

impl Files {
    pub fn of(native_id: i32) -> Files {
        let directory = format!("/proc/self/task/{native_id}");
        Files { call: format!("{directory}/syscall"), processor: format!("{directory}/schedstat") }
    }

    /// None: the thread is gone, or the kernel does not tell.
    pub fn doing(&self) -> Option<Doing> {
        read(&self.call, |text| {
            let mut fields = text.split_ascii_whitespace();
            match fields.next()? {
                "running" => Some(Doing::Running),
                "-1" => Some(Doing::Sleeping),
                number => {
                    let first = usize::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
                    Some(Doing::Call { number: number.parse().ok()?, first })
                }
            }
        })
    }

    /// Why [`Files::doing`] told nothing.
    pub fn problem(&self) -> String {
        let problem = match std::fs::read_to_string(&self.call) {
            Ok(text) => format!("it has {text:?}"),
            Err(error) => error.to_string(),
        };
        format!("{}: {problem}", self.call)
    }

    /// None: the thread is gone, or the kernel does not count.
    pub fn processor(&self) -> Option<Processor> {
        read(&self.processor, |text| {
            let mut fields = text.split_ascii_whitespace().map(str::parse);
            Some(Processor { had: fields.next()?.ok()?, waited: fields.next()?.ok()? })
        })
    }
}

fn read<R>(path: &str, parse: impl FnOnce(&str) -> Option<R>) -> Option<R> {
    let mut buffer = [0; MOST];
    // Opened each time: a descriptor that is kept would be one more in the program, and in its children.
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    parse(std::str::from_utf8(&buffer[..length]).ok()?)
}

/// What an open descriptor leads to: a path, or `socket:[…]`.
pub fn descriptor_target(descriptor: usize) -> Option<String> {
    let target = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
    Some(target.to_string_lossy().into_owned())
}
