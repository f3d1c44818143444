//! What two tables must have in common, mixed down to a number.
//!
//! A digest covers of each flow its identity (both keys, so its translation too), its interfaces, its rules and its
//! state class: exactly what is told as soon as it changes. Counters, times and windows are told late and are not in
//! it, nor is what belongs to one node alone. A handshake that the router made counts with its shift. A flow has the name of its slot on the node that tells.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::index::Slot;
use super::record::{Common, Ends};
use super::slab::Store;
use super::timer::Class;
use super::witness::Witnesses;
use crate::types::InterfaceId;
use crate::wire::pair::digest::{Digest, mix};

/// Under which single flows are mixed when a node names them by the other's slots.
pub(super) const KNOWN_KEY: u64 = 0;

/// The addresses and ports of one key.
pub(super) trait Mixed {
    /// Mixes them in.
    fn mix_into(&self, so_far: u64) -> u64;
}

fn ports(src: u16, dst: u16) -> u64 {
    u64::from(src) << 16 | u64::from(dst)
}

impl Mixed for Ends<Ipv4Addr> {
    #[inline]
    fn mix_into(&self, so_far: u64) -> u64 {
        let Ends { src, dst, src_port, dst_port } = self;
        mix(
            so_far,
            u64::from(u32::from(*src)) << 32 | u64::from(u32::from(*dst)),
            ports(*src_port, *dst_port),
        )
    }
}

impl Mixed for Ends<Ipv6Addr> {
    #[inline]
    fn mix_into(&self, so_far: u64) -> u64 {
        let Ends { src, dst, src_port, dst_port } = self;
        let (src, dst) = (u128::from(*src), u128::from(*dst));
        let addresses = mix(mix(so_far, src as u64, (src >> 64) as u64), dst as u64, (dst >> 64) as u64);
        mix(addresses, ports(*src_port, *dst_port), 6)
    }
}

/// What a class is called between nodes, whatever its place in this release.
const fn code(class: Class) -> u64 {
    match class {
        Class::Vacant => 0,
        Class::TcpFirst => 1,
        Class::TcpOpening => 2,
        Class::TcpEstablished => 3,
        Class::TcpClosing => 4,
        Class::TcpFinWait => 5,
        Class::TcpClosed => 6,
        Class::UdpFirst => 7,
        Class::UdpOneWay => 8,
        Class::UdpSingle => 9,
        Class::UdpMultiple => 10,
        Class::IcmpFirst => 11,
        Class::IcmpAnswered => 12,
        Class::OtherFirst => 13,
        Class::OtherOneWay => 14,
        Class::OtherSingle => 15,
        Class::OtherMultiple => 16,
    }
}

/// The flow of a slot under a key and a name, when it is one of the pair's.
#[inline]
pub(super) fn mixed(store: &Store, witnesses: &Witnesses, key: u64, name: u32, slot: Slot) -> Option<u64> {
    let common = store.common(slot);
    if !common.is_shared() {
        return None;
    }
    let Common { protocol, class, interfaces: [InterfaceId(a), InterfaceId(b)], .. } = common;
    let [rule_in, rule_out] = witnesses.get(common.witness()).map(|pass| u64::from(pass.rule().0));
    let state = code(*class) << 8 | u64::from(common.progress());
    let place = u64::from(*a) << 8 | u64::from(*b);
    let so_far = store.mix_ends(slot, key);
    let so_far =
        mix(so_far, rule_in << 32 | rule_out, u64::from(name) << 32 | u64::from(*protocol) << 16 | state);
    let mixed = mix(so_far, place, key);
    // Few flows have one: for the others it looks as it always did.
    let proxied = store.proxy(slot).map(|proxy| u64::from(proxy.number) << 1 | u64::from(proxy.waits));
    Some(proxied.map_or(mixed, |proxied| mix(mixed, proxied, key)))
}

/// The flows of a range of this table's own slots.
pub(super) fn of_range(store: &Store, witnesses: &Witnesses, key: u64, first: u32, last: u32) -> Digest {
    let mut digest = Digest::new(first, last, key);
    for name in first..=last {
        if let Some(mixed) = store.slot(name).and_then(|slot| mixed(store, witnesses, key, name, slot)) {
            digest.add(mixed);
        }
    }
    digest
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
