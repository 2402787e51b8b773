//! Endings: closing in good order, aborting, fatal errors, and what is told to whom.

use super::super::accept::detach;
use super::super::future::Future;
use super::super::transport::Transport;
use super::{Released, Socket, SocketTransport};
use plait_core::net::{socket, CompactAddress};
use pyo3::exceptions::PyConnectionError;
use pyo3::intern;
use pyo3::prelude::*;

impl SocketTransport {
    /// `connection_lost(error)`; whatever that does, the socket is closed and the server told.
    pub(super) fn end(slf: &Bound<'_, Self>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let told = this.tell(py, intern!(py, "connection_lost"), Some(error.clone())).map(drop);
        let released = SocketTransport::release(slf);
        let waiter_told = match this.empty_waiter(py) {
            Some(waiter) => {
                let error = PyConnectionError::new_err("Connection is closed by peer");
                Future::fail(waiter.bind(py), &error).map(drop)
            }
            None => Ok(()),
        };
        let detached = released.server.map_or(Ok(()), |server| detach(server.bind(py), slf));
        let closed = released.trouble.map_or(Ok(()), Err);
        told.and(waiter_told).and(detached).and(closed)
    }

    /// Closes the socket and lets go of the protocol and the server, which is handed back.
    pub(super) fn release(slf: &Bound<'_, Self>) -> Released {
        let py = slf.py();
        let this = slf.get();
        let forgotten = this.unwatch_closing(py);
        // The addresses outlive the socket, as asyncio's do.
        let local = socket::local_address(this.base.fd).ok().flatten();
        let peer = match this.state.with(py, |s| s.peer.is_some()) {
            true => None, // known since it was accepted
            false => socket::peer_address(this.base.fd).ok().flatten(),
        };
        let (socket, protocol, server) = this.state.with(py, |s| {
            s.local = s.local.take().or(local.map(CompactAddress::from));
            s.peer = s.peer.take().or(peer.map(CompactAddress::from));
            let socket = std::mem::replace(&mut s.socket, Socket::Closed);
            (socket, s.protocol.take(), s.server.take())
        });
        let trouble = match &socket {
            Socket::Object(sock) => sock.bind(py).call_method0(intern!(py, "close")).err(),
            Socket::Bare(_) | Socket::Closed => None,
        };
        drop(protocol);
        Released { server, trouble: trouble.or(forgotten.err()) }
    }
}
