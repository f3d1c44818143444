//! `gateways`, `staticroutes`.

use super::super::read::Key;
use super::super::tree::{Element, Entities};
use super::Scene;
use super::merge::{Lists, merge};
use super::patch::Patch;
use super::words;
use crate::config::Config;
use crate::config::model::{FailoverStates, Gateway, GatewayGroup, GroupMember, Trigger};

pub(super) fn write(scene: &mut Scene<'_>) {
    let (old, new, links, entities) = (scene.old, scene.new, scene.links, scene.entities);
    let mut section = scene.take("gateways");
    let names = &scene.names;
    let lists = Lists { old: &old.gateways, new: &new.gateways, key: |it| Key::Gateway(it.name.clone()) };
    merge(&mut section, "gateway_item", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        let fresh = old.is_none();
        patch.text(
            old.is_none_or(|old| old.interface != new.interface),
            "interface",
            Some(names.of(&new.interface)),
        );
        let changed = old.is_none_or(|old| old.address != new.address);
        patch.text(changed, "gateway", Some(new.address.to_string()));
        patch.text(fresh, "name", Some(new.name.clone()));
        let family = if new.address.is_ipv4() { "inet" } else { "inet6" };
        patch.text(changed, "ipprotocol", Some(family.into()));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        monitoring(&mut patch, old, new);
        patch.element
    });
    let lists = Lists {
        old: &old.gateway_groups,
        new: &new.gateway_groups,
        key: |it| Key::GatewayGroup(it.name.clone()),
    };
    merge(&mut section, "gateway_group", links, &lists, |element, old, new| {
        gateway_group(Patch::new(element, entities), old, new, entities)
    });
    for (key, v4) in [("defaultgw4", true), ("defaultgw6", false)] {
        let (was, is) = (default(old, v4), default(new, v4));
        if was == is {
            continue;
        }
        // The older form would speak against the newer one.
        let items = section.children.iter_mut().filter(|item| item.is("gateway_item"));
        items.filter(|item| item.text_of("gateway").is_some_and(|text| text.contains(':') != v4)).for_each(
            |item| {
                item.remove("defaultgw");
            },
        );
        section.put(Element::leaf(key, is.unwrap_or("-"), entities));
    }
    scene.give(section);
    let mut section = scene.take("staticroutes");
    let lists = Lists { old: &old.routes, new: &new.routes, key: |it| Key::Route(it.destination) };
    merge(&mut section, "route", links, &lists, |element, old, new| {
        let mut patch = Patch::new(element, entities);
        patch.text(
            old.is_none_or(|old| old.destination != new.destination),
            "network",
            Some(new.destination.to_string()),
        );
        patch.text(old.is_none_or(|old| old.gateway != new.gateway), "gateway", Some(new.gateway.clone()));
        patch.text(
            old.is_none_or(|old| old.description != new.description),
            "descr",
            Some(new.description.clone()),
        );
        patch.element
    });
    scene.give(section);
}

/// The gateway or group that is the default one of a family.
fn default(config: &Config, v4: bool) -> Option<&str> {
    let gateways = || config.gateways.iter().filter(|gateway| gateway.address.is_ipv4() == v4);
    let group = config.gateway_groups.iter().find(|group| {
        group.default && group.members.iter().any(|member| gateways().any(|it| it.name == member.gateway))
    });
    let gateway = gateways().find(|gateway| gateway.default).map(|gateway| gateway.name.as_str());
    gateway.or(group.map(|group| group.name.as_str()))
}

/// How a gateway is watched.
fn monitoring(patch: &mut Patch, old: Option<&Gateway>, new: &Gateway) {
    let mut number = |name: &str, of: fn(&Gateway) -> Option<u32>| {
        patch.text(old.is_none_or(|old| of(old) != of(new)), name, of(new).map(|number| number.to_string()));
    };
    number("weight", |it| Some(u32::from(it.weight)).filter(|weight| *weight != 1));
    number("data_payload", |it| it.data_payload.map(u32::from));
    number("latencylow", |it| it.latency_low);
    number("latencyhigh", |it| it.latency_high);
    number("losslow", |it| it.loss_low.map(u32::from));
    number("losshigh", |it| it.loss_high.map(u32::from));
    number("interval", |it| it.interval);
    number("loss_interval", |it| it.loss_interval);
    number("time_period", |it| it.time_period);
    number("alert_interval", |it| it.alert_interval);
    let monitor = new.monitor.map(|monitor| monitor.to_string());
    patch.text(old.is_none_or(|old| old.monitor != new.monitor), "monitor", monitor);
    for (name, of) in [
        ("monitor_disable", (|it| it.monitor_disable) as fn(&Gateway) -> bool),
        ("action_disable", |it| it.action_disable),
        ("force_down", |it| it.force_down),
    ] {
        patch.flag(old.is_none_or(|old| of(old) != of(new)), name, of(new));
    }
    let kill = new.kill_states.map(|kill| words::kill_states(kill).to_owned());
    patch.text(old.is_none_or(|old| old.kill_states != new.kill_states), "gw_down_kill_states", kill);
}

fn gateway_group(
    mut patch: Patch,
    old: Option<&GatewayGroup>,
    new: &GatewayGroup,
    entities: Entities,
) -> Element {
    patch.text(old.is_none(), "name", Some(new.name.clone()));
    if old.is_none_or(|old| old.members != new.members) {
        patch.element.children.retain(|child| !child.is("item"));
        for GroupMember { gateway, tier } in &new.members {
            let item = Element::leaf("item", &format!("{gateway}|{tier}|address"), entities);
            patch.element.children.push(item);
        }
    }
    let trigger = match new.trigger {
        Trigger::Down => "down",
        Trigger::DownLoss => "downloss",
        Trigger::DownLatency => "downlatency",
        Trigger::DownLossLatency => "downlosslatency",
    };
    patch.text(old.is_none_or(|old| old.trigger != new.trigger), "trigger", Some(trigger.into()));
    let keep = new.keep_failover_states.map(|keep| match keep {
        FailoverStates::Keep => "keep".to_owned(),
        FailoverStates::Kill => "kill".to_owned(),
    });
    let changed = old.is_none_or(|old| old.keep_failover_states != new.keep_failover_states);
    patch.text(changed, "keep_failover_states", keep);
    let description = Some(new.description.clone());
    patch.text(old.is_none_or(|old| old.description != new.description), "descr", description);
    patch.element
}
