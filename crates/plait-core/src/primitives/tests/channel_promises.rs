//! What becomes of a promise when its waiter goes away, its time is up, or the channel changes meanwhile.

use super::channel::*;
use super::{ids, waiters, Waiter};
use crate::primitives::channel::Order;
use crate::primitives::channel::Refusal::{ClosedDown, ShutDown};
use crate::waiter::Manner::{Barging, InOrder, Looping};
use crate::waiter::Progress::{Pending, Ready, TimedOut};
use crate::waiter::Wakes;

#[test]
fn giving_up_passes_on_an_item() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut a, mut b, mut c]) = with_getters([manner; 3]);
        assert_eq!(b.gives_up(&channel), [], "nobody had told it anything");
        assert_eq!(put(&channel, 1), [0]);
        assert_eq!(a.gives_up(&channel), [2]);
        assert_eq!(c.gives_up(&channel), []);
        assert_eq!(take(&channel), (1, vec![]));
        assert_eq!(channel.waiting(), [0; 3]);
    }
}

#[test]
fn giving_up_passes_on_room() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut a, mut b, mut c]) = with_putters([manner; 3]);
        assert_eq!(b.gives_up(&channel), []);
        assert_eq!(take(&channel), (100, vec![0]));
        assert_eq!(a.gives_up(&channel), [2]);
        assert_eq!(c.gives_up(&channel), []);
        assert_eq!(put(&channel, 1), []);
    }
}

#[test]
fn giving_up_what_somebody_else_took_wakes_nobody() {
    for manner in [Barging, Looping] {
        let (channel, [mut a, _b]) = with_getters([manner; 2]);
        assert_eq!(put(&channel, 1), [0]);
        assert_eq!(take(&channel), (1, vec![]));
        assert_eq!(a.gives_up(&channel), []);
        assert_eq!(put(&channel, 2), [1]);

        let (channel, [mut a, _b]) = with_putters([manner; 2]);
        assert_eq!(take(&channel), (100, vec![0]));
        assert_eq!(put(&channel, 9), []);
        assert_eq!(a.gives_up(&channel), []);
        assert_eq!(take(&channel), (9, vec![1]));
    }
}

#[test]
fn a_wait_that_expires_takes_what_it_was_promised_or_is_out() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut early, mut late]) = with_getters([manner; 2]);
        early.wait.expire();
        assert_eq!(early.gets(&channel), (TimedOut, vec![]));
        assert_eq!(put(&channel, 1), [1]);
        late.wait.expire();
        assert_eq!(late.gets(&channel), got(1, &[]));

        let (channel, [mut early, mut late]) = with_putters([manner; 2]);
        early.wait.expire();
        assert_eq!(early.puts(&channel, 0), (TimedOut, vec![]));
        assert_eq!(take(&channel), (100, vec![1]));
        late.wait.expire();
        assert_eq!(late.puts(&channel, 1), was_put(&[]));

        let mut joiner = Waiter::new(0, manner);
        assert_eq!(joiner.joins(&channel), Pending);
        joiner.wait.expire();
        assert_eq!(joiner.joins(&channel), TimedOut);
        assert_eq!(channel.waiting(), [0; 3]);
    }
}

#[test]
fn a_wait_that_expires_overtaken_does_not_park_again() {
    for manner in [Barging, Looping] {
        let (channel, [mut a, _b]) = with_getters([manner; 2]);
        assert_eq!(put(&channel, 1), [0]);
        assert_eq!(take(&channel), (1, vec![]));
        a.wait.expire();
        assert_eq!(a.gets(&channel), (TimedOut, vec![]));
        assert_eq!(put(&channel, 2), [1]);
    }
}

#[test]
fn a_larger_limit_is_for_those_who_come_and_for_those_who_are_told() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut a, mut b]) = with_putters([manner; 2]);
        channel.set_limit(3);
        assert_eq!(channel.limit(), 3);
        assert_eq!(a.puts(&channel, 0), WAITS_TO_PUT, "nobody has told it");
        assert_eq!(Waiter::attempt(9, InOrder).puts(&channel, 9), (TimedOut, vec![]), "others wait");
        assert_eq!(put(&channel, 101), []);
        assert_eq!(take(&channel), (100, vec![0]));
        assert_eq!(a.puts(&channel, 0), was_put(&[]));
        channel.set_limit(0);
        assert_eq!(take(&channel), (101, vec![1]));
        assert_eq!(b.puts(&channel, 1), was_put(&[]));
        assert_eq!([take(&channel).0, take(&channel).0], [0, 1]);
    }
}

#[test]
fn a_smaller_limit_takes_back_what_was_promised() {
    for manner in [InOrder, Barging] {
        let (channel, [mut a, mut b]) = full([100, 101], [manner; 2]);
        assert_eq!(take(&channel), (100, vec![0]));
        channel.set_limit(1);
        assert_eq!(a.puts(&channel, 0), WAITS_TO_PUT);
        assert_eq!(take(&channel), (101, vec![0]), "it has not lost its turn");
        assert_eq!(a.puts(&channel, 0), was_put(&[]));
        assert_eq!(take(&channel), (0, vec![1]));
        assert_eq!(b.puts(&channel, 1), was_put(&[]));
    }
}

#[test]
fn a_smaller_limit_holds_back_until_there_is_room_again() {
    let (channel, [mut a, mut b]) = full([100, 101, 102], [InOrder; 2]);
    assert_eq!(take(&channel), (100, vec![0]));
    channel.set_limit(1);
    a.wait.expire();
    assert_eq!(a.puts(&channel, 0), (TimedOut, vec![]));
    assert_eq!(take(&channel), (101, vec![]), "still full");
    assert_eq!(take(&channel), (102, vec![1]));
    assert_eq!(b.puts(&channel, 1), was_put(&[]));
}

#[test]
fn a_shutdown_refuses_what_is_put_and_gives_what_is_there() {
    let channel = TestChannel::new(Order::Fifo, 2);
    assert_eq!(put(&channel, 1), []);
    assert_eq!(put(&channel, 2), []);
    let [mut putter, mut joiner] = waiters([InOrder; 2]);
    assert_eq!(putter.puts(&channel, 3), WAITS_TO_PUT);
    assert_eq!(joiner.joins(&channel), Pending);
    assert!(!channel.is_shut_down());
    assert_eq!(shut_down(&channel, false), (vec![], vec![0]));
    assert!(channel.is_shut_down());
    assert_eq!(putter.puts(&channel, 3), (Ready(Err(ShutDown)), vec![]));
    assert_eq!(Waiter::attempt(9, Barging).puts(&channel, 3), (Ready(Err(ShutDown)), vec![]));
    assert_eq!(take(&channel), (1, vec![]));
    assert_eq!(Waiter::new(9, InOrder).gets(&channel), got(2, &[]));
    assert_eq!(Waiter::new(9, InOrder).gets(&channel), (Ready(Err(ShutDown)), vec![]));
    assert_eq!(channel.waiting(), [0, 0, 1], "what was put can still be done");
    channel.set_unfinished(0, &mut Wakes::None);
    assert_eq!(joiner.joins(&channel), Ready(Ok(())));
}

#[test]
fn a_shutdown_wakes_those_who_get_in_vain() {
    let (channel, mut getters) = with_getters([InOrder, Barging, Looping]);
    assert_eq!(shut_down(&channel, false), (vec![], vec![0, 1, 2]));
    for getter in &mut getters {
        assert_eq!(getter.gets(&channel), (Ready(Err(ShutDown)), vec![]));
    }
}

/// Nobody waits in a channel that is shut down: nothing will come to wake it.
#[test]
fn an_item_that_was_promised_before_a_shutdown_is_anybodys() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut a, mut b]) = with_getters([manner; 2]);
        assert_eq!(put(&channel, 1), [0]);
        assert_eq!(shut_down(&channel, false), (vec![], vec![1]));
        assert_eq!(Waiter::new(2, InOrder).gets(&channel), got(1, &[]));
        assert_eq!(a.gets(&channel), (Ready(Err(ShutDown)), vec![]));
        assert_eq!(b.gets(&channel), (Ready(Err(ShutDown)), vec![]));
        assert_eq!(channel.waiting(), [0; 3]);
    }
}

#[test]
fn a_shutdown_that_drains_hands_the_items_back_as_done() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut a, mut b]) = with_getters([manner; 2]);
        let mut joiner = Waiter::new(2, InOrder);
        assert_eq!(put(&channel, 1), [0]);
        assert_eq!(joiner.joins(&channel), Pending);
        assert_eq!(shut_down(&channel, true), (vec![1], vec![2, 1]));
        assert_eq!(channel.unfinished(), 0);
        assert_eq!(joiner.joins(&channel), Ready(Ok(())));
        assert_eq!(a.gets(&channel), (Ready(Err(ShutDown)), vec![]), "promised, and gone");
        assert_eq!(b.gives_up(&channel), []);
        assert_eq!(shut_down(&channel, true), (vec![], vec![]));
    }
}

#[test]
fn a_shutdown_that_drains_leaves_what_was_taken_unfinished() {
    let channel = TestChannel::new(Order::Lifo, 0);
    (1..=3).for_each(|item| assert_eq!(put(&channel, item), []));
    assert_eq!(take(&channel), (3, vec![]));
    let mut joiner = Waiter::new(0, InOrder);
    assert_eq!(joiner.joins(&channel), Pending);
    assert_eq!(shut_down(&channel, true), (vec![1, 2], vec![]));
    assert_eq!(channel.unfinished(), 1);
    let mut wakes = Wakes::None;
    assert_eq!(channel.task_done(&mut wakes), Ok(()));
    assert_eq!(ids(wakes), [0]);
}

#[test]
fn closed_down_it_sends_everybody_elsewhere() {
    let channel = TestChannel::new(Order::Fifo, 1);
    let [mut promised, mut putter, mut joiner, mut getter] = waiters([InOrder; 4]);
    assert_eq!(promised.gets(&channel), WAITS_TO_GET);
    assert_eq!(getter.gets(&channel), WAITS_TO_GET);
    assert_eq!(put(&channel, 1), [0]);
    assert_eq!(putter.puts(&channel, 2), WAITS_TO_PUT);
    assert_eq!(joiner.joins(&channel), Pending);
    let (mut getters, mut putters, mut joiners) = (Wakes::None, Wakes::None, Wakes::None);
    assert_eq!(channel.close_down(&mut getters, &mut putters, Some(&mut joiners)), [1]);
    assert_eq!([getters, putters, joiners].map(ids), [vec![3], vec![1], vec![2]]);
    assert_eq!(promised.gets(&channel), (Ready(Err(ClosedDown)), vec![]));
    assert_eq!(getter.gets(&channel), (Ready(Err(ClosedDown)), vec![]));
    assert_eq!(putter.puts(&channel, 2), (Ready(Err(ClosedDown)), vec![]));
    assert_eq!(joiner.joins(&channel), Ready(Err(ClosedDown)));
    for manner in [InOrder, Barging, Looping] {
        assert_eq!(Waiter::attempt(9, manner).gets(&channel), (Ready(Err(ClosedDown)), vec![]));
        assert_eq!(Waiter::attempt(9, manner).puts(&channel, 3), (Ready(Err(ClosedDown)), vec![]));
        assert_eq!(Waiter::attempt(9, manner).joins(&channel), Ready(Err(ClosedDown)));
    }
    assert!(!channel.is_shut_down());
    assert_eq!((channel.limit(), channel.unfinished()), (1, 1), "still kept here");
}

#[test]
fn closed_down_it_keeps_those_who_join() {
    let channel = TestChannel::new(Order::Fifo, 1);
    let mut joiner = Waiter::new(1, InOrder);
    assert_eq!(put(&channel, 1), []);
    assert_eq!(joiner.joins(&channel), Pending);
    assert_eq!(channel.close_down(&mut Wakes::None, &mut Wakes::None, None), [1]);
    assert_eq!(joiner.joins(&channel), Pending);
    let mut wakes = Wakes::None;
    channel.set_unfinished(0, &mut wakes);
    assert_eq!(ids(wakes), [1]);
    channel.set_unfinished(1, &mut Wakes::None);
    assert_eq!(joiner.joins(&channel), Ready(Ok(())), "it was told that the work had ended");
    assert_eq!(Waiter::new(2, InOrder).joins(&channel), Ready(Err(ClosedDown)));
}

#[test]
fn made_anew_it_is_empty_open_and_without_a_limit() {
    for manner in [InOrder, Barging, Looping] {
        let (channel, [mut putter]) = with_putters([manner]);
        let mut joiner = Waiter::new(1, InOrder);
        assert_eq!(joiner.joins(&channel), Pending);
        assert_eq!(shut_down(&channel, false), (vec![], vec![0]));
        let mut wakes = Wakes::None;
        assert_eq!(channel.reinitialise(&mut wakes), [100]);
        assert_eq!(ids(wakes), [1]);
        assert_eq!((channel.len(), channel.limit(), channel.unfinished()), (0, 0, 0));
        assert_eq!(joiner.joins(&channel), Ready(Ok(())));
        assert_eq!(putter.puts(&channel, 0), was_put(&[]));
        assert_eq!(put(&channel, 1), []);
        assert_eq!([take(&channel).0, take(&channel).0], [0, 1]);
    }
}
