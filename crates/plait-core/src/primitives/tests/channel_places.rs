//! Places that are kept: for an item which is not ready yet, and of one that may have to be put back.

use super::channel::*;
use super::{ids, Waiter};
use crate::primitives::channel::Order;
use crate::primitives::channel::Refusal::{self, ShutDown};
use crate::waiter::Manner::{Barging, InOrder, Looping};
use crate::waiter::Progress::{self, Pending, Ready, TimedOut};
use crate::waiter::Wakes;

impl Waiter {
    fn reserves(&mut self, channel: &TestChannel) -> Progress<Result<(), Refusal>> {
        self.poll(|wait, waker| channel.poll_reserve(wait, waker))
    }

    fn claims(&mut self, channel: &TestChannel) -> Progress<Result<u32, Refusal>> {
        self.poll(|wait, waker| channel.poll_claim(wait, waker))
    }
}

fn fill(channel: &TestChannel, item: u32) -> Vec<u32> {
    let mut wakes = Wakes::None;
    channel.fill(item, &mut wakes);
    ids(wakes)
}

fn unreserve(channel: &TestChannel) -> Vec<u32> {
    let mut wakes = Wakes::None;
    channel.unreserve(&mut wakes);
    ids(wakes)
}

/// Leaves the place of a claimed item.
fn leave(channel: &TestChannel, back: Option<u32>) -> Vec<u32> {
    let mut wakes = Wakes::None;
    channel.leave_place(back, &mut wakes);
    ids(wakes)
}

/// For one item, with its only place reserved.
fn reserved() -> TestChannel {
    let channel = TestChannel::new(Order::Fifo, 1);
    assert_eq!(Waiter::attempt(9, Barging).reserves(&channel), Ready(Ok(())));
    assert_eq!((channel.len(), channel.unfinished()), (0, 0));
    channel
}

#[test]
fn nobody_uses_a_place_that_is_kept() {
    let channel = reserved();
    for manner in [InOrder, Barging, Looping] {
        assert_eq!(Waiter::attempt(0, manner).reserves(&channel), TimedOut);
        assert_eq!(Waiter::attempt(0, manner).puts(&channel, 1), (TimedOut, vec![]));
    }
    assert_eq!(fill(&channel, 5), []);
    assert_eq!((channel.len(), channel.unfinished()), (1, 1));
    assert_eq!(Waiter::attempt(0, Barging).reserves(&channel), TimedOut, "full");
    assert_eq!(take(&channel), (5, vec![]));
    assert_eq!(Waiter::attempt(0, Barging).reserves(&channel), Ready(Ok(())));
}

#[test]
fn filling_wakes_one_that_gets() {
    let channel = reserved();
    let mut getter = Waiter::new(0, InOrder);
    assert_eq!(getter.gets(&channel), WAITS_TO_GET);
    assert_eq!(fill(&channel, 5), [0]);
    assert_eq!(getter.gets(&channel), got(5, &[]));
}

#[test]
fn a_place_that_is_given_back_goes_to_the_next() {
    for manner in [InOrder, Barging, Looping] {
        let channel = reserved();
        let mut reserver = Waiter::new(0, manner);
        let mut putter = Waiter::new(1, manner);
        assert_eq!(reserver.reserves(&channel), Pending);
        assert_eq!(putter.puts(&channel, 7), WAITS_TO_PUT);
        assert_eq!(unreserve(&channel), [0]);
        assert_eq!(reserver.gives_up(&channel), [1]);
        assert_eq!(putter.puts(&channel, 7), was_put(&[]));
    }
}

#[test]
fn one_that_was_promised_a_place_keeps_it() {
    let channel = reserved();
    let mut reserver = Waiter::new(0, InOrder);
    assert_eq!(reserver.reserves(&channel), Pending);
    assert_eq!(unreserve(&channel), [0]);
    assert_eq!(Waiter::attempt(1, Barging).puts(&channel, 1), (TimedOut, vec![]));
    reserver.wait.expire();
    assert_eq!(reserver.reserves(&channel), Ready(Ok(())));
    assert_eq!(Waiter::attempt(1, Barging).puts(&channel, 1), (TimedOut, vec![]));
    assert_eq!(fill(&channel, 5), []);
}

#[test]
fn a_shutdown_refuses_to_reserve() {
    let channel = reserved();
    let mut reserver = Waiter::new(0, InOrder);
    assert_eq!(reserver.reserves(&channel), Pending);
    assert_eq!(shut_down(&channel, false), (vec![], vec![0]));
    assert_eq!(reserver.reserves(&channel), Ready(Err(ShutDown)));
    assert_eq!(fill(&channel, 5), [], "it had its place before");
    assert_eq!(take(&channel), (5, vec![]));
}

#[test]
fn the_place_of_what_is_claimed_is_free_when_it_is_left() {
    let (channel, [mut a, mut b]) = with_putters([InOrder; 2]);
    assert_eq!(Waiter::attempt(9, Barging).claims(&channel), Ready(Ok(100)));
    assert_eq!(channel.len(), 0);
    assert_eq!(Waiter::attempt(9, Barging).puts(&channel, 9), (TimedOut, vec![]));
    assert_eq!(Waiter::attempt(9, Barging).reserves(&channel), TimedOut);
    assert_eq!(leave(&channel, None), [0]);
    assert_eq!(a.puts(&channel, 0), was_put(&[]));
    assert_eq!(take(&channel), (0, vec![1]));
    assert_eq!(b.puts(&channel, 1), was_put(&[]));
}

#[test]
fn what_is_put_back_is_the_next_to_come_out() {
    for order in [Order::Fifo, Order::Lifo] {
        let channel = TestChannel::new(order, 3);
        (1..=3).for_each(|item| assert_eq!(put(&channel, item), []));
        let first = if order == Order::Fifo { 1 } else { 3 };
        assert_eq!(Waiter::new(0, InOrder).claims(&channel), Ready(Ok(first)));
        assert_eq!(leave(&channel, Some(first)), []);
        assert_eq!((channel.len(), channel.unfinished()), (3, 3), "it was put once");
        assert_eq!(Waiter::attempt(9, Barging).puts(&channel, 9), (TimedOut, vec![]));
        assert_eq!(take(&channel), (first, vec![]));
    }
}

#[test]
fn what_is_put_back_wakes_one_that_gets_or_claims() {
    for manner in [InOrder, Barging, Looping] {
        let channel = TestChannel::new(Order::Fifo, 0);
        assert_eq!(put(&channel, 1), []);
        assert_eq!(Waiter::attempt(9, manner).claims(&channel), Ready(Ok(1)));
        let mut claimer = Waiter::new(0, manner);
        let mut getter = Waiter::new(1, manner);
        assert_eq!(claimer.claims(&channel), Pending);
        assert_eq!(getter.gets(&channel), WAITS_TO_GET);
        assert_eq!(leave(&channel, Some(1)), [0]);
        assert_eq!(claimer.gives_up(&channel), [1]);
        assert_eq!(getter.gets(&channel), got(1, &[]));
    }
}

#[test]
fn a_shutdown_frees_what_is_claimed() {
    let channel = TestChannel::new(Order::Fifo, 1);
    assert_eq!(put(&channel, 1), []);
    assert_eq!(Waiter::attempt(9, Barging).claims(&channel), Ready(Ok(1)));
    assert_eq!(shut_down(&channel, true), (vec![], vec![]));
    assert_eq!(channel.unfinished(), 1);
    assert_eq!(leave(&channel, None), []);
    assert_eq!(Waiter::attempt(9, Barging).claims(&channel), Ready(Err(ShutDown)));
}
