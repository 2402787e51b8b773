//! Free lists for objects that are made and dropped all the time: handles, and the iterators of `await`.
//!
//! PyO3's own `freelist` hands recycled objects out untracked, so that the collector would never see them, takes a mutex,
//! and would park objects of subtypes, whose memory is laid out differently. This one tracks, is guarded by the GIL, and
//! recycles the exact type only. On the free-threaded build there is none: mimalloc's per-thread pages are faster than any
//! shared list.

#[cfg(not(Py_GIL_DISABLED))]
mod with_gil {
    use crate::guarded::Guarded;
    use pyo3::ffi;
    use pyo3::prelude::*;
    use std::ptr::NonNull;
    use std::sync::OnceLock;

    /// Enough for the bursts of one iteration (about 200 KiB of handles); more would only keep memory.
    const CAPACITY: usize = 2048;

    /// Dead objects of one exact type: memory with a type's size and nothing in it.
    pub struct Parked(Vec<NonNull<ffi::PyObject>>);

    // SAFETY: the pointers are only followed with the GIL held (`Guarded`).
    unsafe impl Send for Parked {}

    pub type List = OnceLock<Guarded<Parked>>;

    /// A type with a free list. It must have no finalizer: the collector's "finalized" mark would outlive the object.
    pub trait Recycled: pyo3::PyClass {
        fn list() -> &'static List;
    }

    /// Puts the list into the type's slots. Call it before the first instance or subclass of `T` is made.
    pub fn install<T: Recycled>(py: Python<'_>) {
        let type_object = T::type_object_raw(py);
        let parked = Parked(Vec::with_capacity(CAPACITY));
        if T::list().set(Guarded::new(parked)).is_ok() {
            // SAFETY: attached; the type is ours, ready, collected by the GC, and not in use yet.
            unsafe {
                (*type_object).tp_alloc = Some(allocate::<T>);
                (*type_object).tp_free = Some(free::<T>);
            }
        }
    }

    unsafe extern "C" fn allocate<T: Recycled>(
        subtype: *mut ffi::PyTypeObject,
        items: ffi::Py_ssize_t,
    ) -> *mut ffi::PyObject {
        // SAFETY: the interpreter allocates attached. A parked object has the size of the exact type, and was untracked
        // when it died; PyO3 writes all of its contents before anybody sees it, and its traverse meets no contents before
        // that, because nothing is allocated in between.
        unsafe {
            let py = Python::assume_attached();
            if subtype == T::type_object_raw(py) {
                let parked = T::list().get().and_then(|list| list.with(py, |p| p.0.pop()));
                if let Some(object) = parked {
                    ffi::PyObject_Init(object.as_ptr(), subtype);
                    ffi::PyObject_GC_Track(object.as_ptr().cast());
                    return object.as_ptr();
                }
            }
            ffi::PyType_GenericAlloc(subtype, items)
        }
    }

    unsafe extern "C" fn free<T: Recycled>(object: *mut std::ffi::c_void) {
        // SAFETY: called at the end of a deallocation, attached, with an untracked object whose contents are gone.
        unsafe {
            let py = Python::assume_attached();
            let pointer = object.cast::<ffi::PyObject>();
            let exact = ffi::Py_TYPE(pointer) == T::type_object_raw(py);
            if let (true, Some(pointer), Some(list)) = (exact, NonNull::new(pointer), T::list().get()) {
                let parked = list.with(py, |p| {
                    let room = p.0.len() < CAPACITY;
                    if room {
                        p.0.push(pointer);
                    }
                    room
                });
                if parked {
                    return;
                }
            }
            ffi::PyObject_GC_Del(object);
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
mod without_gil {
    use pyo3::prelude::*;

    pub trait Recycled: pyo3::PyClass {}

    pub fn install<T: Recycled>(_py: Python<'_>) {}
}

#[cfg(not(Py_GIL_DISABLED))]
pub use with_gil::{install, List, Recycled};
#[cfg(Py_GIL_DISABLED)]
pub use without_gil::{install, Recycled};

/// `recycled!(Type)`: gives the type a list.
#[cfg(not(Py_GIL_DISABLED))]
macro_rules! recycled {
    ($class:ty) => {
        impl crate::freelist::Recycled for $class {
            fn list() -> &'static crate::freelist::List {
                static LIST: crate::freelist::List = crate::freelist::List::new();
                &LIST
            }
        }
    };
}
#[cfg(Py_GIL_DISABLED)]
macro_rules! recycled {
    ($class:ty) => {
        impl crate::freelist::Recycled for $class {}
    };
}
pub(crate) use recycled;
