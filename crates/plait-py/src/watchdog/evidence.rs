//! What a thread was found at, look by look, while it held its loop.

use crate::json;
use crate::observe::kernel::{descriptor_target, Doing, Files, Processor};
use crate::observe::{call_name, takes_descriptor, Interpreter, Place, Places};
use std::time::Duration;

/// What counts as having had, or having waited for, a processor: such a part of the time between two looks.
const PART: f64 = 0.25;

#[derive(Clone, Default)]
pub struct Evidence {
    looks: u32,
    computed: u32,
    collected: u32,
    waited: u32,
    /// Ready to run, without a processor.
    queued: u32,
    /// The numbers of system calls, and how often it slept in each. -1: it slept in none.
    calls: Vec<(i64, u32)>,
    /// To what the descriptor leads that was the last call's first argument.
    target: Option<String>,
    /// Who had the GIL when it was waited for last: the thread, and its line.
    holder: Option<(i32, Option<Place>)>,
    first: Option<Processor>,
    last: Option<Processor>,
    last_kind: Kind,
}

#[derive(Clone, Copy, Default)]
enum Kind {
    #[default]
    Computes,
    Collects,
    Waits,
    Queues,
    Sleeps(i64),
}

impl Evidence {
    /// The pulse was seen for the first time: what comes is counted from here.
    pub fn begin(files: &Files) -> Evidence {
        let processor = files.processor();
        Evidence { first: processor, last: processor, ..Evidence::default() }
    }

    /// One more look, so much after the last.
    pub fn note(
        &mut self,
        files: &Files,
        thread_state: usize,
        passed: Duration,
        known: Option<(&Interpreter, &mut Places)>,
    ) {
        let Some(doing) = files.doing() else { return };
        self.looks += 1;
        let before = std::mem::replace(&mut self.last, files.processor());
        let (had, queued) = match (before, self.last) {
            (Some(before), Some(now)) => (now.had - before.had, now.waited - before.waited),
            _ => (u64::MAX, 0),
        };
        let enough = (passed.as_nanos() as f64 * PART) as u64;
        self.last_kind = match (doing, known) {
            (doing, Some((interpreter, places))) if interpreter.is_gil_wait(doing) => {
                self.note_holder(interpreter, places);
                Kind::Waits
            }
            (Doing::Running, _) if had < enough && queued >= enough => Kind::Queues,
            // It was woken a moment ago, and not for long: who waits for the GIL is, every few milliseconds.
            (Doing::Running, _) if had < enough && self.looks > 1 => self.last_kind,
            (Doing::Running, Some((interpreter, _))) if collects(interpreter, thread_state) => Kind::Collects,
            (Doing::Running, _) => Kind::Computes,
            (Doing::Call { number, first }, _) => {
                if takes_descriptor(number) {
                    self.target = descriptor_target(first);
                }
                Kind::Sleeps(number)
            }
            (Doing::Sleeping, _) => Kind::Sleeps(-1),
        };
        match self.last_kind {
            Kind::Computes => self.computed += 1,
            Kind::Collects => self.collected += 1,
            Kind::Waits => self.waited += 1,
            Kind::Queues => self.queued += 1,
            Kind::Sleeps(number) => self.note_call(number),
        }
    }

    fn note_call(&mut self, number: i64) {
        match self.calls.iter_mut().find(|call| call.0 == number) {
            Some(call) => call.1 += 1,
            None => self.calls.push((number, 1)),
        }
    }

    fn note_holder(&mut self, interpreter: &Interpreter, places: &mut Places) {
        let Some(now) = interpreter.gil_now().filter(|now| now.holder != 0) else { return };
        if let Some(thread) = interpreter.threads().into_iter().find(|thread| thread.address == now.holder) {
            self.holder = Some((thread.native_id, places.top(now.holder)));
        }
    }

    pub fn to_json(&self) -> String {
        let calls = self.calls.iter().map(|&(number, looks)| {
            let name = if number < 0 { "null".into() } else { json::text(&call_name(number)) };
            format!("[{name}, {looks}]")
        });
        let holder = self.holder.as_ref().map_or_else(
            || "null".into(),
            |(native_id, place)| {
                let place = place.as_ref().map_or_else(|| "null".into(), Place::to_json);
                format!(r#"{{"native_id": {native_id}, "place": {place}}}"#)
            },
        );
        let cpu = match (self.first, self.last) {
            (Some(first), Some(last)) => format!("{:.6}", last.had.saturating_sub(first.had) as f64 * 1e-9),
            _ => "null".into(),
        };
        format!(
            r#"{{"looks": {}, "computed": {}, "collected": {}, "waited": {}, "queued": {}, "calls": {}, "target": {}, "holder": {holder}, "cpu": {cpu}}}"#,
            self.looks,
            self.computed,
            self.collected,
            self.waited,
            self.queued,
            json::list(calls),
            self.target.as_deref().map_or_else(|| "null".into(), json::text),
        )
    }
}

/// Whether it is this thread that collects garbage.
fn collects(interpreter: &Interpreter, thread_state: usize) -> bool {
    let holds = match interpreter.gil() {
        Some(_) => interpreter.gil_now().is_some_and(|now| now.holder == thread_state),
        None => true,
    };
    holds && interpreter.collects()
}
