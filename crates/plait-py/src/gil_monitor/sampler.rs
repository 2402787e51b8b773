//! The thread that looks. It never has the GIL, and never waits for it.

use super::tally::{Activity, Tally};
use super::Shared;
use crate::observe::kernel::{Doing, Files};
use crate::observe::{Interpreter, Place, Places, ThreadState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The list of threads is read again after so long, or when the GIL is held by one that is not on it.
const LIST_AGES: Duration = Duration::from_millis(20);
/// A gap longer than so many intervals, and this, says nothing about what happened in it.
const LONGEST_GAP: (f64, f64) = (20.0, 0.25);
/// How often a thread's processor time is read.
const CLOCKS_AGE: Duration = Duration::from_millis(50);
/// As many frames are looked through for where a thread begins.
const DEEP: usize = 100;

pub struct Sampler {
    interpreter: Interpreter,
    shared: Arc<Shared>,
    interval: f64,
    /// Which share of a processor it may take: with many threads it looks more rarely.
    budget: f64,
    /// How often what is known is written.
    period: Duration,
    places: Places,
    threads: Vec<Watched>,
    listed: Instant,
    clocks_read: Instant,
    looked: Instant,
    written: Instant,
    switches: usize,
    number: u64,
    /// Who held the GIL at the last look.
    turn: Option<Turn>,
    dice: u64,
}

struct Watched {
    state: ThreadState,
    row: usize,
    files: Files,
    last: Activity,
    /// How long it had had a processor, and at which look that was.
    clock: Option<(u64, u64)>,
}

/// One thread has held the GIL at all looks for so long, and somebody else wanted it all the while for so long.
struct Turn {
    row: usize,
    seconds: f64,
    wanted: Option<f64>,
}

/// How the GIL was found.
struct Held {
    seconds: f64,
    switched: bool,
    wanted: bool,
    place: Option<Place>,
}

/// What one look has in common for all threads.
struct Look<'a> {
    interpreter: &'a Interpreter,
    number: u64,
    holder: usize,
    /// Seconds since the look before.
    passed: f64,
    /// Whether the GIL changed hands in them.
    switched: bool,
    reads_clocks: bool,
}

impl Sampler {
    pub fn new(
        interpreter: Interpreter,
        shared: Arc<Shared>,
        (interval, budget): (Duration, f64),
        period: Duration,
    ) -> Sampler {
        let now = Instant::now();
        Sampler {
            interpreter,
            shared,
            interval: interval.as_secs_f64(),
            budget,
            period,
            places: Places::new(interpreter),
            threads: Vec::new(),
            listed: now - LIST_AGES,
            clocks_read: now - CLOCKS_AGE,
            looked: now,
            written: now,
            switches: interpreter.gil_now().map_or(0, |now| now.switches),
            number: 0,
            turn: None,
            dice: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub fn run(mut self) {
        let mut spent = processor_seconds();
        while !self.shared.ends() {
            self.look();
            let now = processor_seconds();
            self.shared.tally().spent(now);
            let pause = self.pause().max((now - spent) / self.budget);
            spent = now;
            std::thread::park_timeout(Duration::from_secs_f64(pause));
        }
        self.clocks_read = self.looked - CLOCKS_AGE;
        self.look();
    }

    /// Between half an interval and one and a half, by chance: a program that does something every few milliseconds, as the GIL itself
    /// does, would otherwise always be met at the same.
    fn pause(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.interval * (0.5 + (self.dice >> 11) as f64 / (1_u64 << 53) as f64)
    }

    fn look(&mut self) {
        let Some(gil) = self.interpreter.gil_now() else { return };
        let now = Instant::now();
        let passed = (now - self.looked).as_secs_f64();
        let credited = passed.min((self.interval * LONGEST_GAP.0).max(LONGEST_GAP.1));
        let switched = gil.switches.wrapping_sub(self.switches);
        (self.looked, self.switches) = (now, gil.switches);
        self.number += 1;
        let place = if gil.holder == 0 { None } else { self.places.top(gil.holder) };
        let unknown =
            gil.holder != 0 && !self.threads.iter().any(|thread| thread.state.address == gil.holder);
        if unknown || now - self.listed >= LIST_AGES {
            self.list(now);
        }
        let look = Look {
            interpreter: &self.interpreter,
            number: self.number,
            holder: gil.holder,
            passed,
            switched: switched != 0,
            reads_clocks: now - self.clocks_read >= CLOCKS_AGE,
        };
        if look.reads_clocks {
            self.clocks_read = now;
        }
        let seen: Vec<_> = self.threads.iter_mut().filter_map(|thread| thread.look(&look)).collect();
        let shared = self.shared.clone();
        let mut tally = shared.tally();
        tally.begin(passed, credited, switched);
        for &(row, activity, had) in &seen {
            tally.add(row, activity, credited);
            if let Some(had) = had {
                tally.processor(row, had);
            }
        }
        let wanted = seen.iter().any(|&(_, activity, _)| activity == Activity::Waits);
        self.credit_holder(
            &mut tally,
            gil.holder,
            Held { seconds: credited, switched: switched != 0, wanted, place },
        );
        let line = self.is_to_write(now).then(|| tally.to_json());
        drop(tally); // who reads the stream may be slow
        if let (Some(stream), Some(line)) = (&shared.stream, line) {
            stream.offer(&line);
        }
    }

    fn credit_holder(&mut self, tally: &mut Tally, holder: usize, held: Held) {
        if holder == 0 {
            tally.add_free(held.seconds);
        }
        let Some(thread) = self.threads.iter().find(|thread| thread.state.address == holder) else {
            self.turn = None;
            return;
        };
        let row = thread.row;
        let before = self.turn.take().filter(|turn| turn.row == row && !held.switched);
        let is_new = before.is_none();
        // How long it had it before it was first seen with it is not known: nothing.
        let mut turn = before.unwrap_or(Turn { row, seconds: 0.0, wanted: None });
        turn.seconds += if is_new { 0.0 } else { held.seconds };
        turn.wanted = held.wanted.then(|| turn.wanted.map_or(0.0, |seconds| seconds + held.seconds));
        tally.turn(row, is_new, turn.seconds, held.place.as_ref());
        tally.wanted(row, turn.wanted.unwrap_or(0.0), held.place.as_ref());
        tally.held_at(row, held.place, held.seconds);
        self.turn = Some(turn);
    }

    fn list(&mut self, now: Instant) {
        self.listed = now;
        let listed = self.interpreter.threads();
        self.threads.retain(|thread| listed.contains(&thread.state));
        let shared = self.shared.clone();
        for state in listed {
            if self.threads.iter().any(|thread| thread.state == state) {
                continue;
            }
            let Some(row) = shared.tally().row_of(&state) else { continue };
            let outermost = self.places.stack(state.address, 0, DEEP);
            let entry = outermost.into_iter().rev().find(|place| !place.file.ends_with("/threading.py"));
            shared.tally().set_entry(row, entry);
            let files = Files::of(state.native_id);
            self.threads.push(Watched { state, row, files, last: Activity::Idle, clock: None });
            shared.names.wake();
        }
    }

    fn is_to_write(&mut self, now: Instant) -> bool {
        let is_due = self.shared.stream.is_some() && now - self.written >= self.period;
        if is_due {
            self.written = now;
        }
        is_due
    }
}

impl Watched {
    fn look(&mut self, look: &Look<'_>) -> Option<(usize, Activity, Option<u64>)> {
        let doing = self.files.doing()?;
        let holds = self.state.address == look.holder;
        let runs_without = !holds && doing == Doing::Running;
        let had =
            (look.reads_clocks || runs_without).then(|| self.files.processor()).flatten().map(|it| it.had);
        let activity = match doing {
            Doing::Running if holds => Activity::Holds,
            _ if holds => Activity::HoldsAsleep,
            doing if look.interpreter.is_gil_wait(doing) => Activity::Waits,
            Doing::Running => self.without_gil(had, look),
            Doing::Call { .. } | Doing::Sleeping => Activity::Idle,
        };
        self.last = activity;
        self.clock = had.map(|had| (had, look.number));
        Some((self.row, activity, had))
    }

    /// It is ready to run and does not hold the GIL: so it runs other code, or it is on its way to the GIL and has no processor yet. It is the first
    /// if it has used a processor since the last look, and nobody has taken the GIL in between. Else nothing shows it, and it is at what it was
    /// at before; who held the GIL and has lost it to another wants it back.
    fn without_gil(&self, had: Option<u64>, look: &Look<'_>) -> Activity {
        let before = self.clock.filter(|&(_, number)| number + 1 == look.number && !look.switched);
        if let (Some(now), Some((before, _))) = (had, before) {
            if now.saturating_sub(before) as f64 * 1e-9 > look.passed / 4.0 {
                return Activity::Outside;
            }
        }
        match self.last {
            Activity::Waits => Activity::Waits,
            Activity::Holds | Activity::HoldsAsleep if look.holder != 0 => Activity::Waits,
            _ => Activity::Outside,
        }
    }
}

/// Of this thread.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
