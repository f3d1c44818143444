//! Diagnostics, ARP Table and NDP Table: whom the router has met on its networks.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::states::sentence;
use crate::io::request::{Request, Response as Answer};
use crate::node::snapshot::NeighbourRow;
use crate::web::frame::Frame;
use crate::web::message::{Message, busy, html};
use crate::web::site::Site;
use crate::web::visitor::{Posted, Right, Visitor};

/// Where the one and the other is.
pub(super) const ARP: &str = "/diagnostics/arp";
pub(super) const NDP: &str = "/diagnostics/ndp";
const BESIDE: &[(&str, &str)] = &[("ARP Table", ARP), ("NDP Table", NDP)];
/// Rows of a page: a table has at most some thousands.
const PAGE: usize = 1000;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    interface: String,
    /// A part of an address.
    find: String,
}

/// The page.
#[derive(Template)]
#[template(path = "neighbours.html")]
struct Page {
    frame: Frame,
    path: &'static str,
    interfaces: Vec<String>,
    interface: String,
    find: String,
    rows: Vec<NeighbourRow>,
    /// How many there are of this family.
    total: usize,
    may_forget: bool,
}

/// `GET /diagnostics/arp`
pub(super) async fn arp(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    page(ARP, site, visitor, wanted).await
}

/// `GET /diagnostics/ndp`
pub(super) async fn ndp(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    page(NDP, site, visitor, wanted).await
}

async fn page(path: &'static str, site: Site, visitor: Visitor, wanted: Wanted) -> Response {
    let Wanted { interface, find } = wanted;
    let Some(snapshot) = site.handle.snapshot().await else { return busy() };
    let mut rows: Vec<NeighbourRow> =
        snapshot.neighbours.into_iter().filter(|row| row.address.is_ipv4() == (path == ARP)).collect();
    let total = rows.len();
    rows.retain(|row| fits(row, &interface, find.trim()));
    rows.sort_by_key(|row| row.address);
    rows.truncate(PAGE);
    let title = if path == ARP { "ARP Table" } else { "NDP Table" };
    html(&Page {
        frame: Frame::new(&site, &visitor, title, path).await.with_tabs(BESIDE),
        path,
        interfaces: site.config().interfaces.iter().map(|one| one.name.clone()).collect(),
        interface,
        find,
        rows,
        total,
        may_forget: visitor.may(Right::Operate),
    })
}

/// `POST` to either page: a neighbour is forgotten. Each node has met its own: the one that shows this page forgets.
pub(super) async fn forget(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let field = |name: &str| posted.get(name).unwrap_or_default().trim();
    let Ok(address) = field("address").parse() else {
        return (StatusCode::UNPROCESSABLE_ENTITY, Message::conflict("Name a neighbour.")).into_response();
    };
    match forgotten(&site, field("interface"), address).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, deed(&site, field("interface"), address));
            Redirect::to(if address.is_ipv4() { ARP } else { NDP }).into_response()
        }
        Err(why) => Message::conflict(sentence(&why)).into_response(),
    }
}

/// Has this node forget a neighbour.
pub(in crate::web) async fn forgotten(site: &Site, interface: &str, address: IpAddr) -> Result<(), String> {
    match site.ask(Request::Forget { interface: interface.to_owned(), address }).await {
        Answer::Done => Ok(()),
        Answer::Failed(why) => Err(why),
        _ => Err("the router answers something else than it was asked".into()),
    }
}

/// As the list of what was done has it.
pub(in crate::web) fn deed(site: &Site, interface: &str, address: IpAddr) -> String {
    format!("made {} forget the neighbour {address} on {interface}", site.node_name())
}

fn fits(row: &NeighbourRow, interface: &str, find: &str) -> bool {
    let mac = row.mac.map_or(String::new(), |mac| mac.to_string());
    let find = find.to_ascii_lowercase();
    (interface.is_empty() || row.interface == interface)
        && (row.address.to_string().contains(&find) || mac.contains(&find))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MacAddr;

    #[test]
    fn rows_are_found_by_interface_address_and_mac() {
        let row = NeighbourRow {
            address: "192.168.1.10".parse().unwrap(),
            interface: "lan".into(),
            mac: Some(MacAddr([2, 0, 0, 0, 0xab, 1])),
            state: "reachable".into(),
        };
        assert!(fits(&row, "", "") && fits(&row, "lan", "1.10") && fits(&row, "", "AB:01"));
        assert!(!fits(&row, "wan", "") && !fits(&row, "", "10.20"));
    }
}
