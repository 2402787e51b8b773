//! Socket addresses as the socket module writes and reads them.
//!
//! Only what is plain is read here: numbers where a host may be a name, exact types. Everything else is left to the socket's own
//! methods, which have the words for what is wrong with it.

use plait_core::net::socket_address::{ip_text, Decoded};
use plait_core::net::SocketAddress;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The families whose addresses are read and written natively.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
    Unix,
}

impl Family {
    pub fn of(sock: &Bound<'_, PyAny>) -> PyResult<Option<Family>> {
        Ok(match sock.getattr("family")?.extract::<u16>() {
            Ok(family) if family == rustix::net::AddressFamily::INET.as_raw() => Some(Family::V4),
            Ok(family) if family == rustix::net::AddressFamily::INET6.as_raw() => Some(Family::V6),
            Ok(family) if family == rustix::net::AddressFamily::UNIX.as_raw() => Some(Family::Unix),
            _ => None,
        })
    }
}

/// An IP address as the socket module writes it.
fn ip_tuple(py: Python<'_>, address: SocketAddr) -> PyResult<Bound<'_, PyAny>> {
    let host = ip_text(address.ip());
    Ok(match address {
        SocketAddr::V4(v4) => (host, v4.port()).into_pyobject(py)?.into_any(),
        SocketAddr::V6(v6) => {
            (host, v6.port(), u32::from_be(v6.flowinfo()), v6.scope_id()).into_pyobject(py)?.into_any()
        }
    })
}

/// Any of the families' addresses, as `recvfrom` gives it.
pub fn address_object<'py>(py: Python<'py>, address: &SocketAddress) -> PyResult<Bound<'py, PyAny>> {
    match address.decode() {
        Decoded::Ip(address) => ip_tuple(py, address),
        Decoded::Path(path) => Ok(OsStr::from_bytes(path).into_pyobject(py)?.into_any()),
        Decoded::Abstract(name) => Ok(PyBytes::new(py, name).into_any()),
        Decoded::Nobody | Decoded::Other => Ok(py.None().into_bound(py)),
    }
}

/// What a plain address says. None: the socket's own method has to look at it.
pub fn plain_address(family: Family, address: &Bound<'_, PyAny>) -> Option<SocketAddress> {
    if family == Family::Unix {
        return plain_unix_name(address);
    }
    let parts = address.cast_exact::<PyTuple>().ok()?.as_slice();
    let host = parts.first()?.cast_exact::<PyString>().ok()?.to_str().ok()?;
    let port = u16::try_from(number(parts.get(1)?)?).ok()?;
    match (family, parts.len()) {
        (Family::V4, 2) => {
            let ip = host.parse::<Ipv4Addr>().ok()?;
            Some(SocketAddr::from(SocketAddrV4::new(ip, port)).into())
        }
        (Family::V6, 2..=4) => {
            let ip = host.parse::<Ipv6Addr>().ok()?;
            let flow = parts.get(2).map_or(Some(0), number).filter(|flow| *flow <= 0xf_ffff)?;
            let scope = parts.get(3).map_or(Some(0), number)?;
            Some(SocketAddr::from(SocketAddrV6::new(ip, port, flow.to_be(), scope)).into())
        }
        _ => None,
    }
}

fn number(part: &Bound<'_, PyAny>) -> Option<u32> {
    part.cast_exact::<PyInt>().ok()?.extract().ok()
}

fn plain_unix_name(address: &Bound<'_, PyAny>) -> Option<SocketAddress> {
    if let Ok(bytes) = address.cast_exact::<PyBytes>() {
        return SocketAddress::unix(bytes.as_bytes());
    }
    let name = address.cast_exact::<PyString>().ok()?.extract::<OsString>().ok()?;
    SocketAddress::unix(&name.into_vec())
}
