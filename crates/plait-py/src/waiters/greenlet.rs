//! A greenlet waits: it awaits a future of its hub's loop, as a task would, and switches to the hub until that is done.
//!
//! A thread has a hub when Python code has said so (`plait._hub.Hub`): an event loop that runs in a greenlet of its own, in which
//! it wakes the thread's other greenlets. The main greenlet, and the hub itself, block the thread, for nobody else could run them.
//!
//! The package `greenlet` is used through what Python sees of it: switching costs far more than two calls.

use super::{task, Patience, Waker};
use plait_core::primitives::Primitive;
use plait_core::waiter::{Progress, Wait, Wakes};
use pyo3::intern;
use pyo3::prelude::*;
use std::cell::RefCell;

struct Hub {
    hub: Py<PyAny>,
    /// `greenlet.getcurrent`
    getcurrent: Py<PyAny>,
}

thread_local!(static HUB: RefCell<Option<Hub>> = const { RefCell::new(None) });

/// Makes `hub` the one of the calling thread; None: it has none any more. Returns the one that was.
#[pyfunction]
#[pyo3(signature = (hub, /))]
pub fn set_hub(py: Python<'_>, hub: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    let hub = match hub {
        None => None,
        Some(hub) => Some(Hub { hub, getcurrent: py.import("greenlet")?.getattr("getcurrent")?.unbind() }),
    };
    Ok(HUB.replace(hub).map(|before| before.hub))
}

/// The hub for which the calling greenlet waits as a greenlet; None: it blocks its thread.
pub fn current(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    Ok(hub_and_greenlet(py)?.map(|(hub, _)| hub))
}

/// The calling greenlet, where it waits as a greenlet.
pub fn running(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    Ok(hub_and_greenlet(py)?.map(|(_, here)| here))
}

fn hub_and_greenlet(py: Python<'_>) -> PyResult<Option<(Bound<'_, PyAny>, Bound<'_, PyAny>)>> {
    let found =
        HUB.with_borrow(|hub| hub.as_ref().map(|hub| (hub.hub.clone_ref(py), hub.getcurrent.clone_ref(py))));
    let Some((hub, getcurrent)) = found else {
        return Ok(None);
    };
    let hub = hub.into_bound(py);
    let here = getcurrent.bind(py).call0()?;
    let is_main = here.getattr(intern!(py, "parent"))?.is_none();
    let is_hub = here.is(&hub.getattr(intern!(py, "greenlet"))?);
    Ok((!is_main && !is_hub).then_some((hub, here)))
}

/// See [`super::block`].
pub fn block<'py, P: Primitive<Waker>, T>(
    hub: &Bound<'py, PyAny>,
    primitive: &P,
    patience: Patience<'_>,
    mut parked: impl FnMut() -> PyResult<()>,
    mut poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Option<T>> {
    let py = hub.py();
    let loop_ = || hub.getattr(intern!(py, "loop"));
    let mut step = task::begin(py, primitive, task::UNIVERSAL, loop_, &mut poll)?;
    loop {
        let future = match step {
            task::Step::Ready(value) => return Ok(Some(value)),
            task::Step::Wait(future) => future.into_bound(py),
        };
        let left = patience.left().map(|left| left.as_secs_f64());
        let woken =
            parked().and_then(|()| hub.call_method1(intern!(py, "park"), (&future, left))?.is_truthy());
        match woken {
            Ok(true) => step = task::resume(&future, primitive, &mut poll)?,
            // Switched to by somebody else.
            Ok(false) if !patience.is_over() => step = task::Step::Wait(future.unbind()),
            Ok(false) => match task::expire(&future, primitive, &mut poll) {
                Some(value) => return Ok(Some(value)),
                None if !future.get().is_parked(py) => return Ok(None),
                // It still waits, for something that does not take long.
                None => {
                    hub.call_method1(intern!(py, "park"), (&future, py.None()))?;
                    step = task::resume(&future, primitive, &mut poll)?;
                }
            },
            Err(thrown) => {
                task::give_up(py, primitive, future.as_unbound());
                return Err(thrown);
            }
        }
    }
}
