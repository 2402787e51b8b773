//! The engine: an SSL object between two memory buffers.
//!
//! `SSLObject`'s methods only pass on to the C object in its `_sslobj`, so for an exact one that is spoken to directly, by methods that
//! were looked up once. And for such a one it is known when a read cannot bring anything: OpenSSL takes no more from `incoming` than
//! the record that it is reading, so if that is empty, and no decrypted bytes wait, there is none. Of any other object (a context's
//! `sslobject_class`) only the public methods are used, until they raise.

use super::host::{host, Host};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// The most that one record carries, in bytes.
pub const LARGEST_RECORD: usize = 16 * 1024;

pub struct Session {
    /// What `get_extra_info("ssl_object")` answers.
    pub object: Py<PyAny>,
    /// Whose methods are called: the C object of an exact `SSLObject`, or the object itself.
    engine: Py<PyAny>,
    /// What is read is known beforehand.
    pub exact: bool,
    pub incoming: Py<PyAny>,
    pub outgoing: Py<PyAny>,
    read: Py<PyAny>,
    write: Py<PyAny>,
    feed: Py<PyAny>,
    drain: Py<PyAny>,
    host: &'static Host,
}

impl Session {
    pub fn new<'py>(
        py: Python<'py>,
        sslcontext: &Bound<'py, PyAny>,
        server_side: bool,
        server_hostname: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Session> {
        let host = host(py)?;
        let (incoming, outgoing) = (host.memory_bio.bind(py).call0()?, host.memory_bio.bind(py).call0()?);
        let keywords = PyDict::new(py);
        keywords.set_item("server_side", server_side)?;
        keywords.set_item("server_hostname", server_hostname)?;
        let object = sslcontext.call_method("wrap_bio", (&incoming, &outgoing), Some(&keywords))?;
        let exact = Session::is_plain(&object, host);
        let engine = match exact {
            true => object.getattr(intern!(py, "_sslobj"))?,
            false => object.clone(),
        };
        Ok(Session {
            read: engine.getattr(intern!(py, "read"))?.unbind(),
            write: engine.getattr(intern!(py, "write"))?.unbind(),
            feed: incoming.getattr(intern!(py, "write"))?.unbind(),
            drain: outgoing.getattr(intern!(py, "read"))?.unbind(),
            object: object.unbind(),
            engine: engine.unbind(),
            exact,
            incoming: incoming.unbind(),
            outgoing: outgoing.unbind(),
            host,
        })
    }

    /// None when the engine needs more from the peer first.
    #[inline]
    fn unless_again<T>(&self, py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.host.wants_more(py, &error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn do_handshake(&self, py: Python<'_>) -> PyResult<Option<()>> {
        let result = self.engine.bind(py).call_method0(intern!(py, "do_handshake"));
        self.unless_again(py, result.map(drop))
    }

    /// Sends close_notify, and has the peer's unless the answer is None.
    pub fn unwrap(&self, py: Python<'_>) -> PyResult<Option<()>> {
        let method = if self.exact { intern!(py, "shutdown") } else { intern!(py, "unwrap") };
        let result = self.engine.bind(py).call_method0(method);
        self.unless_again(py, result.map(drop))
    }

    /// Up to `size` decrypted bytes; none at all after the peer's close_notify.
    #[inline]
    pub fn read<'py>(&self, py: Python<'py>, size: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let result = self.read.bind(py).call1((size,));
        let result = result.and_then(|bytes| Ok(bytes.cast_into::<PyBytes>()?));
        self.unless_again(py, result)
    }

    /// The same into a writable buffer; how many bytes.
    pub fn read_into(&self, size: usize, buffer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let py = buffer.py();
        let result = self.read.bind(py).call1((size, buffer)).and_then(|count| count.extract());
        self.unless_again(py, result)
    }

    /// Encrypts into `outgoing`; how many bytes it took.
    #[inline]
    pub fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let py = data.py();
        let result = self.write.bind(py).call1((data,)).and_then(|count| count.extract());
        self.unless_again(py, result)
    }

    /// Puts what was received into `incoming`.
    #[inline]
    pub fn feed(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.feed.bind(data.py()).call1((data,)).map(drop)
    }

    /// Takes all that `outgoing` has.
    #[inline]
    pub fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.drain.bind(py).call0()?.cast_into::<PyBytes>()?)
    }

    /// Encrypted bytes that wait to be read.
    #[inline]
    pub fn unread(&self, py: Python<'_>) -> PyResult<usize> {
        self.incoming.bind(py).getattr(intern!(py, "pending"))?.extract()
    }

    /// Encrypted bytes that wait to be sent.
    pub fn unsent(&self, py: Python<'_>) -> PyResult<usize> {
        self.outgoing.bind(py).getattr(intern!(py, "pending"))?.extract()
    }

    /// Decrypted bytes of the current record that wait. Only of an exact object.
    pub fn decrypted(&self, py: Python<'_>) -> PyResult<usize> {
        self.engine.bind(py).call_method0(intern!(py, "pending"))?.extract()
    }

    pub fn traverse(&self, visit: &pyo3::gc::PyVisit<'_>) -> Result<(), pyo3::gc::PyTraverseError> {
        for object in [&self.object, &self.engine, &self.incoming, &self.outgoing] {
            visit.call(object)?;
        }
        for method in [&self.read, &self.write, &self.feed, &self.drain] {
            visit.call(method)?;
        }
        Ok(())
    }
}
