//! Descriptors that are handed to another process, each with two numbers that say what it is.

use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, socketpair, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The first number of what a worker is handed when it begins: the second says which.
pub const BEGINNING: u32 = u32::MAX - 1;

/// Two ends; one that goes by messages, or by bytes.
pub fn pair(by_bytes: bool) -> Result<(OwnedFd, OwnedFd)> {
    let kind = if by_bytes { SocketType::STREAM } else { SocketType::SEQPACKET };
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Waits if the socket is full, which takes more messages than there are segments.
pub fn send(socket: BorrowedFd<'_>, tag: (u32, u32), descriptor: BorrowedFd<'_>) -> Result<()> {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&tag.0.to_le_bytes());
    bytes[4..].copy_from_slice(&tag.1.to_le_bytes());
    let descriptors = [descriptor];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
        match sendmsg(socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

/// The next one. UnexpectedEof: there is no other side any more.
pub fn receive(socket: BorrowedFd<'_>) -> Result<((u32, u32), OwnedFd)> {
    let mut bytes = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match descriptor {
        Some(descriptor) if received.bytes == bytes.len() => {
            let word =
                |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            Ok(((word(0), word(4)), descriptor))
        }
        _ => Err(Error::from(ErrorKind::UnexpectedEof)),
    }
}
