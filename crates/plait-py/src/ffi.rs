//! Raw calls of the C API, each with its reason and its SAFETY. Everything else goes through PyO3, but for what is a
//! room of its own: `fastcall`, `freelist`, and the reference counts that `registry` looks at.

use crate::trashcan;
use pyo3::exceptions::{PyImportError, PyStopIteration};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Runs `body` as a level of recursion of which the interpreter knows: RecursionError when there are too many, instead of
/// the end of the stack. `doing` stands in the error, behind "maximum recursion depth exceeded".
#[inline]
pub fn one_level_deeper<R>(
    py: Python<'_>,
    doing: &'static CStr,
    body: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    // SAFETY: attached; each entry that succeeds is left again, by the same thread.
    unsafe {
        if ffi::Py_EnterRecursiveCall(doing.as_ptr()) != 0 {
            return Err(PyErr::fetch(py));
        }
        let result = body();
        ffi::Py_LeaveRecursiveCall();
        result
    }
}

/// How deep calls of Python functions may be nested: `sys.getrecursionlimit()`.
pub fn recursion_limit(_py: Python<'_>) -> c_int {
    // SAFETY: attached; it only reads a number.
    unsafe { ffi::Py_GetRecursionLimit() }
}

/// Whether the interpreter is about to be gone. Any thread may ask, attached or not.
pub fn is_finalizing() -> bool {
    #[cfg(not(Py_3_13))]
    extern "C" {
        #[link_name = "_Py_IsFinalizing"]
        fn Py_IsFinalizing() -> c_int;
    }
    #[cfg(Py_3_13)]
    use ffi::Py_IsFinalizing;
    // SAFETY: it reads an atomic word.
    unsafe { Py_IsFinalizing() != 0 }
}

/// A copy of the calling thread's current context, as `contextvars.copy_context()` makes it, without the call.
#[inline]
pub fn copy_context(py: Python<'_>) -> PyResult<Py<PyAny>> {
    // SAFETY: attached (`py`); the call returns a new reference or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()).map(Bound::unbind) }
}

/// Runs `body` inside `context`: `Context.run` without a Python call around a Rust function.
#[inline]
pub fn in_context<R>(context: &Bound<'_, PyAny>, body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    // SAFETY: attached (`context` is bound). `PyContext_Enter` checks the type itself.
    if unsafe { ffi::PyContext_Enter(context.as_ptr()) } < 0 {
        return Err(PyErr::fetch(context.py()));
    }
    let result = body();
    // SAFETY: as above; the context was entered by this thread just now and `body` has left what it entered.
    if unsafe { ffi::PyContext_Exit(context.as_ptr()) } < 0 {
        let broken = PyErr::fetch(context.py());
        return result.and(Err(broken));
    }
    result
}

/// What a step of a coroutine ended with.
pub enum Sent<'py> {
    Yielded(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
}

/// `coro.send(None)` through the slot that coroutines, generators and iterators share: a return value arrives
/// without a StopIteration being made.
#[inline]
pub fn send_none<'py>(coro: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
    let py = coro.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: attached; `coro` and None are live; `result` receives an owned reference unless PYGEN_ERROR.
    let sent = unsafe { ffi::PyIter_Send(coro.as_ptr(), ffi::Py_None(), &mut result) };
    if let ffi::PySendResult::PYGEN_ERROR = sent {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: without an error the call has handed over an owned, non-null reference.
    let result = unsafe { Bound::from_owned_ptr(py, result) };
    match sent {
        ffi::PySendResult::PYGEN_RETURN => Ok(Sent::Returned(result)),
        _ => Ok(Sent::Yielded(result)),
    }
}

/// `StopIteration(value)` whatever the value: a tuple or an exception must not be spread over the arguments.
pub fn stop_iteration(py: Python<'_>, value: Py<PyAny>) -> PyErr {
    // SAFETY: attached; both objects are live; the call returns a new reference or null with an exception set.
    let made = unsafe {
        let class = py.get_type::<PyStopIteration>();
        Bound::from_owned_ptr_or_err(py, ffi::PyObject_CallOneArg(class.as_ptr(), value.as_ptr()))
    };
    made.map_or_else(|failed| failed, PyErr::from_value)
}

/// The error that `raise exception` would be in the calling Python code: an exception that is being handled there becomes its context.
#[cold]
pub fn raised(exception: &Bound<'_, PyAny>) -> PyErr {
    // SAFETY: attached; `exception` is an exception instance (callers keep nothing else), live, and of its own type. The call
    // sets the error indicator, which is fetched at once.
    unsafe { ffi::PyErr_SetObject(exception.get_type().as_ptr(), exception.as_ptr()) };
    PyErr::fetch(exception.py())
}

/// `exception.__traceback__ = traceback`, for exceptions kept in a future and raised again later.
pub fn set_traceback(exception: &Bound<'_, PyAny>, traceback: Option<&Bound<'_, PyAny>>) {
    let traceback = traceback.map_or(std::ptr::null_mut(), Bound::as_ptr);
    let traceback = if traceback.is_null() {
        // SAFETY: None is immortal and always there.
        unsafe { ffi::Py_None() }
    } else {
        traceback
    };
    // SAFETY: attached; `exception` is an exception instance (callers keep nothing else); `traceback` is one or None.
    if unsafe { ffi::PyException_SetTraceback(exception.as_ptr(), traceback) } < 0 {
        drop(PyErr::take(exception.py())); // not a traceback after all: the exception keeps its own
    }
}

/// Whether the object's own dictionary has `name`: what was put there hides the type's method.
#[inline]
pub fn has_own_attribute<T>(object: &Bound<'_, T>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    // SAFETY: attached; the object, whose type has a dictionary, and the name are live; the dictionary comes as a new
    // reference, or null with an exception set.
    let found = unsafe {
        let dict = ffi::PyObject_GenericGetDict(object.as_ptr(), std::ptr::null_mut());
        let dict = Bound::from_owned_ptr_or_err(object.py(), dict)?;
        ffi::PyDict_Contains(dict.as_ptr(), name.as_ptr())
    };
    match found {
        -1 => Err(PyErr::fetch(object.py())),
        found => Ok(found == 1),
    }
}

/// Deletes a key and says nothing when it was not there.
pub fn dict_discard(dict: &Bound<'_, PyDict>, key: &Bound<'_, PyAny>) {
    // SAFETY: attached; both objects are live. A KeyError (or what `__hash__` raised) is cleared.
    unsafe {
        if ffi::PyDict_DelItem(dict.as_ptr(), key.as_ptr()) < 0 {
            ffi::PyErr_Clear();
        }
    }
}

/// A `memoryview`'s or `bytearray`'s bytes as a slice for the length of one system call.
///
/// PyO3's `PyBuffer` hands out cells, which no system call takes.
pub fn with_bytes<R>(buffer: &pyo3::buffer::PyBuffer<u8>, body: impl FnOnce(&[u8]) -> R) -> R {
    let start = buffer.buf_ptr().cast::<u8>();
    let bytes = if buffer.len_bytes() == 0 {
        &[]
    } else {
        // SAFETY: the export pins the memory; callers checked that it is contiguous; `body` only passes it to the
        // kernel. Another thread may change its bytes meanwhile, which the kernel does not mind.
        unsafe { std::slice::from_raw_parts(start, buffer.len_bytes()) }
    };
    body(bytes)
}

/// The same for receiving: a writable view.
pub fn with_bytes_mut<R>(buffer: &pyo3::buffer::PyBuffer<u8>, body: impl FnOnce(&mut [u8]) -> R) -> R {
    let start = buffer.buf_ptr().cast::<u8>();
    let bytes: &mut [u8] = if buffer.len_bytes() == 0 {
        &mut []
    } else {
        // SAFETY: as in `with_bytes`; callers checked that the export is writable, and only the kernel writes.
        unsafe { std::slice::from_raw_parts_mut(start, buffer.len_bytes()) }
    };
    body(bytes)
}

/// A `bytes` object that a system call fills in place. None when it wrote nothing.
///
/// `fill` says how much it has written, from the beginning.
pub fn bytes_filled_by<'py>(
    py: Python<'py>,
    capacity: usize,
    fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> io::Result<usize>,
) -> io::Result<Option<Bound<'py, PyBytes>>> {
    // SAFETY: attached; without a source the call makes an object whose contents are not written yet and which nobody
    // else knows. It is filled, cut to what was filled (which takes the reference over, and hands one back or null with
    // an exception set), and only then shown.
    unsafe {
        let mut object = ffi::PyBytes_FromStringAndSize(std::ptr::null(), capacity as ffi::Py_ssize_t);
        if object.is_null() {
            drop(PyErr::fetch(py));
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let contents = ffi::PyBytes_AsString(object).cast::<MaybeUninit<u8>>();
        let filled = fill(std::slice::from_raw_parts_mut(contents, capacity));
        let written = *filled.as_ref().unwrap_or(&0);
        assert!(written <= capacity, "more was written than there was room for");
        if written < capacity && _PyBytes_Resize(&mut object, written as ffi::Py_ssize_t) < 0 {
            drop(PyErr::fetch(py));
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let bytes = Bound::from_owned_ptr(py, object).cast_into_unchecked::<PyBytes>();
        filled.map(|written| (written > 0).then_some(bytes))
    }
}

/// A reference that is only ever dropped attached: by the deallocator of the object it lies in, or by the loop.
///
/// `Py` does not know that, and asks a thread-local variable at each drop; for what is made and dropped with every callback
/// that shows.
pub struct Held<T>(ManuallyDrop<Py<T>>);

impl<T> Held<T> {
    /// For a field of a Python object, or of a queue that a loop owns; nowhere else.
    #[inline]
    pub fn new(reference: Py<T>) -> Held<T> {
        Held(ManuallyDrop::new(reference))
    }
}

impl<T> Deref for Held<T> {
    type Target = Py<T>;
    #[inline]
    fn deref(&self) -> &Py<T> {
        &self.0
    }
}

impl<T> Drop for Held<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: taken once, here; and attached, as the type's text demands of those who keep one.
        unsafe {
            let py = Python::assume_attached();
            drop(ManuallyDrop::take(&mut self.0).into_bound(py));
        }
    }
}

/// Whether `object` is exactly a coroutine, as `async def` makes them.
#[inline]
pub fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; the call only compares the type.
    unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) != 0 }
}

/// The audit event of `socket.sendto`, which a native send has to raise as the socket's own method does. Cheap where nobody listens.
#[inline]
pub fn audit_sendto(sock: &Bound<'_, PyAny>, address: &Bound<'_, PyAny>) -> PyResult<()> {
    extern "C" {
        fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
    }
    // SAFETY: attached; the format announces the two live objects that follow; an error leaves an exception set.
    let refused =
        unsafe { PySys_Audit(c"socket.sendto".as_ptr(), c"OO".as_ptr(), sock.as_ptr(), address.as_ptr()) };
    match refused {
        0 => Ok(()),
        _ => Err(PyErr::fetch(sock.py())),
    }
}

/// The audit event of `open`, which a native one has to raise as `io.open` does. Cheap where nobody listens.
#[inline]
pub fn audit_open(path: &Bound<'_, PyAny>, mode: &CStr, flags: c_int) -> PyResult<()> {
    extern "C" {
        fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
    }
    // SAFETY: attached; the format announces a live object, a string that ends with a nul, and an int; an error leaves an exception set.
    let refused =
        unsafe { PySys_Audit(c"open".as_ptr(), c"Osi".as_ptr(), path.as_ptr(), mode.as_ptr(), flags) };
    match refused {
        0 => Ok(()),
        _ => Err(PyErr::fetch(path.py())),
    }
}

/// A descriptor that the caller of Python's `open` hands over, to be closed by the file.
pub fn own_descriptor(number: RawFd) -> PyResult<OwnedFd> {
    if number < 0 {
        return Err(pyo3::exceptions::PyValueError::new_err("negative file descriptor"));
    }
    // SAFETY: not -1; that nobody else closes it is what `closefd=True` says.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether `object` is exactly a generator.
pub fn is_generator(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; the call only compares the type.
    unsafe { ffi::PyGen_CheckExact(object.as_ptr()) != 0 }
}

extern "C" {
    /// Documented, but not in PyO3: changes the length of a `bytes` that nobody else knows.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, length: ffi::Py_ssize_t) -> std::ffi::c_int;
    /// Not in PyO3 either: where an object keeps the reference to its dictionary, or null.
    pub fn _PyObject_GetDictPtr(object: *mut ffi::PyObject) -> *mut *mut ffi::PyObject;
}

/// Whether somebody has set attributes on an object of a type with `dict`: then a method may be among them.
#[inline]
pub fn has_instance_dict(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; the object is live. With the GIL held the dictionary stays in its slot while its size is read;
    // without it the slot is only looked at, not followed.
    unsafe {
        let slot = _PyObject_GetDictPtr(object.as_ptr());
        let there = !slot.is_null() && !(*slot).is_null();
        // 3.11 gives each object an empty one.
        there && (cfg!(Py_GIL_DISABLED) || ffi::PyDict_Size(*slot) > 0)
    }
}

/// Makes awaiting an object of `T` two calls that do nothing: it is its own iterator, and at its end.
///
/// For a type whose `__await__`, `__iter__` and `__next__` do the same the long way. Call it before the first instance is made.
pub fn install_answer<T: pyo3::PyClass>(py: Python<'_>) {
    let type_object = T::type_object_raw(py);
    // SAFETY: attached; the type is ours, ready, and not in use yet; it has these slots, since it has the methods.
    unsafe {
        let methods = (*type_object).tp_as_async;
        assert!(!methods.is_null(), "a type with __await__");
        (*methods).am_await = Some(itself);
        (*type_object).tp_iter = Some(itself);
        (*type_object).tp_iternext = Some(nothing_more);
    }
}

unsafe extern "C" fn itself(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls slots attached, with a live object.
    unsafe { ffi::Py_NewRef(object) }
}

unsafe extern "C" fn nothing_more(_object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    std::ptr::null_mut()
}

/// A type that wants to be told before it dies. PyO3 has neither `__del__` nor `tp_finalize`.
pub trait Finalize: pyo3::PyClass {
    /// Called once, with the object alive (it may be resurrected), from reference counting or the collector.
    fn finalize(slf: &Bound<'_, Self>);
    /// Where this type's original deallocator is kept.
    fn original_dealloc() -> &'static OnceLock<ffi::destructor>;
}

/// Gives `T`'s type object a finalizer. Call it before the first instance or subclass of `T` is made.
///
/// The slots are set in place, not in a derived type, so that `Py::new` makes objects of the final type. A Python
/// subclass gets its own `tp_finalize`, which looks `__del__` up: such a type needs that method too (`__del__` in its
/// pymethods, calling `finalize`), and a subclass that overrides it decides for itself, as everywhere in Python.
pub fn install_finalizer<T: Finalize>(py: Python<'_>) {
    let type_object = T::type_object_raw(py);
    // SAFETY: attached; the type is ours, ready, and not in use yet, so nobody reads the slots meanwhile.
    unsafe {
        let original = (*type_object).tp_dealloc.expect("a pyclass has a deallocator");
        if T::original_dealloc().set(original).is_ok() {
            (*type_object).tp_finalize = Some(call_finalize::<T>);
            (*type_object).tp_dealloc = Some(dealloc_after_finalize::<T>);
        }
    }
}

unsafe extern "C" fn call_finalize<T: Finalize>(object: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls finalizers attached, with a live object of the type or a subtype. The exception
    // that is under way, if any, is put aside as tp_finalize must. A panic is caught: it must not cross C frames.
    unsafe {
        let py = Python::assume_attached();
        let guard = std::panic::AssertUnwindSafe(|| {
            let pending = PyErr::take(py);
            T::finalize(Bound::from_borrowed_ptr(py, object).cast_unchecked::<T>());
            if let Some(pending) = pending {
                pending.restore(py);
            }
        });
        let _ = std::panic::catch_unwind(guard);
    }
}

unsafe extern "C" fn dealloc_after_finalize<T: Finalize>(object: *mut ffi::PyObject) {
    // SAFETY: called by the interpreter with a reference count of zero. When the object was resurrected (< 0)
    // it must be left alone; when a subtype has called the finalizer already, the call does nothing.
    unsafe {
        if ffi::PyObject_CallFinalizerFromDealloc(object) < 0 {
            return;
        }
        let original = T::original_dealloc().get().expect("set when the finalizer was installed");
        // If it has to wait, the collector must not come upon it: nobody refers to it any more.
        ffi::PyObject_GC_UnTrack(object.cast());
        trashcan::let_go(move || original(object));
    }
}

/// Refuses subinterpreters: the state that is kept per interpreter is kept once.
pub fn require_main_interpreter(py: Python<'_>) -> PyResult<()> {
    let _attached = py;
    // SAFETY: attached; both calls only read.
    let main = unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() };
    if main {
        Ok(())
    } else {
        Err(PyImportError::new_err(
            "plait does not support subinterpreters: use it from the main interpreter",
        ))
    }
}

/// Hides an object from the garbage collector: `gc.get_objects` does not list it, and what it refers to is not visited. PyO3 has every
/// object tracked.
pub fn untrack(object: &Bound<'_, PyAny>) {
    // SAFETY: attached, with a live object of a collected type; one that is not tracked is left as it is.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) }
}

/// What `raise_soon` was given and nobody has raised yet.
static LATE: Mutex<Option<PyErr>> = Mutex::new(None);

/// Raises what a signal handler raised where it could not be passed on, as soon as the main thread runs Python code again. In another
/// thread no handler runs: then it is only shown.
pub fn raise_soon(py: Python<'_>, error: PyErr) {
    if !is_main_thread(py).unwrap_or(false) {
        return error.write_unraisable(py, None);
    }
    let replaced = late().replace(error);
    drop(replaced);
    // SAFETY: attached; the function takes no argument. A full queue is left alone: an error waits in `LATE` for the call that is in it.
    unsafe { ffi::Py_AddPendingCall(Some(raise_late), std::ptr::null_mut()) };
}

fn late() -> MutexGuard<'static, Option<PyErr>> {
    LATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

extern "C" fn raise_late(_nothing: *mut c_void) -> c_int {
    // SAFETY: the interpreter makes pending calls attached.
    let py = unsafe { Python::assume_attached() };
    match late().take() {
        None => 0,
        Some(error) => {
            error.restore(py);
            -1
        }
    }
}
