//! Virtual addresses: listened for by both nodes, answered for by one, never detected or announced.

use super::*;
use crate::route::VirtualAddress;

const VIRTUAL: MacAddr = MacAddr([0, 0, 0x5e, 0, 1, 7]);

/// Puts virtual addresses in force; index is their place in the list.
fn apply(bench: &mut Bench, own: &[&str], virtual_ones: &[&str]) {
    let address = |(index, text): (usize, &&str)| VirtualAddress {
        address: ip(text),
        mac: VIRTUAL,
        index: index as u8,
        foreign: false,
    };
    let virtual_addresses = virtual_ones.iter().enumerate().map(address).collect();
    let links = vec![LinkConfig { virtual_addresses, peer: Some(OTHERS), ..link(own) }];
    bench.engine.apply(bench.now, NeighbourConfig { links }, &mut bench.out);
}

#[test]
fn a_virtual_address_is_listened_for_and_nothing_else_is_said() {
    let own = ["192.168.1.2/24", "2001:db8::2/64"];
    let mut bench = Bench::new(&own);
    apply(&mut bench, &own, &["192.168.1.1", "2001:db8::1"]);
    bench.wait(10_000);
    // All routers, CARP, a group for each address of ours and for the virtual one; twice, to be sure.
    assert_eq!(bench.said(), [Said::Report(5), Said::Report(5)]);
    bench.engine.set_answered(0b11);
    bench.wait(100_000);
    assert_eq!(bench.said(), [], "the role announces, not the table");
}

#[test]
fn each_virtual_ip_is_answered_for_by_its_own_bit() {
    let own = ["192.168.1.2/24"];
    let mut bench = Bench::new(&own);
    apply(&mut bench, &own, &["192.168.1.1", "192.168.1.3"]);
    for bits in 0..4u64 {
        bench.engine.set_answered(bits);
        for (index, target) in ["192.168.1.1", "192.168.1.3"].into_iter().enumerate() {
            let mac = bench.engine.answers(LAN, ip(target));
            assert_eq!(mac, (bits >> index & 1 != 0).then_some(VIRTUAL), "{bits:b} {target}");
        }
    }
    assert_eq!(bench.engine.answers(LAN, ip("192.168.1.2")), None, "an own address is no virtual one");
}

#[test]
fn nobody_stands_in_the_table_with_a_virtual_address() {
    let own = ["192.168.1.2/24"];
    let mut bench = Bench::new(&own);
    bench.entry("192.168.1.1");
    apply(&mut bench, &own, &["192.168.1.1"]);
    assert!(bench.engine.rows().iter().all(|row| row.address != ip("192.168.1.1")));
}
