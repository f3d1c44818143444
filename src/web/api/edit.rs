//! An edit of the candidate: from its tree to a document that makes sense, by somebody who may, based on what is there.

use serde_json::{Map, Value, json};

use super::call::{Call, Caller, Reply, unexpected};
use super::problem::{Outcome, Problem};
use super::rights;
use super::schema::{list, named, object, text};
use crate::config::diff::{self, MASK, Row};
use crate::config::{Config, Valid, amend};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Version};
use crate::io::request::{Request, Response};
use crate::web::change::judge;
use crate::web::edit::{Editor, Rejected};
use crate::web::form::tree;

/// What else is said of an edit.
pub(super) type More = Map<String, Value>;

/// What an edit has made.
struct Edited {
    edition: String,
    changes: Vec<Row>,
    more: More,
}

/// The schema of what is answered.
pub(super) fn edited(more: &[(&str, Value)]) -> Value {
    object(
        &[
            ("edition", text("Of the candidate: what the next edit is based on. Also the ETag.")),
            ("changes", list(named("Change"))),
        ],
        more,
    )
}

/// Changes the tree of the candidate, which must be the edition that the call names.
pub(super) async fn edit(
    call: &Call,
    what: impl std::fmt::Display,
    change: impl FnOnce(&mut Value) -> Outcome<More> + Send + 'static,
) -> Outcome<Reply> {
    let (base, caller) = (call.base()?, call.caller.clone());
    let edition = base.clone();
    let done = call.site.edit(move |editor| work(editor, &caller, &edition, change)).await;
    match done {
        Ok(Ok(Edited { edition, changes, mut more })) => {
            call.note(what);
            more.insert("edition".into(), edition.clone().into());
            more.insert("changes".into(), json!(changes));
            Ok(Reply::json(&more)?.of_edition(edition))
        }
        Ok(Err(problem)) => Err(problem),
        Err(rejected) => Err(explained(call, &base, rejected).await),
    }
}

fn work(
    editor: &dyn Editor,
    caller: &Caller,
    edition: &str,
    change: impl FnOnce(&mut Value) -> Outcome<More>,
) -> Result<Outcome<Edited>, Rejected> {
    let draft = editor.draft();
    if draft.edition != edition {
        return Err(Rejected::Stale);
    }
    let mut tree = tree::tree(&draft.document);
    let more = match change(&mut tree) {
        Ok(more) => more,
        Err(problem) => return Ok(Err(problem)),
    };
    unmask(&mut tree, &draft.document);
    let document = judge(&tree, Vec::new()).map_err(Rejected::Problems)?;
    save(editor, caller, edition, &draft.document, document, more)
}

/// Makes a document the candidate.
fn save(
    editor: &dyn Editor,
    caller: &Caller,
    edition: &str,
    before: &Config,
    document: Valid<Config>,
    more: More,
) -> Result<Outcome<Edited>, Rejected> {
    let changes = diff::changes(before, &document);
    if let Err(problem) = rights::check(caller, &changes) {
        return Ok(Err(problem));
    }
    let (edition_now, changes) = (document.hash(), diff::rows(&changes));
    editor.save(&caller.author(), edition, document)?;
    Ok(Ok(Edited { edition: edition_now, changes, more }))
}

/// Stars stand for the secret that was there.
pub(super) fn unmask(tree: &mut Value, before: &Config) {
    if has_stars(tree)
        && let Ok(config) = serde_json::from_value::<Config>(tree.clone())
    {
        *tree = tree::tree(&amend::unmask(&config, before));
    }
}

fn has_stars(value: &Value) -> bool {
    match value {
        Value::String(text) => text == MASK,
        Value::Array(items) => items.iter().any(has_stars),
        Value::Object(fields) => fields.values().any(has_stars),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Secrets as stars.
pub(super) fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if diff::is_secret(field) { *value = MASK.into() } else { mask(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Why nothing was changed; of a stale edit, what has become of the document since.
pub(super) async fn explained(call: &Call, base: &str, rejected: Rejected) -> Problem {
    match rejected {
        Rejected::Stale => stale(call, base).await.unwrap_or_else(|problem| problem),
        other @ (Rejected::Problems(_) | Rejected::Failed(_) | Rejected::Gone | Rejected::NotHere) => {
            other.into()
        }
    }
}

async fn stale(call: &Call, base: &str) -> Outcome<Problem> {
    let ConfigAnswer::History(records) = ask(call, ConfigRequest::History).await? else {
        return Err(unexpected());
    };
    let revision = records.last().map(|record| record.revision);
    // An edition that was only ever a candidate is not kept: then the candidate's own changes are shown.
    let known = records.iter().rev().find(|record| record.hash == base);
    let from = known.map_or(Version::Running, |record| Version::Revision(record.revision.to_string()));
    let between = ConfigRequest::Diff { from, to: Version::Candidate };
    let ConfigAnswer::Difference { rows, .. } = ask(call, between).await? else { return Err(unexpected()) };
    Ok(Problem::stale(revision, Some(&call.site.draft().await.edition), &rows))
}

/// Asks about the configuration.
pub(super) async fn ask(call: &Call, request: ConfigRequest) -> Outcome<ConfigAnswer> {
    match call.ask(Request::Config(Box::new(request))).await? {
        Response::Config(answer) => match *answer {
            ConfigAnswer::Stale { revision, rows } => Err(Problem::stale(Some(revision), None, &rows)),
            answer @ (ConfigAnswer::Standing(_)
            | ConfigAnswer::Text { .. }
            | ConfigAnswer::Difference { .. }
            | ConfigAnswer::Applied { .. }
            | ConfigAnswer::History(_)) => Ok(answer),
        },
        _ => Err(unexpected()),
    }
}

/// Asks for something to be done with the candidate, which must be the edition that the call names.
pub(super) async fn ask_of_candidate(call: &Call, request: ConfigRequest) -> Outcome<ConfigAnswer> {
    let base = call.base()?;
    let edition = base.clone();
    match call.site.edit(move |editor| editor.ask_of(&edition, request)).await {
        Ok(answer) => Ok(answer),
        Err(rejected) => Err(explained(call, &base, rejected).await),
    }
}
