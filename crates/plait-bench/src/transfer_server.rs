//! The least that it takes to send much over one connection: pieces of memory, or a file by `sendfile`.
//!
//! One thread, epoll, level-triggered, one connection at a time. As much is sent as the socket takes, then room is waited for.
//! What this costs is nearly all the kernel's, which copies the bytes, so it tells how far a runtime can get.

use crate::failure::Context;
use crate::message::pattern;
use crate::{affinity, turns, OnTick};
use rustix::event::epoll;
use rustix::io::{Errno, Result};
use rustix::net::{accept_with, send, SendFlags, SocketFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

const LISTENER: u64 = 0;
const CONNECTION: u64 = 1;
/// 62.75 KiB, a multiple of the pattern's period: what programs write at once.
const PIECE: usize = 251 * 256;
/// 62.75 MiB.
const FILE: usize = PIECE * 1024;

/// Sends from memory what connections to `listener` ask for, until told to stop. `core` is the core to stay on.
pub fn serve_pieces(listener: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    serve(Source::Piece(pattern(PIECE)), listener, core, on_tick)
}

/// The same from a file without a name.
pub fn serve_file(listener: BorrowedFd<'_>, core: Option<usize>, on_tick: OnTick<'_>) -> io::Result<()> {
    let file = rustix::fs::memfd_create(c"plait-bench", rustix::fs::MemfdFlags::CLOEXEC)
        .context(|| "a file in memory".into())?;
    let mut file = File::from(file);
    let piece = pattern(PIECE);
    for _ in 0..FILE / PIECE {
        file.write_all(&piece)?;
    }
    serve(Source::File(file), listener, core, on_tick)
}

enum Source {
    Piece(Vec<u8>),
    File(File),
}

impl Source {
    /// Sends from `place` on up to `most` bytes, or fewer. The source ends at the returned place's turn to zero.
    fn send(&self, socket: &OwnedFd, place: usize, most: u64) -> Result<usize> {
        match self {
            Source::Piece(bytes) => {
                let end = bytes.len().min(place.saturating_add(most as usize));
                send(socket, &bytes[place..end], SendFlags::NOSIGNAL)
            }
            Source::File(file) => {
                let count = (FILE - place).min(most as usize);
                rustix::fs::sendfile(socket, file, Some(&mut (place as u64)), count)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Source::Piece(bytes) => bytes.len(),
            Source::File(_) => FILE,
        }
    }
}

struct Connection {
    socket: OwnedFd,
    /// How many bytes it still has to get, and from which place of the source on.
    left: u64,
    place: usize,
}

fn serve(
    source: Source,
    listener: BorrowedFd<'_>,
    core: Option<usize>,
    on_tick: OnTick<'_>,
) -> io::Result<()> {
    let _pinned = affinity::pin(core)?;
    rustix::io::ioctl_fionbio(listener, true).context(|| "the listening socket".into())?;
    let watcher = turns::watcher()?;
    turns::watch(&watcher, listener, LISTENER)?;
    let mut connection = None;
    turns::serve(&watcher, 2, on_tick, |key| {
        if key == LISTENER {
            connection = accept(listener, &watcher)?.or(connection.take());
            return Ok(());
        }
        let outcome = connection.as_mut().map(|peer| advance(peer, &source, &watcher));
        if !matches!(outcome, Some(Ok(true))) {
            connection = None; // it ended, or failed, which is all that a client can be told
        }
        Ok(())
    })
}

fn accept(listener: BorrowedFd<'_>, watched: &OwnedFd) -> Result<Option<Connection>> {
    let socket = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(socket) => socket,
        Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
        Err(error) => return Err(error),
    };
    turns::watch(watched, &socket, CONNECTION)?;
    Ok(Some(Connection { socket, left: 0, place: 0 }))
}

/// Reads a request or sends on; false at the end.
fn advance(peer: &mut Connection, source: &Source, watched: &OwnedFd) -> Result<bool> {
    if peer.left == 0 {
        let mut request = [0; 8];
        match rustix::io::read(&peer.socket, &mut request) {
            Ok(8) => peer.left = u64::from_le_bytes(request),
            Ok(_) => return Ok(false), // it ended; eight bytes on a loopback come in one piece
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(error) => return Err(error),
        }
        peer.place = 0;
    }
    while peer.left > 0 {
        match source.send(&peer.socket, peer.place, peer.left) {
            Ok(sent) => {
                peer.left -= sent as u64;
                peer.place = (peer.place + sent) % source.len();
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return wait_for(peer, watched, epoll::EventFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    wait_for(peer, watched, epoll::EventFlags::IN)
}

fn wait_for(peer: &Connection, watched: &OwnedFd, flags: epoll::EventFlags) -> Result<bool> {
    epoll::modify(watched, &peer.socket, epoll::EventData::new_u64(CONNECTION), flags)?;
    Ok(true)
}
