//! Fields of gateways and gateway groups, and what rules say of them: two lines to the outside, each with somebody behind
//! it who answers probes, or does not.

use std::collections::BTreeSet;
use std::time::Duration;

use koi::conntrack::Filter;
use koi::host;
use koi::node::snapshot::{FlowRow, GatewayRow};
use koi::node::{self, Asked};
use koi::types::Instant;
use koi::wire::{Drop, Transport};

use crate::rig::{Rig, Sent, compile, udp};

const WAN: u8 = 0;
const WAN2: u8 = 1;
const LAN: u8 = 2;
const CLIENT: &str = "192.168.1.10";
const FAR: &str = "8.8.8.8";

const DOCUMENT: &str = r#"
schema = 1
revision = 1
[system]
hostname = "koi"
[[node]]
name = "alpha"
[[node.port]]
name = "wan"
tap = "koi-wan"
[[node.port]]
name = "wan2"
tap = "koi-wan2"
[[node.port]]
name = "lan"
tap = "koi-lan"
[[node.interface]]
name = "wan"
addresses = ["198.51.100.2/24"]
[[node.interface]]
name = "wan2"
addresses = ["203.0.113.2/24"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24"]
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "wan2"
zone = "wan"
port = "wan2"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
[[gateway]]
name = "GW1"
interface = "wan"
address = "198.51.100.1"
default = true
[[gateway]]
name = "GW2"
interface = "wan2"
address = "203.0.113.1"
[[gateway_group]]
name = "BOTH"
members = ["GW1|1", "GW2|2"]
[[rule]]
id = 1000001
interface = "lan"
family = "inet"
action = "pass"
gateway = "BOTH"
[[rule]]
id = 1000002
interface = "wan2"
action = "pass"
protocol = "udp"
"#;

fn document(edits: &[(&str, &str)]) -> String {
    let mut text = DOCUMENT.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    text
}

/// A field more at the first gateway, the second, the group.
const ONE: &str = "name = \"GW1\"\n";
const TWO: &str = "name = \"GW2\"\n";
const GROUP: &str = "name = \"BOTH\"\n";
const SYSTEM: &str = "hostname = \"koi\"\n";

fn more(at: &str, field: &str) -> (String, String) {
    (at.to_owned(), format!("{at}{field}\n"))
}

/// The router, and those behind its lines.
struct Lines {
    rig: Rig,
    port: u16,
    /// Answers on their way: when, by which port, what.
    waiting: Vec<(Instant, u8, Vec<u8>)>,
    /// Probes that were sent: port, destination, bytes behind the IP header.
    probes: Vec<(u8, String, usize)>,
}

const EVERYBODY: fn(u8, u16) -> Option<u64> = |_, _| Some(10);

impl Lines {
    fn new(edits: &[(String, String)]) -> Lines {
        let edits: Vec<(&str, &str)> = edits.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        Lines { rig: Rig::new(&document(&edits)), port: 5000, waiting: Vec::new(), probes: Vec::new() }
    }

    /// Both lines have been well for a while.
    fn well(edits: &[(String, String)]) -> Lines {
        let mut lines = Lines::new(edits);
        lines.run(120, EVERYBODY);
        lines.probes.clear();
        lines
    }

    /// Seconds pass. `answer` says by port and number of a probe after how many milliseconds it is answered.
    fn run(&mut self, seconds: u64, answer: fn(u8, u16) -> Option<u64>) {
        for _ in 0..seconds * 100 {
            let sent = self.rig.wait(Duration::from_millis(10));
            for sent in &sent {
                self.hear(sent, answer);
            }
            let now = self.rig.now;
            let (due, later) = std::mem::take(&mut self.waiting).into_iter().partition(|(at, ..)| *at <= now);
            self.waiting = later;
            let due: Vec<(Instant, u8, Vec<u8>)> = due;
            for (_, port, packet) in due {
                self.rig.packet(port, packet);
            }
        }
    }

    fn hear(&mut self, sent: &Sent, answer: fn(u8, u16) -> Option<u64>) {
        let Some(mut packet) = sent.ip() else { return };
        if packet.layout.transport != (Transport::IcmpQuery { request: true }) {
            return;
        }
        let message = packet.transport();
        let number = u16::from_be_bytes([message[6], message[7]]);
        self.probes.push((sent.port, packet.layout.key.dst().to_string(), message.len()));
        if let Some(after) = answer(sent.port, number) {
            assert!(host::echo(&mut packet));
            self.waiting.push((self.rig.now + Duration::from_millis(after), sent.port, packet.ip().to_vec()));
        }
    }

    /// The port by which a new flow of the client leaves.
    fn ask(&mut self) -> Option<u8> {
        self.port += 1;
        self.ask_as(CLIENT, self.port)
    }

    fn ask_as(&mut self, client: &str, port: u16) -> Option<u8> {
        let sent = self.rig.packet(LAN, udp((client, port), (FAR, 53), b"question"));
        sent.iter().find(|sent| sent.port != LAN && sent.ip().is_some()).map(|sent| sent.port)
    }

    /// The client's flows.
    fn flows(&self) -> Vec<FlowRow> {
        let (rows, _) = self.rig.shard.flows(self.rig.now, &Filter::default(), None, 10_000);
        rows.into_iter().filter(|row| row.ingress != "self").collect()
    }

    fn rows(&self) -> Vec<GatewayRow> {
        self.rig.shard.snapshot(self.rig.now).gateways
    }

    fn status(&self) -> String {
        self.rows()[0].status.clone()
    }
}

const ONLY_SECOND: fn(u8, u16) -> Option<u64> = |port, _| (port == WAN2).then_some(10);

#[test]
fn a_group_leads_by_its_best_tier_and_translation_follows() {
    let mut lines = Lines::well(&[]);
    assert_eq!(lines.ask(), Some(WAN));
    lines.run(20, ONLY_SECOND);
    assert_eq!(lines.status(), "down");
    assert_eq!(lines.ask(), Some(WAN2));
    let flows = lines.flows();
    let by = |gateway: &str| flows.iter().find(|row| row.gateway.as_deref() == Some(gateway)).unwrap();
    assert!(by("GW2").translated.as_ref().unwrap().contains("203.0.113.2:"), "{:?}", by("GW2"));
    assert!(by("GW1").translated.as_ref().unwrap().contains("198.51.100.2:"), "kept");
    lines.run(120, EVERYBODY);
    assert_eq!(lines.ask(), Some(WAN));
    let tiers = [("\"GW1|1\", \"GW2|2\"".into(), "\"GW1|2\", \"GW2|1\"".into())];
    assert_eq!(Lines::well(&tiers).ask(), Some(WAN2));
}

#[test]
fn a_rule_leads_by_a_gateway_or_where_the_routes_lead() {
    let gateway = |name: &str| {
        let edits = [("gateway = \"BOTH\"".into(), name.into()), more(GROUP, "default = true"), no_default()];
        Lines::well(&edits).ask()
    };
    assert_eq!(gateway("gateway = \"GW2\""), Some(WAN2));
    assert_eq!(gateway("gateway = \"GW1\""), Some(WAN));
    assert_eq!(gateway(""), Some(WAN));
    let second = ("gateway = \"BOTH\"".into(), "gateway = \"GW2\"".into());
    let mut lines = Lines::well(&[second, more(GROUP, "default = true"), no_default()]);
    let near = lines.rig.packet(LAN, udp((CLIENT, 9), ("198.51.100.77", 9), b"x"));
    assert_eq!(near.iter().map(|sent| sent.port).collect::<Vec<_>>(), [WAN], "what is attached needs none");
}

fn no_default() -> (String, String) {
    ("default = true\n[[gateway]]".into(), "[[gateway]]".into())
}

#[test]
fn a_group_is_the_default_gateway() {
    let unruled = ("gateway = \"BOTH\"\n".to_owned(), String::new());
    let mut lines = Lines::well(&[unruled.clone(), no_default(), more(GROUP, "default = true")]);
    assert_eq!(lines.ask(), Some(WAN));
    let default = |lines: &Lines| {
        let routes = lines.rig.shard.snapshot(lines.rig.now).routes;
        routes.into_iter().find(|row| row.origin == "default").unwrap().gateway_name
    };
    assert_eq!(default(&lines), Some("GW1".into()));
    lines.run(20, ONLY_SECOND);
    assert_eq!((lines.ask(), default(&lines)), (Some(WAN2), Some("GW2".into())));
    // The router's own packets follow it too, unless they have the address of a line.
    let own = |lines: &mut Lines, from: &str| {
        let sent = lines.rig.own_packet(udp((from, 9), (FAR, 53), b"x"));
        sent.iter().find(|sent| sent.ip().is_some()).map(|sent| sent.port)
    };
    assert_eq!(own(&mut lines, "192.168.1.1"), Some(WAN2));
    assert_eq!(own(&mut lines, "198.51.100.2"), Some(WAN));
}

#[test]
fn what_a_person_says_of_a_gateway_comes_before_what_is_seen() {
    let mut down = Lines::well(&[more(ONE, "force_down = true")]);
    assert_eq!((down.ask(), down.status()), (Some(WAN2), "down".into()));
    assert!(down.rows()[0].text.contains("marked"));
    let mut unwatched = Lines::well(&[more(ONE, "monitor_disable = true")]);
    unwatched.run(20, ONLY_SECOND);
    assert_eq!((unwatched.ask(), unwatched.status()), (Some(WAN), "online".into()));
    assert!(unwatched.probes.iter().all(|(port, ..)| *port == WAN2));
    let mut idle = Lines::well(&[more(ONE, "action_disable = true")]);
    idle.run(20, ONLY_SECOND);
    assert_eq!((idle.ask(), idle.status()), (Some(WAN), "down".into()));
}

#[test]
fn probes_are_as_the_fields_say() {
    let probes = |field: &str| {
        let mut lines = Lines::well(&[more(ONE, field)]);
        lines.run(10, EVERYBODY);
        let of_first: Vec<_> = lines.probes.iter().filter(|(port, ..)| *port == WAN).cloned().collect();
        (of_first.len(), of_first[0].1.clone(), of_first[0].2)
    };
    assert_eq!(probes(""), (20, "198.51.100.1".into(), 9));
    assert_eq!(probes("monitor = \"9.9.9.9\""), (20, "9.9.9.9".into(), 9));
    assert_eq!(probes("interval = 1000"), (10, "198.51.100.1".into(), 9));
    assert_eq!(probes("data_payload = 56"), (20, "198.51.100.1".into(), 64));
}

#[test]
fn thresholds_say_what_is_slow_what_is_lossy_and_what_is_down() {
    let slow = |field: &str| {
        let mut lines = Lines::new(&[more(ONE, field)]);
        lines.run(120, |_, _| Some(300));
        lines.status()
    };
    assert_eq!(slow(""), "delay");
    assert_eq!(slow("latency_low = 400"), "online");
    assert_eq!(slow("latency_high = 250"), "down");
    let lossy = |field: &str| {
        let mut lines = Lines::new(&[more(ONE, field)]);
        lines.run(120, |_, number| (number % 7 != 0).then_some(10));
        lines.status()
    };
    assert_eq!(lossy(""), "loss");
    assert_eq!(lossy("loss_low = 16"), "online");
    assert_eq!(lossy("loss_high = 12"), "down");
}

#[test]
fn intervals_say_when_a_probe_is_lost_and_for_how_long_it_counts() {
    let late = |field: &str| {
        let mut lines = Lines::new(&[more(ONE, field)]);
        // At any time some are on their way for longer than a second, and none for two.
        lines.run(70, |_, _| Some(1900));
        lines.run(1, |_, _| None);
        lines.rows()[0].loss_percent.unwrap()
    };
    assert_eq!(late(""), 0);
    assert!(late("loss_interval = 1000\nlatency_high = 900\ntime_period = 5000") > 0);
    let remembered = |field: &str| {
        let mut lines = Lines::well(&[more(ONE, field)]);
        lines.run(5, ONLY_SECOND);
        lines.run(30, EVERYBODY);
        lines.rows()[0].loss_percent.unwrap()
    };
    assert!(remembered("") > 0);
    assert_eq!(remembered("time_period = 10000"), 0);
    let known = |field: &str| {
        let mut lines = Lines::new(&[more(ONE, field)]);
        lines.run(1, EVERYBODY);
        lines.status()
    };
    assert_ne!(known(""), "pending");
    assert_eq!(known("alert_interval = 20000"), "pending");
}

#[test]
fn a_trigger_says_when_a_member_is_left_out() {
    let led = |trigger: &str, answer: fn(u8, u16) -> Option<u64>| {
        let mut lines = Lines::new(&[more(GROUP, trigger)]);
        lines.run(120, answer);
        lines.ask()
    };
    let slow: fn(u8, u16) -> Option<u64> = |port, _| Some(if port == WAN { 300 } else { 10 });
    let lossy: fn(u8, u16) -> Option<u64> = |port, number| (port != WAN || number % 7 != 0).then_some(10);
    for (trigger, by_slow, by_lossy) in [
        ("", WAN, WAN),
        ("trigger = \"downloss\"", WAN, WAN2),
        ("trigger = \"downlatency\"", WAN2, WAN),
        ("trigger = \"downlosslatency\"", WAN2, WAN2),
    ] {
        assert_eq!((led(trigger, slow), led(trigger, lossy)), (Some(by_slow), Some(by_lossy)), "{trigger}");
    }
}

#[test]
fn weights_share_flows_and_sources_stick_where_asked() {
    let equal = ("\"GW2|2\"".to_owned(), "\"GW2|1\"".to_owned());
    let shares = |fields: &[(String, String)]| {
        let mut lines = Lines::well(&[std::slice::from_ref(&equal), fields].concat());
        (0..300).filter(|port| lines.ask_as(CLIENT, 6000 + port) == Some(WAN2)).count()
    };
    let even = shares(&[]);
    assert!((110..190).contains(&even), "{even}");
    let heavy = shares(&[more(TWO, "weight = 9")]);
    assert!((245..295).contains(&heavy), "{heavy}");
    let stuck = shares(&[more(SYSTEM, "sticky_connections = true")]);
    assert!(stuck == 0 || stuck == 300, "{stuck}");
}

#[test]
fn flows_of_a_dead_gateway_are_kept_or_end_as_configured() {
    let left = |fields: &[(String, String)]| {
        let mut lines = Lines::well(fields);
        lines.ask();
        // Somebody comes in by the second line.
        lines.rig.packet(WAN2, udp(("8.8.4.4", 7), (CLIENT, 7000), b"x"));
        lines.run(18, ONLY_SECOND);
        assert_eq!(lines.status(), "down");
        let names = lines.flows().into_iter().map(|row| row.gateway.or(row.reply_to).unwrap());
        names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(left(&[]), "GW1 GW2");
    for (at, field, kept) in [
        (SYSTEM, "kill_states_on_gateway_failure = \"down\"", "GW2"),
        (SYSTEM, "kill_states_on_gateway_failure = \"all\"", ""),
        (ONE, "kill_states = \"down\"", "GW2"),
        (ONE, "kill_states = \"all\"", ""),
        (TWO, "kill_states = \"all\"", "GW1 GW2"),
    ] {
        assert_eq!(left(&[more(at, field)]), kept, "{field}");
    }
    let inherited = more(SYSTEM, "kill_states_on_gateway_failure = \"all\"");
    assert_eq!(left(&[inherited, more(ONE, "kill_states = \"none\"")]), "GW1 GW2");
}

#[test]
fn flows_of_a_worse_tier_are_kept_or_end_when_a_better_one_is_up_again() {
    let left = |fields: &[(String, String)]| {
        let mut lines = Lines::well(fields);
        lines.run(25, ONLY_SECOND);
        assert_eq!(lines.ask(), Some(WAN2));
        for _ in 0..5 {
            // The flow is in use all the time.
            lines.run(20, EVERYBODY);
            lines.ask_as(CLIENT, lines.port);
        }
        assert_eq!(lines.status(), "online");
        lines.flows().iter().filter(|row| row.gateway.as_deref() == Some("GW2")).count()
    };
    assert_eq!(left(&[]), 1);
    assert_eq!(left(&[more(SYSTEM, "kill_states_on_gateway_recovery = true")]), 0);
    assert_eq!(left(&[more(GROUP, "keep_failover_states = \"kill\"")]), 0);
    let keep = more(GROUP, "keep_failover_states = \"keep\"");
    assert_eq!(left(&[more(SYSTEM, "kill_states_on_gateway_recovery = true"), keep]), 1);
}

#[test]
fn a_rule_whose_gateway_is_down_is_left_out_or_passes_by_the_routes() {
    let block = "[[rule]]\nid = 1000003\ninterface = \"lan\"\naction = \"block\"\n[[rule]]\nid = 1000002";
    let led = |fields: &[(String, String)]| {
        let down =
            [more(TWO, "force_down = true"), ("gateway = \"BOTH\"".into(), "gateway = \"GW2\"".into())];
        let block = ("[[rule]]\nid = 1000002".into(), block.into());
        let unused =
            ("members = [\"GW1|1\", \"GW2|2\"]\n".into(), "members = [\"GW2|2\"]\ndefault = true\n".into());
        let edits = [&down[..], &[block, unused, no_default()], fields].concat();
        let mut lines = Lines::well(&edits);
        (lines.ask(), lines.rig.shard.drops_of(Drop::BlockedIn))
    };
    assert_eq!(led(&[]), (Some(WAN2), 0), "the default group has nobody else");
    assert_eq!(led(&[more(SYSTEM, "skip_rules_when_gateway_down = true")]), (None, 1));
}

#[test]
fn answers_leave_the_way_they_came() {
    let answered = |fields: &[(String, String)]| {
        let mut lines = Lines::well(fields);
        let came = lines.rig.packet(WAN2, udp(("8.8.4.4", 7), (CLIENT, 7000), b"x"));
        assert!(came.iter().any(|sent| sent.port == LAN));
        let reply_to = lines.flows()[0].reply_to.clone();
        let sent = lines.rig.packet(LAN, udp((CLIENT, 7000), ("8.8.4.4", 7), b"y"));
        let port = sent.iter().find(|sent| sent.port != LAN && sent.ip().is_some()).map(|sent| sent.port);
        (port, reply_to)
    };
    assert_eq!(answered(&[]), (Some(WAN2), Some("GW2".into())));
    let rule = more("interface = \"wan2\"\naction = \"pass\"\n", "disable_reply_to = true");
    assert_eq!(answered(&[rule]), (None, None), "the routes lead elsewhere");
    assert_eq!(answered(&[more(SYSTEM, "disable_reply_to = true")]), (None, None));
}

#[test]
fn groups_are_shown_and_explained() {
    let mut lines =
        Lines::well(&[more(GROUP, "description = \"The office\""), more(ONE, "force_down = true")]);
    assert_eq!(lines.ask(), Some(WAN2));
    let snapshot = lines.rig.shard.snapshot(lines.rig.now);
    let group = &snapshot.gateway_groups[0];
    assert_eq!((group.name.as_str(), group.description.as_str(), group.tier), ("BOTH", "The office", 2));
    let used: Vec<bool> = group.members.iter().map(|member| member.used).collect();
    assert_eq!(used, [false, true]);
    let compiled = compile(&document(&[(ONE, "name = \"GW1\"\nforce_down = true\n")]), 1);
    let explain = |interface: &str, src: &str, dst: &str| {
        let asked = Asked {
            interface: interface.into(),
            src: src.parse().unwrap(),
            sport: 4000,
            dst: dst.parse().unwrap(),
            dport: 53,
            protocol: 17,
            dscp: 0,
        };
        let explanation = node::explain(
            &compiled,
            &lines.rig.shard.gateway_statuses(),
            &asked.question(&compiled).unwrap(),
        );
        let leaves = explanation.leaves.unwrap().interface;
        let steps = explanation.steps.into_iter().map(|step| format!("{}: {}", step.what, step.text));
        (leaves, steps.collect::<Vec<_>>().join("\n"))
    };
    let (leaves, steps) = explain("lan", CLIENT, FAR);
    assert_eq!(leaves, "wan2");
    assert!(steps.contains("gateway: GW2, which the group BOTH uses in tier 2"), "{steps}");
    assert!(steps.contains("route: by wan2 to the gateway 203.0.113.1"), "{steps}");
    let (_, steps) = explain("lan", CLIENT, "198.51.100.77");
    assert!(steps.contains("gateway: not BOTH: the destination is attached directly"), "{steps}");
    let (_, steps) = explain("wan2", "8.8.4.4", CLIENT);
    assert!(steps.contains("answers: go back by the gateway GW2"), "{steps}");
}
