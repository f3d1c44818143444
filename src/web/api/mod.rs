//! The JSON API, `/api/v1`: what the pages and `koi` can do, for programs with a token.
//!
//! There is one table of routes (`routes`): the router is built from it (`door`), and so is the OpenAPI document (`openapi`).
//! A handler asks the router what the control socket can be asked, or an [`edit::Editor`](super::edit::Editor) to change
//! the document: the same ways that commands and pages go. Only a bearer token opens the door, never a cookie, so no other site
//! can make a browser ask anything here.
//!
//! Invariant: bodies, depth, time and the number of requests at work are bounded; whatever was not done is answered with a
//! problem (RFC 9457).

mod call;
mod candidate;
mod captures;
mod config;
mod diagnostics;
mod door;
mod easy_rule;
mod edit;
mod entries;
mod flows;
mod force;
mod history;
mod living;
mod metrics;
mod openapi;
mod pair;
mod problem;
mod query;
mod rights;
mod route;
mod samples;
mod schema;
mod sections;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod transfer;
pub(super) mod upgrades;
mod users;

pub(super) use door::router;
pub(super) use metrics::router as metrics;

use route::Route;

/// Where it is.
pub(super) const BASE: &str = "/api/v1";

/// Every route.
fn routes() -> Vec<Route> {
    let rooms = [
        ("about", vec![openapi::route(), tokens::own()]),
        ("configuration", config::routes()),
        ("candidate", candidate::routes()),
        ("candidate", force::routes()),
        ("history", history::routes()),
        ("files", transfer::routes()),
        ("sections", sections::routes()),
        ("users", users::routes()),
        ("tokens", tokens::routes()),
        ("state", state::routes()),
        ("flows", flows::routes()),
        ("diagnostics", diagnostics::routes()),
        ("captures", captures::routes()),
        ("candidate", easy_rule::routes()),
        ("pair", pair::routes()),
        ("pair", upgrades::routes()),
        ("living", living::routes()),
    ];
    rooms.into_iter().flat_map(|(tag, routes)| routes.into_iter().map(|route| route.under(tag))).collect()
}
