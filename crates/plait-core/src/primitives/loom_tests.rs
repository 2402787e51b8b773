//! Small programs of two or three threads over each primitive, in every interleaving.
//!
//! A thread sleeps on a bell of its own, which remembers, and which loom also lets ring without a reason. A wake-up that is lost shows
//! as a deadlock, which loom reports. A wait ends in three ways, each of which races with whatever wakes it: it is served, it is given up,
//! or its time is up.
//!
//! Where three threads meet, most of those who wait have parked before the others start, by the model's own hand: that leaves what can
//! go wrong, and takes away most of the interleavings.

mod handing;
mod meeting;
mod passing;

use super::Primitive;
use crate::sync::Arc;
use crate::waiter::{Manner, Progress, Wait, Wakes};
use loom::sync::Notify;
use loom::{model, thread};

/// Counted by the standard library: loom has enough to explore.
type Bell = std::sync::Arc<Notify>;

fn ring(wakes: Wakes<Bell>) {
    wakes.for_each(|bell| bell.notify());
}

/// How a waiter's wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It waits until it is served.
    Served,
    /// It is given up without a look at the bell.
    GivenUp,
    /// Its time is up at once.
    Expired,
}

const ENDS: [End; 3] = [End::Served, End::GivenUp, End::Expired];
const HASTY_ENDS: [End; 2] = [End::GivenUp, End::Expired];
const MANNERS: [Manner; 2] = [Manner::InOrder, Manner::Barging];

struct Waiter {
    wait: Wait,
    bell: Bell,
}

impl Waiter {
    fn new(manner: Manner) -> Waiter {
        Waiter { wait: Wait::new(manner), bell: Bell::new(Notify::new()) }
    }

    fn poll<T>(
        &mut self,
        poll: impl FnOnce(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<T>,
    ) -> Progress<T> {
        let mut wakes = Wakes::None;
        let progress = poll(&mut self.wait, &mut Some(Bell::clone(&self.bell)), &mut wakes);
        ring(wakes);
        progress
    }

    /// Parks, where nobody else is about.
    fn park<T>(
        manner: Manner,
        poll: impl FnOnce(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<T>,
    ) -> Waiter {
        let mut waiter = Waiter::new(manner);
        assert!(matches!(waiter.poll(poll), Progress::Pending));
        waiter
    }

    /// Polls until it is served.
    fn serve<T>(
        &mut self,
        mut poll: impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<T>,
    ) -> T {
        loop {
            match self.poll(&mut poll) {
                Progress::Ready(thing) => return thing,
                Progress::Pending => self.bell.wait(),
                Progress::WouldPark | Progress::TimedOut => unreachable!("it has a bell and all the time"),
            }
        }
    }

    /// One that waits already comes to its end. None: not by being served.
    fn finish<T>(
        mut self,
        end: End,
        primitive: &impl Primitive<Bell>,
        poll: impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<T>,
    ) -> Option<T> {
        match end {
            End::Served => Some(self.serve(poll)),
            End::GivenUp => {
                let mut wakes = Wakes::None;
                primitive.give_up(&mut self.wait, &mut None, &mut wakes);
                ring(wakes);
                None
            }
            End::Expired => {
                self.wait.expire();
                match self.poll(poll) {
                    Progress::Ready(thing) => Some(thing),
                    Progress::TimedOut => None,
                    Progress::Pending | Progress::WouldPark => unreachable!("its time is up"),
                }
            }
        }
    }

    /// Begins to wait, and comes to its end.
    fn run<T>(
        mut self,
        end: End,
        primitive: &impl Primitive<Bell>,
        mut poll: impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<T>,
    ) -> Option<T> {
        match self.poll(&mut poll) {
            Progress::Ready(thing) => Some(thing),
            Progress::Pending => self.finish(end, primitive, poll),
            Progress::WouldPark | Progress::TimedOut => unreachable!("it has a bell and all the time"),
        }
    }
}

fn spawn<P, T>(primitive: &Arc<P>, body: impl FnOnce(&P) -> T + Send + 'static) -> thread::JoinHandle<T>
where
    P: Send + Sync + 'static,
    T: 'static,
{
    let primitive = Arc::clone(primitive);
    thread::spawn(move || body(&primitive))
}
