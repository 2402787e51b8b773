//! A socket address in 16 bytes. Each connection keeps one or two, and nearly all are IPv4; a `SocketAddr` takes 32.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// A `SocketAddr` that is kept for long.
#[derive(Clone, Debug)]
pub enum CompactAddress {
    /// IPv4, in place.
    V4(SocketAddrV4),
    /// IPv6, elsewhere.
    V6(Box<SocketAddrV6>),
}

impl From<SocketAddr> for CompactAddress {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Self::V4(v4),
            SocketAddr::V6(v6) => Self::V6(Box::new(v6)),
        }
    }
}

impl From<&CompactAddress> for SocketAddr {
    fn from(address: &CompactAddress) -> Self {
        match address {
            CompactAddress::V4(v4) => Self::V4(*v4),
            CompactAddress::V6(v6) => Self::V6(**v6),
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
            assert_eq!(SocketAddr::from(&CompactAddress::from(address)), address);
        }
        assert_eq!(std::mem::size_of::<Option<CompactAddress>>(), 16);
    }
}
