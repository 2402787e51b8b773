//! What a child finds in the primitives that its parent's threads and tasks used: the states, without the waiters.
//!
//! One test, in a file of its own, because the generation belongs to the whole process. Each scene is set up before the fork and
//! returns what is to be seen after it.

use plait_core::fork;
use plait_core::primitives::barrier::{Barrier, Passage, Phase};
use plait_core::primitives::channel::{Channel, Order};
use plait_core::primitives::condition::Condition;
use plait_core::primitives::event::Event;
use plait_core::primitives::lock::Lock;
use plait_core::primitives::semaphore::Semaphore;
use plait_core::primitives::Primitive;
use plait_core::waiter::Manner::{Barging, InOrder};
use plait_core::waiter::Progress::{self, Pending, Ready, TimedOut};
use plait_core::waiter::{Manner, Wait, Wakes};
use std::rc::Rc;

type Waker = Rc<&'static str>;
type Scene = Box<dyn FnOnce()>;

fn waker() -> Option<Waker> {
    Some(Rc::new("somebody"))
}

fn is_nobody(wakes: Wakes<Waker>) -> bool {
    wakes.is_empty()
}

/// Parks there.
fn parked(manner: Manner, poll: impl FnOnce(&mut Wait, &mut Option<Waker>) -> Progress<()>) -> Wait {
    let mut wait = Wait::new(manner);
    assert_eq!(poll(&mut wait, &mut waker()), Pending);
    wait
}

/// Giving up has no effect on anybody.
fn gives_up_quietly(primitive: &impl Primitive<Waker>, mut wait: Wait) {
    let (mut waker, mut wakes) = (None, Wakes::None);
    primitive.give_up(&mut wait, &mut waker, &mut wakes);
    assert!(waker.is_none() && wakes.is_empty() && !wait.is_parked());
}

fn try_lock(lock: &Lock<Waker>) -> Progress<()> {
    lock.poll(&mut Wait::attempt(InOrder), &mut None)
}

fn a_lock_that_was_held() -> Scene {
    let lock = Lock::default();
    assert_eq!(try_lock(&lock), Ready(()));
    let waiting = parked(InOrder, |wait, waker| lock.poll(wait, waker));
    Box::new(move || {
        assert!(lock.is_held());
        assert_eq!(lock.waiting(), 0);
        gives_up_quietly(&lock, waiting);
        assert_eq!(try_lock(&lock), TimedOut);
        assert!(lock.release().is_ok_and(is_nobody));
        assert_eq!(try_lock(&lock), Ready(()));
    })
}

fn a_lock_on_its_way(manner: Manner) -> Scene {
    let lock = Lock::default();
    assert_eq!(try_lock(&lock), Ready(()));
    let quits = parked(manner, |wait, waker| lock.poll(wait, waker));
    assert!(lock.release().is_ok_and(|wakes| !wakes.is_empty()));
    Box::new(move || {
        gives_up_quietly(&lock, quits);
        assert!(!lock.is_held());
        assert_eq!(try_lock(&lock), Ready(()));
        assert!(lock.release().is_ok_and(is_nobody));
    })
}

/// A task goes on in the child: it was not handed the lock, whatever its wait remembers.
fn a_wait_that_goes_on(manner: Manner) -> Scene {
    let lock = Lock::default();
    assert_eq!(try_lock(&lock), Ready(()));
    let mut wait = parked(manner, |wait, waker| lock.poll(wait, waker));
    assert!(lock.release().is_ok_and(|wakes| !wakes.is_empty()));
    Box::new(move || {
        assert_eq!(try_lock(&lock), Ready(()));
        assert_eq!(lock.poll(&mut wait, &mut waker()), Pending);
        assert!(lock.release().is_ok_and(|wakes| !wakes.is_empty()));
        assert_eq!(lock.poll(&mut wait, &mut None), Ready(()));
        assert!(lock.is_held());
    })
}

fn permits_on_their_way() -> Scene {
    let semaphore = Semaphore::new(0);
    let waits = [InOrder, Barging, InOrder, Barging]
        .map(|manner| parked(manner, |wait, waker| semaphore.poll(wait, waker, &mut Wakes::None)));
    assert!(semaphore.release(3, None).is_ok());
    assert_eq!(semaphore.value(), 1, "two were handed over, of one somebody was told");
    Box::new(move || {
        assert_eq!(semaphore.value(), 3);
        assert_eq!(semaphore.waiting(), 0);
        waits.into_iter().for_each(|wait| gives_up_quietly(&semaphore, wait));
        assert_eq!(semaphore.value(), 3);
    })
}

fn an_event() -> Scene {
    let (set, not_set) = (Event::default(), Event::default());
    let wait_for_set = parked(InOrder, |wait, waker| set.poll(wait, waker));
    let mut wait = parked(InOrder, |wait, waker| not_set.poll(wait, waker));
    drop(set.set());
    Box::new(move || {
        assert!(set.is_set());
        gives_up_quietly(&set, wait_for_set);
        assert_eq!(not_set.poll(&mut wait, &mut waker()), Pending, "nobody has set it");
        assert!(!not_set.set().is_empty());
        assert_eq!(not_set.poll(&mut wait, &mut None), Ready(()));
    })
}

fn a_notification_on_its_way() -> Scene {
    let condition = Condition::default();
    let notified = parked(InOrder, |wait, waker| condition.poll(wait, waker));
    let _waits = parked(InOrder, |wait, waker| condition.poll(wait, waker));
    assert!(!condition.notify(1).is_empty());
    Box::new(move || {
        assert_eq!(condition.waiting(), 0);
        let _new = parked(InOrder, |wait, waker| condition.poll(wait, waker));
        gives_up_quietly(&condition, notified);
        assert_eq!(condition.waiting(), 1);
    })
}

fn come(barrier: &Barrier<Waker>, wait: &mut Wait, acts: bool) -> Progress<Passage> {
    barrier.poll(wait, acts, &mut waker(), &mut Wakes::None)
}

/// As in the standard library, those who were inside count, though they will never leave.
fn a_barrier_with_one_inside() -> Scene {
    let barrier = Barrier::new(2);
    let mut wait = Wait::new(InOrder);
    assert_eq!(come(&barrier, &mut wait, false), Pending);
    Box::new(move || {
        assert_eq!((barrier.inside(), barrier.waiting(), barrier.phase()), (1, 0, Phase::Filling));
        gives_up_quietly(&barrier, wait);
        assert_eq!(come(&barrier, &mut Wait::new(InOrder), false), Ready(Passage::Through(1)));
        assert_eq!((barrier.inside(), barrier.phase()), (1, Phase::Draining));
        barrier.reinitialise(2);
        assert_eq!((barrier.inside(), barrier.phase()), (0, Phase::Filling));
    })
}

fn a_barrier_in_whose_action_the_child_was_made() -> Scene {
    let barrier = Barrier::new(2);
    let mut inside = Wait::new(InOrder);
    assert_eq!(come(&barrier, &mut inside, true), Pending);
    assert_eq!(come(&barrier, &mut Wait::new(InOrder), true), Ready(Passage::Act(1)));
    Box::new(move || {
        barrier.reinitialise(2);
        let passage = barrier.acted(Passage::Through(1), &mut Wakes::None);
        assert_eq!(passage, Passage::Through(1));
        assert_eq!((barrier.inside(), barrier.phase()), (0, Phase::Filling));
        assert_eq!(come(&barrier, &mut inside, false), Pending, "it comes anew");
        assert_eq!(barrier.inside(), 1);
    })
}

fn a_barrier_that_was_broken() -> Scene {
    let barrier = Barrier::new(2);
    assert_eq!(come(&barrier, &mut Wait::new(InOrder), false), Pending);
    barrier.abort(&mut Wakes::None);
    Box::new(move || {
        assert_eq!(barrier.phase(), Phase::Broken);
        assert_eq!(come(&barrier, &mut Wait::new(InOrder), false), Ready(Passage::Refused));
    })
}

fn an_item_and_a_place_on_their_way(manner: Manner) -> Scene {
    let channel = Channel::<u32, Waker>::new(Order::Fifo, 2);
    let (mut getter, mut putter, mut joiner) = (Wait::new(manner), Wait::new(manner), Wait::new(InOrder));
    assert_eq!(channel.poll_get(&mut getter, &mut waker(), &mut Wakes::None), Pending);
    let put = |item, wait: &mut Wait, wakes: &mut Wakes<Waker>| {
        channel.poll_put(&mut Some(item), wait, &mut waker(), wakes)
    };
    let mut wakes = Wakes::None;
    assert_eq!(put(1, &mut Wait::attempt(Barging), &mut wakes), Ready(Ok(())));
    assert!(!wakes.is_empty(), "the getter");
    assert_eq!(put(2, &mut Wait::attempt(Barging), &mut wakes), Ready(Ok(())));
    assert_eq!(put(3, &mut putter, &mut wakes), Pending);
    assert_eq!(channel.poll_join(&mut joiner, &mut waker()), Pending);
    let mut wakes = Wakes::None;
    let got = channel.poll_get(&mut Wait::attempt(Barging), &mut None, &mut wakes);
    assert_eq!(got, Ready(Ok(1)));
    assert!(!wakes.is_empty(), "the putter");
    Box::new(move || {
        assert_eq!(channel.waiting(), [0; 3]);
        [getter, putter].into_iter().for_each(|wait| gives_up_quietly(&channel, wait));
        let (mut attempt, mut wakes) = (Wait::attempt(InOrder), Wakes::None);
        assert_eq!(channel.poll_put(&mut Some(4), &mut attempt, &mut None, &mut wakes), Ready(Ok(())));
        for item in [2, 4] {
            let got = channel.poll_get(&mut Wait::attempt(InOrder), &mut None, &mut wakes);
            assert_eq!(got, Ready(Ok(item)));
        }
        assert!(wakes.is_empty());
        assert_eq!(channel.poll_join(&mut joiner, &mut waker()), Pending, "three are not done");
    })
}

/// Those for whom places were kept are threads of the parent.
fn places_that_are_kept() -> Scene {
    let channel = Channel::<u32, Waker>::new(Order::Fifo, 2);
    let mut wakes = Wakes::None;
    let attempt = || Wait::attempt(Barging);
    assert_eq!(channel.poll_put(&mut Some(1), &mut attempt(), &mut None, &mut wakes), Ready(Ok(())));
    assert_eq!(channel.poll_claim(&mut attempt(), &mut None), Ready(Ok(1)));
    assert_eq!(channel.poll_reserve(&mut attempt(), &mut None), Ready(Ok(())));
    assert_eq!(channel.poll_reserve(&mut attempt(), &mut None), TimedOut);
    Box::new(move || {
        for _ in 0..2 {
            assert_eq!(channel.poll_reserve(&mut attempt(), &mut None), Ready(Ok(())));
        }
        assert_eq!(channel.poll_reserve(&mut attempt(), &mut None), TimedOut);
    })
}

/// The parent's wakers are let go, once the queue is used.
fn wakers() -> Scene {
    let event = Event::<Waker>::default();
    let ours = Rc::new("kept");
    let mut wait = Wait::new(InOrder);
    assert_eq!(event.poll(&mut wait, &mut Some(Rc::clone(&ours))), Pending);
    Box::new(move || {
        assert_eq!(Rc::strong_count(&ours), 2);
        assert!(event.set().is_empty());
        assert_eq!(Rc::strong_count(&ours), 1);
    })
}

#[test]
fn a_child_inherits_states_and_no_waiters() {
    let scenes = [
        a_lock_that_was_held(),
        a_lock_on_its_way(InOrder),
        a_lock_on_its_way(Barging),
        a_wait_that_goes_on(InOrder),
        a_wait_that_goes_on(Barging),
        permits_on_their_way(),
        an_event(),
        a_notification_on_its_way(),
        a_barrier_with_one_inside(),
        a_barrier_in_whose_action_the_child_was_made(),
        a_barrier_that_was_broken(),
        an_item_and_a_place_on_their_way(InOrder),
        an_item_and_a_place_on_their_way(Barging),
        places_that_are_kept(),
        wakers(),
    ];
    fork::bump();
    scenes.into_iter().for_each(|after| after());
}
