//! The callbacks of a future: mostly none, or the one task that awaits it.

use super::task::Task;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

pub enum Callback {
    /// A native task that awaits the future: it is put into the ready queue, no Python object in between.
    Wake(Py<Task>),
    /// `callback(future)` in `context`, as `add_done_callback` took it.
    Call { callback: Py<PyAny>, context: Py<PyAny> },
}

#[derive(Default)]
pub enum Callbacks {
    #[default]
    None,
    One(Callback),
    Many(Box<Vec<Callback>>),
}

impl Callbacks {
    #[inline]
    pub fn push(&mut self, callback: Callback) {
        *self = match std::mem::take(self) {
            Callbacks::None => Callbacks::One(callback),
            Callbacks::One(first) => Callbacks::Many(Box::new(vec![first, callback])),
            Callbacks::Many(mut list) => {
                list.push(callback);
                Callbacks::Many(list)
            }
        };
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Callbacks::None)
    }

    pub fn as_slice(&self) -> &[Callback] {
        match self {
            Callbacks::None => &[],
            Callbacks::One(one) => std::slice::from_ref(one),
            Callbacks::Many(list) => list,
        }
    }

    pub fn into_vec(self) -> Vec<Callback> {
        match self {
            Callbacks::None => Vec::new(),
            Callbacks::One(one) => vec![one],
            Callbacks::Many(list) => *list,
        }
    }

    pub fn from_vec(mut list: Vec<Callback>) -> Callbacks {
        match list.len() {
            0 => Callbacks::None,
            1 => list.pop().map_or(Callbacks::None, Callbacks::One),
            _ => Callbacks::Many(Box::new(list)),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for callback in self.as_slice() {
            match callback {
                Callback::Wake(task) => visit.call(task)?,
                Callback::Call { callback, context } => {
                    visit.call(callback)?;
                    visit.call(context)?;
                }
            }
        }
        Ok(())
    }
}
