//! Events and conditions under scripts: whom a flag or a notification reaches, and that it is not lost on one who gives up.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Debug)]
enum Step {
    Come(u32),
    Attempt(u32),
    Poll(u32),
    Expire(u32),
    GiveUp(u32),
    /// Sets the flag, or notifies so many.
    Notify(usize),
    /// Takes the flag back.
    Clear,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_client().prop_map(Step::Come),
        1 => any_client().prop_map(Step::Attempt),
        4 => any_client().prop_map(Step::Poll),
        1 => any_client().prop_map(Step::Expire),
        2 => any_client().prop_map(Step::GiveUp),
        2 => (0..4usize).prop_map(Step::Notify),
        2 => Just(Step::Clear),
    ]
}

/// An event or a condition.
trait Notices: Waitable {
    /// Returns who is woken, and how many should be.
    fn notice(&self, count: usize) -> (Wakes<u32>, usize);
    fn clear(&self);
    /// Whether nobody has to wait.
    fn is_set(&self) -> bool;
    fn waiting(&self) -> usize;
    /// How many wait, or do not know yet that they were woken.
    fn present(&self) -> usize;
    const PASSES_ON: bool;
}

impl Notices for Event<u32> {
    fn notice(&self, _count: usize) -> (Wakes<u32>, usize) {
        (self.set(), usize::MAX)
    }

    fn clear(&self) {
        self.clear();
    }

    fn is_set(&self) -> bool {
        self.is_set()
    }

    fn waiting(&self) -> usize {
        self.waiting()
    }

    fn present(&self) -> usize {
        self.present()
    }

    const PASSES_ON: bool = false;
}

impl Notices for Condition<u32> {
    fn notice(&self, count: usize) -> (Wakes<u32>, usize) {
        (self.notify(count), count)
    }

    fn clear(&self) {}

    fn is_set(&self) -> bool {
        false
    }

    fn waiting(&self) -> usize {
        self.waiting()
    }

    fn present(&self) -> usize {
        self.present()
    }

    const PASSES_ON: bool = true;
}

struct Game<N> {
    notices: N,
    manners: Vec<Manner>,
    waiters: BTreeMap<u32, Waiter>,
    parked: VecDeque<u32>,
    woken: BTreeSet<u32>,
}

impl<N: Notices> Game<N> {
    fn play(&mut self, step: &Step) {
        match *step {
            Step::Come(id) => self.come(id, false),
            Step::Attempt(id) => self.come(id, true),
            Step::Poll(id) => self.poll(id, false),
            Step::Expire(id) => self.poll(id, true),
            Step::GiveUp(id) => self.give_up(id),
            Step::Notify(count) => {
                let (wakes, count) = self.notices.notice(count);
                assert_eq!(ids(wakes), self.wake(count));
            }
            Step::Clear => self.notices.clear(),
        }
        assert_eq!(self.notices.waiting(), self.parked.len());
        assert_eq!(self.notices.present(), self.waiters.len());
        assert!(!self.notices.is_set() || self.parked.is_empty(), "somebody waits for what is set");
    }

    fn wake(&mut self, count: usize) -> Vec<u32> {
        let woken: Vec<_> = self.parked.drain(..count.min(self.parked.len())).collect();
        self.woken.extend(&woken);
        woken
    }

    fn come(&mut self, id: u32, attempt: bool) {
        if self.waiters.contains_key(&id) {
            return;
        }
        let manner = self.manners[id as usize];
        let mut waiter = if attempt { Waiter::attempt(id, manner) } else { Waiter::new(id, manner) };
        let expected = match (self.notices.is_set(), attempt) {
            (true, _) => Progress::Ready(()),
            (false, true) => Progress::TimedOut,
            (false, false) => Progress::Pending,
        };
        assert_eq!(waiter.on(&self.notices), expected);
        if expected == Progress::Pending {
            self.waiters.insert(id, waiter);
            self.parked.push_back(id);
        }
    }

    fn poll(&mut self, id: u32, expires: bool) {
        let Some(waiter) = self.waiters.get_mut(&id) else { return };
        let progress = if expires { waiter.expires_on(&self.notices) } else { waiter.on(&self.notices) };
        let expected = match (self.woken.remove(&id), expires) {
            (true, _) => Progress::Ready(()),
            (false, true) => Progress::TimedOut,
            (false, false) => Progress::Pending,
        };
        assert_eq!(progress, expected);
        if expected != Progress::Pending {
            self.waiters.remove(&id);
            self.parked.retain(|parked| *parked != id);
        }
    }

    fn give_up(&mut self, id: u32) {
        let Some(mut waiter) = self.waiters.remove(&id) else { return };
        let woken = waiter.gives_up(&self.notices);
        let expected = match self.woken.remove(&id) && N::PASSES_ON {
            true => self.wake(1),
            false => Vec::new(),
        };
        assert_eq!(woken, expected);
        self.parked.retain(|parked| *parked != id);
    }
}

fn play(notices: impl Notices, manners: Vec<Manner>, script: &[Step]) {
    let (waiters, parked, woken) = Default::default();
    let mut game = Game { notices, manners, waiters, parked, woken };
    script.iter().for_each(|step| game.play(step));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_flag_reaches_all_who_wait(manners in any_manners(), script in script(any_step())) {
        play(Event::default(), manners, &script);
    }

    #[test]
    fn a_notification_reaches_as_many_as_it_should(manners in any_manners(), script in script(any_step())) {
        play(Condition::default(), manners, &script);
    }
}
