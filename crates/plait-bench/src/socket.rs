//! One end of a connection, of whatever family: TCP, UDP or Unix.
//!
//! A connected UDP socket is sent to and received from as the others are; what is sent in one call arrives in one, or not at
//! all. So one load client serves the three, and what differs is how a connection is made. Rejected: a type for each behind a
//! trait, for two system calls that are the same for all.

use crate::failure::invalid;
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// The largest message of the three that UDP carries, over IPv4.
pub(crate) const LARGEST_DATAGRAM: usize = 65_507;

/// Where a server is to be found, and by which protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A listening TCP socket.
    Tcp(SocketAddr),
    /// A bound UDP socket.
    Udp(SocketAddr),
    /// A listening stream socket in the file system.
    Unix(PathBuf),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Udp(address) => write!(formatter, "{address} (UDP)"),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

/// A connected, non-blocking socket.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Connects; only TCP takes any time over it.
    pub(crate) fn connect(address: &Address, timeout: Duration) -> io::Result<Self> {
        let descriptor: OwnedFd = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, timeout)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
            Address::Udp(address) => {
                let local: SocketAddr = match address {
                    SocketAddr::V4(_) => ([0; 4], 0).into(),
                    SocketAddr::V6(_) => ([0; 16], 0).into(),
                };
                let socket = UdpSocket::bind(local)?;
                socket.connect(address)?;
                socket.into()
            }
            Address::Unix(path) => UnixStream::connect(path)?.into(),
        };
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self(descriptor))
    }

    /// What went; no signal comes of a server that has gone.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    /// How much came; 0 is the end of a stream, and an error here since no server ends one that is in use.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match rustix::net::recv(&self.0, buffer, RecvFlags::empty())? {
            (0, _) => Err(io::Error::new(ErrorKind::ConnectionAborted, "closed by the server")),
            (count, _) => Ok(count),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Refuses messages that do not fit into one datagram.
pub(crate) fn check_size(address: &Address, size: usize) -> io::Result<()> {
    match address {
        Address::Udp(_) if size > LARGEST_DATAGRAM => {
            Err(invalid(format!("a datagram has at most {LARGEST_DATAGRAM} bytes")))
        }
        _ => Ok(()),
    }
}
