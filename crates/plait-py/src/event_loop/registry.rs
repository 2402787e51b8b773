//! The registry of native tasks that are not done, for `asyncio.all_tasks`.
//!
//! asyncio keeps a WeakSet: a Python call, a weak reference and a set entry per task, three times the cost of
//! the rest of the task. Here a task owns a slot in a slab; the slot is as weak as asyncio's entry: it does not
//! keep the task alive. With the GIL it is a bare pointer, because a task leaves the slab before its memory goes,
//! and a task that is dying shows it by its count of 0. Without the GIL another thread could see the pointer between the last
//! decrement and the removal, so there it is a weak reference object.

use super::task::Task;
use crate::guarded::Guarded;
use pyo3::prelude::*;
use slab::Slab;
use std::sync::OnceLock;

#[cfg(Py_GIL_DISABLED)]
mod entry {
    use super::*;
    use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

    pub struct Entry(Py<PyWeakrefReference>);

    impl Entry {
        pub fn new(task: &Bound<'_, Task>) -> PyResult<Entry> {
            Ok(Entry(PyWeakrefReference::new(task.as_any())?.unbind()))
        }

        pub fn duplicate(&self, py: Python<'_>) -> Entry {
            Entry(self.0.clone_ref(py))
        }

        pub fn task<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Task>> {
            self.0.bind(py).upgrade_as::<Task>().ok().flatten().and_then(unless_dying)
        }
    }
}

#[cfg(Py_GIL_DISABLED)]
/// On its own thread a weak reference gives out an object whose count is 0 already, while the fields of a Python subclass
/// are being cleared. Such a reference is the only one: it is taken back without freeing the object a second time.
fn unless_dying(task: Bound<'_, Task>) -> Option<Bound<'_, Task>> {
    use std::sync::atomic::Ordering::Relaxed;
    // SAFETY: the object's memory is there, whether it lives or is being taken apart. A reference in the local count is one of
    // the owning thread's, so if the only one is there, it is this one, and this is that thread.
    unsafe {
        let object = task.as_ptr();
        let alone = (*object).ob_ref_local.load(Relaxed) == 1 && (*object).ob_ref_shared.load(Relaxed) == 0;
        if !alone {
            return Some(task);
        }
        (*object).ob_ref_local.store(0, Relaxed);
        std::mem::forget(task);
        None
    }
}

#[cfg(not(Py_GIL_DISABLED))]
mod entry {
    use super::*;
    use std::ptr::NonNull;

    pub struct Entry(NonNull<pyo3::ffi::PyObject>);

    // SAFETY: the pointer is only followed with the GIL held.
    unsafe impl Send for Entry {}

    impl Entry {
        pub fn new(task: &Bound<'_, Task>) -> PyResult<Entry> {
            Ok(Entry(NonNull::new(task.as_ptr()).expect("an object has an address")))
        }

        pub fn duplicate(&self, _py: Python<'_>) -> Entry {
            Entry(self.0)
        }

        pub fn task<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Task>> {
            // SAFETY: the entry goes before the memory does (in the finalizer, else in `Task::drop`), so the count can
            // be read. It is 0 while a Python subclass's fields are being cleared: such a task is dead already. Any
            // other is alive, and with the GIL held it stays so until the reference is taken. Only tasks are registered.
            unsafe {
                if pyo3::ffi::Py_REFCNT(self.0.as_ptr()) == 0 {
                    return None;
                }
                let task = Bound::from_borrowed_ptr(py, self.0.as_ptr());
                Some(task.cast_into_unchecked::<Task>())
            }
        }
    }
}

use entry::Entry;

static REGISTRY: OnceLock<Guarded<Slab<Entry>>> = OnceLock::new();

fn registry() -> &'static Guarded<Slab<Entry>> {
    REGISTRY.get_or_init(|| Guarded::new(Slab::new()))
}

/// Where a task stands in the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(u32);

impl Key {
    /// Nowhere.
    pub const NONE: Key = Key(u32::MAX);
}

pub fn register(task: &Bound<'_, Task>) -> PyResult<Key> {
    let entry = Entry::new(task)?;
    let index = registry().with(task.py(), |slab| slab.insert(entry));
    let index = u32::try_from(index).ok().filter(|index| *index != u32::MAX);
    Ok(Key(index.expect("fewer than 2^32 - 1 tasks are alive")))
}

pub fn unregister(py: Python<'_>, key: Key) {
    if key == Key::NONE {
        return;
    }
    let removed = registry().with(py, |slab| {
        let removed = slab.try_remove(key.0 as usize);
        if slab.is_empty() && slab.capacity() > 4096 {
            *slab = Slab::new();
        }
        removed
    });
    let _dropped_outside = removed;
}

/// Every native task that is not done, of all loops and threads.
pub fn snapshot(py: Python<'_>) -> Vec<Bound<'_, Task>> {
    // References are collected only here, after the slab is closed. Nothing can die in between: with the GIL no
    // Python runs between the two lines, without it the entries are weak references.
    let entries: Vec<Entry> =
        registry().with(py, |slab| slab.iter().map(|(_, entry)| entry.duplicate(py)).collect());
    entries.iter().filter_map(|entry| entry.task(py)).collect()
}
