//! What rules and translations match: families, protocols, addresses, ports, in pfSense's words.

use std::net::IpAddr;

use super::super::tree::Element;
use super::context::Context;
use crate::config::model::{Endpoint, Place, Ports, Protocol, RuleFamily};
use crate::types::{PortRange, Prefix};

/// What could not be taken over of a rule.
#[derive(Default)]
pub(super) struct Lacks {
    /// It would match something else without these, so it is not in force.
    pub(super) matters: Vec<String>,
    /// It matches the same without these.
    pub(super) adapted: Vec<String>,
    /// What it matches cannot even be written here, so it stays out of the document.
    pub(super) unsayable: bool,
}

impl Lacks {
    pub(super) fn matters(&mut self, why: impl Into<String>) {
        self.matters.push(why.into());
    }

    pub(super) fn unknown(&mut self, why: impl Into<String>) {
        self.unsayable = true;
        self.matters.push(why.into());
    }

    pub(super) fn adapted(&mut self, how: impl Into<String>) {
        self.adapted.push(how.into());
    }
}

/// pfSense's words for protocols that have only a number here.
pub(in super::super) static PROTOCOLS: &[(&str, u8)] = &[
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st2", 5),
    ("egp", 8),
    ("igp", 9),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("eigrp", 88),
    ("ospf", 89),
    ("etherip", 97),
    ("pim", 103),
    ("ipcomp", 108),
    ("carp", 112),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("pfsync", 240),
];

/// Names of services that stand where ports do.
static SERVICES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("http", 80),
    ("pop3", 110),
    ("nntp", 119),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("smtps", 465),
    ("isakmp", 500),
    ("syslog", 514),
    ("submission", 587),
    ("ldaps", 636),
    ("imaps", 993),
    ("pop3s", 995),
    ("openvpn", 1194),
    ("l2tp", 1701),
    ("pptp", 1723),
    ("radius", 1812),
    ("hbci", 3000),
    ("ms-sql-s", 1433),
    ("mysql", 3306),
    ("rdp", 3389),
    ("sip", 5060),
    ("vnc", 5900),
    ("ipsec-msft", 4500),
];

pub(super) fn family(element: &Element, lacks: &mut Lacks) -> RuleFamily {
    match element.text_of("ipprotocol").unwrap_or("inet") {
        "inet" => RuleFamily::Inet,
        "inet6" => RuleFamily::Inet6,
        "inet46" => RuleFamily::Inet46,
        other => {
            lacks.unknown(format!("its address family \"{other}\" is not known"));
            RuleFamily::Inet
        }
    }
}

pub(super) fn protocol(element: &Element, lacks: &mut Lacks) -> Protocol {
    let text = element.text_of("protocol").unwrap_or("any").to_ascii_lowercase();
    match text.as_str() {
        "any" => Protocol::Any,
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "tcp/udp" => Protocol::TcpUdp,
        "icmp" | "icmp6" | "ipv6-icmp" => Protocol::Icmp,
        other => {
            let named = PROTOCOLS.iter().find(|(name, _)| *name == other).map(|(_, number)| *number);
            match named.or_else(|| other.parse().ok()) {
                Some(6) => Protocol::Tcp,
                Some(17) => Protocol::Udp,
                Some(1 | 58) => Protocol::Icmp,
                Some(number) => Protocol::Number(number),
                None => {
                    lacks.unknown(format!("its protocol \"{other}\" is not known"));
                    Protocol::Any
                }
            }
        }
    }
}

pub(super) const fn has_ports(protocol: Protocol) -> bool {
    match protocol {
        Protocol::Tcp | Protocol::Udp | Protocol::TcpUdp => true,
        Protocol::Any | Protocol::Icmp | Protocol::Number(_) => false,
    }
}

/// `source` or `destination` of a rule. `narrows` tells that the rule lets packets through, so that too few addresses
/// behind a `not` would let too many through.
pub(super) fn endpoint(
    ctx: &Context<'_>,
    element: Option<&Element>,
    narrows: bool,
    lacks: &mut Lacks,
) -> Endpoint {
    let Some(element) = element else { return Endpoint::default() };
    let not = ctx.flag(element, "not");
    let text = element.text_of("network").or_else(|| element.text_of("address"));
    // In an address pfSense looks for an alias, in a network for a word of its own.
    let alias = element
        .text_of("network")
        .is_none()
        .then_some(text)
        .flatten()
        .filter(|name| ctx.is_alias(name, false));
    let place = match text {
        _ if ctx.flag(element, "any") => Place::Any,
        None | Some("any") => Place::Any,
        Some(name) if alias.is_some() => Place::Alias(name.into()),
        Some(text) => place(ctx, text, lacks),
    };
    if let Place::Alias(name) = &place
        && not
        && narrows
        && ctx.partial.contains(name)
    {
        lacks.matters(format!(
            "it lets through all but the alias {name}, which could not be taken over whole"
        ));
    }
    if not && place == Place::Any {
        lacks.unknown("it matches everything but everything");
        return Endpoint::default();
    }
    Endpoint { not, place }
}

/// An address, a network, a word or the name of an alias.
pub(super) fn place(ctx: &Context<'_>, text: &str, lacks: &mut Lacks) -> Place {
    if text == "(self)" {
        return Place::ThisFirewall;
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Place::Prefix(Prefix::from(address));
    }
    if let Ok(prefix) = text.parse::<Prefix>() {
        return Place::Prefix(prefix.trunc());
    }
    if let Ok(range) = text.parse() {
        return Place::Range(range);
    }
    // By its name there; groups have names, too.
    let interface = |there: &str| {
        let name = ctx.interface(there)?;
        ctx.config.interfaces.iter().any(|interface| interface.name == name).then(|| name.to_owned())
    };
    let lower = text.to_ascii_lowercase();
    if let Some(name) = interface(&lower) {
        return Place::Net(name);
    }
    if let Some(name) = lower.strip_suffix("ip").and_then(interface) {
        return Place::Address(name);
    }
    if ctx.is_alias(text, false) {
        return Place::Alias(text.into());
    }
    lacks.unknown(match ctx.names.contains_key(&lower) {
        true => format!("\"{text}\" is an interface group, which is no address here"),
        false => format!("\"{text}\" is not in force: an alias, an interface or a VPN that is not there"),
    });
    Place::Any
}

/// `80`, `80-90`, `80:90`, a service or an alias.
pub(super) fn ports(ctx: &Context<'_>, text: Option<&str>, lacks: &mut Lacks) -> Option<Ports> {
    let text = text.filter(|text| *text != "any")?;
    if let Some(range) = port_range(text) {
        return Some(Ports::Range(range));
    }
    if ctx.is_alias(text, true) {
        return Some(Ports::Alias(text.into()));
    }
    let named = SERVICES.iter().find(|(name, _)| *name == text);
    if let Some((_, port)) = named {
        return PortRange::new(*port, *port).map(Ports::Range);
    }
    lacks.unknown(format!("its ports \"{text}\" are neither ports nor an alias that is in force"));
    None
}

pub(super) fn port_range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once(['-', ':']).unwrap_or((text, text));
    let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
    PortRange::new(first.min(last), first.max(last))
}

/// Ports of an endpoint, which only mean something for protocols that have some.
pub(super) fn ports_of(
    ctx: &Context<'_>,
    element: Option<&Element>,
    protocol: Protocol,
    lacks: &mut Lacks,
) -> Option<Ports> {
    let text = element?.text_of("port")?;
    if has_ports(protocol) {
        return ports(ctx, Some(text), lacks);
    }
    if text != "any" {
        lacks.adapted("without its ports, which its protocol does not have");
    }
    None
}
