//! The callbacks of a future: mostly none, or the one task that awaits it.

use super::gathering::GatheringFuture;
use super::task::Task;
use super::watcher::Watcher;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

pub enum Callback {
    /// A native task that awaits the future: it is put into the ready queue, no Python object in between.
    Wake(Py<Task>),
    /// What `gather` waits with: the child is counted, no Python object in between.
    Gather(Py<GatheringFuture>),
    /// What `wait`, `shield` or a TaskGroup waits with.
    Watch(Watcher),
    /// `callback(future)` in `context`, as `add_done_callback` took it.
    Call { callback: Py<PyAny>, context: Py<PyAny> },
}

/// One word and a tag: every future carries one, and a loop may have a million of them. Hence the box around the
/// vector.
#[allow(clippy::box_collection)]
#[derive(Default)]
pub enum Callbacks {
    #[default]
    None,
    Wake(Py<Task>),
    Gather(Py<GatheringFuture>),
    Watch(Watcher),
    Some(Box<Vec<Callback>>),
}

impl Callbacks {
    #[inline]
    pub fn push(&mut self, callback: Callback) {
        *self = match (std::mem::take(self), callback) {
            (Callbacks::None, Callback::Wake(task)) => Callbacks::Wake(task),
            (Callbacks::None, Callback::Gather(outer)) => Callbacks::Gather(outer),
            (Callbacks::None, Callback::Watch(watcher)) => Callbacks::Watch(watcher),
            (Callbacks::None, callback) => Callbacks::Some(Box::new(vec![callback])),
            (Callbacks::Wake(task), callback) => {
                Callbacks::Some(Box::new(vec![Callback::Wake(task), callback]))
            }
            (Callbacks::Gather(outer), callback) => {
                Callbacks::Some(Box::new(vec![Callback::Gather(outer), callback]))
            }
            (Callbacks::Watch(watcher), callback) => {
                Callbacks::Some(Box::new(vec![Callback::Watch(watcher), callback]))
            }
            (Callbacks::Some(mut list), callback) => {
                list.push(callback);
                Callbacks::Some(list)
            }
        };
    }

    pub fn into_vec(self) -> Vec<Callback> {
        match self {
            Callbacks::None => Vec::new(),
            Callbacks::Wake(task) => vec![Callback::Wake(task)],
            Callbacks::Gather(outer) => vec![Callback::Gather(outer)],
            Callbacks::Watch(watcher) => vec![Callback::Watch(watcher)],
            Callbacks::Some(list) => *list,
        }
    }

    pub fn from_vec(list: Vec<Callback>) -> Callbacks {
        match list.is_empty() {
            true => Callbacks::None,
            false => Callbacks::Some(Box::new(list)),
        }
    }

    /// A copy to show.
    pub fn to_vec(&self, py: Python<'_>) -> Vec<Callback> {
        match self {
            Callbacks::None => Vec::new(),
            Callbacks::Wake(task) => vec![Callback::Wake(task.clone_ref(py))],
            Callbacks::Gather(outer) => vec![Callback::Gather(outer.clone_ref(py))],
            Callbacks::Watch(watcher) => vec![Callback::Watch(watcher.clone_ref(py))],
            Callbacks::Some(list) => list.iter().map(|callback| callback.clone_ref(py)).collect(),
        }
    }

    /// Takes a watcher out; to be dropped elsewhere. None when it is not there.
    pub fn remove_watcher(&mut self, watcher: &Watcher) -> Option<Callback> {
        match self {
            Callbacks::Watch(own) if own.is(watcher) => match std::mem::take(self) {
                Callbacks::Watch(own) => Some(Callback::Watch(own)),
                _ => None,
            },
            Callbacks::Some(list) => {
                let same = |callback: &Callback| matches!(callback, Callback::Watch(own) if own.is(watcher));
                list.iter().position(same).map(|position| list.remove(position))
            }
            _ => None,
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Callbacks::None => Ok(()),
            Callbacks::Wake(task) => visit.call(task),
            Callbacks::Gather(outer) => visit.call(outer),
            Callbacks::Watch(watcher) => watcher.traverse(visit),
            Callbacks::Some(list) => list.iter().try_for_each(|callback| callback.traverse(visit)),
        }
    }
}

impl Callback {
    fn clone_ref(&self, py: Python<'_>) -> Callback {
        match self {
            Callback::Wake(task) => Callback::Wake(task.clone_ref(py)),
            Callback::Gather(outer) => Callback::Gather(outer.clone_ref(py)),
            Callback::Watch(watcher) => Callback::Watch(watcher.clone_ref(py)),
            Callback::Call { callback, context } => {
                Callback::Call { callback: callback.clone_ref(py), context: context.clone_ref(py) }
            }
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Callback::Wake(task) => visit.call(task),
            Callback::Gather(outer) => visit.call(outer),
            Callback::Watch(watcher) => watcher.traverse(visit),
            Callback::Call { callback, context } => {
                visit.call(callback)?;
                visit.call(context)
            }
        }
    }
}
