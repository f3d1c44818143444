//! Longest-prefix match.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::types::{InterfaceId, Prefix};

/// The next station on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NextHop {
    /// The interface by which packets leave.
    pub interface: InterfaceId,
    /// The router to send to; the destination itself when absent.
    pub gateway: Option<IpAddr>,
}

/// All routes of both families.
pub struct Fib {
    inet: PrefixMap<Ipv4Net, NextHop>,
    inet6: PrefixMap<Ipv6Net, NextHop>,
}

impl Fib {
    /// A table of these routes. Of two routes to the same network the first wins.
    pub fn new(routes: impl IntoIterator<Item = (Prefix, NextHop)>) -> Self {
        let mut fib = Fib { inet: PrefixMap::new(), inet6: PrefixMap::new() };
        for (prefix, next_hop) in routes {
            match prefix.trunc() {
                Prefix::V4(net) => drop(fib.inet.entry(net).or_insert(next_hop)),
                Prefix::V6(net) => drop(fib.inet6.entry(net).or_insert(next_hop)),
            }
        }
        fib
    }

    /// The next hop towards `destination`.
    pub fn lookup(&self, destination: IpAddr) -> Option<NextHop> {
        match destination {
            IpAddr::V4(v4) => self.inet.get_lpm(&Ipv4Net::from(v4)).map(|(_, hop)| *hop),
            IpAddr::V6(v6) => self.inet6.get_lpm(&Ipv6Net::from(v6)).map(|(_, hop)| *hop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hop(interface: u8) -> NextHop {
        NextHop { interface: InterfaceId(interface), gateway: None }
    }

    proptest! {
        #[test]
        fn equals_the_naive_search(
            nets in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..40),
            probes in proptest::collection::vec(any::<u32>(), 20),
        ) {
            let routes: Vec<(Prefix, NextHop)> = nets
                .iter()
                .enumerate()
                .map(|(index, (address, length))| {
                    (Prefix::new(IpAddr::from(address.to_be_bytes()), *length).unwrap().trunc(), hop(index as u8))
                })
                .collect();
            let fib = Fib::new(routes.clone());
            let near = nets.iter().map(|(address, _)| address ^ 1);
            for probe in probes.into_iter().chain(near) {
                let address = IpAddr::from(probe.to_be_bytes());
                let mut best: Option<(Prefix, NextHop)> = None;
                for (net, hop) in &routes {
                    if net.contains(&address) && best.is_none_or(|(other, _)| net.prefix_len() > other.prefix_len()) {
                        best = Some((*net, *hop));
                    }
                }
                prop_assert_eq!(fib.lookup(address), best.map(|(_, hop)| hop));
            }
        }
    }
}
