//! Locks and semaphores under scripts. A lock is a semaphore of one permit, so both have the same model, and after every step:
//!
//! * who is served, who waits and who is woken is what the model says, to the man and in this order;
//! * no permit is lost or made: free, handed over and held are as many as there were in all;
//! * no permit is free that nobody was told of while somebody waits, but for those in order who came while a permit was on its way to
//!   others: they are served when these have noticed.
//!
//! At the end, when all wake-ups have arrived and whoever is served releases again, nobody waits.

use super::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Debug)]
enum Step {
    /// Begins to wait.
    Come(u32),
    /// Tries, and does not wait.
    Attempt(u32),
    /// Polls again, for a reason or without.
    Poll(u32),
    Expire(u32),
    GiveUp(u32),
    Release(u32),
    /// More permits, for a semaphore.
    Add(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => any_client().prop_map(Step::Come),
        2 => any_client().prop_map(Step::Attempt),
        4 => any_client().prop_map(Step::Poll),
        1 => any_client().prop_map(Step::Expire),
        2 => any_client().prop_map(Step::GiveUp),
        4 => any_client().prop_map(Step::Release),
        1 => (0..3u64).prop_map(Step::Add),
    ]
}

/// A lock or a semaphore.
trait Permits: Waitable {
    fn put_back(&self) -> Wakes<u32>;
    /// Adds permits, where that can be done. Returns how many.
    fn add(&self, count: u64) -> (u64, Wakes<u32>);
    fn waiting(&self) -> usize;
    /// How many wait, or do not know yet that they were woken.
    fn present(&self) -> usize;
    /// Compares what can be seen with (free, handed over, held).
    fn check(&self, free: u64, handed: u64, held: u64);
}

impl Permits for Lock<u32> {
    fn put_back(&self) -> Wakes<u32> {
        self.release().expect("it is held")
    }

    fn add(&self, _count: u64) -> (u64, Wakes<u32>) {
        (0, Wakes::None)
    }

    fn waiting(&self) -> usize {
        self.waiting()
    }

    fn present(&self) -> usize {
        self.present()
    }

    fn check(&self, free: u64, handed: u64, held: u64) {
        assert_eq!(free + handed + held, 1);
        assert_eq!(self.is_held(), held == 1);
        assert!(held == 1 || self.release().is_err(), "only what is held can be released");
    }
}

impl Permits for Semaphore<u32> {
    fn put_back(&self) -> Wakes<u32> {
        self.release(1, None).expect("there is no bound")
    }

    fn add(&self, count: u64) -> (u64, Wakes<u32>) {
        (count, self.release(count, None).expect("there is no bound"))
    }

    fn waiting(&self) -> usize {
        self.waiting()
    }

    fn present(&self) -> usize {
        self.present()
    }

    fn check(&self, free: u64, _handed: u64, _held: u64) {
        assert_eq!(self.value(), free);
    }
}

#[derive(Default)]
struct Model {
    free: u64,
    parked: VecDeque<(u32, Manner)>,
    handed: BTreeSet<u32>,
    notified: BTreeSet<u32>,
    held: BTreeSet<u32>,
}

impl Model {
    fn arrive(&mut self, id: u32, manner: Manner, attempt: bool) -> Progress<()> {
        let overtakes = manner != Manner::InOrder;
        if self.free > 0 && (overtakes || (self.parked.is_empty() && self.handed.is_empty())) {
            self.free -= 1;
            self.held.insert(id);
            Progress::Ready(())
        } else if attempt {
            Progress::TimedOut
        } else {
            self.parked.push_back((id, manner));
            Progress::Pending
        }
    }

    fn poll(&mut self, id: u32, manner: Manner, expired: bool) -> Progress<()> {
        if self.handed.remove(&id) {
            self.held.insert(id);
            return Progress::Ready(());
        }
        if !self.notified.remove(&id) {
            return match expired {
                true => {
                    self.parked.retain(|parked| parked.0 != id);
                    Progress::TimedOut
                }
                false => Progress::Pending,
            };
        }
        if self.free > 0 {
            self.free -= 1;
            self.held.insert(id);
            return Progress::Ready(());
        }
        match (expired, manner) {
            (true, _) => return Progress::TimedOut,
            (false, Manner::Looping) => self.parked.push_back((id, manner)),
            (false, _) => self.parked.push_front((id, Manner::InOrder)),
        }
        Progress::Pending
    }

    /// Returns who is woken instead.
    fn give_up(&mut self, id: u32) -> Vec<u32> {
        let (handed, notified) = (self.handed.remove(&id), self.notified.remove(&id));
        self.free += u64::from(handed);
        if handed || notified {
            return self.settle();
        }
        self.parked.retain(|parked| parked.0 != id);
        Vec::new()
    }

    /// Gives waiters what is free. Returns who is woken.
    fn settle(&mut self) -> Vec<u32> {
        let mut woken = Vec::new();
        while self.free > self.notified.len() as u64 {
            let Some((id, manner)) = self.parked.pop_front() else { break };
            woken.push(id);
            match manner {
                Manner::InOrder => {
                    self.free -= 1;
                    self.handed.insert(id);
                }
                _ => {
                    self.notified.insert(id);
                }
            }
        }
        woken
    }
}

struct Game<P> {
    permits: P,
    total: u64,
    model: Model,
    manners: Vec<Manner>,
    /// Those who wait, or have been woken and do not know it.
    waiting: BTreeMap<u32, Waiter>,
}

impl<P: Permits> Game<P> {
    fn new(permits: P, total: u64, manners: Vec<Manner>) -> Game<P> {
        let model = Model { free: total, ..Model::default() };
        Game { permits, total, model, manners, waiting: BTreeMap::new() }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Come(id) => self.come(id, false),
            Step::Attempt(id) => self.come(id, true),
            Step::Poll(id) => self.poll(id, false),
            Step::Expire(id) => self.poll(id, true),
            Step::GiveUp(id) => {
                if let Some(mut waiter) = self.waiting.remove(&id) {
                    assert_eq!(waiter.gives_up(&self.permits), self.model.give_up(id));
                }
            }
            Step::Release(id) => {
                if self.model.held.remove(&id) {
                    self.model.free += 1;
                    assert_eq!(ids(self.permits.put_back()), self.model.settle());
                }
            }
            Step::Add(count) => {
                let (added, wakes) = self.permits.add(count);
                self.total += added;
                self.model.free += added;
                assert_eq!(ids(wakes), self.model.settle());
            }
        }
        self.check();
    }

    fn come(&mut self, id: u32, attempt: bool) {
        if self.waiting.contains_key(&id) || self.model.held.contains(&id) {
            return;
        }
        let manner = self.manners[id as usize];
        let mut waiter = if attempt { Waiter::attempt(id, manner) } else { Waiter::new(id, manner) };
        let progress = waiter.on(&self.permits);
        assert_eq!(progress, self.model.arrive(id, manner, attempt));
        if progress == Progress::Pending {
            self.waiting.insert(id, waiter);
        }
    }

    fn poll(&mut self, id: u32, expires: bool) {
        let Some(waiter) = self.waiting.get_mut(&id) else { return };
        waiter.wait.expired |= expires;
        let (progress, woken) = waiter.wakes_on(&self.permits);
        let was_handed = self.model.handed.contains(&id);
        assert_eq!(progress, self.model.poll(id, self.manners[id as usize], expires));
        assert_eq!(woken, if was_handed { self.model.settle() } else { Vec::new() });
        if progress != Progress::Pending {
            self.waiting.remove(&id);
        }
    }

    fn check(&self) {
        let Model { free, parked, handed, notified, held } = &self.model;
        self.permits.check(*free, handed.len() as u64, held.len() as u64);
        assert_eq!(self.permits.waiting(), parked.len());
        assert_eq!(free + handed.len() as u64 + held.len() as u64, self.total);
        if *free > notified.len() as u64 && !parked.is_empty() {
            assert!(!handed.is_empty(), "somebody waits for what is free");
        }
        assert_eq!(self.permits.present(), self.waiting.len());
    }

    /// Everybody is served in the end.
    fn finish(mut self) {
        if self.total == 0 {
            self.play(&Step::Add(1));
        }
        for _ in 0..=2 * CLIENTS {
            for id in 0..CLIENTS {
                self.play(&Step::Poll(id));
                self.play(&Step::Release(id));
            }
        }
        assert!(self.waiting.is_empty(), "they wait for ever");
        assert_eq!(self.model.free, self.total);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_waits_in_vain_for_a_lock(manners in any_manners(), script in script(any_step())) {
        let mut game = Game::new(Lock::default(), 1, manners);
        script.iter().for_each(|step| game.play(step));
        game.finish();
    }

    #[test]
    fn nobody_waits_in_vain_for_a_permit(
        total in 0..4u64,
        manners in any_manners(),
        script in script(any_step()),
    ) {
        let mut game = Game::new(Semaphore::new(total), total, manners);
        script.iter().for_each(|step| game.play(step));
        game.finish();
    }
}
