use super::*;
use crate::fork;
use crate::shm::locks::permits::Permits;
use crate::shm::locks::Place;
use crate::shm::memory::Memory;
use std::sync::atomic::Ordering;

#[test]
fn a_place_that_nobody_else_knows_is_used_again_and_empty() {
    let mut pool = Pool::default();
    let slot = pool.slot().unwrap();
    let index = slot.index();
    slot.word(3).store(7, Ordering::Relaxed);
    drop(slot);
    let again = pool.slot().unwrap();
    assert_eq!((again.index(), again.word(3).load(Ordering::Relaxed)), (index, 0));
}

#[test]
fn a_place_that_another_process_may_know_is_not_used_again() {
    let mut pool = Pool::default();
    let shown = pool.slot().unwrap();
    shown.show();
    let index = shown.index();
    drop(shown);
    assert_ne!(pool.slot().unwrap().index(), index);
    let forked = pool.slot().unwrap();
    let index = forked.index();
    fork::count_attempt();
    drop(forked);
    assert_ne!(pool.slot().unwrap().index(), index);
}

#[test]
fn a_hundred_thousand_take_two_descriptors() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    let mut pool = Pool::default();
    let slots: Vec<_> = (0..100_000).map(|_| pool.slot().unwrap()).collect();
    // Other tests run beside this one.
    assert!(count() < before + 50);
    drop(slots);
}

#[test]
fn memory_of_another_kind_is_refused() {
    let memory = Memory::new("plait-test", 4096).unwrap();
    let descriptor = memory.descriptor().try_clone_to_owned().unwrap();
    assert!(crate::shm::locks::pool::Segment::open(descriptor).is_err());
    let slot = Pool::default().slot().unwrap();
    let (segment, _) = slot.show();
    assert!(segment.slot(0).is_none() && segment.slot(65_536).is_none());
}

#[test]
fn a_value_is_seen_through_each_mapping() {
    let (ours, theirs) = two_mappings();
    let ours = Permits::new(ours, 5, 7);
    assert_eq!(Permits::known(theirs, 7).value(), 5);
    assert_eq!(ours.most(), 7);
}
