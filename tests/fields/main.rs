//! Every configuration field changes something: for each, a packet (or a row) that differs when the field does.
//!
//! Fields of rules are tested beside the rules; here stands what only a whole router shows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod defence;
mod explain;
mod gateways;
mod names;
mod nat;
mod pair;
mod policy;
mod rig;
mod schedules;
mod shown;
mod states;
mod timers;

use std::time::Duration;

use koi::wire::{Drop, Transport, tcp_flags};
use rig::{Rig, STATION, Sent, syn, tcp, udp};

const WAN: u8 = 0;
const LAN: u8 = 1;

/// A small document; `with` edits its text.
fn document(with: &[(&str, &str)]) -> String {
    let mut text = String::from(
        r#"
schema = 1
revision = 1
[system]
hostname = "koi"
state_limit = 10000
[system.web]
port = 443
[system.timeouts]
udp_first = 60
[[node]]
name = "alpha"
[[node.port]]
name = "wan"
tap = "koi-wan"
[[node.port]]
name = "lan"
tap = "koi-lan"
[[node.interface]]
name = "wan"
addresses = ["198.51.100.2/24", "2001:db8:1::2/64"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24", "2001:db8:10::1/64"]
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
[[gateway]]
name = "GW"
interface = "wan"
address = "198.51.100.1"
default = true
monitor_disable = true
[[gateway]]
name = "GW6"
interface = "wan"
address = "2001:db8:1::1"
default = true
monitor_disable = true
[[rule]]
id = 1000001
interface = "lan"
action = "pass"
[[rule]]
id = 1000002
interface = "wan"
action = "pass"
protocol = "udp"
destination_port = "7000"
"#,
    );
    for (from, to) in with {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

fn rig(with: &[(&str, &str)]) -> Rig {
    Rig::new(&document(with))
}

const CLIENT: &str = "192.168.1.10";
const FAR: &str = "8.8.8.8";

/// What goes out of WAN when the client asks a far server.
fn ask(rig: &mut Rig) -> Vec<koi::wire::Packet> {
    let sent = rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
    sent.iter().filter(|sent| sent.port == WAN).filter_map(rig::Sent::ip).collect()
}

#[test]
fn outbound_mode_decides_the_source_address() {
    let sent = ask(&mut rig(&[]));
    assert_eq!(sent[0].layout.key.src().to_string(), "198.51.100.2");
    let sent = ask(&mut rig(&[("[[rule]]", "[outbound]\nmode = \"disabled\"\n[[rule]]")]));
    assert_eq!(sent[0].layout.key.src().to_string(), CLIENT);
}

#[test]
fn node_address_is_the_one_that_nat_uses() {
    let mut rig = rig(&[("198.51.100.2/24", "198.51.100.77/24")]);
    assert_eq!(ask(&mut rig)[0].layout.key.src().to_string(), "198.51.100.77");
}

#[test]
fn default_gateway_and_static_route_decide_the_way() {
    let routed = |destination: &str| {
        let route = format!("[[route]]\ndestination = \"{destination}\"\ngateway = \"GW\"\n[[rule]]");
        ask(&mut rig(&[("default = true", "default = false"), ("[[rule]]", &route)])).len()
    };
    assert_eq!(routed("9.0.0.0/8"), 0, "no default gateway, and the route leads elsewhere");
    assert_eq!(routed("8.0.0.0/8"), 1);
    assert_eq!(ask(&mut rig(&[])).len(), 1, "the default gateway");
}

/// Where a packet to far away leaves, and the neighbour that it is handed to.
fn way_out(edits: &[(&str, &str)]) -> (u8, String) {
    let mut rig = rig(edits);
    let sent = rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
    let neighbours = rig.shard.snapshot(rig.now).neighbours;
    let asked = neighbours.iter().find(|row| row.address.is_ipv4() && row.address.to_string() != CLIENT);
    (sent[0].port, asked.unwrap().address.to_string())
}

#[test]
fn gateway_address_and_interface_are_the_next_hop() {
    assert_eq!(way_out(&[]), (WAN, "198.51.100.1".into()));
    let address = ("address = \"198.51.100.1\"", "address = \"198.51.100.9\"");
    assert_eq!(way_out(&[address]), (WAN, "198.51.100.9".into()));
    let interface = ("interface = \"wan\"", "interface = \"lan\"");
    let address = ("address = \"198.51.100.1\"", "address = \"192.168.1.9\"");
    assert_eq!(way_out(&[interface, address]), (LAN, "192.168.1.9".into()));
}

#[test]
fn port_is_where_an_interface_is() {
    let swapped = [
        ("zone = \"wan\"\nport = \"wan\"", "zone = \"wan\"\nport = \"lan\""),
        ("zone = \"lan\"\nport = \"lan\"", "zone = \"lan\"\nport = \"wan\""),
    ];
    let mut rig = rig(&swapped);
    let sent = rig.packet(WAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
    assert_eq!(sent.iter().map(|sent| sent.port).collect::<Vec<_>>(), [LAN]);
}

#[test]
fn mac_is_the_source_of_frames() {
    let mac = "02:00:00:00:77:01";
    let mut rig =
        rig(&[("name = \"wan\"\naddresses", "name = \"wan\"\nmac = \"02:00:00:00:77:01\"\naddresses")]);
    let sent = ask(&mut rig);
    assert_eq!(sent[0].src_mac().to_string(), mac);
    assert_eq!(sent[0].dst_mac(), STATION);
}

#[test]
fn vlan_tags_what_leaves_and_only_that_tag_comes_in() {
    let mut rig = rig(&[("zone = \"wan\"\nport = \"wan\"", "zone = \"wan\"\nport = \"wan\"\nvlan = 42")]);
    let sent = rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
    let tagged = sent.iter().find(|sent| sent.port == WAN).unwrap();
    assert_eq!(tagged.bytes[12..18], [0x81, 0, 0, 42, 8, 0]);
    rig.packet(WAN, udp((FAR, 53), ("198.51.100.2", 7000), b"x"));
    assert_eq!(rig.shard.drops_of(Drop::UnknownVlan), 1);
}

#[test]
fn mtu_bounds_what_leaves() {
    let big = udp((CLIENT, 5000), (FAR, 53), &[0; 1400]);
    let pieces = |rig: &mut Rig| rig.packet(LAN, big.clone()).iter().filter(|sent| sent.port == WAN).count();
    assert_eq!(pieces(&mut rig(&[])), 1);
    // etherparse sets DF: too big is told, not sent.
    let mut rig = rig(&[("zone = \"wan\"\nport = \"wan\"", "zone = \"wan\"\nport = \"wan\"\nmtu = 1300")]);
    let sent = rig.packet(LAN, big.clone());
    assert_eq!((sent.len(), sent[0].port), (1, LAN));
    let error = sent[0].ip().unwrap();
    assert_eq!(error.layout.transport, Transport::IcmpError { kind: 3, code: 4 });
    assert_eq!(error.transport()[6..8], 1300u16.to_be_bytes());
}

#[test]
fn mss_is_clamped_to_the_field_less_the_headers() {
    let mss = |rig: &mut Rig| {
        let sent = rig.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460));
        let packet = sent.iter().find(|sent| sent.port == WAN).unwrap().ip().unwrap();
        assert!(packet.transport_checksum_ok());
        let option = &packet.transport()[20..24];
        u16::from_be_bytes([option[2], option[3]])
    };
    assert_eq!(mss(&mut rig(&[])), 1460);
    let mut clamped =
        rig(&[("zone = \"wan\"\nport = \"wan\"", "zone = \"wan\"\nport = \"wan\"\nmss = 1400")]);
    assert_eq!(mss(&mut clamped), 1360);
}

#[test]
fn block_private_and_block_bogons_close_wan_to_such_sources() {
    for (field, source) in [("block_private", "10.9.9.9"), ("block_bogons", "192.0.2.9")] {
        let knock = udp((source, 9), ("198.51.100.2", 7000), b"x");
        let mut open = rig(&[]);
        open.packet(WAN, knock.clone());
        assert_eq!(open.shard.states(), 1, "{field} off");
        let field = format!("zone = \"wan\"\nport = \"wan\"\n{field} = true");
        let mut closed = rig(&[("zone = \"wan\"\nport = \"wan\"", &field)]);
        closed.packet(WAN, knock);
        assert_eq!(closed.shard.states(), 0, "{field}");
    }
}

#[test]
fn router_advertisements_are_sent_where_asked_for() {
    let count = |mut rig: Rig| {
        let sent = rig.wait(Duration::from_secs(1300));
        sent.iter()
            .filter(|sent| sent.port == LAN)
            .filter_map(rig::Sent::ip)
            .filter(|packet| packet.layout.transport == Transport::IcmpOther { kind: 134 })
            .count()
    };
    assert_eq!(count(rig(&[])), 0);
    assert!(
        count(rig(&[(
            "zone = \"lan\"\nport = \"lan\"",
            "zone = \"lan\"\nport = \"lan\"\nrouter_advertisements = true"
        )])) > 1
    );
}

#[test]
fn anti_lockout_and_the_web_port_keep_the_page_reachable() {
    let reached = |edits: &[(&str, &str)], port: u16| {
        let mut edits = edits.to_vec();
        edits.push(("action = \"pass\"", "action = \"block\""));
        let mut rig = rig(&edits);
        rig.packet(LAN, syn((CLIENT, 5000), ("192.168.1.1", port), 1460));
        rig.shard.states() == 1
    };
    assert!(reached(&[], 443));
    assert!(!reached(&[], 444));
    assert!(reached(&[("port = 443", "port = 444")], 444));
    // Somebody must be let in somewhere: from outside.
    let elsewhere =
        ("protocol = \"udp\"\ndestination_port = \"7000\"", "protocol = \"tcp\"\ndestination_port = \"443\"");
    assert!(!reached(&[("[system.web]", "anti_lockout = false\n[system.web]"), elsewhere], 443));
}

#[test]
fn a_connection_to_the_pages_that_this_node_does_not_know_is_reset_and_no_other() {
    let answers = |edits: &[(&str, &str)], from: &str, port: u16| {
        let mut rig = rig(edits);
        let sent = rig.packet(LAN, tcp((from, 5000), ("192.168.1.1", port), "A", 1000, 2000));
        let packets = sent.iter().filter_map(Sent::ip);
        let resets = packets.filter(|packet| {
            matches!(packet.layout.transport, Transport::Tcp { flags, .. } if flags & tcp_flags::RST != 0)
        });
        resets.count()
    };
    assert_eq!(answers(&[], CLIENT, 443), 1);
    assert_eq!(answers(&[], CLIENT, 22), 0);
    // Somebody must be let in somewhere: from outside.
    let shut = [
        ("[system.web]", "anti_lockout = false\n[system.web]"),
        ("protocol = \"udp\"\ndestination_port = \"7000\"", "protocol = \"tcp\"\ndestination_port = \"443\""),
        ("action = \"pass\"", "action = \"block\""),
    ];
    assert_eq!(answers(&shut, CLIENT, 443), 0, "nobody may begin one either");
}

#[test]
fn state_limit_bounds_the_table() {
    let mut rig = rig(&[("state_limit = 10000", "state_limit = 1000")]);
    for client in 0..1500 {
        let source = format!("192.168.1.{}", client % 200 + 10);
        rig.packet(LAN, udp((&source, 2000 + client), (FAR, 53), b"x"));
    }
    assert_eq!(rig.shard.states(), 1000);
    let snapshot = rig.shard.snapshot(rig.now);
    assert_eq!(snapshot.states.limit, 1000);
}

#[test]
fn hostname_node_name_and_revision_are_shown() {
    let rig = rig(&[
        ("hostname = \"koi\"", "hostname = \"gate\""),
        ("revision = 1", "revision = 8"),
        ("\"alpha\"", "\"one\""),
    ]);
    let snapshot = rig.shard.snapshot(rig.now);
    assert_eq!((snapshot.hostname.as_str(), snapshot.revision, snapshot.node.as_str()), ("gate", 8, "one"));
}

/// An IPv4 packet of protocol 99.
fn other(from: &str, to: &str) -> Vec<u8> {
    let mut packet = udp((from, 0), (to, 0), b"0123456789");
    packet[9] = 99;
    packet[10..12].fill(0);
    let sum = !koi::wire::checksum::sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}
