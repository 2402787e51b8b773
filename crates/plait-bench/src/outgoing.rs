//! Connections over TCP that are opened again and again.
//!
//! To a server that listens on a loopback address each comes from one of several: a closed connection keeps its pair of addresses for a
//! minute, and from one address there are less than thirty thousand.

use rustix::net::{sockopt, AddressFamily, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Addresses of 127.0.0.0/8 that connections come from, in turn.
const SOURCES: u64 = 200;

/// Connects, from an address that goes with `turn`. Whatever waits for longer than `timeout`, then and later, fails.
pub(crate) fn connect(address: SocketAddr, turn: u64, timeout: Duration) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Before connecting: it limits that as well.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(timeout))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if matches!(address.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
        let from = Ipv4Addr::new(127, 0, 1, 1 + (turn % SOURCES) as u8);
        rustix::net::bind(&socket, &SocketAddr::from((from, 0)))?;
    }
    rustix::net::connect(&socket, &address)?;
    Ok(socket.into())
}
