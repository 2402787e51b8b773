//! `Guarded<T>`: the one way in which this crate keeps mutable state inside a Python object.
//!
//! Pyclasses here are `frozen`: callbacks re-enter them all the time, and a borrow flag would answer with
//! "already borrowed". So each object holds its state in a `Guarded`, opened only for the length of a short
//! closure that runs **no Python**: it does not call, allocate or drop a Python object (moving or cloning a
//! reference is fine). What has to be dropped is moved out of the closure and dropped after it. The one object that may
//! be made inside is a `bytes`: the collector does not track it, so that making one can start no collection.
//!
//! * With the GIL, that rule alone makes the access exclusive, and a `Guarded` costs nothing. Debug builds
//!   check the rule with a flag.
//! * On the free-threaded build a futex word makes it exclusive. The holder never blocks, detaches or reaches
//!   a safepoint, so waiting for it while attached is short and cannot deadlock with the collector's
//!   stop-the-world.
//!
//! Rejected: `RefCell` in a non-frozen class (re-entrancy), PyO3's `critical_section` (it may be
//! suspended by a nested one, so the closure's exclusivity could not be argued locally).

use pyo3::Python;
use std::cell::UnsafeCell;

#[cfg(Py_GIL_DISABLED)]
type Exclusion = std::sync::Mutex<()>;
#[cfg(not(Py_GIL_DISABLED))]
#[derive(Default)]
struct Exclusion {
    #[cfg(debug_assertions)]
    open: std::cell::Cell<bool>,
}

pub struct Guarded<T> {
    exclusion: Exclusion,
    value: UnsafeCell<T>,
}

// SAFETY: `value` is reached only through `with` and `traverse`, which are exclusive (see the module's text):
// by the GIL that the `Python` token proves, or by the mutex on builds without one.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub fn new(value: T) -> Self {
        Guarded { exclusion: Exclusion::default(), value: UnsafeCell::new(value) }
    }

    /// Opens the state for `body`, which must run no Python (see the module's text).
    #[inline(always)]
    pub fn with<R>(&self, _py: Python<'_>, body: impl FnOnce(&mut T) -> R) -> R {
        let _held = self.hold();
        // SAFETY: `_held` excludes every other access for as long as `body` runs.
        body(unsafe { &mut *self.value.get() })
    }

    /// The state of an object that nobody else knows any more.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Reads the state for the garbage collector, which runs while no thread is inside `with`: with the GIL
    /// because the closure allocates no Python object, without it because the world is stopped and no
    /// closure contains a safepoint.
    #[inline]
    pub fn traverse(&self) -> &T {
        // SAFETY: no closure of `with` is running, as said above, and the collector changes nothing.
        unsafe { &*self.value.get() }
    }

    #[cfg(Py_GIL_DISABLED)]
    #[inline(always)]
    fn hold(&self) -> std::sync::MutexGuard<'_, ()> {
        // A panic inside a closure leaves plain data behind that is still whole: go on.
        self.exclusion.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    #[cfg(not(Py_GIL_DISABLED))]
    #[inline(always)]
    fn hold(&self) -> Open<'_> {
        #[cfg(debug_assertions)]
        assert!(!self.exclusion.open.replace(true), "Guarded was entered twice: Python ran inside it");
        Open(&self.exclusion)
    }
}

#[cfg(not(Py_GIL_DISABLED))]
struct Open<'a>(#[allow(dead_code)] &'a Exclusion);

#[cfg(all(not(Py_GIL_DISABLED), debug_assertions))]
impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.set(false);
    }
}

/// True once an object's fields are there.
///
/// On 3.11 an instance's dictionary is made after the object has been shown to the collector and before its fields are
/// written; making it may start a collection, which then traverses zeroed memory. Fields that are an `Option` read as None
/// there; a type with others keeps one of these, which reads as false, and traverses nothing before it is true.
pub struct Built(bool);

impl Built {
    pub fn new() -> Built {
        Built(true)
    }

    #[inline]
    pub fn is_complete(&self) -> bool {
        self.0
    }
}
