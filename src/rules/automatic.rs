//! The rules that nobody wrote: pfSense's default policy, each with a stable id and the setting that owns it.
//!
//! The order is pfSense's: the default deny (not quick, so that it is what remains), required ICMPv6, port 0,
//! link-local, bogons, anti-spoofing, private networks, "let out anything" (not quick), anti-lockout, and then a
//! person's rules.

use super::bogons::{BOGONS, PRIVATE};
use super::criteria::{BOTH, Criteria, INWARD, OUTWARD, Scope, bit, only};
use super::draft::{Draft, Outcome};
use super::set::{PortSet, Set};
use crate::config::model::{Config, IcmpKind, Interface, Protocol, Zone};
use crate::config::{NodeIndex, Valid};
use crate::types::{Direction, Family, InterfaceId, Prefix, RuleId};
use crate::wire::Drop;
use crate::wire::pair::PORT;

/// Ids of automatic rules. They never change their meaning; a rule keeps its id on every interface.
pub mod id {
    use crate::types::RuleId;
    /// Default deny rule IPv4.
    pub const DEFAULT_DENY_INET: RuleId = RuleId(100);
    /// Default deny rule IPv6.
    pub const DEFAULT_DENY_INET6: RuleId = RuleId(101);
    /// Addresses that no packet may have.
    pub const MARTIANS: RuleId = RuleId(110);
    /// Neighbour discovery and router messages on the link.
    pub const ICMPV6_LINK: RuleId = RuleId(200);
    /// ICMPv6 errors for the firewall itself.
    pub const ICMPV6_ERRORS: RuleId = RuleId(201);
    /// Multicast listener discovery on the link.
    pub const ICMPV6_MLD: RuleId = RuleId(202);
    /// Echo requests between link-local addresses on a LAN.
    pub const ICMPV6_ECHO: RuleId = RuleId(203);
    /// Traffic from or to port 0.
    pub const PORT_ZERO: RuleId = RuleId(300);
    /// Link-local addresses are not forwarded.
    pub const LINK_LOCAL: RuleId = RuleId(310);
    /// Block bogon networks.
    pub const BOGONS: RuleId = RuleId(11_000);
    /// Sources of another interface's network, or of our own.
    pub const ANTI_SPOOF: RuleId = RuleId(11_500);
    /// The broadcast address of a network as source.
    pub const BROADCAST_SOURCE: RuleId = RuleId(11_501);
    /// Block private networks.
    pub const PRIVATE: RuleId = RuleId(12_000);
    /// Let out anything IPv4 from the firewall itself.
    pub const OUT_SELF_INET: RuleId = RuleId(20_000);
    /// Let out anything IPv6 from the firewall itself.
    pub const OUT_SELF_INET6: RuleId = RuleId(20_001);
    /// Let out IPv4 that was let in.
    pub const OUT_INET: RuleId = RuleId(20_002);
    /// Let out IPv6 that was let in.
    pub const OUT_INET6: RuleId = RuleId(20_003);
    /// Advertisements of CARP.
    pub const CARP: RuleId = RuleId(400);
    /// What the two nodes of a pair say to each other.
    pub const PAIR: RuleId = RuleId(401);
    /// Sources that made connections too fast.
    pub const OVERLOAD: RuleId = RuleId(402);
    /// Anti-lockout rule.
    pub const ANTI_LOCKOUT: RuleId = RuleId(10_000);
}

/// The setting that owns an automatic rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Setting {
    /// Part of the default policy; nothing turns it off.
    DefaultPolicy,
    /// `system.anti_lockout`
    AntiLockout,
    /// `block_private` of an interface
    BlockPrivate,
    /// `block_bogons` of an interface
    BlockBogons,
    /// `[[virtual_ip]]`
    VirtualIp,
    /// `[pair]`
    Pair,
    /// `association` of a port forward
    PortForward,
    /// `overload` of a rule
    Overload,
}

impl Setting {
    /// Where the setting stands in the document; `None` when there is nothing to set.
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Setting::DefaultPolicy => None,
            Setting::AntiLockout => Some("system.anti_lockout"),
            Setting::BlockPrivate => Some("interface.block_private"),
            Setting::BlockBogons => Some("interface.block_bogons"),
            Setting::VirtualIp => Some("virtual_ip"),
            Setting::Pair => Some("pair"),
            Setting::PortForward => Some("port_forward"),
            Setting::Overload => Some("rule.overload"),
        }
    }
}

/// What people are told about an automatic rule.
pub(super) struct About {
    pub id: RuleId,
    pub setting: Setting,
    pub direction: Direction,
    pub description: &'static str,
}

const fn about(id: RuleId, setting: Setting, direction: Direction, description: &'static str) -> About {
    About { id, setting, direction, description }
}

/// All automatic rules, by id.
pub(super) static ABOUT: &[About] = {
    use Direction::{In, Out};
    use Setting::{AntiLockout, BlockBogons, BlockPrivate, DefaultPolicy, Overload, Pair, VirtualIp};
    &[
        about(id::DEFAULT_DENY_INET, DefaultPolicy, In, "Default deny rule IPv4"),
        about(id::DEFAULT_DENY_INET6, DefaultPolicy, In, "Default deny rule IPv6"),
        about(id::MARTIANS, DefaultPolicy, In, "Block addresses that no packet may have (RFC 1812)"),
        about(id::ICMPV6_LINK, DefaultPolicy, In, "Required ICMPv6: neighbours and routers on the link"),
        about(id::ICMPV6_ERRORS, DefaultPolicy, In, "Required ICMPv6: errors for the firewall itself"),
        about(id::ICMPV6_MLD, DefaultPolicy, In, "Required ICMPv6: multicast listeners on the link"),
        about(id::ICMPV6_ECHO, DefaultPolicy, In, "Echo requests between link-local addresses on LAN"),
        about(id::PORT_ZERO, DefaultPolicy, In, "Block traffic from or to port 0"),
        about(id::LINK_LOCAL, DefaultPolicy, In, "Block forwarding of link-local addresses"),
        about(id::CARP, VirtualIp, In, "Pass CARP to whoever has the role"),
        about(id::PAIR, Pair, In, "Pass what the two nodes of the pair say to each other"),
        about(id::OVERLOAD, Overload, In, "Block sources in overload tables"),
        about(id::ANTI_LOCKOUT, AntiLockout, In, "Anti-lockout rule"),
        about(id::BOGONS, BlockBogons, In, "Block bogon networks"),
        about(id::ANTI_SPOOF, DefaultPolicy, In, "Block sources that live elsewhere (anti-spoofing)"),
        about(id::BROADCAST_SOURCE, DefaultPolicy, In, "Block broadcast addresses as source"),
        about(id::PRIVATE, BlockPrivate, In, "Block private networks"),
        about(id::OUT_SELF_INET, DefaultPolicy, Out, "Let out anything IPv4 from firewall host itself"),
        about(id::OUT_SELF_INET6, DefaultPolicy, Out, "Let out anything IPv6 from firewall host itself"),
        about(id::OUT_INET, DefaultPolicy, Out, "Let out IPv4 that a rule let in"),
        about(id::OUT_INET6, DefaultPolicy, Out, "Let out IPv6 that a rule let in"),
    ]
};

/// What a rule sees that is about these families on the way into an interface.
fn into(on: InterfaceId, families: &'static [Family]) -> Criteria {
    Criteria::new(bit(on), INWARD, families)
}

/// The automatic rules on the way into an interface that come before a person's own.
pub(super) fn before(config: &Valid<Config>, node: NodeIndex, on: InterfaceId) -> Vec<Draft> {
    let interface = &config.interfaces[usize::from(on.0)];
    let mut drafts = icmpv6(on, interface.zone);
    drafts.extend(port_zero(on));
    drafts.extend(pair(config, node, on));
    drafts.extend(link_local(on));
    drafts.extend(sources(config, node, on, interface));
    drafts
}

/// Keeps the GUI reachable from LAN.
pub(super) fn anti_lockout(config: &Valid<Config>, node: NodeIndex, on: InterfaceId) -> Option<Draft> {
    let zone = config.interfaces[usize::from(on.0)].zone;
    (config.system.anti_lockout && zone == Zone::Lan).then(|| {
        let criteria = Criteria {
            protocol: Protocol::Tcp,
            destination: Set::of(own_addresses(config, node, on)),
            destination_port: PortSet::one(config.system.web.port),
            ..into(on, BOTH)
        };
        Draft::new(id::ANTI_LOCKOUT, Outcome::Pass, criteria)
    })
}

/// The default deny: first in the list and not quick, so it decides when nothing else does; logged as in pfSense.
pub(super) fn default_deny(interfaces: u128, log: bool) -> Vec<Draft> {
    let ways = [INWARD, OUTWARD].into_iter();
    ways.flat_map(|way| {
        [(id::DEFAULT_DENY_INET, Family::Inet), (id::DEFAULT_DENY_INET6, Family::Inet6)].map(
            |(id, family)| {
                let criteria = Criteria::new(interfaces, way, only(family));
                Draft { log, quick: false, ..Draft::new(id, Outcome::Block(Drop::BlockedIn), criteria) }
            },
        )
    })
    .collect()
}

/// The way out of any interface: who was let in goes out, and so does the firewall itself, unless a floating rule says
/// otherwise. The last match is the one that tells the two apart.
pub(super) fn out(interfaces: u128, log: bool) -> [Draft; 4] {
    let let_out = |id, family, scope| {
        let criteria = Criteria { scope, ..Criteria::new(interfaces, OUTWARD, only(family)) };
        // IP options that were allowed on the way in do not have to be allowed again.
        Draft { log, quick: false, allow_options: true, ..Draft::new(id, Outcome::Pass, criteria) }
    };
    [
        let_out(id::OUT_INET, Family::Inet, Scope::Everything),
        let_out(id::OUT_INET6, Family::Inet6, Scope::Everything),
        let_out(id::OUT_SELF_INET, Family::Inet, Scope::FromSelf),
        let_out(id::OUT_SELF_INET6, Family::Inet6, Scope::FromSelf),
    ]
}

/// ICMPv6 that IPv6 cannot do without (RFC 4890 section 4.4). Unlike pfSense, which passes errors and
/// neighbour discovery from anywhere to anywhere, only what is for the router or its link passes here:
/// neighbour discovery is never forwarded (RFC 4861 section 7.1), and an error about a forwarded flow
/// passes with its flow.
fn icmpv6(on: InterfaceId, zone: Zone) -> Vec<Draft> {
    let about = |scope: Scope, kinds: &[u8]| Criteria {
        protocol: Protocol::Icmp,
        icmp: kinds.iter().copied().map(IcmpKind::Number).collect(),
        scope,
        ..into(on, only(Family::Inet6))
    };
    let pass = |id: RuleId, criteria: Criteria| Draft::new(id, Outcome::Pass, criteria);
    let mut drafts = vec![
        // Router and neighbour solicitation and advertisement.
        pass(id::ICMPV6_LINK, about(Scope::OnLink, &[133, 134, 135, 136])),
        // Unreachable, too big, time exceeded, parameter problem.
        pass(id::ICMPV6_ERRORS, about(Scope::ToSelf, &[1, 2, 3, 4])),
        // Multicast listener query, report, done, report version 2.
        pass(id::ICMPV6_MLD, about(Scope::OnLink, &[130, 131, 132, 143])),
    ];
    if zone == Zone::Lan {
        let echo = Criteria {
            source: Set::listed(&["fe80::/10"]),
            destination: Set::listed(&["fe80::/10", "ff02::/16"]),
            ..about(Scope::OnLink, &[128])
        };
        drafts.push(pass(id::ICMPV6_ECHO, echo));
    }
    drafts
}

/// What the role gets to see. It is taken out before these rules are asked; here they tell people so.
fn pair(config: &Valid<Config>, node: NodeIndex, on: InterfaceId) -> Vec<Draft> {
    let mut drafts = Vec::new();
    if config.virtual_ips().any(|(interface, _)| interface == on) {
        let criteria = Criteria { protocol: Protocol::Number(112), scope: Scope::OnLink, ..into(on, BOTH) };
        drafts.push(Draft::new(id::CARP, Outcome::Pass, criteria));
    }
    if config.pair.is_some() {
        let criteria = Criteria {
            protocol: Protocol::Udp,
            source: Set::listed(&["fe80::/10"]),
            destination: Set::of([Prefix::from(std::net::IpAddr::V6(config.link_local(node, on)))]),
            destination_port: PortSet::one(PORT),
            scope: Scope::ToSelf,
            ..into(on, only(Family::Inet6))
        };
        drafts.push(Draft::new(id::PAIR, Outcome::Pass, criteria));
    }
    drafts
}

fn port_zero(on: InterfaceId) -> [Draft; 2] {
    let about = || Criteria { protocol: Protocol::TcpUdp, ..into(on, BOTH) };
    [
        Criteria { source_port: PortSet::one(0), ..about() },
        Criteria { destination_port: PortSet::one(0), ..about() },
    ]
    .map(|criteria| Draft {
        log: true,
        ..Draft::new(id::PORT_ZERO, Outcome::Block(Drop::BlockedIn), criteria)
    })
}

/// RFC 3927 section 7 and RFC 4291 section 2.5.6: a router does not forward link-local addresses.
fn link_local(on: InterfaceId) -> [Draft; 2] {
    let networks = || Set::listed(&["169.254.0.0/16", "fe80::/10"]);
    let about = || Criteria { scope: Scope::Through, ..into(on, BOTH) };
    [Criteria { source: networks(), ..about() }, Criteria { destination: networks(), ..about() }]
        .map(|criteria| Draft::new(id::LINK_LOCAL, Outcome::Block(Drop::LinkLocal), criteria))
}

/// What a source address alone decides.
fn sources(config: &Valid<Config>, node: NodeIndex, on: InterfaceId, interface: &Interface) -> Vec<Draft> {
    let block = |id: RuleId, drop: Drop, source: Set| Draft {
        log: true,
        ..Draft::new(id, Outcome::Block(drop), Criteria { source, ..into(on, BOTH) })
    };
    let mut drafts = Vec::new();
    if interface.block_bogons {
        let log = config.system.logging.bogons;
        drafts.push(Draft { log, ..block(id::BOGONS, Drop::Martian, Set::listed(BOGONS)) });
    }
    // pf's antispoof: a network attached to another interface, and our own addresses. Link-local networks
    // are everywhere; a source behind a gateway may come in wherever its packets come from.
    let elsewhere = config.interface_ids().filter(|other| *other != on);
    let networks = elsewhere.flat_map(|other| config.addresses(node, other)).map(Prefix::trunc);
    let ours = config.interface_ids().flat_map(|id| own_addresses(config, node, id));
    drafts.push(block(id::ANTI_SPOOF, Drop::Spoofed, Set::of(networks.chain(ours))));
    let broadcasts = config.addresses(node, on).iter().filter_map(|prefix| match prefix {
        Prefix::V4(v4) if v4.prefix_len() < 31 => Some(Prefix::from(std::net::IpAddr::V4(v4.broadcast()))),
        Prefix::V4(_) | Prefix::V6(_) => None,
    });
    drafts.push(block(id::BROADCAST_SOURCE, Drop::Martian, Set::of(broadcasts)));
    if interface.block_private {
        let log = config.system.logging.private;
        drafts.push(Draft { log, ..block(id::PRIVATE, Drop::BlockedIn, Set::listed(PRIVATE)) });
    }
    drafts
}

/// The addresses of the firewall on an interface, the link-local and the virtual ones included, as in pf's `(lan)`.
pub(super) fn own_addresses(config: &Valid<Config>, node: NodeIndex, on: InterfaceId) -> Vec<Prefix> {
    let configured = config.addresses(node, on).iter().map(|prefix| Prefix::from(prefix.addr()));
    let virtual_ips = config.virtual_ips().filter(|(interface, _)| *interface == on);
    let virtual_ones =
        virtual_ips.flat_map(|(_, vip)| &vip.addresses).map(|prefix| Prefix::from(prefix.addr()));
    let link_local = Prefix::from(std::net::IpAddr::V6(config.link_local(node, on)));
    configured.chain(virtual_ones).chain([link_local]).collect()
}
