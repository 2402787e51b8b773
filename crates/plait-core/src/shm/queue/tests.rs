//! The queue against a simple model, in crowds of threads that stand for processes (each with a mapping of its own), and with dead processes in the places
//! where one may be killed.

use super::backlog::Backlog;
use super::layout::{End, Layout, UNIT};
use super::*;
use crate::shm::identity::Identity;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::Arc;
use std::time::Instant;

const SMALL: usize = 64 * UNIT;

fn small(maxsize: u32) -> Queue {
    Queue::with_capacity(maxsize, SMALL).unwrap()
}

/// What another process would have.
fn another(queue: &Queue) -> Queue {
    let Descriptors { memory, items, slots } = queue.descriptors();
    let copy = |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().unwrap();
    Queue::open(Descriptors { memory: copy(memory), items: copy(items), slots: slots.map(copy) }).unwrap()
}

fn put(queue: &Queue, message: &[u8]) -> Put {
    Putter::new(queue, message, false).step().unwrap()
}

fn get(queue: &Queue) -> Option<Vec<u8>> {
    let mut buffer = Vec::new();
    match Taker::new(queue).step(&mut buffer).unwrap() {
        Got::Message => Some(buffer),
        _ => None,
    }
}

fn put_waiting(queue: &Queue, message: &[u8]) {
    let mut putter = Putter::new(queue, message, false);
    while putter.step_or_sleep(LONGEST_SLEEP).unwrap() != Put::Done {}
}

fn get_waiting(queue: &Queue) -> Vec<u8> {
    let (mut taker, mut buffer) = (Taker::new(queue), Vec::new());
    while taker.step_or_sleep(&mut buffer, LONGEST_SLEEP).unwrap() != Got::Message {}
    buffer
}

/// A process that has been there.
fn dead() -> u64 {
    // No process has a number as high as that.
    Identity { pid: i32::MAX as u32 - 1, start: 0 }.pack()
}

fn layout(queue: &Queue) -> &Layout {
    &queue.layout
}

proptest! {
    /// What is put comes out, in order; what does not fit is refused; the counts are right. (All are shorter than what goes in pieces.)
    #[test]
    fn it_is_a_queue(maxsize in 0_u32..6, script in prop::collection::vec((any::<bool>(), 0_usize..248), 1..200)) {
        let (ours, mut model) = (small(maxsize), VecDeque::new());
        let theirs = another(&ours);
        for (n, (puts, length)) in script.into_iter().enumerate() {
            let message = vec![n as u8; length];
            if puts {
                let done = put(&ours, &message);
                if maxsize != 0 && model.len() == maxsize as usize {
                    prop_assert_eq!(done, Put::Full);
                } else if done == Put::Done {
                    model.push_back(message);
                } else {
                    let used: usize = model.iter().map(|m: &Vec<u8>| 1 + m.len().div_ceil(UNIT)).sum();
                    prop_assert_eq!(done, Put::NoRoom);
                    prop_assert!(used + 2 + length.div_ceil(UNIT) > 64);
                }
            } else {
                prop_assert_eq!(get(&theirs), model.pop_front());
            }
            prop_assert_eq!(theirs.len() as usize, model.len());
            prop_assert_eq!(theirs.is_empty(), model.is_empty());
            prop_assert_eq!(ours.is_full(), maxsize != 0 && model.len() == maxsize as usize);
        }
    }

    /// Whatever is in the memory, nobody reads outside of it or is caught in it.
    #[test]
    fn any_memory_is_survived(noise in prop::collection::vec(any::<u64>(), 64), head in any::<u64>(), tail in any::<u64>()) {
        let queue = small(0);
        for (n, word) in noise.iter().enumerate() {
            layout(&queue).write(n as u32, &word.to_ne_bytes());
        }
        layout(&queue).head().store(head, SeqCst);
        layout(&queue).tail().store(tail, SeqCst);
        let mut buffer = Vec::new();
        for _ in 0..100 {
            let _ = Taker::new(&queue).step(&mut buffer);
            let _ = Putter::new(&queue, b"plait", false).step();
        }
        prop_assert!(buffer.len() <= SMALL);
    }
}

#[test]
fn a_long_message_goes_in_pieces() {
    let queue = Arc::new(small(0));
    let message: Vec<u8> = (0..10_000_u32).map(|n| n as u8).collect();
    let theirs = another(&queue);
    let writer = std::thread::spawn({
        let message = message.clone();
        move || (0..20).for_each(|_| put_waiting(&theirs, &message))
    });
    for _ in 0..20 {
        assert_eq!(get_waiting(&queue), message);
    }
    writer.join().unwrap();
    assert!((queue.is_empty(), queue.len()) == (true, 0));
}

#[test]
fn a_crowd_loses_nothing_and_keeps_each_ones_order() {
    const WRITERS: usize = 3;
    const EACH: u32 = 3_000;
    for maxsize in [0, 4] {
        let queue = small(maxsize);
        let got = AtomicUsize::new(0);
        let all = std::thread::scope(|scope| {
            for writer in 0..WRITERS as u8 {
                let queue = another(&queue);
                scope.spawn(move || {
                    for n in 0..EACH {
                        let mut message = vec![writer; 5 + (n as usize % 7) * 40];
                        message[1..5].copy_from_slice(&n.to_ne_bytes());
                        put_waiting(&queue, &message);
                    }
                });
            }
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    let (queue, got) = (another(&queue), &got);
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        while got.fetch_add(1, SeqCst) < WRITERS * EACH as usize {
                            mine.push(get_waiting(&queue));
                        }
                        mine
                    })
                })
                .collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
        });
        let mut seen = [0; WRITERS];
        for mine in &all {
            let mut last = [None; WRITERS];
            for message in mine {
                let (writer, n) =
                    (message[0] as usize, u32::from_ne_bytes(message[1..5].try_into().unwrap()));
                assert!(message[5..].iter().all(|&byte| byte as usize == writer));
                assert!(last[writer].replace(n) < Some(n));
                seen[writer] += 1;
            }
        }
        assert_eq!(seen, [EACH; WRITERS]);
        assert!((queue.is_empty(), queue.len()) == (true, 0));
    }
}

#[test]
fn who_dies_at_an_end_is_followed_by_the_next() {
    let queue = small(0);
    queue.lock_of(Side::Tail).take_for(dead());
    queue.lock_of(Side::Head).take_for(dead());
    assert_eq!(put(&queue, b"a"), Put::Done);
    assert_eq!(get(&queue), Some(b"a".to_vec()));
}

#[test]
fn who_lives_elsewhere_judges_of_nobodys_life_and_nobody_of_its() {
    let here = small(0);
    layout(&here).carry_elsewhere();
    let elsewhere = another(&here);
    here.lock_of(Side::Tail).take_for(dead());
    assert_eq!(put(&elsewhere, b"a"), Put::Busy);
    assert_eq!(put(&here, b"a"), Put::Done);
    assert!(elsewhere.hold_side(Side::Head, Duration::ZERO));
    assert!(!here.release_side(Side::Head) && !here.hold_side(Side::Head, Duration::ZERO));
    assert_eq!(get(&here), None);
    assert!(elsewhere.release_side(Side::Head));
    assert_eq!(get(&here), Some(b"a".to_vec()));
}

#[test]
fn who_lives_is_not_robbed() {
    let queue = small(0);
    assert!(queue.hold_side(Side::Tail, Duration::ZERO));
    assert_eq!(put(&queue, b"a"), Put::Busy);
    assert!(!queue.release_side(Side::Head));
    assert!(queue.release_side(Side::Tail));
    assert_eq!(put(&queue, b"a"), Put::Done);
}

#[test]
fn the_message_of_a_writer_that_died_is_abandoned() {
    let queue = small(0);
    let mut putter = Putter::new(&queue, &[1; 1000], false);
    assert_eq!(putter.step().unwrap(), Put::NoRoom);
    // It is killed: nothing of it runs any more.
    std::mem::forget(putter);
    layout(&queue).tail_lock().take_for(dead());
    let (mut taker, mut buffer) = (Taker::new(&queue), Vec::new());
    let start = Instant::now();
    while taker.step_or_sleep(&mut buffer, Duration::from_millis(10)).unwrap() != Got::Empty {
        assert!(start.elapsed() < Duration::from_secs(60));
    }
    assert_eq!(put(&queue, b"next"), Put::Done);
    assert_eq!(taker.step(&mut buffer).unwrap(), Got::Message);
    assert_eq!((buffer.as_slice(), queue.len()), (b"next".as_slice(), 0));
}

#[test]
fn a_writer_that_gives_up_abandons_its_message() {
    let queue = small(0);
    let mut putter = Putter::new(&queue, &[1; 1000], false);
    assert_eq!(putter.step().unwrap(), Put::NoRoom);
    drop(putter);
    assert_eq!((queue.len(), get(&queue), queue.is_empty()), (0, None, true));
    assert_eq!((put(&queue, b"next"), get(&queue)), (Put::Done, Some(b"next".to_vec())));
}

#[test]
fn the_message_of_a_reader_that_died_is_skipped() {
    let queue = small(0);
    let mut putter = Putter::new(&queue, &[1; 1000], false);
    assert_eq!(putter.step().unwrap(), Put::NoRoom);
    let (mut taker, mut buffer) = (Taker::new(&queue), Vec::new());
    assert_eq!(taker.step(&mut buffer).unwrap(), Got::More);
    std::mem::forget(taker);
    layout(&queue).head_lock().take_for(dead());
    loop {
        let put = putter.step().unwrap();
        assert_eq!(get(&queue), None);
        if put == Put::Done {
            break;
        }
    }
    assert_eq!(get(&queue), None);
    assert_eq!((queue.len(), put(&queue, b"next")), (0, Put::Done));
    assert_eq!(get(&queue), Some(b"next".to_vec()));
}

#[test]
fn positions_and_counts_wrap() {
    let queue = small(2);
    let start = End { position: 0x7fff_ffff, count: u32::MAX, partial: false }.to_word();
    layout(&queue).head().store(start, SeqCst);
    layout(&queue).tail().store(start, SeqCst);
    for n in 0..100_u8 {
        assert_eq!((put(&queue, &[n; 20]), queue.len()), (Put::Done, 1));
        assert_eq!((put(&queue, &[n; 3]), queue.is_full()), (Put::Done, true));
        assert_eq!(get(&queue), Some(vec![n; 20]));
        assert_eq!(get(&queue), Some(vec![n; 3]));
    }
}

#[test]
fn what_is_put_is_to_be_done_once() {
    let queue = small(0);
    assert!(!queue.task_done());
    assert_eq!(put(&queue, b"a"), Put::Done);
    assert!(queue.reserve());
    assert_eq!(queue.unfinished(), 2);
    get(&queue).unwrap();
    assert_eq!(queue.unfinished(), 2);
    let ticket = queue.joined().announce();
    assert!(queue.task_done() && !queue.joined().has_come(ticket));
    assert!(queue.task_done() && queue.joined().has_come(ticket));
    assert!(!queue.task_done());
}

#[test]
fn a_bound_holds_for_those_in_the_ring_and_those_outside_together() {
    // Long enough that others find time between a look and its consequence.
    let message = vec![1; 100_000];
    let queue = Queue::with_capacity(1, 1 << 20).unwrap();
    let theirs = another(&queue);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                if theirs.reserve() {
                    theirs.unreserve(1);
                }
            }
        });
        // Nobody else gets, so that a count is exact here.
        let most = (0..3_000).map(|_| match put(&queue, &message) {
            Put::Done => {
                let count = queue.len();
                assert!(get(&queue).is_some());
                count
            }
            _ => 0,
        });
        let most = most.max();
        ended.store(true, SeqCst);
        assert_eq!(most, Some(1));
    });
}

#[test]
fn what_comes_in_from_outside_counts_once() {
    let queue = small(2);
    let (short, long) = (vec![1; 20], vec![2; 1000]);
    assert!(queue.reserve() && queue.reserve() && !queue.reserve());
    assert_eq!(Putter::new(&queue, &short, true).step().unwrap(), Put::Done);
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    let mut putter = Putter::new(&queue, &long, true);
    assert_eq!(putter.step().unwrap(), Put::NoRoom);
    assert_eq!((queue.len(), queue.unfinished()), (2, 2));
    assert_eq!(get(&queue), Some(short));
    let (mut taker, mut buffer) = (Taker::new(&queue), Vec::new());
    while taker.step(&mut buffer).unwrap() != Got::Message {
        putter.step().unwrap();
    }
    assert_eq!((&buffer, queue.len(), queue.unfinished()), (&long, 0, 2));
}

#[test]
fn who_waits_for_all_to_be_done_hears_of_what_was_given_up() {
    let queue = small(0);
    assert!(queue.reserve() && queue.reserve());
    let ticket = queue.joined().announce();
    queue.unreserve(1);
    assert!(!queue.joined().has_come(ticket));
    queue.unreserve(1);
    assert!(queue.joined().has_come(ticket));
}

#[test]
fn what_waits_outside_counts_and_comes_in_order() {
    let queue = Arc::new(small(40));
    let backlog = Arc::new(Backlog::new(Arc::clone(&queue)));
    let mut feeder = None;
    for n in 0..40_u8 {
        assert!(queue.reserve());
        if backlog.push(vec![n; 100]) {
            let backlog = Arc::clone(&backlog);
            feeder = Some(std::thread::spawn(move || backlog.feed()));
        }
    }
    assert!(!queue.reserve() && queue.is_full());
    for n in 0..40_u8 {
        assert_eq!(get_waiting(&queue), vec![n; 100]);
    }
    while !backlog.wait_sent(Some(LONGEST_SLEEP)) {}
    assert_eq!(queue.len(), 0);
    feeder.unwrap().join().unwrap();
}

#[test]
fn what_is_given_up_does_not_count() {
    let queue = Arc::new(small(20));
    let backlog = Arc::new(Backlog::new(Arc::clone(&queue)));
    assert!(queue.reserve() && backlog.push(vec![0; 10_000]));
    assert!(queue.reserve() && !backlog.push(vec![0; 10_000]));
    let feeder = std::thread::spawn({
        let backlog = Arc::clone(&backlog);
        move || backlog.feed()
    });
    backlog.give_up();
    feeder.join().unwrap();
    while get(&queue).is_some() {}
    assert_eq!((queue.len(), backlog.is_empty()), (0, true));
}

#[test]
fn a_bell_is_readable_while_there_is_something() {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let queue = small(1);
    let readable = |descriptor: BorrowedFd<'_>| {
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    let (items, slots) = (queue.watch_items(), queue.watch_slots().unwrap());
    assert_eq!((readable(items), readable(slots)), (false, true));
    assert_eq!((put(&queue, b"a"), put(&queue, b"b")), (Put::Done, Put::Full));
    assert_eq!((readable(items), readable(slots)), (true, false));
    assert_eq!(get(&queue), Some(b"a".to_vec()));
    assert_eq!((readable(items), readable(slots)), (false, true));
    assert_eq!(get(&queue), None);
}

#[test]
fn a_bell_is_not_heard_twice_of_one_message() {
    use rustix::event::{poll, PollFd, PollFlags};
    let queue = small(0);
    let theirs = another(&queue);
    queue.watch_items();
    let writer =
        std::thread::spawn(move || (0..20_000_u32).for_each(|n| put_waiting(&theirs, &n.to_ne_bytes())));
    let bell = queue.watch_items();
    for n in 0..20_000_u32 {
        poll(&mut [PollFd::new(&bell, PollFlags::IN)], None).unwrap();
        assert_eq!(get(&queue), Some(n.to_ne_bytes().to_vec()));
    }
    writer.join().unwrap();
}

#[test]
fn other_memory_is_refused() {
    let memory = Memory::new("plait-test", 4096 + SMALL).unwrap();
    let descriptor = memory.descriptor().try_clone_to_owned().unwrap();
    let queue = small(0);
    let items = queue.descriptors().items.try_clone_to_owned().unwrap();
    let refused = Queue::open(Descriptors { memory: descriptor, items, slots: None });
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
}
