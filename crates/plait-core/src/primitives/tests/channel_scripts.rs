//! Channels under scripts. After every step:
//!
//! * the channel holds what was put and not got, in its order, and nobody was refused without a reason;
//! * what is there, and promised to nobody, is waited for by nobody;
//! * one that waits in order is woken before those who came later to do so, and finds what it was promised.
//!
//! At the end, when all wake-ups have arrived and enough is put, got and done, nobody waits.

use super::channel::TestChannel;
use super::*;
use crate::primitives::channel::{Order, Refusal};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    Get,
    /// An item, whose place is free later.
    Claim,
    Put,
    /// Room for an item that comes later.
    Reserve,
    Join,
}

impl Aim {
    /// Those who get and those who claim stand in one line, and those who put and those who reserve.
    fn lane(self) -> usize {
        match self {
            Aim::Get | Aim::Claim => 0,
            Aim::Put | Aim::Reserve => 1,
            Aim::Join => 2,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Come(u32, Aim),
    Attempt(u32, Aim),
    Poll(u32),
    Expire(u32),
    GiveUp(u32),
    /// Uses what was reserved, or gives it back.
    Fill(u32),
    Unreserve(u32),
    /// Frees the place of what was claimed, or puts it back.
    Leave(u32, bool),
    Done,
    SetLimit(usize),
    ShutDown(bool),
}

fn any_aim() -> impl Strategy<Value = Aim> {
    prop_oneof![3 => Just(Aim::Get), 2 => Just(Aim::Claim), 3 => Just(Aim::Put), 2 => Just(Aim::Reserve), 1 => Just(Aim::Join)]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (any_client(), any_aim()).prop_map(|(id, aim)| Step::Come(id, aim)),
        30 => (any_client(), any_aim()).prop_map(|(id, aim)| Step::Attempt(id, aim)),
        50 => any_client().prop_map(Step::Poll),
        10 => any_client().prop_map(Step::Expire),
        25 => any_client().prop_map(Step::GiveUp),
        10 => any_client().prop_map(Step::Fill),
        5 => any_client().prop_map(Step::Unreserve),
        15 => (any_client(), any::<bool>()).prop_map(|(id, back)| Step::Leave(id, back)),
        10 => Just(Step::Done),
        10 => (0..4usize).prop_map(Step::SetLimit),
        1 => any::<bool>().prop_map(Step::ShutDown),
    ]
}

/// One that waits.
struct Client {
    waiter: Waiter,
    aim: Aim,
    /// In what manner it waits now: one that barged waits in order after it was overtaken.
    manner: Manner,
    /// The how-many-th to come; None once it has parked again.
    turn: Option<u32>,
}

struct Game {
    channel: TestChannel,
    order: Order,
    manners: Vec<Manner>,
    clients: BTreeMap<u32, Client>,
    /// Those of them who have been woken and do not know it.
    woken: BTreeSet<u32>,
    /// Those for whom a place is kept.
    places: BTreeSet<u32>,
    /// Who has claimed which item.
    claims: BTreeMap<u32, u32>,
    items: VecDeque<u32>,
    limit: usize,
    unfinished: i64,
    shut_down: bool,
    /// The limit was made smaller: what was promised to those who put may be gone.
    shrunk: bool,
    /// It was made larger, which wakes nobody: those who wait for room may do so in vain until something is taken.
    grown: bool,
    numbers: u32,
}

impl Game {
    fn new(order: Order, limit: usize, manners: Vec<Manner>) -> Game {
        Game {
            channel: TestChannel::new(order, limit),
            order,
            manners,
            clients: BTreeMap::new(),
            woken: BTreeSet::new(),
            places: BTreeSet::new(),
            claims: BTreeMap::new(),
            items: VecDeque::new(),
            limit,
            unfinished: 0,
            shut_down: false,
            shrunk: false,
            grown: false,
            numbers: 0,
        }
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Come(id, aim) => self.come(id, aim, false),
            Step::Attempt(id, aim) => self.come(id, aim, true),
            Step::Poll(id) => self.poll(id, false),
            Step::Expire(id) => self.poll(id, true),
            Step::GiveUp(id) => {
                if let Some(mut client) = self.clients.remove(&id) {
                    self.woken.remove(&id);
                    let wakes = client.waiter.gives_up(&self.channel);
                    self.wake(wakes);
                }
            }
            Step::Fill(id) => self.fill(id),
            Step::Unreserve(id) => {
                if self.places.remove(&id) {
                    let mut wakes = Wakes::None;
                    self.channel.unreserve(&mut wakes);
                    self.wake(ids(wakes));
                }
            }
            Step::Leave(id, back) => self.leave(id, back),
            Step::Done => self.done(),
            Step::SetLimit(limit) => self.set_limit(limit),
            Step::ShutDown(drain) => self.shut_down(drain),
        }
        self.check();
    }

    fn come(&mut self, id: u32, aim: Aim, attempt: bool) {
        let is_busy =
            self.clients.contains_key(&id) || self.places.contains(&id) || self.claims.contains_key(&id);
        if is_busy {
            return;
        }
        let manner = self.manners[id as usize];
        let waiter = if attempt { Waiter::attempt(id, manner) } else { Waiter::new(id, manner) };
        self.numbers += 1;
        let client = Client { waiter, aim, manner, turn: Some(self.numbers) };
        let others_wait = self.parked(aim) > 0;
        let served = self.step(id, client) == Outcome::Served;
        if served && manner == Manner::InOrder && aim != Aim::Join {
            assert!(!others_wait, "it overtook");
        }
    }

    fn poll(&mut self, id: u32, expires: bool) {
        let Some(mut client) = self.clients.remove(&id) else { return };
        let was_woken = self.woken.remove(&id);
        let promised = was_woken && client.manner == Manner::InOrder && !self.shut_down;
        let taken_back = client.aim.lane() == Aim::Put.lane() && self.shrunk;
        if expires {
            client.waiter.wait.expire();
        }
        if was_woken {
            client.turn = None;
            if client.manner == Manner::Barging && client.aim != Aim::Join {
                client.manner = Manner::InOrder;
            }
        }
        let outcome = self.step(id, client);
        match was_woken {
            true => assert!(!promised || taken_back || outcome == Outcome::Served, "{outcome:?}"),
            false if expires => assert_eq!(outcome, Outcome::TimedOut),
            false => assert_eq!(outcome, Outcome::Waits, "nobody has woken it"),
        }
    }

    /// One poll, and what comes of it.
    fn step(&mut self, id: u32, mut client: Client) -> Outcome {
        let mut wakes = Wakes::None;
        let (channel, waiter) = (&self.channel, &mut client.waiter);
        let progress = match client.aim {
            Aim::Get => {
                let progress = waiter.poll(|wait, waker| channel.poll_get(wait, waker, &mut wakes));
                self.expect_item(&progress);
                progress.without_item()
            }
            Aim::Claim => {
                let progress = waiter.poll(|wait, waker| channel.poll_claim(wait, waker));
                self.expect_item(&progress);
                if let Progress::Ready(Ok(item)) = progress {
                    self.claims.insert(id, item);
                }
                progress.without_item()
            }
            Aim::Put => {
                let mut item = Some(self.numbers);
                let progress =
                    waiter.poll(|wait, waker| channel.poll_put(&mut item, wait, waker, &mut wakes));
                if item.is_none() {
                    assert!(self.room() > 0, "it was full");
                    self.add(self.numbers);
                }
                progress
            }
            Aim::Reserve => {
                let progress = waiter.poll(|wait, waker| channel.poll_reserve(wait, waker));
                if progress == Progress::Ready(Ok(())) {
                    assert!(self.room() > 0, "it was full");
                    self.places.insert(id);
                }
                progress
            }
            Aim::Join => waiter.poll(|wait, waker| channel.poll_join(wait, waker)),
        };
        let outcome = match progress {
            Progress::Ready(Ok(())) => Outcome::Served,
            Progress::Ready(Err(refusal)) => {
                assert_eq!((refusal, self.shut_down), (Refusal::ShutDown, true));
                assert!(client.aim.lane() != Aim::Get.lane() || self.items.is_empty());
                Outcome::Refused
            }
            Progress::TimedOut => Outcome::TimedOut,
            Progress::Pending | Progress::WouldPark => {
                self.clients.insert(id, client);
                Outcome::Waits
            }
        };
        self.wake(ids(wakes));
        outcome
    }

    fn expect_item(&mut self, progress: &Progress<Result<u32, Refusal>>) {
        if let Progress::Ready(Ok(item)) = progress {
            let expected = match self.order {
                Order::Fifo => self.items.pop_front(),
                Order::Lifo => self.items.pop_back(),
            };
            assert_eq!(Some(*item), expected);
        }
    }

    fn add(&mut self, item: u32) {
        self.items.push_back(item);
        self.unfinished += 1;
    }

    fn room(&self) -> usize {
        match self.limit {
            0 => usize::MAX,
            limit => limit.saturating_sub(self.items.len() + self.places.len() + self.claims.len()),
        }
    }

    fn fill(&mut self, id: u32) {
        if self.places.remove(&id) {
            self.numbers += 1;
            let mut wakes = Wakes::None;
            self.channel.fill(self.numbers, &mut wakes);
            self.add(self.numbers);
            self.wake(ids(wakes));
        }
    }

    fn leave(&mut self, id: u32, back: bool) {
        let Some(item) = self.claims.remove(&id) else { return };
        let mut wakes = Wakes::None;
        self.channel.leave_place(back.then_some(item), &mut wakes);
        match self.order {
            _ if !back => {}
            Order::Fifo => self.items.push_front(item),
            Order::Lifo => self.items.push_back(item),
        }
        self.wake(ids(wakes));
    }

    fn done(&mut self) {
        let mut wakes = Wakes::None;
        let done = self.channel.task_done(&mut wakes);
        assert_eq!(done.is_ok(), self.unfinished > 0);
        self.unfinished = (self.unfinished - 1).max(0);
        self.wake(ids(wakes));
    }

    fn set_limit(&mut self, limit: usize) {
        let is_smaller = limit != 0 && (self.limit == 0 || limit < self.limit);
        self.shrunk |= is_smaller;
        self.grown |= !is_smaller && limit != self.limit;
        self.limit = limit;
        self.channel.set_limit(limit);
    }

    fn shut_down(&mut self, drain: bool) {
        let mut wakes = Wakes::None;
        let drained = self.channel.shut_down(drain, &mut wakes);
        self.shut_down = true;
        if drain {
            self.unfinished = (self.unfinished - self.items.len() as i64).max(0);
            assert_eq!(drained, std::mem::take(&mut self.items));
        }
        self.wake(ids(wakes));
    }

    fn wake(&mut self, woken: Vec<u32>) {
        for id in woken {
            assert!(self.woken.insert(id), "it had been woken already");
            let client = &self.clients[&id];
            let (Manner::InOrder, Some(turn)) = (client.manner, client.turn) else { continue };
            let is_earlier = |other: &Client| {
                other.aim.lane() == client.aim.lane()
                    && other.manner == Manner::InOrder
                    && other.turn.is_some_and(|other| other < turn)
            };
            let overtaken =
                self.clients.iter().find(|(id, other)| !self.woken.contains(id) && is_earlier(other));
            assert!(overtaken.is_none(), "{id} overtook {}", overtaken.expect("just seen").0);
        }
    }

    /// How many stand in the lane, or have been woken there.
    fn count(&self, aim: Aim, woken: bool) -> usize {
        let clients = self.clients.iter().filter(|(_, client)| client.aim.lane() == aim.lane());
        clients.filter(|(id, _)| self.woken.contains(id) == woken).count()
    }

    fn parked(&self, aim: Aim) -> usize {
        self.count(aim, false)
    }

    fn check(&self) {
        assert_eq!(self.channel.len(), self.items.len());
        assert_eq!(self.channel.unfinished(), self.unfinished);
        assert_eq!(self.channel.waiting(), [Aim::Get, Aim::Put, Aim::Join].map(|aim| self.parked(aim)));
        let under_way = |aim| self.count(aim, true);
        if self.parked(Aim::Get) > 0 {
            assert!(self.items.len() <= under_way(Aim::Get) && !self.shut_down);
        }
        if self.parked(Aim::Put) > 0 {
            assert!((self.room() <= under_way(Aim::Put) || self.grown) && !self.shut_down);
        }
        assert!(self.parked(Aim::Join) == 0 || self.unfinished > 0);
    }

    fn deliver_wake_ups(&mut self) {
        while let Some(id) = self.woken.first().copied() {
            self.play(&Step::Poll(id));
        }
    }

    /// Everybody is served in the end.
    fn finish(mut self) {
        self.deliver_wake_ups();
        // One more, who gives and takes what others wait for.
        self.manners.push(Manner::Barging);
        for _ in 0..3 * CLIENTS {
            for id in 0..CLIENTS {
                self.play(&Step::Fill(id));
                self.play(&Step::Leave(id, false));
            }
            let aim = if self.parked(Aim::Get) > 0 { Aim::Put } else { Aim::Get };
            self.play(&Step::Attempt(CLIENTS, aim));
            self.deliver_wake_ups();
        }
        while self.unfinished > 0 {
            self.play(&Step::Done);
        }
        self.deliver_wake_ups();
        assert!(self.clients.is_empty(), "they wait for ever: {:?}", self.clients.keys());
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Served,
    Refused,
    TimedOut,
    Waits,
}

impl<T, E> Progress<Result<T, E>> {
    /// For what has no item.
    fn without_item(self) -> Progress<Result<(), E>> {
        match self {
            Progress::Ready(ready) => Progress::Ready(ready.map(drop)),
            Progress::Pending => Progress::Pending,
            Progress::WouldPark => Progress::WouldPark,
            Progress::TimedOut => Progress::TimedOut,
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_and_nobody_waits_in_vain(
        lifo in any::<bool>(),
        limit in 0..4usize,
        manners in any_manners(),
        script in script(any_step()),
    ) {
        let order = if lifo { Order::Lifo } else { Order::Fifo };
        let mut game = Game::new(order, limit, manners);
        script.iter().for_each(|step| game.play(step));
        game.finish();
    }
}
