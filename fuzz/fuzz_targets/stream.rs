//! Reading a stream, against asyncio's way of doing it.
//!
//! The scripts, the reference and what is compared are those of the engine's property tests, included from there. Only
//! how a script is made up differs: proptest takes steps at random, libFuzzer looks for those that reach new code.
//!
//! `Arbitrary` is written by hand, since a derived one would give bytes and lengths all of which are as likely: hardly a
//! separator would ever be found, and hardly a limit exceeded.

#![no_main]

#[path = "../../crates/plait-core/tests/stream_script/mod.rs"]
mod stream_script;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use stream_script::{play, Step};

/// What arrives and what is searched for consists of these, so that separators, and beginnings of them, are met often.
const ALPHABET: &[u8] = b"ab\n";
/// Beyond it, searches use the processor's vector instructions in full width.
const LONG: usize = 64;

#[derive(Debug)]
struct Script {
    limit: usize,
    steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { limit: limit(input)?, steps: input.arbitrary()? })
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match input.int_in_range(0..=19)? {
            0..=2 => Self::Chunk(arrival(input)?),
            3..=5 => Self::Bytes(arrival(input)?),
            6 => Self::SetEnded(input.arbitrary()?),
            7 => Self::SetLimit(limit(input)?),
            8 | 9 => Self::Seek(separators(input)?),
            10 => Self::Intrude(separators(input)?),
            11..=14 => Self::Resume,
            15 => Self::Count(count(input)?),
            16 => Self::Consume(count(input)?),
            17 => Self::ConsumeFound,
            18 => Self::ConsumeAll,
            _ => Self::TakeChunk(count(input)?),
        })
    }
}

fn word(input: &mut Unstructured, shortest: usize, longest: usize) -> Result<Vec<u8>> {
    let length = input.int_in_range(shortest..=longest)?;
    (0..length).map(|_| input.choose(ALPHABET).copied()).collect()
}

/// A few bytes, or so many times the same and then a few others.
fn arrival(input: &mut Unstructured) -> Result<Vec<u8>> {
    if input.ratio(3, 4)? {
        return word(input, 0, 8);
    }
    let times = input.int_in_range(1..=LONG)?;
    Ok([word(input, 1, 6)?.repeat(times), word(input, 0, 6)?].concat())
}

/// A line's end, or one to four others, none empty, seldom long.
fn separators(input: &mut Unstructured) -> Result<Vec<Vec<u8>>> {
    if input.arbitrary()? {
        return Ok(vec![b"\n".to_vec()]);
    }
    let count = input.int_in_range(1..=4)?;
    (0..count).map(|_| if input.ratio(7, 8)? { word(input, 1, 4) } else { word(input, 1, LONG) }).collect()
}

/// asyncio refuses a limit of zero.
fn limit(input: &mut Unstructured) -> Result<usize> {
    Ok(match input.int_in_range(0..=7)? {
        0 => usize::MAX,
        1 | 2 => input.int_in_range(1..=1000)?,
        _ => input.int_in_range(1..=12)?,
    })
}

fn count(input: &mut Unstructured) -> Result<usize> {
    Ok(if input.ratio(3, 4)? { input.int_in_range(0..=8)? } else { input.int_in_range(0..=1000)? })
}

fuzz_target!(|script: Script| play(script.limit, &script.steps));
