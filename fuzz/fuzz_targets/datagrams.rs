//! Datagrams in batches, between real sockets, against a list of what is on its way.
//!
//! Unix sockets, since they lose nothing: what was taken arrives, in order, and a full receiver refuses. Their names are the
//! senders' addresses, one of them as long as a name can be.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use plait_core::net::datagram::{send_many, send_to, LARGEST_READ_AT_ONCE, LARGEST_UDP, MOST_DATAGRAMS};
use plait_core::net::socket_address::{Decoded, LONGEST_UNIX_NAME};
use plait_core::net::{Batch, SocketAddress};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

#[derive(Debug)]
enum Step {
    Send { from: usize, size: usize },
    SendMany { from: usize, sizes: Vec<usize> },
    Receive { largest: usize, most: usize },
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let from = input.int_in_range(0..=2)?;
        Ok(match input.int_in_range(0..=7)? {
            0..=2 => Self::Send { from, size: size(input)? },
            3 | 4 => {
                let count = input.int_in_range(0..=MOST_DATAGRAMS + 3)?;
                Self::SendMany { from, sizes: (0..count).map(|_| size(input)).collect::<Result<_>>()? }
            }
            _ => Self::Receive {
                largest: *input.choose(&[
                    0,
                    1,
                    7,
                    100,
                    4096,
                    LARGEST_UDP,
                    LARGEST_READ_AT_ONCE,
                    usize::MAX,
                ])?,
                most: *input.choose(&[0, 1, 2, 5, 31, 32, 33, usize::MAX])?,
            },
        })
    }
}

fn size(input: &mut Unstructured) -> Result<usize> {
    Ok(match input.int_in_range(0..=7)? {
        0 => 0,
        1..=5 => input.int_in_range(0..=300)?,
        6 => input.int_in_range(0..=70_000)?,
        _ => {
            *input.choose(&[4095, 4096, 4097, LARGEST_UDP, LARGEST_UDP + 1, LARGEST_READ_AT_ONCE, 400_000])?
        }
    })
}

struct Network {
    receiver: UnixDatagram,
    to: SocketAddress,
    /// The last has no name.
    senders: [(UnixDatagram, Option<Vec<u8>>); 3],
    batch: Batch,
    on_its_way: VecDeque<(usize, Vec<u8>)>,
    sent: u64,
}

fn named(name: &[u8]) -> UnixDatagram {
    let address = SocketAddr::from_abstract_name(name).expect("a name that fits");
    let socket = UnixDatagram::bind_addr(&address).expect("a free name");
    socket.set_nonblocking(true).expect("a socket of one's own");
    socket
}

impl Network {
    fn new() -> Self {
        let name = |of: &str| format!("plait-fuzz-{}-{of}", std::process::id()).into_bytes();
        let mut long = name("long");
        long.resize(LONGEST_UNIX_NAME - 1, 0);
        let to = [&[0][..], &name("receiver")].concat();
        let senders = [
            (named(&name("short")), Some(name("short"))),
            (named(&long), Some(long)),
            (UnixDatagram::unbound().expect("a socket"), None),
        ];
        Self {
            receiver: named(&name("receiver")),
            to: SocketAddress::unix(&to).expect("a name that fits"),
            senders,
            batch: Batch::new(),
            on_its_way: VecDeque::new(),
            sent: 0,
        }
    }

    /// A running number, repeated, so that no two datagrams are alike, nor a part of one another part.
    fn datagram(&mut self, size: usize) -> Vec<u8> {
        self.sent += 1;
        let number = self.sent;
        (0..size as u64).map(|place| (number.wrapping_mul(31).wrapping_add(place / 3) % 253) as u8).collect()
    }

    fn send(&mut self, from: usize, size: usize) {
        let data = self.datagram(size);
        match send_to(self.senders[from].0.as_raw_fd(), &data, &self.to) {
            Ok(count) => {
                assert_eq!(count, data.len());
                self.on_its_way.push_back((from, data));
            }
            Err(error) => Self::check_refusal(&error, data.len()),
        }
    }

    /// A full receiver, or more than the sending buffer holds.
    fn check_refusal(error: &std::io::Error, size: usize) {
        let too_large = error.raw_os_error() == Some(90) && size > 100_000;
        assert!(error.kind() == ErrorKind::WouldBlock || too_large, "{error}, {size} bytes");
    }

    fn send_many(&mut self, from: usize, sizes: &[usize]) {
        let all: Vec<Vec<u8>> = sizes.iter().map(|size| self.datagram(*size)).collect();
        let row = all.iter().map(|data| (data.as_slice(), &self.to));
        match send_many(self.senders[from].0.as_raw_fd(), row) {
            Ok(count) => {
                assert!(count <= all.len().min(MOST_DATAGRAMS) && (count > 0 || all.is_empty()));
                self.on_its_way.extend(all.into_iter().take(count).map(|data| (from, data)));
            }
            Err(error) => Self::check_refusal(&error, all[0].len()),
        }
    }

    fn receive(&mut self, largest: usize, most: usize) -> usize {
        let count = match self.batch.receive(self.receiver.as_raw_fd(), largest, most) {
            Ok(count) => count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(self.on_its_way.is_empty(), "something was on its way");
                return 0;
            }
        };
        assert!(0 < count && count <= most.clamp(1, MOST_DATAGRAMS));
        for index in 0..count {
            let (from, sent) = self.on_its_way.pop_front().expect("nothing comes that was not sent");
            let (data, sender) = self.batch.get(index);
            let shorter = sent.len().min(largest.clamp(1, MOST_DATAGRAMS * LARGEST_UDP));
            assert!(data == &sent[..shorter], "datagram {index} of {count} differs");
            match &self.senders[from].1 {
                Some(name) => assert_eq!(sender.decode(), Decoded::Abstract(&[&[0][..], name].concat())),
                None => assert_eq!(sender.decode(), Decoded::Nobody),
            }
        }
        count
    }
}

fuzz_target!(|script: Vec<Step>| {
    let mut network = Network::new();
    for step in &script {
        match step {
            Step::Send { from, size } => network.send(*from, *size),
            Step::SendMany { from, sizes } => network.send_many(*from, sizes),
            Step::Receive { largest, most } => {
                network.receive(*largest, *most);
            }
        }
    }
    while network.receive(LARGEST_READ_AT_ONCE, MOST_DATAGRAMS) > 0 {}
    assert!(network.on_its_way.is_empty(), "lost: {}", network.on_its_way.len());
});
