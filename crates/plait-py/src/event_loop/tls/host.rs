//! What TLS borrows from `ssl` and from asyncio, looked up when it is first used: an interpreter may have been built without.

use super::{Session, TlsProtocol};
use crate::standard::standard;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

pub struct Host {
    pub ssl_error: Py<PyType>,
    pub certificate_error: Py<PyType>,
    /// What the engine raises when it needs more from the peer.
    again: Py<PyTuple>,
    pub memory_bio: Py<PyType>,
    pub ssl_object: Py<PyType>,
    /// `asyncio.sslproto`, and its two classes that the native ones stand for.
    pub sslproto: Py<PyModule>,
    pub protocol_class: Py<PyType>,
    pub transport_class: Py<PyType>,
    /// `plait._tls`.
    glue: Py<PyModule>,
}

static HOST: PyOnceLock<Host> = PyOnceLock::new();

pub fn host(py: Python<'_>) -> PyResult<&'static Host> {
    HOST.get_or_try_init(py, || load(py))
}

fn load(py: Python<'_>) -> PyResult<Host> {
    let Ok(ssl) = py.import("ssl") else {
        return Err(PyRuntimeError::new_err("stdlib ssl module not available"));
    };
    let sslproto = py.import("asyncio.sslproto")?;
    let class = |module: &Bound<'_, PyModule>, name: &str| -> PyResult<Py<PyType>> {
        Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
    };
    Ok(Host {
        ssl_error: class(&ssl, "SSLError")?,
        certificate_error: class(&ssl, "CertificateError")?,
        again: sslproto.getattr("SSLAgainErrors")?.cast_into::<PyTuple>()?.unbind(),
        memory_bio: class(&ssl, "MemoryBIO")?,
        ssl_object: class(&ssl, "SSLObject")?,
        protocol_class: class(&sslproto, "SSLProtocol")?,
        transport_class: class(&sslproto, "_SSLProtocolTransport")?,
        sslproto: sslproto.unbind(),
        glue: py.import("plait._tls")?.unbind(),
    })
}

impl Host {
    /// What was given, or asyncio's default. ValueError unless it is positive.
    pub fn timeout<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        given: Option<Bound<'py, PyAny>>,
        default: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(given) = given else {
            return py.import("asyncio.constants")?.getattr(default);
        };
        match given.le(0)? {
            true => Err(PyValueError::new_err(format!("{name} should be a positive number, got {given}"))),
            false => Ok(given),
        }
    }

    /// The context of a client that gave none; ValueError for a server.
    pub fn default_context<'py>(
        &self,
        server_side: bool,
        server_hostname: Option<&Bound<'py, PyAny>>,
        py: Python<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arguments = (server_side, server_hostname);
        self.sslproto.bind(py).call_method1("_create_transport_context", arguments)
    }

    pub fn wants_more(&self, py: Python<'_>, error: &PyErr) -> bool {
        error.is_instance(py, self.again.bind(py).as_any())
    }

    /// In the next turn: the connection is closed, and debug mode reports the error, as the accepting task of asyncio does.
    pub fn accept_failed(&self, protocol: &Bound<'_, TlsProtocol>, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = protocol.py();
        let loop_ = protocol.get().loop_.bind(py);
        let callback = self.glue.bind(py).getattr(intern!(py, "accept_failed"))?;
        let transport = TlsProtocol::app_transport(protocol)?;
        let arguments = (callback, loop_, protocol.get().above(py), transport, error);
        loop_.call_method1(intern!(py, "call_soon"), arguments).map(drop)
    }

    /// A member of `SSLProtocolState` or `AppProtocolState`.
    pub fn state<'py>(&self, py: Python<'py>, class: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.sslproto.bind(py).getattr(class)?.getattr(name)
    }
}

/// "SSL connection is closed", for writes that come too late.
pub fn warn_closed(py: Python<'_>) -> PyResult<()> {
    standard(py).logger.bind(py).call_method1("warning", ("SSL connection is closed",)).map(drop)
}

impl Session {
    /// Whether `object` is an unchanged `ssl.SSLObject`, whose engine may be spoken to directly.
    pub fn is_plain(object: &Bound<'_, PyAny>, host: &Host) -> bool {
        object.get_type().is(&host.ssl_object)
    }
}
