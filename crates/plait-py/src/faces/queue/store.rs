//! What all queues have in common: items, in one of three orders, and who waits for them.
//!
//! First-in-first-out and last-in-first-out queues keep their items in the channel itself. A priority queue's order is found by `__lt__`, which
//! may be any Python code, so that no core lock may be held meanwhile: its items are a list, kept in order by the standard
//! library's own `heapq` under a lock that is itself a wait queue, and its channel carries empty tokens, one for each item.

use super::turns::Turns;
use crate::guarded::Guarded;
use crate::standard::standard;
use crate::trashcan;
use crate::waiters::task::{self, Service, Step, WaitFuture};
use crate::waiters::{attempt, block, fire, Patience, Waker};
use plait_core::primitives::channel::{Channel, Order, Refusal};
use plait_core::primitives::lock::Lock;
use plait_core::waiter::{Manner, Progress, Wait, Wakes};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Fifo,
    Lifo,
    Priority,
}

/// An item, or the token of one that lies in the heap.
type Item = Option<Py<PyAny>>;

pub struct Store {
    pub kind: Kind,
    channel: Channel<Item, Waker>,
    heap: Guarded<Option<Py<PyList>>>,
    /// None for one loop's tasks, which are never two at a time.
    heap_lock: Option<Lock<Waker>>,
    /// What the user gave as `maxsize`: shown as it was.
    maxsize: Guarded<Option<Py<PyAny>>>,
    /// The items have moved out: see the module above.
    open: AtomicBool,
    /// An open queue's shutdown is the standard algorithm's affair; it is noted here.
    open_shut_down: AtomicBool,
    turns: Turns,
}

/// Items, and the futures of who waits to get and to put.
pub type Opened<'py> = (Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>);

/// What came of an operation that does not wait any more.
pub enum Done<T> {
    Yes(T),
    ShutDown,
    /// The queue is open now: the standard algorithm has to do it.
    Opened,
}

impl<T> From<Result<T, Refusal>> for Done<T> {
    fn from(result: Result<T, Refusal>) -> Done<T> {
        match result {
            Ok(value) => Done::Yes(value),
            Err(Refusal::ShutDown) => Done::ShutDown,
            Err(Refusal::ClosedDown) => Done::Opened,
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.channel.is_empty() {
            let [mut getters, mut putters, mut joiners] = [const { Wakes::<Waker>::None }; 3];
            let items = self.channel.close_down(&mut getters, &mut putters, Some(&mut joiners));
            trashcan::let_go(move || drop((items, getters, putters, joiners)));
        }
    }
}

/// What became of an item that was to go into the heap.
enum Pushed {
    InOrder,
    /// It is there, and its comparison failed.
    Unordered(PyErr),
    Refused(Refusal),
}

impl Store {
    pub fn new(kind: Kind) -> Store {
        let order = if kind == Kind::Lifo { Order::Lifo } else { Order::Fifo };
        Store {
            kind,
            channel: Channel::new(order, 0),
            heap: Guarded::new(None),
            heap_lock: Some(Lock::default()),
            maxsize: Guarded::new(None),
            open: AtomicBool::new(false),
            open_shut_down: AtomicBool::new(false),
            turns: Turns::default(),
        }
    }

    /// For tasks of one loop.
    pub fn for_one_loop(kind: Kind) -> Store {
        let mut store = Store::new(kind);
        store.heap_lock = None;
        store
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    // ---- how large it may be

    pub fn maxsize<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.maxsize.with(py, |m| m.as_ref().map(|m| m.clone_ref(py))) {
            Some(given) => Ok(given.into_bound(py)),
            None => Ok(0i32.into_pyobject(py)?.into_any()),
        }
    }

    /// False when it is no number, which the standard algorithm finds out in its own way.
    pub fn set_maxsize(&self, maxsize: Bound<'_, PyAny>) -> bool {
        let py = maxsize.py();
        let limit = maxsize.extract::<f64>().ok().filter(|limit| !limit.is_nan());
        drop(self.maxsize.with(py, |known| known.replace(maxsize.unbind())));
        let Some(limit) = limit else { return false };
        self.channel.set_limit(limit.max(0.0).ceil() as usize);
        true
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    pub fn is_limited(&self) -> bool {
        self.channel.limit() > 0
    }

    pub fn is_full(&self) -> bool {
        let limit = self.channel.limit();
        limit > 0 && self.len() >= limit
    }

    pub fn waiting(&self) -> [usize; 3] {
        self.channel.waiting()
    }

    // ---- putting

    /// Tries to put. None: there is no room.
    #[inline]
    pub fn try_put(&self, item: &Bound<'_, PyAny>, manner: Manner) -> PyResult<Option<Done<()>>> {
        let py = item.py();
        self.turns.take();
        if self.kind == Kind::Priority {
            let reserved =
                attempt(py, &self.channel, manner, |wait, waker, _| self.channel.poll_reserve(wait, waker));
            return reserved.map(|reserved| self.push_where_reserved(item, reserved)).transpose();
        }
        let mut slot = Some(Some(item.clone().unbind()));
        let put = attempt(py, &self.channel, manner, |wait, waker, wakes| {
            self.channel.poll_put(&mut slot, wait, waker, wakes)
        });
        Ok(put.map(Done::from))
    }

    /// Blocks until there is room. None: the time is up.
    pub fn put(
        &self,
        item: &Bound<'_, PyAny>,
        manner: Manner,
        patience: Patience<'_>,
    ) -> PyResult<Option<Done<()>>> {
        let py = item.py();
        self.turns.waits();
        if self.kind == Kind::Priority {
            let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.channel.poll_reserve(wait, waker);
            let reserved = block(py, &self.channel, manner, patience, poll)?;
            return reserved.map(|reserved| self.push_where_reserved(item, reserved)).transpose();
        }
        let mut slot = Some(Some(item.clone().unbind()));
        let poll =
            |wait: &mut _, waker: &mut _, wakes: &mut _| self.channel.poll_put(&mut slot, wait, waker, wakes);
        Ok(block(py, &self.channel, manner, patience, poll)?.map(Done::from))
    }

    /// Puts for a coroutine, or gives it what to await. It has awaited `waiter`, if any.
    pub fn begin_put<'py>(
        &self,
        item: &Bound<'py, PyAny>,
        service: Service,
        waiter: Option<&Bound<'py, WaitFuture>>,
        loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Step<Done<()>>> {
        let py = item.py();
        if self.kind == Kind::Priority {
            let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.channel.poll_reserve(wait, waker);
            let step = self.step(py, service, waiter, loop_, poll)?;
            return match step {
                Step::Wait(future) => Ok(Step::Wait(future)),
                Step::Ready(reserved) => Ok(Step::Ready(self.push_where_reserved(item, reserved)?)),
            };
        }
        let mut slot = Some(Some(item.clone().unbind()));
        let poll = |wait: &mut Wait, waker: &mut _, wakes: &mut _| {
            self.channel.poll_put(&mut slot, wait, waker, wakes)
        };
        Ok(match self.step(py, service, waiter, loop_, poll)? {
            Step::Wait(future) => Step::Wait(future),
            Step::Ready(put) => Step::Ready(put.into()),
        })
    }

    fn step<'py, T>(
        &self,
        py: Python<'py>,
        service: Service,
        waiter: Option<&Bound<'py, WaitFuture>>,
        loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
        poll: impl FnMut(&mut Wait, &mut Option<Waker>, &mut Wakes<Waker>) -> Progress<T>,
    ) -> PyResult<Step<T>> {
        match waiter {
            Some(waiter) => task::resume(waiter, &self.channel, poll),
            None => task::begin(py, &self.channel, service, loop_, poll),
        }
    }

    /// Puts into the heap, where a place is kept.
    fn push_where_reserved(
        &self,
        item: &Bound<'_, PyAny>,
        reserved: Result<(), Refusal>,
    ) -> PyResult<Done<()>> {
        let py = item.py();
        match reserved {
            Ok(()) => {}
            Err(refusal) => return Ok(Err(refusal).into()),
        }
        let pushed = self.with_heap(py, |heap| {
            // While this waited for the heap, the queue may have been shut down, or opened.
            if let Some(refusal) = self.channel.refusal() {
                return Ok(Pushed::Refused(refusal));
            }
            let length = heap.len();
            let pushed = standard(py).heappush.bind(py).call1((heap, item)).map(drop);
            // heapq appends before it compares: with the comparison failed, the item is there all the same.
            match pushed {
                Err(error) if heap.len() > length => Ok(Pushed::Unordered(error)),
                pushed => pushed.map(|()| Pushed::InOrder),
            }
        });
        let mut wakes = Wakes::None;
        let result = match pushed {
            Ok(Pushed::InOrder) => {
                self.channel.fill(None, &mut wakes);
                Ok(Done::Yes(()))
            }
            Ok(Pushed::Refused(refusal)) => {
                self.channel.unreserve(&mut wakes);
                Ok(Err(refusal).into())
            }
            Ok(Pushed::Unordered(unordered)) => {
                self.channel.fill(None, &mut wakes);
                // Nobody will call task_done for what was not put rightly.
                let _ = self.channel.task_done(&mut wakes);
                Err(unordered)
            }
            Err(error) => {
                self.channel.unreserve(&mut wakes);
                Err(error)
            }
        };
        fire(py, &self.channel, wakes);
        result
    }

    // ---- getting

    /// Tries to get. None: there is nothing.
    #[inline]
    pub fn try_get<'py>(&self, py: Python<'py>, manner: Manner) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        self.turns.take();
        let got = attempt(py, &self.channel, manner, |wait, waker, wakes| self.poll_get(wait, waker, wakes));
        got.map(|got| self.item(py, got)).transpose()
    }

    /// Blocks until there is something. None: the time is up.
    pub fn get<'py>(
        &self,
        py: Python<'py>,
        manner: Manner,
        patience: Patience<'_>,
    ) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        self.turns.waits();
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.poll_get(wait, waker, wakes);
        block(py, &self.channel, manner, patience, poll)?.map(|got| self.item(py, got)).transpose()
    }

    /// What a coroutine that has awaited `waiter` gets. None: somebody was faster.
    pub fn collect<'py>(&self, waiter: &Bound<'py, WaitFuture>) -> PyResult<Option<Done<Bound<'py, PyAny>>>> {
        let got =
            task::collect(waiter, &self.channel, |wait, waker, wakes| self.poll_get(wait, waker, wakes));
        got.map(|got| self.item(waiter.py(), got)).transpose()
    }

    /// Gets for a coroutine that found nothing, or gives it what to await.
    pub fn begin_get<'py>(
        &self,
        py: Python<'py>,
        service: Service,
        loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Step<Done<Bound<'py, PyAny>>>> {
        let poll = |wait: &mut _, waker: &mut _, wakes: &mut _| self.poll_get(wait, waker, wakes);
        Ok(match task::begin(py, &self.channel, service, loop_, poll)? {
            Step::Wait(future) => Step::Wait(future),
            Step::Ready(got) => Step::Ready(self.item(py, got)?),
        })
    }

    /// An item's place is free as soon as it is taken, that of one in the heap when it has been taken out there.
    #[inline]
    fn poll_get(
        &self,
        wait: &mut Wait,
        waker: &mut Option<Waker>,
        wakes: &mut Wakes<Waker>,
    ) -> Progress<Result<Item, Refusal>> {
        match self.kind {
            Kind::Priority => self.channel.poll_claim(wait, waker),
            _ => self.channel.poll_get(wait, waker, wakes),
        }
    }

    #[inline]
    fn item<'py>(&self, py: Python<'py>, got: Result<Item, Refusal>) -> PyResult<Done<Bound<'py, PyAny>>> {
        match got {
            Ok(Some(item)) => Ok(Done::Yes(item.into_bound(py))),
            Ok(None) => self.pop_heap(py),
            Err(refusal) => Ok(Err(refusal).into()),
        }
    }

    fn pop_heap<'py>(&self, py: Python<'py>) -> PyResult<Done<Bound<'py, PyAny>>> {
        let popped = self.with_heap(py, |heap| {
            if self.is_open() {
                return Ok(Ok(Done::Opened)); // with this one's item, while it waited for the heap
            }
            let length = heap.len();
            let popped = standard(py).heappop.bind(py).call1((heap,));
            match popped {
                // heapq has taken an item out before it compares.
                Err(error) if heap.len() < length => Ok(Err(error)),
                popped => popped.map(|item| Ok(Done::Yes(item))),
            }
        });
        let mut wakes = Wakes::None;
        self.channel.leave_place(popped.is_err().then_some(None), &mut wakes);
        fire(py, &self.channel, wakes);
        popped?
    }

    /// The heap, for one at a time. An error is one of `body`, or what a signal handler raised while this waited.
    fn with_heap<'py, R>(
        &self,
        py: Python<'py>,
        body: impl FnOnce(&Bound<'py, PyList>) -> PyResult<R>,
    ) -> PyResult<R> {
        let Some(lock) = &self.heap_lock else {
            return body(&self.heap_list(py));
        };
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| lock.poll(wait, waker);
        if attempt(py, lock, Manner::Barging, poll).is_none() {
            block(py, lock, Manner::Barging, Patience::Forever, poll)?;
        }
        let result = body(&self.heap_list(py));
        if let Ok(wakes) = lock.release() {
            fire(py, lock, wakes);
        }
        result
    }

    fn heap_list<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        if let Some(heap) = self.heap.with(py, |heap| heap.as_ref().map(|heap| heap.clone_ref(py))) {
            return heap.into_bound(py);
        }
        let fresh = PyList::empty(py).unbind();
        self.heap.with(py, |heap| heap.get_or_insert(fresh).clone_ref(py)).into_bound(py)
    }

    // ---- what is to be done

    /// False when it was called more often than items were put.
    pub fn task_done(&self, py: Python<'_>) -> bool {
        let mut wakes = Wakes::None;
        let done = self.channel.task_done(&mut wakes);
        fire(py, &self.channel, wakes);
        done.is_ok()
    }

    pub fn unfinished(&self) -> i64 {
        self.channel.unfinished()
    }

    pub fn set_unfinished(&self, py: Python<'_>, unfinished: i64) {
        let mut wakes = Wakes::None;
        self.channel.set_unfinished(unfinished, &mut wakes);
        fire(py, &self.channel, wakes);
    }

    /// Blocks until all is done.
    pub fn join(&self, py: Python<'_>, manner: Manner) -> PyResult<Done<()>> {
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.channel.poll_join(wait, waker);
        if let Some(joined) = attempt(py, &self.channel, manner, poll) {
            return Ok(joined.into());
        }
        let joined = block(py, &self.channel, manner, Patience::Forever, poll)?;
        Ok(joined.map_or(Done::Yes(()), Done::from))
    }

    pub fn begin_join<'py>(
        &self,
        py: Python<'py>,
        service: Service,
        waiter: Option<&Bound<'py, WaitFuture>>,
        loop_: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Step<Done<()>>> {
        // Whoever was woken has seen the end of the work: in order, whatever the queue's manner.
        let service = Service { manner: Manner::InOrder, ..service };
        let poll = |wait: &mut _, waker: &mut _, _: &mut _| self.channel.poll_join(wait, waker);
        Ok(match self.step(py, service, waiter, loop_, poll)? {
            Step::Wait(future) => Step::Wait(future),
            Step::Ready(joined) => Step::Ready(joined.into()),
        })
    }

    pub fn give_up(&self, waiter: &Bound<'_, WaitFuture>) {
        task::give_up(waiter.py(), &self.channel, waiter.as_unbound());
    }

    // ---- the end

    pub fn shut_down(&self, py: Python<'_>, immediate: bool) -> PyResult<()> {
        let mut wakes = Wakes::None;
        let drained = match immediate && self.kind == Kind::Priority {
            false => self.channel.shut_down(immediate, &mut wakes),
            true => self.with_heap(py, |heap| {
                let drained = self.channel.shut_down(true, &mut wakes);
                // As many as there were tokens: whoever holds one still finds an item.
                let left = heap.len().saturating_sub(drained.len());
                heap.del_slice(left, heap.len())?;
                Ok(drained)
            })?,
        };
        fire(py, &self.channel, wakes);
        drop(drained);
        Ok(())
    }

    pub fn is_shut_down(&self) -> bool {
        self.channel.is_shut_down() || self.open_shut_down.load(Ordering::Relaxed)
    }

    pub fn note_shut_down(&self, shut_down: bool) {
        self.open_shut_down.store(shut_down, Ordering::Relaxed);
    }

    /// Opens the queue: hands out its items, in the order in which the standard queue keeps them, and the futures of the tasks that
    /// wait to get and to put; other waiters are woken. None: it is open already.
    pub fn open<'py>(&self, py: Python<'py>) -> PyResult<Option<Opened<'py>>> {
        match self.kind {
            // Not while somebody compares.
            Kind::Priority => self.with_heap(py, |_| self.open_now(py)),
            _ => self.open_now(py),
        }
    }

    fn open_now<'py>(&self, py: Python<'py>) -> PyResult<Option<Opened<'py>>> {
        if self.open.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        let shut_down = self.channel.is_shut_down();
        self.note_shut_down(shut_down);
        let one_loop = self.heap_lock.is_none();
        let [mut getters, mut putters, mut others] = [const { Wakes::None }; 3];
        let joiners = (!one_loop).then_some(&mut others);
        let items = self.channel.close_down(&mut getters, &mut putters, joiners);
        let items = match self.kind {
            // They go with the list: who waits for the heap finds none here.
            Kind::Priority => {
                let heap = self.heap_list(py);
                drop(self.heap.with(py, Option::take));
                heap
            }
            _ => PyList::new(py, items.into_iter().flatten().collect::<Vec<_>>())?,
        };
        let mut handed_over = |wakes: Wakes<Waker>| {
            let futures = PyList::empty(py);
            let mut threads = Vec::new();
            wakes.for_each(|waker| match waker {
                Waker::Future(future) if one_loop => threads.push(futures.append(future)),
                other => others.push(other),
            });
            threads.into_iter().collect::<PyResult<()>>().map(|()| futures)
        };
        let (getters, putters) = (handed_over(getters)?, handed_over(putters)?);
        fire(py, &self.channel, others);
        Ok(Some((items, getters, putters)))
    }

    /// The items of a sealed queue, to show.
    pub fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        if self.kind == Kind::Priority {
            return Ok(self.heap_list(py));
        }
        let mut items = Vec::new();
        let mut note = |item: &Item| -> Result<(), ()> {
            items.extend(item.as_ref().map(|item| item.clone_ref(py)));
            Ok(())
        };
        // It never fails: `note` does not.
        let _ = self.channel.visit(&mut note, |_| Ok(()));
        PyList::new(py, items)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.heap.traverse())?;
        visit.call(self.maxsize.traverse())?;
        self.channel.visit(|item| visit.call(item), |waker| waker.traverse(visit))
    }

    /// `__init__` once more: drops what is there. (An open queue's items are the standard algorithm's affair.)
    pub fn empty_out(&self, py: Python<'_>) {
        if self.is_open() || (self.len() == 0 && self.unfinished() == 0 && !self.is_shut_down()) {
            return;
        }
        let mut wakes = Wakes::None;
        let items = self.channel.reinitialise(&mut wakes);
        fire(py, &self.channel, wakes);
        drop((items, self.heap.with(py, Option::take)));
    }

    /// For the collector: lets all items go.
    pub fn clear(&self, py: Python<'_>) {
        let [mut getters, mut putters, mut others] = [const { Wakes::None }; 3];
        let items = self.channel.close_down(&mut getters, &mut putters, Some(&mut others));
        drop((
            items,
            getters,
            putters,
            others,
            self.heap.with(py, Option::take),
            self.maxsize.with(py, Option::take),
        ));
    }
}
