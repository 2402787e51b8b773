//! Channel: items on their way from those who put to those who get. The state of every queue.
//!
//! Who is woken because there is an item, or room for one, tries again: the item stays in the channel, so that nothing has to be
//! taken back from a waiter that went away. What differs is who may be faster (see [`Manner`]): for a waiter in order one item, or one
//! place, is *reserved* until it has noticed, and nobody else may take it.
//!
//! A queue whose order is decided by Python code (a heap with `__lt__`) keeps its items elsewhere, under a lock that Python may
//! wait for, and uses a channel of `()`: the number of items, and everything about waiting for them.

use super::Primitive;
use crate::wait_queue::{Inner, Open, Standing, State, WaitQueue, Withdrawn};
use crate::waiter::{Manner, Progress, Wait, Wakes};
use std::collections::VecDeque;

/// A queue that a burst has made longer than this gives its memory back when it is empty.
const KEPT_CAPACITY: usize = 1024;

/// Which item comes out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Fifo,
    /// The newest.
    Lifo,
}

struct Items<T> {
    items: VecDeque<T>,
    order: Order,
    /// 0: no limit.
    limit: usize,
    /// Items that are taken, and whose places are not free yet.
    claimed: usize,
    unfinished: i64,
    refusal: Option<Refusal>,
    /// Closed down, it has woken those who join, to wait elsewhere.
    sent_joiners_away: bool,
    getters: Promised,
    putters: Promised,
}

/// What waiters of a lane were promised and have not come for yet.
#[derive(Default)]
struct Promised {
    /// Items, or places, that only those may take to whom they were handed.
    reserved: usize,
    /// How many barging waiters were told to try.
    notified: usize,
}

impl<T> State for Items<T> {
    fn forget_waiters(&mut self) {
        self.getters = Promised::default();
        self.putters = Promised::default();
        self.claimed = 0;
    }
}

impl<T> Items<T> {
    fn takeable(&self) -> usize {
        self.items.len().saturating_sub(self.getters.reserved)
    }

    fn room(&self) -> usize {
        match self.limit {
            0 => usize::MAX,
            limit => limit.saturating_sub(self.items.len() + self.claimed + self.putters.reserved),
        }
    }

    fn add(&mut self, item: T) {
        self.items.push_back(item);
        self.unfinished += 1;
    }

    fn take(&mut self) -> T {
        let item = match self.order {
            Order::Fifo => self.items.pop_front(),
            Order::Lifo => self.items.pop_back(),
        };
        if self.items.is_empty() && self.items.capacity() > KEPT_CAPACITY {
            self.items = VecDeque::new();
        }
        item.expect("whoever takes has seen an item")
    }
}

/// Why nothing is to be put, or got, any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was shut down.
    ShutDown,
    /// Its items are somebody else's now: see [`Channel::close_down`].
    ClosedDown,
}

/// `task_done` was called more often than items were put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingUnfinished;

/// Items, and who waits for one, for room, or for all of them to be done.
pub struct Channel<T, W> {
    queue: WaitQueue<Items<T>, W, 3>,
}

const GET: usize = 0;
const PUT: usize = 1;
const JOIN: usize = 2;

type Opened<T, W> = Inner<Items<T>, W, 3>;

impl<T, W> Channel<T, W> {
    /// An empty channel for at most `limit` items; 0 for any number.
    pub fn new(order: Order, limit: usize) -> Self {
        let (getters, putters) = (Promised::default(), Promised::default());
        let items = VecDeque::new();
        let state = Items {
            items,
            order,
            limit,
            claimed: 0,
            unfinished: 0,
            refusal: None,
            sent_joiners_away: false,
            getters,
            putters,
        };
        Channel { queue: WaitQueue::new(state) }
    }

    /// Waits for an item.
    #[inline]
    pub fn poll_get(
        &self,
        wait: &mut Wait,
        waker: &mut Option<W>,
        wakes: &mut Wakes<W>,
    ) -> Progress<Result<T, Refusal>> {
        let mut open = self.queue.open();
        let progress = poll_item(&mut open, wait, waker);
        if let Progress::Ready(Ok(_)) = progress {
            offer_room(&mut open, wakes);
        }
        progress
    }

    /// The same, but the item's place stays taken until [`Channel::leave_place`]: the caller has to do something first.
    #[inline]
    pub fn poll_claim(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<Result<T, Refusal>> {
        let mut open = self.queue.open();
        let progress = poll_item(&mut open, wait, waker);
        if let Progress::Ready(Ok(_)) = progress {
            open.state.claimed += 1;
        }
        progress
    }

    /// The place of a claimed item is free; or `back` is put back into it, to be the next to come out.
    pub fn leave_place(&self, back: Option<T>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        open.state.claimed = open.state.claimed.saturating_sub(1);
        match (back, open.state.order) {
            (None, _) => {
                offer_room(&mut open, wakes);
                return;
            }
            (Some(item), Order::Fifo) => open.state.items.push_front(item),
            (Some(item), Order::Lifo) => open.state.items.push_back(item),
        }
        offer_item(&mut open, wakes);
    }

    /// Waits for room. The item is taken out of `item` when it is put.
    #[inline]
    pub fn poll_put(
        &self,
        item: &mut Option<T>,
        wait: &mut Wait,
        waker: &mut Option<W>,
        wakes: &mut Wakes<W>,
    ) -> Progress<Result<(), Refusal>> {
        let mut open = self.queue.open();
        let progress = poll_room(&mut open, wait, waker);
        if let Progress::Ready(Ok(())) = progress {
            open.state.add(item.take().expect("an item is put once"));
            offer_item(&mut open, wakes);
        }
        progress
    }

    /// Waits for room, and keeps it for an item that is not ready to be put yet: see [`Channel::fill`] and [`Channel::unreserve`].
    #[inline]
    pub fn poll_reserve(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<Result<(), Refusal>> {
        let mut open = self.queue.open();
        let progress = poll_room(&mut open, wait, waker);
        if let Progress::Ready(Ok(())) = progress {
            open.state.putters.reserved += 1;
        }
        progress
    }

    /// Puts an item where room was reserved.
    pub fn fill(&self, item: T, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        open.state.putters.reserved = open.state.putters.reserved.saturating_sub(1);
        open.state.add(item);
        offer_item(&mut open, wakes);
    }

    /// Gives room back that was reserved.
    pub fn unreserve(&self, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        open.state.putters.reserved = open.state.putters.reserved.saturating_sub(1);
        offer_room(&mut open, wakes);
    }

    /// Waits until every item that was put is done. One that waits in order, and is woken, has seen it; others look again.
    pub fn poll_join(&self, wait: &mut Wait, waker: &mut Option<W>) -> Progress<Result<(), Refusal>> {
        let mut open = self.queue.open();
        match open.standing(wait, waker) {
            Standing::Waiting => return Progress::Pending,
            Standing::TimedOut => return Progress::TimedOut,
            Standing::Woken if wait.manner == Manner::InOrder && !open.state.sent_joiners_away => {
                return Progress::Ready(Ok(()));
            }
            _ if open.state.refusal == Some(Refusal::ClosedDown) => {
                return Progress::Ready(Err(Refusal::ClosedDown));
            }
            Standing::New | Standing::Woken => {}
        }
        match open.state.unfinished {
            0 => Progress::Ready(Ok(())),
            _ => open.park(JOIN, wait, waker),
        }
    }

    /// One item that was got is done.
    pub fn task_done(&self, wakes: &mut Wakes<W>) -> Result<(), NothingUnfinished> {
        let mut open = self.queue.open();
        match open.state.unfinished - 1 {
            ..0 => Err(NothingUnfinished),
            unfinished => {
                set_unfinished(&mut open, unfinished, wakes);
                Ok(())
            }
        }
    }

    /// From now on nothing can be put, and nothing be got that is not there; with `drain`, what is there is handed back instead, and
    /// counts as done.
    pub fn shut_down(&self, drain: bool, wakes: &mut Wakes<W>) -> VecDeque<T> {
        let mut open = self.queue.open();
        open.state.refusal = Some(Refusal::ShutDown);
        // From now on nobody parks, so nothing can be kept for anybody: what is there is for whoever is first.
        open.state.forget_waiters();
        let mut drained = VecDeque::new();
        if drain {
            drained = std::mem::take(&mut open.state.items);
            let unfinished = (open.state.unfinished - drained.len() as i64).max(0);
            set_unfinished(&mut open, unfinished, wakes);
        }
        open.wake_all(GET, wakes);
        open.wake_all(PUT, wakes);
        drained
    }

    /// How many items there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.open().state.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items nobody will come for who waits now, or was told and has not come yet.
    #[inline]
    pub fn unattended(&self) -> usize {
        let open = self.queue.open();
        let coming = open.length(GET) + open.state.getters.notified + open.state.getters.reserved;
        open.state.items.len().saturating_sub(coming)
    }

    /// How many it may hold; 0 for any number.
    pub fn limit(&self) -> usize {
        self.queue.open().state.limit
    }

    /// Changes that. Nobody is woken by it, as in the standard library: who waits for room does so until something is taken.
    pub fn set_limit(&self, limit: usize) {
        self.queue.open().state.limit = limit;
    }

    /// How many items are not done. Less than none only where a program has said so.
    pub fn unfinished(&self) -> i64 {
        self.queue.open().state.unfinished
    }

    /// Changes that.
    pub fn set_unfinished(&self, unfinished: i64, wakes: &mut Wakes<W>) {
        set_unfinished(&mut self.queue.open(), unfinished, wakes);
    }

    /// What is said to those who put now.
    pub fn refusal(&self) -> Option<Refusal> {
        self.queue.open().state.refusal
    }

    /// Whether it was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.queue.open().state.refusal == Some(Refusal::ShutDown)
    }

    /// How many wait to get, to put, and for the end of all work.
    pub fn waiting(&self) -> [usize; 3] {
        let open = self.queue.open();
        [open.length(GET), open.length(PUT), open.length(JOIN)]
    }

    /// Hands out all items, oldest first, and refuses all from now on; whoever waits is woken, to wait elsewhere. The limit and the
    /// number of unfinished items are still kept here, so those who wait in order for the end of all work may as well stay (None).
    pub fn close_down(
        &self,
        getters: &mut Wakes<W>,
        putters: &mut Wakes<W>,
        joiners: Option<&mut Wakes<W>>,
    ) -> VecDeque<T> {
        let mut open = self.queue.open();
        open.state.refusal = Some(Refusal::ClosedDown);
        open.state.forget_waiters();
        for (lane, wakes) in [(GET, getters), (PUT, putters)] {
            open.wake_all(lane, wakes);
        }
        if let Some(wakes) = joiners {
            open.state.sent_joiners_away = true;
            open.wake_all(JOIN, wakes);
        }
        std::mem::take(&mut open.state.items)
    }

    /// Makes it anew, without a limit; hands out what was in it, and wakes everybody, to look again.
    pub fn reinitialise(&self, wakes: &mut Wakes<W>) -> VecDeque<T> {
        let mut open = self.queue.open();
        open.state.forget_waiters();
        open.state.refusal = None;
        open.state.sent_joiners_away = false;
        open.state.limit = 0;
        for lane in [GET, PUT] {
            open.wake_all(lane, wakes);
        }
        set_unfinished(&mut open, 0, wakes);
        std::mem::take(&mut open.state.items)
    }

    /// Shows each item and each waker: see [`WaitQueue::visit`].
    pub fn visit<E>(
        &self,
        item: impl FnMut(&T) -> Result<(), E>,
        waker: impl FnMut(&W) -> Result<(), E>,
    ) -> Result<(), E> {
        self.queue.visit(|state| state.items.iter().try_for_each(item), waker)
    }
}

impl<T, W> Primitive<W> for Channel<T, W> {
    /// Another gets the chance that it had.
    fn give_up(&self, wait: &mut Wait, waker: &mut Option<W>, wakes: &mut Wakes<W>) {
        let mut open = self.queue.open();
        match open.withdraw(wait, waker) {
            Withdrawn::Woken(GET) => {
                collect(&mut open.state.getters, wait);
                if !open.state.items.is_empty() {
                    offer_item(&mut open, wakes);
                }
            }
            Withdrawn::Woken(PUT) => {
                collect(&mut open.state.putters, wait);
                if open.state.room() > 0 {
                    offer_room(&mut open, wakes);
                }
            }
            _ => {} // all who wait for the end of the work were woken
        }
    }
}

/// Waits for room; Ready says that there is some, and that the caller may use it now.
#[inline]
fn poll_room<T, W>(
    open: &mut Open<'_, Items<T>, W, 3>,
    wait: &mut Wait,
    waker: &mut Option<W>,
) -> Progress<Result<(), Refusal>> {
    let standing = open.standing(wait, waker);
    match standing {
        Standing::Waiting => return Progress::Pending,
        Standing::TimedOut => return Progress::TimedOut,
        Standing::Woken => collect(&mut open.state.putters, wait),
        Standing::New => {}
    }
    if let Some(refusal) = open.state.refusal {
        return Progress::Ready(Err(refusal));
    }
    let allowed = standing == Standing::Woken || wait.overtakes() || open.is_empty(PUT);
    if allowed && open.state.room() > 0 {
        return Progress::Ready(Ok(()));
    }
    if standing == Standing::Woken {
        wait.insist();
    }
    open.park(PUT, wait, waker)
}

/// A waiter that was woken has come.
fn collect(promised: &mut Promised, wait: &Wait) {
    let count = match wait.manner {
        Manner::InOrder => &mut promised.reserved,
        Manner::Barging | Manner::NewestFirst => &mut promised.notified,
        Manner::Looping => return,
    };
    // Zero after a shutdown, which wakes waiters without promising them anything.
    *count = count.saturating_sub(1);
}

/// Waits for an item; Ready has it, taken out.
#[inline]
fn poll_item<T, W>(
    open: &mut Open<'_, Items<T>, W, 3>,
    wait: &mut Wait,
    waker: &mut Option<W>,
) -> Progress<Result<T, Refusal>> {
    match open.standing(wait, waker) {
        Standing::New => {
            if open.state.takeable() > 0 && (wait.overtakes() || open.is_empty(GET)) {
                return Progress::Ready(Ok(open.state.take()));
            }
        }
        Standing::Waiting => return Progress::Pending,
        Standing::TimedOut => return Progress::TimedOut,
        Standing::Woken => {
            collect(&mut open.state.getters, wait);
            if open.state.takeable() > 0 {
                return Progress::Ready(Ok(open.state.take()));
            }
            wait.insist();
        }
    }
    match open.state.refusal {
        Some(refusal) if open.state.items.is_empty() => Progress::Ready(Err(refusal)),
        _ => open.park(GET, wait, waker),
    }
}

/// There is an item more than before: the first who waits for one is told.
#[inline]
fn offer_item<T, W>(open: &mut Opened<T, W>, wakes: &mut Wakes<W>) {
    let Some(manner) = open.first(GET) else { return };
    let available = open.state.takeable();
    let promised = &mut open.state.getters;
    if promise(promised, manner, available) {
        open.wake_first(GET, wakes);
    }
}

/// There is room for one more than before. Says whether somebody was told.
#[inline]
fn offer_room<T, W>(open: &mut Opened<T, W>, wakes: &mut Wakes<W>) -> bool {
    let Some(manner) = open.first(PUT) else { return false };
    let available = open.state.room();
    let promised = &mut open.state.putters;
    promise(promised, manner, available) && open.wake_first(PUT, wakes)
}

/// Whether a waiter of that manner is to be woken, when so much can be had.
fn promise(promised: &mut Promised, manner: Manner, available: usize) -> bool {
    match manner {
        Manner::Looping => return true,
        _ if available <= promised.notified => return false,
        Manner::InOrder => promised.reserved += 1,
        Manner::Barging | Manner::NewestFirst => promised.notified += 1,
    }
    true
}

fn set_unfinished<T, W>(open: &mut Opened<T, W>, unfinished: i64, wakes: &mut Wakes<W>) {
    open.state.unfinished = unfinished;
    if unfinished == 0 {
        open.wake_all(JOIN, wakes);
    }
}
