//! What was in force, and the way back to it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, unexpected};
use super::edit::ask;
use super::force::{How, applied, how, in_force};
use super::problem::{Kind, Outcome, Problem};
use super::query::{Parameter, Takes, parameter};
use super::route::{Route, Verb};
use super::schema::{flag, like, list, object, text};
use crate::cluster::tokens::Scope;
use crate::config::life::Record;
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Version};
use crate::web::visitor::Right;

const PAGE: &[Parameter] = &[
    parameter("limit", Takes::Number(1000), "How many at most; 100 by itself."),
    parameter("before", Takes::Number(u64::MAX), "Only those before this sequence number."),
];

/// The schema of a revision.
pub(super) fn record() -> Value {
    like(&Record::default())
}

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let page = object(&[("revisions", list(record())), ("more", flag("There are older ones."))], &[]);
    vec![
        Route::get("/config/history", "Revisions, the newest first", page, show).asks(PAGE),
        Route::get(
            "/config/history/{revision}",
            "A revision; its document is a version",
            record(),
            async |call: Call| Reply::json(&find(&call).await?),
        ),
        Route::new(
            Verb::Post,
            "/config/history/{revision}/restore",
            "Puts a revision in force again",
            applied(),
            restore,
        )
        .takes(how())
        .needs(Scope::Configure, Right::Administer)
        .on_active(),
        Route::new(Verb::Put, "/config/history/{revision}/label", "Gives a revision a name", record(), label)
            .takes(object(&[("label", text("The name; empty takes it away."))], &[]))
            .needs(Scope::Configure, Right::Operate),
    ]
}

async fn records(call: &Call) -> Outcome<Vec<Record>> {
    match ask(call, ConfigRequest::History).await? {
        ConfigAnswer::History(records) => Ok(records),
        _ => Err(unexpected()),
    }
}

/// The revision that the path names by number or label: the newest one.
async fn find(call: &Call) -> Outcome<Record> {
    let wanted = call.path("revision");
    let number = wanted.parse().ok();
    let fits = |record: &&Record| Some(record.revision) == number || record.label == wanted;
    let found = records(call).await?.iter().rev().find(fits).cloned();
    found.ok_or_else(|| Problem::new(Kind::Missing, format!("There is no revision \"{wanted}\".")))
}

async fn show(call: Call) -> Outcome<Reply> {
    let limit = call.query.number("limit").unwrap_or(100).max(1) as usize;
    let before = call.query.number("before").unwrap_or(u64::MAX);
    let mut records = records(&call).await?;
    records.retain(|record| record.sequence < before);
    records.reverse();
    let more = records.len() > limit;
    records.truncate(limit);
    Reply::json(&json!({ "revisions": records, "more": more }))
}

async fn restore(call: Call) -> Outcome<Reply> {
    let how: How = call.json()?;
    let revision = find(&call).await?.revision.to_string();
    let request = how.request(Version::Revision(revision.clone()), call.caller.author());
    let answer = ask(&call, request).await?;
    in_force(&call, answer, &format!("put revision {revision} in force again"))
}

/// A name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    label: String,
}

async fn label(call: Call) -> Outcome<Reply> {
    let Label { label } = call.json()?;
    let revision = find(&call).await?.revision.to_string();
    let ConfigAnswer::History(records) =
        ask(&call, ConfigRequest::Label { revision: revision.clone(), label: label.clone() }).await?
    else {
        return Err(unexpected());
    };
    call.note(format_args!("called revision {revision} \"{label}\""));
    let found = records.iter().rev().find(|record| record.revision.to_string() == revision);
    Reply::json(found.ok_or_else(unexpected)?)
}
