//! Barrier: a fixed number of parties wait for each other, again and again.
//!
//! ```text
//!                   the last party comes             all have left
//!      Filling ---------------------------> Draining --------------> Filling
//!        |  \---- it has something to do: Acting ---^  |
//!        | reset                                       | abort
//!        v                                             v
//!    Resetting -- all have left --> Filling          Broken -- reset --> Filling, or Resetting if somebody is inside
//! ```
//!
//! The states are those of the standard library's barriers: while one crowd leaves, the next waits at the door, so each party that
//! is woken reads off the state how its wait ended.

use super::Primitive;
use crate::wait_queue::{Inner, Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Progress, Wait, Wakes};

/// What goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Parties come.
    Filling,
    /// All are there, and one does what is to be done before they go on.
    Acting,
    /// All go on.
    Draining,
    /// Those inside leave with an error, and then it is as new.
    Resetting,
    /// Whoever is inside or comes gets an error.
    Broken,
}

struct Crowd {
    parties: usize,
    inside: usize,
    phase: Phase,
}

/// In a child process those who were inside still count, as in the standard library: only a reset gets rid of them.
impl State for Crowd {}

/// How a party goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// With this number, from 0 on.
    Through(usize),
    /// It was the last, has this number, and has to act and then to call [`Barrier::acted`].
    Act(usize),
    /// With an error: it was broken, or reset, while the party was inside.
    Broken,
    /// Not at all: it was broken before.
    Refused,
}

/// A meeting point.
pub struct Barrier<W> {
    queue: WaitQueue<Crowd, W, 2>,
}

const DOOR: usize = 0;
const INSIDE: usize = 1;

impl<W> Barrier<W> {
    /// For so many parties, at least one.
    pub fn new(parties: usize) -> Self {
        Barrier { queue: WaitQueue::new(Crowd { parties, inside: 0, phase: Phase::Filling }) }
    }

    /// Comes, waits for the others, and leaves. With `acts`, the last one is told to act before it and the others may leave.
    ///
    /// A wait whose time is up breaks the barrier, unless all have come already. (At the door no time-out counts, as in the
    /// standard library, where it begins when the party is [inside](Wait::is_inside).)
    pub fn poll(
        &self,
        wait: &mut Wait,
        acts: bool,
        waker: &mut Option<W>,
        wakes: &mut Wakes<W>,
    ) -> Progress<Passage> {
        let mut open = self.queue.open();
        let expired = wait.expired;
        if wait.number.is_none() || open.state.phase == Phase::Acting {
            // While somebody acts it is as if time stood still for the others.
            wait.expired = false;
        }
        let standing = open.standing(wait, waker);
        wait.expired = expired;
        match (standing, wait.number) {
            (Standing::Waiting, _) => Progress::Pending,
            (Standing::TimedOut, _) => {
                break_it(&mut open, wakes);
                Progress::Ready(leave(&mut open, Passage::Broken, wakes))
            }
            (Standing::Woken, Some(number)) => {
                let passage = match open.state.phase {
                    Phase::Draining => Passage::Through(number),
                    _ => Passage::Broken,
                };
                Progress::Ready(leave(&mut open, passage, wakes))
            }
            (Standing::New | Standing::Woken, _) => enter(&mut open, wait, acts, waker, wakes),
        }
    }

    /// The last party has acted, well or not; it leaves, and the others may.
    pub fn acted(&self, passage: Passage, wakes: &mut Wakes<W>) -> Passage {
        let mut open = self.queue.open();
        match passage {
            Passage::Broken => break_it(&mut open, wakes),
            // Unless it was broken or reset meanwhile.
            _ if open.state.phase == Phase::Acting => let_through(&mut open, wakes),
            _ => {}
        }
        leave(&mut open, passage, wakes)
    }

    /// Back to the beginning; those inside leave with an error. A crowd that is leaving already does so undisturbed, unless
    /// `even_draining`.
    pub fn reset(&self, even_draining: bool, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        if open.state.inside == 0 {
            open.state.phase = Phase::Filling;
            open.wake_all(DOOR, wakes);
        } else if even_draining || open.state.phase != Phase::Draining {
            open.state.phase = Phase::Resetting;
            open.wake_all(INSIDE, wakes);
        }
    }

    /// Breaks it: whoever is inside, at the door, or comes gets an error.
    pub fn abort(&self, wakes: &mut Wakes<W>) {
        break_it(&mut self.queue.open(), wakes);
    }

    /// For how many parties it is.
    pub fn parties(&self) -> usize {
        self.queue.open().state.parties
    }

    /// Makes it anew, for so many.
    pub fn reinitialise(&self, parties: usize) {
        self.queue.reinitialise(|state| *state = Crowd { parties, inside: 0, phase: Phase::Filling });
    }

    /// How many are inside.
    pub fn inside(&self) -> usize {
        self.queue.open().state.inside
    }

    /// What goes on.
    pub fn phase(&self) -> Phase {
        self.queue.open().state.phase
    }

    /// How many wait, at the door or inside.
    pub fn waiting(&self) -> usize {
        let open = self.queue.open();
        open.length(DOOR) + open.length(INSIDE)
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

impl<W> Primitive<W> for Barrier<W> {
    /// As if it had not been begun: the others go on waiting, for one party more.
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        let parked = open.withdraw(wait, waker) != Withdrawn::NotParked;
        if parked && wait.number.take().is_some() {
            leave(&mut open, Passage::Broken, wakes);
        }
    }
}

type Opened<W> = Inner<Crowd, W, 2>;

fn enter<W>(
    open: &mut Opened<W>,
    wait: &mut Wait,
    acts: bool,
    waker: &mut Option<W>,
    wakes: &mut Wakes<W>,
) -> Progress<Passage> {
    // One of a wait that was begun before a fork, or before it was made anew, means nothing here.
    wait.number = None;
    match open.state.phase {
        Phase::Broken => return Progress::Ready(Passage::Refused),
        Phase::Filling => {}
        Phase::Acting | Phase::Draining | Phase::Resetting => return park(open, DOOR, wait, waker),
    }
    let number = open.state.inside;
    let last = number + 1 == open.state.parties;
    if !last && !wait.expired && waker.is_none() {
        return Progress::WouldPark;
    }
    open.state.inside += 1;
    wait.number = Some(number);
    if !last {
        if !wait.expired {
            return park(open, INSIDE, wait, waker);
        }
        break_it(open, wakes);
        return Progress::Ready(leave(open, Passage::Broken, wakes));
    }
    if acts {
        open.state.phase = Phase::Acting;
        return Progress::Ready(Passage::Act(number));
    }
    let_through(open, wakes);
    Progress::Ready(leave(open, Passage::Through(number), wakes))
}

fn park<W>(open: &mut Opened<W>, lane: usize, wait: &mut Wait, waker: &mut Option<W>) -> Progress<Passage> {
    let expired = std::mem::replace(&mut wait.expired, false);
    let progress = open.park(lane, wait, waker);
    wait.expired = expired;
    progress
}

fn let_through<W>(open: &mut Opened<W>, wakes: &mut Wakes<W>) {
    open.state.phase = Phase::Draining;
    open.wake_all(INSIDE, wakes);
}

fn break_it<W>(open: &mut Opened<W>, wakes: &mut Wakes<W>) {
    open.state.phase = Phase::Broken;
    open.wake_all(INSIDE, wakes);
    open.wake_all(DOOR, wakes);
}

/// One party less; the last one opens the door.
fn leave<W>(open: &mut Opened<W>, passage: Passage, wakes: &mut Wakes<W>) -> Passage {
    // Zero where it was made anew while somebody acted.
    open.state.inside = open.state.inside.saturating_sub(1);
    if open.state.inside == 0 && matches!(open.state.phase, Phase::Draining | Phase::Resetting) {
        open.state.phase = Phase::Filling;
        open.wake_all(DOOR, wakes);
    }
    passage
}
