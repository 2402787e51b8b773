//! A socket address in 16 bytes. Each connection keeps one or two, and nearly all are IPv4; a `SocketAddr` takes 32.

use super::socket_address::{Decoded, SocketAddress};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `SocketAddr` that is kept for long.
#[derive(Clone, Debug)]
pub enum CompactAddress {
    /// IPv4, in place.
    V4(SocketAddrV4),
    /// IPv6, elsewhere.
    V6(Box<SocketAddrV6>),
    /// Any other, as the kernel has it, elsewhere too.
    Other(Box<SocketAddress>),
}

impl From<SocketAddr> for CompactAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }
}

impl From<SocketAddress> for CompactAddress {
    fn from(address: SocketAddress) -> Self {
        match address.decode() {
            Decoded::Ip(ip) => ip.into(),
            _ => Self::Other(Box::new(address)),
        }
    }
}

impl From<&CompactAddress> for SocketAddress {
    fn from(address: &CompactAddress) -> Self {
        match address {
            CompactAddress::V4(v4) => SocketAddr::V4(*v4).into(),
            CompactAddress::V6(v6) => SocketAddr::V6(**v6).into(),
            CompactAddress::Other(address) => **address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_and_it_is_small() {
        for text in ["127.0.0.1:80", "[::1]:65535", "[fe80::1%3]:7"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddress::from(&CompactAddress::from(address)), address.into());
        }
        let unix = SocketAddress::unix(b"/a/b").unwrap();
        assert_eq!(SocketAddress::from(&CompactAddress::from(unix)), unix);
        assert_eq!(std::mem::size_of::<Option<CompactAddress>>(), 16);
    }
}
