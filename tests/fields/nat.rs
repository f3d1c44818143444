//! Fields of port forwards, 1:1, prefix and outbound translation: packets that differ when the field does.

use std::collections::BTreeSet;

use koi::wire::Packet;

use crate::rig::{Rig, Sent, syn, tcp, udp};
use crate::{CLIENT, FAR, LAN, WAN, document};

const OUTSIDE: &str = "198.51.100.2";
const SERVER: &str = "192.168.1.50";

fn with(policy: &str, system: &str) -> String {
    let text = document(&[("[system.web]", &format!("{system}\n[system.web]"))]);
    format!("{text}{policy}")
}

fn translated(policy: &str) -> Rig {
    Rig::new(&with(policy, ""))
}

/// What goes out of a port when a packet comes in by another.
fn through(rig: &mut Rig, from: u8, to: u8, packet: Vec<u8>) -> Option<Packet> {
    rig.packet(from, packet).iter().filter(|sent| sent.port == to).find_map(Sent::ip)
}

fn source(packet: &Packet) -> (String, u16) {
    (packet.layout.key.src().to_string(), packet.layout.key.src_port())
}

fn destination(packet: &Packet) -> (String, u16) {
    (packet.layout.key.dst().to_string(), packet.layout.key.dst_port())
}

const FORWARD: &str = r#"
[[port_forward]]
id = 1000010
interface = "wan"
family = "inet"
protocol = "tcp"
source = "any"
destination = "wan address"
destination_port = "8000-8010"
target = "192.168.1.50"
local_port = 80
association = "pass"
description = "Web"
"#;

/// Where a connection from outside to this port arrives inside.
fn knocks(forward: &str, port: u16) -> Option<(String, u16)> {
    let mut rig = translated(forward);
    let arrived = through(&mut rig, WAN, LAN, syn((FAR, 4000), (OUTSIDE, port), 1460))?;
    assert!(arrived.transport_checksum_ok());
    // And the answer comes from the outside address again.
    let (target, inner) = destination(&arrived);
    let answer = tcp((&target, inner), (FAR, 4000), "SA", 500, 1001);
    let answer = through(&mut rig, LAN, WAN, answer).unwrap();
    assert_eq!(source(&answer), (OUTSIDE.into(), port));
    Some(destination(&arrived))
}

#[test]
fn a_port_forward_leads_inside() {
    let edit = |from: &str, to: &str| {
        assert!(FORWARD.contains(from), "{from}");
        FORWARD.replace(from, to)
    };
    let to = |port: u16| Some((SERVER.to_owned(), port));
    assert_eq!(knocks(FORWARD, 8000), to(80));
    assert_eq!(knocks(FORWARD, 8010), to(90));
    assert_eq!(knocks(FORWARD, 8011), None);
    assert_eq!(knocks(&edit("local_port = 80\n", ""), 8003), to(8003));
    assert_eq!(
        knocks(&edit("\"192.168.1.50\"", "\"192.168.1.60\""), 8000),
        Some(("192.168.1.60".into(), 80))
    );
    for (from, changed) in [
        ("interface = \"wan\"", "interface = \"lan\""),
        ("family = \"inet\"", "disabled = true"),
        ("protocol = \"tcp\"", "protocol = \"udp\""),
        ("source = \"any\"", "source = \"9.9.9.9\""),
        ("source = \"any\"", "source_port = \"1-5\""),
        ("\"wan address\"", "\"198.51.100.3\""),
        ("association = \"pass\"\n", ""),
        ("target = \"192.168.1.50\"\nlocal_port = 80\nassociation = \"pass\"", "no_redirect = true"),
    ] {
        assert_eq!(knocks(&edit(from, changed), 8000), None, "{changed}");
    }
    let six = "\n[[alias]]\nname = \"servers\"\ntype = \"host\"\nentries = [\"fd00::5\"]\n";
    let six = edit("\"192.168.1.50\"", "\"servers\"") + six;
    assert_eq!(knocks(&six, 8000), None, "no address of the family");
}

#[test]
fn an_alias_of_targets_takes_turns() {
    let alias =
        "\n[[alias]]\nname = \"servers\"\ntype = \"host\"\nentries = [\"192.168.1.50\", \"192.168.1.51\"]\n";
    let mut rig = translated(&(FORWARD.replace("\"192.168.1.50\"", "\"servers\"") + alias));
    let targets: Vec<String> = (0..4)
        .map(|index| through(&mut rig, WAN, LAN, syn((FAR, 4000 + index), (OUTSIDE, 8000), 1460)).unwrap())
        .map(|packet| destination(&packet).0)
        .collect();
    assert_eq!(targets, ["192.168.1.50", "192.168.1.51", "192.168.1.50", "192.168.1.51"]);
    // The flow that exists stays where it is.
    let again = through(&mut rig, WAN, LAN, syn((FAR, 4001), (OUTSIDE, 8000), 1460)).unwrap();
    assert_eq!(destination(&again).0, "192.168.1.51");
}

#[test]
fn a_linked_rule_follows_its_port_forward() {
    let linked = |more: &str| {
        let forward = FORWARD.replace("association = \"pass\"\n", "");
        let rule = "\n[[rule]]\nid = 1000011\naction = \"pass\"\nport_forward = 1000010\n";
        knocks(&format!("{forward}{more}{rule}"), 8000)
    };
    assert_eq!(linked(""), Some((SERVER.into(), 80)));
    assert_eq!(linked("disabled = true\n"), None);
}

#[test]
fn reflection_lets_hosts_inside_use_the_outside_address() {
    let reflected = |system: &str, forward: &str| {
        let mut rig =
            Rig::new(&with(&FORWARD.replace("description", &format!("{forward}\ndescription")), system));
        let arrived = through(&mut rig, LAN, LAN, syn((CLIENT, 4000), (OUTSIDE, 8000), 1460))?;
        // It comes from the router, so that the answer comes back to it.
        assert_eq!((destination(&arrived), source(&arrived).0), ((SERVER.into(), 80), "192.168.1.1".into()));
        let answer = tcp((SERVER, 80), ("192.168.1.1", source(&arrived).1), "SA", 500, 1001);
        let answer = through(&mut rig, LAN, LAN, answer).unwrap();
        assert_eq!((source(&answer), destination(&answer)), ((OUTSIDE.into(), 8000), (CLIENT.into(), 4000)));
        Some(())
    };
    assert!(reflected("", "").is_none());
    assert!(reflected("", "reflection = \"purenat\"").is_some());
    assert!(reflected("nat_reflection = \"purenat\"", "").is_some());
    assert!(reflected("nat_reflection = \"purenat\"", "reflection = \"disable\"").is_none());
}

const WHOLE: &str = r#"
[[one_to_one]]
id = 1000012
interface = "wan"
external = "198.51.100.16"
internal = "192.168.1.8/29"
destination = "any"
description = "Servers"
"#;

#[test]
fn one_to_one_translates_both_ways() {
    let out = |policy: &str| {
        let packet = through(&mut translated(policy), LAN, WAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
        source(&packet.unwrap())
    };
    assert_eq!(out(WHOLE), ("198.51.100.18".into(), 5000), "192.168.1.10 is the third");
    for (from, to) in [
        ("\"wan\"", "\"lan\""),
        ("192.168.1.8/29", "192.168.1.16/29"),
        ("\"any\"", "\"9.9.9.9\""),
        ("description", "disabled = true\ndescription"),
        ("description", "no_binat = true\ndescription"),
    ] {
        assert_eq!(out(&WHOLE.replace(from, to)).0, OUTSIDE, "{to}");
    }
    assert_eq!(out(&WHOLE.replace("198.51.100.16", "198.51.100.32")).0, "198.51.100.34");
    let mut rig = translated(WHOLE);
    let arrived = through(&mut rig, WAN, LAN, udp((FAR, 53), ("198.51.100.18", 7000), b"x")).unwrap();
    assert_eq!(destination(&arrived), (CLIENT.into(), 7000));
}

#[test]
fn one_to_one_reflects_where_asked() {
    let reflected = |system: &str, entry: &str| {
        let mut rig =
            Rig::new(&with(&WHOLE.replace("description", &format!("{entry}\ndescription")), system));
        through(&mut rig, LAN, LAN, udp(("192.168.1.77", 5000), ("198.51.100.18", 7000), b"x"))
            .map(|packet| destination(&packet).0)
    };
    assert_eq!(reflected("", ""), None);
    assert_eq!(reflected("", "reflection = true").as_deref(), Some(CLIENT));
    assert_eq!(reflected("one_to_one_reflection = true", "").as_deref(), Some(CLIENT));
    assert_eq!(reflected("one_to_one_reflection = true", "reflection = false"), None);
}

#[test]
fn prefixes_are_translated_both_ways() {
    let npt = "\n[[npt]]\nid = 1000013\ninterface = \"wan\"\nsource = \"2001:db8:10::/48\"\n\
               destination = \"2001:db8:a::/48\"\ndescription = \"Provider\"\n";
    let out = |policy: &str| {
        let question = udp(("2001:db8:10::5", 5000), ("2001:db8:99::1", 53), b"question");
        let mut rig = translated(policy);
        let packet = through(&mut rig, LAN, WAN, question).unwrap();
        assert!(packet.transport_checksum_ok());
        let seen = source(&packet).0;
        let answer = udp(("2001:db8:99::1", 53), (&seen, 5000), b"answer");
        assert_eq!(destination(&through(&mut rig, WAN, LAN, answer).unwrap()).0, "2001:db8:10::5");
        seen
    };
    // 2001:db8:10:0 and 2001:db8:a:6 have the same sum.
    assert_eq!(out(npt), "2001:db8:a:6::5");
    assert_eq!(out(&npt.replace("2001:db8:a::", "2001:db8:b::")), "2001:db8:b:5::5");
    for (from, to) in [
        ("\"wan\"", "\"lan\""),
        ("2001:db8:10::/48", "2001:db8:11::/48"),
        ("description", "disabled = true\ndescription"),
    ] {
        assert_eq!(out(&npt.replace(from, to)), "2001:db8:10::5", "{to}");
    }
}

const MAPPING: &str = r#"
[outbound]
mode = "manual"
[[outbound.rule]]
id = 1000014
interface = "wan"
family = "inet46"
protocol = "udp"
source = "lan net"
source_port = "5000-5010"
destination = "any"
destination_port = "53"
target = "198.51.100.64/30"
port = "3000"
description = "Names"
"#;

/// How the client's question leaves.
fn mapped(policy: &str, port: u16) -> (String, u16) {
    mapped_in(&mut translated(policy), port)
}

fn mapped_in(rig: &mut Rig, port: u16) -> (String, u16) {
    source(&through(rig, LAN, WAN, udp((CLIENT, port), (FAR, 53), b"question")).unwrap())
}

#[test]
fn outbound_mappings_decide_how_flows_leave() {
    let edit = |from: &str, to: &str| {
        assert!(MAPPING.contains(from), "{from}");
        MAPPING.replace(from, to)
    };
    assert_eq!(mapped(MAPPING, 5000), ("198.51.100.64".into(), 3000));
    assert_eq!(mapped(MAPPING, 5011), (CLIENT.into(), 5011), "manual: nothing else is translated");
    let hybrid = edit("manual", "hybrid");
    assert_eq!(mapped(&hybrid, 5000).0, "198.51.100.64");
    assert_eq!(mapped(&hybrid, 5011).0, OUTSIDE);
    assert_eq!(mapped(&edit("manual", "automatic"), 5000).0, OUTSIDE, "its own mappings are not in force");
    assert_eq!(mapped(&edit("target = \"198.51.100.64/30\"\n", ""), 5000), (OUTSIDE.into(), 3000));
    assert_eq!(mapped(&edit("port = \"3000\"", "static_port = true"), 5000), ("198.51.100.64".into(), 5000));
    let ports = |policy: &str| -> BTreeSet<u16> {
        let mut rig = translated(policy);
        let ends = ["8.8.8.8", "9.9.9.9", "198.18.0.1", "203.0.113.7"];
        ends.map(|end| source(&through(&mut rig, LAN, WAN, udp((CLIENT, 5000), (end, 53), b"?")).unwrap()).1)
            .into()
    };
    let wide = edit("port = \"3000\"", "port = \"2000-60000\"");
    assert!(ports(&wide).len() > 1);
    assert_eq!(ports(&wide.replace("port = \"2000", "endpoint_independent = true\nport = \"2000")).len(), 1);
    for (from, to) in [
        ("interface = \"wan\"", "interface = \"lan\""),
        ("family = \"inet46\"\nprotocol = \"udp\"\nsource = \"lan net\"", "protocol = \"tcp\""),
        ("family = \"inet46\"", "family = \"inet6\""),
        ("\"lan net\"", "\"9.9.9.9\""),
        ("\"any\"", "\"9.9.9.9\""),
        ("destination_port = \"53\"", "destination_port = \"54\""),
        ("target = \"198.51.100.64/30\"\nport = \"3000\"", "no_nat = true"),
        ("description", "disabled = true\ndescription"),
    ] {
        let changed = if to.contains("inet6\"") {
            // A family that the target does not have is refused; without a target it is only not ours.
            edit("target = \"198.51.100.64/30\"\n", "").replace(from, to)
        } else {
            edit(from, to)
        };
        assert_eq!(mapped(&changed, 5000), (CLIENT.into(), 5000), "{to}");
    }
}

#[test]
fn pools_choose_their_addresses() {
    let plain = MAPPING.replace("port = \"3000\"\n", "");
    let addresses = |more: &str| -> Vec<String> {
        let mut rig = translated(&plain.replace("description", &format!("{more}\ndescription")));
        (5000..5010).map(|port| mapped_in(&mut rig, port).0).collect()
    };
    let different = |addresses: &[String]| addresses.iter().collect::<std::collections::BTreeSet<_>>().len();
    let turns = addresses("");
    assert_eq!(
        turns[..5],
        ["198.51.100.64", "198.51.100.65", "198.51.100.66", "198.51.100.67", "198.51.100.64"]
    );
    let random = addresses("pool = \"random\"");
    assert!(different(&random) > 1 && random != turns);
    assert_eq!(different(&addresses("pool = \"source-hash\"")), 1);
    assert_eq!(different(&addresses("sticky = true")), 1);
}

/// Another configuration asks again: flows whose translation is another now end.
#[test]
fn flows_end_when_their_translation_is_another() {
    let mut rig = translated(MAPPING);
    assert_eq!(mapped_in(&mut rig, 5000).0, "198.51.100.64");
    rig.apply(&with(&MAPPING.replace("Names", "Words"), ""), 2);
    assert_eq!(mapped_in(&mut rig, 5000), ("198.51.100.64".into(), 3000), "only words have changed");
    assert_eq!(rig.shard.states(), 1);
    rig.apply(&with(&MAPPING.replace("198.51.100.64/30", "198.51.100.80"), ""), 3);
    rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question"));
    assert_eq!(rig.shard.states(), 0);
    assert_eq!(mapped_in(&mut rig, 5000).0, "198.51.100.80");
}
