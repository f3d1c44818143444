//! What became of an imported file, for people.

use std::process::ExitCode;

use crate::config::pfsense::Report;
use crate::config::pfsense::report::{Effect, Finding, Place};
use crate::config::pfsense::tree::Product;

/// Places that a line names; JSON has more.
const SHOWN: usize = 4;

/// Prints the whole report.
pub fn print(report: &Report) -> ExitCode {
    let product = match report.product {
        Product::Pfsense => "pfSense",
        Product::Opnsense => "OPNsense",
    };
    match &report.version {
        Some(version) => println!("{product}, format {version}"),
        None => println!("{product}"),
    }
    print_mapping(report);
    group("Imported", &report.imported);
    group("Adapted", &report.adapted);
    group("Kept, but inactive", &report.kept_inactive);
    group("Not possible", &report.not_possible);
    effect(&report.effect);
    if !report.problems.is_empty() {
        println!("\nTo be corrected in the document");
        report.problems.iter().for_each(|problem| println!("  {problem}"));
    }
    ExitCode::SUCCESS
}

/// Prints which device becomes which port.
pub fn print_mapping(report: &Report) {
    println!("\nPorts");
    for mapped in &report.mapping {
        let carries = mapped.carries.join("; ");
        match &mapped.port {
            Some(port) => println!("  {}={port}   carries {carries}", mapped.device),
            None => println!(
                "  {}=?   carries {carries}\n      proposed: --map {}={}, {}",
                mapped.device, mapped.device, mapped.proposal, mapped.because
            ),
        }
    }
}

fn group(title: &str, findings: &[Finding]) {
    println!("\n{title}: {}", Report::count(findings));
    for Finding { what, how, count, places } in findings {
        let why = if how.is_empty() { String::new() } else { format!(": {how}") };
        println!("  {count} {what}{why}");
        let shown: Vec<String> = places.iter().take(SHOWN).map(place).collect();
        let more = count.saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        println!("      {}{more}", shown.join(", "));
    }
}

fn place(place: &Place) -> String {
    let Place { path, line, name } = place;
    let line = line.map_or(String::new(), |line| format!(" (line {line})"));
    let name = if name.is_empty() { String::new() } else { format!(" {name:?}") };
    format!("{path}{line}{name}")
}

fn effect(effect: &Effect) {
    let Effect {
        interfaces,
        tabs,
        port_forwards,
        one_to_one,
        npt,
        outbound,
        virtual_ips,
        gateways,
        routes,
        aliases,
        users,
    } = effect;
    println!("\nWhat would become true");
    for (title, lines) in [("interfaces", interfaces), ("virtual IPs", virtual_ips), ("gateways", gateways)] {
        println!("  {title}: {}", if lines.is_empty() { "none".to_owned() } else { lines.join("; ") });
    }
    for tab in tabs {
        println!("  rules on {}: {} in force, {} disabled", tab.name, tab.active, tab.disabled);
    }
    println!("  port forwards: {port_forwards}, 1:1: {one_to_one}, NPt: {npt}, outbound: {outbound}");
    println!("  routes: {routes}, aliases: {aliases}");
    println!("  users: {}", if users.is_empty() { "none".to_owned() } else { users.join(", ") });
}
