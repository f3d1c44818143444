//! The pages that are tables: one file per menu, one table per page.

mod firewall;
mod interfaces;
mod system;

use super::collection::Collection;
use super::settings::Settings;

/// Pages with a list and a form for its entries.
pub(super) static COLLECTIONS: &[&Collection] = &[
    &system::GATEWAYS,
    &system::ROUTES,
    &system::USERS,
    &interfaces::INTERFACES,
    &interfaces::GROUPS,
    &firewall::ALIASES,
    &firewall::RULES,
    &firewall::VIRTUAL_IPS,
];

/// Pages with one form.
pub(super) static SETTINGS: &[&Settings] =
    &[&system::GENERAL, &system::ADVANCED, &system::HIGH_AVAILABILITY, &firewall::OUTBOUND];
