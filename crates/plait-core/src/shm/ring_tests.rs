use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const SIZE: usize = OVERHEAD + 64;

fn ring(size: usize) -> (Writer, Reader, Arc<Memory>) {
    let ours = Arc::new(Memory::new("plait-test", size.next_multiple_of(4096)).unwrap());
    let descriptor = ours.descriptor().try_clone_to_owned().unwrap();
    let theirs = Arc::new(Memory::open(descriptor).unwrap());
    (Writer::new(ours.clone(), 0, size), Reader::new(theirs, 0, size), ours)
}

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Write),
        proptest::collection::vec(any::<u8>(), 60..300).prop_map(Step::Write),
        Just(Step::Read),
        Just(Step::Read),
    ]
}

#[test]
fn who_is_told_of_room_finds_it() {
    let (mut writer, mut reader, _memory) = ring(SIZE);
    let mut write = |bytes: &[u8]| writer.write(&[bytes], &mut Progress::default()).unwrap();
    assert!(write(&[1; 20]));
    // More than half of the ring is free, and less than what is wanted.
    assert!(!write(&[2; 50]) && !writer.has_room(50));
    assert!(writer.has_room(36) && writer.has_room(1_000));
    reader.next_message().unwrap().unwrap();
    assert!(writer.has_room(50) && writer.write(&[&[2; 50]], &mut Progress::default()).unwrap());
}

proptest! {
    /// Whatever is written comes out, in order and whole, however small the ring is.
    #[test]
    fn what_goes_in_comes_out(steps in proptest::collection::vec(step(), 0..200)) {
        let (mut writer, mut reader, _memory) = ring(SIZE);
        let mut expected = VecDeque::new();
        let mut pending: VecDeque<(Vec<u8>, Progress)> = VecDeque::new();
        for step in steps.into_iter().chain(std::iter::repeat_n(Step::Read, 2_000)) {
            match step {
                Step::Write(message) => {
                    expected.push_back(message.clone());
                    pending.push_back((message, Progress::default()));
                }
                Step::Read => {
                    if let Some(message) = reader.next_message().unwrap() {
                        prop_assert_eq!(Some(message), expected.pop_front());
                    }
                }
            }
            while let Some((message, progress)) = pending.front_mut() {
                let (head, tail) = message.split_at(message.len() / 3);
                if !writer.write(&[head, tail], progress).unwrap() {
                    break;
                }
                pending.pop_front();
            }
        }
        prop_assert!(expected.is_empty() && pending.is_empty() && !reader.has_come());
    }

    /// A writer that leaves anything at all in the ring is refused, or believed to have sent some bytes: nothing else happens.
    #[test]
    fn garbage_is_refused(written in any::<u64>(), bytes in proptest::collection::vec(any::<u8>(), 64)) {
        let (_writer, mut reader, memory) = ring(SIZE);
        memory.write(DATA, &bytes);
        memory.double_word(WRITTEN).store(written, std::sync::atomic::Ordering::Release);
        while let Ok(Some(message)) = reader.next_message() {
            prop_assert!(message.len() <= 64);
        }
    }
}

#[test]
fn a_message_that_fits_is_shown_as_a_whole() {
    let (mut writer, mut reader, _memory) = ring(SIZE);
    assert!(writer.write(&[&[1; 40]], &mut Progress::default()).unwrap());
    let mut progress = Progress::default();
    assert!(!writer.write(&[&[2; 40]], &mut progress).unwrap());
    assert!(!progress.has_begun());
    assert_eq!(reader.next_message().unwrap(), Some(vec![1; 40]));
    assert_eq!(reader.next_message().unwrap(), None);
    assert!(writer.write(&[&[2; 40]], &mut progress).unwrap());
    assert_eq!(reader.next_message().unwrap(), Some(vec![2; 40]));
}

#[test]
fn a_long_message_crosses_while_the_other_side_reads() {
    let (mut writer, mut reader, _memory) = ring(SIZE);
    let message: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let expected = message.clone();
    let thread = std::thread::spawn(move || {
        let mut progress = Progress::default();
        while !writer.write(&[&message], &mut progress).unwrap() {
            writer.bell().sleep(|| writer.has_room(message.len()), None);
        }
    });
    let came = loop {
        if let Some(message) = reader.next_message().unwrap() {
            break message;
        }
        std::thread::yield_now();
    };
    thread.join().unwrap();
    assert!(came == expected);
}
