//! Diagnostics, Tables: what aliases stand for at present, who is in the overload tables, and where an address is.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::states::sentence;
use crate::config::Aliases;
use crate::config::model::AliasKind;
use crate::io::request::{Request, Response as Answer};
use crate::node::{Compiled, OverloadEntry};
use crate::types::{Instant, Prefix};
use crate::web::frame::Frame;
use crate::web::guard::percent_encode;
use crate::web::message::{Message, busy, html};
use crate::web::site::Site;
use crate::web::visitor::{Posted, Right, Visitor};

/// Where it is.
pub(super) const TABLES: &str = "/diagnostics/tables";
/// Entries of a page.
const PAGE: usize = 1000;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    table: String,
    address: String,
}

/// A table and whether an address is in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(in crate::web) struct Hit {
    /// Its name.
    pub table: String,
    /// `alias` or `overload`.
    pub kind: &'static str,
    /// The range that has the address in it.
    pub entry: String,
}

/// A table as it is shown.
struct Shown {
    name: String,
    is_overload: bool,
    about: String,
    entries: Vec<String>,
    total: usize,
}

/// The page.
#[derive(Template)]
#[template(path = "tables.html")]
struct Page {
    frame: Frame,
    /// Names, and whether they are of overload tables.
    names: Vec<(String, bool)>,
    table: String,
    address: String,
    shown: Option<Shown>,
    hits: Option<Vec<Hit>>,
    wrong: Option<String>,
    may_empty: bool,
}

/// `GET /diagnostics/tables`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(Wanted { table, address }): Query<Wanted>,
) -> Response {
    let compiled = site.handle.in_force();
    let Some(entries) = site.handle.overloaded().await else { return busy() };
    let now = (site.clock)();
    let aliases = compiled.config.aliases.iter().map(|alias| (alias.name.clone(), false));
    let overloads = compiled.overload_tables.iter().map(|name| (name.clone(), true));
    let (hits, wrong) = match address.trim().parse::<IpAddr>() {
        Ok(address) => (Some(hits(&compiled, &entries, address)), None),
        Err(_) if address.trim().is_empty() => (None, None),
        Err(_) => (None, Some(format!("\"{address}\" is not an address."))),
    };
    html(&Page {
        frame: Frame::new(&site, &visitor, "Tables", TABLES).await,
        names: aliases.chain(overloads).collect(),
        shown: Shown::of(&compiled, &entries, now, &table),
        table,
        address,
        hits,
        wrong,
        may_empty: visitor.may(Right::Operate),
    })
}

/// `POST /diagnostics/tables`: an overload table is emptied.
pub(super) async fn empty(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let Some(table) = posted.get("table").filter(|name| !name.is_empty()) else {
        return (StatusCode::UNPROCESSABLE_ENTITY, Message::conflict("Name a table.")).into_response();
    };
    match site.ask(Request::EmptyTable { table: Some(table.to_owned()) }).await {
        Answer::Emptied { count } => {
            site.note(&visitor.account.name, visitor.from, format!("took {count} sources out of {table}"));
            Redirect::to(&format!("{TABLES}?table={}", percent_encode(table))).into_response()
        }
        Answer::Failed(why) => Message::conflict(sentence(&why)).into_response(),
        _ => busy(),
    }
}

/// The tables that have an address in them.
pub(in crate::web) fn hits(compiled: &Compiled, entries: &[OverloadEntry], address: IpAddr) -> Vec<Hit> {
    let config = &compiled.config;
    let aliases = Aliases::under(config, &compiled.conditions);
    let of_addresses = config.aliases.iter().filter(|alias| alias.kind != AliasKind::Port);
    let in_alias = of_addresses.filter_map(|alias| {
        let mut ranges = aliases.addresses(&alias.name).into_iter();
        let range = ranges.find(|range| (range.first()..=range.last()).contains(&address))?;
        let entry = words(range.first(), range.last());
        Some(Hit { table: alias.name.clone(), kind: "alias", entry })
    });
    let in_overload = entries.iter().filter(|entry| entry.source == address).filter_map(|entry| {
        let table = compiled.overload_tables.get(usize::from(entry.table))?.clone();
        Some(Hit { table, kind: "overload", entry: address.to_string() })
    });
    in_alias.chain(in_overload).collect()
}

/// A range as people write it.
fn words(first: IpAddr, last: IpAddr) -> String {
    if first == last {
        return first.to_string();
    }
    let lengths = 0..=if first.is_ipv4() { 32 } else { 128 };
    let mut prefixes = lengths.filter_map(|length| Prefix::new(first, length).ok());
    let whole = prefixes.find(|prefix| prefix.network() == first && prefix.broadcast() == last);
    whole.map_or_else(|| format!("{first}-{last}"), |prefix| prefix.to_string())
}

impl Shown {
    fn of(compiled: &Compiled, entries: &[OverloadEntry], now: Instant, name: &str) -> Option<Shown> {
        let config = &compiled.config;
        if let Some(place) = compiled.overload_tables.iter().position(|known| known == name) {
            let inside = entries.iter().filter(|entry| usize::from(entry.table) == place);
            let mut lines: Vec<String> = inside
                .map(|entry| format!("{}, for {} s", entry.source, entry.until.since(now).as_secs()))
                .collect();
            lines.sort();
            let about = "Sources that made too many connections; they are blocked.".to_owned();
            return Some(Shown::cut(name, true, about, lines));
        }
        let alias = config.aliases.iter().find(|alias| alias.name == name)?;
        let aliases = Aliases::under(config, &compiled.conditions);
        let lines = match alias.kind {
            AliasKind::Port => aliases.ports(name).iter().map(ToString::to_string).collect(),
            AliasKind::Host | AliasKind::Network | AliasKind::Urltable => {
                let ranges = aliases.addresses(name).into_iter();
                ranges.map(|range| words(range.first(), range.last())).collect()
            }
        };
        Some(Shown::cut(name, false, alias.description.clone(), lines))
    }

    fn cut(name: &str, is_overload: bool, about: String, mut entries: Vec<String>) -> Shown {
        let total = entries.len();
        entries.truncate(PAGE);
        Shown { name: name.to_owned(), is_overload, about, entries, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_networks_where_they_are_some() {
        for (first, last, text) in [
            ("10.0.0.0", "10.255.255.255", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.9", "10.0.0.1-10.0.0.9"),
            ("0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
            ("2001:db8::", "2001:db8::ffff", "2001:db8::/112"),
        ] {
            assert_eq!(words(first.parse().unwrap(), last.parse().unwrap()), text);
        }
    }
}
