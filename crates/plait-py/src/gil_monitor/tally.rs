//! What was seen, added up.

use crate::json;
use crate::observe::{Place, ThreadState};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Places that are told apart. What is held elsewhere is counted all the same, without its place.
const MOST_PLACES: usize = 5000;
/// Threads that are told apart; the rest would only fill the memory of a program that makes them without end.
const MOST_THREADS: usize = 10_000;

/// What a thread is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// It holds the GIL and computes (or would, if it had a processor).
    Holds,
    /// It holds the GIL and sleeps in the kernel all the same.
    HoldsAsleep,
    Waits,
    /// It runs, or would if it had a processor, without the GIL.
    Outside,
    Idle,
}

/// A thread: Python's number for it, which is used again at once, and the kernel's.
pub type Key = (usize, i32);

pub struct Row {
    native_id: i32,
    ident: usize,
    /// Before the monitor began: what it did until then is not counted.
    was_there: bool,
    name: Option<String>,
    /// The outermost function, to tell a thread by that has no name.
    entry: Option<Place>,
    seconds: [f64; 5],
    /// How long it had a processor before it was first seen, and until it was last.
    processor: Option<(u64, u64)>,
    turns: u64,
    longest: f64,
    longest_at: Option<Place>,
    wanted: f64,
    wanted_at: Option<Place>,
    last_seen: u64,
}

pub struct Tally {
    interval: Duration,
    started: Instant,
    seconds: f64,
    /// Time in which the monitor did not look: the process was stopped, or had no processor for it.
    unseen: f64,
    samples: u64,
    switches: usize,
    sampler_seconds: f64,
    free: f64,
    rows: Vec<Row>,
    by_thread: HashMap<Key, usize>,
    held_at: HashMap<(usize, Option<Place>), f64>,
    hidden: Vec<i32>,
    lost_threads: u64,
}

impl Tally {
    pub fn new(interval: Duration) -> Tally {
        Tally {
            interval,
            started: Instant::now(),
            seconds: 0.0,
            unseen: 0.0,
            samples: 0,
            switches: 0,
            sampler_seconds: 0.0,
            free: 0.0,
            rows: Vec::new(),
            by_thread: HashMap::new(),
            held_at: HashMap::new(),
            hidden: Vec::new(),
            lost_threads: 0,
        }
    }

    /// A thread of plait's own is not reported.
    pub fn hide(&mut self, native_id: i32) {
        self.hidden.push(native_id);
    }

    /// Begins a sample: since the one before, so much time has passed, of which so much is credited.
    pub fn begin(&mut self, passed: f64, credited: f64, switched: usize) {
        self.samples += 1;
        self.seconds += credited;
        self.unseen += passed - credited;
        self.switches += switched;
    }

    pub fn add_free(&mut self, seconds: f64) {
        self.free += seconds;
    }

    pub fn spent(&mut self, seconds: f64) {
        self.sampler_seconds = seconds;
    }

    /// The row of a thread; a new one if it was not seen before.
    pub fn row_of(&mut self, thread: &ThreadState) -> Option<usize> {
        if self.hidden.contains(&thread.native_id) {
            return None;
        }
        let key = (thread.ident, thread.native_id);
        if let Some(&row) = self.by_thread.get(&key) {
            return Some(row);
        }
        if self.rows.len() >= MOST_THREADS {
            self.lost_threads += 1;
            return None;
        }
        self.rows.push(Row::new(thread, self.samples == 0));
        self.by_thread.insert(key, self.rows.len() - 1);
        Some(self.rows.len() - 1)
    }

    pub fn add(&mut self, row: usize, activity: Activity, seconds: f64) {
        let sample = self.samples;
        let row = &mut self.rows[row];
        row.seconds[activity as usize] += seconds;
        row.last_seen = sample;
    }

    pub fn held_at(&mut self, row: usize, place: Option<Place>, seconds: f64) {
        let full = self.held_at.len() >= MOST_PLACES;
        let key = (row, place);
        let key = if full && !self.held_at.contains_key(&key) { (row, None) } else { key };
        *self.held_at.entry(key).or_default() += seconds;
    }

    /// It has held the GIL for so long without a break, as far as was seen.
    pub fn turn(&mut self, row: usize, is_new: bool, seconds: f64, place: Option<&Place>) {
        let row = &mut self.rows[row];
        row.turns += u64::from(is_new);
        if seconds > row.longest {
            row.longest = seconds;
            row.longest_at = place.cloned();
        }
    }

    /// It has kept the GIL for so long from others who wanted it.
    pub fn wanted(&mut self, row: usize, seconds: f64, place: Option<&Place>) {
        let row = &mut self.rows[row];
        if seconds > row.wanted {
            row.wanted = seconds;
            row.wanted_at = place.cloned();
        }
    }

    pub fn set_entry(&mut self, row: usize, entry: Option<Place>) {
        self.rows[row].entry = entry;
    }

    pub fn processor(&mut self, row: usize, had: u64) {
        let row = &mut self.rows[row];
        let first = row.processor.map_or(if row.was_there { had } else { 0 }, |(first, _)| first);
        row.processor = Some((first, had));
    }

    pub fn nameless(&self) -> Vec<Key> {
        self.rows.iter().filter(|row| row.name.is_none()).map(|row| (row.ident, row.native_id)).collect()
    }

    pub fn name(&mut self, named: Vec<(Key, String)>) {
        for (key, name) in named {
            if let Some(&row) = self.by_thread.get(&key) {
                self.rows[row].name = Some(name);
            }
        }
    }

    pub fn to_json(&self) -> String {
        let threads = json::list(self.rows.iter().map(|row| row.to_json(self.samples)));
        let places = self.held_at.iter().map(|((row, place), seconds)| {
            let place = place.as_ref().map_or_else(|| "null".into(), Place::to_json);
            format!(r#"{{"thread": {row}, "seconds": {seconds:.6}, "place": {place}}}"#)
        });
        format!(
            r#"{{"seconds": {:.6}, "elapsed": {:.6}, "unseen": {:.6}, "samples": {}, "interval": {:.6}, "switches": {}, "free": {:.6}, "monitor_cpu": {:.6}, "lost_threads": {}, "threads": {threads}, "places": {}}}"#,
            self.seconds,
            self.started.elapsed().as_secs_f64(),
            self.unseen,
            self.samples,
            self.interval.as_secs_f64(),
            self.switches,
            self.free,
            self.sampler_seconds,
            self.lost_threads,
            json::list(places),
        )
    }
}

impl Row {
    fn new(thread: &ThreadState, was_there: bool) -> Row {
        Row {
            native_id: thread.native_id,
            ident: thread.ident,
            was_there,
            name: None,
            entry: None,
            seconds: [0.0; 5],
            processor: None,
            turns: 0,
            longest: 0.0,
            longest_at: None,
            wanted: 0.0,
            wanted_at: None,
            last_seen: 0,
        }
    }

    fn to_json(&self, samples: u64) -> String {
        let [holds, asleep, waited, outside, idle] = self.seconds;
        let optional = |place: &Option<Place>| place.as_ref().map_or_else(|| "null".into(), Place::to_json);
        let cpu = self.processor.map_or_else(
            || "null".into(),
            |(first, last)| format!("{:.6}", last.saturating_sub(first) as f64 * 1e-9),
        );
        format!(
            r#"{{"name": {}, "ident": {}, "native_id": {}, "held": {:.6}, "held_asleep": {asleep:.6}, "waited": {waited:.6}, "outside": {outside:.6}, "idle": {idle:.6}, "cpu": {cpu}, "turns": {}, "longest": {:.6}, "longest_at": {}, "longest_wanted": {:.6}, "longest_wanted_at": {}, "entry": {}, "alive": {}}}"#,
            self.name.as_deref().map_or_else(|| "null".into(), json::text),
            self.ident,
            self.native_id,
            holds + asleep,
            self.turns,
            self.longest,
            optional(&self.longest_at),
            self.wanted,
            optional(&self.wanted_at),
            optional(&self.entry),
            self.last_seen == samples,
        )
    }
}
