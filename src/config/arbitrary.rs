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

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Any),
        prefix().prop_map(Place::Prefix),
        place_name().prop_map(Place::Net),
        place_name().prop_map(Place::Address),
        Just(Place::ThisFirewall),
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<bool>(), place()).prop_map(|(not, place)| Endpoint { not, place })
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
    prop_oneof![Just(Action::Pass), Just(Action::Block)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let what = (any::<u32>().prop_map(RuleId), name(), action(), family(), protocol());
    let who = (endpoint(), option::of(ports()), endpoint(), option::of(ports()));
    let rest = (any::<bool>(), any::<bool>(), text());
    (what, who, rest).prop_map(|(what, who, rest)| {
        let (id, interface, action, family, protocol) = what;
        let (source, source_port, destination, destination_port) = who;
        let (log, disabled, description) = rest;
        Rule {
            id,
            interface,
            action,
            family,
            protocol,
            source,
            source_port,
            destination,
            destination_port,
            log,
            disabled,
            description,
        }
    })
}

fn interface() -> impl Strategy<Value = Interface> {
    let zone = prop_oneof![Just(Zone::Wan), Just(Zone::Lan), Just(Zone::Dmz)];
    let sizes = (option::of(any::<u16>()), any::<u16>(), option::of(any::<u16>()));
    let flags = any::<(bool, bool, bool)>();
    (name(), text(), zone, name(), sizes, flags).prop_map(|(name, description, zone, port, sizes, flags)| {
        Interface {
            name,
            description,
            zone,
            port,
            vlan: sizes.0,
            mtu: sizes.1,
            mss: sizes.2,
            block_private: flags.0,
            block_bogons: flags.1,
            router_advertisements: flags.2,
        }
    })
}

fn node() -> impl Strategy<Value = Node> {
    let driver = prop_oneof![Just(Driver::Offload), Just(Driver::Plain)];
    let port = (name(), option::of(name()), option::of(name()), option::of(name()), driver)
        .prop_map(|(name, tap, macvtap, netns, driver)| Port { name, tap, macvtap, netns, driver });
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

fn system() -> impl Strategy<Value = System> {
    let web = any::<u16>().prop_map(|port| Web { port });
    let timeouts = (any::<u32>(), any::<u32>()).prop_map(|(udp_first, frag)| Timeouts {
        udp_first,
        frag,
        ..Timeouts::default()
    });
    let keys = proptest::collection::vec(any::<[u8; 32]>().prop_map(ReleaseKey), 0..3);
    let floor =
        proptest::option::of(any::<(u16, u16, u16)>().prop_map(|(major, minor, patch)| ReleaseVersion {
            major,
            minor,
            patch,
        }));
    (text(), any::<u32>(), any::<bool>(), (keys, floor), web, timeouts).prop_map(
        |(hostname, state_limit, anti_lockout, (release_keys, version_floor), web, timeouts)| System {
            hostname,
            state_limit,
            anti_lockout,
            release_keys,
            version_floor,
            web,
            timeouts,
        },
    )
}

/// Any document with at least one node and one interface that can be written as TOML.
pub(crate) fn config() -> impl Strategy<Value = Config> {
    let gateway = (name(), name(), any::<IpAddr>(), any::<bool>(), text()).prop_map(
        |(name, interface, address, default, description)| Gateway {
            name,
            interface,
            address,
            default,
            description,
        },
    );
    let route = (prefix(), name(), text()).prop_map(|(destination, gateway, description)| Route {
        destination,
        gateway,
        description,
    });
    let mode = prop_oneof![Just(OutboundMode::Automatic), Just(OutboundMode::Disabled)];
    let head = (0..=i64::MAX as u64, system(), option::of(pair()), list(virtual_ip()));
    let lists = (list(node()), list(interface()), list(gateway), list(route), list(rule()));
    (head, lists, mode).prop_map(|((revision, system, pair, virtual_ips), lists, mode)| Config {
        schema: super::defaults::SCHEMA,
        revision,
        system,
        pair,
        nodes: lists.0,
        interfaces: lists.1,
        virtual_ips,
        gateways: lists.2,
        routes: lists.3,
        rules: lists.4,
        outbound: Outbound { mode },
    })
}
