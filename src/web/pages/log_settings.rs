//! Status: the settings of the firewall log.

use crate::web::form::{Field, Kind, field};
use crate::web::settings::Settings;
use crate::web::visitor::Right;

pub(super) static LOG_SETTINGS: Settings = Settings {
    title: "Log Settings",
    about: "Where the firewall log goes: what rules with a log have passed or blocked, and what no rule has passed.",
    slug: "/status/logs/settings",
    change: Right::Administer,
    sections: &[("Firewall Log", "system.logging", FIELDS), ("Remote Log Servers", "system.logging", REMOTE)],
    beside: &[],
    without: None,
};

static FIELDS: &[Field] = &[
    field(
        "default_block",
        "Default block",
        Kind::Flag { default: true, words: "Log what no rule has passed" },
        "The most of what reaches a WAN.",
    ),
    field(
        "file_size",
        "Log file size",
        Kind::Number { default: "512000" },
        "Bytes, from 10000 to 64000000. A full file is put aside, and a new one is begun.",
    ),
    field(
        "file_count",
        "Log retention count",
        Kind::Number { default: "7" },
        "Files that are kept, from 1 to 100.",
    ),
];

static REMOTE: &[Field] = &[
    field(
        "servers",
        "Servers",
        Kind::Lines,
        "Up to three, one a line: an address or the name of a host, with a port unless it is 514, as in 192.0.2.9:5514. Each record is a datagram of syslog (RFC 5424).",
    ),
    field(
        "facility",
        "Facility",
        Kind::Choice(&[
            ("local0", "local0"),
            ("local1", "local1"),
            ("local2", "local2"),
            ("local3", "local3"),
            ("local4", "local4"),
            ("local5", "local5"),
            ("local6", "local6"),
            ("local7", "local7"),
            ("kern", "kern"),
            ("user", "user"),
            ("daemon", "daemon"),
            ("auth", "auth"),
        ]),
        "By which servers sort records.",
    ),
    field(
        "severity",
        "Severity",
        Kind::Choice(&[
            ("info", "info"),
            ("notice", "notice"),
            ("warning", "warning"),
            ("err", "err"),
            ("crit", "crit"),
            ("alert", "alert"),
            ("emerg", "emerg"),
            ("debug", "debug"),
        ]),
        "Of each record.",
    ),
];
