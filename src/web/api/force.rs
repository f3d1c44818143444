//! How a change comes into force, stays, or goes back.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, unexpected};
use super::edit::{ask, ask_of_candidate};
use super::problem::Outcome;
use super::route::{Route, Verb};
use super::schema::{like, maybe, number, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::config::life::Author;
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Standing, Version};
use crate::web::visitor::Right;

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let applied = applied();
    vec![
        Route::new(Verb::Post, "/config/apply", "Puts the candidate in force", applied.clone(), apply)
            .takes(how())
            .needs(Scope::Configure, Right::Operate)
            .edits(),
        Route::new(
            Verb::Post,
            "/config/confirm",
            "What waits to be confirmed stays",
            like(&Standing::default()),
            confirm,
        )
        .needs(Scope::Operate, Right::Operate),
        Route::new(
            Verb::Post,
            "/config/rollback",
            "What waits to be confirmed goes back at once",
            applied,
            rollback,
        )
        .needs(Scope::Operate, Right::Operate),
    ]
}

/// What is answered when something came into force.
pub(super) fn applied() -> Value {
    object(
        &[
            ("revision", number("Its number.")),
            ("hash", text("Its hash.")),
            (
                "confirm_within",
                maybe(number("It goes back by itself unless it is confirmed within so many seconds.")),
            ),
            ("pair", maybe(text("What became of it on the peer."))),
        ],
        &[],
    )
}

/// How something comes into force.
pub(super) fn how() -> Value {
    let seconds = object(&[("seconds", number("From 1 to 86400."))], &[]);
    let words =
        one_of(&["when-risky", "never"], "When it could lock somebody out (by itself), or not at all.");
    object(&[], &[("confirm", json!({ "oneOf": [words, seconds] })), ("why", text("For the history."))])
}

/// See [`how`].
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct How {
    confirm: Confirmation,
    why: String,
}

impl How {
    /// As it is asked for.
    pub fn request(self, version: Version, author: Author) -> ConfigRequest {
        let How { confirm: confirmation, why } = self;
        ConfigRequest::Apply { version, confirmation, why, author }
    }
}

/// Something has come into force.
pub(super) fn in_force(call: &Call, answer: ConfigAnswer, what: &str) -> Outcome<Reply> {
    let ConfigAnswer::Applied { revision, hash, confirm_within, pair } = answer else {
        return Err(unexpected());
    };
    call.note(format_args!("{what}: revision {revision}"));
    let body = json!({ "revision": revision, "hash": hash, "confirm_within": confirm_within, "pair": pair });
    Ok(Reply::json(&body)?.of_edition(hash))
}

async fn apply(call: Call) -> Outcome<Reply> {
    let how: How = call.json()?;
    let request = how.request(Version::Candidate, call.caller.author());
    let answer = ask_of_candidate(&call, request).await?;
    in_force(&call, answer, "applied the changes")
}

async fn confirm(call: Call) -> Outcome<Reply> {
    let ConfigAnswer::Standing(standing) = ask(&call, ConfigRequest::Confirm).await? else {
        return Err(unexpected());
    };
    call.note("confirmed the changes");
    Reply::json(&standing)
}

async fn rollback(call: Call) -> Outcome<Reply> {
    let answer = ask(&call, ConfigRequest::Rollback { author: call.caller.author() }).await?;
    in_force(&call, answer, "took the changes back")
}
