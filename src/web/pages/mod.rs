//! The pages that are tables: one file per menu, one table per page.

mod firewall;
mod interfaces;
mod nat;
mod system;

use super::collection::Collection;
use super::settings::Settings;

/// Pages with a list and a form for its entries.
pub(super) static COLLECTIONS: &[&Collection] = &[
    &system::GATEWAYS,
    &system::GATEWAY_GROUPS,
    &system::ROUTES,
    &system::USERS,
    &interfaces::INTERFACES,
    &interfaces::GROUPS,
    &firewall::ALIASES,
    &firewall::RULES,
    &firewall::VIRTUAL_IPS,
    &nat::PORT_FORWARDS,
    &nat::ONE_TO_ONES,
    &nat::OUTBOUND_RULES,
    &nat::NPTS,
];

/// Pages with one form.
pub(super) static SETTINGS: &[&Settings] =
    &[&system::GENERAL, &system::ADVANCED, &system::HIGH_AVAILABILITY, &nat::OUTBOUND_MODE];
