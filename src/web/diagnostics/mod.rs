//! Diagnostics: what happens, why, and what can be done about it. One file for each page.

mod capture;
mod inquiries;
mod kill;
pub(super) mod neighbours;
pub(super) mod packet;
mod restart;
pub(super) mod states;
pub(super) mod support;
pub(super) mod tables;
pub(super) mod ways;
pub(super) mod which;
pub(super) mod why;

use axum::extract::{Query, State};
use axum::routing::{get, post};

use super::routes::{Route, changes, looks};
use super::site::Site;
use super::visitor::{Posted, Right, Visitor};
use inquiries::Kind;

/// Every route of these pages.
pub(super) fn routes() -> Vec<Route> {
    use Right::{Administer, Look, Operate};
    let mut routes = vec![
        looks(states::STATES, Look, get(states::show)),
        looks(states::SUMMARY, Look, get(states::summary)),
        looks(kill::KILL, Operate, get(kill::preview)),
        changes(kill::KILL, Operate, post(kill::kill)),
        looks(why::WHY, Look, get(why::show)),
        looks("/diagnostics/explain", Look, get(why::show)),
        looks(neighbours::ARP, Look, get(neighbours::arp)),
        changes(neighbours::ARP, Operate, post(neighbours::forget)),
        looks(neighbours::NDP, Look, get(neighbours::ndp)),
        changes(neighbours::NDP, Operate, post(neighbours::forget)),
        looks(ways::ROUTES, Look, get(ways::show)),
        looks(tables::TABLES, Look, get(tables::show)),
        changes(tables::TABLES, Operate, post(tables::empty)),
        looks(restart::RESTART, Administer, get(restart::show)),
        changes(restart::RESTART, Administer, post(restart::act)),
        looks(support::SUPPORT, Administer, get(support::show)),
        looks("/diagnostics/support/koi-support.tar", Administer, get(support::download)),
        looks(capture::CAPTURE, Operate, get(capture::show)),
        changes(capture::CAPTURE, Operate, post(capture::begin)),
        looks("/diagnostics/capture/{key}", Operate, get(capture::one)),
        looks("/diagnostics/capture/{key}/pcap", Operate, get(capture::download)),
        changes("/diagnostics/capture/{key}/stop", Operate, post(capture::stop)),
        changes("/diagnostics/capture/{key}/delete", Operate, post(capture::delete)),
    ];
    routes.extend(Kind::ALL.into_iter().flat_map(|kind| {
        let show = move |site: State<Site>, visitor: Visitor, wanted: Query<_>| {
            inquiries::show(kind, site, visitor, wanted)
        };
        let ask = move |site: State<Site>, visitor: Visitor, posted: Posted| {
            inquiries::ask(kind, site, visitor, posted)
        };
        [looks(kind.path(), Operate, get(show)), changes(kind.path(), Operate, post(ask))]
    }));
    routes
}
