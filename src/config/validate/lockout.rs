//! The way to the pages: somebody must be able to put right what a document has made wrong.

use std::net::IpAddr;

use super::Report;
use crate::config::model::{Action, Config, Place, Ports, Protocol, Rule, RuleDirection};

/// Whoever turns the anti-lockout rule off needs a rule of their own. One that could let somebody in is enough: what else
/// keeps them out is theirs to know.
pub(super) fn check(config: &Config, report: &mut Report) {
    let at_the_machine = config.nodes.iter().all(|node| node.loopback.is_some());
    if config.system.anti_lockout || at_the_machine || config.rules.iter().any(|rule| lets_in(config, rule)) {
        return;
    }
    let message = "Nobody could reach the pages of this firewall: no rule lets anybody in.";
    let remedy = format!(
        "Add a rule that passes TCP to \"this firewall\", port {}, or remove anti_lockout = false.",
        config.system.web.port
    );
    report.add("system.anti_lockout", message, remedy);
}

fn lets_in(config: &Config, rule: &Rule) -> bool {
    let speaks = match rule.protocol {
        Protocol::Any | Protocol::Tcp | Protocol::TcpUdp => true,
        Protocol::Udp | Protocol::Icmp | Protocol::Number(_) => false,
    };
    let comes_in = match rule.direction {
        RuleDirection::In | RuleDirection::Any => true,
        RuleDirection::Out => false,
    };
    let port = match &rule.destination_port {
        None | Some(Ports::Alias(_)) => true,
        Some(Ports::Range(range)) => (range.first()..=range.last()).contains(&config.system.web.port),
    };
    rule.action == Action::Pass
        && !rule.disabled
        && rule.port_forward.is_none()
        && speaks
        && comes_in
        && port
        && (rule.destination.not || is_here(config, &rule.destination.place))
}

/// Could it be an address of this firewall?
fn is_here(config: &Config, place: &Place) -> bool {
    let own = config.nodes.iter().flat_map(|node| &node.interfaces).flat_map(|part| &part.addresses);
    let mut own =
        own.chain(config.virtual_ips.iter().flat_map(|vip| &vip.addresses)).map(|prefix| prefix.addr());
    match place {
        Place::Any | Place::Net(_) | Place::Address(_) | Place::ThisFirewall | Place::Alias(_) => true,
        Place::Prefix(prefix) => own.any(|address| prefix.contains(&address)),
        Place::Range(range) => own.any(|address: IpAddr| {
            address.is_ipv4() == range.first().is_ipv4() && (range.first()..=range.last()).contains(&address)
        }),
    }
}
