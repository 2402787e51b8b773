//! The address of a socket as the kernel writes it: of any family, in its own bytes.
//!
//! Datagrams come with their sender's address, each one, and most are answered to it: so an address is kept as it came, compared
//! byte by byte, and handed back as it is. It is decoded only when somebody wants to see it. Rejected: `SocketAddr`, which knows
//! neither Unix sockets nor what a kernel may add; and rustix's address, which cannot be reused as a buffer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

const LARGEST: usize = size_of::<libc::sockaddr_storage>();
const FAMILY: usize = size_of::<libc::sa_family_t>();
/// The longest name of a Unix socket; one of a file needs a byte less, for the zero behind it.
pub const LONGEST_UNIX_NAME: usize = size_of::<libc::sockaddr_un>() - FAMILY;

/// Room for one address, and how much of it is used.
#[derive(Clone, Copy)]
#[repr(C, align(8))] // as the kernel's structures are
pub struct SocketAddress {
    bytes: [u8; LARGEST],
    length: u8,
}

/// What an address says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded<'a> {
    /// Nothing: a Unix socket without a name has sent it, or the family does not say.
    Nobody,
    /// An IP address and a port. IPv6's flow information is in network order, as the kernel has it.
    Ip(SocketAddr),
    /// A Unix socket's path.
    Path(&'a [u8]),
    /// A Unix socket's abstract name, with the zero before it.
    Abstract(&'a [u8]),
    /// Of a family that is not decoded here.
    Other,
}

impl Default for SocketAddress {
    fn default() -> Self {
        Self { bytes: [0; LARGEST], length: 0 }
    }
}

impl PartialEq for SocketAddress {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SocketAddress {}

impl std::fmt::Debug for SocketAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.decode().fmt(f)
    }
}

impl SocketAddress {
    /// A Unix socket's address: a path, or a name that begins with zero. None when it is too long.
    pub fn unix(name: &[u8]) -> Option<Self> {
        let mut address = Self::of_family(libc::AF_UNIX);
        let terminated = usize::from(name.first().is_some_and(|first| *first != 0));
        if name.len() + terminated > LONGEST_UNIX_NAME {
            return None;
        }
        address.bytes[FAMILY..FAMILY + name.len()].copy_from_slice(name);
        address.length = (FAMILY + name.len() + terminated) as u8;
        Some(address)
    }

    /// An address in the kernel's own bytes, from the family on. What is longer than any address is cut off.
    pub fn from_kernel(bytes: &[u8]) -> Self {
        let mut address = Self::default();
        let length = bytes.len().min(LARGEST);
        address.room()[..length].copy_from_slice(&bytes[..length]);
        address.set_length(length);
        address
    }

    fn of_family(family: i32) -> Self {
        let mut address = Self::default();
        address.bytes[..FAMILY].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
        address
    }

    /// Its bytes, from the family on.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// All the room there is, for the kernel to write an address into; then [`SocketAddress::set_length`].
    pub(super) fn room(&mut self) -> &mut [u8; LARGEST] {
        &mut self.bytes
    }

    /// How much of it the kernel has written; what did not fit was cut off.
    pub(super) fn set_length(&mut self, length: usize) {
        self.length = length.min(LARGEST) as u8;
    }

    /// A number by which addresses may be spread over a table.
    #[inline]
    pub fn spread(&self) -> usize {
        // By words, of which an IPv4 address has two. What lies behind the end, of an older address, does not count.
        let length = usize::from(self.length);
        let words = self.bytes.chunks_exact(8).take(length.div_ceil(8));
        let sum = words.enumerate().fold(0_u64, |sum, (index, word)| {
            let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            let used = (length - 8 * index).min(8);
            let word = word & (u64::MAX >> (64 - 8 * used));
            (sum.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        });
        (sum >> 32) as usize
    }

    /// What it says.
    pub fn decode(&self) -> Decoded<'_> {
        let bytes = self.as_bytes();
        let Some((family, rest)) = bytes.split_first_chunk::<FAMILY>() else {
            return Decoded::Nobody;
        };
        match i32::from(libc::sa_family_t::from_ne_bytes(*family)) {
            libc::AF_INET => decode_v4(rest),
            libc::AF_INET6 => decode_v6(rest),
            libc::AF_UNIX => decode_unix(rest),
            _ => Decoded::Other,
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let mut made = Self::of_family(family);
        made.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                made.bytes[4..8].copy_from_slice(&v4.ip().octets());
                made.length = size_of::<libc::sockaddr_in>() as u8;
            }
            SocketAddr::V6(v6) => {
                made.bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                made.bytes[8..24].copy_from_slice(&v6.ip().octets());
                made.bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                made.length = size_of::<libc::sockaddr_in6>() as u8;
            }
        }
        made
    }
}

fn part<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from + N)?.try_into().ok()
}

fn decode_v4(rest: &[u8]) -> Decoded<'_> {
    let (Some(port), Some(ip)) = (part(rest, 0), part::<4>(rest, 2)) else {
        return Decoded::Other;
    };
    Decoded::Ip(SocketAddrV4::new(Ipv4Addr::from(ip), u16::from_be_bytes(port)).into())
}

fn decode_v6(rest: &[u8]) -> Decoded<'_> {
    let (Some(port), Some(flow), Some(ip), Some(scope)) =
        (part(rest, 0), part(rest, 2), part::<16>(rest, 6), part(rest, 22))
    else {
        return Decoded::Other;
    };
    let (flow, scope) = (u32::from_ne_bytes(flow), u32::from_ne_bytes(scope));
    Decoded::Ip(SocketAddrV6::new(Ipv6Addr::from(ip), u16::from_be_bytes(port), flow, scope).into())
}

fn decode_unix(rest: &[u8]) -> Decoded<'_> {
    match rest.first() {
        Some(0) => Decoded::Abstract(rest),
        // No name at all: the socket module says ''.
        _ => Decoded::Path(rest.split(|byte| *byte == 0).next().unwrap_or(rest)),
    }
}

/// An IP address as the C library writes it.
///
/// That differs from Rust's own in one corner: an IPv6 address whose first 96 bits are zero is written with an IPv4 address at its
/// end.
pub fn ip_text(ip: IpAddr) -> String {
    if let IpAddr::V6(v6) = ip {
        if let [0, 0, 0, 0, 0, 0, high, _] = v6.segments() {
            if high != 0 {
                let [.., a, b, c, d] = v6.octets();
                return format!("::{a}.{b}.{c}.{d}");
            }
        }
    }
    ip.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ip_addresses_come_back_as_they_were() {
        for text in ["127.0.0.1:80", "0.0.0.0:0", "[::1]:65535", "[2001:db8::7%9]:53"] {
            let address: SocketAddr = text.parse().unwrap();
            let kept = SocketAddress::from(address);
            assert_eq!(kept.decode(), Decoded::Ip(address));
            assert_eq!(kept, SocketAddress::from(address));
        }
        let flow = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 0x0102_0304, 5);
        assert_eq!(SocketAddress::from(SocketAddr::V6(flow)).decode(), Decoded::Ip(flow.into()));
        let (a, b) =
            ("127.0.0.1:80".parse::<SocketAddr>().unwrap(), "127.0.0.1:81".parse::<SocketAddr>().unwrap());
        assert_ne!(SocketAddress::from(a), SocketAddress::from(b));
    }

    #[test]
    fn addresses_are_spread_by_what_they_say_alone() {
        let of_port = |port: u16| SocketAddress::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let spread: std::collections::HashSet<_> =
            (40_000..40_256).map(|port| of_port(port).spread() % 256).collect();
        assert!(spread.len() > 128, "256 ports fall on {} of 256 places", spread.len());
        let (a, b) = ("\0a name that is long enough: 1", "\0a name that is long enough: 2");
        let [a, b] = [a, b].map(|name| SocketAddress::unix(name.as_bytes()).unwrap());
        assert_ne!(a.spread(), b.spread());
        // A shorter address, received where a longer one lay.
        let fresh = of_port(7);
        let mut reused = b;
        reused.room()[..fresh.as_bytes().len()].copy_from_slice(fresh.as_bytes());
        reused.set_length(fresh.as_bytes().len());
        assert_eq!((reused, reused.spread()), (fresh, fresh.spread()));
        assert_eq!(SocketAddress::default().spread(), 0);
    }

    #[test]
    fn unix_names_of_all_kinds() {
        assert_eq!(SocketAddress::unix(b"/a/b").unwrap().decode(), Decoded::Path(b"/a/b"));
        assert_eq!(SocketAddress::unix(b"\0ab\0c").unwrap().decode(), Decoded::Abstract(b"\0ab\0c"));
        assert_eq!(SocketAddress::unix(b"").unwrap().decode(), Decoded::Path(b""));
        assert_eq!(SocketAddress::default().decode(), Decoded::Nobody);
        assert!(SocketAddress::unix(&[b'x'; LONGEST_UNIX_NAME]).is_none());
        assert!(SocketAddress::unix(&[b'x'; LONGEST_UNIX_NAME - 1]).is_some());
        assert!(SocketAddress::unix(&[0; LONGEST_UNIX_NAME]).is_some());
        assert!(SocketAddress::unix(&[0; LONGEST_UNIX_NAME + 1]).is_none());
    }

    #[test]
    fn text_is_the_c_librarys() {
        let pairs = [
            ("::1", "::1"),
            ("::", "::"),
            ("::1:2", "::0.1.0.2"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("fe80::1", "fe80::1"),
        ];
        for (ip, text) in pairs {
            assert_eq!(ip_text(ip.parse().unwrap()), text);
        }
    }

    #[test]
    fn the_kernels_bytes_are_taken_as_they_are() {
        for made in [
            SocketAddress::from("[::1]:53".parse::<SocketAddr>().unwrap()),
            SocketAddress::unix(b"/a").unwrap(),
        ] {
            assert_eq!(SocketAddress::from_kernel(made.as_bytes()), made);
        }
        assert_eq!(SocketAddress::from_kernel(&[]).decode(), Decoded::Nobody);
        assert_eq!(SocketAddress::from_kernel(&[7; 1000]).as_bytes(), [7; LARGEST]);
    }

    #[test]
    fn an_address_that_was_cut_off_is_not_guessed_at() {
        let mut address = SocketAddress::from("1.2.3.4:5".parse::<SocketAddr>().unwrap());
        address.set_length(5);
        assert_eq!(address.decode(), Decoded::Other);
        address.set_length(1);
        assert_eq!(address.decode(), Decoded::Nobody);
    }
}
