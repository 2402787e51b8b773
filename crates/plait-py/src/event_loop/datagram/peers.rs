//! Where datagrams come from and go to, as objects: each address is made once, as long as it is met again.
//!
//! Two tables, in each of which an entry has one place: by the address's own bytes, for what is received, and by the object's place in
//! memory, for what is sent. A newcomer takes the place of who was there. To make an address tuple costs more than to
//! receive the datagram, and a server answers with the very tuple that it was given. They can be shared, being made of
//! strings and numbers alone.

use plait_core::net::SocketAddress;
use pyo3::prelude::*;

const PLACES: usize = 256;

struct Peer {
    address: SocketAddress,
    object: Py<PyAny>,
}

/// The addresses that were met last.
#[derive(Default)]
pub struct Peers {
    /// By address. Made when the first one comes.
    met: Vec<Option<Box<Peer>>>,
    /// By object: where in `met` it may lie.
    places: Vec<u8>,
    /// What the program wrote as an address the last time, when that was none of these objects.
    written: Option<Box<Peer>>,
}

/// What made room, to be dropped outside of the closure.
pub struct Displaced(#[allow(dead_code)] Option<Box<Peer>>);

fn place_of_object(object: &Py<PyAny>) -> usize {
    let address = object.as_ptr() as usize;
    ((address >> 4) ^ (address >> 12)) % PLACES
}

impl Peers {
    /// The object that stands for an address.
    pub fn object(&self, py: Python<'_>, address: &SocketAddress) -> Option<Py<PyAny>> {
        let peer = self.met.get(address.spread() % PLACES)?.as_ref()?;
        (peer.address == *address).then(|| peer.object.clone_ref(py))
    }

    pub fn remember(&mut self, address: SocketAddress, object: Py<PyAny>) -> Displaced {
        if self.met.is_empty() {
            self.met.resize_with(PLACES, || None);
            self.places.resize(PLACES, 0);
        }
        let place = address.spread() % PLACES;
        self.places[place_of_object(&object)] = place as u8;
        Displaced(self.met[place].replace(Box::new(Peer { address, object })))
    }

    /// The address that an object stands for: one of these objects, the very same.
    pub fn address(&self, object: &Bound<'_, PyAny>) -> Option<SocketAddress> {
        let place = self.places.get(place_of_object(object.as_unbound()));
        let met = place.and_then(|place| self.met.get(usize::from(*place))?.as_ref());
        let found = met.filter(|peer| peer.object.is(object));
        let found = found.or_else(|| self.written.as_ref().filter(|peer| peer.object.is(object)));
        found.map(|peer| peer.address)
    }

    /// The program wrote this address. Its parts must be of types that cannot change.
    pub fn remember_written(&mut self, address: SocketAddress, object: Py<PyAny>) -> Displaced {
        Displaced(self.written.replace(Box::new(Peer { address, object })))
    }
}
