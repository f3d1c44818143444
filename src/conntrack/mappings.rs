//! Which port outside an endpoint inside has, while it has flows there (endpoint-independent mapping, RFC 4787 REQ-1).
//!
//! Invariant: what is here follows from the flows in the table, those that the peer has sent included; so after a takeover
//! an endpoint keeps its port. Room is reserved with the configuration, and only where a mapping asks for it.

use std::net::IpAddr;

use super::bounded::Bounded;
use super::table::Table;
use crate::types::Seed;
use crate::wire::{FlowKey, protocol};

/// The most endpoints.
const MOST: usize = 1 << 18;

/// Protocol, address and port.
type Endpoint = (u8, IpAddr, u16);

/// The port of an endpoint, and how many flows it has by it.
#[derive(Clone, Copy)]
struct Mapped {
    port: u16,
    flows: u32,
}

/// By endpoint inside and address outside the port there; and how many flows each endpoint outside has.
pub(super) struct Mappings {
    inside: Bounded<(Endpoint, IpAddr), Mapped>,
    outside: Bounded<Endpoint, u32>,
}

impl Mappings {
    pub(super) fn new(seed: Seed) -> Self {
        Mappings { inside: Bounded::new(0, seed.derive(1)), outside: Bounded::new(0, seed.derive(2)) }
    }

    /// Room for so many; with none, nothing is remembered.
    pub(super) fn reserve(&mut self, endpoints: u32) {
        if endpoints > 0 {
            self.inside.reserve((endpoints as usize).min(MOST));
            self.outside.reserve((endpoints as usize).min(MOST));
        }
    }

    /// A flow begins.
    pub(super) fn add(&mut self, original: &FlowKey, reply: &FlowKey) {
        let Some((inside, outside)) = ends(original, reply) else { return };
        match self.inside.get_mut(&(inside, outside.1)) {
            Some(mapped) if mapped.port == outside.2 => mapped.flows += 1,
            Some(_) => {}
            None => {
                self.inside.insert((inside, outside.1), Mapped { port: outside.2, flows: 1 });
            }
        }
        match self.outside.get_mut(&outside) {
            Some(flows) => *flows += 1,
            None => {
                self.outside.insert(outside, 1);
            }
        }
    }

    /// A flow ends.
    pub(super) fn take(&mut self, original: &FlowKey, reply: &FlowKey) {
        let Some((inside, outside)) = ends(original, reply) else { return };
        let key = (inside, outside.1);
        if let Some(mapped) = self.inside.get_mut(&key).filter(|mapped| mapped.port == outside.2) {
            mapped.flows -= 1;
            if mapped.flows == 0 {
                self.inside.remove(&key);
            }
        }
        if let Some(flows) = self.outside.get_mut(&outside) {
            *flows -= 1;
            if *flows == 0 {
                self.outside.remove(&outside);
            }
        }
    }
}

/// The source of a flow inside and outside, when it has ports and is translated.
fn ends(original: &FlowKey, reply: &FlowKey) -> Option<(Endpoint, Endpoint)> {
    let number = original.protocol();
    let inside = (number, original.src(), original.src_port());
    let outside = (number, reply.dst(), reply.dst_port());
    (matches!(number, protocol::TCP | protocol::UDP) && inside != outside).then_some((inside, outside))
}

impl Table {
    /// The port that the source of a flow has at this address, whomever it speaks with.
    pub fn mapped(&self, key: &FlowKey, outside: IpAddr) -> Option<u16> {
        let inside = (key.protocol(), key.src(), key.src_port());
        self.mappings.inside.get(&(inside, outside)).map(|mapped| mapped.port)
    }

    /// A flow whose source has no port at this address yet may get this one, since nobody else has it.
    pub fn can_map(&self, key: &FlowKey, (outside, port): (IpAddr, u16)) -> bool {
        let Mappings { inside, outside: owners } = &self.mappings;
        !inside.is_full() && !owners.is_full() && owners.get(&(key.protocol(), outside, port)).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_its_port_as_long_as_it_has_flows() {
        let key = |port: u16, to: u8| {
            FlowKey::new(17, [10, 0, 0, 1].into(), port, [198, 51, 100, to].into(), 53).unwrap()
        };
        let sent = |port: u16, to: u8| {
            FlowKey::new(17, [192, 0, 2, 1].into(), port, [198, 51, 100, to].into(), 53).unwrap().inverse()
        };
        let mut mappings = Mappings::new(Seed([1, 2]));
        mappings.add(&key(5000, 1), &sent(2000, 1));
        assert_eq!(mappings.inside.len(), 0, "without room nothing is remembered");
        mappings.reserve(2);
        for to in 1..4 {
            mappings.add(&key(5000, to), &sent(2000, to));
        }
        // By another port, as of a mapping that is not independent.
        mappings.add(&key(5000, 9), &sent(2009, 9));
        let port = |mappings: &Mappings| {
            let endpoint = ((17, [10, 0, 0, 1].into(), 5000), [192, 0, 2, 1].into());
            mappings.inside.get(&endpoint).map(|mapped| mapped.port)
        };
        assert_eq!((port(&mappings), mappings.outside.len()), (Some(2000), 2));
        mappings.take(&key(5000, 9), &sent(2009, 9));
        for to in 1..4 {
            assert_eq!(port(&mappings), Some(2000));
            mappings.take(&key(5000, to), &sent(2000, to));
        }
        assert_eq!((mappings.inside.len(), mappings.outside.len()), (0, 0));
        // Nothing is translated, or nothing has a port.
        mappings.add(&key(5000, 1), &key(5000, 1).inverse());
        assert_eq!(mappings.inside.len(), 0);
    }
}
