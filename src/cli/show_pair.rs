//! The pair as text.

use std::fmt::Write;

use super::table::Table;
use crate::node::{DigestRow, Finding, PairSnapshot, PairingRow, RangeRow, WalkRow};

/// What `koi show pair` prints.
pub fn pair_text(pair: &PairSnapshot) -> String {
    let mut text = String::new();
    let lines =
        [heading(pair), redundancy(pair), replication(pair), digests(pair), walk(pair), pairing(pair)];
    for line in lines.iter().filter(|line| !line.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(text, "{}", findings(pair));
    if !pair.virtual_ips.is_empty() {
        let _ = write!(text, "\n{}", virtual_ips(pair));
    }
    if pair.paired {
        let _ = write!(text, "\n{}\n{}\n{}", conditions(pair), paths(pair), timeline(pair));
    }
    text
}

pub(super) fn heading(pair: &PairSnapshot) -> String {
    let PairSnapshot { paired, node, peer_name, role, leads, fenced, epoch, since_ms, why, .. } = pair;
    if !paired {
        return format!("{node} has no peer; it serves alone.");
    }
    let serves = match (leads, fenced) {
        (true, _) => "serves",
        (false, true) => "is fenced: its lease lapsed, and it serves nobody until it knows more",
        (false, false) => "does not serve",
    };
    let peer = match (&pair.peer, peer_name) {
        (Some(peer), Some(name)) if peer.alive => format!("{name} is {}", peer.role),
        (Some(_) | None, Some(name)) => format!("{name} is silent"),
        (_, None) => "its peer has not joined yet".into(),
    };
    let since = ago(*since_ms);
    format!("{node} is {role} since {since} ({why}), epoch {epoch}, and {serves}; {peer}.")
}

pub(super) fn redundancy(pair: &PairSnapshot) -> String {
    match (pair.paired, pair.redundant) {
        (false, _) => String::new(),
        (true, true) => "The pair could fail over now.".into(),
        (true, false) => format!("REDUNDANCY LOST: {}.", pair.lacks.join("; ")),
    }
}

pub(super) fn replication(pair: &PairSnapshot) -> String {
    let row = &pair.replication;
    let stale = if row.stale { " STALE: the sync port does not carry." } else { "" };
    match row.direction.as_str() {
        "sends" => {
            let whole = if row.synced { "the peer has everything" } else { "the peer is still being filled" };
            let lag = row.lag_us as f64 / 1000.0;
            format!(
                "States: chunk {} sent, {} acknowledged, {lag:.1} ms behind, {} sent again; {whole}.{stale}",
                row.newest, row.acked, row.resent
            )
        }
        "receives" => {
            let whole = if row.synced { "complete" } else { "not complete yet" };
            format!("States: chunk {} received, {} applied; {whole}.{stale}", row.newest, row.applied)
        }
        _ if pair.paired => "States are not being replicated.".into(),
        _ => String::new(),
    }
}

/// Whether both have the same states.
fn digests(pair: &PairSnapshot) -> String {
    let row = &pair.replication;
    if row.direction != "sends" && row.direction != "receives" {
        return String::new();
    }
    let DigestRow { equal, rounds, round_ms, differing, ranges, compared: _, healed, proven_after_ms } =
        &row.digests;
    let last = round_ms.map_or_else(String::new, |ms| format!(", the last one {} ago", ago(ms)));
    let healed = if *healed > 0 { format!("; {healed} ranges have healed") } else { String::new() };
    let where_ = |RangeRow { family, first, last, since_ms }: &RangeRow| {
        format!("{family} {first} to {last} for {}", ago(*since_ms))
    };
    match (equal, differing) {
        (true, _) => {
            let after = proven_after_ms.map_or_else(String::new, |ms| format!(" after {}", ago(ms.into())));
            format!("Digests: equal, proven{after}; {rounds} rounds{last}{healed}.")
        }
        (false, 0) => format!("Digests: not proven equal yet; {rounds} rounds{last}{healed}."),
        (false, _) => {
            let places: Vec<String> = ranges.iter().map(where_).collect();
            format!(
                "DIGESTS DIFFER in {differing} ranges of 256 states: {}{last}{healed}.",
                places.join(", ")
            )
        }
    }
}

/// What telling everything took.
fn walk(pair: &PairSnapshot) -> String {
    let WalkRow { full, by_name, bytes, took_ms } = &pair.replication.walk;
    let Some(took) = took_ms else { return String::new() };
    let megabytes = *bytes as f64 / 1e6;
    format!(
        "All states were told within {}: {full} in full, {by_name} by name, {megabytes:.1} MB.",
        ago(*took)
    )
}

/// What is to be put right, and how.
fn findings(pair: &PairSnapshot) -> String {
    let mut text = String::new();
    for Finding { what, remedy } in &pair.findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n! {what}\n  {remedy}");
    }
    text
}

fn pairing(pair: &PairSnapshot) -> String {
    let Some(pairing) = &pair.pairing else { return String::new() };
    let PairingRow { standing, tries_left, wrong, refused, seconds_left } = pairing;
    format!(
        "Code to join: {standing}, {tries_left} tries and {seconds_left} s left; {wrong} wrong, {refused} refused."
    )
}

fn virtual_ips(pair: &PairSnapshot) -> String {
    let mut table =
        Table::new(&["interface", ">vhid", "state", "mac", "addresses", ">sent", ">heard", ">bad"]);
    for row in &pair.virtual_ips {
        let state = if row.foreign { format!("{} (shared)", row.state) } else { row.state.clone() };
        table.row([
            row.interface.clone(),
            row.vhid.to_string(),
            state,
            row.mac.clone(),
            row.addresses.join(" "),
            row.adverts_sent.to_string(),
            row.adverts_received.to_string(),
            row.bad_digests.to_string(),
        ]);
    }
    table.text()
}

fn conditions(pair: &PairSnapshot) -> String {
    let mut table = Table::new(&["condition", ">here", ">peer"]);
    for row in &pair.conditions {
        let peer = row.peer.map_or_else(String::new, |peer| peer.to_string());
        table.row([row.name.clone(), row.own.to_string(), peer]);
    }
    table.text()
}

fn paths(pair: &PairSnapshot) -> String {
    let mut table = Table::new(&["path", "link", "carries", ">heard", ">loss", ">late"]);
    for row in &pair.paths {
        table.row([
            row.name.clone(),
            if row.up { "up".into() } else { "down".into() },
            match (row.carries, row.echoed) {
                (true, true) => "both ways".into(),
                (true, false) => "only hither".into(),
                (false, _) => "NO".into(),
            },
            row.heard_ms.map_or_else(|| "never".into(), |ms| format!("{ms} ms ago")),
            format!("{:.1} %", f64::from(row.loss_permille) / 10.0),
            format!("{:.1} ms", row.lateness_us as f64 / 1000.0),
        ]);
    }
    table.text()
}

fn timeline(pair: &PairSnapshot) -> String {
    let mut table = Table::new(&[">ago", "from", "to", ">epoch", "why"]);
    for row in pair.timeline.iter().rev() {
        table.row([
            ago(row.ago_ms),
            row.from.clone(),
            row.to.clone(),
            row.epoch.to_string(),
            row.why.clone(),
        ]);
    }
    table.text()
}

fn ago(ms: u64) -> String {
    match ms {
        0..=9_999 => format!("{ms} ms"),
        10_000..=599_999 => format!("{} s", ms / 1000),
        _ => format!("{} min", ms / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_cannot_fail_over_does_not_look_healthy() {
        let mut pair = PairSnapshot {
            paired: true,
            node: "alpha".into(),
            peer_name: Some("beta".into()),
            role: "active".into(),
            leads: true,
            lacks: vec!["the peer is not heard".into()],
            findings: vec![Finding { what: "It is so.".into(), remedy: "Change it.".into() }],
            ..PairSnapshot::default()
        };
        let text = pair_text(&pair);
        assert!(text.contains("REDUNDANCY LOST: the peer is not heard"), "{text}");
        assert!(text.contains("beta is silent") && text.contains("not being replicated"), "{text}");
        assert!(text.contains("! It is so.\n  Change it.\n"), "{text}");
        (pair.redundant, pair.lacks) = (true, Vec::new());
        assert!(pair_text(&pair).contains("could fail over now"));
        (pair.replication.direction, pair.replication.stale) = ("sends".into(), true);
        assert!(pair_text(&pair).contains("STALE: the sync port does not carry."));
        pair.paired = false;
        assert!(pair_text(&pair).contains("serves alone"));
    }

    #[test]
    fn whether_both_have_the_same_states_is_said_and_where_not() {
        let mut pair = PairSnapshot::default();
        assert_eq!((digests(&pair), walk(&pair)), (String::new(), String::new()));
        pair.replication.direction = "receives".into();
        assert!(digests(&pair).contains("not proven equal yet"));
        pair.replication.digests = DigestRow {
            equal: true,
            rounds: 3,
            round_ms: Some(40),
            proven_after_ms: Some(700),
            healed: 2,
            ..DigestRow::default()
        };
        let text = digests(&pair);
        assert!(
            text.contains("equal, proven after 700 ms; 3 rounds, the last one 40 ms ago; 2 ranges"),
            "{text}"
        );
        let range = RangeRow { family: "IPv4".into(), first: 256, last: 511, since_ms: 90 };
        pair.replication.digests = DigestRow { differing: 1, ranges: vec![range], ..DigestRow::default() };
        assert!(digests(&pair).contains("DIFFER in 1 ranges of 256 states: IPv4 256 to 511 for 90 ms"));
        pair.replication.walk = WalkRow { full: 3, by_name: 9, bytes: 2_500_000, took_ms: Some(8) };
        assert!(walk(&pair).contains("within 8 ms: 3 in full, 9 by name, 2.5 MB"));
    }
}
