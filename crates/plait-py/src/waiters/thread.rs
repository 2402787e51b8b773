//! A thread waits: it detaches from the interpreter and parks.
//!
//! Signals wake it: in the main thread Python's handlers run, and if none of them raises, the wait goes on for the rest of its
//! time. Each thread keeps one parker for all its waits; a wake-up that belongs to an earlier one only makes it look once more.

use super::{fire, Patience, Waker};
use plait_core::parker::{Awoken, Parker};
use plait_core::primitives::Primitive;
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::prelude::*;
use std::sync::Arc;

thread_local!(static PARKER: Arc<Parker> = Arc::new(Parker::new()));

/// See [`super::block`].
pub fn block<P: Primitive<Waker>, T>(
    py: Python<'_>,
    primitive: &P,
    manner: Manner,
    mut patience: Patience,
    mut parked: impl FnMut() -> PyResult<()>,
    mut poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
) -> PyResult<Option<T>> {
    let parker = PARKER.with(Arc::clone);
    let mut wait = Wait::new(manner);
    let mut waker = None;
    loop {
        waker.get_or_insert_with(|| Waker::Thread(Arc::clone(&parker)));
        let mut wakes = Wakes::None;
        let progress = poll(&mut wait, &mut waker, &mut wakes);
        fire(py, primitive, wakes);
        match progress {
            Progress::Ready(value) => return Ok(Some(value)),
            Progress::TimedOut => return Ok(None),
            Progress::Pending | Progress::WouldPark => {}
        }
        match parked().and_then(|()| sleep(py, &parker, patience)) {
            Ok(Awoken::TimedOut) => {
                wait.expire();
                // Whoever still has to wait does so for something that does not take long.
                patience = Patience::Forever;
            }
            Ok(Awoken::Unparked | Awoken::Interrupted) => {}
            Err(raised) => {
                let mut wakes = Wakes::None;
                primitive.give_up(&mut wait, &mut waker, &mut wakes);
                fire(py, primitive, wakes);
                return Err(raised);
            }
        }
    }
}

/// Sleeps once, detached. An error is what a signal handler raised.
fn sleep(py: Python<'_>, parker: &Parker, patience: Patience) -> PyResult<Awoken> {
    if parker.try_take() {
        return Ok(Awoken::Unparked);
    }
    let awoken = py.detach(|| parker.park(patience.left()));
    if awoken != Awoken::Unparked {
        py.check_signals()?;
    }
    Ok(awoken)
}
