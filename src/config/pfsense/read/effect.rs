//! What would become true: the dry run's last page.

use super::super::report::Tab;
use super::context::Context;
use crate::config::model::{OutboundMode, Rule, User, UserRole};

pub(super) fn tell(ctx: &mut Context<'_>) {
    let config = &ctx.config;
    let node = &config.nodes[0];
    let interfaces = config.interfaces.iter().map(|interface| {
        let parts = node.interfaces.iter().filter(|part| part.name == interface.name);
        let addresses: Vec<String> =
            parts.flat_map(|part| &part.addresses).map(ToString::to_string).collect();
        format!(
            "{}: {}",
            interface.name,
            if addresses.is_empty() { "no address".into() } else { addresses.join(", ") }
        )
    });
    let vips = config.virtual_ips.iter().map(|vip| {
        let addresses: Vec<String> = vip.addresses.iter().map(ToString::to_string).collect();
        format!("{}@{}: {}", vip.vhid.0, vip.interface, addresses.join(", "))
    });
    let gateways = config.gateways.iter().map(|gateway| {
        let default = if gateway.default { ", default" } else { "" };
        format!("{}: {} by {}{default}", gateway.name, gateway.address, gateway.interface)
    });
    let own = config.outbound.rules.iter().filter(|rule| !rule.disabled).count();
    let (mode, own) = match config.outbound.mode {
        OutboundMode::Automatic => ("automatic", 0),
        OutboundMode::Hybrid => ("hybrid", own),
        OutboundMode::Manual => ("manual", own),
        OutboundMode::Disabled => ("disabled", 0),
    };
    let effect = &mut ctx.report.report.effect;
    effect.interfaces = interfaces.collect();
    effect.virtual_ips = vips.collect();
    effect.gateways = gateways.collect();
    effect.tabs = tabs(&config.rules, |rule| {
        let forward = config.port_forwards.iter().find(|forward| Some(forward.id) == rule.port_forward);
        forward.map(|forward| forward.interface.clone())
    });
    effect.port_forwards = config.port_forwards.iter().filter(|forward| !forward.disabled).count();
    effect.one_to_one = config.one_to_ones.iter().filter(|entry| !entry.disabled).count();
    effect.npt = config.npts.iter().filter(|npt| !npt.disabled).count();
    effect.outbound = if own == 0 { mode.into() } else { format!("{mode}, {own} mappings of its own") };
    effect.routes = config.routes.len();
    effect.aliases = config.aliases.len();
    effect.users = config.users.iter().map(user).collect();
}

fn user(user: &User) -> String {
    let role = match (user.disabled, user.role) {
        (true, _) => "disabled",
        (false, UserRole::ReadOnly) => "read-only",
        (false, UserRole::Operator) => "operator",
        (false, UserRole::Administrator) => "administrator",
    };
    format!("{}: {role}", user.name)
}

fn tabs(rules: &[Rule], linked: impl Fn(&Rule) -> Option<String>) -> Vec<Tab> {
    let mut tabs: Vec<Tab> = Vec::new();
    for rule in rules {
        let name = match rule.floating {
            true => "floating".to_owned(),
            false => {
                linked(rule).or_else(|| rule.interface.names().next().map(str::to_owned)).unwrap_or_default()
            }
        };
        let index = tabs.iter().position(|tab| tab.name == name).unwrap_or_else(|| {
            tabs.push(Tab { name, active: 0, disabled: 0 });
            tabs.len() - 1
        });
        match rule.disabled {
            true => tabs[index].disabled += 1,
            false => tabs[index].active += 1,
        }
    }
    tabs
}
