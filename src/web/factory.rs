//! Factory defaults: what a machine is without anybody's rules, as a draft.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::change::{Change, rejection};
use super::collection::next_id;
use super::form::{text_of, tree};
use super::frame::Frame;
use super::message::html;
use super::pending::PENDING;
use super::site::Site;
use super::visitor::{Posted, Visitor};

/// Where it is.
pub(super) const FACTORY: &str = "/diagnostics/factory-defaults";
/// What goes. Machines, interfaces, addresses, gateways, the pair and users stay, so that nobody is locked out.
const GONE: [&str; 8] =
    ["rule", "port_forward", "one_to_one", "npt", "outbound", "alias", "interface_group", "route"];
/// What goes of `[system]`.
const GONE_OF_SYSTEM: [&str; 6] =
    ["state_limit", "nat_reflection", "one_to_one_reflection", "optimization", "state_policy", "timeouts"];

/// The page.
#[derive(Template)]
#[template(path = "factory.html")]
struct Factory {
    frame: Frame,
}

/// `GET /diagnostics/factory-defaults`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Factory { frame: Frame::new(&site, &visitor, "Factory Defaults", FACTORY).await })
}

/// `POST /diagnostics/factory-defaults`
pub(super) async fn reset(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    if posted.get("sure").is_none() {
        return Redirect::to(FACTORY).into_response();
    }
    let change = Change::new(&visitor, &posted, |tree: &mut Value| {
        forget(tree);
        Ok(())
    });
    match site.edit(move |editor| change.save(editor)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, "went back to factory defaults, as draft");
            Redirect::to(PENDING).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

fn forget(tree: &mut Value) {
    for list in GONE {
        tree::set(tree, list, None);
    }
    for key in GONE_OF_SYSTEM {
        tree::set(tree, &format!("system.{key}"), None);
    }
    tree::set(tree, "system.anti_lockout", Some(true.into()));
    let lans = tree::list(tree, "interface").iter().filter(|entry| text_of(entry.get("zone")) == "lan");
    let lans: Vec<String> = lans.map(|entry| text_of(entry.get("name"))).collect();
    for lan in lans {
        let rule = json!({ "id": next_id(tree), "interface": lan, "action": "pass",
            "source": format!("{lan} net"), "description": format!("Default allow {} to any rule", lan.to_uppercase()) });
        if let Some(rules) = tree::list_mut(tree, "rule") {
            rules.push(rule);
        }
    }
}
