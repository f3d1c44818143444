//! Addresses that stand for each other one by one: 1:1 NAT and prefix translation.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::model::AddressRange;
use crate::types::Ipv6Net;

/// An inside address for each outside one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// In the same order.
    Offset {
        /// Outside.
        external: AddressRange,
        /// Inside, as many.
        internal: AddressRange,
    },
    /// By prefix, such that no checksum changes (RFC 6296).
    Prefix {
        /// Outside.
        external: Ipv6Net,
        /// Inside, of the same length.
        internal: Ipv6Net,
    },
}

impl Mapping {
    /// Why an address of the prefix has no counterpart, when it is not among the usual ones: it names no host. Otherwise
    /// nothing is left in it to make up for the difference of the prefixes.
    pub fn names_nobody(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Mapping::Prefix { external, .. }, IpAddr::V6(address)) => has_no_host(address, external),
            (Mapping::Prefix { .. } | Mapping::Offset { .. }, IpAddr::V4(_) | IpAddr::V6(_)) => false,
        }
    }

    /// The inside address of an outside one.
    pub fn inward(&self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Mapping::Offset { external, internal }, _) => shift(address, *external, *internal),
            (Mapping::Prefix { external, internal }, IpAddr::V6(address)) => {
                translate(address, external, internal).map(IpAddr::V6)
            }
            (Mapping::Prefix { .. }, IpAddr::V4(_)) => None,
        }
    }

    /// The outside address of an inside one.
    pub fn outward(&self, address: IpAddr) -> Option<IpAddr> {
        let (Mapping::Offset { .. } | Mapping::Prefix { .. }) = self;
        self.turned().inward(address)
    }

    const fn turned(&self) -> Mapping {
        match *self {
            Mapping::Offset { external, internal } => {
                Mapping::Offset { external: internal, internal: external }
            }
            Mapping::Prefix { external, internal } => {
                Mapping::Prefix { external: internal, internal: external }
            }
        }
    }
}

fn shift(address: IpAddr, from: AddressRange, to: AddressRange) -> Option<IpAddr> {
    from.contains(address).then(|| {
        let offset = AddressRange::new(from.first(), address).map_or(0, AddressRange::span);
        to.nth(offset)
    })
}

/// RFC 6296 sections 3.4 and 3.5: another prefix, and one word of the rest adjusted by the difference of the prefixes'
/// sums: the subnet's word for prefixes up to /48, else the first word of the interface identifier that is not all
/// ones. `None` when the address is not in the prefix, has no such word, or, where its interface identifier takes part,
/// names no host there.
fn translate(address: Ipv6Addr, from: &Ipv6Net, to: &Ipv6Net) -> Option<Ipv6Addr> {
    if !from.contains(&address) || has_no_host(address, from) {
        return None;
    }
    let mask = u128::from(to.netmask());
    let moved = Ipv6Addr::from(u128::from(to.network()) & mask | u128::from(address) & !mask);
    let mut words = moved.segments();
    let at = match from.prefix_len() {
        0..=48 => Some(3).filter(|at| words[*at] != 0xffff),
        _ => (4..8).find(|at| words[*at] != 0xffff),
    }?;
    let adjustment = subtract(sum(from), sum(to));
    let adjusted = add(words[at], adjustment);
    words[at] = if adjusted == 0xffff { 0 } else { adjusted };
    Some(Ipv6Addr::from(words))
}

/// RFC 6296 section 3.5: an interface identifier of zero.
fn has_no_host(address: Ipv6Addr, prefix: &Ipv6Net) -> bool {
    prefix.prefix_len() > 48 && u128::from(address) as u64 == 0
}

fn sum(prefix: &Ipv6Net) -> u16 {
    prefix.network().segments().into_iter().fold(0, add)
}

/// One's complement.
const fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + carry as u16
}

const fn subtract(a: u16, b: u16) -> u16 {
    add(a, !b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mapping(internal: &str, external: &str) -> Mapping {
        Mapping::Prefix { internal: internal.parse().unwrap(), external: external.parse().unwrap() }
    }

    /// The example of RFC 6296 section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let npt = mapping("fd01:203:405::/48", "2001:db8:1::/48");
        let (inside, outside) = ("fd01:203:405:1::1234", "2001:db8:1:d550::1234");
        assert_eq!(npt.outward(inside.parse().unwrap()).unwrap().to_string(), outside);
        assert_eq!(npt.inward(outside.parse().unwrap()).unwrap().to_string(), inside);
        assert_eq!(npt.outward("fd01:203:406::1".parse().unwrap()), None);
        assert_eq!(
            npt.outward("fd01:203:405:ffff::1".parse().unwrap()),
            None,
            "section 3.4: cannot be mapped"
        );
    }

    #[test]
    fn an_address_that_names_no_host_has_no_counterpart() {
        let npt = mapping("fd01:203:405:1::/64", "2001:db8:1:2::/64");
        let subnet: IpAddr = "fd01:203:405:1::".parse().unwrap();
        assert!(npt.outward(subnet).is_none() && npt.names_nobody(subnet));
        assert!(npt.outward("fd01:203:405:1::1".parse().unwrap()).is_some());
        let full: IpAddr = "fd01:203:405:1:ffff:ffff:ffff:ffff".parse().unwrap();
        assert!(npt.outward(full).is_none() && !npt.names_nobody(full));
        // Of a shorter prefix the word of the subnet is adjusted, whatever the host.
        let wide = mapping("fd01:203:405::/48", "2001:db8:1::/48");
        assert!(wide.outward("fd01:203:405:1::".parse().unwrap()).is_some());
    }

    #[test]
    fn one_to_one_keeps_the_order() {
        let whole = Mapping::Offset {
            external: "203.0.113.16-203.0.113.31".parse().unwrap(),
            internal: "10.0.0.0-10.0.0.15".parse().unwrap(),
        };
        assert_eq!(whole.inward("203.0.113.20".parse().unwrap()).unwrap().to_string(), "10.0.0.4");
        assert_eq!(whole.outward("10.0.0.15".parse().unwrap()).unwrap().to_string(), "203.0.113.31");
        assert_eq!(whole.outward("10.0.0.16".parse().unwrap()), None);
    }

    proptest! {
        /// There and back again, and no checksum notices.
        #[test]
        fn prefixes_are_exchanged_neutrally(
            bits in any::<u128>(), inside in any::<u128>(), outside in any::<u128>(), length in 16u8..=64,
        ) {
            let net = |bits: u128| Ipv6Net::new(bits.into(), length).unwrap().trunc();
            let (internal, external) = (net(inside), net(outside));
            let npt = Mapping::Prefix { internal, external };
            let host = u128::from(internal.hostmask());
            let address = Ipv6Addr::from(u128::from(internal.network()) | bits & host);
            if let Some(IpAddr::V6(moved)) = npt.outward(address.into()) {
                prop_assert!(external.contains(&moved));
                let total = |address: Ipv6Addr| address.segments().into_iter().fold(0, add) % 0xffff;
                prop_assert_eq!(total(moved), total(address));
                // All ones and zero are the same number; coming back yields zero.
                if let Some(IpAddr::V6(back)) = npt.inward(moved.into()) {
                    let same = back.segments().into_iter().zip(address.segments())
                        .all(|(a, b)| a == b || (a == 0 && b == 0xffff));
                    prop_assert!(same, "{address} {moved} {back}");
                }
            }
        }
    }
}
