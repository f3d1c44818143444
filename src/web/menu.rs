//! pfSense's menu: what is where.

use super::visitor::{Right, Visitor};
use crate::config::Config;

/// A page of the menu.
pub(super) struct Entry {
    pub label: &'static str,
    pub path: &'static str,
    right: Right,
}

const fn entry(label: &'static str, path: &'static str, right: Right) -> Entry {
    Entry { label, path, right }
}

/// Menus and their pages, in pfSense's order.
static MENU: &[(&str, &[Entry])] = {
    use Right::{Administer, Look, Operate};
    &[
        (
            "System",
            &[
                entry("Advanced", "/system/advanced", Look),
                entry("Certificates", "/system/certificates", Administer),
                entry("General Setup", "/system/general", Look),
                entry("High Availability", "/system/high-availability", Look),
                entry("Notifications", "/system/notifications", Look),
                entry("Routing", "/system/gateways", Look),
                entry("Setup Wizard", "/wizard", Administer),
                entry("User Manager", "/system/users", Administer),
            ],
        ),
        (
            "Interfaces",
            &[entry("Assignments", "/interfaces", Look), entry("Zones", "/interfaces/zones", Look)],
        ),
        (
            "Firewall",
            &[
                entry("Aliases", "/firewall/aliases", Look),
                entry("NAT", "/firewall/nat/port-forward", Look),
                entry("Rules", "/firewall/rules", Look),
                entry("All Rules", "/firewall/rules/all", Look),
                entry("Schedules", "/firewall/schedules", Look),
                entry("Rule Report", "/firewall/rules/report", Look),
                entry("Virtual IPs", "/firewall/virtual-ips", Look),
            ],
        ),
        (
            "Status",
            &[
                entry("Audit Log", "/status/audit", Administer),
                entry("CARP (failover)", "/status/carp", Look),
                entry("Counters", "/status/counters", Look),
                entry("Dashboard", "/", Look),
                entry("Dropped Packets", "/status/drops", Look),
                entry("Firewall Log", "/status/log", Look),
                entry("Gateways", "/status/gateways", Look),
                entry("Interfaces", "/status/interfaces", Look),
                entry("Log Settings", "/status/logs/settings", Look),
                entry("Services", "/status/services", Look),
                entry("System Logs", "/status/system-log", Administer),
                entry("Traffic Graph", "/status/traffic", Look),
            ],
        ),
        (
            "Diagnostics",
            &[
                entry("ARP Table", "/diagnostics/arp", Look),
                entry("Backup & Restore", "/diagnostics/backup", Administer),
                entry("Config History", "/diagnostics/config-history", Look),
                entry("DNS Lookup", "/diagnostics/dns", Operate),
                entry("Factory Defaults", "/diagnostics/factory-defaults", Administer),
                entry("Import", "/diagnostics/import", Administer),
                entry("NDP Table", "/diagnostics/ndp", Look),
                entry("Packet Capture", "/diagnostics/capture", Operate),
                entry("Ping", "/diagnostics/ping", Operate),
                entry("Reboot and Halt", "/diagnostics/restart", Administer),
                entry("Routes", "/diagnostics/routes", Look),
                entry("States", "/diagnostics/states", Look),
                entry("States Summary", "/diagnostics/states-summary", Look),
                entry("Support Bundle", "/diagnostics/support", Administer),
                entry("Tables", "/diagnostics/tables", Look),
                entry("Test Port", "/diagnostics/test-port", Operate),
                entry("Traceroute", "/diagnostics/traceroute", Operate),
                entry("Why?", "/diagnostics/why", Look),
            ],
        ),
        ("Help", &[entry("Manual", "/help", Look), entry("Components", "/help/components", Look)]),
    ]
};

/// Every page that a visitor may see, with its menu.
pub(super) fn entries(visitor: &Visitor) -> impl Iterator<Item = (&'static str, &'static Entry)> {
    let all = MENU.iter().flat_map(|(menu, entries)| entries.iter().map(move |entry| (*menu, entry)));
    all.filter(move |(_, entry)| visitor.may(entry.right))
}

/// A menu as it is shown.
pub(super) struct Menu {
    pub label: &'static str,
    pub links: Vec<Link>,
    /// The page that is shown is one of it.
    pub current: bool,
}

/// A link.
pub(super) struct Link {
    pub label: String,
    pub path: String,
    pub current: bool,
}

/// The menu of a visitor on a page.
pub(super) fn menu(visitor: &Visitor, config: &Config, here: &str) -> Vec<Menu> {
    let mut menus = Vec::new();
    for (label, entries) in MENU {
        let link = |label: &str, path: String| Link { label: label.into(), current: path == here, path };
        let mut links: Vec<Link> = entries
            .iter()
            .filter(|entry| visitor.may(entry.right))
            .map(|entry| link(entry.label, entry.path.to_owned()))
            .collect();
        if *label == "Interfaces" {
            let one = |name: &str| link(&name.to_uppercase(), format!("/interfaces/edit/{name}"));
            links.extend(config.interfaces.iter().map(|interface| one(&interface.name)));
        }
        let current = links.iter().any(|link| link.current);
        menus.push(Menu { label, links, current });
    }
    menus
}

/// Every path of the menu.
#[cfg(test)]
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    MENU.iter().flat_map(|(_, entries)| *entries).map(|entry| entry.path)
}
