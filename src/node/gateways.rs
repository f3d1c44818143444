//! The document's gateways and groups as the routes see them.

use std::time::Duration;

use crate::config::model::{FailoverStates, Gateway, GatewayGroup, Watching, Zone};
use crate::config::{Config, Valid};
use crate::route::{GatewayConfig, GatewaysConfig, GroupConfig, MonitorConfig, Watch};
use crate::types::{Family, GatewayId, InterfaceId};

/// All of them, in the document's order.
pub(super) fn gateways(config: &Valid<Config>) -> GatewaysConfig {
    let default_of = |family: Family| {
        let is = |group: &GatewayGroup| group.default && family_of(config, group) == Some(family);
        config.gateway_groups.iter().position(is).map(|index| index as u16)
    };
    GatewaysConfig {
        gateways: config.gateways.iter().map(|it| gateway(config, it)).collect(),
        groups: config.gateway_groups.iter().map(|it| group(config, it)).collect(),
        default_groups: [Family::Inet, Family::Inet6].map(default_of),
        replies: config.interface_ids().map(|on| replies(config, on)).collect(),
        sticky: config.system.sticky_connections,
        skip_rules: config.system.skip_rules_when_gateway_down,
    }
}

fn gateway(config: &Valid<Config>, gateway: &Gateway) -> GatewayConfig {
    let watch = match gateway {
        Gateway { force_down: true, .. } => Watch::ForcedDown,
        Gateway { monitor_disable: true, .. } => Watch::Off,
        _ => Watch::On {
            target: gateway.monitor.unwrap_or(gateway.address),
            monitor: monitor(&gateway.watching()),
            payload: gateway.watching().data_payload,
            acts: !gateway.action_disable,
        },
    };
    GatewayConfig {
        id: GatewayId::of(&gateway.name),
        interface: config.interface_id(&gateway.interface).unwrap_or(InterfaceId::SELF),
        address: gateway.address,
        weight: gateway.weight,
        watch,
        kill: gateway.kill_states.unwrap_or(config.system.kill_states_on_gateway_failure),
    }
}

fn monitor(watching: &Watching) -> MonitorConfig {
    let Watching {
        data_payload: _,
        latency_low,
        latency_high,
        loss_low,
        loss_high,
        interval,
        loss_interval,
        time_period,
        alert_interval,
    } = *watching;
    let millis = |millis: u32| Duration::from_millis(millis.into());
    MonitorConfig {
        interval: millis(interval),
        loss_interval: millis(loss_interval),
        time_period: millis(time_period),
        alert_interval: millis(alert_interval),
        latency: [millis(latency_low), millis(latency_high)],
        loss: [loss_low, loss_high],
    }
}

fn group(config: &Config, group: &GatewayGroup) -> GroupConfig {
    let place = |name: &str| config.gateways.iter().position(|gateway| gateway.name == name);
    let members = group.members.iter().filter_map(|it| Some((it.tier, place(&it.gateway)? as u16)));
    GroupConfig {
        trigger: group.trigger,
        members: members.collect(),
        kill_on_recovery: match group.keep_failover_states {
            Some(FailoverStates::Keep) => false,
            Some(FailoverStates::Kill) => true,
            None => config.system.kill_states_on_gateway_recovery,
        },
    }
}

fn family_of(config: &Config, group: &GatewayGroup) -> Option<Family> {
    let gateway = |name: &str| config.gateways.iter().find(|gateway| gateway.name == name);
    group.members.iter().find_map(|member| gateway(&member.gateway)).map(|it| Family::of(it.address))
}

/// The gateways of a WAN; the default gateway of its family comes before others.
fn replies(config: &Valid<Config>, on: InterfaceId) -> [Option<u16>; 2] {
    let interface = &config.interfaces[usize::from(on.0)];
    [Family::Inet, Family::Inet6].map(|family| {
        let here = |(_, it): &(usize, &Gateway)| {
            it.interface == interface.name && Family::of(it.address) == family && interface.zone == Zone::Wan
        };
        let mut here: Vec<(usize, &Gateway)> = config.gateways.iter().enumerate().filter(here).collect();
        here.sort_by_key(|(_, gateway)| !gateway.default);
        here.first().map(|(place, _)| *place as u16)
    })
}
