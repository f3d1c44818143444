//! System: General Setup.

use crate::web::form::{Field, Kind, field};
use crate::web::settings::Settings;
use crate::web::visitor::Right;

pub(super) static GENERAL: Settings = Settings {
    title: "General Setup",
    about: "",
    slug: "/system/general",
    change: Right::Administer,
    sections: &[("System", "system", GENERAL_FIELDS)],
    beside: &[],
    without: None,
};

static GENERAL_FIELDS: &[Field] = &[
    field(
        "hostname",
        "Hostname",
        Kind::Text { default: "koi" },
        "Name of the firewall, on its pages and in its certificate. Letters, digits and hyphens, in parts joined by dots.",
    ),
    DNS_SERVERS,
    TIMEZONE,
    TIME_SERVERS,
];

pub(in crate::web) const DNS_SERVERS: Field = field(
    "dns_servers",
    "DNS servers",
    Kind::Lines,
    "Addresses, one a line. The firewall asks them what names stand for, in aliases and for servers.",
);
pub(in crate::web) const TIMEZONE: Field = field(
    "timezone",
    "Timezone",
    Kind::Zone,
    "What schedules and dates go by: a name of the IANA database, as in Europe/Berlin.",
);
pub(in crate::web) const TIME_SERVERS: Field = field(
    "time_servers",
    "Time servers",
    Kind::Lines,
    "Addresses, or names of hosts, one a line. The firewall's clock follows them; without any it is the machine's.",
);
