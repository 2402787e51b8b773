//! What callers give a StreamReader, understood as asyncio understands it: numbers of bytes, limits, separators, data.

use crate::event_loop::sock::contiguous;
use crate::ffi;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyInt, PyMemoryView, PyTuple};

/// What may still wait: up to so many bytes.
pub enum Size {
    Negative,
    Most(usize),
}

/// A number of bytes as asyncio compares and slices it.
#[inline]
pub fn size(n: &Bound<'_, PyAny>) -> PyResult<Size> {
    if n.is_exact_instance_of::<PyInt>() {
        if let Ok(n) = n.extract::<isize>() {
            return Ok(usize::try_from(n).map_or(Size::Negative, Size::Most));
        }
    }
    other_size(n)
}

#[cold]
pub fn other_size(n: &Bound<'_, PyAny>) -> PyResult<Size> {
    if n.lt(0)? {
        return Ok(Size::Negative);
    }
    if n.eq(0)? {
        return Ok(Size::Most(0));
    }
    let index = n.py().import("operator")?.call_method1("index", (n,)).map_err(|_| {
        PyTypeError::new_err("slice indices must be integers or None or have an __index__ method")
    })?;
    match index.extract::<usize>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(n.py()) => Ok(Size::Most(usize::MAX)),
        most => most.map(Size::Most),
    }
}

/// The bytes of the usual objects that have some.
pub fn bytes_like(data: &Bound<'_, PyAny>) -> Option<PyBuffer<u8>> {
    let known = data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>();
    if known {
        contiguous(data).ok()
    } else {
        None
    }
}

/// A limit for comparisons with lengths: the next whole number below, or as much as can be.
pub fn limit_as_length(limit: &Bound<'_, PyAny>) -> PyResult<usize> {
    match size(limit) {
        Ok(Size::Most(limit)) => Ok(limit),
        Ok(Size::Negative) => Ok(0),
        Err(_) => limit.extract::<f64>().map(|limit| limit as usize),
    }
}

/// One separator of `readuntil`.
pub enum Separator {
    Bytes(PyBackedBytes),
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Separator {
    fn as_ref(&self) -> &[u8] {
        match self {
            Separator::Bytes(bytes) => bytes,
            Separator::Copied(bytes) => bytes,
        }
    }
}

impl Separator {
    #[inline]
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Separator> {
        if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return Ok(Separator::Bytes(PyBackedBytes::from(bytes.clone())));
        }
        let kind = object.get_type();
        let buffer = contiguous(object).map_err(|_| match kind.name() {
            Ok(kind) => {
                PyTypeError::new_err(format!("argument should be integer or bytes-like object, not '{kind}'"))
            }
            Err(error) => error,
        })?;
        Ok(Separator::Copied(ffi::with_bytes(&buffer, <[u8]>::to_vec)))
    }
}

/// The separators of a tuple, shortest first; those of one length in their order.
pub fn separators(tuple: &Bound<'_, PyTuple>) -> PyResult<Vec<Separator>> {
    let mut sorted = Vec::with_capacity(tuple.len());
    for object in tuple {
        sorted.push((object.len()?, object));
    }
    sorted.sort_by_key(|(length, _)| *length);
    match sorted.first() {
        None => return Err(PyValueError::new_err("Separator should contain at least one element")),
        Some((0, _)) => return Err(empty_separator()),
        Some(_) => {}
    }
    sorted.iter().map(|(_, object)| Separator::new(object)).collect()
}

pub fn empty_separator() -> PyErr {
    PyValueError::new_err("Separator should be at least one-byte string")
}
