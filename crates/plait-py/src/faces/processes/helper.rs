//! The thread that sleeps on words in shared memory on behalf of this process's tasks and greenlets.
//!
//! One sleeps on up to 127 words at once (`futex_waitv`), so mostly there is one; it is started when a task has to wait for the first time, and ends when
//! nobody has wanted it for a while. Kernels before 5.16 know no such call: there each word that is waited for has a thread of its own.
//!
//! It takes what comes for the first in the local queue, outside the interpreter, and attaches only to wake whom it has served.
//!
//! Rejected: an eventfd that each loop watches, which a process would have to share with all others before it waits for their locks.

use crate::daemon_threads::survives_exit;
use crate::native_thread;
use crate::waiters::Waker;
use plait_core::shm::futex;
use plait_core::shm::locks::{Rest, LONGEST_SLEEP};
use plait_core::waiter::Wakes;
use plait_core::word_lock::WordLock;
use pyo3::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A primitive whose waiters cannot sleep for themselves.
pub trait Watched: Send + Sync {
    /// Serves whom it can; then says where to sleep. None: nobody needs the helper here.
    fn serve(&self, wakes: &mut Wakes<Waker>) -> Option<Rest<'_>>;

    /// Takes it from a process that is dead.
    fn take_over(&self, wakes: &mut Wakes<Waker>);

    /// Wakes whom it has served.
    fn wake(&self, py: Python<'_>, wakes: Wakes<Waker>);
}

/// By the address of what it watches, by which it is known.
type Watch = (usize, Arc<dyn Watched>);

/// A helper, as those see it who summon it.
struct Helper {
    number: u32,
    bell: Arc<AtomicU32>,
    summons: Vec<Watch>,
    /// How many it watches, or is to.
    load: usize,
}

#[derive(Default)]
struct Staff {
    helpers: Vec<Helper>,
    /// Which of them watches what.
    watching: HashMap<usize, u32>,
    hired: u32,
    /// What nobody watches, since there was no thread for it.
    unwatched: Vec<Watch>,
}

/// Filled when the module is imported: see `memory`.
static STAFF: OnceLock<WordLock<Staff>> = OnceLock::new();
/// The kernel cannot sleep on several words.
static ONE_AT_A_TIME: AtomicBool = AtomicBool::new(false);

/// A helper that nobody has wanted for so long ends.
const IDLE: Duration = Duration::from_secs(2);
const FIRST_LOOK: Duration = Duration::from_millis(100);

pub fn initialise() {
    staff();
}

fn staff() -> &'static WordLock<Staff> {
    STAFF.get_or_init(|| WordLock::new(Staff::default()))
}

/// Opens the list of helpers. In a child they are gone, and what the list held of the parent's stays where it is: the caller may not drop Python
/// objects here.
fn with_staff<R>(body: impl FnOnce(&mut Staff) -> R) -> R {
    let mut guard = staff().lock();
    if guard.inherited {
        std::mem::forget(std::mem::take(&mut *guard));
    }
    body(&mut guard)
}

fn most_words() -> usize {
    match ONE_AT_A_TIME.load(Ordering::Relaxed) {
        true => 1,
        false => futex::MOST_WORDS,
    }
}

/// Has a helper look at what is watched, now and until nobody needs it there. Runs no Python.
pub fn summon(watched: Arc<dyn Watched>, address: usize) {
    let mut watches = vec![(address, watched)];
    while let Some((number, bell)) = with_staff(|staff| staff.assign(&mut watches)) {
        if start(number, bell).is_err() {
            // There can be no more threads. The next to wait tries again; who waits already is served with them.
            with_staff(|staff| staff.dismiss(number, watches));
            eprintln!("plait: no thread can be started for the tasks that wait for locks of other processes");
            return;
        }
    }
}

fn start(number: u32, bell: Arc<AtomicU32>) -> std::io::Result<()> {
    let body = move || {
        survives_exit();
        Watcher { number, bell, watches: Vec::new(), looked: Instant::now(), pause: FIRST_LOOK }.run();
    };
    native_thread::spawn("plait-locks", body).map(drop)
}

impl Staff {
    /// Gives each of these to a helper, and before them what nobody watches; or as many of them as it can until a helper is hired: that one the caller is
    /// to start, and then to come again.
    fn assign(&mut self, watches: &mut Vec<Watch>) -> Option<(u32, Arc<AtomicU32>)> {
        watches.append(&mut self.unwatched);
        while let Some((address, watched)) = watches.pop() {
            let known = self.watching.get(&address).copied();
            let index = match known {
                Some(number) => self.helpers.iter().position(|helper| helper.number == number),
                None => self.helpers.iter().position(|helper| helper.load < most_words()),
            };
            let (index, new) = match index {
                Some(index) => (index, None),
                None => self.hire(),
            };
            let helper = &mut self.helpers[index];
            helper.load += usize::from(known.is_none());
            helper.summons.push((address, watched));
            self.watching.insert(address, helper.number);
            helper.ring();
            if new.is_some() {
                return new;
            }
        }
        None
    }

    /// There is no thread for this helper. What it was to watch, by whoever's summons, is set aside, with what else has to be.
    fn dismiss(&mut self, number: u32, watches: Vec<Watch>) {
        self.watching.retain(|_, watcher| *watcher != number);
        let Some(index) = self.helpers.iter().position(|helper| helper.number == number) else { return };
        let summons = self.helpers.remove(index).summons;
        for watch in summons.into_iter().chain(watches) {
            // Of one that is there already a second reference can go: it is not the last.
            if self.unwatched.iter().all(|(address, _)| *address != watch.0) {
                self.unwatched.push(watch);
            }
        }
    }

    fn hire(&mut self) -> (usize, Option<(u32, Arc<AtomicU32>)>) {
        self.hired += 1;
        let (number, bell) = (self.hired, Arc::new(AtomicU32::new(0)));
        self.helpers.push(Helper { number, bell: Arc::clone(&bell), summons: Vec::new(), load: 0 });
        (self.helpers.len() - 1, Some((number, bell)))
    }
}

impl Helper {
    fn ring(&self) {
        self.bell.fetch_add(1, Ordering::Release);
        futex::wake(&self.bell, 1);
    }
}

/// A helper, as it sees itself.
struct Watcher {
    number: u32,
    bell: Arc<AtomicU32>,
    watches: Vec<Watch>,
    looked: Instant,
    /// How long it sleeps before it looks at the holders again.
    pause: Duration,
}

impl Watcher {
    fn run(mut self) {
        loop {
            // Before the summons: a later one changes it.
            let rung = self.bell.load(Ordering::Acquire);
            if self.take_summons() > 0 {
                self.pause = FIRST_LOOK;
            }
            let idle = self.watches.is_empty();
            let (served, done) = self.look_and_sleep(rung);
            if !served.is_empty() {
                wake(served);
            }
            self.forget(&done);
            if idle && self.bell.load(Ordering::Acquire) == rung && self.leave() {
                return;
            }
        }
    }

    /// Takes what it was told to watch; forgets what it need not. Returns how many came.
    fn take_summons(&mut self) -> usize {
        let number = self.number;
        let summons = with_staff(|staff| {
            let helper = staff.helpers.iter_mut().find(|helper| helper.number == number);
            helper.map(|helper| std::mem::take(&mut helper.summons)).unwrap_or_default()
        });
        let count = summons.len();
        for (address, watched) in summons {
            if self.watches.iter().all(|(known, _)| *known != address) {
                self.watches.push((address, watched));
            }
        }
        count
    }

    /// Serves whom it can. If there is nobody, it sleeps. Returns who was served, and where nobody needs it any more.
    fn look_and_sleep(&mut self, rung: u32) -> (Vec<Served>, Vec<usize>) {
        let looks_closer = self.looked.elapsed() >= self.pause;
        if looks_closer {
            self.looked = Instant::now();
            self.pause = (self.pause * 2).min(LONGEST_SLEEP);
        }
        let (mut served, mut done) = (Vec::new(), Vec::new());
        let mut rests = Vec::with_capacity(self.watches.len());
        for (address, watched) in &self.watches {
            let mut wakes = Wakes::None;
            if looks_closer {
                watched.take_over(&mut wakes);
            }
            match watched.serve(&mut wakes) {
                Some(rest) => rests.push(rest),
                None => done.push(*address),
            }
            if !wakes.is_empty() {
                served.push((Arc::clone(watched), wakes));
            }
        }
        if served.is_empty() && done.is_empty() {
            self.sleep(rung, &rests);
        }
        if ONE_AT_A_TIME.load(Ordering::Relaxed) {
            drop(rests);
            self.share_out();
        }
        (served, done)
    }

    fn sleep(&self, rung: u32, rests: &[Rest<'_>]) {
        let timeout = self.pause.saturating_sub(self.looked.elapsed());
        match rests {
            [] => {
                futex::wait_while(&self.bell, rung, Some(IDLE));
            }
            // It does not hear the bell meanwhile.
            [rest] if ONE_AT_A_TIME.load(Ordering::Relaxed) => rest.sleep(timeout.min(FIRST_LOOK)),
            _ => {
                let words: Vec<_> = rests.iter().map(|rest| (rest.word, rest.value)).collect();
                if futex::wait_while_all((&self.bell, rung), &words, timeout).is_err() {
                    ONE_AT_A_TIME.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Leaves all but one to others.
    fn share_out(&mut self) {
        while self.watches.len() > 1 {
            let Some((address, watched)) = self.watches.pop() else { return };
            self.let_go(&[address]);
            summon(watched, address);
        }
    }

    /// Nobody needs it there, unless it was summoned again.
    fn forget(&mut self, done: &[usize]) {
        if !done.is_empty() {
            self.watches.retain(|(address, _)| !done.contains(address));
            self.let_go(done);
        }
    }

    fn let_go(&self, addresses: &[usize]) {
        let number = self.number;
        with_staff(|staff| {
            let Staff { helpers, watching, .. } = staff;
            let Some(helper) = helpers.iter_mut().find(|helper| helper.number == number) else { return };
            for address in addresses {
                if helper.summons.iter().all(|(summoned, _)| summoned != address) {
                    watching.remove(address);
                    helper.load = helper.load.saturating_sub(1);
                }
            }
        });
    }

    /// Ends, unless it was summoned in the last moment.
    fn leave(&self) -> bool {
        let number = self.number;
        with_staff(|staff| {
            let summoned = |helper: &Helper| helper.number == number && !helper.summons.is_empty();
            let leaves = !staff.helpers.iter().any(summoned);
            if leaves {
                staff.helpers.retain(|helper| helper.number != number);
            }
            leaves
        })
    }
}

/// What waiters were served, and how to wake them.
type Served = (Arc<dyn Watched>, Wakes<Waker>);

fn wake(served: Vec<Served>) {
    Python::attach(|py| {
        for (watched, wakes) in served {
            watched.wake(py, wakes);
        }
    });
}
