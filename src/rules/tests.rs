//! The default policy fact by fact, and each field of a rule.

use std::net::IpAddr;

use super::automatic::id;
use super::*;
use crate::config::model::{
    Action, Endpoint, Interfaces, OutboundMode, Place, Ports, Protocol, Rule, RuleFamily, Zone,
};
use crate::config::{self, Conditions, Config, Valid};
use crate::types::{Direction, InterfaceId, PortRange, Prefix, RuleId};
use crate::wire::{Drop, FlowKey, Transport, protocol};

const LAB: &str = include_str!("../../tests/lab/one.toml");
const SINGLE: &str = include_str!("../../configs/single.toml");
const DMZ_CONFIG: &str = include_str!("../../configs/dmz.toml");

const WAN: InterfaceId = InterfaceId(0);
const LAN: InterfaceId = InterfaceId(1);
const DMZ: InterfaceId = InterfaceId(2);

fn valid(config: Config) -> Valid<Config> {
    config::validate(config).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn compiled(config: &Valid<Config>) -> Ruleset {
    compile(config, config.node(None).unwrap(), &Conditions::default())
}

fn lab() -> Ruleset {
    compiled(&config::load(LAB).unwrap())
}

fn lab_with(edit: impl FnOnce(&mut Config)) -> Ruleset {
    let mut config = config::parse(LAB).unwrap();
    edit(&mut config);
    compiled(&valid(config))
}

/// A packet in words: `tcp 192.168.1.5 4000 > 198.51.100.1 80`, or with an ICMP type instead of ports:
/// `icmp 192.168.1.5 > 198.51.100.1 type 8`. The marks `self`, `link` and `out` follow.
fn packet(interface: InterfaceId, text: &str) -> Query {
    let words: Vec<&str> = text.split_whitespace().collect();
    let has = |mark: &str| words.contains(&mark);
    let number = |word: &str| word.parse::<u16>().unwrap();
    let src: IpAddr = words[1].parse().unwrap();
    let v6 = src.is_ipv6();
    let (number_of, dst, ports, transport) = match words[0] {
        "icmp" => {
            let kind = number(words[5]) as u8;
            let transport = match (v6, kind) {
                (false, 8) | (true, 128) => Transport::IcmpQuery { request: true },
                (false, 0) | (true, 129) => Transport::IcmpQuery { request: false },
                (true, 1..=4) | (false, 3 | 11) => Transport::IcmpError { kind, code: 0 },
                _ => Transport::IcmpOther { kind },
            };
            let ports = match transport {
                Transport::IcmpQuery { request: true } => (77, u16::from(kind)),
                Transport::IcmpQuery { request: false } => (if v6 { 128 } else { 8 }, 77),
                _ => (0, 0),
            };
            (if v6 { protocol::ICMPV6 } else { protocol::ICMP }, words[3], ports, transport)
        }
        name => {
            let tcp = Transport::Tcp { flags: 2, seq: 1, ack: 0, window: 1000, header_len: 20 };
            let (number_of, transport) = match name {
                "tcp" => (protocol::TCP, tcp),
                "udp" => (protocol::UDP, Transport::Udp),
                other => (other.parse().unwrap(), Transport::Other),
            };
            (number_of, words[4], (number(words[2]), number(words[5])), transport)
        }
    };
    let direction = if has("out") { Direction::Out } else { Direction::In };
    let key = FlowKey::new(number_of, src, ports.0, dst.parse().unwrap(), ports.1).unwrap();
    Query {
        to_self: has("self") && !has("out"),
        from_self: has("self") && has("out"),
        link_multicast: has("link"),
        dscp: Some(0),
        ..Query::new(direction, interface, key, transport)
    }
}

/// `Ok` for pass, `Err` for the counter of a block, each with the rule.
fn ask(rules: &Ruleset, interface: InterfaceId, text: &str) -> (RuleId, Option<Drop>) {
    match rules.evaluate(&packet(interface, text)) {
        Verdict::Pass(pass) => (pass.rule(), None),
        Verdict::Block { rule, drop, .. } => (rule, Some(drop)),
    }
}

type Row = (InterfaceId, &'static str, RuleId, Option<Drop>);

fn check(rules: &Ruleset, rows: &[Row]) {
    for (interface, text, rule, drop) in rows {
        assert_eq!(ask(rules, *interface, text), (*rule, *drop), "{interface:?}: {text}");
    }
}

const LAN_PASS: RuleId = RuleId(1_000_000);
const DMZ_NOT_LAN: RuleId = RuleId(1_000_010);
const DMZ_NOT_GUI: RuleId = RuleId(1_000_011);
const DMZ_PASS: RuleId = RuleId(1_000_012);
const BLOCKED: Option<Drop> = Some(Drop::BlockedIn);

#[test]
fn lan_may_go_anywhere() {
    check(
        &lab(),
        &[
            (LAN, "tcp 192.168.1.5 4000 > 198.51.100.1 80", LAN_PASS, None),
            (LAN, "udp 192.168.1.5 4000 > 10.20.0.5 53", LAN_PASS, None),
            (LAN, "icmp 192.168.1.5 > 198.51.100.1 type 8", LAN_PASS, None),
            (LAN, "icmp 192.168.1.5 > 192.168.1.1 type 8 self", LAN_PASS, None),
            (LAN, "47 192.168.1.5 0 > 198.51.100.1 0", LAN_PASS, None),
            (LAN, "tcp 2001:db8:10::5 4000 > 2001:db8:99::1 80", LAN_PASS, None),
            (LAN, "icmp 2001:db8:10::5 > 2001:db8:10::1 type 128 self", LAN_PASS, None),
            // Nobody's address: not from LAN's network, not spoofed either, but no rule lets it in.
            (LAN, "tcp 172.20.0.5 4000 > 198.51.100.1 80", id::DEFAULT_DENY_INET, BLOCKED),
            (LAN, "tcp 2001:db8:77::5 4000 > 2001:db8:99::1 80", id::DEFAULT_DENY_INET6, BLOCKED),
        ],
    );
}

#[test]
fn dmz_goes_to_the_internet_only() {
    check(
        &lab(),
        &[
            (DMZ, "tcp 10.20.0.5 4000 > 198.51.100.1 80", DMZ_PASS, None),
            (DMZ, "tcp 2001:db8:20::5 4000 > 2001:db8:99::1 80", DMZ_PASS, None),
            (DMZ, "icmp 10.20.0.5 > 10.20.0.1 type 8 self", DMZ_PASS, None),
            (DMZ, "tcp 10.20.0.5 4000 > 192.168.1.5 22", DMZ_NOT_LAN, BLOCKED),
            (DMZ, "icmp 10.20.0.5 > 192.168.1.5 type 8", DMZ_NOT_LAN, BLOCKED),
            (DMZ, "tcp 2001:db8:20::5 4000 > 2001:db8:10::5 22", DMZ_NOT_LAN, BLOCKED),
            // The GUI, by whichever address of the firewall.
            (DMZ, "tcp 10.20.0.5 4000 > 10.20.0.1 443 self", DMZ_NOT_GUI, BLOCKED),
            (DMZ, "tcp 10.20.0.5 4000 > 203.0.113.2 443 self", DMZ_NOT_GUI, BLOCKED),
            (DMZ, "tcp 10.20.0.5 4000 > 192.168.1.1 443 self", DMZ_NOT_LAN, BLOCKED),
            (DMZ, "tcp 2001:db8:20::5 4000 > 2001:db8:20::1 443 self", DMZ_NOT_GUI, BLOCKED),
        ],
    );
}

#[test]
fn nothing_comes_in_from_wan() {
    check(
        &lab(),
        &[
            (WAN, "tcp 198.51.100.1 4000 > 203.0.113.2 443 self", id::DEFAULT_DENY_INET, BLOCKED),
            (WAN, "icmp 198.51.100.1 > 203.0.113.2 type 8 self", id::DEFAULT_DENY_INET, BLOCKED),
            (WAN, "tcp 198.51.100.1 4000 > 192.168.1.5 80", id::DEFAULT_DENY_INET, BLOCKED),
            (WAN, "tcp 2001:db8:99::1 4000 > 2001:db8:10::5 80", id::DEFAULT_DENY_INET6, BLOCKED),
            (WAN, "icmp 2001:db8:99::1 > 2001:db8:1::2 type 128 self", id::DEFAULT_DENY_INET6, BLOCKED),
            (WAN, "icmp fe80::9 > fe80::1 type 128 self", id::DEFAULT_DENY_INET6, BLOCKED),
        ],
    );
}

#[test]
fn what_was_let_in_goes_out_and_so_does_the_firewall() {
    check(
        &lab(),
        &[
            (WAN, "tcp 203.0.113.2 4000 > 198.51.100.1 80 out", id::OUT_INET, None),
            (WAN, "tcp 2001:db8:10::5 4000 > 2001:db8:99::1 80 out", id::OUT_INET6, None),
            (WAN, "udp 203.0.113.2 4000 > 198.51.100.1 53 out self", id::OUT_SELF_INET, None),
            (LAN, "icmp 192.168.1.1 > 192.168.1.5 type 8 out self", id::OUT_SELF_INET, None),
            (LAN, "icmp fe80::1 > ff02::1 type 134 out self link", id::OUT_SELF_INET6, None),
        ],
    );
}

#[test]
fn anti_lockout_keeps_the_gui_reachable_from_lan() {
    let lock_out = |config: &mut Config| config.rules.clear();
    let gui = "tcp 192.168.1.5 4000 > 192.168.1.1 443 self";
    let rules = lab_with(lock_out);
    check(
        &rules,
        &[
            (LAN, gui, id::ANTI_LOCKOUT, None),
            (LAN, "tcp 2001:db8:10::5 4000 > 2001:db8:10::1 443 self", id::ANTI_LOCKOUT, None),
            (LAN, "tcp 192.168.1.5 4000 > 192.168.1.1 22 self", id::DEFAULT_DENY_INET, BLOCKED),
            (LAN, "udp 192.168.1.5 4000 > 192.168.1.1 443 self", id::DEFAULT_DENY_INET, BLOCKED),
            // Only the address on that interface, and only from LAN.
            (LAN, "tcp 192.168.1.5 4000 > 203.0.113.2 443 self", id::DEFAULT_DENY_INET, BLOCKED),
            (DMZ, "tcp 10.20.0.5 4000 > 10.20.0.1 443 self", id::DEFAULT_DENY_INET, BLOCKED),
            (WAN, "tcp 198.51.100.1 4000 > 203.0.113.2 443 self", id::DEFAULT_DENY_INET, BLOCKED),
        ],
    );
    let rules = lab_with(|config| {
        lock_out(config);
        config.system.anti_lockout = false;
    });
    check(&rules, &[(LAN, gui, id::DEFAULT_DENY_INET, BLOCKED)]);
    let rules = lab_with(|config| {
        lock_out(config);
        config.system.web.port = 8443;
    });
    check(
        &rules,
        &[
            (LAN, gui, id::DEFAULT_DENY_INET, BLOCKED),
            (LAN, "tcp 192.168.1.5 4000 > 192.168.1.1 8443 self", id::ANTI_LOCKOUT, None),
        ],
    );
}

#[test]
fn sources_must_live_where_they_come_from() {
    let spoofed = Some(Drop::Spoofed);
    let config = config::load(LAB).unwrap();
    let own = config.link_local(config.node(None).unwrap(), LAN);
    let rules = lab();
    check(
        &rules,
        &[
            (WAN, "tcp 192.168.1.5 4000 > 203.0.113.2 80 self", id::ANTI_SPOOF, spoofed),
            (WAN, "tcp 203.0.113.2 4000 > 192.168.1.5 80", id::ANTI_SPOOF, spoofed),
            (WAN, "tcp 2001:db8:10::5 4000 > 2001:db8:20::5 80", id::ANTI_SPOOF, spoofed),
            (LAN, "tcp 10.20.0.5 4000 > 198.51.100.1 80", id::ANTI_SPOOF, spoofed),
            (LAN, "tcp 203.0.113.9 4000 > 198.51.100.1 80", id::ANTI_SPOOF, spoofed),
            (LAN, "tcp 192.168.1.1 4000 > 198.51.100.1 80", id::ANTI_SPOOF, spoofed),
            (DMZ, "tcp 192.168.1.5 4000 > 198.51.100.1 80", id::ANTI_SPOOF, spoofed),
            (DMZ, "tcp 2001:db8:10::5 4000 > 2001:db8:99::1 80", id::ANTI_SPOOF, spoofed),
            (LAN, "udp 192.168.1.255 4000 > 198.51.100.1 80", id::BROADCAST_SOURCE, Some(Drop::Martian)),
        ],
    );
    let text = format!("udp {own} 4000 > 2001:db8:10::1 53 self");
    assert_eq!(ask(&rules, LAN, &text), (id::ANTI_SPOOF, spoofed));
    // A routed network behind a LAN gateway may come in there.
    let rules = compiled(&config::load(DMZ_CONFIG).unwrap());
    check(&rules, &[(LAN, "tcp 192.168.70.5 4000 > 192.0.32.8 80", RuleId(1_000_001), None)]);
}

#[test]
fn private_networks_and_bogons_are_blocked_when_asked() {
    let martian = Some(Drop::Martian);
    // Sources that neither LAN nor the firewall itself has.
    let private = ["10.9.9.9", "172.16.0.1", "172.31.255.255", "192.168.77.1", "100.64.0.1", "fd00::1"];
    let bogons = [
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.77",
        "203.0.113.1",
        "192.0.0.9",
        "169.254.9.9",
        "2001:db8:99::1",
        "2001:10::1",
        "3fff::1",
        "100::1",
        "4000::1",
        "8000::1",
        "c000::1",
        "e000::1",
        "f000::1",
        "f800::1",
        "fec0::1",
        "1fff::1",
        "2001:2::1",
    ];
    let fine = ["8.8.8.8", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255", "2606::1", "2a00::1"];
    let text = |source: &str| match source.contains(':') {
        false => format!("tcp {source} 4000 > 198.51.100.2 80 self"),
        true => format!("tcp {source} 4000 > 2001:db8:1::2 80 self"),
    };
    let deny = |source: &str| {
        let rule = if source.contains(':') { id::DEFAULT_DENY_INET6 } else { id::DEFAULT_DENY_INET };
        (rule, BLOCKED)
    };
    let on = compiled(&config::load(SINGLE).unwrap());
    let off = {
        let mut config = config::parse(SINGLE).unwrap();
        (config.interfaces[0].block_private, config.interfaces[0].block_bogons) = (false, false);
        compiled(&valid(config))
    };
    for source in private {
        assert_eq!(ask(&on, WAN, &text(source)), (id::PRIVATE, BLOCKED), "{source}");
        assert_eq!(ask(&off, WAN, &text(source)), deny(source), "{source}");
    }
    for source in bogons {
        assert_eq!(ask(&on, WAN, &text(source)), (id::BOGONS, martian), "{source}");
        assert_eq!(ask(&off, WAN, &text(source)), deny(source), "{source}");
    }
    for source in fine {
        assert_eq!(ask(&on, WAN, &text(source)), deny(source), "{source}");
    }
    // Link-local neighbours of an IPv6 WAN are no bogons, and neighbour discovery works there.
    assert_eq!(ask(&on, WAN, "icmp fe80::9 > ff02::1:ff00:2 type 135 link"), (id::ICMPV6_LINK, None));
    assert_eq!(ask(&on, WAN, "icmp 2001:db8:1::1 > ff02::1:ff00:2 type 135 link"), (id::ICMPV6_LINK, None));
    // Other interfaces are not asked.
    assert_eq!(ask(&on, LAN, "tcp 192.168.1.5 4000 > 192.0.32.8 80"), (LAN_PASS, None));
}

#[test]
fn the_lists_of_networks_can_be_read() {
    for list in [bogons::PRIVATE, bogons::BOGONS] {
        for text in list {
            let prefix: Prefix = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(prefix, prefix.trunc(), "{text}");
        }
    }
}

#[test]
fn required_icmpv6_passes_on_the_link_and_nowhere_else() {
    let mut rows: Vec<(InterfaceId, String, RuleId, Option<Drop>)> = Vec::new();
    for on in [WAN, LAN, DMZ] {
        for kind in 133..=136 {
            rows.push((on, format!("icmp fe80::9 > ff02::1 type {kind} link"), id::ICMPV6_LINK, None));
            rows.push((on, format!("icmp fe80::9 > fe80::1 type {kind} self"), id::ICMPV6_LINK, None));
        }
        // Duplicate address detection.
        rows.push((on, "icmp :: > ff02::1:ff00:5 type 135 link".into(), id::ICMPV6_LINK, None));
        for kind in [130, 131, 132, 143] {
            rows.push((on, format!("icmp fe80::9 > ff02::16 type {kind} link"), id::ICMPV6_MLD, None));
        }
        for kind in 1..=4 {
            let text = format!("icmp 2606::9 > 2001:db8:1::2 type {kind} self");
            rows.push((on, text, id::ICMPV6_ERRORS, None));
        }
    }
    // Neighbour discovery is not forwarded; an error that belongs to no flow is not, either.
    for kind in [135, 136, 1, 2, 3, 4] {
        let text = format!("icmp 2606::9 > 2001:db8:10::5 type {kind}");
        rows.push((WAN, text, id::DEFAULT_DENY_INET6, BLOCKED));
    }
    // Redirects and other types are not required.
    rows.push((WAN, "icmp fe80::9 > fe80::1 type 137 self".into(), id::DEFAULT_DENY_INET6, BLOCKED));
    rows.push((LAN, "icmp fe80::9 > fe80::1 type 128 self".into(), id::ICMPV6_ECHO, None));
    rows.push((LAN, "icmp fe80::9 > ff02::1 type 128 link".into(), id::ICMPV6_ECHO, None));
    rows.push((DMZ, "icmp fe80::9 > fe80::1 type 128 self".into(), id::DEFAULT_DENY_INET6, BLOCKED));
    let rules = lab();
    for (interface, text, rule, drop) in rows {
        assert_eq!(ask(&rules, interface, &text), (rule, drop), "{interface:?}: {text}");
    }
    // A type of IPv6 in an IPv4 packet is something else.
    check(&rules, &[(WAN, "icmp 8.8.8.8 > 203.0.113.2 type 135 self", id::DEFAULT_DENY_INET, BLOCKED)]);
}

#[test]
fn impossible_packets_are_blocked_before_any_rule() {
    let link_local = Some(Drop::LinkLocal);
    check(
        &lab(),
        &[
            (LAN, "tcp 192.168.1.5 0 > 198.51.100.1 80", id::PORT_ZERO, BLOCKED),
            (LAN, "udp 192.168.1.5 4000 > 198.51.100.1 0", id::PORT_ZERO, BLOCKED),
            (LAN, "tcp 2001:db8:10::5 0 > 2001:db8:99::1 80", id::PORT_ZERO, BLOCKED),
            (LAN, "tcp 127.0.0.1 4000 > 192.168.1.1 443 self", id::MARTIANS, Some(Drop::Martian)),
            (LAN, "tcp 192.168.1.5 4000 > 192.168.1.5 443", id::MARTIANS, Some(Drop::Land)),
            (LAN, "tcp fe80::9 4000 > 2001:db8:99::1 80", id::LINK_LOCAL, link_local),
            (LAN, "tcp 2001:db8:10::5 4000 > fe80::9 80", id::LINK_LOCAL, link_local),
            (LAN, "tcp 169.254.1.1 4000 > 198.51.100.1 80", id::LINK_LOCAL, link_local),
            (LAN, "tcp 192.168.1.5 4000 > 169.254.1.1 80", id::LINK_LOCAL, link_local),
            (LAN, "udp fe80::9 4000 > 2001:db8:10::1 53 self", id::DEFAULT_DENY_INET6, BLOCKED),
            (InterfaceId(9), "tcp 192.168.1.5 4000 > 198.51.100.1 80", id::DEFAULT_DENY_INET, BLOCKED),
            (InterfaceId::SELF, "tcp 192.168.1.5 4000 > 198.51.100.1 80", id::DEFAULT_DENY_INET, BLOCKED),
        ],
    );
}

#[test]
fn denied_packets_are_logged_and_passed_ones_are_not() {
    let rules = lab();
    let log = |interface, text| match rules.evaluate(&packet(interface, text)) {
        Verdict::Pass(pass) => pass.log(),
        Verdict::Block { log, .. } => log,
    };
    assert!(log(WAN, "tcp 198.51.100.1 4000 > 203.0.113.2 443 self"));
    assert!(log(WAN, "tcp 192.168.1.5 4000 > 203.0.113.2 80 self"));
    assert!(!log(LAN, "tcp 192.168.1.5 4000 > 198.51.100.1 80"));
}

#[test]
fn every_rule_can_be_looked_up() {
    let rules = lab();
    let infos: Vec<&RuleInfo> = rules.rules().collect();
    assert!(infos.is_sorted_by_key(|info| info.id));
    assert!(infos.windows(2).all(|pair| pair[0].id != pair[1].id), "ids are unique");
    for info in infos {
        let own = info.id.0 >= config::defaults::FIRST_RULE_ID;
        assert_eq!(info.automatic.is_none(), own, "{info:?}");
        assert!(!info.description.is_empty());
        assert_eq!(info.interfaces.is_empty(), info.text.is_empty(), "{info:?}");
    }
    let info = rules.rule(id::ANTI_LOCKOUT).unwrap();
    assert_eq!(info.automatic.and_then(Setting::path), Some("system.anti_lockout"));
    assert_eq!(info.interfaces, [LAN]);
    assert!(info.text.starts_with("pass in quick proto tcp from any to { 192.168.1.1/32 "), "{}", info.text);
    assert!(info.text.ends_with(" port 443"), "{}", info.text);
    let info = rules.rule(id::PRIVATE).unwrap();
    assert_eq!((info.automatic, &info.interfaces[..]), (Some(Setting::BlockPrivate), &[WAN][..]));
    assert!(rules.rule(id::BOGONS).unwrap().interfaces.is_empty(), "off in the lab");
    assert_eq!(rules.rule(id::DEFAULT_DENY_INET).unwrap().text, "block in log inet from any to any");
    let icmpv6 = &rules.rule(id::ICMPV6_LINK).unwrap().text;
    assert!(
        icmpv6.ends_with("icmp-type { 133 134 135 136 } # to the firewall itself or a group on the link"),
        "{icmpv6}"
    );
    assert_eq!(rules.rule(id::ANTI_SPOOF).unwrap().interfaces, [WAN, LAN, DMZ]);
    let info = rules.rule(DMZ_NOT_GUI).unwrap();
    assert_eq!((info.description.as_str(), info.automatic), ("DMZ may not reach the GUI", None));
    assert!(rules.rule(RuleId(5)).is_none());
}

#[test]
fn a_pass_is_recalled_only_while_its_rule_passes() {
    let rules = lab();
    assert_eq!(rules.recall(LAN_PASS, Direction::In).map(Pass::rule), Some(LAN_PASS));
    assert!(rules.recall(LAN_PASS, Direction::Out).is_none());
    assert!(rules.recall(DMZ_NOT_LAN, Direction::In).is_none(), "it blocks");
    assert!(rules.recall(RuleId(1_234_567), Direction::In).is_none());
    assert!(rules.recall(id::OUT_INET, Direction::Out).is_some());
    let rules = lab_with(|config| config.rules[0].disabled = true);
    assert!(rules.recall(LAN_PASS, Direction::In).is_none());
    assert!(rules.rule(LAN_PASS).is_some(), "a disabled rule is still shown");
}

#[test]
fn witnesses_are_small_and_carry_the_rule() {
    assert_eq!(size_of::<Pass>(), 8);
    let Verdict::Pass(pass) = lab().evaluate(&packet(LAN, "tcp 192.168.1.5 1 > 198.51.100.1 80")) else {
        panic!("blocked")
    };
    assert_eq!(pass, Pass::forged(LAN_PASS));
    let passed = Passed::new("frame", pass);
    assert_eq!((*passed.get(), passed.into_inner()), ("frame", "frame"));
    assert_eq!(size_of::<Passed<u64>>(), 8, "costs nothing");
}

/// Each field of a rule: with it, without it, and a packet whose fate it changes.
#[test]
fn every_field_of_a_rule_changes_a_verdict() {
    type Edit = fn(&mut Rule);
    let base = |config: &mut Config| {
        config.rules.truncate(1);
        config.rules[0].source = Endpoint::default();
    };
    let verdict = |edit: Edit, text: &str| {
        let rules = lab_with(|config| {
            base(config);
            edit(&mut config.rules[0]);
        });
        rules.evaluate(&packet(LAN, text))
    };
    let tcp4 = "tcp 192.168.1.5 4000 > 198.51.100.1 80";
    let tcp6 = "tcp 2001:db8:10::5 4000 > 2001:db8:99::1 80";
    let rows: [(&str, Edit, &str); 13] = [
        ("id", |rule| rule.id = RuleId(2_000_000), tcp4),
        ("interface", |rule| rule.interface = Interfaces::one("dmz"), tcp4),
        ("action", |rule| rule.action = Action::Block, tcp4),
        ("family", |rule| rule.family = RuleFamily::Inet6, tcp4),
        ("family", |rule| rule.family = RuleFamily::Inet, tcp6),
        ("protocol", |rule| rule.protocol = Protocol::Udp, tcp4),
        ("source", |rule| rule.source.place = Place::Prefix("192.168.1.6/32".parse().unwrap()), tcp4),
        ("source not", |rule| rule.source = Endpoint { not: true, place: Place::Net("lan".into()) }, tcp4),
        (
            "source_port",
            |rule| {
                (rule.protocol, rule.source_port) =
                    (Protocol::Tcp, PortRange::new(4001, 5000).map(Ports::Range))
            },
            tcp4,
        ),
        ("destination", |rule| rule.destination.place = Place::Net("dmz".into()), tcp4),
        (
            "destination_port",
            |rule| {
                (rule.protocol, rule.destination_port) =
                    (Protocol::TcpUdp, PortRange::new(81, 90).map(Ports::Range))
            },
            tcp4,
        ),
        ("log", |rule| rule.log = true, tcp4),
        ("disabled", |rule| rule.disabled = true, tcp4),
    ];
    for (field, edit, text) in rows {
        assert_ne!(verdict(|_| {}, text), verdict(edit, text), "{field}");
    }
    let described = lab_with(|config| config.rules[0].description = "new words".into());
    assert_eq!(described.rule(LAN_PASS).unwrap().description, "new words");
}

#[test]
fn words_for_places_mean_what_pf_means() {
    let rules_for = |destination: &str| {
        let destination: Endpoint = String::from(destination).try_into().unwrap();
        lab_with(|config| config.rules[0].destination = destination)
    };
    let config = config::load(LAB).unwrap();
    let dmz_link_local = config.link_local(config.node(None).unwrap(), DMZ).to_string();
    for (words, destination, passes) in [
        ("any", "198.51.100.1", true),
        ("dmz net", "10.20.0.7", true),
        ("dmz net", "10.21.0.7", false),
        ("dmz net", "2001:db8:20::7", true),
        ("! dmz net", "10.20.0.7", false),
        ("! dmz net", "2001:db8:20::7", false),
        ("! dmz net", "198.51.100.1", true),
        ("dmz address", "10.20.0.1", true),
        ("dmz address", "10.20.0.7", false),
        ("dmz address", "2001:db8:20::1", true),
        ("this firewall", "203.0.113.2", true),
        ("this firewall", "2001:db8:1::2", true),
        ("this firewall", dmz_link_local.as_str(), true),
        ("this firewall", "10.20.0.7", false),
        ("! this firewall", "203.0.113.2", false),
        ("! this firewall", "203.0.113.1", true),
        ("198.51.100.0/24", "198.51.100.200", true),
        ("198.51.100.0/24", "198.51.101.1", false),
        ("198.51.100.0/24", "2001:db8:99::1", false),
        ("! 198.51.100.0/24", "198.51.101.1", true),
        // A rule about an IPv4 address is about IPv4.
        ("! 198.51.100.0/24", "2001:db8:99::1", false),
        ("2001:db8:99::/48", "2001:db8:99:5::1", true),
        ("2001:db8:99::1", "2001:db8:99::2", false),
    ] {
        let source = if destination.contains(':') { "2001:db8:10::5" } else { "192.168.1.5" };
        let text = format!("tcp {source} 4000 > {destination} 80 self");
        let (rule, _) = ask(&rules_for(words), LAN, &text);
        assert_eq!(rule == LAN_PASS, passes, "{words}: {destination}");
    }
}

#[test]
fn a_firewall_without_lan_has_no_anti_lockout_rule() {
    let rules = lab_with(|config| {
        config.interfaces[1].zone = Zone::Dmz;
        config.outbound.mode = OutboundMode::Disabled;
    });
    assert!(rules.rule(id::ANTI_LOCKOUT).unwrap().interfaces.is_empty());
    assert!(rules.recall(id::ANTI_LOCKOUT, Direction::In).is_none());
}
