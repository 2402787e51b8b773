//! Code objects: their file, their name, and which instruction belongs to which line.

use super::{layout, Interpreter};
use std::sync::Arc;

/// A name longer than this was not one.
const LONGEST_NAME: usize = 16 * 1024;
const LONGEST_TABLE: usize = 4 << 20;

/// What a code object is known by. Its address alone is not enough: another may lie there later.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    address: usize,
    units: usize,
    first_line: u32,
    file: usize,
    function: usize,
    table: usize,
}

impl Key {
    /// How long the code is, in units of two bytes.
    pub fn units(&self) -> usize {
        self.units
    }
}

pub struct Code {
    pub file: Arc<str>,
    pub function: Arc<str>,
    first_line: u32,
    /// Where each entry of the table ends, in bytes of code, and its line; 0 for none.
    lines: Vec<(i64, u32)>,
}

impl Code {
    /// The line of the instruction at that offset in bytes; below zero, the function's first.
    pub fn line(&self, offset: i64) -> u32 {
        let after = self.lines.partition_point(|&(end, _)| end <= offset);
        match self.lines.get(after) {
            Some(&(_, line)) if offset >= 0 && line != 0 => line,
            _ => self.first_line,
        }
    }
}

/// Of the type `code`.
pub fn type_address() -> usize {
    (&raw const pyo3::ffi::PyCode_Type).addr()
}

impl Interpreter {
    /// None: there is no code object at that address.
    pub fn code_key(&self, address: usize) -> Option<Key> {
        let words: [usize; layout::code::SIZE / 8] = self.memory.words(address)?;
        if words[layout::object::TYPE / 8] != self.code_type {
            return None;
        }
        let [file, _, function, table] = words[layout::code::FILE / 8..][..4] else { return None };
        let pair = words[layout::code::FIRST_LINE / 8];
        let first_line = if layout::code::FIRST_LINE % 8 == 0 { pair as u32 } else { (pair >> 32) as u32 };
        let units = words[layout::code::UNITS / 8];
        Some(Key { address, units, first_line, file, function, table })
    }

    pub fn code(&self, key: &Key) -> Option<Code> {
        let table = self.byte_string(key.table)?;
        Some(Code {
            file: self.text(key.file)?,
            function: self.text(key.function)?,
            first_line: key.first_line,
            lines: lines(&table, key.first_line),
        })
    }

    fn byte_string(&self, address: usize) -> Option<Vec<u8>> {
        let [length] = self.memory.words(address + layout::bytes::LENGTH)?;
        self.memory.bytes(address + layout::bytes::DATA, length, LONGEST_TABLE)
    }

    fn text(&self, address: usize) -> Option<Arc<str>> {
        let [length] = self.memory.words(address + layout::text::LENGTH)?;
        let [state] = self.memory.words(address + layout::text::STATE)?;
        let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        if !compact || !matches!(kind, 1 | 2 | 4) {
            return None;
        }
        let data = address + if ascii { layout::text::ASCII } else { layout::text::COMPACT };
        let bytes = self.memory.bytes(data, length.checked_mul(kind)?, LONGEST_NAME)?;
        let characters: String = bytes
            .chunks_exact(kind)
            .map(|unit| {
                let number = unit.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
                // Names of files may have lone surrogates.
                char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
            })
            .collect();
        Some(characters.into())
    }
}

/// Reads a location table: each entry covers some units of code. Its first byte has the kind and that number; what follows tells by
/// how much the line moves on, and columns, which are passed over.
fn lines(table: &[u8], first_line: u32) -> Vec<(i64, u32)> {
    let mut lines = Vec::new();
    let (mut line, mut end) = (i64::from(first_line), 0_i64);
    let mut bytes = Bytes(table.iter().copied());
    while let Some(first) = bytes.0.next() {
        end += 2 * (i64::from(first & 7) + 1);
        let kind = first >> 3 & 15;
        match kind {
            0..=9 => bytes.skip(1),
            10..=12 => {
                line += i64::from(kind - 10);
                bytes.skip(2);
            }
            13 => line += bytes.signed(),
            14 => {
                line += bytes.signed();
                (0..3).for_each(|_| bytes.pass_number());
            }
            _ => {}
        }
        let shown = if kind == 15 { 0 } else { u32::try_from(line).unwrap_or(0) };
        lines.push((end, shown));
    }
    lines
}

struct Bytes<I>(I);

impl<I: Iterator<Item = u8>> Bytes<I> {
    fn skip(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.0.next();
        });
    }

    /// Six bits in each byte, the low ones first; a further bit says that there is more.
    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        for byte in self.0.by_ref() {
            number |= u64::from(byte & 63).checked_shl(shift).unwrap_or(0);
            shift += 6;
            if byte & 64 == 0 {
                break;
            }
        }
        number
    }

    fn pass_number(&mut self) {
        self.number();
    }

    /// The lowest bit is the sign.
    fn signed(&mut self) -> i64 {
        let number = self.number();
        let magnitude = (number >> 1) as i64;
        if number & 1 == 1 {
            -magnitude
        } else {
            magnitude
        }
    }
}
