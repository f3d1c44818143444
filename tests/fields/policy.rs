//! Fields of rules, aliases and groups that only a whole router shows.

use koi::types::WallTime;
use koi::wire::{Drop, Packet, Transport, tcp_flags};

use crate::rig::{Rig, Sent, echo, syn, tcp, udp};
use crate::{CLIENT, FAR, LAN, WAN, document};

/// A document whose rules are these; without any, only default deny is left.
fn ruled(rules: &str) -> Rig {
    Rig::new(&with_rules(rules))
}

pub fn with_rules(rules: &str) -> String {
    let text = document(&[]);
    let base = text.find("[[rule]]").unwrap();
    format!("{}{rules}", &text[..base])
}

const PASS_LAN: &str = "[[rule]]\nid = 1000001\ninterface = \"lan\"\naction = \"pass\"\n";

/// Does the client's datagram leave by WAN?
fn asks(rules: &str) -> bool {
    leaves(&mut ruled(rules), udp((CLIENT, 5000), (FAR, 53), b"question"))
}

fn leaves(rig: &mut Rig, packet: Vec<u8>) -> bool {
    rig.packet(LAN, packet).iter().any(|sent| sent.port == WAN)
}

fn answers(sent: &[Sent]) -> Vec<Packet> {
    sent.iter().filter(|sent| sent.port == LAN).filter_map(Sent::ip).collect()
}

#[test]
fn floating_rules_decide_in_pf_s_order() {
    let floating = |more: &str| {
        let rule = "[[rule]]\nid = 1000002\nfloating = true\naction = \"block\"\n";
        asks(&format!("{PASS_LAN}{rule}{more}\n"))
    };
    assert!(floating(""), "not quick: the interface's own rule has the last word");
    assert!(!floating("quick = true"));
    assert!(floating("quick = true\ninterface = \"wan\""), "nothing comes in there");
    assert!(!floating("interface = \"wan\"\ndirection = \"out\""), "out it is the last match");
    assert!(!floating("interface = [\"wan\", \"lan\"]\ndirection = \"any\""));
    assert!(floating("interface = \"lan\"\ndirection = \"out\""));
    assert!(!asks("[[rule]]\nid = 1000001\naction = \"pass\"\ninterface = \"wan\"\n"));
}

#[test]
fn rejected_packets_are_answered() {
    let rule = PASS_LAN.replace("pass", "reject");
    let mut rig = ruled(&rule);
    let sent = answers(&rig.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460)));
    let rst = &sent[0];
    assert_eq!((rst.layout.key.src().to_string(), rst.layout.key.src_port()), (FAR.into(), 80));
    let Transport::Tcp { flags, seq, ack, .. } = rst.layout.transport else { panic!() };
    assert_eq!((flags, seq, ack), (tcp_flags::RST | tcp_flags::ACK, 0, 1001));
    let sent = answers(&rig.packet(LAN, udp((CLIENT, 5000), (FAR, 53), b"question")));
    assert_eq!(sent[0].layout.transport, Transport::IcmpError { kind: 3, code: 3 });
    let six = udp(("2001:db8:10::5", 5000), ("2001:db8:99::1", 53), b"question");
    let sent = answers(&rig.packet(LAN, six));
    assert_eq!(sent[0].layout.transport, Transport::IcmpError { kind: 1, code: 4 });
    assert_eq!(rig.shard.drops_of(Drop::BlockedIn), 3);
    let mut silent = ruled(&PASS_LAN.replace("pass", "block"));
    assert!(answers(&silent.packet(LAN, syn((CLIENT, 5000), (FAR, 80), 1460))).is_empty());
}

#[test]
fn icmp_types_flags_and_code_points_narrow_a_rule() {
    let pings = |more: &str| {
        leaves(&mut ruled(&format!("{PASS_LAN}protocol = \"icmp\"\n{more}\n")), echo(CLIENT, FAR, 7))
    };
    assert!(pings("icmp_types = [\"echoreq\"]"));
    assert!(pings("icmp_types = [\"3\", \"8\"]"));
    assert!(!pings("icmp_types = [\"unreach\"]"));
    let middle = |more: &str| {
        let mut rig = ruled(&format!("{PASS_LAN}protocol = \"tcp\"\n{more}\n"));
        let passes = leaves(&mut rig, tcp((CLIENT, 5000), (FAR, 80), "A", 5000, 9000));
        // What was picked up goes on, both ways.
        passes && leaves(&mut rig, tcp((CLIENT, 5000), (FAR, 80), "A", 5000, 9000)) && rig.shard.states() == 1
    };
    assert!(!middle(""), "only a SYN begins a connection");
    assert!(!middle("tcp_flags = \"S/SA\""));
    assert!(middle("tcp_flags = \"any\""));
    let marked = |more: &str, dscp: u8| {
        let mut packet = udp((CLIENT, 5000), (FAR, 53), b"question");
        packet[1] = dscp << 2;
        with_sum(&mut packet);
        leaves(&mut ruled(&format!("{PASS_LAN}{more}\n")), packet)
    };
    assert!(marked("dscp = \"ef\"", 46));
    assert!(!marked("dscp = \"ef\"", 0));
}

/// The checksum of an IPv4 header whose other fields are done.
fn with_sum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = !koi::wire::checksum::sum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn ip_options_pass_only_where_a_rule_allows_them() {
    let mut packet = udp((CLIENT, 5000), (FAR, 53), b"question");
    packet.splice(20..20, [1, 1, 1, 0]);
    packet[0] = 0x46;
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    with_sum(&mut packet);
    let mut strict = ruled(PASS_LAN);
    assert!(!leaves(&mut strict, packet.clone()));
    assert_eq!(strict.shard.drops_of(Drop::IpOptions), 1);
    let mut lenient = ruled(&format!("{PASS_LAN}allow_options = true\n"));
    assert!(leaves(&mut lenient, packet.clone()));
    assert!(leaves(&mut lenient, packet), "nor are they minded in a flow that exists");
}

#[test]
fn tags_carry_a_decision_from_one_side_to_the_other() {
    let tagged = |tag: &str, more: &str| {
        let block = "[[rule]]\nid = 1000002\nfloating = true\nquick = true\ndirection = \"out\"\naction = \"block\"\n";
        asks(&format!("{PASS_LAN}{tag}\n{block}{more}\n"))
    };
    assert!(!tagged("tag = \"guest\"", "tagged = \"guest\""));
    assert!(tagged("", "tagged = \"guest\""));
    assert!(tagged("tag = \"staff\"", "tagged = \"guest\""));
    assert!(tagged("tag = \"guest\"", "tagged = \"guest\"\nnot_tagged = true"));
    assert!(!tagged("", "tagged = \"guest\"\nnot_tagged = true"));
    let matched = "[[rule]]\nid = 1000003\nfloating = true\naction = \"match\"\ntag = \"guest\"\n";
    assert!(!tagged("", &format!("tagged = \"guest\"\n{matched}")), "a match tags and decides nothing");
}

#[test]
fn groups_have_rules_for_all_their_interfaces() {
    let group = |members: &str| {
        let group = format!("[[interface_group]]\nname = \"inside\"\nmembers = [{members}]\n");
        asks(&format!("{}{group}", PASS_LAN.replace("\"lan\"", "\"inside\"")))
    };
    assert!(group("\"lan\""));
    assert!(group("\"wan\", \"lan\""));
    assert!(!group("\"wan\""));
    // A group's rules come before an interface's own.
    let block = "[[interface_group]]\nname = \"inside\"\nmembers = [\"lan\"]\n\
                 [[rule]]\nid = 1000002\ninterface = \"inside\"\naction = \"block\"\n";
    assert!(!asks(&format!("{PASS_LAN}{block}")));
}

#[test]
fn aliases_stand_for_their_entries() {
    let asked = |alias: &str| {
        asks(&format!("{PASS_LAN}destination = \"servers\"\n[[alias]]\nname = \"servers\"\n{alias}\n"))
    };
    assert!(asked("type = \"host\"\nentries = [\"9.9.9.9\", \"8.8.8.8\"]"));
    assert!(!asked("type = \"host\"\nentries = [\"9.9.9.9\"]"));
    assert!(asked("type = \"network\"\nentries = [\"8.8.0.0/16\"]"));
    assert!(asked("type = \"host\"\nentries = [\"8.8.8.1-8.8.8.9\"]"));
    assert!(!asked("type = \"host\""));
    let nested = "[[alias]]\nname = \"inner\"\ntype = \"host\"\nentries = [\"8.8.8.8\"]";
    assert!(asked(&format!("type = \"network\"\nentries = [\"inner\"]\n{nested}")));
    let ports = |entry: &str| {
        let alias = format!("[[alias]]\nname = \"dns\"\ntype = \"port\"\nentries = [{entry}]\n");
        asks(&format!("{PASS_LAN}protocol = \"udp\"\ndestination_port = \"dns\"\n{alias}"))
    };
    assert!(ports("\"53\""));
    assert!(ports("{ value = \"50:60\", description = \"names\" }"));
    assert!(!ports("\"54\""));
}

/// A change of policy holds for flows that exist: what is blocked now ends, what still passes goes on.
#[test]
fn flows_live_as_long_as_a_rule_lets_them() {
    let mut rig = ruled(PASS_LAN);
    let question = || udp((CLIENT, 5000), (FAR, 53), b"question");
    assert!(leaves(&mut rig, question()));
    rig.apply(&with_rules(&format!("{PASS_LAN}dscp = \"ef\"\n")), 2);
    assert!(leaves(&mut rig, question()), "how it began is not known any more");
    rig.apply(&with_rules(&PASS_LAN.replace("pass", "block")), 3);
    assert!(!leaves(&mut rig, question()));
    assert_eq!(rig.shard.states(), 0);
}

const DESCRIBED: &str = r#"
[[interface_group]]
name = "inside"
members = ["lan"]
description = "Both offices"
[[alias]]
name = "servers"
type = "host"
entries = ["192.168.1.50"]
description = "In the cellar"
[[port_forward]]
id = 1000010
interface = "wan"
protocol = "tcp"
destination = "wan address"
destination_port = "80"
target = "192.168.1.50"
family = "inet"
description = "Web"
[[one_to_one]]
id = 1000011
interface = "wan"
external = "198.51.100.9"
internal = "192.168.1.9/32"
description = "Post"
[[npt]]
id = 1000012
interface = "wan"
source = "fd00:1::/48"
destination = "2001:db8:a::/48"
description = "Prefix"
[outbound]
mode = "hybrid"
[[outbound.rule]]
id = 1000013
interface = "wan"
description = "Mapping"
"#;

#[test]
fn what_was_written_for_people_is_shown() {
    let compiled = crate::rig::compile(&with_rules(&format!("{PASS_LAN}{DESCRIBED}")), 1);
    let policy = koi::node::policy(&compiled, &koi::node::RuleCounts::default(), WallTime::default());
    assert_eq!(policy.groups[0].description, "Both offices");
    assert_eq!((policy.tables[0].description.as_str(), policy.tables[0].ranges), ("In the cellar", 1));
    let shown: Vec<(u32, &str)> =
        policy.translations.iter().map(|row| (row.id, row.description.as_str())).collect();
    assert_eq!(
        shown,
        [(1_000_010, "Web"), (1_000_011, "Post"), (1_000_012, "Prefix"), (1_000_013, "Mapping")]
    );
    let text = &policy.translations[0].text;
    assert_eq!(text, "on wan proto tcp from any to wan address port 80 -> 192.168.1.50");
}

#[test]
fn rules_count_what_they_do() {
    let block = "[[rule]]\nid = 1000002\ninterface = \"wan\"\naction = \"block\"\n";
    let mut rig = ruled(&format!("{PASS_LAN}{block}"));
    for _ in 0..3 {
        assert!(leaves(&mut rig, udp((CLIENT, 5000), (FAR, 53), b"question")));
    }
    rig.packet(WAN, udp((FAR, 53), ("198.51.100.2", 7000), b"x"));
    let counts = rig.shard.rule_counts(rig.now);
    let compiled = crate::rig::compile(&with_rules(&format!("{PASS_LAN}{block}")), 1);
    let rows = koi::node::policy(&compiled, &counts, WallTime::default()).rules;
    let row = |id: u32| rows.iter().find(|row| row.id == id).unwrap();
    let pass = row(1_000_001);
    assert_eq!((pass.evaluations, pass.states, pass.states_made, pass.packets), (1, 1, 1, 3));
    assert_eq!(pass.bytes, 3 * (28 + 8));
    let blocked = row(1_000_002);
    assert_eq!((blocked.evaluations, blocked.packets, blocked.bytes), (1, 1, 29));
    assert!(blocked.last_hit_seconds.is_some() && row(100).states == 0);
}
