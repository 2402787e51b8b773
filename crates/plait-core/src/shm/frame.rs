//! What a message between a pool and its worker says of itself, before its bytes.
//!
//! A message has a kind and a number, which mean something to the two who talk only, and parts: the pickled object first, then the buffers that were left
//! out of it. A part lies in the message itself, or in a segment of memory that both have, one after the other in the order of the parts. Nothing of that
//! is believed unchecked: a part that is not inside what it is said to be in is an error.

use super::positions::Damaged;

const FIXED: usize = 40;
const PER_PART: usize = 8;
const IN_SEGMENT: u64 = 1 << 63;
/// Where in a segment each part begins, at multiples of it: as wide as the widest vectors of the processor.
pub const ALIGN: usize = 64;
/// More parts than that are none of ours.
pub const MOST_PARTS: usize = 1 << 16;

/// The memory in which the long parts of a message lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentName {
    /// Its place in the table that both sides have, or [`SegmentName::ONCE`].
    pub slot: u32,
    /// Changes when another one comes to that place.
    pub generation: u32,
}

impl SegmentName {
    /// Of one that is used for this message only.
    pub const ONCE: u32 = u32::MAX;
}

/// What a message is, apart from its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the two sides understand by it.
    pub kind: u8,
    /// Of the call.
    pub number: u32,
    /// How long the call took.
    pub nanoseconds: u64,
    /// Where the long parts are.
    pub segment: Option<SegmentName>,
}

/// Where a part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In the message.
    Inline {
        /// From the beginning of the message.
        offset: usize,
        /// In bytes.
        length: usize,
    },
    /// In the segment.
    Shared {
        /// From the beginning of the segment.
        offset: usize,
        /// In bytes.
        length: usize,
    },
}

/// The beginning of a message, before the bytes of its parts that lie in it. `parts`: how long each is, and whether it lies in the segment.
pub fn encode(head: &Head, parts: impl ExactSizeIterator<Item = (usize, bool)>) -> Vec<u8> {
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let segment = head.segment.unwrap_or(SegmentName { slot: 0, generation: 0 });
    let mut bytes = Vec::with_capacity(FIXED + PER_PART * parts.len());
    bytes.extend_from_slice(&[head.kind, u8::from(head.segment.is_some()), 0, 0]);
    bytes.extend_from_slice(&head.number.to_le_bytes());
    bytes.extend_from_slice(&head.nanoseconds.to_le_bytes());
    bytes.extend_from_slice(&segment.slot.to_le_bytes());
    bytes.extend_from_slice(&segment.generation.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.resize(FIXED, 0);
    for (length, shared) in parts {
        let flag = if shared { IN_SEGMENT } else { 0 };
        bytes.extend_from_slice(&(length as u64 | flag).to_le_bytes());
    }
    bytes
}

/// What [`encode`] wrote, and where the parts lie.
///
/// # Errors
///
/// It makes no sense.
pub fn decode(message: &[u8]) -> Result<(Head, Vec<Part>), Damaged> {
    let fixed = message.get(..FIXED).ok_or(Damaged)?;
    let count = word(fixed, 24) as usize;
    let table = message.get(FIXED..).and_then(|rest| rest.get(..count.checked_mul(PER_PART)?));
    let table = table.filter(|_| count <= MOST_PARTS && fixed[1] <= 1).ok_or(Damaged)?;
    let segment = (fixed[1] == 1).then(|| SegmentName { slot: word(fixed, 16), generation: word(fixed, 20) });
    let nanoseconds = u64::from(word(fixed, 8)) | u64::from(word(fixed, 12)) << 32;
    let head = Head { kind: fixed[0], number: word(fixed, 4), nanoseconds, segment };
    let parts = place(table, FIXED + table.len(), segment.is_some())?;
    let inline = parts.iter().map(|part| match part {
        Part::Inline { offset, length } => offset + length,
        Part::Shared { .. } => 0,
    });
    if inline.max().unwrap_or(0) > message.len() {
        return Err(Damaged);
    }
    Ok((head, parts))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// One part after the other, each in its place.
fn place(table: &[u8], first: usize, has_segment: bool) -> Result<Vec<Part>, Damaged> {
    let (mut inline, mut shared) = (first, 0_usize);
    let place = |entry: &[u8]| {
        let entry = u64::from(word(entry, 0)) | u64::from(word(entry, 4)) << 32;
        let length = usize::try_from(entry & !IN_SEGMENT).map_err(|_| Damaged)?;
        if length >= 1 << 48 {
            return Err(Damaged);
        }
        if entry & IN_SEGMENT == 0 {
            let offset = inline;
            inline += length;
            return Ok(Part::Inline { offset, length });
        }
        let offset = shared;
        shared = (shared + length).next_multiple_of(ALIGN);
        has_segment.then_some(Part::Shared { offset, length }).ok_or(Damaged)
    };
    table.chunks_exact(PER_PART).map(place).collect()
}

/// How large a segment has to be for parts of these lengths.
pub fn shared_size(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.fold(0, |size: usize, length| (size + length).next_multiple_of(ALIGN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let segment = Some(SegmentName { slot: 3, generation: 9 });
        let head = Head { kind: 7, number: 1 << 31, nanoseconds: 1 << 40, segment };
        let mut message = encode(&head, [(5, false), (100, true), (7, true), (2, false)].into_iter());
        let first = message.len();
        message.extend_from_slice(b"fivesxx");
        let (decoded, parts) = decode(&message).unwrap();
        assert_eq!(decoded, head);
        let expected = [
            Part::Inline { offset: first, length: 5 },
            Part::Shared { offset: 0, length: 100 },
            Part::Shared { offset: 128, length: 7 },
            Part::Inline { offset: first + 5, length: 2 },
        ];
        assert_eq!(parts, expected);
        assert_eq!(shared_size([100, 7].into_iter()), 192);
    }

    #[test]
    fn a_part_that_is_not_there_is_refused() {
        let head = Head { kind: 0, number: 0, nanoseconds: 0, segment: None };
        assert_eq!(decode(&encode(&head, [(1, false)].into_iter())), Err(Damaged));
        assert_eq!(decode(&encode(&head, [(1, true)].into_iter())), Err(Damaged));
        assert_eq!(decode(&[0; 39]), Err(Damaged));
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0_u32..30) {
            let mut bytes = bytes;
            if bytes.len() > 28 {
                bytes[24..28].copy_from_slice(&count.to_le_bytes());
                bytes[1] &= 1;
            }
            if let Ok((_, parts)) = decode(&bytes) {
                for part in parts {
                    if let Part::Inline { offset, length } = part {
                        prop_assert!(offset + length <= bytes.len());
                    }
                }
            }
        }
    }
}
