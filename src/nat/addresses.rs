//! Addresses that something is translated to, counted through.

use std::net::IpAddr;

use crate::config::model::AddressRange;
use crate::types::Family;

/// Addresses of both families, each in the order in which they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    inet: Box<[AddressRange]>,
    inet6: Box<[AddressRange]>,
}

impl Addresses {
    /// These.
    pub fn new(ranges: impl IntoIterator<Item = AddressRange>) -> Self {
        let (inet, inet6): (Vec<_>, Vec<_>) = ranges.into_iter().partition(|range| range.first().is_ipv4());
        Addresses { inet: inet.into(), inet6: inet6.into() }
    }

    fn of(&self, family: Family) -> &[AddressRange] {
        match family {
            Family::Inet => &self.inet,
            Family::Inet6 => &self.inet6,
        }
    }

    /// How many there are of a family; no more than 2^64 are told apart.
    pub fn count(&self, family: Family) -> u64 {
        let each = self.of(family).iter().map(|range| range.span().saturating_add(1));
        u64::try_from(each.fold(0, u128::saturating_add)).unwrap_or(u64::MAX)
    }

    /// One of them, counting round and round.
    pub fn nth(&self, family: Family, turn: u64) -> Option<IpAddr> {
        let mut left = u128::from(turn.checked_rem(self.count(family))?);
        for range in self.of(family) {
            if left <= range.span() {
                return Some(range.nth(left));
            }
            left -= range.span() + 1;
        }
        None
    }

    /// True when the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.inet.iter().chain(&self.inet6).any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_one_after_the_other_and_round_again() {
        let range = |text: &str| text.parse::<AddressRange>().unwrap();
        let addresses = Addresses::new([
            range("192.0.2.1-192.0.2.2"),
            range("2001:db8::-2001:db8::ffff:ffff:ffff:ffff"),
            range("192.0.2.9-192.0.2.9"),
        ]);
        let turns: Vec<String> =
            (0..4).map(|turn| addresses.nth(Family::Inet, turn).unwrap().to_string()).collect();
        assert_eq!(turns, ["192.0.2.1", "192.0.2.2", "192.0.2.9", "192.0.2.1"]);
        assert_eq!(addresses.nth(Family::Inet6, 16).unwrap().to_string(), "2001:db8::10");
        assert!(addresses.contains("192.0.2.9".parse().unwrap()));
        assert!(!addresses.contains("192.0.2.3".parse().unwrap()));
        assert_eq!(Addresses::default().nth(Family::Inet, 3), None);
    }
}
