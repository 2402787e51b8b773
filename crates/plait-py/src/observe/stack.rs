//! Where a thread is in its Python code.

use super::code::Code;
use super::memory::Memory;
use super::{code, layout, Interpreter};
use crate::json;
use std::collections::HashMap;
use std::sync::Arc;

/// As many frames are looked through; what lies deeper is not reported.
const DEEPEST: usize = 2000;
/// Codes that are remembered, before all are forgotten: a program may make new ones for ever.
const MOST_CODES: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    /// The qualified name.
    pub function: Arc<str>,
}

impl Place {
    pub fn to_json(&self) -> String {
        let (file, function) = (json::text(&self.file), json::text(&self.function));
        format!(r#"{{"file": {file}, "line": {}, "function": {function}}}"#, self.line)
    }
}

/// Finds places, and remembers what it has read of code objects.
pub struct Places {
    interpreter: Interpreter,
    codes: HashMap<code::Key, Option<Code>>,
}

struct Frame {
    code: usize,
    previous: usize,
    instruction: usize,
    from_c: bool,
}

impl Places {
    pub fn new(interpreter: Interpreter) -> Places {
        Places { interpreter, codes: HashMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The line that the thread runs.
    pub fn top(&mut self, thread_state: usize) -> Option<Place> {
        self.stack(thread_state, 0, 1).pop()
    }

    /// Its frames, the innermost first, up to the frame `until` (0: all), and no more than `most`.
    pub fn stack(&mut self, thread_state: usize, until: usize, most: usize) -> Vec<Place> {
        let mut places = Vec::new();
        let mut address = running_frame(self.interpreter.memory, thread_state).unwrap_or(0);
        for _ in 0..DEEPEST {
            if address == 0 || address == until || places.len() == most {
                break;
            }
            let Some(frame) = self.interpreter.frame(address) else { break };
            // None: a frame that stands for a call from C.
            places.extend(self.place(&frame));
            address = frame.previous;
        }
        places
    }

    fn place(&mut self, frame: &Frame) -> Option<Place> {
        if frame.from_c {
            return None;
        }
        let interpreter = self.interpreter;
        let key = interpreter.code_key(frame.code)?;
        let start = frame.code + layout::code::INSTRUCTIONS;
        // One unit before the first: not begun.
        let offset = frame.instruction.checked_sub(start - 2)?;
        if offset > key.units() * 2 + 2 {
            return None; // of another frame, which lay here before
        }
        if self.codes.len() > MOST_CODES {
            self.codes.clear();
        }
        let code = self.codes.entry(key).or_insert_with(|| interpreter.code(&key)).as_ref()?;
        let line = code.line(offset as i64 - 2);
        Some(Place { file: code.file.clone(), line, function: code.function.clone() })
    }
}

impl Interpreter {
    fn frame(&self, address: usize) -> Option<Frame> {
        let words: [usize; layout::frame::SIZE / 8] = self.memory.words(address)?;
        Some(Frame {
            code: words[layout::frame::CODE / 8],
            previous: words[layout::frame::PREVIOUS / 8],
            instruction: words[layout::frame::INSTRUCTION / 8],
            from_c: words[layout::frame::OWNER / 8].to_ne_bytes()[layout::frame::OWNER % 8]
                == layout::frame::OWNED_BY_C,
        })
    }
}

/// The address of the frame that a thread runs.
pub fn running_frame(memory: Memory, thread_state: usize) -> Option<usize> {
    let [frame] = memory.words(thread_state + layout::thread::FRAME)?;
    match layout::thread::FRAME_IN_C_FRAME {
        Some(offset) if frame != 0 => memory.words(frame + offset).map(|[frame]| frame),
        _ => Some(frame),
    }
}
