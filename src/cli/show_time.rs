//! `koi show time`, `koi show log` and `koi show system-log`

use super::table::Table;
use crate::io::log_ring::Line;
use crate::services::ServicesRow;
use crate::services::log::LogRow;
use crate::services::time::{ClockRow, ServerRow};

/// The clock in one line, and why it may be wrong.
pub fn clock_line(clock: &ClockRow) -> String {
    match &clock.doubt {
        None => format!("{}, by {}", clock.time, clock.source),
        Some(doubt) => format!("{}, not sure. {doubt}", clock.time),
    }
}

/// The clock, its servers, the names that were looked up.
pub fn time_text(services: &ServicesRow) -> String {
    let ServicesRow { clock, names, counters, notices: _ } = services;
    let ClockRow { time, source, sure, doubt, ahead_seconds, error_seconds, since, jumps, strays, servers } =
        clock;
    let mut lines = vec![
        ("Time", time.clone()),
        ("Sure", if *sure { "yes".into() } else { format!("no. {}", doubt.clone().unwrap_or_default()) }),
        ("Goes by", source.clone()),
        ("Corrected by", format!("{ahead_seconds:+.6} s")),
        ("May be wrong by", error_seconds.map_or("unknown".into(), |error| format!("{error:.3} s"))),
        ("Set since", since.clone().unwrap_or_else(|| "never".into())),
        ("Machine jumped", format!("{jumps} times")),
        ("Stray answers", strays.to_string()),
    ];
    lines.retain(|(name, value)| *name != "Stray answers" || value != "0");
    let lines: String = lines.iter().map(|(name, value)| format!("{name:<16} {value}\n")).collect();
    let mut table = Table::new(&["server", "address", ">stratum", ">ahead", ">delay", ">reach", "trouble"]);
    for row in servers {
        let ServerRow { name, address, stratum, ahead_seconds, delay_seconds, reach, trouble } = row;
        table.row([
            name.clone(),
            address.map_or(String::new(), |address| address.to_string()),
            stratum.map_or(String::new(), |stratum| stratum.to_string()),
            ahead_seconds.map_or(String::new(), |ahead| format!("{ahead:+.6} s")),
            delay_seconds.map_or(String::new(), |delay| format!("{:.3} ms", delay * 1000.0)),
            format!("{reach:08b}"),
            trouble.clone().unwrap_or_default(),
        ]);
    }
    let mut text = lines;
    if !servers.is_empty() {
        text += &format!("\n{}", table.text());
    }
    if !names.is_empty() {
        let mut table = Table::new(&["name", "addresses", ">again in", "trouble"]);
        for row in names {
            let addresses: Vec<String> = row.addresses.iter().map(ToString::to_string).collect();
            let again = format!("{} s", row.ttl);
            table.row([row.name.clone(), addresses.join(" "), again, row.error.clone().unwrap_or_default()]);
        }
        text += &format!("\n{}", table.text());
    }
    let counted = counters.iter().filter(|(_, value, _)| *value > 0);
    let counted: String = counted.map(|(name, value, _)| format!("{name:<16} {value}\n")).collect();
    if counted.is_empty() { text } else { format!("{text}\n{counted}") }
}

/// A line for each record, the latest last.
pub fn log_text(rows: &[LogRow]) -> String {
    rows.iter().map(log_line).collect()
}

/// A line for each, the latest last.
pub fn system_log_text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// One record.
pub fn log_line(row: &LogRow) -> String {
    format!("{:>7} {} {}\n", row.id, row.date(), row.text())
}
