//! What goes into a channel and comes out, and who waits for it: in order, barging, looping.
//!
//! Also the face of a channel that the other tests of it share.

use super::{ids, waiters, Waiter};
use crate::primitives::channel::{Channel, NothingUnfinished, Order, Refusal};
use crate::waiter::Manner::{Barging, InOrder, Looping, NewestFirst};
use crate::waiter::Progress::{self, Pending, Ready, TimedOut, WouldPark};
use crate::waiter::{Manner, Wait, Wakes};

pub(super) type TestChannel = Channel<u32, u32>;
pub(super) type Got = (Progress<Result<u32, Refusal>>, Vec<u32>);
pub(super) type Put = (Progress<Result<(), Refusal>>, Vec<u32>);

impl Waiter {
    pub(super) fn gets(&mut self, channel: &TestChannel) -> Got {
        let mut wakes = Wakes::None;
        let progress = self.poll(|wait, waker| channel.poll_get(wait, waker, &mut wakes));
        (progress, ids(wakes))
    }

    pub(super) fn puts(&mut self, channel: &TestChannel, item: u32) -> Put {
        let (mut item, mut wakes) = (Some(item), Wakes::None);
        let progress = self.poll(|wait, waker| channel.poll_put(&mut item, wait, waker, &mut wakes));
        assert_eq!(item.is_none(), progress == Ready(Ok(())), "it is put or kept");
        (progress, ids(wakes))
    }

    pub(super) fn joins(&mut self, channel: &TestChannel) -> Progress<Result<(), Refusal>> {
        self.poll(|wait, waker| channel.poll_join(wait, waker))
    }
}

/// Puts at once. Returns who is woken.
pub(super) fn put(channel: &TestChannel, item: u32) -> Vec<u32> {
    let (progress, woken) = Waiter::attempt(99, Barging).puts(channel, item);
    assert_eq!(progress, Ready(Ok(())));
    woken
}

/// Takes at once. Returns the item and who is woken.
pub(super) fn take(channel: &TestChannel) -> (u32, Vec<u32>) {
    match Waiter::attempt(99, Barging).gets(channel) {
        (Ready(Ok(item)), woken) => (item, woken),
        other => panic!("{other:?}"),
    }
}

pub(super) fn shut_down(channel: &TestChannel, drain: bool) -> (Vec<u32>, Vec<u32>) {
    let mut wakes = Wakes::None;
    let drained = channel.shut_down(drain, &mut wakes);
    (drained.into(), ids(wakes))
}

pub(super) const WAITS_TO_GET: Got = (Pending, Vec::new());
pub(super) const WAITS_TO_PUT: Put = (Pending, Vec::new());

pub(super) fn got(item: u32, woken: &[u32]) -> Got {
    (Ready(Ok(item)), woken.to_vec())
}

pub(super) fn was_put(woken: &[u32]) -> Put {
    (Ready(Ok(())), woken.to_vec())
}

/// An empty channel, and those who wait for an item.
pub(super) fn with_getters<const COUNT: usize>(manners: [Manner; COUNT]) -> (TestChannel, [Waiter; COUNT]) {
    let channel = TestChannel::new(Order::Fifo, 0);
    let mut getters = waiters(manners);
    for getter in &mut getters {
        assert_eq!(getter.gets(&channel), WAITS_TO_GET);
    }
    (channel, getters)
}

/// A channel that is full with item 100, and those who wait for room, to put 0, 1, 2 …
pub(super) fn with_putters<const COUNT: usize>(manners: [Manner; COUNT]) -> (TestChannel, [Waiter; COUNT]) {
    full([100], manners)
}

/// The same with these items.
pub(super) fn full<const ITEMS: usize, const COUNT: usize>(
    items: [u32; ITEMS],
    manners: [Manner; COUNT],
) -> (TestChannel, [Waiter; COUNT]) {
    let channel = TestChannel::new(Order::Fifo, ITEMS);
    items.into_iter().for_each(|item| assert_eq!(put(&channel, item), []));
    let mut putters = waiters(manners);
    for (item, putter) in (0..).zip(&mut putters) {
        assert_eq!(putter.puts(&channel, item), WAITS_TO_PUT);
    }
    (channel, putters)
}

#[test]
fn items_come_out_oldest_or_newest_first() {
    for (order, expected) in [(Order::Fifo, [1, 2, 3]), (Order::Lifo, [3, 2, 1])] {
        let channel = TestChannel::new(order, 0);
        assert!(channel.is_empty());
        for item in 1..=3 {
            assert_eq!(put(&channel, item), []);
        }
        assert_eq!(channel.len(), 3);
        assert_eq!(expected.map(|_| take(&channel).0), expected);
        assert_eq!(Waiter::attempt(0, Barging).gets(&channel), (TimedOut, vec![]));
    }
}

#[test]
fn a_full_channel_takes_no_more() {
    let channel = TestChannel::new(Order::Fifo, 2);
    assert_eq!(channel.limit(), 2);
    assert_eq!(put(&channel, 1), []);
    assert_eq!(put(&channel, 2), []);
    for manner in [InOrder, Barging, Looping] {
        assert_eq!(Waiter::attempt(0, manner).puts(&channel, 3), (TimedOut, vec![]));
    }
    assert_eq!(take(&channel), (1, vec![]));
    assert_eq!(put(&channel, 3), []);
}

#[test]
fn polling_without_a_waker_leaves_no_trace() {
    let channel = TestChannel::new(Order::Fifo, 1);
    let (mut wait, mut wakes) = (Wait::new(InOrder), Wakes::None);
    assert_eq!(channel.poll_get(&mut wait, &mut None, &mut wakes), WouldPark);
    assert_eq!(channel.poll_put(&mut Some(1), &mut wait, &mut None, &mut wakes), Ready(Ok(())));
    let mut item = Some(2);
    assert_eq!(channel.poll_put(&mut item, &mut wait, &mut None, &mut wakes), WouldPark);
    assert_eq!(item, Some(2));
    assert_eq!(channel.poll_join(&mut wait, &mut None), WouldPark);
    assert_eq!(channel.waiting(), [0; 3]);
    assert_eq!(channel.poll_get(&mut wait, &mut None, &mut wakes), Ready(Ok(1)));
    assert!(wakes.is_empty());
}

#[test]
fn one_in_order_is_kept_an_item() {
    let (channel, [mut a, mut b]) = with_getters([InOrder; 2]);
    assert_eq!(channel.waiting(), [2, 0, 0]);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(channel.len(), 1);
    for manner in [InOrder, Barging, Looping] {
        assert_eq!(Waiter::attempt(9, manner).gets(&channel), (TimedOut, vec![]));
    }
    assert_eq!(put(&channel, 2), [1]);
    assert_eq!(b.gets(&channel), got(1, &[]), "the oldest that is there");
    assert_eq!(a.gets(&channel), got(2, &[]));
}

#[test]
fn one_in_order_does_not_overtake_those_who_wait() {
    let (channel, [_a, _b]) = with_getters([Barging; 2]);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(Waiter::attempt(9, InOrder).gets(&channel), (TimedOut, vec![]));

    let (channel, [_a, _b]) = with_putters([Barging; 2]);
    assert_eq!(take(&channel), (100, vec![0]));
    assert_eq!(Waiter::attempt(9, InOrder).puts(&channel, 5), (TimedOut, vec![]));
}

#[test]
fn one_that_barges_may_be_overtaken_once() {
    let (channel, [mut a, mut b]) = with_getters([Barging; 2]);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(take(&channel), (1, vec![]));
    assert_eq!(put(&channel, 2), [], "a was told, and will come");
    assert_eq!(take(&channel), (2, vec![]));
    assert_eq!(a.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 3), [0], "it went to the front");
    assert_eq!(Waiter::attempt(9, Barging).gets(&channel), (TimedOut, vec![]), "kept for a");
    assert_eq!(a.gets(&channel), got(3, &[]));
    assert_eq!(put(&channel, 4), [1]);
    assert_eq!(b.gets(&channel), got(4, &[]));
}

#[test]
fn one_that_loops_goes_to_the_back_as_often_as_it_is_overtaken() {
    let (channel, [mut a, mut b]) = with_getters([Looping; 2]);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(take(&channel), (1, vec![]));
    assert_eq!(a.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 2), [1]);
    assert_eq!(take(&channel), (2, vec![]));
    assert_eq!(b.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 3), [0], "a is before b again");
    assert_eq!(put(&channel, 4), [1], "each item wakes one");
    assert_eq!(b.gets(&channel), got(3, &[]));
    assert_eq!(a.gets(&channel), got(4, &[]));
}

#[test]
fn room_is_kept_or_tried_for_as_items_are() {
    let (channel, [mut a, mut b]) = with_putters([InOrder; 2]);
    assert_eq!(take(&channel), (100, vec![0]));
    assert_eq!(Waiter::attempt(9, Barging).puts(&channel, 9), (TimedOut, vec![]), "kept for a");
    assert_eq!(a.puts(&channel, 0), was_put(&[]));
    assert_eq!(take(&channel), (0, vec![1]));
    assert_eq!(b.puts(&channel, 1), was_put(&[]));

    let (channel, [mut a, mut b]) = with_putters([Barging; 2]);
    assert_eq!(take(&channel), (100, vec![0]));
    assert_eq!(put(&channel, 9), []);
    assert_eq!(a.puts(&channel, 0), WAITS_TO_PUT);
    assert_eq!(take(&channel), (9, vec![0]));
    assert_eq!(Waiter::attempt(9, Barging).puts(&channel, 9), (TimedOut, vec![]), "this time it is kept");
    assert_eq!(a.puts(&channel, 0), was_put(&[]));
    assert_eq!(take(&channel), (0, vec![1]));
    assert_eq!(b.puts(&channel, 1), was_put(&[]));

    let (channel, [mut a, _b]) = with_putters([Looping; 2]);
    assert_eq!(take(&channel), (100, vec![0]));
    assert_eq!(put(&channel, 9), []);
    assert_eq!(a.puts(&channel, 0), WAITS_TO_PUT);
    assert_eq!(take(&channel), (9, vec![1]), "a is behind b now");
}

#[test]
fn putting_wakes_one_that_gets_and_getting_one_that_puts() {
    let channel = TestChannel::new(Order::Fifo, 1);
    let [mut getter, mut putter] = waiters([InOrder; 2]);
    assert_eq!(getter.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(putter.puts(&channel, 2), WAITS_TO_PUT);
    assert_eq!(channel.waiting(), [0, 1, 0]);
    assert_eq!(getter.gets(&channel), got(1, &[1]));
    assert_eq!(putter.puts(&channel, 2), was_put(&[]));
}

#[test]
fn those_who_join_wait_until_all_is_done() {
    let channel = TestChannel::new(Order::Fifo, 0);
    assert_eq!(Waiter::new(0, InOrder).joins(&channel), Ready(Ok(())));
    assert!(matches!(channel.task_done(&mut Wakes::None), Err(NothingUnfinished)));
    assert_eq!(put(&channel, 1), []);
    assert_eq!(put(&channel, 2), []);
    let [mut a, mut b, mut c] = waiters([InOrder, Looping, Barging]);
    for joiner in [&mut a, &mut b, &mut c] {
        assert_eq!(joiner.joins(&channel), Pending);
    }
    assert_eq!(Waiter::attempt(9, InOrder).joins(&channel), TimedOut);
    assert_eq!(take(&channel).0, 1);
    assert_eq!(take(&channel).0, 2, "taken is not done");
    let mut wakes = Wakes::None;
    assert_eq!(channel.task_done(&mut wakes), Ok(()));
    assert!(wakes.is_empty());
    assert_eq!(c.gives_up(&channel), []);
    assert_eq!(channel.unfinished(), 1);
    assert_eq!(channel.task_done(&mut wakes), Ok(()));
    assert_eq!(ids(wakes), [0, 1]);
    // One more before they have noticed: whoever waits in order has seen the end, the other looks again.
    assert_eq!(put(&channel, 3), []);
    assert_eq!(a.joins(&channel), Ready(Ok(())));
    assert_eq!(b.joins(&channel), Pending);
    let mut wakes = Wakes::None;
    channel.set_unfinished(0, &mut wakes);
    assert_eq!(ids(wakes), [1]);
    assert_eq!(b.joins(&channel), Ready(Ok(())));
}

#[test]
fn a_burst_gives_its_memory_back_and_what_waits_is_shown() {
    let many = if cfg!(miri) { 1_100 } else { 3_000 };
    let channel = TestChannel::new(Order::Fifo, 0);
    for round in 0..2 {
        (0..many).for_each(|item| assert_eq!(put(&channel, item), []));
        let mut seen = Vec::new();
        let outcome = channel.visit(
            |item| {
                seen.push(*item);
                Ok::<(), ()>(())
            },
            |_| Err(()),
        );
        assert_eq!(outcome, Ok(()), "nobody waits");
        assert!(seen.into_iter().eq(0..many), "round {round}");
        (0..many).for_each(|item| assert_eq!(take(&channel), (item, vec![])));
    }
    let mut getter = Waiter::new(5, InOrder);
    assert_eq!(getter.gets(&channel), WAITS_TO_GET);
    assert_eq!(channel.visit(|_| Ok(()), |id| Err(*id)), Err(5));
}

#[test]
fn the_newest_first_is_woken_first_and_loses_nothing() {
    let (channel, [mut a, mut b, mut c]) = with_getters([NewestFirst; 3]);
    assert_eq!(put(&channel, 1), [2], "the last that came");
    assert_eq!(take(&channel), (1, vec![]), "somebody was faster");
    assert_eq!(c.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 2), [2], "it waits in front again");
    assert_eq!(put(&channel, 3), [1]);
    assert_eq!(Waiter::attempt(9, NewestFirst).gets(&channel), got(2, &[]), "nothing is kept for anybody");
    assert_eq!(b.gets(&channel), got(3, &[]));
    assert_eq!(c.gets(&channel), WAITS_TO_GET);
    let (drained, woken) = shut_down(&channel, false);
    assert_eq!((drained, woken.len()), (vec![], 2));
    assert_eq!(a.gets(&channel).0, Ready(Err(Refusal::ShutDown)));
}

#[test]
fn items_that_nobody_will_come_for() {
    let (channel, [mut a, mut b]) = with_getters([NewestFirst; 2]);
    assert_eq!(channel.unattended(), 0);
    for (item, unattended) in [(1, 0), (2, 0), (3, 1), (4, 2)] {
        put(&channel, item);
        assert_eq!(channel.unattended(), unattended, "both are on their way");
    }
    assert_eq!(a.gets(&channel), got(1, &[]));
    assert_eq!(channel.unattended(), 2, "it has come, and is busy now");
    assert_eq!(b.gets(&channel), got(2, &[]));
    assert_eq!(a.gets(&channel), got(3, &[]));
    assert_eq!(b.gets(&channel), got(4, &[]));
    assert_eq!(channel.unattended(), 0);
    assert_eq!(a.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 5), [0]);
    assert_eq!(channel.unattended(), 0);
}
