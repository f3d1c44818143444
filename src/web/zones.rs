//! WAN, LAN and DMZ as a picture: ports with their links, addresses, and who may go where under the rules in force.
//!
//! Invariant: what the picture says was asked of the packet path's own policy ([`explain`]), with a sample of packets:
//! every port that a rule names, some that none does, and an echo request.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::frame::Frame;
use super::message::{busy, html};
use super::pages::BESIDE_INTERFACES;
use super::site::Site;
use super::visitor::Visitor;
use crate::config::model::{Ports, Zone};
use crate::node::snapshot::{InterfaceRow, Snapshot};
use crate::node::{Asked, Compiled, explain};
use crate::types::Prefix;
use crate::wire::protocol;

/// Where it is.
pub(super) const ZONES: &str = "/interfaces/zones";
/// Ports that are tried besides those that rules name.
const USUAL: [u16; 6] = [22, 53, 80, 443, 8443, 40_123];
/// At most so many.
const PORTS: usize = 24;
/// Ports that are named in an answer.
const NAMED: usize = 4;
/// Somebody on the internet.
const INTERNET: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)), IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe))];

/// The interfaces of a zone.
struct Area {
    name: &'static str,
    says: &'static str,
    interfaces: Vec<InterfaceRow>,
}

/// Where packets come from or go to.
struct Side {
    name: String,
    zone: &'static str,
    /// An address there, for each family.
    host: [Option<IpAddr>; 2],
}

/// Who may go where.
struct Way {
    from: String,
    /// To whom, and what.
    to: Vec<(String, Answer)>,
}

/// What may go some way.
#[derive(PartialEq, Eq, Debug)]
struct Answer {
    /// `pass`, `block`, or `part`.
    mark: &'static str,
    words: String,
}

/// The picture.
#[derive(Template)]
#[template(path = "zones.html")]
struct Zones {
    frame: Frame,
    areas: Vec<Area>,
    ways: Vec<Way>,
}

/// `GET /interfaces/zones`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let Some(snapshot) = site.handle.snapshot().await else { return busy() };
    let compiled = site.handle.in_force();
    let ways = tokio::task::spawn_blocking(move || ways(&compiled)).await.unwrap_or_default();
    let frame = Frame::new(&site, &visitor, "Zones", ZONES).await.with_tabs(BESIDE_INTERFACES);
    html(&Zones { frame, areas: areas(&snapshot), ways })
}

fn areas(snapshot: &Snapshot) -> Vec<Area> {
    let all = [("wan", "the outside"), ("lan", "the trusted inside"), ("dmz", "servers")];
    let area = |(name, says): (&'static str, &'static str)| Area {
        name,
        says,
        interfaces: snapshot.interfaces.iter().filter(|row| row.zone == name).cloned().collect(),
    };
    all.into_iter().map(area).collect()
}

fn ways(compiled: &Compiled) -> Vec<Way> {
    let sides: Vec<Side> = sides(compiled);
    let ports = ports(compiled);
    let own = |from: &str| {
        let link = compiled.links.iter().find(|link| link.name == from);
        let addresses = link.map(|link| link.addresses.as_slice()).unwrap_or_default();
        let first = |v4: bool| addresses.iter().map(Prefix::addr).find(|address| address.is_ipv4() == v4);
        [first(true), first(false)]
    };
    let way = |from: &Side| {
        let others = sides.iter().filter(|to| to.name != from.name);
        let others = others.map(|to| (place(to), try_out(compiled, &ports, from, to.host)));
        let firewall = ("this firewall".to_owned(), try_out(compiled, &ports, from, own(&from.name)));
        Way { from: place(from), to: others.chain([firewall]).collect() }
    };
    sides.iter().map(way).collect()
}

fn place(side: &Side) -> String {
    if side.zone == "wan" { format!("the internet ({})", side.name) } else { side.name.clone() }
}

fn sides(compiled: &Compiled) -> Vec<Side> {
    let side = |(index, link): (usize, &crate::node::Link)| {
        let zone = compiled.config.interfaces.get(index)?.zone;
        let host = |v4: bool| {
            let mut networks = link.addresses.iter().filter(|prefix| prefix.addr().is_ipv4() == v4);
            networks.find_map(|prefix| host(prefix, &link.addresses))
        };
        let inside = [host(true), host(false)];
        Some(Side {
            name: link.name.clone(),
            zone: zone_name(zone),
            host: match zone {
                Zone::Wan => INTERNET.map(Some),
                Zone::Lan | Zone::Dmz => inside,
            },
        })
    };
    compiled.links.iter().enumerate().filter_map(side).collect()
}

fn zone_name(zone: Zone) -> &'static str {
    match zone {
        Zone::Wan => "wan",
        Zone::Lan => "lan",
        Zone::Dmz => "dmz",
    }
}

/// An address of the network that is not the firewall's.
fn host(network: &Prefix, own: &[Prefix]) -> Option<IpAddr> {
    let taken = |address: IpAddr| own.iter().any(|prefix| prefix.addr() == address);
    match network {
        Prefix::V4(network) => network.hosts().take(16).map(IpAddr::V4).find(|address| !taken(*address)),
        Prefix::V6(network) if network.addr().is_unicast_link_local() => None,
        Prefix::V6(network) => {
            let hosts = network.hosts().skip(0x10).take(16);
            hosts.map(IpAddr::V6).find(|address| !taken(*address))
        }
    }
}

fn ports(compiled: &Compiled) -> BTreeSet<u16> {
    let rules = compiled.config.rules.iter().filter_map(|rule| rule.destination_port.as_ref());
    let forwards = compiled.config.port_forwards.iter().filter_map(|entry| entry.destination_port.as_ref());
    let named = rules.chain(forwards).filter_map(|ports| match ports {
        Ports::Range(range) => Some(range.first()),
        Ports::Alias(_) => None,
    });
    USUAL.into_iter().chain(named).take(PORTS).collect()
}

/// What may go from one side to an address, in either family.
fn try_out(compiled: &Compiled, ports: &BTreeSet<u16>, from: &Side, to: [Option<IpAddr>; 2]) -> Answer {
    let pairs: Vec<(IpAddr, IpAddr)> =
        from.host.iter().zip(to).filter_map(|(from, to)| Some(((*from)?, to?))).collect();
    let passes = |number: u8, port: u16| {
        pairs.iter().any(|(src, dst)| {
            let asked = Asked {
                interface: from.name.clone(),
                src: *src,
                sport: 50_000,
                dst: *dst,
                dport: port,
                protocol: number,
                dscp: 0,
            };
            let question = asked.question(compiled);
            question.is_ok_and(|question| explain(compiled, &[], &question).verdict == "pass")
        })
    };
    let open = |number: u8| ports.iter().copied().filter(|port| passes(number, *port)).collect::<Vec<_>>();
    let (tcp, udp, ping) = (open(protocol::TCP), open(protocol::UDP), passes(protocol::ICMP, 0));
    let all = tcp.len() == ports.len() && udp.len() == ports.len() && ping;
    if all {
        return Answer { mark: "pass", words: "everything".into() };
    }
    if tcp.is_empty() && udp.is_empty() && !ping {
        return Answer { mark: "block", words: "nothing".into() };
    }
    let words = [some("tcp", &tcp, ports.len()), some("udp", &udp, ports.len())];
    let ping = ping.then(|| "ping".to_owned());
    let words: Vec<String> = words.into_iter().flatten().chain(ping).collect();
    Answer { mark: "part", words: words.join(", ") }
}

fn some(name: &str, open: &[u16], all: usize) -> Option<String> {
    if open.is_empty() {
        return None;
    }
    if open.len() == all {
        return Some(format!("all {name}"));
    }
    let named: Vec<String> = open.iter().take(NAMED).map(u16::to_string).collect();
    let more = if open.len() > NAMED { " and more" } else { "" };
    Some(format!("{name} {}{more}", named.join(" ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config;
    use crate::node::Offload;

    fn compiled(text: &str) -> Compiled {
        let document = Arc::new(config::load(text).unwrap_or_else(|problems| panic!("{problems:#?}")));
        let node = document.node(None).or_else(|_| document.node(Some("alpha"))).unwrap();
        let ports = document.node_part(node).ports.len();
        Compiled::new(document, node, 1, vec![Offload::NONE; ports])
    }

    #[test]
    fn the_picture_says_what_the_rules_say() {
        let ways = ways(&compiled(include_str!("../../configs/lab.toml")));
        let words = |from: &str, to: &str| {
            let way = ways.iter().find(|way| way.from.contains(from)).unwrap();
            way.to.iter().find(|(name, _)| name.contains(to)).unwrap().1.words.clone()
        };
        assert_eq!(words("lan", "the internet"), "everything");
        assert_eq!(words("lan", "dmz"), "everything");
        assert_eq!(words("the internet", "lan"), "nothing");
        assert_eq!(words("the internet", "this firewall"), "nothing");
        assert_eq!(words("dmz", "lan"), "nothing");
        assert_eq!(words("dmz", "the internet"), "everything");
        let firewall = words("dmz", "this firewall");
        assert!(
            firewall.contains("all udp") && firewall.contains("ping") && !firewall.contains(" 443"),
            "{firewall}"
        );
    }
}
