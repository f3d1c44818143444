//! What `koi explain` says is what the packet path does: random packets through a policy of everything.

use koi::node::{self, Asked, Explanation};
use koi::wire::Drop;

use crate::rig::{Rig, Sent, echo, syn, udp};
use crate::{LAN, WAN, document};

const POLICY: &str = r#"
[[alias]]
name = "servers"
type = "host"
entries = ["192.168.1.50", "192.168.1.51"]
[[alias]]
name = "guests"
type = "network"
entries = ["192.168.1.128/25", "2001:db8:10::8000-2001:db8:10::9000"]
[[rule]]
id = 1000020
floating = true
action = "match"
source = "guests"
tag = "guest"
[[rule]]
id = 1000021
floating = true
quick = true
direction = "out"
action = "reject"
tagged = "guest"
protocol = "tcp"
[[rule]]
id = 1000022
floating = true
interface = "lan"
action = "block"
protocol = "udp"
destination_port = "1-52"
[[rule]]
id = 1000023
action = "pass"
port_forward = 1000030
[[rule]]
id = 1000024
interface = "wan"
action = "reject"
protocol = "icmp"
[[port_forward]]
id = 1000030
interface = "wan"
family = "inet"
protocol = "tcp/udp"
destination = "wan address"
destination_port = "50-53"
target = "servers"
local_port = 5050
reflection = "purenat"
[[port_forward]]
id = 1000031
interface = "wan"
family = "inet"
protocol = "tcp"
destination = "198.51.100.9"
target = "192.168.1.1"
association = "pass"
[[one_to_one]]
id = 1000032
interface = "wan"
external = "198.51.100.16"
internal = "192.168.1.8/30"
reflection = true
[[npt]]
id = 1000033
interface = "wan"
source = "2001:db8:10::/48"
destination = "2001:db8:a::/48"
[outbound]
mode = "hybrid"
[[outbound.rule]]
id = 1000034
interface = "wan"
source = "guests"
protocol = "udp"
target = "198.51.100.64/30"
[[outbound.rule]]
id = 1000035
interface = "wan"
destination = "8.8.4.4"
no_nat = true
"#;

const INET: [&str; 12] = [
    "192.168.1.9",
    "192.168.1.10",
    "192.168.1.50",
    "192.168.1.77",
    "192.168.1.200",
    "192.168.1.1",
    "198.51.100.2",
    "198.51.100.9",
    "198.51.100.17",
    "8.8.8.8",
    "8.8.4.4",
    "172.16.0.9",
];
const INET6: [&str; 5] =
    ["2001:db8:10::5", "2001:db8:10::8500", "2001:db8:a:6::5", "2001:db8:99::1", "2001:db8:10::1"];

/// What the packet path did, in the words of an explanation.
fn done(rig: &mut Rig, from: u8, packet: Vec<u8>) -> Option<(u8, String, u16)> {
    let states = rig.shard.states();
    let sent = rig.packet(from, packet);
    let began = rig.shard.states() > states;
    let ip: Vec<_> = sent.iter().filter_map(|sent: &Sent| Some((sent.port, sent.ip()?))).collect();
    match ip.first() {
        Some((port, packet)) if began => {
            Some((*port, packet.layout.key.dst().to_string(), packet.layout.key.dst_port()))
        }
        _ if began => Some((u8::MAX, String::new(), 0)),
        _ => None,
    }
}

fn explained(explanation: &Explanation) -> Option<(u8, String, u16)> {
    let leaves = explanation.leaves.as_ref()?;
    let port = match leaves.interface.as_str() {
        "wan" => WAN,
        "lan" => LAN,
        _ => u8::MAX,
    };
    Some((port, leaves.destination.to_string(), leaves.destination_port))
}

/// A small generator: the same packets each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn an_explanation_is_what_the_packet_path_does() {
    let text = format!("{}{POLICY}", document(&[]));
    let compiled = crate::rig::compile(&text, 1);
    let mut dice = Dice(7);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..1500 {
        // A router of its own for each: the states of one would answer for the next.
        let mut rig = Rig::new(&text);
        let addresses: &[&str] = if dice.roll(4) == 0 { &INET6 } else { &INET };
        let (src, dst) = (addresses[dice.roll(addresses.len())], addresses[dice.roll(addresses.len())]);
        let from = [WAN, LAN][dice.roll(2)];
        let (sport, dport) = (4000, [25, 50, 53, 80, 443][dice.roll(5)]);
        let (protocol, packet) = match dice.roll(3) {
            0 => (6, syn((src, sport), (dst, dport), 1460)),
            1 => (17, udp((src, sport), (dst, dport), b"question")),
            _ => (1, echo(src, dst, 1)),
        };
        let asked = Asked {
            interface: ["wan", "lan"][usize::from(from)].into(),
            src: src.parse().unwrap(),
            sport,
            dst: dst.parse().unwrap(),
            dport,
            protocol,
            dscp: 0,
        };
        let explanation = node::explain(&compiled, &[], &asked.question(&compiled).unwrap());
        let before: Vec<u64> = Drop::ALL.iter().map(|drop| rig.shard.drops_of(*drop)).collect();
        let happened = done(&mut rig, from, packet);
        match (explained(&explanation), happened) {
            (Some((u8::MAX, ..)), Some(_)) => passed += 1,
            (Some(told), Some(happened)) => {
                assert_eq!(told, happened, "{asked:?}: {explanation:#?}");
                passed += 1;
            }
            (None, None) => {
                let counted = Drop::ALL
                    .iter()
                    .zip(before)
                    .filter(|(drop, before)| rig.shard.drops_of(**drop) > *before);
                let names: Vec<&str> = counted.map(|(drop, _)| drop.name()).collect();
                let reason = explanation.reason.as_deref().unwrap();
                assert!(names.contains(&reason), "{asked:?}: {names:?}, {explanation:#?}");
                refused += 1;
            }
            (told, happened) => panic!("{asked:?}: told {told:?}, happened {happened:?}: {explanation:#?}"),
        }
    }
    assert!(passed > 100 && refused > 100, "{passed} {refused}");
}

#[test]
fn an_explanation_names_each_decision() {
    let compiled = crate::rig::compile(&format!("{}{POLICY}", document(&[])), 1);
    let asked = |src: &str, dst: &str, interface: &str, dport: u16| {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        let asked = Asked { interface: interface.into(), src, sport: 4000, dst, dport, protocol: 6, dscp: 0 };
        let explanation = node::explain(&compiled, &[], &asked.question(&compiled).unwrap());
        let steps = explanation.steps.iter().map(|step| (step.what.clone(), step.rule, step.setting.clone()));
        (explanation.verdict, steps.collect::<Vec<_>>())
    };
    let step =
        |what: &str, rule: Option<u32>, setting: Option<&str>| (what.into(), rule, setting.map(String::from));
    let policy = Some("default policy");
    assert_eq!(
        asked("9.9.9.9", "198.51.100.2", "wan", 51),
        (
            "pass".into(),
            vec![
                step("destination", Some(1_000_030), None),
                step("rules in", Some(1_000_023), None),
                step("route", None, Some("node.interface.addresses")),
                step("answers", None, Some("rule.disable_reply_to")),
                step("rules out", Some(20_002), policy),
            ]
        )
    );
    assert_eq!(
        asked("192.168.1.200", "8.8.8.8", "lan", 443),
        (
            "reject".into(),
            vec![
                step("rules in", Some(1_000_001), None),
                step("route", None, Some("gateway.default")),
                step("source", None, Some("outbound.mode")),
                step("rules out", Some(1_000_021), None),
            ]
        )
    );
    let nowhere = Asked {
        interface: "moon".into(),
        src: "1.1.1.1".parse().unwrap(),
        sport: 1,
        dst: "::1".parse().unwrap(),
        dport: 1,
        protocol: 6,
        dscp: 0,
    };
    assert!(nowhere.question(&compiled).unwrap_err().contains("there are wan, lan"));
}
