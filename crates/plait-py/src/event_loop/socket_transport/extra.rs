//! What `get_extra_info` knows: the socket and its addresses, each made when it is first asked for.

use super::super::addresses::address_object;
use super::{Socket, SocketTransport};
use crate::standard::standard;
use plait_core::net::SocketAddress;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

impl SocketTransport {
    /// The socket object; made now for an accepted connection.
    pub(super) fn socket_object<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        enum Seen {
            Object(Py<PyAny>),
            Bare(OwnedFd),
            Closed,
        }
        let seen = self.state.with(py, |s| match &s.socket {
            Socket::Object(object) => Seen::Object(object.clone_ref(py)),
            Socket::Closed => Seen::Closed,
            Socket::Bare(_) => match std::mem::replace(&mut s.socket, Socket::Closed) {
                Socket::Bare(fd) => Seen::Bare(fd),
                _ => Seen::Closed,
            },
        });
        let fd = match seen {
            Seen::Object(object) => return Ok(Some(object.into_bound(py))),
            Seen::Closed => return Ok(None),
            Seen::Bare(fd) => fd,
        };
        match standard(py).glue.bind(py).call_method1(intern!(py, "socket_from_fd"), (fd.as_raw_fd(),)) {
            Ok(object) => {
                let _moved = fd.into_raw_fd(); // the object owns it now
                let kept = object.clone().unbind();
                self.state.with(py, |s| s.socket = Socket::Object(kept));
                Ok(Some(object))
            }
            Err(error) => {
                self.state.with(py, |s| s.socket = Socket::Bare(fd));
                Err(error)
            }
        }
    }

    pub(super) fn lookup_extra<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let this = slf.get();
        let extra = this.state.with(py, |s| s.extra.as_ref().map(|e| e.clone_ref(py)));
        if let Some(found) = extra.map(|e| e.bind(py).get_item(name)).transpose()?.flatten() {
            return Ok(Some(found));
        }
        let found = match name {
            "socket" => match this.socket_object(py)? {
                Some(object) => py.import("asyncio.trsock")?.getattr("TransportSocket")?.call1((object,))?,
                None => return Ok(None),
            },
            "peername" | "sockname" => {
                let native = this.state.with(py, |s| {
                    let kept = if name == "peername" { &s.peer } else { &s.local };
                    kept.as_ref().map(SocketAddress::from)
                });
                match (native, this.socket_object(py)?) {
                    (Some(address), _) => address_object(py, &address)?,
                    (None, None) => return Ok(None),
                    (None, Some(object)) => {
                        let method = if name == "peername" { "getpeername" } else { "getsockname" };
                        object.call_method0(method).unwrap_or_else(|_| py.None().into_bound(py))
                    }
                }
            }
            _ => return Ok(None),
        };
        this.extra_dict(py).set_item(name, &found)?;
        Ok(Some(found))
    }

    pub(super) fn extra_dict<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        let fresh = PyDict::new(py).unbind();
        let (dict, unused) = self.state.with(py, |s| match &s.extra {
            Some(dict) => (dict.clone_ref(py), Some(fresh)),
            None => {
                s.extra = Some(fresh.clone_ref(py));
                (fresh, None)
            }
        });
        drop(unused);
        dict.into_bound(py)
    }
}
