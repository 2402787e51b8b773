//! What is passed on through a channel: items one way, room the other way.

use super::*;
use crate::primitives::channel::{Channel, Order, Refusal};

type Pipe = Channel<u32, Bell>;

fn pipe(limit: usize) -> Arc<Pipe> {
    Arc::new(Pipe::new(Order::Fifo, limit))
}

fn get(
    pipe: &Pipe,
) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<Result<u32, Refusal>> + '_ {
    |wait, waker, wakes| pipe.poll_get(wait, waker, wakes)
}

fn put(
    pipe: &Pipe,
    item: u32,
) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<Result<(), Refusal>> + '_ {
    let mut item = Some(item);
    move |wait, waker, wakes| pipe.poll_put(&mut item, wait, waker, wakes)
}

fn join(
    pipe: &Pipe,
) -> impl FnMut(&mut Wait, &mut Option<Bell>, &mut Wakes<Bell>) -> Progress<Result<(), Refusal>> + '_ {
    |wait, waker, _| pipe.poll_join(wait, waker)
}

/// Puts at once.
fn put_now(pipe: &Pipe, item: u32) -> Result<(), Refusal> {
    match Waiter::new(Manner::Barging).poll(put(pipe, item)) {
        Progress::Ready(put) => put,
        _ => unreachable!("there is room"),
    }
}

/// What is left in it.
fn rest(pipe: &Pipe) -> Vec<u32> {
    let mut wakes = Wakes::None;
    let rest = pipe.shut_down(true, &mut wakes);
    assert!(wakes.is_empty(), "somebody still waited");
    rest.into()
}

const ALL_MANNERS: [Manner; 3] = [Manner::InOrder, Manner::Barging, Manner::Looping];

/// Two items through a pipe for one, so that both sides wait.
#[test]
fn loom_channel_passes_items_in_order() {
    for manner in ALL_MANNERS {
        model(move || {
            let pipe = pipe(1);
            let puts =
                spawn(&pipe, move |pipe| [1, 2].map(|item| Waiter::new(manner).serve(put(pipe, item))));
            let got = [(), ()].map(|()| Waiter::new(manner).serve(get(&pipe)));
            assert_eq!(got, [Ok(1), Ok(2)]);
            assert_eq!(puts.join().unwrap(), [Ok(()); 2]);
            assert_eq!(rest(&pipe), []);
        });
    }
}

/// An item on its way to one that ends hastily goes to the one behind.
#[test]
fn loom_channel_items_are_passed_on() {
    for manner in ALL_MANNERS {
        for end in HASTY_ENDS {
            model(move || {
                let pipe = pipe(0);
                let hasty = Waiter::park(manner, get(&pipe));
                let mut patient = Waiter::park(manner, get(&pipe));
                let hasty = spawn(&pipe, move |pipe| hasty.finish(end, pipe, get(pipe)));
                let patient = spawn(&pipe, move |pipe| patient.serve(get(pipe)));
                assert_eq!(put_now(&pipe, 1), Ok(()));
                let hasty = hasty.join().unwrap();
                if hasty.is_some() {
                    assert_eq!(put_now(&pipe, 1), Ok(()));
                }
                assert!(hasty.is_none_or(|item| item == Ok(1)));
                assert_eq!(patient.join().unwrap(), Ok(1));
                assert_eq!(rest(&pipe), []);
            });
        }
    }
}

/// Room on its way to one that ends hastily goes to the one behind.
#[test]
fn loom_channel_room_is_passed_on() {
    for manner in ALL_MANNERS {
        for end in HASTY_ENDS {
            model(move || {
                let pipe = pipe(1);
                assert_eq!(put_now(&pipe, 0), Ok(()));
                let hasty = Waiter::park(manner, put(&pipe, 1));
                let mut patient = Waiter::park(manner, put(&pipe, 2));
                let hasty = spawn(&pipe, move |pipe| hasty.finish(end, pipe, put(pipe, 1)));
                let patient = spawn(&pipe, move |pipe| patient.serve(put(pipe, 2)));
                let mut got = vec![Waiter::new(manner).serve(get(&pipe))];
                let expected = match hasty.join().unwrap() {
                    Some(_) => {
                        got.push(Waiter::new(manner).serve(get(&pipe)));
                        vec![Ok(0), Ok(1)]
                    }
                    None => vec![Ok(0)],
                };
                assert_eq!(patient.join().unwrap(), Ok(()));
                assert_eq!((got, rest(&pipe)), (expected, vec![2]));
            });
        }
    }
}

/// Somebody new takes the item that one was told of.
#[test]
fn loom_channel_is_barged_into() {
    for manner in ALL_MANNERS {
        model(move || {
            let pipe = pipe(0);
            let mut waits = Waiter::park(manner, get(&pipe));
            let waits = spawn(&pipe, move |pipe| waits.serve(get(pipe)));
            let newcomer =
                spawn(&pipe, move |pipe| Waiter::new(Manner::Barging).run(End::Expired, pipe, get(pipe)));
            assert_eq!(put_now(&pipe, 1), Ok(()));
            if newcomer.join().unwrap().is_some() {
                assert_eq!(put_now(&pipe, 1), Ok(()));
            }
            assert_eq!(waits.join().unwrap(), Ok(1));
            assert_eq!(rest(&pipe), []);
        });
    }
}

/// One item, two who want it, one of whom was promised it, and a shutdown: one gets it, the other is refused, nobody waits.
#[test]
fn loom_channel_is_shut_down_beside_those_who_get() {
    for manner in ALL_MANNERS {
        for drain in [false, true] {
            model(move || {
                let pipe = pipe(0);
                let mut promised = Waiter::park(manner, get(&pipe));
                assert_eq!(put_now(&pipe, 1), Ok(()));
                let promised = spawn(&pipe, move |pipe| promised.serve(get(pipe)));
                let newcomer = spawn(&pipe, |pipe| Waiter::new(Manner::InOrder).serve(get(pipe)));
                let mut wakes = Wakes::None;
                let mut there = pipe.shut_down(drain, &mut wakes);
                ring(wakes);
                for got in [promised.join().unwrap(), newcomer.join().unwrap()] {
                    match got {
                        Ok(item) => there.push_back(item),
                        Err(refusal) => assert_eq!(refusal, Refusal::ShutDown),
                    }
                }
                assert_eq!(there, [1]);
                assert_eq!(pipe.waiting(), [0; 3]);
            });
        }
    }
}

#[test]
fn loom_channel_is_joined_beside_the_last_task() {
    for end in ENDS {
        model(move || {
            let pipe = pipe(0);
            assert_eq!(put_now(&pipe, 1), Ok(()));
            let joins = spawn(&pipe, move |pipe| Waiter::new(Manner::InOrder).run(end, pipe, join(pipe)));
            let mut wakes = Wakes::None;
            assert_eq!(pipe.task_done(&mut wakes), Ok(()));
            ring(wakes);
            let joined = joins.join().unwrap();
            assert!(joined == Some(Ok(())) || end != End::Served);
            assert_eq!(pipe.waiting(), [0; 3]);
        });
    }
}

/// The only place is kept for an item that in the end is not put, or is put after all, beside one that waits for a place.
#[test]
fn loom_channel_place_is_given_back() {
    for manner in ALL_MANNERS {
        for fills in [false, true] {
            model(move || {
                let pipe = pipe(1);
                let reserve = |wait: &mut Wait, waker: &mut Option<Bell>, _: &mut Wakes<Bell>| {
                    pipe.poll_reserve(wait, waker)
                };
                assert_eq!(Waiter::new(manner).serve(reserve), Ok(()));
                let puts = spawn(&pipe, move |pipe| Waiter::new(manner).serve(put(pipe, 2)));
                let gets = spawn(&pipe, move |pipe| Waiter::new(manner).serve(get(pipe)));
                let mut wakes = Wakes::None;
                match fills {
                    true => pipe.fill(1, &mut wakes),
                    false => pipe.unreserve(&mut wakes),
                }
                ring(wakes);
                assert_eq!(puts.join().unwrap(), Ok(()));
                let (first, left): (u32, &[u32]) = if fills { (1, &[2]) } else { (2, &[]) };
                assert_eq!(gets.join().unwrap(), Ok(first));
                assert_eq!(rest(&pipe), left);
            });
        }
    }
}

/// An item is claimed, and then put back or not, beside one that waits for it and one that waits for its place.
#[test]
fn loom_channel_place_of_a_claimed_item_is_left() {
    for manner in ALL_MANNERS {
        for back in [None, Some(1)] {
            model(move || {
                let pipe = pipe(1);
                assert_eq!(put_now(&pipe, 1), Ok(()));
                let claim = |wait: &mut Wait, waker: &mut Option<Bell>, _: &mut Wakes<Bell>| {
                    pipe.poll_claim(wait, waker)
                };
                assert_eq!(Waiter::new(manner).serve(claim), Ok(1));
                let puts = spawn(&pipe, move |pipe| Waiter::new(manner).serve(put(pipe, 2)));
                let gets = spawn(&pipe, move |pipe| Waiter::new(manner).serve(get(pipe)));
                let mut wakes = Wakes::None;
                pipe.leave_place(back, &mut wakes);
                ring(wakes);
                assert_eq!(puts.join().unwrap(), Ok(()));
                assert_eq!(gets.join().unwrap(), Ok(back.unwrap_or(2)));
                assert_eq!(rest(&pipe), if back.is_some() { vec![2] } else { vec![] });
            });
        }
    }
}
