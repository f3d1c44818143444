//! The candidate as a whole: another document, a merge into several sections, and what is thrown away.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::call::{Call, Reply, unexpected};
use super::config::{difference, told};
use super::edit::{More, ask_of_candidate, edit, edited};
use super::entries::merge;
use super::problem::{Outcome, Problem, Trouble};
use super::rights::right_to_look;
use super::route::{DOCUMENT, Route, Verb};
use super::schema::{named, number, object, text};
use crate::cluster::tokens::Scope;
use crate::config;
use crate::io::config_request::ConfigRequest;
use crate::web::form::tree;
use crate::web::visitor::Right;

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let changes = |route: Route| route.needs(Scope::Configure, Right::Operate).edits();
    vec![
        changes(
            Route::new(Verb::Put, "/config/candidate", "Makes this document the candidate", edited(&[]), put)
                .takes_up_to(given(), DOCUMENT),
        ),
        changes(
            Route::new(
                Verb::Patch,
                "/config/candidate",
                "Merges this into the candidate (RFC 7396): several sections at once",
                edited(&[]),
                patch,
            )
            .takes_up_to(named("Document"), DOCUMENT),
        ),
        changes(Route::new(
            Verb::Delete,
            "/config/candidate",
            "Throws the candidate away",
            difference(),
            discard_all,
        )),
        changes(
            Route::new(
                Verb::Post,
                "/config/discard",
                "Takes one change out of the candidate",
                difference(),
                discard,
            )
            .takes(object(&[("change", number("Its number in the difference."))], &[])),
        ),
    ]
}

/// The schema of a document that is sent.
pub(super) fn given() -> Value {
    object(&[], &[("document", named("Document")), ("text", text("The same as TOML; one of the two."))])
}

/// A document, in one of its two forms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Given {
    pub document: Option<Map<String, Value>>,
    pub text: Option<String>,
}

impl Given {
    /// The tree of the document.
    pub fn tree(self) -> Outcome<Map<String, Value>> {
        match self {
            Given { document: Some(document), text: None } => Ok(document),
            Given { document: None, text: Some(text) } => {
                let wrong = |problems: Vec<config::Problem>| {
                    Problem::invalid(problems.iter().map(Trouble::in_text).collect())
                };
                let valid = config::load(&text).map_err(wrong)?;
                match tree::tree(&valid) {
                    Value::Object(document) => Ok(document),
                    _ => Err(unexpected()),
                }
            }
            Given { document: Some(_), text: Some(_) } | Given { document: None, text: None } => {
                let remedy = "Send either \"document\" or \"text\".";
                Err(Problem::malformed("/", "It is not clear which document is meant.", remedy))
            }
        }
    }
}

async fn put(call: Call) -> Outcome<Reply> {
    let mut given = call.json::<Given>()?.tree()?;
    let caller = call.caller.clone();
    edit(&call, "put another document into the candidate", move |tree| {
        let Value::Object(before) = tree else { return Err(unexpected()) };
        // The number is the document's own; what the caller does not see stays.
        for (section, value) in before.iter() {
            if section == "revision" || !caller.may(Scope::Read, right_to_look(section)) {
                given.insert(section.clone(), value.clone());
            }
        }
        *tree = Value::Object(given);
        Ok(More::new())
    })
    .await
}

async fn patch(call: Call) -> Outcome<Reply> {
    let mut given: Map<String, Value> = call.json()?;
    given.remove("revision");
    edit(&call, "merged something into the candidate", move |tree| {
        merge(tree, Value::Object(given));
        Ok(More::new())
    })
    .await
}

async fn discard_all(call: Call) -> Outcome<Reply> {
    let answer = ask_of_candidate(&call, ConfigRequest::Discard { change: None }).await?;
    call.note("discarded the changes");
    told(&call, answer)
}

/// One change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    change: usize,
}

async fn discard(call: Call) -> Outcome<Reply> {
    let One { change } = call.json()?;
    let answer = ask_of_candidate(&call, ConfigRequest::Discard { change: Some(change) }).await?;
    call.note(format_args!("discarded change {change}"));
    told(&call, answer)
}
