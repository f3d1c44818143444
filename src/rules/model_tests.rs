//! The compiled classifier against a naive evaluator: random rules of every kind, random packets.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::automatic::id;
use super::*;
use crate::config::arbitrary::{action, direction, dscp, family, icmp_kind, protocol, state_type, tcp_flags};
use crate::config::model::{
    Action, Endpoint, Interfaces, Place, Ports, Protocol, Rule, RuleDirection, RuleFamily, StatePolicy,
    StateType,
};
use crate::config::{self, Aliases, Conditions, Config, Valid};
use crate::types::{Direction, Family, InterfaceId, PortRange, Prefix, RuleId};
use crate::wire::{Drop, FlowKey, Transport};

const LAB: &str = include_str!("../../tests/lab/one.toml");

const NAMES: &str = r#"
[[interface_group]]
name = "inside"
members = ["lan", "dmz"]
[[interface_group]]
name = "everywhere"
members = ["wan", "lan", "dmz"]
[[alias]]
name = "some"
type = "host"
entries = ["192.168.1.5", "198.51.100.100-198.51.100.220", "2001:db8:99::1", "more"]
[[alias]]
name = "more"
type = "network"
entries = ["10.20.0.0/16", { value = "2001:db8:20::/48", description = "servers" }]
[[alias]]
name = "nobody"
type = "host"
[[alias]]
name = "low"
type = "port"
entries = ["2", "4:5", "lower"]
[[alias]]
name = "lower"
type = "port"
entries = ["1"]
"#;

fn valid(config: Config) -> Valid<Config> {
    config::validate(config).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn compiled(config: &Valid<Config>) -> Ruleset {
    compile(config, config.node(None).unwrap(), &Conditions::default())
}

/// What the documentation says a person's rule matches, without any cleverness.
fn matches(config: &Valid<Config>, rule: &Rule, query: &Query, tag: Option<&str>) -> bool {
    let family = query.key.family();
    let family_fits = match rule.family {
        RuleFamily::Inet => family == Family::Inet,
        RuleFamily::Inet6 => family == Family::Inet6,
        RuleFamily::Inet46 => true,
    };
    let number = query.key.protocol();
    let protocol_fits = match rule.protocol {
        Protocol::Any => true,
        Protocol::Tcp => number == 6,
        Protocol::Udp => number == 17,
        Protocol::TcpUdp => number == 6 || number == 17,
        Protocol::Icmp => number == if family == Family::Inet { 1 } else { 58 },
        Protocol::Number(wanted) => number == wanted,
    };
    let direction_fits = match rule.direction {
        RuleDirection::In => query.direction == Direction::In,
        RuleDirection::Out => query.direction == Direction::Out,
        RuleDirection::Any => true,
    };
    let on = config.interface_name(query.interface);
    let group = |name: &str| config.interface_groups.iter().find(|group| group.name == name);
    let interface_fits = rule.interface.0.is_empty()
        || rule.interface.names().any(|name| {
            name == on || group(name).is_some_and(|group| group.members.iter().any(|member| member == on))
        });
    let port_fits = |ports: &Option<Ports>, port: u16| match ports {
        None => true,
        Some(Ports::Range(range)) => range.contains(port),
        Some(Ports::Alias(name)) => Aliases::new(config).ports(name).iter().any(|range| range.contains(port)),
    };
    let flags = match query.transport {
        Transport::Tcp { flags, .. } => flags,
        _ => 0,
    };
    let tag_fits =
        rule.tagged.as_ref().is_none_or(|tagged| (tag == Some(tagged.as_str())) != rule.not_tagged);
    family_fits
        && protocol_fits
        && direction_fits
        && interface_fits
        && tag_fits
        && (rule.icmp_types.is_empty()
            || rule
                .icmp_types
                .iter()
                .any(|kind| query.icmp_kind().is_some_and(|it| kind.number(family) == Some(it))))
        && rule.tcp_flags.is_none_or(|wanted| flags & wanted.out_of == wanted.set)
        && rule.dscp.is_none_or(|dscp| query.dscp == Some(dscp.bits()))
        && is_in(config, &rule.source, query.key.src())
        && is_in(config, &rule.destination, query.key.dst())
        && port_fits(&rule.source_port, query.key.src_port())
        && port_fits(&rule.destination_port, query.key.dst_port())
}

fn is_in(config: &Valid<Config>, endpoint: &Endpoint, address: IpAddr) -> bool {
    let node = config.node(None).unwrap();
    let of = |name: &str| config.interface_id(name).unwrap();
    let own = |id: InterfaceId| {
        let link_local = IpAddr::V6(config.link_local(node, id));
        config.addresses(node, id).iter().any(|p| p.addr() == address) || link_local == address
    };
    let inside = match &endpoint.place {
        Place::Any => true,
        // A rule about an IPv4 address is about IPv4.
        Place::Prefix(prefix) if prefix.addr().is_ipv4() != address.is_ipv4() => return false,
        Place::Range(range) if range.first().is_ipv4() != address.is_ipv4() => return false,
        Place::Prefix(prefix) => prefix.contains(&address),
        Place::Range(range) => range.contains(address),
        Place::Alias(name) => {
            Aliases::new(config).addresses(name).iter().any(|range| range.contains(address))
        }
        Place::Net(name) => {
            config.addresses(node, of(name)).iter().map(Prefix::trunc).any(|net| net.contains(&address))
        }
        Place::Address(name) => own(of(name)),
        Place::ThisFirewall => config.interface_ids().any(own),
    };
    inside != endpoint.not
}

/// pf's order, rule by rule.
fn naive(config: &Valid<Config>, bare: &Ruleset, query: &Query) -> Verdict {
    let mut verdict = bare.evaluate(query);
    let open = match verdict {
        Verdict::Block { rule, .. } => rule == id::DEFAULT_DENY_INET || rule == id::DEFAULT_DENY_INET6,
        Verdict::Pass(pass) => (id::OUT_SELF_INET.0..=id::OUT_INET6.0).contains(&pass.rule().0),
    };
    if !open {
        return verdict;
    }
    let drop = match query.direction {
        Direction::In => Drop::BlockedIn,
        Direction::Out => Drop::BlockedOut,
    };
    let is_group = |rule: &Rule| rule.interface.names().any(|name| name == "inside" || name == "everywhere");
    let floating = config.rules.iter().filter(|rule| rule.floating);
    let groups = config.rules.iter().filter(|rule| !rule.floating && is_group(rule));
    let tabs = config.rules.iter().filter(|rule| !rule.floating && !is_group(rule));
    let (mut tag, mut noted) = (None, false);
    for rule in floating.chain(groups).chain(tabs).filter(|rule| !rule.disabled) {
        if !matches(config, rule, query, tag) {
            continue;
        }
        tag = rule.tag.as_deref().or(tag);
        let block = |reject| Verdict::Block { rule: rule.id, drop, log: rule.log, reject };
        verdict = match rule.action {
            Action::Pass => {
                let pass = Pass::new(rule.id).logged(rule.log).with_options(rule.allow_options);
                let pass = pass.tracked(rule.state_type, StatePolicy::IfBound);
                let anywhere =
                    rule.tcp_flags.is_some_and(|flags| flags.out_of & 0x12 != 0x12 || flags.set & 0x12 != 2);
                Verdict::Pass(if anywhere { pass.picked_up_anywhere() } else { pass })
            }
            Action::Block => block(false),
            Action::Reject => block(true),
            Action::Match => {
                noted |= rule.log;
                continue;
            }
        };
        if rule.quick || !rule.floating {
            break;
        }
    }
    match verdict {
        Verdict::Pass(pass) if noted => Verdict::Pass(pass.logged(true)),
        Verdict::Block { rule, drop, reject, .. } if noted => {
            Verdict::Block { rule, drop, log: true, reject }
        }
        other => other,
    }
}

/// Few addresses, so that rules and packets meet often.
const ADDRESSES: [&str; 14] = [
    "192.168.1.5",
    "192.168.1.6",
    "192.168.1.1",
    "10.20.0.5",
    "10.20.0.1",
    "198.51.100.1",
    "198.51.100.200",
    "203.0.113.2",
    "2001:db8:10::5",
    "2001:db8:10::1",
    "2001:db8:20::5",
    "2001:db8:99::1",
    "2001:db8:1::2",
    "fe80::9",
];
const PLACES: [&str; 21] = [
    "any",
    "any",
    "lan net",
    "dmz net",
    "! dmz net",
    "! lan net",
    "wan address",
    "this firewall",
    "! this firewall",
    "192.168.1.5",
    "192.168.0.0/16",
    "! 198.51.100.0/24",
    "198.51.100.200",
    "198.51.100.0-198.51.100.200",
    "! 10.0.0.0-192.168.1.5",
    "2001:db8:99::/48",
    "! 2001:db8:20::/48",
    "some",
    "! some",
    "more",
    "nobody",
];

fn some_ports() -> impl Strategy<Value = Option<Ports>> {
    let range = (1u16..6, 0u16..4).prop_map(|(first, more)| PortRange::new(first, first + more).unwrap());
    proptest::option::weighted(
        0.3,
        prop_oneof![range.prop_map(Ports::Range), Just(Ports::Alias("low".into()))],
    )
}

fn rarely<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.2, of)
}

fn some_rule() -> impl Strategy<Value = Rule> {
    let interfaces = prop_oneof![
        4 => select(vec!["wan", "lan", "dmz", "inside", "everywhere"]).prop_map(Interfaces::one),
        1 => Just(Interfaces(Vec::new())),
        1 => Just(Interfaces(vec!["wan".into(), "inside".into()])),
    ];
    let place = || select(PLACES.to_vec()).prop_map(|text| String::from(text).try_into().unwrap());
    let tag = || rarely(select(vec!["one", "two"]).prop_map(String::from));
    let what = (interfaces, action(), family(), protocol());
    let who = (place(), some_ports(), place(), some_ports());
    let headers = (proptest::collection::vec(icmp_kind(), 0..3), rarely(tcp_flags()), rarely(dscp()));
    let tags = (tag(), tag(), any::<bool>(), state_type());
    let flags = (any::<[bool; 6]>(), direction());
    (what, who, headers, tags, flags).prop_map(|(what, who, headers, tags, (flags, direction))| {
        let floating = flags[0];
        let icmp = what.3 == Protocol::Icmp && flags[5];
        Rule {
            interface: what.0,
            floating,
            quick: floating && flags[1] && what.1 != Action::Match,
            direction: if floating { direction } else { RuleDirection::In },
            family: what.2,
            protocol: what.3,
            icmp_types: if icmp { headers.0 } else { Vec::new() },
            source: who.0,
            source_port: who.1,
            destination: who.2,
            destination_port: who.3,
            tcp_flags: headers.1.filter(|_| what.3 == Protocol::Tcp),
            dscp: headers.2,
            allow_options: flags[5] && what.1 == Action::Pass,
            state_type: if what.1 == Action::Pass { tags.3 } else { StateType::Keep },
            not_tagged: tags.2 && tags.1.is_some(),
            tag: tags.0.filter(|_| matches!(what.1, Action::Pass | Action::Match)),
            tagged: tags.1,
            log: flags[2],
            disabled: flags[3] && flags[4],
            ..Rule::new(RuleId(0), "", what.1)
        }
    })
}

fn some_query() -> impl Strategy<Value = Query> {
    let address = || select(ADDRESSES.to_vec()).prop_map(|text| text.parse::<IpAddr>().unwrap());
    let number = select(vec![1u8, 6, 6, 17, 47, 58]);
    let headers = (any::<u8>(), select(vec![0u8, 46]), any::<[bool; 2]>());
    (0u8..3, address(), address(), number, 1u16..9, 1u16..9, headers).prop_filter_map(
        "one family",
        |(interface, src, dst, number, src_port, dst_port, (flags, dscp, [out, is_self]))| {
            let transport = match number {
                6 => Transport::Tcp { flags, seq: 0, ack: 0, window: 0, header_len: 20 },
                17 => Transport::Udp,
                1 | 58 => Transport::IcmpQuery { request: true },
                _ => Transport::Other,
            };
            let direction = if out { Direction::Out } else { Direction::In };
            let key = FlowKey::new(number, src, src_port, dst, dst_port)?;
            Some(Query {
                to_self: is_self && !out,
                from_self: is_self && out,
                dscp: Some(dscp),
                ..Query::new(direction, InterfaceId(interface), key, transport)
            })
        },
    )
}

proptest! {
    #[test]
    fn the_classifier_equals_a_naive_evaluator(
        rules in proptest::collection::vec(some_rule(), 0..100),
        queries in proptest::collection::vec(some_query(), 1..60),
    ) {
        let mut config = config::parse(&format!("{LAB}{NAMES}")).unwrap();
        config.rules.clear();
        let bare = compiled(&valid(config.clone()));
        let config = with_rules(config, rules);
        let ruleset = compiled(&config);
        for query in queries {
            prop_assert_eq!(ruleset.evaluate(&query), naive(&config, &bare, &query), "{:?}", query);
        }
    }

    /// Exchanged tables give what compiling anew gives, and what is not about addresses is not made again.
    #[test]
    fn exchanged_tables_decide_as_rules_that_are_compiled_anew(
        rules in proptest::collection::vec(some_rule(), 0..60),
        queries in proptest::collection::vec(some_query(), 1..60),
        times in proptest::collection::vec(what_names_stand_for(), 2..5),
    ) {
        let names = NAMES.replace("\"more\"]", "\"more\", \"moves\", \"listed\"]");
        let mut config = config::parse(&format!("{LAB}{names}{MOVES}")).unwrap();
        config.rules.clear();
        let config = with_rules(config, rules);
        let node = config.node(None).unwrap();
        let first = compile(&config, node, &times[0]);
        let mut exchanged = first.renewed(&config, &times[0], &times[0]);
        for (before, now) in times.iter().zip(&times[1..]) {
            exchanged = exchanged.renewed(&config, before, now);
            let anew = compile(&config, node, now);
            for query in &queries {
                prop_assert_eq!(exchanged.decide(query), anew.decide(query), "{:?}", query);
            }
            prop_assert!(exchanged.rules().eq(anew.rules()), "what people are told");
        }
        prop_assert!(exchanged.classifier.shares_with(&first.classifier));
    }
}

/// What is left of these rules when those are gone that validation refuses.
fn with_rules(mut config: Config, rules: Vec<Rule>) -> Valid<Config> {
    for rule in rules {
        let mut one = config.clone();
        one.rules = vec![Rule { id: RuleId(1_000_000), ..rule }];
        if config::validate(one.clone()).is_ok() {
            let id = RuleId(1_000_000 + config.rules.len() as u32);
            config.rules.push(Rule { id, ..one.rules.remove(0) });
        }
    }
    valid(config)
}

const MOVES: &str = r#"
[[alias]]
name = "moves"
type = "host"
entries = ["host.example.org", "other.example.org"]
[[alias]]
name = "listed"
type = "urltable"
file = "/var/lib/listed.txt"
"#;

/// Addresses for each of two names, and the lines of a file.
fn what_names_stand_for() -> impl Strategy<Value = Conditions> {
    let some = || proptest::collection::vec(select(ADDRESSES.to_vec()), 0..4);
    (some(), some(), some()).prop_map(|(host, other, listed)| {
        let addresses = |texts: Vec<&str>| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
        let name = |text: &str| crate::wire::dns::Name::new(text).unwrap();
        let names =
            [(name("host.example.org"), addresses(host)), (name("other.example.org"), addresses(other))];
        let line = |text: &&str| Prefix::from(text.parse::<IpAddr>().unwrap()).into();
        let lines = listed.iter().map(line).collect();
        Conditions {
            names: Arc::new(names.into_iter().collect()),
            lists: Arc::new([("listed".to_owned(), lines)].into_iter().collect()),
            ..Conditions::default()
        }
    })
}

/// One name of one alias among ten thousand rules and a hundred thousand addresses.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a stopwatch is its purpose")]
fn figure_of_an_exchange() {
    let mut config = config::parse(&format!("{LAB}{NAMES}{MOVES}")).unwrap();
    let line = |n: u32| std::net::Ipv4Addr::from(0x0800_0000 + n * 2).to_string();
    let entry = |value| config::model::AliasEntry { value, description: String::new() };
    config.aliases[0].entries = (0..100_000u32).map(line).map(entry).collect();
    config.rules = (0..10_000u32)
        .map(|index| {
            let place = match index % 100 {
                0 => Place::Alias("some".into()),
                1 => Place::Alias("moves".into()),
                _ => Place::Prefix(
                    Prefix::new(std::net::Ipv4Addr::from(0x0900_0000 + (index << 8)).into(), 24).unwrap(),
                ),
            };
            let id = RuleId(1_000_000 + index);
            Rule { destination: Endpoint::at(place), ..Rule::new(id, "lan", Action::Pass) }
        })
        .collect();
    let config = valid(config);
    let node = config.node(None).unwrap();
    let under = |address: [u8; 4]| {
        let name = crate::wire::dns::Name::new("host.example.org").unwrap();
        Conditions { names: Arc::new([(name, vec![address.into()])].into()), ..Conditions::default() }
    };
    let (before, now) = (under([192, 0, 2, 1]), under([192, 0, 2, 2]));
    let start = std::time::Instant::now();
    let ruleset = compile(&config, node, &before);
    let middle = std::time::Instant::now();
    let exchanged = ruleset.renewed(&config, &before, &now);
    let end = std::time::Instant::now();
    assert!(exchanged.classifier.shares_with(&ruleset.classifier));
    println!(
        "10,000 rules compiled in {:?}, a table among them exchanged in {:?}",
        middle - start,
        end - middle
    );
}

/// The size of the tables, not of the rules: a large alias is one set, and lines are found across many words.
#[test]
fn large_aliases_and_long_lists_are_classified_right() {
    let mut config = config::parse(&format!("{LAB}{NAMES}")).unwrap();
    let addresses =
        (0..100_000u32).map(|index| std::net::Ipv4Addr::from(0x0800_0000 + index * 2).to_string());
    config.aliases[0].entries =
        addresses.map(|value| config::model::AliasEntry { value, description: String::new() }).collect();
    config.rules = (0..5_000u32)
        .map(|index| {
            let network = std::net::Ipv4Addr::from(0x0900_0000 + (index << 8));
            let place = Place::Prefix(Prefix::new(network.into(), 24).unwrap());
            let id = RuleId(1_000_000 + index);
            Rule { destination: Endpoint::at(place), ..Rule::new(id, "lan", Action::Pass) }
        })
        .collect();
    let place = Place::Alias("some".into());
    config
        .rules
        .push(Rule { destination: Endpoint::at(place), ..Rule::new(RuleId(2_000_000), "lan", Action::Pass) });
    let ruleset = compiled(&valid(config));
    let ask = |destination: std::net::Ipv4Addr| {
        let source = "192.168.1.5".parse().unwrap();
        let key = FlowKey::new(17, source, 1000, destination.into(), 53).unwrap();
        match ruleset.evaluate(&Query::new(Direction::In, InterfaceId(1), key, Transport::Udp)) {
            Verdict::Pass(pass) => Some(pass.rule()),
            Verdict::Block { .. } => None,
        }
    };
    for index in (0..5_000u32).step_by(97) {
        assert_eq!(ask((0x0900_0007 + (index << 8)).into()), Some(RuleId(1_000_000 + index)));
    }
    for index in (0..200_000u32).step_by(331) {
        let expected = (index % 2 == 0).then_some(RuleId(2_000_000));
        assert_eq!(ask((0x0800_0000 + index).into()), expected, "{index}");
    }
}
