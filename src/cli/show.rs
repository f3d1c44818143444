//! `koi show`

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::flows::Which;
use super::show_gateways::gateways_text;
use super::show_pair::{heading, pair_text, redundancy, replication};
use super::show_policy::{rules_text, tables_text, translations_text};
use super::show_time::{clock_line, log_line, log_text, system_log_text, time_text};
use super::table::{Table, bytes, seconds};
use super::{Control, print_json, unexpected};
use crate::io::clock;
use crate::io::program::ProgramNote;
use crate::io::request::{Request, Response, Status};
use crate::node::snapshot::{DropRow, FlowRow, Snapshot};
use crate::node::{PairPathRow as PathRow, PairSnapshot, PairVirtualIpRow as VirtualIpRow};

/// How often new records are asked for.
const FOLLOW: Duration = Duration::from_millis(500);

/// Show what the running router is doing.
#[derive(Debug, Args)]
pub struct Show {
    #[command(subcommand)]
    what: What,
    /// One JSON document instead of a table
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    control: ControlAnywhere,
}

/// As [`Control`], also after the word that says what to show.
#[derive(Debug, Args)]
struct ControlAnywhere {
    /// Control socket of the node; the only one in /run/koi when not given
    #[arg(long, value_name = "SOCKET", global = true)]
    control: Option<std::path::PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How the router is, and what privileges it kept
    Status,
    /// Ports and logical interfaces
    Interfaces,
    /// Routes
    Routes,
    /// Gateways, how they are, and gateway groups with the tiers in use
    Gateways,
    /// ARP and neighbour discovery tables
    Neighbours,
    /// The connection table
    Flows {
        #[command(flatten)]
        which: Box<Which>,
        /// At most so many
        #[arg(long, default_value_t = 1000, value_name = "N")]
        limit: u32,
    },
    /// Named counters
    Counters {
        /// Also those that are zero
        #[arg(long)]
        all: bool,
    },
    /// The recent drops
    Drops,
    /// The firewall log
    Log {
        /// At most so many of the latest records
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
        /// Go on with each new record until Ctrl-C
        #[arg(long)]
        follow: bool,
    },
    /// What the router has said of late, its changes of role among it; the firewall log is another one
    SystemLog {
        /// What the peer's router had said, as far as it came here: also when the peer is no more
        #[arg(long)]
        peer: bool,
        /// At most so many of the latest lines
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// What time it is, whether that is sure, and who says so
    Time,
    /// Filter rules with their counters, automatic ones included
    Rules,
    /// Aliases, overload tables and interface groups
    Tables,
    /// Port forwards, 1:1, NPt and outbound mappings
    Translations,
    /// The pair: roles, paths, replication, and what a fail-over would lack
    Pair,
}

impl Show {
    /// Asks and prints.
    pub fn run(self) -> ExitCode {
        let Show { what, json, control } = self;
        let control = Control { control: control.control };
        let request = match &what {
            What::Status => Request::Status,
            What::Interfaces | What::Routes | What::Gateways | What::Neighbours | What::Counters { .. } => {
                Request::Snapshot
            }
            What::Flows { which, limit } => {
                Request::Flows { filter: which.filter(), limit: *limit, after: None }
            }
            What::Drops => Request::Drops,
            What::Log { limit, follow: false } => Request::Log { after: 0, limit: *limit },
            What::Log { limit, follow: true } => return follow(&control, *limit, json),
            What::SystemLog { peer, limit } => Request::SystemLog { peer: *peer, limit: *limit },
            What::Time => Request::Services,
            What::Rules | What::Tables | What::Translations => Request::Policy,
            What::Pair => Request::Pair,
        };
        match control.ask(&request) {
            Ok(answer) if json => print_as_json(&what, answer),
            Ok(answer) => print_as_text(&what, answer),
            Err(code) => code,
        }
    }
}

fn print_as_json(what: &What, answer: Response) -> ExitCode {
    match (what, answer) {
        (What::Status, Response::Status(status)) => print_json(&status),
        (What::Interfaces, Response::Snapshot(snapshot)) => {
            print_json(&serde_json::json!({ "ports": snapshot.ports, "interfaces": snapshot.interfaces }))
        }
        (What::Routes, Response::Snapshot(snapshot)) => print_json(&snapshot.routes),
        (What::Gateways, Response::Snapshot(snapshot)) => print_json(
            &serde_json::json!({ "gateways": snapshot.gateways, "groups": snapshot.gateway_groups }),
        ),
        (What::Neighbours, Response::Snapshot(snapshot)) => print_json(&snapshot.neighbours),
        (What::Counters { .. }, Response::Snapshot(snapshot)) => print_json(&snapshot.counters),
        (What::Flows { .. }, Response::Flows { rows, total, more }) => {
            print_json(&serde_json::json!({ "flows": rows, "total": total, "more": more }))
        }
        (What::Drops, Response::Drops(drops)) => print_json(&drops),
        (What::Log { .. }, Response::Log(rows)) => print_json(&rows),
        (What::SystemLog { .. }, Response::SystemLog(lines)) => print_json(&lines),
        (What::Time, Response::Services(services)) => print_json(&services),
        (What::Rules, Response::Policy(policy)) => print_json(&policy.rules),
        (What::Tables, Response::Policy(policy)) => print_json(&serde_json::json!({
            "tables": policy.tables, "overloads": policy.overloads, "groups": policy.groups,
        })),
        (What::Translations, Response::Policy(policy)) => print_json(&policy.translations),
        (What::Pair, Response::Pair(pair)) => print_json(&pair),
        _ => unexpected(),
    }
}

fn print_as_text(what: &What, answer: Response) -> ExitCode {
    let text = match (what, answer) {
        (What::Status, Response::Status(status)) => status_text(&status),
        (What::Interfaces, Response::Snapshot(snapshot)) => interfaces_text(&snapshot),
        (What::Routes, Response::Snapshot(snapshot)) => routes_text(&snapshot),
        (What::Gateways, Response::Snapshot(snapshot)) => gateways_text(&snapshot),
        (What::Neighbours, Response::Snapshot(snapshot)) => neighbours_text(&snapshot),
        (What::Counters { all }, Response::Snapshot(snapshot)) => counters_text(&snapshot, *all),
        (What::Flows { .. }, Response::Flows { rows, total, more }) => flows_text(&rows, total, more),
        (What::Drops, Response::Drops(drops)) => drops_text(&drops),
        (What::Log { .. }, Response::Log(rows)) => log_text(&rows),
        (What::SystemLog { .. }, Response::SystemLog(lines)) => system_log_text(&lines),
        (What::Time, Response::Services(services)) => time_text(&services),
        (What::Rules, Response::Policy(policy)) => rules_text(&policy),
        (What::Tables, Response::Policy(policy)) => tables_text(&policy),
        (What::Translations, Response::Policy(policy)) => translations_text(&policy),
        (What::Pair, Response::Pair(pair)) => pair_text(&pair),
        _ => return unexpected(),
    };
    print!("{text}");
    ExitCode::SUCCESS
}

/// New records as they come, a line each; they end with the router, or with Ctrl-C.
fn follow(control: &Control, limit: u32, json: bool) -> ExitCode {
    let mut after = 0;
    loop {
        let rows = match control.ask(&Request::Log { after, limit }) {
            Ok(Response::Log(rows)) => rows,
            Ok(_) => return unexpected(),
            Err(code) => return code,
        };
        after = rows.last().map_or(after, |row| row.id);
        for row in &rows {
            match serde_json::to_string(row) {
                Ok(text) if json => println!("{text}"),
                Ok(_) | Err(_) => print!("{}", log_line(row)),
            }
        }
        clock::pause(FOLLOW);
    }
}

fn status_text(status: &Status) -> String {
    let Status {
        version,
        hostname,
        node,
        uptime_seconds,
        clock,
        revision,
        config_hash,
        parent,
        router,
        restarts,
        ports_up: [up, ports],
        states,
        privileges,
        public_key,
        pair,
        program,
        config_file,
        state,
        loopback,
    } = status;
    let mut lines = vec![
        ("Koi", format!("{version} on {hostname}, node {node}")),
        ("Release", release_text(program)),
        ("Up for", seconds(*uptime_seconds)),
        ("Time", clock.as_ref().map_or("unknown".into(), |clock| clock_line(clock))),
        ("Configuration", format!("revision {revision}, hash {config_hash}")),
        ("Ports with link", format!("{up} of {ports}")),
        ("States", format!("{} of at most {}", states.current, states.limit)),
        ("Router process", format!("{router}, started again {restarts} times")),
        ("Parent process", parent.to_string()),
        ("Router kept", privileges.to_string()),
        ("Public key", public_key.clone()),
        ("Document", config_file.clone()),
        ("State directory", state.clone()),
    ];
    lines.extend(pair.as_ref().map_or_else(silent_pair, |pair| pair_lines(pair)));
    lines.extend(loopback.as_ref().map(|address| ("Status page here", format!("http://{address}/"))));
    let banner = pair.as_ref().map(|pair| lost_redundancy(pair)).unwrap_or_default();
    let lines = lines.iter().map(|(name, value)| format!("{name:<16} {value}\n"));
    std::iter::once(banner).chain(lines).collect()
}

/// A pair that cannot fail over must not look healthy: this stands in front of everything.
fn lost_redundancy(pair: &PairSnapshot) -> String {
    match (pair.paired, pair.redundant) {
        (true, false) => format!("{}\n\n", redundancy(pair)),
        (true, true) | (false, _) => String::new(),
    }
}

pub(super) fn release_text(program: &ProgramNote) -> String {
    let ProgramNote { version, trial, gave_up, trials: _ } = program;
    let trial = if *trial { ", on trial" } else { "" };
    let gave_up = gave_up.as_ref().map(|(version, why)| format!("; {version} was given up: {why}"));
    format!("{version}{trial}{}", gave_up.unwrap_or_default())
}

fn silent_pair() -> Vec<(&'static str, String)> {
    vec![("Pair", "the role thread does not answer".into())]
}

fn pair_lines(pair: &PairSnapshot) -> Vec<(&'static str, String)> {
    let mut lines = vec![("Pair", heading(pair))];
    if pair.paired {
        let path = |row: &PathRow| match (row.up, row.carries) {
            (false, _) => format!("{} has no link", row.name),
            (true, false) => format!("{} is SILENT", row.name),
            (true, true) => format!("{} carries", row.name),
        };
        lines.push(("Paths", pair.paths.iter().map(path).collect::<Vec<_>>().join(", ")));
        lines.push(("Replication", replication(pair)));
    }
    let vip = |row: &VirtualIpRow| format!("{} vhid {} {}", row.interface, row.vhid, row.state);
    if !pair.virtual_ips.is_empty() {
        lines.push(("Virtual IPs", pair.virtual_ips.iter().map(vip).collect::<Vec<_>>().join(", ")));
    }
    if !pair.findings.is_empty() {
        lines.push(("To put right", format!("{}; `koi show pair` says what", pair.findings.len())));
    }
    lines
}

fn link(up: bool) -> String {
    if up { "up".into() } else { "down".into() }
}

fn interfaces_text(snapshot: &Snapshot) -> String {
    let mut ports = Table::new(&[
        "port",
        "device",
        "driver",
        "link",
        ">packets in",
        ">bytes in",
        ">packets out",
        ">bytes out",
        ">drops",
    ]);
    for row in &snapshot.ports {
        ports.row([
            row.name.clone(),
            row.device.clone(),
            row.driver.clone(),
            link(row.up),
            row.rx_packets.to_string(),
            bytes(row.rx_bytes),
            row.tx_packets.to_string(),
            bytes(row.tx_bytes),
            row.drops.to_string(),
        ]);
    }
    let mut interfaces =
        Table::new(&["interface", "zone", "port", "vlan", "mac", ">mtu", "link", "addresses"]);
    for row in &snapshot.interfaces {
        let virtual_ones = row.virtual_ips.iter().flat_map(|vip| {
            vip.addresses.iter().map(move |address| format!("{address} (vhid {} {})", vip.vhid, vip.state))
        });
        let addresses: Vec<String> =
            row.addresses.iter().map(ToString::to_string).chain(virtual_ones).collect();
        interfaces.row([
            row.name.clone(),
            row.zone.clone(),
            row.port.clone(),
            row.vlan.map(|tag| tag.to_string()).unwrap_or_default(),
            row.mac.to_string(),
            row.mtu.to_string(),
            link(row.up),
            addresses.join(" "),
        ]);
    }
    format!("{}\n{}", ports.text(), interfaces.text())
}

fn routes_text(snapshot: &Snapshot) -> String {
    let mut table = Table::new(&["destination", "gateway", "name", "interface", "origin", "description"]);
    for row in &snapshot.routes {
        let gateway = row.gateway.map(|address: IpAddr| address.to_string()).unwrap_or_default();
        table.row([
            row.destination.to_string(),
            gateway,
            row.gateway_name.clone().unwrap_or_default(),
            row.interface.clone(),
            row.origin.clone(),
            row.description.clone(),
        ]);
    }
    table.text()
}

fn neighbours_text(snapshot: &Snapshot) -> String {
    let mut table = Table::new(&["address", "mac", "interface", "state"]);
    for row in &snapshot.neighbours {
        let mac = row.mac.map(|mac| mac.to_string()).unwrap_or_default();
        table.row([row.address.to_string(), mac, row.interface.clone(), row.state.clone()]);
    }
    table.text()
}

fn counters_text(snapshot: &Snapshot, all: bool) -> String {
    let mut table = Table::new(&["counter", ">value", "meaning"]);
    for row in snapshot.counters.iter().filter(|row| all || row.value > 0) {
        table.row([row.name.clone(), row.value.to_string(), row.meaning.clone()]);
    }
    table.text()
}

fn flows_text(rows: &[FlowRow], total: u64, more: bool) -> String {
    let mut table = Table::new(&[
        ">id",
        "flow",
        "translated",
        "state",
        "in",
        "out",
        ">rule",
        ">age",
        ">expires",
        ">packets",
        ">bytes",
    ]);
    for row in rows {
        table.row([
            row.id.to_string(),
            row.original.clone(),
            row.translated.clone().unwrap_or_default(),
            row.state.clone(),
            row.ingress.clone(),
            row.gateway.as_ref().map_or(row.egress.clone(), |by| format!("{} by {by}", row.egress)),
            row.rule.to_string(),
            seconds(row.age_seconds),
            seconds(row.expires_seconds),
            row.packets.iter().sum::<u64>().to_string(),
            bytes(row.bytes.iter().sum()),
        ]);
    }
    let rest = if more { ", there are more; --limit shows them" } else { "" };
    format!("{}{} shown of {total} in the table{rest}\n", table.text(), rows.len())
}

fn drops_text(drops: &[DropRow]) -> String {
    let mut table = Table::new(&[">at", "reason", "interface", "flow", ">rule"]);
    for row in drops {
        table.row([
            format!("{:.3}s", row.at),
            row.reason.clone(),
            row.interface.clone(),
            row.flow.clone().unwrap_or_default(),
            row.rule.map(|rule| rule.to_string()).unwrap_or_default(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::snapshot::{CounterRow, StatesRow};

    #[test]
    fn zero_counters_are_shown_when_asked_for() {
        let counter =
            |name: &str, value| CounterRow { name: name.into(), value, meaning: "A sentence.".into() };
        let snapshot =
            Snapshot { counters: vec![counter("land", 0), counter("martian", 3)], ..Snapshot::default() };
        assert_eq!(counters_text(&snapshot, false), "COUNTER  VALUE  MEANING\nmartian      3  A sentence.\n");
        assert!(counters_text(&snapshot, true).contains("land "));
    }

    #[test]
    fn the_status_says_everything_once() {
        let states = StatesRow { current: 3, limit: 9, ..StatesRow::default() };
        let path =
            |name: &str, carries| PathRow { name: name.into(), up: true, carries, ..PathRow::default() };
        let vip = VirtualIpRow {
            interface: "wan".into(),
            vhid: 7,
            state: "MASTER".into(),
            ..VirtualIpRow::default()
        };
        let pair = PairSnapshot {
            paired: true,
            role: "active".into(),
            epoch: 41,
            lacks: vec!["the peer is not heard".into()],
            paths: vec![path("sync", false), path("wan", true)],
            virtual_ips: vec![vip],
            ..PairSnapshot::default()
        };
        let status = Status {
            pair: Some(Box::new(pair)),
            version: "0.1".into(),
            ports_up: [1, 2],
            states,
            uptime_seconds: 61,
            ..Status::default()
        };
        let text = status_text(&status);
        assert!(text.starts_with("REDUNDANCY LOST: the peer is not heard.\n\n"), "{text}");
        for part in [
            "epoch 41",
            "sync is SILENT, wan carries",
            "wan vhid 7 MASTER",
            "1 of 2",
            "3 of at most 9",
            "1m01s",
            "capabilities none",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part}\n{text}");
        }
    }
}
