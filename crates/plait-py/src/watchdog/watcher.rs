//! The thread that looks at the pulses.

use super::evidence::Evidence;
use super::pulse::Pulse;
use super::stall::Stall;
use super::{lasting, registry, threshold, CHANGES, LOOKS, SLEEPS, STATE};
use crate::native_thread;
use crate::observe::kernel::Files;
use crate::observe::{Interpreter, Place, Places};
use std::io;
use std::sync::atomic::{fence, AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// It looks so often within the threshold, and not more rarely than that.
const LOOKS_PER_THRESHOLD: u32 = 4;
const LONGEST_TICK: Duration = Duration::from_millis(50);
/// While something stands still, which is when evidence is gathered.
const SHORT_TICK: Duration = Duration::from_millis(5);
/// It sleeps itself when nothing has moved for so long.
const QUIET: Duration = Duration::from_secs(1);
/// A stall that lasts so long, or five thresholds, is reported before it ends.
const LASTS: Duration = Duration::from_secs(1);
const DEEPEST_STACK: usize = 100;
/// How long a thread that has ended may still be counted by the kernel.
const REAPED_WITHIN: Duration = Duration::from_millis(20);

/// How often it is tried to find the interpreter's data, each time with a megabyte of memory to be searched.
const MOST_TRIES: u32 = 10;

pub struct Running {
    thread: JoinHandle<i32>,
    ends: Arc<AtomicBool>,
    interpreter: Arc<OnceLock<Interpreter>>,
    tries: AtomicU32,
}

pub fn start(found: Option<Interpreter>) -> io::Result<Running> {
    let ends = Arc::new(AtomicBool::new(false));
    let interpreter = found.map_or_else(OnceLock::new, OnceLock::from);
    let interpreter = Arc::new(interpreter);
    let watcher = Watcher::new(interpreter.clone(), ends.clone());
    let thread = native_thread::spawn("plait-watchdog", move || {
        watcher.run();
        rustix::thread::gettid().as_raw_nonzero().get()
    })?;
    Ok(Running { thread, ends, interpreter, tries: AtomicU32::new(1) })
}

impl Running {
    /// Whether it looks without knowing the interpreter, and may be helped.
    pub fn tries_again(&self) -> bool {
        self.interpreter.get().is_none() && self.tries.fetch_add(1, Ordering::Relaxed) < MOST_TRIES
    }

    /// What could not be found when it started was found now.
    pub fn show(&self, interpreter: Interpreter) {
        let _ = self.interpreter.set(interpreter);
    }

    pub fn unpark(&self) {
        self.thread.thread().unpark();
    }

    /// Waits until it is gone, from `/proc` as well.
    pub fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.unpark();
        let Ok(native_id) = self.thread.join() else { return };
        let (path, start) = (format!("/proc/self/task/{native_id}"), Instant::now());
        while std::path::Path::new(&path).exists() && start.elapsed() < REAPED_WITHIN {
            std::thread::yield_now();
        }
    }
}

struct Watcher {
    interpreter: Arc<OnceLock<Interpreter>>,
    known: Option<(Interpreter, Places)>,
    ends: Arc<AtomicBool>,
    changes: u64,
    pulses: Vec<Look>,
    looked: Instant,
}

/// One pulse, and since when it stands still.
struct Look {
    pulse: Arc<Pulse>,
    beat: u64,
    length: Duration,
    files: Files,
    evidence: Option<Evidence>,
    stack: Vec<Place>,
    /// The stack is that of the moment when the threshold was passed.
    stack_is_final: bool,
    told: bool,
}

/// What one round of looks has in common.
struct Round {
    now: Instant,
    passed: Duration,
    threshold: Duration,
    tick: Duration,
}

impl Watcher {
    fn new(interpreter: Arc<OnceLock<Interpreter>>, ends: Arc<AtomicBool>) -> Watcher {
        // Another number than the registry's: it is read at the first look.
        let changes = CHANGES.load(Ordering::Acquire).wrapping_sub(1);
        Watcher { interpreter, known: None, ends, changes, pulses: Vec::new(), looked: Instant::now() }
    }

    fn run(mut self) {
        let mut quiet = Duration::ZERO;
        let mut tick = Duration::ZERO;
        while let (false, Some(threshold)) = (self.ends.load(Ordering::Relaxed), threshold()) {
            let usual = (threshold / LOOKS_PER_THRESHOLD).min(LONGEST_TICK);
            let round = self.begin_round(threshold, tick.max(SHORT_TICK.min(usual)));
            let (moved, stands) = self.look(&round);
            quiet = if moved || stands { Duration::ZERO } else { quiet + round.passed };
            if quiet >= QUIET {
                self.sleep();
                quiet = Duration::ZERO;
                self.looked = Instant::now();
                continue;
            }
            tick = if stands { SHORT_TICK.min(usual) } else { usual };
            std::thread::park_timeout(tick);
        }
    }

    fn begin_round(&mut self, threshold: Duration, tick: Duration) -> Round {
        if let (None, Some(&interpreter)) = (&self.known, self.interpreter.get()) {
            self.known = Some((interpreter, Places::new(interpreter)));
        }
        let changes = CHANGES.load(Ordering::Acquire);
        if changes != self.changes {
            self.changes = changes;
            let current = registry().pulses.clone();
            self.pulses.retain(|look| current.iter().any(|pulse| Arc::ptr_eq(pulse, &look.pulse)));
            for pulse in current {
                if !self.pulses.iter().any(|look| Arc::ptr_eq(&pulse, &look.pulse)) {
                    self.pulses.push(Look::new(pulse));
                }
            }
        }
        let now = Instant::now();
        // Of a longer time nobody knows what happened in it: the process was stopped, or the whole machine.
        let passed = (now - self.looked).min(2 * tick);
        self.looked = now;
        Round { now, passed, threshold, tick }
    }

    /// Whether any pulse has moved, and whether any stands still.
    fn look(&mut self, round: &Round) -> (bool, bool) {
        let (mut moved, mut stands) = (false, false);
        for look in &mut self.pulses {
            let beat = look.pulse.beat();
            if beat != look.beat {
                moved = true;
                look.begin(beat);
            } else if beat & 1 == 1 {
                stands = true;
                look.stands_still(round, &mut self.known);
            }
        }
        (moved, stands)
    }

    /// Until a loop wakes.
    fn sleep(&mut self) {
        STATE.store(SLEEPS, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let asleep = || {
            CHANGES.load(Ordering::Acquire) == self.changes
                && self.pulses.iter().all(|look| look.pulse.beat() == look.beat)
        };
        while asleep() && STATE.load(Ordering::SeqCst) == SLEEPS && !self.ends.load(Ordering::Relaxed) {
            std::thread::park();
        }
        let _ = STATE.compare_exchange(SLEEPS, LOOKS, Ordering::SeqCst, Ordering::Relaxed);
    }
}

impl Look {
    fn new(pulse: Arc<Pulse>) -> Look {
        Look {
            files: Files::of(pulse.native_id()),
            pulse,
            beat: 0,
            length: Duration::ZERO,
            evidence: None,
            stack: Vec::new(),
            stack_is_final: false,
            told: false,
        }
    }

    fn begin(&mut self, beat: u64) {
        self.beat = beat;
        self.length = Duration::ZERO;
        self.evidence = None;
        self.stack.clear();
        self.stack_is_final = false;
        self.told = false;
    }

    fn stands_still(&mut self, round: &Round, known: &mut Option<(Interpreter, Places)>) {
        self.length += round.passed;
        if self.told {
            return;
        }
        let thread_state = self.pulse.thread_state();
        match &mut self.evidence {
            None => self.evidence = Some(Evidence::begin(&self.files)),
            Some(evidence) => {
                let known = known.as_mut().map(|(interpreter, places)| (&*interpreter, places));
                evidence.note(&self.files, thread_state, round.passed, known);
            }
        }
        if self.length < round.threshold / 2 {
            return;
        }
        if let (false, Some((_, places))) = (self.stack_is_final, known) {
            self.stack = places.stack(thread_state, self.pulse.caller(), DEEPEST_STACK);
            self.stack_is_final = self.length >= round.threshold;
        }
        self.pulse.ask(self.stall(round));
        // The loop went on just now: it may not have seen the question, and what is answered would be about something else.
        if self.pulse.beat() == self.beat && self.length >= LASTS.max(5 * round.threshold) {
            self.told = true;
            lasting::report(&self.pulse, self.beat);
        }
    }

    fn stall(&self, round: &Round) -> Stall {
        Stall {
            beat: self.beat,
            native_id: self.pulse.native_id(),
            length: self.length,
            looked: round.now,
            tick: round.tick,
            evidence: self.evidence.clone().unwrap_or_default(),
            stack: self.stack.clone(),
            still: false,
        }
    }
}
