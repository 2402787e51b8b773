//! How messages travel: by a ring in shared memory; or, where that is forbidden (a sandbox without memfd_create), by a socket, which costs two system calls and two
//! more copies for each, and means the same.

use super::segments::nonsense;
use plait_core::shm::bell::Bell;
use plait_core::shm::ring::{Progress, Reader, Writer, LONGEST};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{recv, send, RecvFlags, SendFlags};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// What is being sent.
pub struct Sending<'a> {
    parts: Vec<&'a [u8]>,
    progress: Progress,
    /// By a socket: how many bytes have gone, and what is in front of them.
    gone: usize,
    prefix: [u8; 8],
}

impl<'a> Sending<'a> {
    pub fn new(parts: Vec<&'a [u8]>) -> Sending<'a> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        Sending { parts, progress: Progress::default(), gone: 0, prefix: (length as u64).to_le_bytes() }
    }

    pub fn length(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

pub enum Sender {
    Ring(Writer),
    Socket(Arc<OwnedFd>),
}

impl Sender {
    /// Sends what goes. True: all of it.
    pub fn send(&mut self, sending: &mut Sending<'_>) -> Result<bool> {
        match self {
            Sender::Ring(_) if sending.length() > LONGEST => {
                Err(Error::new(ErrorKind::InvalidInput, "a message of more than a gibibyte"))
            }
            Sender::Ring(writer) => {
                writer.write(&sending.parts, &mut sending.progress).map_err(|_| nonsense())
            }
            Sender::Socket(socket) => send_bytes(socket.as_fd(), sending),
        }
    }

    /// Whether a message of that length would go now, as far as that can be said.
    pub fn has_room(&self, length: usize) -> bool {
        match self {
            Sender::Ring(writer) => writer.has_room(length),
            Sender::Socket(_) => false,
        }
    }

    /// Waits until there is more room, or for so long.
    pub fn wait(&self, length: usize, timeout: Duration) {
        match self {
            Sender::Ring(writer) => drop(writer.bell().sleep(|| writer.has_room(length), Some(timeout))),
            Sender::Socket(socket) => wait_for(socket.as_fd(), PollFlags::OUT, Some(timeout)),
        }
    }
}

fn send_bytes(socket: BorrowedFd<'_>, sending: &mut Sending<'_>) -> Result<bool> {
    let prefix = sending.prefix;
    let mut before = 0;
    for part in std::iter::once(&prefix[..]).chain(sending.parts.iter().copied()) {
        while sending.gone < before + part.len() {
            match send(socket, &part[sending.gone - before..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => sending.gone += sent,
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        before += part.len();
    }
    Ok(true)
}

pub enum Receiver {
    Ring(Reader),
    Socket { socket: Arc<OwnedFd>, received: Vec<u8>, ended: bool },
}

impl Receiver {
    /// The next message, if all of it is there.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Receiver::Ring(reader) => reader.next_message().map_err(|_| nonsense()),
            Receiver::Socket { socket, received, ended } => {
                if let Some(message) = first_message(received) {
                    return Ok(Some(message));
                }
                *ended |= receive_bytes(socket.as_fd(), received)?;
                Ok(first_message(received))
            }
        }
    }

    pub fn has_come(&self) -> bool {
        match self {
            Receiver::Ring(reader) => reader.has_come(),
            // Who waits for a socket polls it.
            Receiver::Socket { received, .. } => is_complete(received),
        }
    }

    /// Waits until something has come, or for so long. `bell`: the ring's.
    pub fn wait(&self, bell: Option<Bell<'_>>, timeout: Option<Duration>) {
        match (self, bell) {
            (Receiver::Socket { socket, .. }, _) => wait_for(socket.as_fd(), PollFlags::IN, timeout),
            (Receiver::Ring(reader), Some(bell)) => drop(bell.sleep(|| reader.has_come(), timeout)),
            (Receiver::Ring(_), None) => {}
        }
    }

    /// Whether the other side has closed its end, as far as this can be seen here.
    pub fn has_ended(&self) -> bool {
        matches!(self, Receiver::Socket { ended: true, received, .. } if !is_complete(received))
    }
}

fn length_of(received: &[u8]) -> Option<usize> {
    let prefix = received.first_chunk::<8>()?;
    usize::try_from(u64::from_le_bytes(*prefix)).ok()?.checked_add(prefix.len())
}

fn is_complete(received: &[u8]) -> bool {
    length_of(received).is_some_and(|length| received.len() >= length)
}

fn first_message(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = length_of(received).filter(|length| received.len() >= *length)?;
    let rest = received.split_off(length);
    let mut message = std::mem::replace(received, rest);
    message.drain(..8);
    Some(message)
}

/// Takes all that has come. True: there will be no more.
fn receive_bytes(socket: BorrowedFd<'_>, received: &mut Vec<u8>) -> Result<bool> {
    let mut chunk = [0; 64 * 1024];
    loop {
        match recv(socket, &mut chunk[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => return Ok(true),
            Ok((_, count)) => received.extend_from_slice(&chunk[..count]),
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whatever ends it, the caller looks again.
fn wait_for(socket: BorrowedFd<'_>, flags: PollFlags, timeout: Option<Duration>) {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let _ = poll(&mut [PollFd::new(&socket, flags)], timeout.as_ref());
}
