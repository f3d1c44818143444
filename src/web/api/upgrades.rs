//! The upgrade of the pair: a release is sent, checked, and installed on both nodes.

use serde::Deserialize;
use serde_json::json;

use super::call::{Call, Reply, sentence};
use super::problem::{Kind, Outcome, Problem, Trouble};
use super::route::{Route, Verb};
use super::schema::{flag, like, list, maybe, object, text};
use crate::cluster::release::SIZE_MAX;
use crate::cluster::tokens::Scope;
use crate::io::upgrade::Journal;
use crate::web::upgrade::{self, Known};
use crate::web::visitor::Right;

/// Where a release is sent to.
pub(in crate::web) const RELEASE: &str = "/api/v1/pair/upgrade/release";

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let taken = || {
        let parts = [
            ("version", text("Its version.")),
            ("key", text("Who has signed it.")),
            ("plan", list(text("What would happen, in words."))),
        ];
        object(&parts, &[])
    };
    let known = like(&Known { journal: Journal::default(), ..Known::default() });
    vec![
        Route::get(
            "/pair/upgrade",
            "The release that waits on this node, and the upgrade that runs or was the last one, on either node",
            object(&[("release", maybe(taken())), ("upgrade", maybe(known))], &[]),
            show,
        ),
        Route::new(
            Verb::Put,
            "/pair/upgrade/release",
            "Sends a signed release to this node, which checks it and does nothing yet",
            taken(),
            send,
        )
        .takes_file(SIZE_MAX)
        .needs(Scope::Operate, Right::Administer),
        Route::new(
            Verb::Post,
            "/pair/upgrade",
            "Installs the release that waits on this node on both nodes, the standby first",
            object(&[("begun", flag("It runs."))], &[]),
            begin,
        )
        .takes(object(&[("version", text("Of the release that waits."))], &[]))
        .needs(Scope::Operate, Right::Administer),
    ]
}

async fn show(call: Call) -> Outcome<Reply> {
    let (release, known) = (upgrade::taken(&call.site).await, upgrade::known(&call.site).await);
    Reply::json(&json!({ "release": release, "upgrade": known }))
}

async fn send(call: Call) -> Outcome<Reply> {
    let trouble = |why: String| Trouble {
        path: String::new(),
        place: None,
        message: sentence(&why),
        remedy: "Send a release that this pair can be upgraded to.".into(),
    };
    let taken = upgrade::take(&call.site, call.body.clone()).await;
    let release = taken.map_err(|why| Problem::invalid(vec![trouble(why)]))?;
    call.note(format_args!("sent the release {}, signed by {}", release.version, release.key));
    Reply::json(&upgrade::taken(&call.site).await.unwrap_or_default())
}

/// Which release shall be installed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    version: String,
}

async fn begin(call: Call) -> Outcome<Reply> {
    let Wanted { version } = call.json()?;
    let begun = upgrade::begin(&call.site, &version).await;
    begun.map_err(|why| Problem::new(Kind::Conflict, sentence(&why)))?;
    call.note(format_args!("began the upgrade of both nodes to {version}"));
    Reply::json(&json!({ "begun": true }))
}
