//! The queue itself: who stands where, what becomes of wakers, and what a wait knows of its place.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Counts how often the waiters were forgotten.
#[derive(Default)]
struct Forgotten(u32);

impl State for Forgotten {
    fn forget_waiters(&mut self) {
        self.0 += 1;
    }
}

type TestQueue<W, const LANES: usize> = WaitQueue<Forgotten, W, LANES>;

fn new_queue<W, const LANES: usize>() -> TestQueue<W, LANES> {
    WaitQueue::new(Forgotten::default())
}

fn park<W, const LANES: usize>(queue: &TestQueue<W, LANES>, lane: usize, waker: W) -> Wait {
    let mut wait = Wait::new(Manner::InOrder);
    assert_eq!(queue.open().park::<()>(lane, &mut wait, &mut Some(waker)), Progress::Pending);
    wait
}

fn standing<W, const LANES: usize>(queue: &TestQueue<W, LANES>, wait: &mut Wait) -> Standing {
    queue.open().standing(wait, &mut None)
}

fn withdraw<W, const LANES: usize>(queue: &TestQueue<W, LANES>, wait: &mut Wait) -> Withdrawn {
    queue.open().withdraw(wait, &mut None)
}

#[test]
fn a_wait_that_was_woken_learns_it_once() {
    let queue = new_queue::<_, 1>();
    let mut wait = park(&queue, 0, 'a');
    assert_eq!(standing(&queue, &mut wait), Standing::Waiting);
    let mut wakes = Wakes::None;
    assert!(queue.open().wake_first(0, &mut wakes));
    assert!(!queue.open().wake_first(0, &mut wakes));
    assert!(matches!(wakes, Wakes::One('a')));
    assert_eq!(standing(&queue, &mut wait), Standing::Woken);
    assert_eq!(standing(&queue, &mut wait), Standing::New);
    assert_eq!(withdraw(&queue, &mut wait), Withdrawn::NotParked);
}

#[test]
fn a_place_that_is_used_again_is_not_mistaken_for_the_old_one() {
    let queue = new_queue::<_, 2>();
    let mut old = park(&queue, 1, 'a');
    let mut wakes = Wakes::None;
    queue.open().wake_all(1, &mut wakes);
    let mut new = park(&queue, 0, 'b');
    let index = |wait: &Wait| wait.ticket.expect("it is parked").index;
    assert_eq!(index(&old), index(&new), "the same place in the slab");
    assert_eq!(withdraw(&queue, &mut old), Withdrawn::Woken(1));
    assert_eq!(withdraw(&queue, &mut new), Withdrawn::Waited);
}

#[test]
fn forgotten_waits_begin_anew_whatever_they_had_been_told() {
    let queue = new_queue::<_, 1>();
    let mut waits = ['a', 'b', 'c', 'd'].map(|waker| park(&queue, 0, waker));
    queue.open().wake(0, 2, &mut Wakes::None);
    queue.reinitialise(|state| state.0 += 10);
    assert_eq!(queue.open().state.0, 11);
    assert_eq!(queue.waiting(0), 0);
    let mut newcomer = park(&queue, 0, 'e');
    assert_eq!(withdraw(&queue, &mut waits[0]), Withdrawn::NotParked, "woken before");
    assert_eq!(standing(&queue, &mut waits[1]), Standing::New);
    assert_eq!(withdraw(&queue, &mut waits[2]), Withdrawn::NotParked, "not woken");
    waits[3].expire();
    assert_eq!(standing(&queue, &mut waits[3]), Standing::New);
    assert_eq!(withdraw(&queue, &mut newcomer), Withdrawn::Waited);
    // And what is parked from now on is as good as ever.
    let mut again = park(&queue, 0, 'f');
    queue.open().wake_all(0, &mut Wakes::None);
    assert_eq!(standing(&queue, &mut again), Standing::Woken);
}

#[test]
fn neither_an_expired_wait_nor_one_without_a_waker_is_parked() {
    let queue = new_queue::<char, 1>();
    let mut attempt = Wait::attempt(Manner::InOrder);
    let mut waker = Some('a');
    assert_eq!(queue.open().park::<()>(0, &mut attempt, &mut waker), Progress::TimedOut);
    assert_eq!(waker, Some('a'));
    let mut wait = Wait::new(Manner::InOrder);
    assert_eq!(queue.open().park::<()>(0, &mut wait, &mut None), Progress::WouldPark);
    assert_eq!(queue.waiting(0), 0);
}

#[test]
fn a_crowd_gives_its_memory_back_and_old_places_stay_old() {
    let queue = new_queue::<_, 1>();
    let crowd = 10 * KEPT_CAPACITY;
    let mut waits: Vec<_> = (0..crowd).map(|n| park(&queue, 0, n)).collect();
    assert!(queue.open().nodes.capacity() >= crowd);
    let mut last = waits.pop().expect("there is a crowd");
    assert_eq!(withdraw(&queue, &mut last), Withdrawn::Waited);
    queue.open().wake_all(0, &mut Wakes::None);
    assert!(queue.open().nodes.capacity() <= KEPT_CAPACITY);
    let mut newcomer = park(&queue, 0, 0);
    for mut wait in waits {
        assert_eq!(withdraw(&queue, &mut wait), Withdrawn::Woken(0));
    }
    assert_eq!(withdraw(&queue, &mut newcomer), Withdrawn::Waited);
}

#[test]
fn an_open_queue_is_not_shown_and_an_error_ends_the_show() {
    let queue = new_queue::<_, 2>();
    let _waits = [park(&queue, 0, 'a'), park(&queue, 1, 'b'), park(&queue, 0, 'c')];
    let mut seen = Vec::new();
    let mut show = |stop_at: char| {
        seen.clear();
        let outcome = queue.visit(
            |_| Ok(()),
            |waker| {
                seen.push(*waker);
                if *waker == stop_at {
                    Err(stop_at)
                } else {
                    Ok(())
                }
            },
        );
        (outcome, seen.clone())
    };
    assert_eq!(show('z'), (Ok(()), vec!['a', 'b', 'c']));
    assert_eq!(show('b'), (Err('b'), vec!['a', 'b']));
    let open = queue.open();
    assert_eq!(show('b'), (Ok(()), vec![]));
    drop(open);
    assert_eq!(queue.visit(|_| Err("state"), |_| Ok(())), Err("state"));
}

/// A waker whose destructor uses the queue, as a Python object's may. It writes down whether the queue was open then.
struct Reenters {
    queue: Rc<TestQueue<Reenters, 1>>,
    dropped: Rc<Cell<u32>>,
}

impl Drop for Reenters {
    fn drop(&mut self) {
        let mut is_closed = false;
        let seen: Result<(), ()> = self.queue.visit(
            |_| {
                is_closed = true;
                Ok(())
            },
            |_| Ok(()),
        );
        assert!(seen.is_ok() && is_closed, "dropped while the queue was open");
        self.dropped.set(self.dropped.get() + 1);
    }
}

#[test]
fn wakers_are_dropped_when_the_queue_is_closed() {
    let queue = Rc::new(new_queue());
    let dropped = Rc::new(Cell::new(0));
    let new_waker = || Reenters { queue: Rc::clone(&queue), dropped: Rc::clone(&dropped) };

    let mut expires = park(&queue, 0, new_waker());
    expires.expire();
    let mut second = Some(new_waker());
    assert_eq!(queue.open().standing(&mut expires, &mut second), Standing::TimedOut);
    assert_eq!(dropped.get(), 1, "one came back, one had nowhere to go");
    drop(second);

    let mut gives_up = park(&queue, 0, new_waker());
    let mut second = Some(new_waker());
    assert_eq!(queue.open().withdraw(&mut gives_up, &mut second), Withdrawn::Waited);
    assert_eq!(dropped.get(), 3);
    drop(second);

    let _forgotten = [park(&queue, 0, new_waker()), park(&queue, 0, new_waker())];
    queue.reinitialise(|_| {});
    assert_eq!(dropped.get(), 6);

    let _woken = park(&queue, 0, new_waker());
    let mut wakes = Wakes::None;
    queue.open().wake_all(0, &mut wakes);
    assert_eq!(dropped.get(), 6);
    wakes.for_each(drop);
    assert_eq!(dropped.get(), 7);
}

const LANES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Park {
        lane: usize,
        overtaken: bool,
    },
    Wake {
        lane: usize,
        count: usize,
    },
    WakeAll(usize),
    /// Of any wait there ever was.
    Withdraw(prop::sample::Index),
    Look(prop::sample::Index),
    Expire(prop::sample::Index),
    Forget,
}

fn any_step() -> impl Strategy<Value = Step> {
    let any_wait = any::<prop::sample::Index>;
    prop_oneof![
        60 => (0..LANES, any::<bool>()).prop_map(|(lane, overtaken)| Step::Park { lane, overtaken }),
        20 => (0..LANES, 0..4usize).prop_map(|(lane, count)| Step::Wake { lane, count }),
        3 => (0..LANES).prop_map(Step::WakeAll),
        20 => any_wait().prop_map(Step::Withdraw),
        10 => any_wait().prop_map(Step::Look),
        10 => any_wait().prop_map(Step::Expire),
        2 => Just(Step::Forget),
    ]
}

/// Where a wait is: of those that are not here, nobody knows anything any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Parked(usize),
    Woken(usize),
}

#[derive(Default)]
struct Game {
    waits: Vec<Wait>,
    lanes: [VecDeque<usize>; LANES],
    places: BTreeMap<usize, Place>,
}

impl Game {
    fn play(&mut self, queue: &TestQueue<usize, LANES>, step: &Step) {
        match *step {
            Step::Park { lane, overtaken } => self.park(queue, lane, overtaken),
            Step::Wake { lane, count } => self.wake(queue, lane, count),
            Step::WakeAll(lane) => self.wake(queue, lane, usize::MAX),
            Step::Withdraw(which) if !self.waits.is_empty() => {
                self.withdraw(queue, which.index(self.waits.len()));
            }
            Step::Look(which) if !self.waits.is_empty() => {
                self.look(queue, which.index(self.waits.len()), false);
            }
            Step::Expire(which) if !self.waits.is_empty() => {
                self.look(queue, which.index(self.waits.len()), true);
            }
            Step::Withdraw(_) | Step::Look(_) | Step::Expire(_) => {}
            Step::Forget => {
                queue.reinitialise(|_| {});
                self.places.clear();
                self.lanes = Default::default();
            }
        }
        self.check(queue);
    }

    fn park(&mut self, queue: &TestQueue<usize, LANES>, lane: usize, overtaken: bool) {
        let id = self.waits.len();
        let mut wait = Wait { overtaken, ..Wait::new(Manner::InOrder) };
        assert_eq!(queue.open().park::<()>(lane, &mut wait, &mut Some(id)), Progress::Pending);
        self.waits.push(wait);
        self.places.insert(id, Place::Parked(lane));
        match overtaken {
            true => self.lanes[lane].push_front(id),
            false => self.lanes[lane].push_back(id),
        }
    }

    fn wake(&mut self, queue: &TestQueue<usize, LANES>, lane: usize, count: usize) {
        let mut wakes = Wakes::None;
        let woken = queue.open().wake(lane, count, &mut wakes);
        let expected: Vec<_> = self.lanes[lane].drain(..count.min(self.lanes[lane].len())).collect();
        self.places.extend(expected.iter().map(|id| (*id, Place::Woken(lane))));
        let mut ids = Vec::new();
        assert_eq!(wakes.is_empty(), woken == 0);
        wakes.for_each(|id| ids.push(id));
        assert_eq!((woken, ids), (expected.len(), expected));
    }

    fn withdraw(&mut self, queue: &TestQueue<usize, LANES>, id: usize) {
        let mut waker = None;
        let withdrawn = queue.open().withdraw(&mut self.waits[id], &mut waker);
        let place = self.places.remove(&id);
        let expected = match place {
            None => Withdrawn::NotParked,
            Some(Place::Parked(_)) => Withdrawn::Waited,
            Some(Place::Woken(lane)) => Withdrawn::Woken(lane),
        };
        assert_eq!(withdrawn, expected);
        self.expect_back(id, waker, place);
    }

    fn look(&mut self, queue: &TestQueue<usize, LANES>, id: usize, expires: bool) {
        let wait = &mut self.waits[id];
        wait.expired |= expires;
        let (expired, mut waker) = (wait.expired, None);
        let standing = queue.open().standing(wait, &mut waker);
        let place = self.places.get(&id).copied();
        let expected = match place {
            None => Standing::New,
            Some(Place::Woken(_)) => Standing::Woken,
            Some(Place::Parked(_)) if expired => Standing::TimedOut,
            Some(Place::Parked(_)) => Standing::Waiting,
        };
        assert_eq!(standing, expected);
        if standing != Standing::Waiting {
            self.places.remove(&id);
            self.expect_back(id, waker, place);
        }
    }

    /// A wait has lost its place: its waker is back if it was parked.
    fn expect_back(&mut self, id: usize, waker: Option<usize>, place: Option<Place>) {
        let parked = matches!(place, Some(Place::Parked(_)));
        assert_eq!(waker, parked.then_some(id));
        self.lanes.iter_mut().for_each(|lane| lane.retain(|parked| *parked != id));
    }

    fn check(&self, queue: &TestQueue<usize, LANES>) {
        let open = queue.open();
        for (lane, expected) in self.lanes.iter().enumerate() {
            assert_eq!((open.length(lane), open.is_empty(lane)), (expected.len(), expected.is_empty()));
            let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
            let (mut index, mut last) = (open.lanes[lane].first, open.lanes[lane].last);
            while index != NOBODY {
                forwards.push(open.nodes[index].waker);
                index = open.nodes[index].after;
            }
            while last != NOBODY {
                backwards.push(open.nodes[last].waker);
                last = open.nodes[last].before;
            }
            backwards.reverse();
            assert!(forwards.iter().eq(expected) && backwards.iter().eq(expected));
            assert_eq!(open.first(lane).is_some(), !expected.is_empty());
        }
        assert_eq!(open.nodes.len(), self.lanes.iter().map(VecDeque::len).sum::<usize>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 500 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_lanes_are_what_lists_would_be(script in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 100 })) {
        let queue = new_queue();
        let mut game = Game::default();
        script.iter().for_each(|step| game.play(&queue, step));
    }
}
