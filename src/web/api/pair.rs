//! The pair: how it is, and who shall serve.

use serde::Deserialize;

use super::call::{Call, Reply, unexpected};
use super::problem::{Kind, Outcome, Problem};
use super::route::{Route, Verb};
use super::schema::{flag, like, object};
use crate::cluster::role;
use crate::cluster::tokens::Scope;
use crate::io::request::{Request, Response, Status};
use crate::node::PairSnapshot;
use crate::types::Role;
use crate::web::site::Site;
use crate::web::visitor::Right;

/// A switch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let pair = || like(&PairSnapshot::default());
    let wish = |path: &str, summary: &str, request: fn() -> Request| {
        let answer = move |call: Call| order(call, request());
        Route::new(Verb::Post, path, summary, pair(), answer).needs(Scope::Operate, Right::Administer)
    };
    let switch = |path: &str, summary: &str, what: fn(bool) -> role::Request| {
        let answer = move |call: Call| async move {
            let Switch { on } = call.json()?;
            order(call, Request::Role(what(on))).await
        };
        Route::new(Verb::Put, path, summary, pair(), answer)
            .takes(object(&[("on", flag("From now on, or no longer."))], &[]))
            .needs(Scope::Operate, Right::Administer)
    };
    vec![
        Route::get(
            "/pair",
            "The pair: roles, paths, replication, and what a fail-over would lack",
            pair(),
            show,
        ),
        Route::get("/pair/peer", "How the other node is", like(&Status::default()), peer),
        wish("/pair/handover", "The active node hands over without losing a packet", || {
            Request::Role(role::Request::HandOver)
        }),
        wish("/pair/takeover", "The standby node takes the role", || Request::Role(role::Request::TakeOver)),
        wish("/pair/resign", "The active node gives the role up at once, even if that costs packets", || {
            Request::Role(role::Request::Resign)
        }),
        wish("/pair/resync", "The active node tells the standby all states anew", || Request::Resync),
        switch(
            "/pair/maintenance",
            "This node serves only when its peer cannot; survives a restart",
            role::Request::Maintenance,
        ),
        switch("/pair/disabled", "This node serves no more, whatever happens", role::Request::Disable),
    ]
}

async fn show(call: Call) -> Outcome<Reply> {
    asked(&call, Request::Pair).await
}

async fn peer(call: Call) -> Outcome<Reply> {
    match call.ask(Request::Peer(Box::new(Request::Status))).await? {
        Response::Status(status) => Reply::json(&status),
        _ => Err(unexpected()),
    }
}

async fn order(call: Call, request: Request) -> Outcome<Reply> {
    let what = match &request {
        Request::Role(request) => format!("asked this node to {request}"),
        _ => "asked for a new synchronisation of the pair".to_owned(),
    };
    let reply = asked(&call, request).await?;
    call.note(what);
    Ok(reply)
}

async fn asked(call: &Call, request: Request) -> Outcome<Reply> {
    match call.ask(request).await? {
        Response::Pair(pair) => Reply::json(&pair),
        _ => Err(unexpected()),
    }
}

/// This node is the one whose candidate is edited: in a pair, the one that serves, as long as there is one.
///
/// # Errors
/// Names the active node.
pub(super) async fn here(site: &Site) -> Outcome<()> {
    let Some(pair) = site.handle.pair().await else { return Ok(()) };
    let serves = pair.peer.as_ref().is_some_and(|peer| peer.alive && peer.role == Role::Active.name());
    if !pair.paired || pair.leads || !serves {
        return Ok(());
    }
    let active = pair.peer_name.unwrap_or_default();
    let shared = pair.virtual_ips.iter().flat_map(|vip| vip.addresses.clone()).collect::<Vec<_>>();
    let problem =
        Problem::new(Kind::Standby, format!("This node stands by. Ask {active}, or a virtual address."));
    Err(problem.with("active", active.into()).with("addresses", shared.into()))
}
