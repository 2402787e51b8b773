//! Memory of a segment as an object with Python's buffer protocol.

use super::segments::{Lease, Segment};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

enum Owner {
    /// Came from another process: private, and writable.
    Received(Arc<Lease>),
    /// Was sent: shared, and to be read only.
    Sent(Arc<Segment>),
}

/// A piece of such memory. As long as it, or a view of it, is there, the memory is not used for anything else. Safe to use from all threads, as a bytearray is.
#[pyclass(module = "plait._native", frozen)]
pub struct SharedBuffer {
    owner: Owner,
    offset: usize,
    length: usize,
}

impl SharedBuffer {
    /// The piece has to be inside, which `Known::map` has seen to.
    pub fn received(lease: Arc<Lease>, offset: usize, length: usize) -> SharedBuffer {
        SharedBuffer { owner: Owner::Received(lease), offset, length }
    }

    pub fn sent(segment: Arc<Segment>, offset: usize, length: usize) -> SharedBuffer {
        SharedBuffer { owner: Owner::Sent(segment), offset, length }
    }
}

#[pymethods]
impl SharedBuffer {
    fn __len__(&self) -> usize {
        self.length
    }

    /// # Safety
    ///
    /// The interpreter calls it, with a view to be filled.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let (start, size, read_only) = match &this.owner {
            Owner::Received(lease) => (lease.bytes().as_ptr().cast_mut(), lease.bytes().len(), 0),
            Owner::Sent(segment) => (segment.memory.address(), segment.memory.size(), 1),
        };
        assert!(this.offset + this.length <= size, "a buffer outside of its memory");
        let address = start.wrapping_add(this.offset).cast::<c_void>();
        let length = isize::try_from(this.length)?;
        // SAFETY: the piece is inside the mapping (just seen), which lives as long as the object, to which the view keeps a reference. A private mapping is
        // written to through views alone: nothing here has a slice of it for longer than a copy that is made attached, before the object is there.
        match unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), address, length, read_only, flags) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}
