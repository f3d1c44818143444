//! One configuration, compiled for one node: what the packet path reads.
//!
//! Invariant: immutable. It is made off the packet path and swapped between two batches; its `epoch` tells flows
//! that were admitted under an older one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::gateways;
use super::pair::PairPart;
use super::virtual_ip::{self, VirtualIp};

use crate::config::defaults::FRAGMENT_LIMIT;
use crate::config::model::{Scrub, StateType, Syncookies, Timeouts, Zone};
use crate::config::{self, Conditions, Config, NodeIndex, Valid};
use crate::conntrack::ConntrackConfig;
use crate::nat::{self, Surroundings, Translations};
use crate::route::{
    AdvertiserLink, Fib, GatewaysConfig, LinkConfig, NeighbourConfig, NextHop, Selection, Status,
    VirtualAddress,
};
use crate::rules::{self, Ruleset};
use crate::types::{Duration, Family, GatewayId, InterfaceId, MacAddr, PortId, Prefix, RuleId};
use crate::wire::{Offload, reassembly};

/// A logical interface on this node.
#[derive(Clone, Debug)]
pub struct Link {
    /// Logical name.
    pub name: String,
    /// For people.
    pub description: String,
    /// Side of the firewall.
    pub zone: Zone,
    /// The port that carries it.
    pub port: PortId,
    /// 802.1Q tag.
    pub vlan: Option<u16>,
    /// MAC address.
    pub mac: MacAddr,
    /// Largest IP packet.
    pub mtu: u16,
    /// MSS clamp, the value that a person wrote (headers not yet taken off).
    pub mss: Option<u16>,
    /// What is put right in packets.
    pub scrub: Scrub,
    /// Own addresses with their networks, the automatic link-local one included.
    pub addresses: Vec<Prefix>,
    /// Virtual IPs, whoever has them at present.
    pub virtual_ips: Vec<VirtualIp>,
    /// The MAC address of the peer there.
    pub peer: Option<MacAddr>,
    /// Sends router advertisements.
    pub advertises: bool,
}

impl Link {
    /// The address that NAT and the router's own traffic use.
    pub fn primary(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().map(Prefix::addr).find(|address| match (family, address) {
            (Family::Inet, IpAddr::V4(_)) => true,
            (Family::Inet6, IpAddr::V6(address)) => !address.is_unicast_link_local(),
            (Family::Inet, IpAddr::V6(_)) | (Family::Inet6, IpAddr::V4(_)) => false,
        })
    }

    /// The virtual address of a family that moves with the pair's role.
    pub fn moving(&self, family: Family) -> Option<IpAddr> {
        self.virtual_ips.iter().filter(|vip| !vip.foreign).find_map(|vip| vip.primary(family))
    }

    /// The virtual link-local address, by which hosts know the router, and the MAC address that goes with it.
    pub fn virtual_router(&self) -> Option<(Ipv6Addr, MacAddr)> {
        let moving = self.virtual_ips.iter().filter(|vip| !vip.foreign);
        let mut addresses =
            moving.flat_map(|vip| vip.addresses.iter().map(|prefix| (prefix.addr(), vip.mac)));
        addresses.find_map(|(address, mac)| match address {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some((address, mac)),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        })
    }

    /// The link-local address, when the link has IPv6.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.addresses.iter().find_map(|prefix| match prefix.addr() {
            IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        })
    }
}

/// Where a route came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteOrigin {
    /// A network of an interface.
    Connected,
    /// A static route.
    Static,
    /// The default gateway.
    Default,
}

/// One configuration, compiled for one node.
#[derive(Clone)]
pub struct Compiled {
    /// The document.
    pub config: Arc<Valid<Config>>,
    /// Its canonical hash, which takes too long to be made anew where packets wait.
    pub hash: String,
    /// Which `[[node]]` this is.
    pub node: NodeIndex,
    /// Raised at each apply.
    pub epoch: u32,
    /// Logical interfaces; index is [`InterfaceId`].
    pub links: Vec<Link>,
    /// What each port can take over, agreed when it was opened; index is [`PortId`].
    pub offloads: Vec<Offload>,
    /// Virtual IPs of all interfaces; index is their bit in a standing.
    pub virtual_ips: Vec<VirtualIp>,
    /// The pair.
    pub pair: Option<PairPart>,
    /// The circumstances under which rules and translations were compiled.
    pub conditions: Arc<Conditions>,
    /// Rules.
    pub ruleset: Arc<Ruleset>,
    /// The overload tables that rules name.
    pub overload_tables: Vec<String>,
    /// Translations.
    pub translations: Arc<Translations>,
    /// Routes.
    pub fib: Arc<Fib>,
    /// The routes again, as rows for people.
    pub routes: Vec<(Prefix, NextHop, RouteOrigin)>,
    by_tag: HashMap<(PortId, u16), InterfaceId>,
    /// A bit for each virtual IP.
    pub(super) virtual_bits: u64,
    own: HashMap<IpAddr, InterfaceId>,
    /// By address, except the link-local ones: which virtual IP.
    virtual_owners: HashMap<IpAddr, u8>,
    broadcasts: HashMap<Ipv4Addr, InterfaceId>,
    /// By interface the IPv4 and the IPv6 address that flows leave with.
    outside: Vec<[Option<IpAddr>; 2]>,
    gateways: Vec<(InterfaceId, IpAddr)>,
    /// The gateways again, and the groups, as new flows are led by them.
    pub(super) uplinks: GatewaysConfig,
}

/// Tag number under which the untagged interface of a port is kept.
const UNTAGGED: u16 = u16::MAX;

impl Compiled {
    /// Compiles `config` for `node`, with every schedule in its hours. `offloads` has one entry per port of the node.
    pub fn new(config: Arc<Valid<Config>>, node: NodeIndex, epoch: u32, offloads: Vec<Offload>) -> Self {
        Compiled::under(config, node, epoch, offloads, Arc::default())
    }

    /// The same configuration under other circumstances. Rules are compiled again when the hour decides otherwise; when
    /// names and files stand for something else, tables are exchanged, and translations that name them compiled again.
    pub fn renewed(&self, epoch: u32, conditions: Arc<Conditions>) -> Self {
        if self.conditions.same_policy(&conditions) {
            return Compiled { epoch, conditions, ..self.clone() };
        }
        let ruleset = match self.conditions.same_hours(&conditions) {
            true => self.ruleset.renewed(&self.config, &self.conditions, &conditions),
            false => rules::compile(&self.config, self.node, &conditions),
        };
        let mut translations = Arc::clone(&self.translations);
        if !translations.tables().are_same(&self.conditions, &conditions) {
            let (links, routes) = (&self.links, &self.routes);
            translations = Arc::new(self::translations(&self.config, self.node, &conditions, links, routes));
        }
        Compiled { epoch, conditions, ruleset: Arc::new(ruleset), translations, ..self.clone() }
    }

    /// Compiles `config` for `node` as it is under these circumstances.
    pub fn under(
        config: Arc<Valid<Config>>,
        node: NodeIndex,
        epoch: u32,
        offloads: Vec<Offload>,
        conditions: Arc<Conditions>,
    ) -> Self {
        let links = links(&config, node);
        let routes = routes(&config, &links);
        let mut by_tag = HashMap::new();
        let mut own = HashMap::new();
        let mut broadcasts = HashMap::new();
        let virtual_ips = virtual_ip::virtual_ips(&config, node);
        let virtual_owners = owners(&virtual_ips);
        own.extend(virtual_owners.iter().filter_map(|(address, index)| {
            Some((*address, virtual_ips.get(usize::from(*index))?.interface))
        }));
        for (id, link) in numbered(&links) {
            by_tag.insert((link.port, link.vlan.unwrap_or(UNTAGGED)), id);
            for prefix in &link.addresses {
                own.insert(prefix.addr(), id);
                if let Prefix::V4(net) = prefix
                    && net.prefix_len() < 31
                {
                    broadcasts.insert(net.broadcast(), id);
                    broadcasts.insert(net.network(), id);
                }
            }
        }
        let gateway = |name: &str| links.iter().position(|link| link.name == name);
        let gateways = config
            .gateways
            .iter()
            .filter_map(|g| gateway(&g.interface).map(|index| (InterfaceId(index as u8), g.address)))
            .collect();
        Compiled {
            hash: config.hash(),
            ruleset: Arc::new(rules::compile(&config, node, &conditions)),
            overload_tables: rules::overload_tables(&config).into_iter().map(String::from).collect(),
            fib: Arc::new(Fib::new(routes.iter().map(|(prefix, next_hop, _)| (*prefix, *next_hop)))),
            translations: Arc::new(translations(&config, node, &conditions, &links, &routes)),
            conditions,
            outside: outside(&config, &links),
            pair: PairPart::new(&config, node),
            virtual_bits: virtual_ips.iter().fold(0, |bits, vip| bits | vip.bit()),
            virtual_ips,
            virtual_owners,
            node,
            epoch,
            links,
            offloads,
            routes,
            by_tag,
            own,
            broadcasts,
            gateways,
            uplinks: gateways::gateways(&config),
            config,
        }
    }

    /// The interface of a frame that came in by `port` with this tag.
    #[inline]
    pub fn interface(&self, port: PortId, tag: Option<u16>) -> Option<InterfaceId> {
        self.by_tag.get(&(port, tag.unwrap_or(UNTAGGED))).copied()
    }

    /// The link behind an id.
    #[inline]
    pub fn link(&self, id: InterfaceId) -> Option<&Link> {
        self.links.get(usize::from(id.0))
    }

    /// True when packets to `address` that came in by `ingress` are for the router itself. Link-local addresses
    /// count on their own interface only.
    #[inline]
    pub fn is_own(&self, address: IpAddr, ingress: InterfaceId) -> bool {
        match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => self.link(ingress).is_some_and(|link| {
                let virtual_ones = link.virtual_ips.iter().flat_map(|vip| &vip.addresses);
                link.addresses.iter().chain(virtual_ones).any(|own| own.addr() == address)
            }),
            IpAddr::V4(_) | IpAddr::V6(_) => self.own.contains_key(&address),
        }
    }

    /// The interface that has an address of the router's own.
    pub(super) fn interface_of(&self, address: IpAddr) -> Option<InterfaceId> {
        self.own.get(&address).copied()
    }

    /// The name of a gateway.
    pub(super) fn gateway_name(&self, id: GatewayId) -> &str {
        let mut gateways = self.config.gateways.iter();
        gateways.find(|gateway| GatewayId::of(&gateway.name) == id).map_or("", |gateway| &gateway.name)
    }

    /// What gateways are used when they are like this, in the document's order; those that are not named are up.
    pub fn selection(&self, statuses: &[Status]) -> Selection {
        Selection::new(&self.uplinks, statuses)
    }

    /// The virtual IP that an address belongs to, whoever has it at present. Link-local addresses count on the link
    /// of `ingress` only; for the router's own packets on any link.
    pub fn virtual_ip(&self, address: IpAddr, ingress: InterfaceId) -> Option<&VirtualIp> {
        if is_link_local(address) {
            let here = |vip: &&VirtualIp| ingress == InterfaceId::SELF || vip.interface == ingress;
            let has = |vip: &&VirtualIp| vip.addresses.iter().any(|prefix| prefix.addr() == address);
            return self.virtual_ips.iter().filter(here).find(has);
        }
        self.virtual_ips.get(usize::from(*self.virtual_owners.get(&address)?))
    }

    /// True for multicast, the limited broadcast and the broadcast addresses of our own networks.
    #[inline]
    pub fn is_multicast(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || self.broadcasts.contains_key(&v4),
            IpAddr::V6(v6) => v6.is_multicast(),
        }
    }

    /// What automatic outbound NAT hides.
    pub fn inside_networks(&self) -> Vec<Prefix> {
        inside_networks(&self.links, &self.routes)
    }

    /// The address that translated flows leave an interface with.
    pub fn outside_address(&self, interface: InterfaceId, family: Family) -> Option<IpAddr> {
        let [inet, inet6] = *self.outside.get(usize::from(interface.0))?;
        match family {
            Family::Inet => inet,
            Family::Inet6 => inet6,
        }
    }

    /// Where answers to a flow that came in by `ingress` go: the route when it leads there, else the network of
    /// that interface, else its gateway (what pfSense calls reply-to).
    pub fn reply_route(&self, destination: IpAddr, ingress: InterfaceId) -> Option<NextHop> {
        if let Some(next_hop) = self.fib.lookup(destination).filter(|hop| hop.interface == ingress) {
            return Some(next_hop);
        }
        let link = self.link(ingress)?;
        if link.addresses.iter().any(|net| net.contains(&destination)) {
            return Some(NextHop { interface: ingress, gateway: None });
        }
        let same_family = |address: &IpAddr| address.is_ipv4() == destination.is_ipv4();
        let gateway =
            self.gateways.iter().find(|(interface, address)| *interface == ingress && same_family(address));
        gateway.map(|(_, address)| NextHop { interface: ingress, gateway: Some(*address) })
    }

    /// The router's own address toward a destination.
    pub fn address_toward(&self, destination: IpAddr) -> Option<IpAddr> {
        self.link(self.fib.lookup(destination)?.interface)?.primary(Family::of(destination))
    }

    /// What a port can take over.
    #[inline]
    pub fn offload(&self, port: PortId) -> Offload {
        self.offloads.get(usize::from(port.0)).copied().unwrap_or(Offload::NONE)
    }

    /// The gateways of all interfaces.
    pub(super) fn gateways(&self) -> &[(InterfaceId, IpAddr)] {
        &self.gateways
    }

    /// What the connection table is told.
    pub(super) fn conntrack_config(&self) -> ConntrackConfig {
        let system = &self.config.system;
        let limit = system.state_limit;
        let proxies = system.syncookies != Syncookies::Never
            || self.config.rules.iter().any(|rule| rule.state_type == StateType::Synproxy);
        let limited = self.ruleset.rules().any(|info| !info.limits.is_none());
        let room = limit.saturating_add(limit / 8).saturating_add(1024);
        let outbound = &self.config.outbound;
        let independent = outbound.rules.iter().any(|rule| rule.endpoint_independent && !rule.disabled);
        ConntrackConfig {
            adaptive: system.adaptive(),
            syncookies: system.syncookies,
            cookie_marks: system.cookie_marks(),
            proxies: if proxies { room } else { 0 },
            source_nodes: if limited { room } else { 0 },
            mappings: if independent { room } else { 0 },
            ..ConntrackConfig::new(limit, system.timers())
        }
    }

    /// pf's timers of rules that have their own.
    pub(super) fn rule_timers(&self) -> impl Iterator<Item = (RuleId, Timeouts)> + '_ {
        self.ruleset.rules().filter_map(|info| Some((info.id, info.terms.timers?)))
    }

    /// What the neighbour tables are told.
    pub(super) fn neighbour_config(&self) -> NeighbourConfig {
        let link = |(id, link): (InterfaceId, &Link)| LinkConfig {
            id,
            mac: link.mac,
            addresses: link.addresses.clone(),
            virtual_addresses: link.virtual_ips.iter().flat_map(virtual_addresses).collect(),
            peer: link.peer,
        };
        NeighbourConfig { links: numbered(&self.links).map(link).collect() }
    }

    /// The links on which the router advertises itself.
    pub(super) fn advertiser_links(&self) -> Vec<AdvertiserLink> {
        let advertised = numbered(&self.links).filter(|(_, link)| link.advertises);
        advertised
            .filter_map(|(id, link)| {
                let (link_local, source_mac) =
                    link.virtual_router().or_else(|| Some((link.link_local()?, link.mac)))?;
                Some(AdvertiserLink {
                    id,
                    mac: link.mac,
                    source_mac,
                    link_local,
                    mtu: link.mtu,
                    prefixes: AdvertiserLink::prefixes(link.addresses.iter().map(Prefix::addr)),
                })
            })
            .collect()
    }

    /// How much may be half received.
    pub(super) fn reassembly_limits(&self) -> reassembly::Limits {
        reassembly::Limits {
            timeout: Duration::from_secs(self.config.system.timers().frag.into()),
            datagrams: self.config.system.fragment_limit.unwrap_or(FRAGMENT_LIMIT) as usize,
            ..reassembly::Limits::default()
        }
    }

    /// The same interfaces have the same numbers there, and the same places.
    pub(super) fn has_links_of(&self, other: &Compiled) -> bool {
        fn place(link: &Link) -> (&str, PortId, Option<u16>, MacAddr) {
            (&link.name, link.port, link.vlan, link.mac)
        }
        self.links.iter().map(place).eq(other.links.iter().map(place))
    }

    /// All interfaces that `port` carries.
    pub fn interfaces_of(&self, port: PortId) -> impl Iterator<Item = InterfaceId> + '_ {
        numbered(&self.links).filter(move |(_, link)| link.port == port).map(|(id, _)| id)
    }
}

/// Links with their ids.
pub fn numbered(links: &[Link]) -> impl Iterator<Item = (InterfaceId, &Link)> {
    links.iter().enumerate().map(|(index, link)| (InterfaceId(index as u8), link))
}

fn owners(virtual_ips: &[VirtualIp]) -> HashMap<IpAddr, u8> {
    let addresses = |vip: &'_ VirtualIp| -> Vec<(IpAddr, u8)> {
        vip.addresses.iter().map(|prefix| (prefix.addr(), vip.index)).collect()
    };
    virtual_ips.iter().flat_map(addresses).filter(|(address, _)| !is_link_local(*address)).collect()
}

fn virtual_addresses(vip: &VirtualIp) -> impl Iterator<Item = VirtualAddress> + '_ {
    let VirtualIp { index, mac, foreign, .. } = *vip;
    vip.addresses.iter().map(move |prefix| VirtualAddress { address: prefix.addr(), mac, index, foreign })
}

fn translations(
    config: &Valid<Config>,
    node: NodeIndex,
    conditions: &Conditions,
    links: &[Link],
    routes: &[(Prefix, NextHop, RouteOrigin)],
) -> Translations {
    let around = Surroundings {
        inside: &inside_networks(links, routes),
        untranslated: &untranslated(config),
        outside: &outside(config, links),
        conditions,
    };
    nat::compile(config, node, &around)
}

/// By interface the addresses that flows leave with.
fn outside(config: &Config, links: &[Link]) -> Vec<[Option<IpAddr>; 2]> {
    links.iter().map(|link| outside_addresses(config, link)).collect()
}

/// The nodes' own addresses do not move with the role, so a pair translates to virtual ones.
fn outside_addresses(config: &Config, link: &Link) -> [Option<IpAddr>; 2] {
    [Family::Inet, Family::Inet6].map(|family| match config.pair {
        Some(_) => link.moving(family),
        None => link.primary(family),
    })
}

/// The addresses of both nodes of a pair, which must not leave as the virtual one.
fn untranslated(config: &Config) -> Vec<IpAddr> {
    let nodes = if config.pair.is_some() { &config.nodes[..] } else { &[] };
    let parts = nodes.iter().flat_map(|node| &node.interfaces);
    parts.flat_map(|part| &part.addresses).map(Prefix::addr).filter(IpAddr::is_ipv4).collect()
}

fn links(config: &Valid<Config>, node: NodeIndex) -> Vec<Link> {
    let virtual_ips = virtual_ip::virtual_ips(config, node);
    let on = |id| virtual_ips.iter().filter(|vip| vip.interface == id).cloned().collect();
    let link = |(id, interface): (InterfaceId, &config::model::Interface)| {
        let mut addresses = config.addresses(node, id).to_vec();
        // IPv6 asks for links of at least 1280 bytes (RFC 8200 section 5).
        if interface.mtu >= 1280 {
            addresses.push(Prefix::new_assert(IpAddr::V6(config.link_local(node, id)), 64));
        }
        Link {
            name: interface.name.clone(),
            description: interface.description.clone(),
            zone: interface.zone,
            port: config.port_id(node, id),
            vlan: interface.vlan,
            mac: config.mac(node, id),
            mtu: interface.mtu,
            mss: interface.mss,
            scrub: interface.scrub,
            addresses,
            virtual_ips: on(id),
            peer: config.peer_of(node).map(|peer| config.mac(peer, id)),
            advertises: interface.router_advertisements,
        }
    };
    config.interface_ids().zip(&config.interfaces).map(link).collect()
}

pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The network that has every address of a family.
pub(super) fn everything(family: Family) -> Prefix {
    match family {
        Family::Inet => Prefix::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        Family::Inet6 => Prefix::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    }
}

fn routes(config: &Config, links: &[Link]) -> Vec<(Prefix, NextHop, RouteOrigin)> {
    let mut routes = Vec::new();
    for (interface, link) in numbered(links) {
        for net in link.addresses.iter().filter(|net| !is_link_local(net.addr())) {
            routes.push((net.trunc(), NextHop { interface, gateway: None }, RouteOrigin::Connected));
        }
    }
    let via = |gateway: &config::model::Gateway| {
        let index = links.iter().position(|link| link.name == gateway.interface)?;
        Some(NextHop { interface: InterfaceId(index as u8), gateway: Some(gateway.address) })
    };
    for route in &config.routes {
        let gateway = config.gateways.iter().find(|gateway| gateway.name == route.gateway);
        if let Some(next_hop) = gateway.and_then(via) {
            routes.push((route.destination.trunc(), next_hop, RouteOrigin::Static));
        }
    }
    for gateway in config.gateways.iter().filter(|gateway| gateway.default) {
        if let Some(next_hop) = via(gateway) {
            routes.push((everything(Family::of(gateway.address)), next_hop, RouteOrigin::Default));
        }
    }
    routes
}

/// What pfSense's automatic outbound NAT translates: the IPv4 networks of inside interfaces and the static routes
/// that lead there.
fn inside_networks(links: &[Link], routes: &[(Prefix, NextHop, RouteOrigin)]) -> Vec<Prefix> {
    let inside =
        |hop: &NextHop| links.get(usize::from(hop.interface.0)).is_some_and(|link| link.zone != Zone::Wan);
    routes
        .iter()
        .filter(|(net, hop, origin)| net.addr().is_ipv4() && inside(hop) && *origin != RouteOrigin::Default)
        .map(|(net, _, _)| *net)
        .collect()
}
