//! Endings: closing in good order, aborting, fatal errors, and what is told to whom.

use super::super::accept::detach;
use super::super::descriptors::{Direction, Watcher};
use super::super::future::Future;
use super::super::ready::{Ready, TransportStep};
use super::super::transport::report;
use super::{Released, Socket, SocketTransport};
use crate::errors::leaves_the_loop;
use plait_core::net::{socket, CompactAddress};
use pyo3::exceptions::{PyConnectionError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

impl SocketTransport {
    pub(super) fn close_gracefully(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, empty) = this.state.with(py, |s| {
            let first = !std::mem::replace(&mut s.closing, true);
            let empty = s.buffer.is_empty();
            if first && empty {
                s.lost += 1;
            }
            (first, empty)
        });
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        if !empty {
            return Ok(());
        }
        this.stop(py, Direction::Write)?;
        SocketTransport::schedule_lost(slf, None)
    }

    /// Passes a value on; an error ends the connection with `message` and gives None.
    pub(super) fn fatal_unless_ok<T>(
        slf: &Bound<'_, Self>,
        result: PyResult<T>,
        message: &str,
    ) -> PyResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if leaves_the_loop(slf.py(), &error) => Err(error),
            Err(error) => SocketTransport::fatal_error(slf, error, message).map(|()| None),
        }
    }

    pub(super) fn fatal_error(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let py = slf.py();
        let kept = error.clone_ref(py).into_value(py).into_any();
        match error.is_instance_of::<PyOSError>(py) {
            true => report::log_error(slf.get().event_loop(py), message, error, slf)?,
            false => SocketTransport::report(slf, message, error)?,
        }
        SocketTransport::force_close(slf, Some(kept))
    }

    pub(super) fn report(slf: &Bound<'_, Self>, message: &str, error: PyErr) -> PyResult<()> {
        let py = slf.py();
        report::report(slf.get().event_loop(py), message, error, Some(slf), slf.get().get_protocol(py))
    }

    pub(super) fn force_close(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let (first, dropped) = this.state.with(py, |s| {
            if s.lost > 0 {
                return (false, Vec::new());
            }
            s.lost += 1;
            s.closing = true;
            (true, s.buffer.take_all())
        });
        drop(dropped);
        if !first {
            return Ok(());
        }
        this.stop(py, Direction::Read)?;
        this.stop(py, Direction::Write)?;
        SocketTransport::schedule_lost(slf, error)
    }

    pub(super) fn schedule_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let step = Ready::Transport(slf.clone().unbind(), TransportStep::Lost(error));
        slf.get().loop_.get().push_ready(slf.py(), step)
    }

    /// `connection_lost(error)`; whatever that does, the socket is closed and the server told.
    pub(super) fn connection_lost(slf: &Bound<'_, Self>, error: Option<Py<PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let argument = error.unwrap_or_else(|| py.None()).into_bound(py);
        let lost = intern!(py, "connection_lost");
        let told = this.tell(py, lost, Some(argument.clone())).map(drop);
        let released = SocketTransport::release(slf);
        let waiter_told = match this.empty_waiter(py) {
            Some(waiter) => {
                let error = PyConnectionError::new_err("Connection is closed by peer");
                Future::fail(waiter.bind(py), &error).map(drop)
            }
            None => Ok(()),
        };
        let detached = released.server.map_or(Ok(()), |server| detach(server.bind(py), slf));
        let told = match told {
            Ok(()) => Ok(()),
            failed => {
                let protocol = released.protocol.map(|p| p.into_bound(py));
                let args = PyTuple::new(py, [argument])?;
                report::callback_result(
                    this.event_loop(py),
                    failed,
                    protocol.as_ref(),
                    "connection_lost",
                    args,
                )
            }
        };
        let closed = released.trouble.map_or(Ok(()), Err);
        told.and(waiter_told).and(detached).and(closed)
    }

    /// Closes the socket and lets go of the protocol and the server, which are handed back.
    pub(super) fn release(slf: &Bound<'_, Self>) -> Released {
        let py = slf.py();
        let this = slf.get();
        let forgotten = this.loop_.get().unwatch_own(py, this.fd, &Watcher::Transport(slf.clone().unbind()));
        // The addresses outlive the socket, as asyncio's do.
        let local = socket::local_address(this.fd).ok().flatten();
        let peer = match this.state.with(py, |s| s.peer.is_some()) {
            true => None, // known since it was accepted
            false => socket::peer_address(this.fd).ok().flatten(),
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
        let trouble = trouble.or(forgotten.err());
        Released { protocol, server, trouble }
    }

    pub(super) fn log_debug(&self, slf: &Bound<'_, Self>, text: &str) -> PyResult<()> {
        report::log(self.event_loop(slf.py()), "debug", text, slf)
    }
}
