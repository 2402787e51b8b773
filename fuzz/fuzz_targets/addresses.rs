//! Addresses in the kernel's bytes: whatever they are, they are read as the manual pages lay them out, and what is made
//! for the kernel says what was asked for.
//!
//! The reference reads the same bytes in another way, number by number from a table of offsets, and takes what a name of a
//! Unix socket may be from the standard library, which makes such addresses too.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use plait_core::net::socket_address::{ip_text, Decoded, LONGEST_UNIX_NAME};
use plait_core::net::{CompactAddress, SocketAddress};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// What the kernel has room for: `struct sockaddr_storage`.
const LARGEST: usize = 128;

#[derive(Debug)]
enum Case {
    FromTheKernel(Vec<u8>),
    V4(u32, u16),
    V6 { ip: u128, port: u16, flow: u32, scope: u32 },
    Unix(Vec<u8>),
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match input.int_in_range(0..=7)? {
            // Of any family; then of those that are read.
            0 => Self::FromTheKernel(rest(input)?),
            1..=3 => {
                let family = *input.choose(&[AF_UNIX, AF_INET, AF_INET6])?;
                let mut bytes = family.to_ne_bytes().to_vec();
                bytes.extend(rest(input)?);
                Self::FromTheKernel(bytes)
            }
            4 => Self::V4(input.arbitrary()?, input.arbitrary()?),
            5 => Self::V6 {
                ip: input.arbitrary()?,
                port: input.arbitrary()?,
                flow: input.arbitrary()?,
                scope: input.arbitrary()?,
            },
            _ => Self::Unix(rest(input)?),
        })
    }
}

fn rest(input: &mut Unstructured) -> Result<Vec<u8>> {
    let length = input.len();
    input.bytes(length).map(<[u8]>::to_vec)
}

/// Big-endian, as the network has its numbers. None: cut off.
fn number(bytes: &[u8], from: usize, length: usize) -> Option<u128> {
    let digits = bytes.get(from..from + length)?;
    Some(digits.iter().fold(0, |sum, digit| sum << 8 | u128::from(*digit)))
}

fn expected(bytes: &[u8]) -> Decoded<'_> {
    let bytes = &bytes[..bytes.len().min(LARGEST)];
    let [low, high, rest @ ..] = bytes else { return Decoded::Nobody };
    match u16::from_ne_bytes([*low, *high]) {
        AF_INET => expected_v4(bytes).unwrap_or(Decoded::Other),
        AF_INET6 => expected_v6(bytes).unwrap_or(Decoded::Other),
        AF_UNIX if rest.starts_with(&[0]) => Decoded::Abstract(rest),
        AF_UNIX => Decoded::Path(&rest[..rest.iter().take_while(|byte| **byte != 0).count()]),
        _ => Decoded::Other,
    }
}

fn expected_v4(bytes: &[u8]) -> Option<Decoded<'static>> {
    let (port, ip) = (number(bytes, 2, 2)? as u16, number(bytes, 4, 4)? as u32);
    Some(Decoded::Ip(SocketAddrV4::new(Ipv4Addr::from(ip), port).into()))
}

fn expected_v6(bytes: &[u8]) -> Option<Decoded<'static>> {
    let (port, ip) = (number(bytes, 2, 2)? as u16, number(bytes, 8, 16)?);
    // These two are handed through as the kernel has them.
    let (flow, scope) = (number(bytes, 4, 4)? as u32, number(bytes, 24, 4)? as u32);
    let (flow, scope) = (u32::from_ne_bytes(flow.to_be_bytes()), u32::from_ne_bytes(scope.to_be_bytes()));
    Some(Decoded::Ip(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into()))
}

fn from_the_kernel(bytes: &[u8]) {
    let address = SocketAddress::from_kernel(bytes);
    assert_eq!(address.as_bytes(), &bytes[..bytes.len().min(LARGEST)]);
    assert_eq!(address.decode(), expected(bytes));
    let kept = SocketAddress::from(&CompactAddress::from(address));
    assert_eq!(kept.decode(), address.decode());
    match address.decode() {
        Decoded::Ip(ip) => made_of(ip),
        _ => assert_eq!(kept, address),
    }
    assert_eq!(SocketAddress::from_kernel(address.as_bytes()).spread(), address.spread());
}

fn made_of(ip: SocketAddr) {
    let address = SocketAddress::from(ip);
    assert_eq!(address.as_bytes().len(), if ip.is_ipv4() { 16 } else { 28 });
    assert_eq!(expected(address.as_bytes()), Decoded::Ip(ip));
    assert_eq!(address.decode(), Decoded::Ip(ip));
    assert_eq!(SocketAddress::from(&CompactAddress::from(ip)), address);
    let text = ip_text(ip.ip());
    assert_eq!(text.parse::<IpAddr>(), Ok(ip.ip()), "{text}");
}

fn unix(name: &[u8]) {
    use std::os::unix::net::SocketAddr as Standard;
    let made = SocketAddress::unix(name);
    let fits = match name {
        [0, rest @ ..] => Standard::from_abstract_name(rest).is_ok(),
        // The standard library refuses a zero within a path; here it ends it, as it does for the kernel.
        [] => true,
        path => path.len() < LONGEST_UNIX_NAME,
    };
    assert_eq!(made.is_some(), fits);
    let Some(address) = made else { return };
    assert_eq!(expected(address.as_bytes()), address.decode());
    match address.decode() {
        Decoded::Abstract(found) => assert_eq!(found, name),
        Decoded::Path(found) => {
            assert_eq!(found, name.split(|byte| *byte == 0).next().unwrap_or_default());
            let standard = Standard::from_pathname(OsStr::from_bytes(found)).expect("it fits");
            assert_eq!(standard.as_pathname().map_or(&b""[..], |path| path.as_os_str().as_bytes()), found);
        }
        other => panic!("{other:?}"),
    }
    from_the_kernel(address.as_bytes());
}

fuzz_target!(|case: Case| match case {
    Case::FromTheKernel(bytes) => from_the_kernel(&bytes),
    Case::V4(ip, port) => made_of(SocketAddrV4::new(ip.into(), port).into()),
    Case::V6 { ip, port, flow, scope } => made_of(SocketAddrV6::new(ip.into(), port, flow, scope).into()),
    Case::Unix(name) => unix(&name),
});
