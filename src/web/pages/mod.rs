//! The pages that are tables: one file per menu, one table per page.

mod certificates;
mod firewall;
mod general;
mod interfaces;
mod log_settings;
mod nat;
mod schedules;
mod system;

pub(super) use certificates::BESIDE as BESIDE_CERTIFICATES;
pub(super) use firewall::{BESIDE as BESIDE_RULES, owner_page};
pub(super) use general::{DNS_SERVERS, TIME_SERVERS, TIMEZONE};
pub(super) use interfaces::{BESIDE as BESIDE_INTERFACES, INTERFACES};
pub(super) use system::{PAIR_BESIDE as BESIDE_PAIR, USERS_BESIDE};

use super::collection::Collection;
use super::settings::Settings;

/// Pages with a list and a form for its entries.
pub(super) static COLLECTIONS: &[&Collection] = &[
    &system::GATEWAYS,
    &system::GATEWAY_GROUPS,
    &system::ROUTES,
    &system::USERS,
    &certificates::CERTIFICATES,
    &interfaces::INTERFACES,
    &interfaces::GROUPS,
    &firewall::ALIASES,
    &firewall::RULES,
    &schedules::SCHEDULES,
    &firewall::VIRTUAL_IPS,
    &nat::PORT_FORWARDS,
    &nat::ONE_TO_ONES,
    &nat::OUTBOUND_RULES,
    &nat::NPTS,
];

/// Pages with one form.
pub(super) static SETTINGS: &[&Settings] = &[
    &general::GENERAL,
    &system::ADVANCED,
    &system::NOTIFICATIONS,
    &system::HIGH_AVAILABILITY,
    &log_settings::LOG_SETTINGS,
    &nat::OUTBOUND_MODE,
];
