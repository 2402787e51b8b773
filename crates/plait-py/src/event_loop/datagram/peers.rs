//! Where datagrams come from and go to, as objects: each address is made once, as long as it is met again.
//!
//! A table of a few places, found by the address's own bytes; a newcomer takes the place of who was there. To make an address
//! tuple costs more than to receive the datagram. The tuples can be shared, being made of strings and numbers alone.

use plait_core::net::SocketAddress;
use pyo3::prelude::*;

const PLACES: usize = 16;

struct Peer {
    address: SocketAddress,
    object: Py<PyAny>,
}

/// The addresses that were met last.
#[derive(Default)]
pub struct Peers {
    /// Made when the first one comes.
    met: Vec<Option<Peer>>,
    /// The place that was asked for last: who sends is often who is answered.
    last: usize,
    /// What the program wrote as an address the last time, when that was none of these objects.
    written: Option<Peer>,
}

/// What made room, to be dropped outside of the closure.
pub struct Displaced(#[allow(dead_code)] Option<Peer>);

impl Peers {
    /// The object that stands for an address.
    pub fn object(&mut self, py: Python<'_>, address: &SocketAddress) -> Option<Py<PyAny>> {
        let place = address.spread() % PLACES;
        let peer = self.met.get(place)?.as_ref().filter(|peer| peer.address == *address)?;
        self.last = place;
        Some(peer.object.clone_ref(py))
    }

    pub fn remember(&mut self, address: SocketAddress, object: Py<PyAny>) -> Displaced {
        if self.met.is_empty() {
            self.met.resize_with(PLACES, || None);
        }
        let place = address.spread() % PLACES;
        self.last = place;
        Displaced(self.met[place].replace(Peer { address, object }))
    }

    /// The address that an object stands for: one of these objects, the very same.
    pub fn address(&self, object: &Bound<'_, PyAny>) -> Option<SocketAddress> {
        let is = |peer: &&Peer| peer.object.is(object);
        let last = self.met.get(self.last).and_then(Option::as_ref).filter(is);
        let found = last.or_else(|| self.written.as_ref().filter(is));
        let found = found.or_else(|| self.met.iter().flatten().find(is));
        found.map(|peer| peer.address)
    }

    /// The program wrote this address. Its parts must be of types that cannot change.
    pub fn remember_written(&mut self, address: SocketAddress, object: Py<PyAny>) -> Displaced {
        Displaced(self.written.replace(Peer { address, object }))
    }
}
