//! `koi show gateways`

use super::table::{Table, seconds};
use crate::node::snapshot::{GatewayGroupRow, GatewayMemberRow, GatewayRow, Snapshot};

/// Gateways, then groups where there are any.
pub(super) fn gateways_text(snapshot: &Snapshot) -> String {
    let gateways = gateways(&snapshot.gateways);
    match &snapshot.gateway_groups[..] {
        [] => gateways,
        rows => format!("{gateways}\n{}", groups(rows)),
    }
}

fn gateways(rows: &[GatewayRow]) -> String {
    let mut table = Table::new(&[
        "gateway",
        "interface",
        "address",
        "monitor",
        ">delay",
        ">deviation",
        ">loss",
        "state",
        "since",
        "description",
    ]);
    for row in rows {
        let millis = |millis: Option<f64>| millis.map(|millis| format!("{millis:.1} ms")).unwrap_or_default();
        let default = if row.default { ", default" } else { "" };
        table.row([
            row.name.clone(),
            row.interface.clone(),
            row.address.to_string(),
            row.monitor.map_or("not watched".into(), |monitor| monitor.to_string()),
            millis(row.delay_ms),
            millis(row.deviation_ms),
            row.loss_percent.map(|loss| format!("{loss} %")).unwrap_or_default(),
            format!("{}{default}", row.text),
            seconds(row.since_seconds),
            row.description.clone(),
        ]);
    }
    table.text()
}

fn groups(rows: &[GatewayGroupRow]) -> String {
    let mut table = Table::new(&["group", ">tier in use", "gateways", "description"]);
    for row in rows {
        let member = |GatewayMemberRow { gateway, tier, used }: &GatewayMemberRow| {
            format!("{gateway} tier {tier}{}", if *used { " (in use)" } else { "" })
        };
        let default = if row.default { ", default" } else { "" };
        table.row([
            format!("{}{default}", row.name),
            if row.tier == 0 { "none".into() } else { row.tier.to_string() },
            row.members.iter().map(member).collect::<Vec<_>>().join(", "),
            row.description.clone(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_says_why_and_since_when() {
        let gateway = |name: &str, status: &str, text: &str, delay_ms| GatewayRow {
            name: name.into(),
            interface: "wan".into(),
            address: "198.51.100.1".parse().unwrap(),
            monitor: Some("9.9.9.9".parse().unwrap()),
            default: name == "WANGW",
            delay_ms,
            deviation_ms: delay_ms,
            loss_percent: Some(25),
            status: status.into(),
            text: text.into(),
            since_seconds: 61,
            description: String::new(),
        };
        let member = |gateway: &str, tier, used| GatewayMemberRow { gateway: gateway.into(), tier, used };
        let snapshot = Snapshot {
            gateways: vec![
                gateway("WANGW", "down", "down: packets are lost", Some(12.34)),
                GatewayRow { monitor: None, ..gateway("LTE", "online", "online", None) },
            ],
            gateway_groups: vec![GatewayGroupRow {
                name: "BOTH".into(),
                default: false,
                tier: 2,
                members: vec![member("WANGW", 1, false), member("LTE", 2, true)],
                description: "Office".into(),
            }],
            ..Snapshot::default()
        };
        let text = gateways_text(&snapshot);
        for part in
            ["12.3 ms", "25 %", "down: packets are lost, default", "not watched", "LTE tier 2 (in use)"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
