//! The pair and its virtual IPs: what a node that leads does, what one that stands by leaves, and what the role is
//! told.

use std::sync::Arc;
use std::time::Duration;

use koi::config;
use koi::node::{Command, Compiled, Offload, Replication, VirtualIp};
use koi::types::{Ceding, Epoch, Instant, MacAddr, Role, Standing};
use koi::wire::Drop;

use crate::rig::{Rig, STATION, Sent, compile, echo, syn, udp};
use crate::{LAN, WAN};

const SYNC: u8 = 2;
/// The station on LAN.
const CLIENT: &str = "192.168.1.50";
const CLIENT6: &str = "2001:db8:10::50";
const FAR: &str = "192.0.2.9";

/// A small pair; `with` edits its text.
fn document(with: &[(&str, &str)]) -> String {
    let mut text = String::from(include_str!("pair.toml"));
    for (from, to) in with {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

const fn standing(role: Role, until: Instant) -> Standing {
    let foreign_until = Instant::from_secs(1_000_000);
    Standing { role, epoch: Epoch(3), until, foreign: 0, foreign_until, cedes: Ceding::No }
}

const ACTIVE: Standing = standing(Role::Active, Instant::from_secs(1_000_000));
const STANDBY: Standing = standing(Role::Standby, Instant::ZERO);

fn rig(standing: Standing, with: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(&document(with));
    rig.shard.set_standing(rig.now, standing);
    rig
}

/// Who has `target`? Asked by a station with `sender`.
fn arp(sender: &str, target: &str) -> Vec<u8> {
    let octets = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
    let body =
        [&[0, 1, 8, 0, 6, 4, 0, 1], &STATION.0[..], &octets(sender), &[0; 6], &octets(target)].concat();
    [&[0xff; 6], &STATION.0[..], &[8, 6], &body].concat()
}

/// The MAC address that an ARP reply tells, with the one that sent it.
fn told(sent: &[Sent]) -> Option<(MacAddr, MacAddr)> {
    let reply = sent.iter().find(|sent| sent.bytes[12..14] == [8, 6] && sent.bytes[21] == 2)?;
    let mac = |at: usize| MacAddr(reply.bytes[at..at + 6].try_into().unwrap());
    Some((mac(22), mac(6)))
}

/// Sources and destinations of the IP packets that left by a port.
fn left(sent: &[Sent], port: u8) -> Vec<(String, String)> {
    let packets = sent.iter().filter(|sent| sent.port == port).filter_map(Sent::ip);
    packets.map(|packet| (packet.layout.key.src().to_string(), packet.layout.key.dst().to_string())).collect()
}

fn virtual_mac(vhid: u8) -> MacAddr {
    MacAddr([0, 0, 0x5e, 0, 1, vhid])
}

fn first(with: &[(&str, &str)]) -> VirtualIp {
    compile(&document(with), 1).virtual_ips[0].clone()
}

/// The document as the other node compiles it.
fn beta(with: &[(&str, &str)]) -> Compiled {
    let valid = config::load(&document(with)).unwrap();
    let node = valid.node(Some("beta")).unwrap();
    Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; 3])
}

#[test]
fn an_active_node_forwards_and_translates_to_the_virtual_ip() {
    let mut rig = rig(ACTIVE, &[]);
    let sent = rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?"));
    assert_eq!(left(&sent, WAN), [("198.51.100.2".to_owned(), FAR.to_owned())]);
    let ours = rig.shard.snapshot(rig.now).interfaces[usize::from(WAN)].mac;
    let frame = sent.iter().find(|sent| sent.port == WAN).unwrap();
    assert_eq!(frame.bytes[6..12], ours.0, "forwarded frames carry the node's own MAC address");
    // What the nodes themselves send by an inside address is not translated.
    let sent = rig.own_packet(udp(("192.168.1.2", 5000), (FAR, 53), b"?"));
    assert_eq!(left(&sent, WAN), [("192.168.1.2".to_owned(), FAR.to_owned())]);
}

#[test]
fn a_standby_forwards_nothing_and_keeps_its_own_addresses() {
    let mut rig = rig(STANDBY, &[]);
    assert!(rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")).is_empty());
    assert_eq!((rig.shard.drops_of(Drop::Standby), rig.shard.states()), (1, 0));
    assert!(rig.packet(LAN, echo(CLIENT, "192.168.1.1", 1)).is_empty());
    assert_eq!(rig.shard.drops_of(Drop::Standby), 2);
    let sent = rig.packet(LAN, echo(CLIENT, "192.168.1.2", 1));
    assert_eq!(left(&sent, LAN), [("192.168.1.2".to_owned(), CLIENT.to_owned())]);
    let sent = rig.packet(LAN, echo(CLIENT6, "2001:db8:10::2", 1));
    assert_eq!(left(&sent, LAN), [("2001:db8:10::2".to_owned(), CLIENT6.to_owned())]);
    let sent = rig.own_packet(udp(("198.51.100.3", 5000), (FAR, 53), b"?"));
    assert_eq!(left(&sent, WAN), [("198.51.100.3".to_owned(), FAR.to_owned())]);
    assert!(
        rig.own_packet(udp(("192.168.1.1", 5000), (CLIENT, 53), b"?")).is_empty(),
        "not from a virtual IP"
    );
    assert_eq!(rig.shard.drops_of(Drop::Standby), 3);
}

#[test]
fn a_node_of_a_pair_stands_by_until_it_is_told_otherwise() {
    let mut rig = Rig::new(&document(&[]));
    assert!(rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")).is_empty());
    assert_eq!(rig.shard.drops_of(Drop::Standby), 1);
}

/// The batch after the end of the lease does not leave, though the flow is known and nobody said a word. It waits for a
/// while, should the node only have stood still.
#[test]
fn the_end_of_a_lease_is_the_end_of_forwarding() {
    let lease = Duration::from_millis(25);
    let mut rig = rig(STANDBY, &[]);
    rig.shard.set_standing(rig.now, standing(Role::Active, rig.now + lease));
    assert_eq!(left(&rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")), WAN).len(), 1);
    rig.now += lease - Duration::from_nanos(1);
    assert_eq!(left(&rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")), WAN).len(), 1);
    assert!(told(&rig.frame(LAN, &arp(CLIENT, "192.168.1.1"))).is_some());
    rig.now += Duration::from_nanos(1);
    assert!(rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")).is_empty());
    assert!(rig.frame(LAN, &arp(CLIENT, "192.168.1.1")).is_empty());
    assert!(left(&rig.wait(Duration::from_millis(60)), WAN).is_empty());
    // The packet, and the question.
    assert_eq!((rig.shard.drops_of(Drop::Standby), rig.shard.states()), (2, 1));
    rig.shard.set_standing(rig.now, standing(Role::Active, rig.now + lease));
    assert_eq!(left(&rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?")), WAN).len(), 1);
}

/// A packet that waits for its next hop's MAC address does not outlive the lease either.
#[test]
fn what_waited_for_its_next_hop_does_not_outlive_the_lease() {
    let mut rig = rig(ACTIVE, &[]);
    let silent = udp((CLIENT, 5000), ("198.51.100.77", 53), b"?");
    let frame = [&rig.shard.snapshot(rig.now).interfaces[1].mac.0[..], &STATION.0, &[8, 0], &silent].concat();
    let asked = rig.frame_unanswered(LAN, &frame);
    assert_eq!(asked.len(), 1, "a question for the next hop");
    rig.shard.set_standing(rig.now, STANDBY);
    let answer = arp("198.51.100.77", "198.51.100.3");
    let mut answer = answer;
    answer[21] = 2;
    assert!(left(&rig.frame(WAN, &answer), WAN).is_empty());
    assert_eq!(rig.shard.drops_of(Drop::Standby), 1);
}

#[test]
fn a_virtual_mac_address_is_for_whoever_leads() {
    let to_virtual = |rig: &mut Rig| {
        let ip = udp((CLIENT, 5000), (FAR, 53), b"?");
        rig.frame(LAN, &[&virtual_mac(2).0[..], &STATION.0, &[8, 0], &ip].concat())
    };
    assert_eq!(left(&to_virtual(&mut rig(ACTIVE, &[])), WAN).len(), 1);
    let mut standby = rig(STANDBY, &[]);
    assert!(to_virtual(&mut standby).is_empty());
    assert_eq!((standby.shard.drops_of(Drop::Standby), standby.shard.drops_of(Drop::NotForUs)), (1, 0));
    let mut other = rig(ACTIVE, &[]);
    let ip = udp((CLIENT, 5000), (FAR, 53), b"?");
    other.frame(LAN, &[&virtual_mac(1).0[..], &STATION.0, &[8, 0], &ip].concat());
    assert_eq!(other.shard.drops_of(Drop::NotForUs), 1, "WAN's virtual MAC address is not LAN's");
}

#[test]
fn pair_virtual_ips_are_answered_for_by_whoever_leads() {
    let asked = |standing: Standing, port: u8, target: &str, with: &[(&str, &str)]| {
        told(&rig(standing, with).frame(port, &arp("0.0.0.0", target)))
    };
    let lan = compile(&document(&[]), 1).links[1].mac;
    assert_eq!(asked(ACTIVE, LAN, "192.168.1.1", &[]), Some((virtual_mac(2), lan)), "addresses");
    assert_eq!(asked(STANDBY, LAN, "192.168.1.1", &[]), None);
    assert_eq!(asked(STANDBY, LAN, "192.168.1.2", &[]), Some((lan, lan)), "its own address");
    let other = [("\"192.168.1.1/24\"", "\"192.168.1.9/24\"")];
    assert_eq!(asked(ACTIVE, LAN, "192.168.1.1", &other), None);
    assert_eq!(asked(ACTIVE, WAN, "192.168.1.1", &[]), None, "interface");
    assert_eq!(asked(ACTIVE, LAN, "192.168.1.1", &[("vhid = 2", "vhid = 77")]), Some((virtual_mac(77), lan)));
    let own = [("vhid = 2", "vhid = 2\nmac = \"own\"")];
    assert_eq!(asked(ACTIVE, LAN, "192.168.1.1", &own), Some((lan, lan)), "mac");
    // One that is shared with a foreign speaker has a bit of its own, whoever leads the pair.
    let foreign = [("vhid = 9", "vhid = 9\nforeign = true")];
    let late = Standing { foreign_until: Instant::ZERO, ..ACTIVE };
    for (base, bits, answered) in [
        (ACTIVE, 0, false),
        (ACTIVE, 0b100, true),
        (STANDBY, 0b100, true),
        (STANDBY, 0b011, false),
        (late, 0b100, false),
    ] {
        let found = asked(Standing { foreign: bits, ..base }, LAN, "192.168.1.200", &foreign);
        assert_eq!(found, answered.then_some((virtual_mac(9), lan)), "{base:?} {bits:b}");
    }
}

#[test]
fn a_neighbour_solicitation_for_a_virtual_ip_is_answered_with_its_mac_address() {
    for (standing, expected) in [(ACTIVE, Some(virtual_mac(2))), (STANDBY, None)] {
        for target in ["2001:db8:10::1", "fe80::1:1"] {
            let mut rig = rig(standing, &[]);
            let sent = rig.frame(LAN, &solicitation(CLIENT6, target));
            let answer = sent.iter().find(|sent| sent.bytes.len() >= 86 && sent.bytes[54] == 136);
            let told = answer.map(|sent| MacAddr(sent.bytes[80..86].try_into().unwrap()));
            assert_eq!(told, expected, "{target}");
            if let Some(answer) = answer {
                assert_eq!(answer.bytes[6..12], compile(&document(&[]), 1).links[1].mac.0);
            }
        }
    }
}

/// Our peer's announcements are no conflict, nor is a foreign speaker's; anybody else's is told once in a while.
#[test]
fn who_announces_a_virtual_ip_is_told_unless_it_is_the_peer() {
    let peer = beta(&[]).links[1].mac;
    for (sender, foreign, expected) in
        [(STATION, false, 1), (virtual_mac(2), false, 0), (peer, false, 0), (STATION, true, 0)]
    {
        let edit = [("vhid = 2", "vhid = 2\nforeign = true")];
        let mut rig = match foreign {
            false => rig(ACTIVE, &[]),
            true => {
                rig(Standing { foreign: 0b10, ..ACTIVE }, &[edit[0], ("router_advertisements = true", "")])
            }
        };
        rig.shard.take_notices().for_each(drop);
        for _ in 0..3 {
            let mut frame = arp("192.168.1.1", "192.168.1.1");
            frame[6..12].copy_from_slice(&sender.0);
            frame[22..28].copy_from_slice(&sender.0);
            assert!(rig.frame(LAN, &frame).is_empty(), "nobody is answered");
        }
        let notices: Vec<_> = rig.shard.take_notices().filter(|notice| notice.wrong).collect();
        assert_eq!(notices.len(), expected, "{sender} {foreign}: {notices:?}");
    }
}

#[test]
fn router_advertisements_come_from_the_virtual_address_of_whoever_leads() {
    let advertisements = |sent: &[Sent]| -> Vec<(String, MacAddr, u16)> {
        let ra = sent.iter().filter(|sent| sent.port == LAN && sent.bytes.get(54) == Some(&134));
        ra.map(|sent| {
            let source: [u8; 16] = sent.bytes[22..38].try_into().unwrap();
            let mac = MacAddr(sent.bytes[72..78].try_into().unwrap());
            let lifetime = u16::from_be_bytes([sent.bytes[60], sent.bytes[61]]);
            (std::net::Ipv6Addr::from(source).to_string(), mac, lifetime)
        })
        .collect()
    };
    let mut rig = rig(STANDBY, &[]);
    assert!(advertisements(&rig.wait(Duration::from_secs(700))).is_empty());
    rig.shard.set_standing(rig.now, ACTIVE);
    let sent = advertisements(&rig.wait(Duration::from_millis(1)));
    assert_eq!(sent, [("fe80::1:1".to_owned(), virtual_mac(2), 1800)], "at once");
    rig.shard.set_standing(rig.now, STANDBY);
    assert!(advertisements(&rig.wait(Duration::from_secs(700))).is_empty(), "no farewell");
    rig.shard.set_standing(rig.now, ACTIVE);
    assert!(advertisements(&rig.stop()).is_empty(), "the peer goes on");
}

/// Datagrams of the peer and of CARP are the role's; everything else goes its usual way.
#[test]
fn pair_sync_is_the_port_whose_datagrams_the_role_gets() {
    let compiled = compile(&document(&[]), 1);
    let own = compiled.links[1].link_local().unwrap().to_string();
    let mut rig = rig(STANDBY, &[]);
    let datagram = udp(("fe80::7", 3640), (&own, 3640), b"heartbeat");
    rig.packet(LAN, datagram.clone());
    assert_eq!(rig.control().iter().map(|(id, frame)| (*id, frame.len())).collect::<Vec<_>>(), [(LAN, 71)]);
    rig.packet(LAN, udp(("fe80::7", 3640), (&own, 3641), b"heartbeat"));
    rig.packet(LAN, udp((CLIENT6, 3640), ("2001:db8:10::2", 3640), b"heartbeat"));
    assert!(rig.control().is_empty(), "another port, another address");
    rig.packet(SYNC, datagram.clone());
    assert_eq!(rig.control().len(), 1);
    rig.packet(SYNC, udp((CLIENT, 3640), (FAR, 3640), b"heartbeat"));
    assert!(rig.control().is_empty());
    assert_eq!(rig.shard.drops_of(Drop::UnknownVlan), 1, "the cable carries nothing else");
    let mut renamed = document(&[("sync = \"sync\"", "sync = \"cable\"")]);
    renamed = renamed.replace("name = \"sync\"", "name = \"cable\"");
    assert_eq!(compile(&renamed, 1).pair.unwrap().sync.0, SYNC);

    let carp = |to: [u8; 4], mac: [u8; 6]| {
        let mut ip = vec![0x45, 0x10, 0, 56, 0, 0, 0x40, 0, 255, 112, 0, 0, 192, 168, 1, 3];
        ip.extend_from_slice(&to);
        let sum = !koi::wire::checksum::sum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend_from_slice(&[0x21; 36]);
        [&mac[..], &STATION.0, &[8, 0], &ip].concat()
    };
    let group = [1, 0, 0x5e, 0, 0, 18];
    rig.frame(LAN, &carp([224, 0, 0, 18], group));
    rig.frame(LAN, &carp([192, 168, 1, 2], compiled.links[1].mac.0));
    assert_eq!(rig.control().len(), 2, "to the group, and to this node alone");
    for _ in 0..65 {
        rig.frame(LAN, &carp([224, 0, 0, 18], group));
    }
    assert_eq!((rig.control().len(), rig.shard.drops_of(Drop::ControlQueue)), (64, 1));
    rig.shard.set_standing(rig.now, ACTIVE);
    rig.frame(LAN, &carp([192, 0, 2, 9], compiled.links[1].mac.0));
    assert!(rig.control().is_empty(), "protocol 112 of others is forwarded or not, like any other");
}

#[test]
fn the_rules_tell_of_carp_and_the_pair() {
    let compiled = compile(&document(&[]), 1);
    let owner = |path: &str| {
        let setting =
            |rule: &&koi::rules::RuleInfo| rule.automatic.and_then(|setting| setting.path()) == Some(path);
        compiled.ruleset.rules().find(setting).map(|rule| (rule.text.clone(), rule.interfaces.len())).unwrap()
    };
    assert!(owner("virtual_ip").0.contains("proto 112"));
    assert!(owner("pair").0.contains("port 3640"));
    assert_eq!((owner("virtual_ip").1, owner("pair").1), (2, 2));
}

#[test]
fn the_page_is_kept_reachable_at_virtual_ips_too() {
    let edits = [("action = \"pass\"", "action = \"block\"")];
    let mut rig = rig(ACTIVE, &edits);
    rig.packet(LAN, syn((CLIENT, 5000), ("192.168.1.1", 443), 1460));
    rig.packet(LAN, syn((CLIENT, 5001), ("192.168.1.2", 443), 1460));
    assert_eq!(rig.shard.states(), 2);
    rig.packet(WAN, syn(("198.51.100.9", 5001), ("198.51.100.2", 443), 1460));
    assert_eq!(rig.shard.states(), 2);
}

#[test]
fn pair_description_and_state_of_a_virtual_ip_are_shown() {
    let shown = |standing: Standing, with: &[(&str, &str)]| {
        let rig = rig(standing, with);
        let snapshot = rig.shard.snapshot(rig.now);
        let row = snapshot.interfaces[1].virtual_ips[0].clone();
        (snapshot.role, snapshot.epoch, row.state, row.description, row.addresses.len())
    };
    let described = [("vhid = 2", "vhid = 2\ndescription = \"Gateway\"")];
    assert_eq!(shown(ACTIVE, &described), (Role::Active, Epoch(3), "MASTER".into(), "Gateway".into(), 3));
    assert_eq!(shown(STANDBY, &[]), (Role::Standby, Epoch(3), "BACKUP".into(), String::new(), 3));
}

/// What advertisements are made of, as the role gets it.
#[test]
fn pair_carp_numbers_are_what_the_role_advertises() {
    assert_eq!((first(&[]).advbase, first(&[]).advskew, first(&[]).password.reveal()), (1, 0, "sesame"));
    assert_eq!(first(&[("vhid = 1", "vhid = 1\nadvbase = 3")]).advbase, 3);
    let skewed = [("vhid = 1", "vhid = 1\nadvskew = 20")];
    assert_eq!((first(&skewed).advskew, beta(&skewed).virtual_ips[0].advskew), (20, 120));
    assert_eq!(first(&[("sesame", "open")]).password.reveal(), "open");
    let lan = |with: &[(&str, &str)]| compile(&document(with), 1).virtual_ips[2].clone();
    let foreign = |with| [("vhid = 9", with)];
    assert!(lan(&foreign("vhid = 9\nforeign = true")).preempt);
    assert!(!lan(&foreign("vhid = 9\nforeign = true\npreempt = false")).preempt);
    let peer = lan(&foreign("vhid = 9\nforeign = true\npeer = \"192.168.1.99\"")).peer;
    assert_eq!(peer, Some("192.168.1.99".parse().unwrap()));
}

/// How the role of the pair is won, as the role gets it.
#[test]
fn pair_preferences_and_keys_are_what_the_role_goes_by() {
    let alpha = |with: &[(&str, &str)]| compile(&document(with), 1).pair.unwrap();
    let (here, there) = (alpha(&[]), beta(&[]).pair.unwrap());
    assert_eq!((here.preferred, there.preferred), (true, false));
    assert!(!alpha(&[("preferred = \"alpha\"", "preferred = \"beta\"")]).preferred);
    assert_eq!(here.preempt, Some(Duration::from_secs(30)));
    let edit = |text| [("preferred = \"alpha\"", text)];
    assert_eq!(alpha(&edit("preferred = \"alpha\"\npreempt = false")).preempt, None);
    assert_eq!(
        alpha(&edit("preferred = \"alpha\"\npreempt_delay = 5")).preempt,
        Some(Duration::from_secs(5))
    );
    assert!(!here.defer && alpha(&edit("preferred = \"alpha\"\ndefer = true")).defer);
    assert_eq!((here.keys.0, here.keys.1), (there.keys.1, there.keys.0));
    assert_eq!(here.keys.0.unwrap().to_string(), "aa".repeat(32));
}

#[test]
fn pair_defer_holds_a_flows_first_packet_until_the_peer_knows_the_flow() {
    for (defer, at_once) in [("defer = false", 1), ("defer = true", 0)] {
        let with = format!("preferred = \"alpha\"\n{defer}");
        let mut rig = rig(ACTIVE, &[("preferred = \"alpha\"", &with)]);
        assert_eq!(left(&rig.packet(LAN, udp((CLIENT, 4999), (FAR, 53), b"?")), WAN).len(), 1);
        rig.command(Command::Replicate(Replication::Tell { by_name: false }));
        rig.command(Command::Grant(100));
        let sent = rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"?"));
        assert_eq!(left(&sent, WAN).len(), at_once, "{defer}");
        let told = rig.chunks();
        assert_eq!(left(&rig.acked(told), WAN).len(), 1 - at_once, "{defer}");
        // Nobody answers.
        let sent = rig.packet(LAN, udp((CLIENT, 5001), (FAR, 53), b"?"));
        assert_eq!(left(&sent, WAN).len(), at_once);
        assert_eq!(left(&rig.wait(Duration::from_millis(10)), WAN).len(), 1 - at_once, "{defer}");
    }
}

/// Who has `target`? To its group, by IPv6.
fn solicitation(from: &str, target: &str) -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let (from, target) = (address(from), address(target));
    let mut group = [0u8; 16];
    group[..2].copy_from_slice(&[0xff, 2]);
    group[11..13].copy_from_slice(&[1, 0xff]);
    group[13..].copy_from_slice(&target[13..]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&target);
    message.extend_from_slice(&[1, 1]);
    message.extend_from_slice(&STATION.0);
    let pseudo = koi::wire::checksum::pseudo_header(from.into(), group.into(), 58, message.len() as u32);
    let sum = !koi::wire::checksum::add(pseudo, koi::wire::checksum::sum(&message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mac = [0x33, 0x33, group[12], group[13], group[14], group[15]];
    let ip = [&[0x60, 0, 0, 0, 0, 32, 58, 255], &from[..], &group, &message].concat();
    [&mac[..], &STATION.0, &[0x86, 0xdd], &ip].concat()
}
