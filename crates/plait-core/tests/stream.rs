//! Reading a stream, against asyncio's way of doing it: scripts that are made up, and those that once went wrong.

mod stream_script;

use proptest::collection::vec;
use proptest::prelude::*;
use stream_script::{play, Step};

/// Few different bytes, so that separators, and beginnings of them, are met often.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(&b"ab\n"[..]), 0..most)
}

/// Arrivals of a few bytes, and of so many that the vectorised searches are reached.
fn arrival() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => bytes(6),
        1 => (bytes(6), 1..60usize, bytes(3)).prop_map(|(bytes, times, rest)| [bytes.repeat(times), rest].concat()),
    ]
}

fn separators() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let separator = vec(prop::sample::select(&b"ab\n"[..]), 1..5);
    prop_oneof![2 => Just(vec![b"\n".to_vec()]), 3 => vec(separator, 1..4)]
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..12usize, 1 => 12..400usize, 1 => Just(usize::MAX)]
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..6usize, 1 => 0..200usize]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => arrival().prop_map(Step::Chunk),
        6 => arrival().prop_map(Step::Bytes),
        1 => any::<bool>().prop_map(Step::SetEnded),
        1 => limit().prop_map(Step::SetLimit),
        6 => separators().prop_map(Step::Seek),
        2 => separators().prop_map(Step::Intrude),
        6 => Just(Step::Resume),
        1 => count().prop_map(Step::Count),
        2 => count().prop_map(Step::Consume),
        2 => Just(Step::ConsumeFound),
        1 => Just(Step::ConsumeAll),
        2 => count().prop_map(Step::TakeChunk),
    ]
}

proptest! {
    #[test]
    fn reads_as_asyncio_does(limit in limit(), script in vec(step(), 0..80)) {
        play(limit, &script);
    }
}

/// Where the limit shrinks while a search waits, nothing is compared that looks at bytes twice.
#[test]
fn a_limit_that_shrinks_under_a_search_that_waits() {
    play(
        3,
        &[
            Step::Seek(vec![b"\n".to_vec()]),
            Step::Chunk(b"aa".to_vec()),
            Step::Resume,
            Step::SetLimit(1),
            Step::Resume,
            Step::Intrude(vec![b"ab".to_vec()]),
            Step::Resume,
        ],
    );
}

/// What the search of a coroutine that waits has learned is not replaced by what another's has: that one looked for
/// something else.
#[test]
fn a_search_that_waits_is_not_misled_by_another() {
    play(
        100,
        &[
            Step::Bytes(b"aaSEP".to_vec()),
            Step::Seek(vec![b"SEPARATOR".to_vec()]),
            Step::Intrude(vec![b"\n".to_vec()]),
            Step::Bytes(b"ARATOR".to_vec()),
            Step::Resume,
            Step::ConsumeFound,
        ],
    );
}

/// What it had seen is gone.
#[test]
fn a_search_that_waits_begins_anew_when_bytes_are_taken() {
    play(
        100,
        &[
            Step::Bytes(b"aaaa".to_vec()),
            Step::Seek(vec![b"\n".to_vec()]),
            Step::Resume,
            Step::Consume(3),
            Step::Bytes(b"\n".to_vec()),
            Step::Resume,
            Step::ConsumeFound,
        ],
    );
}

/// Both at once: it has nothing to go on from, and the other must not give it something.
#[test]
fn a_search_that_begins_anew_is_not_misled_by_another() {
    play(
        100,
        &[
            Step::Bytes(b"ab".to_vec()),
            Step::Seek(vec![b"bb".to_vec()]),
            Step::Consume(1),
            Step::Bytes(b"b".to_vec()),
            Step::Intrude(vec![b"\n".to_vec()]),
            Step::Resume,
            Step::ConsumeFound,
        ],
    );
}

/// A full buffer of which little is read and to which little is added, many times over.
#[test]
fn a_full_buffer_is_not_moved_for_every_byte() {
    let mut script = vec![Step::Bytes(vec![b'x'; 1000])];
    for _ in 0..200 {
        script.extend([Step::Consume(1), Step::Bytes(b"z".to_vec())]);
    }
    play(100, &script);
}
