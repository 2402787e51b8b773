//! TLS: the protocol between a transport and an application's protocol, as `asyncio.sslproto` has it.
//!
//! The cryptography is the interpreter's own: the user's `ssl.SSLContext` over two `ssl.MemoryBIO`s, so that whatever a program
//! sets on its context (certificates, ALPN, SNI callbacks, key logs) means here what it means everywhere. What is native is the way of the
//! bytes: from the socket's transport into `incoming`, through the engine, to the application's protocol, and back, with
//! no Python frame between; and what asks nothing of the engine that is known beforehand. An engine that has nothing to read
//! says so by raising an exception, which costs more than decrypting a small record, so it is not asked (`session`).
//!
//! * `setup` how one is made; `session` the engine and its two buffers; `host` what is borrowed from `ssl` and asyncio;
//! * `handshake`, `read`, `write`, `shutdown` the flows; `flow` when a side is paused;
//! * `link` what the transport below calls; `protocol` the protocol's Python methods; `transport` the application's transport.
//!
//! Callbacks of the application may close, abort, write or pause at any point. So no flow keeps anything over a call but the
//! session, which never changes, and each looks at the state anew after it.
//!
//! Rejected: rustls or OpenSSL's own sockets, which know nothing of an `ssl.SSLContext`; a thread for the cryptography.

mod flow;
mod handshake;
mod host;
mod link;
mod protocol;
mod read;
mod session;
mod setup;
mod shutdown;
pub mod transport;
mod write;

use super::socket_transport::Takes;
use super::transport::report;
use super::EventLoop;
use crate::errors::leaves_the_loop;
use crate::guarded::{Built, Guarded};
use crate::standard::standard;
use flow::Marks;
use host::host;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyString};
use session::Session;
pub use setup::Setup;
use std::collections::VecDeque;
use transport::TlsTransport;

/// Where the connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the handshake and after the end.
    Unwrapped,
    Handshake,
    Wrapped,
    /// What was written before the end still goes out.
    Flushing,
    /// Our close_notify is out; the peer's is waited for.
    Shutdown,
}

impl Phase {
    /// As asyncio's `SSLProtocolState` names it.
    fn name(self) -> &'static str {
        match self {
            Phase::Unwrapped => "UNWRAPPED",
            Phase::Handshake => "DO_HANDSHAKE",
            Phase::Wrapped => "WRAPPED",
            Phase::Flushing => "FLUSHING",
            Phase::Shutdown => "SHUTDOWN",
        }
    }

    fn may_become(self, next: Phase) -> bool {
        matches!(
            (self, next),
            (_, Phase::Unwrapped)
                | (Phase::Unwrapped, Phase::Handshake)
                | (Phase::Handshake, Phase::Wrapped)
                | (Phase::Wrapped, Phase::Flushing)
                | (Phase::Flushing, Phase::Shutdown)
        )
    }

    /// Nothing that is written now can be sent any more.
    fn is_over(self) -> bool {
        matches!(self, Phase::Flushing | Phase::Shutdown | Phase::Unwrapped)
    }
}

/// What the application's protocol was told last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Made,
    Eof,
    Lost,
}

impl Told {
    /// As asyncio's `AppProtocolState` names it.
    fn name(self) -> &'static str {
        match self {
            Told::Nothing => "STATE_INIT",
            Told::Made => "STATE_CON_MADE",
            Told::Eof => "STATE_EOF",
            Told::Lost => "STATE_CON_LOST",
        }
    }
}

/// Who wants to know how the handshake ended.
pub enum Waiter {
    Nobody,
    Future(Py<PyAny>),
    /// A server, which only has to hear of a failure.
    Server,
}

impl Waiter {
    fn of(future: Option<Bound<'_, PyAny>>) -> Waiter {
        future.map_or(Waiter::Nobody, |future| Waiter::Future(future.unbind()))
    }
}

struct TlsState {
    phase: Phase,
    told: Told,
    /// The application's, and how it takes what is received. None once the connection is lost.
    protocol: Option<Py<PyAny>>,
    takes: Takes,
    app_transport: Option<Py<TlsTransport>>,
    /// The transport below. None before `connection_made` and after `connection_lost`.
    transport: Option<Py<PyAny>>,
    waiter: Waiter,
    /// What the engine has not taken yet: `bytes`, or views of such.
    backlog: VecDeque<Py<PyAny>>,
    backlog_size: usize,
    /// Counts `connection_lost`, then the writes that came after it.
    lost: u32,
    eof_received: bool,
    reading_paused: bool,
    /// By the transport below, whose buffer is full.
    sending_paused: bool,
    /// What waits to be sent, against the application's writing.
    outgoing: Marks,
    /// What waits to be read, against the transport's reading.
    incoming: Marks,
    /// The most that `incoming` can hold, without asking it.
    unread_at_most: usize,
    /// The engine has begun a record and waits for the rest of it.
    inside_record: bool,
    /// The last buffer of a BufferedProtocol was filled: there may be more for it.
    filled_its_buffer: bool,
    /// Over but for what the transport below did not take yet.
    ends_when_sent: bool,
    /// What ended it, where what was written was still to be sent: for `connection_lost`.
    ended_by: Option<Py<PyAny>>,
    handshake_timer: Option<Py<PyAny>>,
    shutdown_timer: Option<Py<PyAny>>,
    /// In debug mode.
    handshake_began: Option<f64>,
    extra: Option<Py<PyDict>>,
    /// Lent to a transport that is not ours.
    receive_buffer: Option<Py<PyByteArray>>,
}

/// `asyncio.sslproto.SSLProtocol` on plait's loop: joins a transport to an application's protocol.
#[pyclass(module = "plait._native", frozen, weakref)]
pub struct TlsProtocol {
    loop_: Py<EventLoop>,
    session: Session,
    server_side: bool,
    server_hostname: Option<Py<PyAny>>,
    sslcontext: Py<PyAny>,
    handshake_timeout: Py<PyAny>,
    shutdown_timeout: Py<PyAny>,
    state: Guarded<TlsState>,
    built: Built,
}

impl TlsProtocol {
    fn phase(&self, py: Python<'_>) -> Phase {
        self.state.with(py, |s| s.phase)
    }

    /// Goes on to `next`; RuntimeError, in asyncio's words, when that does not follow.
    fn enter(&self, py: Python<'_>, next: Phase) -> PyResult<()> {
        let before = self.state.with(py, |s| {
            let before = s.phase;
            if before.may_become(next) {
                s.phase = next;
            }
            before
        });
        match before.may_become(next) {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err(format!(
                "cannot switch state from SSLProtocolState.{} to SSLProtocolState.{}",
                before.name(),
                next.name()
            ))),
        }
    }

    /// The transport below.
    fn below<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.with(py, |s| s.transport.as_ref().map(|t| t.clone_ref(py).into_bound(py)))
    }

    /// The application's protocol.
    fn above<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.state.with(py, |s| s.protocol.as_ref().map(|p| p.clone_ref(py).into_bound(py)))
    }

    fn set_above(&self, protocol: Bound<'_, PyAny>) -> PyResult<()> {
        let py = protocol.py();
        let takes = Takes::of(&protocol)?;
        let protocol = protocol.unbind();
        let replaced = self.state.with(py, |s| {
            s.takes = takes;
            s.protocol.replace(protocol)
        });
        drop(replaced);
        Ok(())
    }

    /// The application's transport, made when somebody first asks for it.
    fn app_transport(slf: &Bound<'_, Self>) -> PyResult<Py<TlsTransport>> {
        let py = slf.py();
        let this = slf.get();
        let (known, lost) =
            this.state.with(py, |s| (s.app_transport.as_ref().map(|t| t.clone_ref(py)), s.lost > 0));
        if let Some(known) = known {
            return Ok(known);
        }
        let made = Py::new(py, TlsTransport::new(slf, lost))?;
        if !lost {
            // Else nobody would take the two out of each other's hands any more.
            let kept = made.clone_ref(py);
            this.state.with(py, |s| s.app_transport = Some(kept));
        }
        Ok(made)
    }

    fn mark_app_transport_closed(&self, py: Python<'_>) {
        let transport = self.state.with(py, |s| s.app_transport.as_ref().map(|t| t.clone_ref(py)));
        if let Some(transport) = transport {
            transport.get().mark_closed();
        }
    }

    /// `loop.call_soon(method of this object, …)`.
    fn call_soon(slf: &Bound<'_, Self>, method: &Bound<'_, PyString>) -> PyResult<()> {
        let py = slf.py();
        let callback = slf.getattr(method)?;
        slf.get().loop_.bind(py).call_method1(intern!(py, "call_soon"), (callback,)).map(drop)
    }

    fn log_debug(slf: &Bound<'_, Self>, text: &str) -> PyResult<()> {
        let py = slf.py();
        if slf.get().loop_.get().debug(py) {
            standard(py).logger.bind(py).call_method1("debug", (text, slf))?;
        }
        Ok(())
    }

    /// Tells whoever waits for the handshake; the first answer counts.
    fn wake_waiter(slf: &Bound<'_, Self>, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let waiter = this.state.with(py, |s| std::mem::replace(&mut s.waiter, Waiter::Nobody));
        match (waiter, error) {
            (Waiter::Nobody, _) | (Waiter::Server, None) => Ok(()),
            (Waiter::Server, Some(error)) => host(py)?.accept_failed(slf, error),
            (Waiter::Future(waiter), error) => {
                let waiter = waiter.bind(py);
                if waiter.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
                    return Ok(());
                }
                match error {
                    Some(error) => waiter.call_method1(intern!(py, "set_exception"), (error,)).map(drop),
                    None => waiter.call_method1(intern!(py, "set_result"), (py.None(),)).map(drop),
                }
            }
        }
    }

    /// Ends the connection; what the operating system and OpenSSL report is only logged, everything else is the exception handler's.
    #[cold]
    fn fatal_error(slf: &Bound<'_, Self>, error: PyErr, message: &str) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let below = this.below(py);
        let (is_os, is_cancelled) = {
            let cancelled = standard(py).cancelled_error.bind(py);
            (error.is_instance_of::<PyOSError>(py), error.is_instance(py, cancelled))
        };
        if let Some(below) = &below {
            below.call_method1(intern!(py, "_force_close"), (error.value(py),))?;
        }
        match (is_os, is_cancelled) {
            (true, _) => report::log_error(this.loop_.bind(py), message, error, slf),
            (_, true) => Ok(()),
            _ => TlsProtocol::report(slf, message, error, below),
        }
    }

    fn report(
        slf: &Bound<'_, Self>,
        message: &str,
        error: PyErr,
        transport: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let protocol = slf.clone().into_any().unbind();
        report::report(slf.get().loop_.bind(slf.py()), message, error, transport.as_ref(), Some(protocol))
    }

    /// Passes what is no `Exception` on; an `Exception` ends the connection.
    fn fatal_unless_ok(slf: &Bound<'_, Self>, result: PyResult<()>) -> PyResult<()> {
        match result {
            Err(error) if error.is_instance_of::<PyException>(slf.py()) => {
                TlsProtocol::fatal_error(slf, error, "Fatal error on SSL protocol")
            }
            result => result,
        }
    }

    /// Calls `pause_writing` or `resume_writing` of the application's protocol; what they raise is reported.
    fn tell_flow(slf: &Bound<'_, Self>, method: &Bound<'_, PyString>) -> PyResult<()> {
        let py = slf.py();
        let Some(protocol) = slf.get().above(py) else { return Ok(()) };
        match protocol.call_method0(method) {
            Ok(_) => Ok(()),
            Err(error) if leaves_the_loop(py, &error) => Err(error),
            Err(error) => {
                let transport =
                    slf.get().state.with(py, |s| s.app_transport.as_ref().map(|t| t.clone_ref(py)));
                let transport = transport.map(|t| t.into_bound(py).into_any());
                TlsProtocol::report(slf, &format!("protocol.{method}() failed"), error, transport)
            }
        }
    }
}
