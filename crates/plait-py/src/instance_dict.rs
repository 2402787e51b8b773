//! On the free-threaded 3.13 only: the `__dict__` of instances, which the collector has to see.
//!
//! pyo3 0.28, the last for that Python, neither visits the dictionary of a `#[pyclass(dict)]` nor frees it with its
//! owner; 0.30 does both. So there the slots that should do it are wrapped. Goes when 3.13 without a GIL goes.

use crate::ffi::_PyObject_GetDictPtr;
use pyo3::ffi;
use pyo3::prelude::*;
use std::os::raw::{c_int, c_void};
use std::sync::OnceLock;

/// A type's own slots, from before they were wrapped.
pub struct Original {
    traverse: ffi::traverseproc,
    clear: ffi::inquiry,
    dealloc: ffi::destructor,
}

pub trait HasDict: pyo3::PyClass {
    /// Whether it extends another type with a dictionary.
    const DERIVED: bool;
    fn original() -> &'static OnceLock<Original>;
}

/// Wraps `T`'s slots. Call it before the first instance or subclass of `T` is made, and after its finalizer is there.
pub fn install<T: HasDict>(py: Python<'_>) {
    let type_object = T::type_object_raw(py);
    // SAFETY: attached; the type is ours, ready, and not in use yet.
    unsafe {
        let original = Original {
            traverse: (*type_object).tp_traverse.expect("a collected type is traversed"),
            clear: (*type_object).tp_clear.expect("its pymethods have __clear__"),
            dealloc: (*type_object).tp_dealloc.expect("a pyclass has a deallocator"),
        };
        if T::original().set(original).is_ok() {
            // A derived pyclass goes on to its base through the slots, which it finds by its own function being there: its
            // slots stay, and the base's see to the dictionary.
            if !T::DERIVED {
                (*type_object).tp_traverse = Some(traverse::<T>);
                (*type_object).tp_clear = Some(clear::<T>);
            }
            (*type_object).tp_dealloc = Some(dealloc::<T>);
        }
    }
}

fn original<T: HasDict>() -> &'static Original {
    T::original().get().expect("set when the slots were wrapped")
}

unsafe extern "C" fn traverse<T: HasDict>(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector with a live object; the slot holds null or a dictionary.
    unsafe {
        let dict = _PyObject_GetDictPtr(object);
        if !dict.is_null() && !(*dict).is_null() {
            let stop = visit(*dict, arg);
            if stop != 0 {
                return stop;
            }
        }
        (original::<T>().traverse)(object, visit, arg)
    }
}

/// Takes the dictionary out of its slot before it is dropped: dropping may run anything.
unsafe fn drop_dict(object: *mut ffi::PyObject) {
    // SAFETY: the caller has a live object, attached; the slot's reference is taken over before it is released.
    unsafe {
        let dict = _PyObject_GetDictPtr(object);
        if !dict.is_null() {
            ffi::Py_XDECREF(std::ptr::replace(dict, std::ptr::null_mut()));
        }
    }
}

unsafe extern "C" fn clear<T: HasDict>(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: called by the collector, attached, with a live object.
    unsafe {
        drop_dict(object);
        (original::<T>().clear)(object)
    }
}

unsafe extern "C" fn dealloc<T: HasDict>(object: *mut ffi::PyObject) {
    // SAFETY: called by the interpreter with a reference count of zero. The finalizer comes first and may resurrect the
    // object; the original deallocator would call it too, and finds it done.
    unsafe {
        if ffi::PyObject_CallFinalizerFromDealloc(object) < 0 {
            return;
        }
        // Not to be visited while its parts go.
        ffi::PyObject_GC_UnTrack(object.cast());
        drop_dict(object);
        (original::<T>().dealloc)(object);
    }
}

macro_rules! has_dict {
    ($($class:ty: $derived:literal),*) => {$(
        impl HasDict for $class {
            const DERIVED: bool = $derived;

            fn original() -> &'static OnceLock<Original> {
                static ORIGINAL: OnceLock<Original> = OnceLock::new();
                &ORIGINAL
            }
        }
    )*};
}
has_dict!(
    crate::event_loop::future::Future: false,
    crate::event_loop::streams::protocol::StreamReaderProtocol: false,
    crate::event_loop::streams::reader::StreamReader: false,
    crate::event_loop::streams::writer::StreamWriter: false,
    crate::event_loop::task::Task: true,
    crate::event_loop::gathering::GatheringFuture: true,
    crate::event_loop::sleep::TimerFuture: true,
    crate::waiters::task::WaitFuture: true,
    crate::event_loop::waiting::WaitManyFuture: true,
    crate::event_loop::task_group::TaskGroup: false,
    crate::faces::futures::future::ConcurrentFuture: false,
    crate::faces::asyncio::barrier::AsyncioBarrier: false,
    crate::faces::asyncio::condition::AsyncioCondition: false,
    crate::faces::asyncio::event::AsyncioEvent: false,
    crate::faces::asyncio::lock::AsyncioLock: false,
    crate::faces::asyncio::semaphore::AsyncioSemaphore: false,
    crate::faces::queue::asyncio::AsyncioQueue: false,
    crate::faces::queue::threading::ThreadingQueue: false,
    crate::faces::threading::barrier::ThreadingBarrier: false,
    crate::faces::threading::condition::ThreadingCondition: false,
    crate::faces::threading::event::ThreadingEvent: false,
    crate::faces::threading::semaphore::ThreadingSemaphore: false,
    crate::faces::processes::lock::ProcessLock: false,
    crate::faces::processes::event::ProcessEvent: false,
    crate::faces::processes::condition::ProcessCondition: false,
    crate::faces::processes::barrier::ProcessBarrier: false,
    crate::faces::universal::lock::UniversalLock: false,
    crate::faces::universal::rlock::UniversalRLock: false,
    crate::faces::asyncio::semaphore::AsyncioBoundedSemaphore: true,
    crate::faces::queue::asyncio::AsyncioLifoQueue: true,
    crate::faces::queue::asyncio::AsyncioPriorityQueue: true,
    crate::faces::queue::threading::ThreadingLifoQueue: true,
    crate::faces::queue::threading::ThreadingPriorityQueue: true,
    crate::faces::queue::universal::UniversalQueue: true,
    crate::faces::queue::universal::UniversalLifoQueue: true,
    crate::faces::queue::universal::UniversalPriorityQueue: true,
    crate::faces::threading::semaphore::ThreadingBoundedSemaphore: true,
    crate::faces::universal::barrier::UniversalBarrier: true,
    crate::faces::universal::condition::UniversalCondition: true,
    crate::faces::universal::event::UniversalEvent: true,
    crate::faces::universal::semaphore::UniversalSemaphore: true,
    crate::faces::universal::semaphore::UniversalBoundedSemaphore: true,
    crate::event_loop::socket_transport::SocketTransport: false,
    crate::event_loop::datagram::DatagramTransport: false,
    crate::event_loop::pipes::read::ReadPipeTransport: false,
    crate::event_loop::pipes::write::WritePipeTransport: false,
    crate::event_loop::process::SubprocessTransport: false,
    crate::event_loop::tls::transport::TlsTransport: false,
    crate::event_loop::EventLoop: false
);
