//! Diagnostics, Routes: where packets go, and for an address, which route wins and why the others do not.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::node::snapshot::RouteRow;
use crate::web::frame::Frame;
use crate::web::message::{busy, html};
use crate::web::site::Site;
use crate::web::visitor::Visitor;

/// Where it is.
pub(super) const ROUTES: &str = "/diagnostics/routes";

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    address: String,
}

/// A route that could lead to an address, and why it does or does not.
#[derive(Clone, Debug, Serialize)]
pub(in crate::web) struct Candidate {
    /// The route.
    pub route: RouteRow,
    /// It is the one.
    pub wins: bool,
    /// Why.
    pub why: String,
}

/// The page.
#[derive(Template)]
#[template(path = "routes.html")]
struct Page {
    frame: Frame,
    rows: Vec<RouteRow>,
    address: String,
    wrong: Option<String>,
    candidates: Option<Vec<Candidate>>,
}

/// `GET /diagnostics/routes`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(Wanted { address }): Query<Wanted>,
) -> Response {
    let Some(snapshot) = site.handle.snapshot().await else { return busy() };
    let rows = snapshot.routes;
    let (candidates, wrong) = match address.trim().parse::<IpAddr>() {
        Ok(address) => (Some(candidates(&rows, address)), None),
        Err(_) if address.trim().is_empty() => (None, None),
        Err(_) => (None, Some(format!("\"{address}\" is not an address."))),
    };
    let frame = Frame::new(&site, &visitor, "Routes", ROUTES).await;
    html(&Page { frame, rows, address, wrong, candidates })
}

/// The routes that cover an address, the one that wins first. Rows come in the router's order, the most specific first.
pub(in crate::web) fn candidates(rows: &[RouteRow], address: IpAddr) -> Vec<Candidate> {
    let mut covering: Vec<&RouteRow> = rows.iter().filter(|row| row.destination.contains(&address)).collect();
    covering.sort_by_key(|row| std::cmp::Reverse(row.destination.prefix_len()));
    let Some(first) = covering.first().copied() else { return Vec::new() };
    let why = |at: usize, row: &RouteRow| match at {
        0 if covering.len() == 1 => "it is the only one that covers the address".to_owned(),
        0 => format!("it is the most specific: {} bits of the address fit", row.destination.prefix_len()),
        _ if row.destination == first.destination => "another one of the same network comes first".to_owned(),
        _ => format!(
            "less specific: {} bits against {}",
            row.destination.prefix_len(),
            first.destination.prefix_len()
        ),
    };
    let candidate = |(at, row): (usize, &&RouteRow)| Candidate {
        route: (*row).clone(),
        wins: at == 0,
        why: why(at, row),
    };
    covering.iter().enumerate().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(destination: &str, origin: &str) -> RouteRow {
        RouteRow {
            destination: destination.parse().unwrap(),
            gateway: None,
            gateway_name: None,
            interface: "wan".into(),
            origin: origin.into(),
            description: String::new(),
        }
    }

    #[test]
    fn the_most_specific_route_wins_and_the_others_are_told() {
        let rows = [
            row("10.20.0.0/24", "connected"),
            row("10.0.0.0/8", "static"),
            row("0.0.0.0/0", "default"),
            row("::/0", "default"),
        ];
        let found = candidates(&rows, "10.20.0.9".parse().unwrap());
        let told: Vec<(String, bool)> =
            found.iter().map(|found| (found.route.destination.to_string(), found.wins)).collect();
        let expected = [("10.20.0.0/24", true), ("10.0.0.0/8", false), ("0.0.0.0/0", false)];
        assert_eq!(told, expected.map(|(text, wins)| (text.to_owned(), wins)));
        assert_eq!(found[1].why, "less specific: 8 bits against 24");
        assert_eq!(candidates(&rows, "192.0.2.1".parse().unwrap()).len(), 1);
        assert!(candidates(&rows[..2], "192.0.2.1".parse().unwrap()).is_empty());
    }
}
