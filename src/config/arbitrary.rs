//! Random documents for property tests: any values that the model can hold, mostly nonsense.

use std::net::IpAddr;

use proptest::option;
use proptest::prelude::*;

use super::model::*;
use crate::types::{MacAddr, PortRange, Prefix, PublicKey, ReleaseKey, ReleaseVersion, RuleId, Vhid};

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["wan", "lan", "dmz", "[ -~]{0,6}"]
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äλ\\n\\t]{0,8}"
}

fn list<T: std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(of, 0..4)
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<IpAddr>(), 0u8..=128).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        Prefix::new(address, length.min(longest)).unwrap()
    })
}

pub(crate) fn ports() -> impl Strategy<Value = PortRange> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PortRange::new(a.min(b), a.max(b)).unwrap())
}

/// A name that an endpoint's text form can hold.
fn place_name() -> impl Strategy<Value = String> {
    prop_oneof!["wan", "lan", "dmz", "opt[0-9]"]
}

fn range() -> impl Strategy<Value = AddressRange> {
    prop_oneof![
        any::<[std::net::Ipv4Addr; 2]>()
            .prop_map(|[a, b]| AddressRange::new(a.min(b).into(), a.max(b).into())),
        any::<[std::net::Ipv6Addr; 2]>()
            .prop_map(|[a, b]| AddressRange::new(a.min(b).into(), a.max(b).into())),
    ]
    .prop_map(Option::unwrap)
}

fn alias_name() -> impl Strategy<Value = String> {
    prop_oneof!["servers", "web_ports", "[A-Z][a-z0-9_]{0,5}"]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Any),
        prefix().prop_map(Place::Prefix),
        range().prop_map(Place::Range),
        place_name().prop_map(Place::Net),
        place_name().prop_map(Place::Address),
        Just(Place::ThisFirewall),
        alias_name().prop_map(Place::Alias),
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<bool>(), place()).prop_map(|(not, place)| Endpoint { not, place })
}

fn port_words() -> impl Strategy<Value = Option<Ports>> {
    option::of(prop_oneof![ports().prop_map(Ports::Range), alias_name().prop_map(Ports::Alias)])
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        prefix().prop_map(Target::Prefix),
        range().prop_map(Target::Range),
        alias_name().prop_map(Target::Alias),
    ]
}

pub(crate) fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        Just(Protocol::Any),
        Just(Protocol::Tcp),
        Just(Protocol::Udp),
        Just(Protocol::TcpUdp),
        Just(Protocol::Icmp),
        any::<u8>().prop_map(Protocol::Number),
    ]
}

pub(crate) fn family() -> impl Strategy<Value = RuleFamily> {
    prop_oneof![Just(RuleFamily::Inet), Just(RuleFamily::Inet6), Just(RuleFamily::Inet46)]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Pass), Just(Action::Block), Just(Action::Reject), Just(Action::Match)]
}

pub(crate) fn direction() -> impl Strategy<Value = RuleDirection> {
    prop_oneof![Just(RuleDirection::In), Just(RuleDirection::Out), Just(RuleDirection::Any)]
}

pub(crate) fn icmp_kind() -> impl Strategy<Value = IcmpKind> {
    let word = proptest::sample::select(vec!["echoreq", "echorep", "unreach", "toobig", "timex"]);
    prop_oneof![word.prop_map(String::from), any::<u8>().prop_map(|kind| kind.to_string())]
        .prop_map(|text| text.try_into().unwrap())
}

pub(crate) fn tcp_flags() -> impl Strategy<Value = TcpFlags> {
    (any::<u8>(), any::<u8>()).prop_map(|(set, out_of)| TcpFlags { set: set & out_of, out_of })
}

pub(crate) fn dscp() -> impl Strategy<Value = Dscp> {
    (0u8..64).prop_map(|bits| bits.to_string().try_into().unwrap())
}

fn rule_id() -> impl Strategy<Value = RuleId> {
    any::<u32>().prop_map(RuleId)
}

type Who = (Endpoint, Option<Ports>, Endpoint, Option<Ports>);

fn who() -> impl Strategy<Value = Who> {
    (endpoint(), port_words(), endpoint(), port_words())
}

fn rule() -> impl Strategy<Value = Rule> {
    let what = (rule_id(), list(name()), action(), family(), protocol());
    let floats = (any::<(bool, bool)>(), direction());
    let headers = (list(icmp_kind()), option::of(tcp_flags()), option::of(dscp()), any::<bool>());
    let tags = (option::of(alias_name()), option::of(alias_name()), any::<bool>(), option::of(rule_id()));
    let rest = (
        any::<bool>(),
        any::<bool>(),
        text(),
        state_type(),
        option::of(state_policy()),
        any::<[Option<u32>; 3]>(),
        overload(),
        (option::of(name()), any::<bool>(), option::of(alias_name()), text(), any::<[Option<u32>; 2]>()),
    );
    (what, floats, who(), headers, tags, rest).prop_map(|(what, floats, who, headers, tags, rest)| Rule {
        max_src_conn: rest.6.0,
        max_src_conn_rate: rest.6.1,
        overload: rest.6.2,
        overload_flush: rest.6.3,
        timeouts: StateTimeouts {
            tcp_first: rest.6.4[0],
            udp_multiple: rest.6.4[1],
            ..StateTimeouts::default()
        },
        max_mss: rest.6.5,
        state_type: rest.3,
        state_policy: rest.4,
        schedule: rest.7.2,
        expires: rest.7.4[0].map(|seconds| Moment::from_secs(seconds.into())),
        paused_until: rest.7.4[1].map(|seconds| Moment::from_secs(seconds.into())),
        max_states: rest.5[0],
        max_src_nodes: rest.5[1],
        max_src_states: rest.5[2],
        gateway: rest.7.0,
        disable_reply_to: rest.7.1,
        interface: Interfaces(what.1),
        floating: floats.0.0,
        quick: floats.0.1,
        direction: floats.1,
        family: what.3,
        protocol: what.4,
        icmp_types: headers.0,
        source: who.0,
        source_port: who.1,
        destination: who.2,
        destination_port: who.3,
        tcp_flags: headers.1,
        dscp: headers.2,
        allow_options: headers.3,
        tag: tags.0,
        tagged: tags.1,
        not_tagged: tags.2,
        port_forward: tags.3,
        log: rest.0,
        disabled: rest.1,
        description: rest.2,
        separator: rest.7.3,
        ..Rule::new(what.0, "", what.2)
    })
}

type Overload = (Option<u32>, Option<SourceRate>, Option<String>, Flush, [Option<u32>; 2], Option<u16>);

fn overload() -> impl Strategy<Value = Overload> {
    let rate = (1..u32::MAX, 1..u32::MAX).prop_map(|(count, seconds)| SourceRate { count, seconds });
    let flush = prop_oneof![Just(Flush::None), Just(Flush::Rule), Just(Flush::All)];
    (
        any::<Option<u32>>(),
        option::of(rate),
        option::of(alias_name()),
        flush,
        any::<[Option<u32>; 2]>(),
        any::<Option<u16>>(),
    )
}

fn alias() -> impl Strategy<Value = Alias> {
    let kind = prop_oneof![
        Just(AliasKind::Host),
        Just(AliasKind::Network),
        Just(AliasKind::Port),
        Just(AliasKind::Urltable)
    ];
    let value =
        prop_oneof!["[0-9a-z.:/-]{0,8}", prefix().prop_map(|prefix| prefix.to_string()), alias_name()];
    let entry = (value, text()).prop_map(|(value, description)| AliasEntry { value, description });
    (alias_name(), kind, option::of(text()), list(entry), text())
        .prop_map(|(name, kind, file, entries, description)| Alias { file, name, kind, entries, description })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let weekday = proptest::sample::select(Weekday::ALL.to_vec());
    let day = (1u8..=12, 1u8..=28).prop_map(|(month, day)| MonthDay::new(month, day).unwrap());
    let hours = (0u16..1440, 1u16..=1440).prop_filter_map("no hours", |(first, end)| Hours::new(first, end));
    let range = (list(weekday), list(day), hours, text());
    let range = range.prop_map(|(weekdays, days, hours, description)| TimeRange {
        weekdays,
        days,
        hours,
        description,
    });
    (alias_name(), list(range), text()).prop_map(|(name, time_ranges, description)| Schedule {
        name,
        time_ranges,
        description,
    })
}

fn port_forward() -> impl Strategy<Value = PortForward> {
    let reflection = prop_oneof![Just(Reflection::Disable), Just(Reflection::Purenat)];
    let association = prop_oneof![Just(Association::None), Just(Association::Pass)];
    let what = (rule_id(), name(), family(), protocol());
    let to = (option::of(target()), option::of(any::<u16>()), option::of(reflection), association);
    (what, who(), to, any::<(bool, bool)>(), text()).prop_map(|(what, who, to, flags, description)| {
        PortForward {
            id: what.0,
            interface: what.1,
            family: what.2,
            protocol: what.3,
            source: who.0,
            source_port: who.1,
            destination: who.2,
            destination_port: who.3,
            target: to.0,
            local_port: to.1,
            reflection: to.2,
            association: to.3,
            no_redirect: flags.0,
            disabled: flags.1,
            description,
        }
    })
}

fn one_to_one() -> impl Strategy<Value = OneToOne> {
    let what = (rule_id(), name(), any::<IpAddr>(), prefix(), endpoint());
    (what, any::<(Option<bool>, bool, bool)>(), text()).prop_map(|(what, flags, description)| OneToOne {
        id: what.0,
        interface: what.1,
        external: what.2,
        internal: what.3,
        destination: what.4,
        reflection: flags.0,
        no_binat: flags.1,
        disabled: flags.2,
        description,
    })
}

fn npt() -> impl Strategy<Value = Npt> {
    (rule_id(), name(), prefix(), prefix(), any::<bool>(), text()).prop_map(
        |(id, interface, source, destination, disabled, description)| Npt {
            id,
            interface,
            source,
            destination,
            disabled,
            description,
        },
    )
}

fn outbound() -> impl Strategy<Value = Outbound> {
    let mode = prop_oneof![
        Just(OutboundMode::Automatic),
        Just(OutboundMode::Hybrid),
        Just(OutboundMode::Manual),
        Just(OutboundMode::Disabled)
    ];
    let pool = prop_oneof![Just(Pool::RoundRobin), Just(Pool::Random), Just(Pool::SourceHash)];
    let what = (rule_id(), name(), family(), protocol());
    let to = (option::of(target()), pool, option::of(ports()));
    let rule = (what, who(), to, any::<(bool, bool, bool, bool)>(), text()).prop_map(
        |(what, who, to, flags, description)| OutboundRule {
            family: what.2,
            protocol: what.3,
            source: who.0,
            source_port: who.1,
            destination: who.2,
            destination_port: who.3,
            target: to.0,
            pool: to.1,
            port: to.2,
            sticky: flags.0,
            static_port: flags.1,
            no_nat: flags.2,
            endpoint_independent: flags.2 != flags.3,
            disabled: flags.3,
            description,
            ..OutboundRule::new(what.0, &what.1)
        },
    );
    (mode, list(rule)).prop_map(|(mode, rules)| Outbound { mode, rules })
}

fn interface() -> impl Strategy<Value = Interface> {
    let zone = prop_oneof![Just(Zone::Wan), Just(Zone::Lan), Just(Zone::Dmz)];
    let sizes = (option::of(any::<u16>()), any::<u16>(), option::of(any::<u16>()));
    let flags = (any::<(bool, bool, bool)>(), any::<(bool, bool, Option<u8>, bool)>());
    (name(), text(), zone, name(), sizes, flags).prop_map(|(name, description, zone, port, sizes, flags)| {
        Interface {
            name,
            description,
            zone,
            port,
            vlan: sizes.0,
            mtu: sizes.1,
            mss: sizes.2,
            block_private: flags.0.0,
            block_bogons: flags.0.1,
            router_advertisements: flags.0.2,
            scrub: Scrub {
                no_df: flags.1.0,
                random_id: flags.1.1,
                min_ttl: flags.1.2,
                fragments: if flags.1.3 { Fragments::Drop } else { Fragments::Reassemble },
            },
        }
    })
}

fn node() -> impl Strategy<Value = Node> {
    let driver = prop_oneof![Just(Driver::Offload), Just(Driver::Plain)];
    let nic = option::of(any::<[u8; 6]>().prop_map(MacAddr));
    let port = (name(), option::of(name()), option::of(name()), nic, option::of(name()), driver)
        .prop_map(|(name, tap, macvtap, nic, netns, driver)| Port { name, tap, macvtap, nic, netns, driver });
    let interface = (name(), option::of(any::<[u8; 6]>().prop_map(MacAddr)), list(prefix()))
        .prop_map(|(name, mac, addresses)| NodeInterface { name, mac, addresses });
    let key = option::of(any::<[u8; 32]>().prop_map(PublicKey));
    let loopback = option::of(any::<std::net::SocketAddrV4>().prop_map(Into::into));
    (name(), key, loopback, list(port), list(interface)).prop_map(
        |(name, public_key, loopback, ports, interfaces)| Node {
            name,
            public_key,
            loopback,
            ports,
            interfaces,
        },
    )
}

fn pair() -> impl Strategy<Value = Pair> {
    (name(), name(), any::<(bool, u32, bool)>()).prop_map(
        |(sync, preferred, (preempt, preempt_delay, defer))| Pair {
            sync,
            preferred,
            preempt,
            preempt_delay,
            defer,
        },
    )
}

fn virtual_ip() -> impl Strategy<Value = VirtualIp> {
    let mac = prop_oneof![Just(VirtualMac::Virtual), Just(VirtualMac::Own)];
    let what = (name(), any::<u8>().prop_map(Vhid), list(prefix()), text().prop_map(Secret::new));
    let rest = (any::<(u8, u8, bool)>(), any::<Option<bool>>(), option::of(any::<IpAddr>()), mac, text());
    (what, rest).prop_map(|(what, rest)| {
        let (interface, vhid, addresses, password) = what;
        let ((advbase, advskew, foreign), preempt, peer, mac, description) = rest;
        VirtualIp {
            interface,
            vhid,
            addresses,
            password,
            advbase,
            advskew,
            foreign,
            preempt,
            peer,
            mac,
            description,
        }
    })
}

fn optimization() -> impl Strategy<Value = Optimization> {
    prop_oneof![
        Just(Optimization::Normal),
        Just(Optimization::HighLatency),
        Just(Optimization::Aggressive),
        Just(Optimization::Conservative),
        Just(Optimization::Rfc)
    ]
}

fn state_policy() -> impl Strategy<Value = StatePolicy> {
    prop_oneof![Just(StatePolicy::IfBound), Just(StatePolicy::Floating)]
}

pub(crate) fn state_type() -> impl Strategy<Value = StateType> {
    prop_oneof![
        Just(StateType::Keep),
        Just(StateType::Sloppy),
        Just(StateType::Synproxy),
        Just(StateType::None)
    ]
}

type Defence = (Syncookies, [Option<u8>; 2], [Option<u32>; 4], (bool, bool));

fn defence() -> impl Strategy<Value = Defence> {
    let syncookies =
        prop_oneof![Just(Syncookies::Never), Just(Syncookies::Always), Just(Syncookies::Adaptive)];
    (syncookies, any::<[Option<u8>; 2]>(), any::<[Option<u32>; 4]>(), any::<(bool, bool)>())
}

fn logging() -> impl Strategy<Value = Logging> {
    let server = (any::<IpAddr>(), option::of(1u16..))
        .prop_map(|(host, port)| Service { host: host.to_string(), port });
    let facility = prop_oneof![Just(Facility::Kern), Just(Facility::Local0), Just(Facility::Local7)];
    let severity = prop_oneof![Just(Severity::Emerg), Just(Severity::Info), Just(Severity::Debug)];
    (list(server), facility, severity, any::<[bool; 4]>(), any::<(u32, u8)>()).prop_map(
        |(servers, facility, severity, flags, (file_size, file_count))| Logging {
            servers,
            facility,
            severity,
            default_block: flags[0],
            default_pass: flags[1],
            bogons: flags[2],
            private: flags[3],
            file_size,
            file_count,
        },
    )
}

fn notification() -> impl Strategy<Value = Notification> {
    let url = (any::<IpAddr>(), option::of(1u16..443)).prop_map(|(host, port)| WebAddress {
        host: host.to_string(),
        port,
        path: "/hook".into(),
    });
    (option::of(url), option::of(text()), option::of(text()))
        .prop_map(|(url, secret, authority)| Notification { url, secret: secret.map(Secret::new), authority })
}

fn system() -> impl Strategy<Value = System> {
    let web = (any::<u16>(), option::of(name())).prop_map(|(port, certificate)| Web { port, certificate });
    let timeouts = any::<[Option<u32>; 2]>().prop_map(|[udp_first, frag]| SetTimeouts {
        udp_first,
        frag,
        ..SetTimeouts::default()
    });
    let states = (optimization(), state_policy(), kill_states(), any::<[bool; 4]>());
    let services = (list(name()), list(any::<IpAddr>()), (logging(), notification()));
    let clock = (proptest::sample::select(vec!["Etc/UTC", "Europe/Berlin", "x"]), any::<bool>());
    let keys = proptest::collection::vec(any::<[u8; 32]>().prop_map(ReleaseKey), 0..3);
    let floor =
        proptest::option::of(any::<(u16, u16, u16)>().prop_map(|(major, minor, patch)| ReleaseVersion {
            major,
            minor,
            patch,
        }));
    let limits = (any::<u32>(), defence());
    (text(), limits, any::<(bool, bool, bool)>(), (keys, floor), web, (timeouts, states, clock, services))
        .prop_map(
            |(
                hostname,
                (state_limit, defence),
                flags,
                (release_keys, version_floor),
                web,
                (timeouts, states, (zone, keeps), (time_servers, dns_servers, (logging, notification))),
            )| {
                let (anti_lockout, one_to_one_reflection, reflection) = flags;
                System {
                    hostname,
                    state_limit,
                    anti_lockout,
                    nat_reflection: if reflection { Reflection::Purenat } else { Reflection::Disable },
                    one_to_one_reflection,
                    optimization: states.0,
                    state_policy: states.1,
                    syncookies: defence.0,
                    syncookies_start: defence.1[0],
                    syncookies_end: defence.1[1],
                    adaptive_start: defence.2[0],
                    adaptive_end: defence.2[1],
                    overload_expire: defence.2[2],
                    fragment_limit: defence.2[3],
                    rfc: Rfc { ipv6_options: defence.3.0, refusals: defence.3.1 },
                    kill_states_on_gateway_failure: states.2,
                    kill_states_on_gateway_recovery: states.3[0],
                    skip_rules_when_gateway_down: states.3[1],
                    sticky_connections: states.3[2],
                    disable_reply_to: states.3[3],
                    release_keys,
                    version_floor,
                    timezone: zone.into(),
                    time_servers,
                    dns_servers,
                    logging,
                    notification,
                    schedules_keep_states: keeps,
                    web,
                    timeouts,
                }
            },
        )
}

fn user() -> impl Strategy<Value = User> {
    let role = prop_oneof![Just(UserRole::ReadOnly), Just(UserRole::Operator), Just(UserRole::Administrator)];
    let secrets = (text().prop_map(Secret::new), option::of(text().prop_map(Secret::new)));
    (name(), role, secrets, any::<bool>(), text()).prop_map(
        |(name, role, (password_hash, totp_secret), disabled, description)| User {
            name,
            role,
            password_hash,
            totp_secret,
            disabled,
            description,
        },
    )
}

fn certificate() -> impl Strategy<Value = Certificate> {
    (name(), text(), text().prop_map(Secret::new), text()).prop_map(
        |(name, certificate, private_key, description)| Certificate {
            name,
            certificate,
            private_key,
            description,
        },
    )
}

fn gateway() -> impl Strategy<Value = Gateway> {
    let who = (name(), name(), any::<IpAddr>(), option::of(any::<IpAddr>()), text());
    let flags = any::<[bool; 4]>();
    let numbers =
        (any::<u8>(), any::<[Option<u32>; 6]>(), any::<[Option<u8>; 2]>(), option::of(any::<u16>()));
    (who, flags, numbers, option::of(kill_states())).prop_map(|(who, flags, numbers, kill_states)| {
        let (weight, [latency_low, latency_high, interval, loss_interval, time_period, alert_interval], ..) =
            numbers;
        Gateway {
            name: who.0,
            interface: who.1,
            address: who.2,
            default: flags[0],
            weight,
            monitor: who.3,
            monitor_disable: flags[1],
            action_disable: flags[2],
            force_down: flags[3],
            data_payload: numbers.3,
            latency_low,
            latency_high,
            loss_low: numbers.2[0],
            loss_high: numbers.2[1],
            interval,
            loss_interval,
            time_period,
            alert_interval,
            kill_states,
            description: who.4,
        }
    })
}

fn gateway_group() -> impl Strategy<Value = GatewayGroup> {
    let member = (place_name(), any::<u8>()).prop_map(|(gateway, tier)| GroupMember { gateway, tier });
    let trigger = prop_oneof![
        Just(Trigger::Down),
        Just(Trigger::DownLoss),
        Just(Trigger::DownLatency),
        Just(Trigger::DownLossLatency)
    ];
    let states = option::of(prop_oneof![Just(FailoverStates::Keep), Just(FailoverStates::Kill)]);
    (name(), list(member), trigger, states, any::<bool>(), text()).prop_map(
        |(name, members, trigger, keep_failover_states, default, description)| GatewayGroup {
            name,
            members,
            trigger,
            keep_failover_states,
            default,
            description,
        },
    )
}

fn kill_states() -> impl Strategy<Value = KillStates> {
    prop_oneof![Just(KillStates::None), Just(KillStates::Down), Just(KillStates::All)]
}

/// Any document with at least one node and one interface that can be written as TOML.
pub(crate) fn config() -> impl Strategy<Value = Config> {
    let route = (prefix(), name(), text()).prop_map(|(destination, gateway, description)| Route {
        destination,
        gateway,
        description,
    });
    let group = (name(), list(name()), text()).prop_map(|(name, members, description)| InterfaceGroup {
        name,
        members,
        description,
    });
    let nat =
        (list(port_forward()).boxed(), list(one_to_one()).boxed(), list(npt()).boxed(), outbound().boxed());
    let names = (list(group), list(alias()), list(schedule()), list(gateway_group()));
    // Boxed, since all of it together is more than a thread's stack takes.
    let head = (
        0..=i64::MAX as u64,
        system().boxed(),
        option::of(pair()),
        list(virtual_ip()),
        list(user()),
        list(certificate()),
    );
    let some = proptest::collection::vec(node(), 1..4).boxed();
    let lists =
        (some, list(interface()).boxed(), list(gateway()).boxed(), list(route), list(rule().boxed()).boxed());
    (head, lists, names, nat).prop_map(
        |((revision, system, pair, virtual_ips, users, certificates), lists, names, nat)| Config {
            schema: super::defaults::SCHEMA,
            revision,
            system,
            pair,
            nodes: lists.0,
            interfaces: lists.1,
            virtual_ips,
            gateways: lists.2,
            gateway_groups: names.3,
            routes: lists.3,
            interface_groups: names.0,
            aliases: names.1,
            schedules: names.2,
            rules: lists.4,
            port_forwards: nat.0,
            one_to_ones: nat.1,
            npts: nat.2,
            outbound: nat.3,
            users,
            certificates,
        },
    )
}
