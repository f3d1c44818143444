//! A value of each kind of row, from which its schema is taken.

use std::net::{IpAddr, Ipv4Addr};

use crate::node::snapshot::{
    DropRow, FlowRow, GatewayGroupRow, GatewayMemberRow, GatewayRow, NeighbourRow, RouteRow,
};
use crate::types::Prefix;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

pub(super) fn flow() -> FlowRow {
    FlowRow {
        id: 0,
        protocol: String::new(),
        original: String::new(),
        translated: None,
        state: String::new(),
        ingress: String::new(),
        egress: String::new(),
        rule: 0,
        gateway: None,
        reply_to: None,
        age_seconds: 0,
        expires_seconds: 0,
        packets: [0; 2],
        bytes: [0; 2],
    }
}

pub(super) fn route() -> RouteRow {
    let (interface, origin, description) = Default::default();
    RouteRow {
        destination: Prefix::from(ADDRESS),
        gateway: None,
        gateway_name: None,
        interface,
        origin,
        description,
    }
}

pub(super) fn gateway() -> GatewayRow {
    let (name, interface, status, text, description) = Default::default();
    GatewayRow {
        name,
        interface,
        address: ADDRESS,
        monitor: None,
        default: false,
        delay_ms: None,
        deviation_ms: None,
        loss_percent: None,
        status,
        text,
        since_seconds: 0,
        description,
    }
}

pub(super) fn group() -> GatewayGroupRow {
    let member = GatewayMemberRow { gateway: String::new(), tier: 1, used: false };
    let (name, description) = Default::default();
    GatewayGroupRow { name, default: false, tier: 1, members: vec![member], description }
}

pub(super) fn neighbour() -> NeighbourRow {
    NeighbourRow { address: ADDRESS, interface: String::new(), mac: None, state: String::new() }
}

pub(super) fn dropped() -> DropRow {
    DropRow { at: 0.5, reason: String::new(), interface: String::new(), flow: None, rule: None }
}
