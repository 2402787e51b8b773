//! Methods that are called so often that argument handling shows: `call_soon` and its relatives.
//!
//! PyO3 makes a tuple of `*args` and looks every argument up in a table. Here the interpreter's own array of arguments is
//! passed on as a slice, and the one keyword that occurs, `context`, is compared by address first. Worth about a
//! tenth of a `call_soon`, so only its family does this, `write`, `sendto`, and the private methods of one argument that a coroutine calls at
//! each read of a stream, what a queue's coroutines ask ([`one_argument_method`], [`no_argument_method`]), and `async with` ([`ignoring_method`]);
//! everything else goes through `#[pymethods]`.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use pyo3::PyTypeInfo;
use std::ffi::{c_char, CStr};
use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::NonNull;

/// The arguments of one call, as the interpreter has them.
pub struct Arguments<'a, 'py> {
    method: &'static str,
    positional: &'a [Bound<'py, PyAny>],
    keywords: Option<&'a Bound<'py, PyTuple>>,
    keyword_values: &'a [Bound<'py, PyAny>],
}

/// `N` named parameters, `*args` and `context=`.
pub struct Parsed<'a, 'py, const N: usize> {
    pub named: [Bound<'py, PyAny>; N],
    pub rest: &'a [Bound<'py, PyAny>],
    pub context: Option<Py<PyAny>>,
}

impl<'a, 'py> Arguments<'a, 'py> {
    #[inline(always)]
    pub fn parse<const N: usize>(self, py: Python<'py>, names: [&str; N]) -> PyResult<Parsed<'a, 'py, N>> {
        if let (None, Some((named, rest))) = (self.keywords, self.positional.split_first_chunk::<N>()) {
            return Ok(Parsed { named: named.clone(), rest, context: None });
        }
        self.parse_with_keywords(py, names)
    }

    /// `N` named parameters and nothing else.
    #[inline(always)]
    pub fn exactly<const N: usize>(
        self,
        py: Python<'py>,
        names: [&str; N],
    ) -> PyResult<[Bound<'py, PyAny>; N]> {
        let (method, given) = (self.method, self.positional.len());
        let parsed = self.parse(py, names)?;
        match parsed.rest.is_empty() && parsed.context.is_none() {
            true => Ok(parsed.named),
            // Counted as Python counts, with self.
            false => Err(PyTypeError::new_err(format!(
                "{method}() takes {} positional arguments but {} were given",
                N + 1,
                given + 1
            ))),
        }
    }

    /// The arguments, if none is given by keyword.
    #[inline(always)]
    pub fn positional_only(&self) -> Option<&'a [Bound<'py, PyAny>]> {
        self.keywords.is_none().then_some(self.positional)
    }

    /// Two named parameters, of which the second may be left out.
    #[allow(clippy::type_complexity)]
    pub fn one_or_two(
        self,
        py: Python<'py>,
        names: [&str; 2],
    ) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
        let by_keyword = self.keywords.is_some_and(|keywords| keywords.contains(names[1]).unwrap_or(false));
        if by_keyword || self.positional.len() > 1 {
            let [first, second] = self.exactly(py, names)?;
            return Ok((first, Some(second)));
        }
        let [first] = self.exactly(py, [names[0]])?;
        Ok((first, None))
    }

    #[inline(never)]
    fn parse_with_keywords<const N: usize>(
        self,
        py: Python<'py>,
        names: [&str; N],
    ) -> PyResult<Parsed<'a, 'py, N>> {
        let mut by_keyword: [Option<Bound<'py, PyAny>>; N] = [const { None }; N];
        let mut context = None;
        if let Some(keywords) = self.keywords {
            for (index, keyword) in keywords.iter().enumerate() {
                let value = &self.keyword_values[index];
                if keyword.is(intern!(py, "context")) || keyword.eq("context")? {
                    context =
                        Some(value).filter(|value| !value.is_none()).map(|value| value.clone().unbind());
                } else {
                    let keyword = keyword.cast_into::<PyString>()?;
                    let position = names.iter().position(|name| keyword == *name);
                    let position = position.ok_or_else(|| self.unexpected(&keyword))?;
                    if position < self.positional.len() {
                        return Err(self.given_twice(names[position]));
                    }
                    by_keyword[position] = Some(value.clone());
                }
            }
        }
        let mut missing = None;
        let named = std::array::from_fn(|index| {
            let given = self.positional.get(index).cloned().or_else(|| by_keyword[index].take());
            given.unwrap_or_else(|| {
                missing.get_or_insert(names[index]);
                py.None().into_bound(py)
            })
        });
        match missing {
            None => Ok(Parsed { named, rest: self.positional.get(N..).unwrap_or(&[]), context }),
            Some(name) => Err(PyTypeError::new_err(format!(
                "{}() missing 1 required positional argument: '{name}'",
                self.method
            ))),
        }
    }

    #[cold]
    fn given_twice(&self, name: &str) -> PyErr {
        PyTypeError::new_err(format!("{}() got multiple values for argument '{name}'", self.method))
    }

    #[cold]
    fn unexpected(&self, keyword: &Bound<'py, PyString>) -> PyErr {
        PyTypeError::new_err(format!("{}() got an unexpected keyword argument '{keyword}'", self.method))
    }
}

/// What such a method is written as.
pub type Body<T> = for<'a, 'py> fn(&Bound<'py, T>, Arguments<'a, 'py>) -> PyResult<Py<PyAny>>;

/// The interpreter's side of a call.
///
/// # Safety
/// To be called only by the interpreter's METH_FASTCALL | METH_KEYWORDS convention, for a method of `T`.
pub unsafe fn enter<T: PyTypeInfo>(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
    method: &'static str,
    body: Body<T>,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods attached.
    let py = unsafe { Python::assume_attached() };
    answer(py, method, || {
        // SAFETY: the method descriptor has checked that `slf` is a `T`; it and the arguments are borrowed from the
        // caller for the length of the call. `Bound` is a transparent pointer, so the array of object pointers is a
        // slice of them; keyword values follow the positional ones.
        unsafe {
            let slf = Borrowed::from_ptr(py, slf);
            let slf = slf.cast_unchecked::<T>();
            let keywords = Borrowed::from_ptr_or_opt(py, keywords);
            let keywords = keywords.as_ref().map(|k| k.cast_unchecked::<PyTuple>());
            // A call without arguments may come with a null pointer.
            let args = if args.is_null() { NonNull::dangling().as_ptr() } else { args };
            let positional = std::slice::from_raw_parts(args.cast(), count as usize);
            let keyword_count = keywords.as_ref().map_or(0, |k| k.len());
            let keyword_values = std::slice::from_raw_parts(args.add(count as usize).cast(), keyword_count);
            let keywords = keywords.as_deref();
            body(&slf, Arguments { method, positional, keywords, keyword_values })
        }
    })
}

/// The interpreter's side of a call with one argument.
///
/// # Safety
/// To be called only by the interpreter's METH_O convention, for a method of `T`.
pub unsafe fn enter_with_one<T: PyTypeInfo>(
    slf: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
    method: &'static str,
    body: fn(&Bound<'_, T>, &Bound<'_, PyAny>) -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods attached.
    let py = unsafe { Python::assume_attached() };
    answer(py, method, || {
        // SAFETY: as in `enter`: a checked `T`, and an argument that the caller holds for the length of the call.
        unsafe {
            let slf = Borrowed::from_ptr(py, slf);
            body(&slf.cast_unchecked::<T>(), &Borrowed::from_ptr(py, argument))
        }
    })
}

/// The interpreter's side of a call without arguments, or with some that do not matter.
///
/// # Safety
/// To be called only by the interpreter, for a method of `T`.
pub unsafe fn enter_without<T: PyTypeInfo>(
    slf: *mut ffi::PyObject,
    method: &'static str,
    body: fn(&Bound<'_, T>) -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods attached.
    let py = unsafe { Python::assume_attached() };
    answer(py, method, || {
        // SAFETY: as in `enter`: a checked `T`, which the caller holds for the length of the call.
        unsafe { body(&Borrowed::from_ptr(py, slf).cast_unchecked::<T>()) }
    })
}

/// A result as the interpreter takes it. A panic becomes an exception: it must not cross C frames.
#[inline(always)]
fn answer(
    py: Python<'_>,
    method: &'static str,
    body: impl FnOnce() -> PyResult<Py<PyAny>>,
) -> *mut ffi::PyObject {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value.into_ptr(),
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_panic) => {
            // The panic hook has printed what and where.
            let text = format!("plait panicked in {method}()");
            pyo3::panic::PanicException::new_err((text,)).restore(py);
            std::ptr::null_mut()
        }
    }
}

/// Adds a method to `T`'s type object. Call it before the type is used.
pub fn install<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    doc: &'static CStr,
    entry: ffi::PyCFunctionFastWithKeywords,
) -> PyResult<()> {
    let method = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry };
    install_as::<T>(py, name, doc, method, ffi::METH_FASTCALL | ffi::METH_KEYWORDS)
}

/// The same for a method of one argument.
pub fn install_with_one<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    doc: &'static CStr,
    entry: ffi::PyCFunction,
) -> PyResult<()> {
    install_as::<T>(py, name, doc, ffi::PyMethodDefPointer { PyCFunction: entry }, ffi::METH_O)
}

/// The same for a method without arguments.
pub fn install_without<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    doc: &'static CStr,
    entry: ffi::PyCFunction,
) -> PyResult<()> {
    install_as::<T>(py, name, doc, ffi::PyMethodDefPointer { PyCFunction: entry }, ffi::METH_NOARGS)
}

/// The same for one that does not look at its arguments.
pub fn install_ignoring<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    doc: &'static CStr,
    entry: ffi::PyCFunctionFast,
) -> PyResult<()> {
    install_as::<T>(py, name, doc, ffi::PyMethodDefPointer { PyCFunctionFast: entry }, ffi::METH_FASTCALL)
}

fn install_as<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    doc: &'static CStr,
    method: ffi::PyMethodDefPointer,
    flags: c_int,
) -> PyResult<()> {
    // A type's methods live as long as the process, and so does this definition.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr().cast::<c_char>(),
        ml_meth: method,
        ml_flags: flags,
        ml_doc: doc.as_ptr().cast::<c_char>(),
    }));
    let class = py.get_type::<T>();
    // SAFETY: attached; the type is alive and the definition is never freed.
    let descriptor = unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(py, descriptor)?
    };
    let name = name.to_str().expect("method names are ASCII");
    class.setattr(name, descriptor)
}

/// The C entry of a method: `fast_method!(entry_name, Class, "Class.python_name", body)`.
macro_rules! fast_method {
    ($entry:ident, $class:ty, $name:literal, $body:path) => {
        unsafe extern "C" fn $entry(
            slf: *mut pyo3::ffi::PyObject,
            args: *const *mut pyo3::ffi::PyObject,
            count: pyo3::ffi::Py_ssize_t,
            keywords: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            // SAFETY: the interpreter calls this by the convention that `enter` asks for.
            unsafe { crate::fastcall::enter::<$class>(slf, args, count, keywords, $name, $body) }
        }
    };
}
pub(crate) use fast_method;

/// The same for a method of one argument: `one_argument_method!(entry_name, Class, "Class.python_name", body)`.
macro_rules! one_argument_method {
    ($entry:ident, $class:ty, $name:literal, $body:path) => {
        unsafe extern "C" fn $entry(
            slf: *mut pyo3::ffi::PyObject,
            argument: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            // SAFETY: the interpreter calls this by the convention that `enter_with_one` asks for.
            unsafe { crate::fastcall::enter_with_one::<$class>(slf, argument, $name, $body) }
        }
    };
}
pub(crate) use one_argument_method;

/// The same for a method without arguments: `no_argument_method!(entry_name, Class, "Class.python_name", body)`.
macro_rules! no_argument_method {
    ($entry:ident, $class:ty, $name:literal, $body:path) => {
        unsafe extern "C" fn $entry(
            slf: *mut pyo3::ffi::PyObject,
            _none: *mut pyo3::ffi::PyObject,
        ) -> *mut pyo3::ffi::PyObject {
            // SAFETY: the interpreter calls this by the convention that `enter_without` asks for.
            unsafe { crate::fastcall::enter_without::<$class>(slf, $name, $body) }
        }
    };
}
pub(crate) use no_argument_method;

/// The same for a method that does not look at its arguments, as `__aexit__`.
macro_rules! ignoring_method {
    ($entry:ident, $class:ty, $name:literal, $body:path) => {
        unsafe extern "C" fn $entry(
            slf: *mut pyo3::ffi::PyObject,
            _args: *mut *mut pyo3::ffi::PyObject,
            _count: pyo3::ffi::Py_ssize_t,
        ) -> *mut pyo3::ffi::PyObject {
            // SAFETY: the interpreter calls this by the convention that `enter_without` asks for.
            unsafe { crate::fastcall::enter_without::<$class>(slf, $name, $body) }
        }
    };
}
pub(crate) use ignoring_method;
