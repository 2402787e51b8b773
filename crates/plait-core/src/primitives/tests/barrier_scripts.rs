//! Barriers under scripts, against a model in which the fate of each party inside is written down when it is decided, and not
//! read off the state of the barrier when the party wakes up.

use super::*;
use crate::primitives::barrier::{Barrier, Passage, Phase};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
enum Step {
    Come(u32, bool),
    Attempt(u32, bool),
    Poll(u32),
    Expire(u32),
    GiveUp(u32),
    Acted(bool),
    Reset(bool),
    Abort,
}

fn any_step() -> impl Strategy<Value = Step> {
    let acts = || prop::bool::weighted(0.3);
    prop_oneof![
        40 => (any_client(), acts()).prop_map(|(id, acts)| Step::Come(id, acts)),
        2 => (any_client(), acts()).prop_map(|(id, acts)| Step::Attempt(id, acts)),
        40 => any_client().prop_map(Step::Poll),
        3 => any_client().prop_map(Step::Expire),
        6 => any_client().prop_map(Step::GiveUp),
        10 => prop::bool::weighted(0.8).prop_map(Step::Acted),
        4 => any::<bool>().prop_map(Step::Reset),
        2 => Just(Step::Abort),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    GoesThrough,
    Breaks,
}

struct Party {
    waiter: Waiter,
    acts: bool,
    /// Its number and its fate; None: it is at the door.
    inside: Option<(usize, Fate)>,
    woken: bool,
}

struct Game {
    barrier: Barrier<u32>,
    size: usize,
    parties: BTreeMap<u32, Party>,
    /// Who acts, and its number.
    actor: Option<(u32, usize)>,
    phase: Phase,
}

impl Game {
    fn play(&mut self, step: &Step) {
        match *step {
            Step::Come(id, acts) => self.come(id, acts, false),
            Step::Attempt(id, acts) => self.come(id, acts, true),
            Step::Poll(id) => self.poll(id, false),
            Step::Expire(id) => self.poll(id, true),
            Step::GiveUp(id) => self.give_up(id),
            Step::Acted(well) => self.acted(well),
            Step::Reset(even_draining) => self.reset(even_draining),
            Step::Abort => {
                let mut wakes = Wakes::None;
                self.barrier.abort(&mut wakes);
                let woken = self.break_it();
                self.expect_woken(wakes, woken);
            }
        }
        self.check();
    }

    /// How many are inside.
    fn inside(&self) -> usize {
        let waiting = self.parties.values().filter(|party| party.inside.is_some()).count();
        waiting + usize::from(self.actor.is_some())
    }

    /// Wakes those inside, or at the door. Returns whom.
    fn wake(&mut self, inside: bool) -> Vec<u32> {
        let asleep = |party: &Party| !party.woken && party.inside.is_some() == inside;
        let mut woken = Vec::new();
        for (id, party) in self.parties.iter_mut().filter(|(_, party)| asleep(party)) {
            party.woken = true;
            woken.push(*id);
        }
        woken
    }

    /// Decides the fate of all inside.
    fn decide(&mut self, fate: Fate, phase: Phase) -> Vec<u32> {
        self.phase = phase;
        for party in self.parties.values_mut() {
            party.inside = party.inside.map(|(number, _)| (number, fate));
        }
        self.wake(true)
    }

    fn break_it(&mut self) -> Vec<u32> {
        let inside = self.decide(Fate::Breaks, Phase::Broken);
        [inside, self.wake(false)].concat()
    }

    /// Somebody has left. Returns who is woken if it was the last.
    fn left(&mut self) -> Vec<u32> {
        if self.inside() > 0 || !matches!(self.phase, Phase::Draining | Phase::Resetting) {
            return Vec::new();
        }
        self.phase = Phase::Filling;
        self.wake(false)
    }

    fn expect_woken(&self, wakes: Wakes<u32>, mut expected: Vec<u32>) {
        let mut woken = ids(wakes);
        woken.sort_unstable();
        expected.sort_unstable();
        assert_eq!(woken, expected);
    }

    fn come(&mut self, id: u32, acts: bool, attempt: bool) {
        if self.parties.contains_key(&id) || self.actor.is_some_and(|actor| actor.0 == id) {
            return;
        }
        let manner = Manner::InOrder;
        let waiter = if attempt { Waiter::attempt(id, manner) } else { Waiter::new(id, manner) };
        self.step(id, Party { waiter, acts, inside: None, woken: true });
    }

    fn poll(&mut self, id: u32, expires: bool) {
        let Some(mut party) = self.parties.remove(&id) else { return };
        if expires {
            party.waiter.wait.expire();
        }
        self.step(id, party);
    }

    fn step(&mut self, id: u32, mut party: Party) {
        let mut wakes = Wakes::None;
        let (barrier, acts) = (&self.barrier, party.acts);
        let progress = party.waiter.poll(|wait, waker| barrier.poll(wait, acts, waker, &mut wakes));
        let (expected, woken) = self.expect(id, &mut party);
        assert_eq!(progress, expected);
        if progress == Progress::Pending {
            self.parties.insert(id, party);
        }
        self.expect_woken(wakes, woken);
    }

    /// What a poll of this party, which is out of the list for now, comes to.
    fn expect(&mut self, id: u32, party: &mut Party) -> (Progress<Passage>, Vec<u32>) {
        let expired = party.waiter.wait.expired;
        match (party.inside, party.woken) {
            (Some((number, fate)), true) => {
                let passage =
                    if fate == Fate::GoesThrough { Passage::Through(number) } else { Passage::Broken };
                (Progress::Ready(passage), self.left())
            }
            (Some(_), false) if expired && self.phase == Phase::Filling => {
                (Progress::Ready(Passage::Broken), self.break_it())
            }
            (_, false) => (Progress::Pending, Vec::new()),
            (None, true) => match self.phase {
                Phase::Broken => (Progress::Ready(Passage::Refused), Vec::new()),
                Phase::Filling => self.expect_inside(id, party, expired),
                _ => {
                    party.woken = false;
                    (Progress::Pending, Vec::new())
                }
            },
        }
    }

    fn expect_inside(&mut self, id: u32, party: &mut Party, expired: bool) -> (Progress<Passage>, Vec<u32>) {
        let number = self.inside();
        if number + 1 == self.size {
            if party.acts {
                (self.phase, self.actor) = (Phase::Acting, Some((id, number)));
                return (Progress::Ready(Passage::Act(number)), Vec::new());
            }
            let mut woken = self.decide(Fate::GoesThrough, Phase::Draining);
            woken.extend(self.left());
            return (Progress::Ready(Passage::Through(number)), woken);
        }
        if expired {
            return (Progress::Ready(Passage::Broken), self.break_it());
        }
        (party.inside, party.woken) = (Some((number, Fate::Waits)), false);
        (Progress::Pending, Vec::new())
    }

    fn give_up(&mut self, id: u32) {
        let Some(mut party) = self.parties.remove(&id) else { return };
        let woken = party.waiter.gives_up(&self.barrier);
        let expected = if party.inside.is_some() { self.left() } else { Vec::new() };
        assert_eq!(BTreeSet::from_iter(woken), BTreeSet::from_iter(expected));
    }

    fn acted(&mut self, well: bool) {
        let Some((_, number)) = self.actor.take() else { return };
        let passage = if well { Passage::Through(number) } else { Passage::Broken };
        let mut wakes = Wakes::None;
        assert_eq!(self.barrier.acted(passage, &mut wakes), passage);
        let mut woken = match (well, self.phase) {
            (false, _) => self.break_it(),
            (true, Phase::Acting) => self.decide(Fate::GoesThrough, Phase::Draining),
            (true, _) => Vec::new(),
        };
        woken.extend(self.left());
        self.expect_woken(wakes, woken);
    }

    fn reset(&mut self, even_draining: bool) {
        let mut wakes = Wakes::None;
        self.barrier.reset(even_draining, &mut wakes);
        let woken = if self.inside() == 0 {
            self.phase = Phase::Filling;
            self.wake(false)
        } else if even_draining || self.phase != Phase::Draining {
            self.decide(Fate::Breaks, Phase::Resetting)
        } else {
            Vec::new()
        };
        self.expect_woken(wakes, woken);
    }

    fn check(&self) {
        assert_eq!(self.barrier.phase(), self.phase);
        assert_eq!(self.barrier.inside(), self.inside());
        let asleep: Vec<_> = self.parties.values().filter(|party| !party.woken).collect();
        assert_eq!(self.barrier.waiting(), asleep.len());
        let those_inside_wait = matches!(self.phase, Phase::Filling | Phase::Acting);
        let the_door_is_closed = matches!(self.phase, Phase::Acting | Phase::Draining | Phase::Resetting);
        for party in asleep {
            let has_reason = if party.inside.is_some() { those_inside_wait } else { the_door_is_closed };
            assert!(has_reason, "nobody will wake it");
        }
        assert!(self.phase != Phase::Filling || self.inside() < self.size);
    }

    /// When the one that acts is done, all wake-ups have arrived, and nobody comes any more, those who still wait are too few.
    fn finish(mut self) {
        self.play(&Step::Acted(true));
        for _ in 0..=2 * CLIENTS {
            let awake = |id: &u32| self.parties.get(id).is_some_and(|party| party.woken);
            let Some(id) = (0..CLIENTS).find(awake) else { break };
            self.play(&Step::Poll(id));
            self.play(&Step::Acted(true));
        }
        assert!(matches!(self.phase, Phase::Filling | Phase::Broken), "{:?}", self.phase);
        assert!(self.parties.values().all(|party| !party.woken && party.inside.is_some()));
        assert!(self.parties.len() < self.size);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_go_through_or_none(size in 1..4usize, script in script(any_step())) {
        let (barrier, phase) = (Barrier::new(size), Phase::Filling);
        let mut game = Game { barrier, size, parties: BTreeMap::new(), actor: None, phase };
        script.iter().for_each(|step| game.play(step));
        game.finish();
    }
}
