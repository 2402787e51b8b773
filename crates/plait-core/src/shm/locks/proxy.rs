//! One process before a primitive in shared memory: its threads, tasks and greenlets, in the order of their coming.
//!
//! While nobody waits, whoever comes takes what is there. Else one *leads*: it sleeps on the word in shared memory, for itself and for
//! those in the queue behind it. Each lane of the queue has a leader of its own, since what it sleeps for is not what those of the other wait for.
//!
//! ```text
//!               a thread comes, and has to wait                     has it, or gives up; a thread is next
//!     Nobody -----------------------------------> Thread  ------------------------------------------------> Passing
//!        ^ \                                        ^  | a task or greenlet is next                            |
//!        |  \ a task or greenlet comes              |  v                                                       |
//!        |   `-----------------------------------> Helper                                                      |
//!        |                                          |                                                          |
//!        `----------- nobody is left ---------------'              it has noticed: Thread <--------------------'
//! ```
//!
//! A thread that leads sleeps by itself ([`Turn::Lead`]), the quick way for a lone one. On behalf of tasks and greenlets a helper thread does
//! ([`Proxy::serve`]), which hands to the first what it gets, in whatever manner that one waits.
//!
//! Where one waiter's gain is no other's loss (events, barriers), threads need no queue: each sleeps by itself. Rejected: the same for conditions,
//! which would no longer notify those of a process in the order of their coming.

use super::{Rest, Shared};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::wait_queue::{Open, Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Manner, Progress, Wait, Wakes};
use std::collections::VecDeque;

/// What is waited for, and who waits for it here. `W` is how a waiter is woken.
pub struct Proxy<S: Shared, W> {
    /// What all processes share.
    pub shared: S,
    queue: WaitQueue<Local<S>, W, LANES>,
    /// Of each lane: somebody leads, so that who comes new has to look into the queue.
    crowded: [AtomicBool; LANES],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Nobody,
    Thread,
    Helper,
    /// The wait with this number, which has not noticed.
    Passing(u64),
}

struct Local<S: Shared> {
    /// Of each lane.
    leaders: [Leader; LANES],
    /// Of those in the queue, in its order: the numbers of their waits, and what they remember.
    marks: [VecDeque<(u64, S::Mark)>; LANES],
    /// What was handed to waits that have not noticed.
    handed: Vec<(u64, S::Mark, S::Gain)>,
}

impl<S: Shared> State for Local<S> {
    /// In a child. What had been handed to the parent's waiters is theirs.
    fn forget_waiters(&mut self) {
        self.leaders = [Leader::Nobody; LANES];
        self.marks.iter_mut().for_each(VecDeque::clear);
        self.handed.clear();
    }
}

/// What a wait is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<G> {
    /// It has got it.
    Gained(G),
    /// A thread is to sleep by itself, and to say [`Proxy::step_down`] when it has done.
    Lead,
}

/// What is to be done when the queue is closed.
#[must_use]
#[derive(Debug)]
pub struct After<W> {
    /// Whom to wake.
    pub wakes: Wakes<W>,
    /// The helper is to look at this proxy.
    pub summon: bool,
}

impl<W> Default for After<W> {
    fn default() -> Self {
        After { wakes: Wakes::None, summon: false }
    }
}

/// See [`Shared::lane`].
const LANES: usize = 2;
/// The only one of what can be taken from the dead.
const TAKEN_OVER: usize = 0;

type Opened<'a, S, W> = Open<'a, Local<S>, W, LANES>;

impl<S: Shared, W> Proxy<S, W> {
    /// Nobody waits here.
    pub fn new(shared: S) -> Self {
        let leaders = [Leader::Nobody; LANES];
        let local = Local { leaders, marks: Default::default(), handed: Vec::new() };
        Proxy {
            shared,
            queue: WaitQueue::new(local),
            crowded: std::array::from_fn(|_| AtomicBool::new(false)),
        }
    }

    /// Takes it if it is there, and nobody here waits for it.
    #[inline]
    pub fn attempt(&self, mark: S::Mark) -> Option<S::Gain> {
        let crowded = self.crowded[self.shared.lane(mark)].load(Ordering::Relaxed);
        self.take_new(mark, crowded)
    }

    /// For one that comes new.
    #[inline]
    fn take_new(&self, mark: S::Mark, crowded: bool) -> Option<S::Gain> {
        match S::IN_TURN && crowded {
            true => self.shared.take_from_nobody(mark),
            false => self.shared.take(mark, false),
        }
    }

    fn close(&self, open: Opened<'_, S, W>) {
        for (crowded, leader) in self.crowded.iter().zip(open.state.leaders) {
            crowded.store(leader != Leader::Nobody, Ordering::Relaxed);
        }
    }

    /// Waits. A thread waits in [`Manner::Barging`], which is to say that it can lead; others in order.
    pub fn poll(
        &self,
        mark: S::Mark,
        wait: &mut Wait,
        waker: &mut Option<W>,
        after: &mut After<W>,
    ) -> Progress<Turn<S::Gain>> {
        let serial = wait.ticket.map(|ticket| ticket.serial());
        let lane = self.shared.lane(mark);
        let mut open = self.queue.open();
        let progress = match open.standing(wait, waker) {
            Standing::New => self.begin(&mut open, mark, wait, waker, after),
            Standing::Waiting => Progress::Pending,
            Standing::TimedOut => {
                remove(&mut open, serial, after);
                Progress::TimedOut
            }
            Standing::Woken if serial.map(Leader::Passing) == Some(open.state.leaders[lane]) => {
                open.state.leaders[lane] = Leader::Thread;
                Progress::Ready(Turn::Lead)
            }
            Standing::Woken => match handed(&mut open, serial) {
                Some((_, gain)) => Progress::Ready(Turn::Gained(gain)),
                None => self.begin(&mut open, mark, wait, waker, after),
            },
        };
        self.close(open);
        progress
    }

    fn begin(
        &self,
        open: &mut Opened<'_, S, W>,
        mark: S::Mark,
        wait: &mut Wait,
        waker: &mut Option<W>,
        after: &mut After<W>,
    ) -> Progress<Turn<S::Gain>> {
        let is_thread = wait.manner == Manner::Barging;
        let lane = self.shared.lane(mark);
        let first = open.state.leaders[lane] == Leader::Nobody;
        if let Some(gain) = self.take_new(mark, !first) {
            return Progress::Ready(Turn::Gained(gain));
        }
        if is_thread && !wait.expired && (first || !S::IN_TURN) {
            if S::IN_TURN {
                open.state.leaders[lane] = Leader::Thread;
            }
            return Progress::Ready(Turn::Lead);
        }
        let progress = open.park(lane, wait, waker);
        if let (Progress::Pending, Some(ticket)) = (&progress, wait.ticket) {
            open.state.marks[lane].push_back((ticket.serial(), mark));
            if first {
                open.state.leaders[lane] = Leader::Helper;
                after.summon = true;
            }
        }
        progress
    }

    /// A thread that leads has got it, or gives up: the next one's turn.
    pub fn step_down(&self, mark: S::Mark, after: &mut After<W>) {
        if !S::IN_TURN {
            return;
        }
        let lane = self.shared.lane(mark);
        let mut open = self.queue.open();
        if open.state.leaders[lane] == Leader::Thread {
            self.hand_out(&mut open, lane, after);
            pass_on(&mut open, lane, after);
        }
        self.close(open);
    }

    /// Gives the first ones of a lane what is there.
    fn hand_out(&self, open: &mut Opened<'_, S, W>, lane: usize, after: &mut After<W>) {
        while let Some((_, mark)) = open.state.marks[lane].front().copied() {
            let Some(gain) = self.shared.take(mark, true) else { return };
            hand(open, lane, gain, after);
        }
    }

    /// For the helper: gives the first ones what is there; then says where to sleep for the next. None: it is not needed here (any more).
    pub fn serve(&self, after: &mut After<W>) -> Option<Rest<'_>> {
        let mut open = self.queue.open();
        let rest = loop {
            let mut firsts: Vec<_> =
                (0..LANES).filter_map(|lane| self.serve_lane(&mut open, lane, after)).collect();
            firsts.sort_by_key(|mark| self.shared.order(*mark));
            let rests: Vec<_> = firsts.into_iter().map(|mark| self.shared.rest(mark)).collect();
            // One word for both lanes; had it changed in between, the value of the first would show it.
            if rests.iter().all(Option::is_some) {
                break rests.into_iter().next().flatten();
            }
        };
        self.close(open);
        rest
    }

    /// Gives the first ones of a lane what is there, and says which is the first then. None: the helper is not needed there.
    fn serve_lane(&self, open: &mut Opened<'_, S, W>, lane: usize, after: &mut After<W>) -> Option<S::Mark> {
        if open.state.leaders[lane] != Leader::Helper {
            return None;
        }
        self.hand_out(open, lane, after);
        let first = open.state.marks[lane].front().map(|(_, mark)| *mark);
        if first.is_none() {
            open.state.leaders[lane] = Leader::Nobody;
        }
        first
    }

    /// For the helper, now and then: takes it from a process that is dead, for the first.
    pub fn take_over(&self, after: &mut After<W>) {
        if self.queue.open().state.leaders[TAKEN_OVER] != Leader::Helper {
            return;
        }
        // Not with the queue open: it asks the kernel.
        if let Some(gain) = self.shared.take_over() {
            let mut open = self.queue.open();
            let state = &open.state;
            if state.leaders[TAKEN_OVER] == Leader::Helper && !state.marks[TAKEN_OVER].is_empty() {
                hand(&mut open, TAKEN_OVER, gain, after);
                self.close(open);
            } else {
                drop(open);
                self.shared.give_back_taken_over(gain);
            }
        }
    }

    /// Ends a wait otherwise than by what it waited for. Returns what it had been handed, if it was, for the caller to give back.
    pub fn withdraw(
        &self,
        wait: &mut Wait,
        waker: &mut Option<W>,
        after: &mut After<W>,
    ) -> Option<(S::Mark, S::Gain)> {
        let serial = wait.ticket.map(|ticket| ticket.serial());
        let mut open = self.queue.open();
        let gained = match open.withdraw(wait, waker) {
            Withdrawn::NotParked => None,
            Withdrawn::Waited => {
                remove(&mut open, serial, after);
                None
            }
            Withdrawn::Woken(lane) if serial.map(Leader::Passing) == Some(open.state.leaders[lane]) => {
                self.hand_out(&mut open, lane, after);
                pass_on(&mut open, lane, after);
                None
            }
            Withdrawn::Woken(_) => handed(&mut open, serial),
        };
        self.close(open);
        gained
    }

    /// [`Proxy::withdraw`], and what it had been handed goes to somebody else.
    pub fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, after: &mut After<W>) {
        if let Some((mark, gain)) = self.withdraw(wait, waker, after) {
            self.shared.give_back(mark, gain);
            wait.gave_back = true;
        }
    }

    /// How many wait in the queue: who leads by itself does not.
    pub fn waiting(&self) -> usize {
        (0..LANES).map(|lane| self.queue.waiting(lane)).sum()
    }

    /// Shows each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(&self, waker: impl FnMut(&W) -> Result<(), E>) -> Result<(), E> {
        self.queue.visit(|_| Ok(()), waker)
    }
}

/// The first of a lane has got this.
fn hand<S: Shared, W>(open: &mut Opened<'_, S, W>, lane: usize, gain: S::Gain, after: &mut After<W>) {
    if let Some((serial, mark)) = open.state.marks[lane].pop_front() {
        open.state.handed.push((serial, mark, gain));
        open.wake_first(lane, &mut after.wakes);
    }
}

/// What a wait was handed.
fn handed<S: Shared, W>(open: &mut Opened<'_, S, W>, serial: Option<u64>) -> Option<(S::Mark, S::Gain)> {
    let index = open.state.handed.iter().position(|(number, ..)| Some(*number) == serial)?;
    let (_, mark, gain) = open.state.handed.swap_remove(index);
    Some((mark, gain))
}

/// A wait has left the queue. Where it was the first, what the helper sleeps on may be something else now.
fn remove<S: Shared, W>(open: &mut Opened<'_, S, W>, serial: Option<u64>, after: &mut After<W>) {
    let Local { marks, leaders, .. } = &mut open.state;
    for (lane, leader) in marks.iter_mut().zip(leaders) {
        if let Some(index) = lane.iter().position(|(number, _)| Some(*number) == serial) {
            lane.remove(index);
            after.summon |= index == 0 && *leader == Leader::Helper;
        }
    }
}

/// Somebody else leads.
fn pass_on<S: Shared, W>(open: &mut Opened<'_, S, W>, lane: usize, after: &mut After<W>) {
    open.state.leaders[lane] = match open.first(lane) {
        None => Leader::Nobody,
        Some(Manner::Barging) => {
            let first = open.state.marks[lane].pop_front();
            open.wake_first(lane, &mut after.wakes);
            first.map_or(Leader::Nobody, |(serial, _)| Leader::Passing(serial))
        }
        Some(_) => {
            after.summon = true;
            Leader::Helper
        }
    };
}
