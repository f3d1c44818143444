//! The configuration as a whole: versions of it, the candidate, and the life of a change.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::call::{Call, Reply, unexpected};
use super::edit::{More, ask, ask_of_candidate, edit, edited, mask};
use super::problem::{Kind, Outcome, Problem, TROUBLES, Trouble};
use super::query::{Parameter, Takes, parameter};
use super::rights::right_to_look;
use super::route::{DOCUMENT, Route, Verb};
use super::schema::{flag, like, list, maybe, named, number, object, one_of, text};
use super::sections::merge;
use crate::cluster::tokens::Scope;
use crate::config::{self, Config, life::Author};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Standing, Version};
use crate::web::change::judge;
use crate::web::form::tree;
use crate::web::visitor::Right;

/// With what it keeps to itself.
pub(super) const SECRETS: &[Parameter] =
    &[parameter("secrets", Takes::Flag, "With the secrets, for administrators with a token to configure.")];

const BETWEEN: &[Parameter] = &[
    parameter("from", Takes::Text, "running (by itself), candidate, a revision, a label or conflict:NUMBER."),
    parameter("to", Takes::Text, "The same; candidate by itself."),
];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    [looks(), edits(), lives()].concat()
}

fn looks() -> Vec<Route> {
    let standing =
        Standing { candidate: None, confirm_within: None, unseen: None, pair: None, ..Standing::default() };
    let mut standing = like(&standing);
    standing["properties"]["edition"] = text("Of the candidate. Also the ETag.");
    let shown = |key: &str, value: Value, more: &[(&str, Value)]| {
        let first =
            [("version", text("Which.")), ("revision", number("Its number.")), ("hash", text("Its hash."))];
        let last = [(key, value)];
        object(&[&first[..], &last[..], more].concat(), &[])
    };
    let withheld = ("withheld", list(text("A section that this user does not see.")));
    vec![
        Route::get("/config", "How the configuration stands", standing, standing_of),
        Route::get(
            "/config/{version}",
            "A version of the document: running, candidate, a revision, a label or conflict:NUMBER",
            shown("document", named("Document"), &[withheld]),
            show,
        )
        .asks(SECRETS),
        Route::get(
            "/config/candidate",
            "The candidate; what is in force when there is none",
            shown("document", named("Document"), &[("withheld", list(text("")))]),
            show,
        )
        .asks(SECRETS),
        Route::get(
            "/config/{version}/text",
            "A version as TOML, with its comments",
            shown("text", text("TOML."), &[]),
            show_text,
        )
        .asks(SECRETS)
        .needs(Scope::Read, Right::Administer),
        Route::get(
            "/config/candidate/text",
            "The candidate as TOML, with its comments",
            shown("text", text("TOML."), &[]),
            show_text,
        )
        .asks(SECRETS)
        .needs(Scope::Read, Right::Administer),
        Route::get(
            "/config/candidate/problems",
            "What is wrong with the candidate",
            judgement(),
            judge_candidate,
        ),
        Route::get(
            "/config/diff",
            "What is different between two versions, in words and in text",
            difference(),
            diff,
        )
        .asks(BETWEEN),
        Route::get(
            "/config/conflicts",
            "Versions that lost against the peer's",
            list(super::history::record()),
            async |call: Call| match ask(&call, ConfigRequest::Conflicts).await? {
                ConfigAnswer::History(records) => Reply::json(&records),
                _ => Err(unexpected()),
            },
        ),
        Route::new(
            Verb::Post,
            "/config/validate",
            "What would be wrong with a document; nothing is changed",
            judgement(),
            validate,
        )
        .takes_up_to(given(), DOCUMENT),
    ]
}

fn edits() -> Vec<Route> {
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

fn lives() -> Vec<Route> {
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

fn judgement() -> Value {
    object(
        &[
            ("valid", flag("It makes sense.")),
            (
                "problems",
                list(object(
                    &[
                        ("path", text("Where in the document.")),
                        ("place", maybe(text("Where in what was sent."))),
                        ("message", text("What is wrong.")),
                        ("remedy", text("What to do.")),
                    ],
                    &[],
                )),
            ),
        ],
        &[],
    )
}

fn given() -> Value {
    object(&[], &[("document", named("Document")), ("text", text("The same as TOML; one of the two."))])
}

fn difference() -> Value {
    object(
        &[
            ("changes", list(named("Change"))),
            ("text", maybe(text("In the form of a patch, for administrators; secrets are masked."))),
            ("problems", list(text("What is wrong with the newer one."))),
        ],
        &[],
    )
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

/// A document, in one of its two forms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    document: Option<Map<String, Value>>,
    text: Option<String>,
}

impl Given {
    /// The tree of the document.
    fn tree(self) -> Outcome<Map<String, Value>> {
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

async fn standing_of(call: Call) -> Outcome<Reply> {
    let ConfigAnswer::Standing(standing) = ask(&call, ConfigRequest::Standing).await? else {
        return Err(unexpected());
    };
    let edition = call.site.draft().await.edition;
    let mut body = json!(standing);
    body["edition"] = edition.clone().into();
    Ok(Reply::json(&body)?.of_edition(edition))
}

/// The version that the path names, by itself the candidate.
fn version(call: &Call) -> Outcome<Version> {
    let text = match call.path("version") {
        "" => "candidate",
        named => named,
    };
    text.parse().map_err(|why: String| Problem::malformed("path", "This is no version.", why))
}

async fn text_of(call: &Call) -> Outcome<(String, String)> {
    let (version, wanted) = (version(call)?, call.path("version"));
    let shown = ask(call, ConfigRequest::Show { version, secrets: true }).await;
    let shown = shown.map_err(|problem| {
        let gone = problem.kind == Kind::Conflict;
        if gone { Problem::new(Kind::Missing, format!("There is no version \"{wanted}\".")) } else { problem }
    })?;
    match shown {
        ConfigAnswer::Text { text, .. } => {
            Ok((if wanted.is_empty() { "candidate" } else { wanted }.into(), text))
        }
        _ => Err(unexpected()),
    }
}

/// The document of the version that the path names, with stars for its secrets unless they are asked for.
pub(super) async fn document(call: &Call) -> Outcome<(String, Config, Value)> {
    let with_secrets = with_secrets(call)?;
    let (version, text) = text_of(call).await?;
    let config = config::parse(&text).map_err(|problems| unreadable(&problems))?;
    let mut tree = tree::tree(&config);
    if !with_secrets {
        mask(&mut tree);
    }
    Ok((version, config, tree))
}

fn with_secrets(call: &Call) -> Outcome<bool> {
    let wanted = call.query.flag("secrets");
    if wanted && !call.caller.may(Scope::Configure, Right::Administer) {
        let text = "Secrets are for administrators with a token to configure.";
        return Err(Problem::new(Kind::Forbidden, text));
    }
    Ok(wanted)
}

fn unreadable(problems: &[config::Problem]) -> Problem {
    let mut lines = problems.iter().map(ToString::to_string);
    Problem::new(Kind::Conflict, format!("This version cannot be read: {}", lines.next().unwrap_or_default()))
}

async fn show(call: Call) -> Outcome<Reply> {
    let (version, config, mut tree) = document(&call).await?;
    let mut withheld = Vec::new();
    if let Value::Object(sections) = &mut tree {
        sections.retain(|section, _| {
            let seen = call.caller.may(Scope::Read, right_to_look(section));
            withheld.extend((!seen).then(|| section.clone()));
            seen
        });
    }
    let (revision, hash) = (config.revision, config.hash());
    let body = json!({
        "version": version, "revision": revision, "hash": hash, "document": tree, "withheld": withheld,
    });
    Ok(Reply::json(&body)?.of_edition(hash))
}

async fn show_text(call: Call) -> Outcome<Reply> {
    let with_secrets = with_secrets(&call)?;
    let (version, text) = text_of(&call).await?;
    let known = config::parse(&text).ok();
    let hash = known.as_ref().map_or_else(String::new, Config::hash);
    let revision = known.map_or(0, |config| config.revision);
    let text = if with_secrets { text } else { config::amend::mask(&text) };
    let body = json!({ "version": version, "revision": revision, "hash": hash, "text": text });
    Ok(Reply::json(&body)?.of_edition(hash))
}

async fn judge_candidate(call: Call) -> Outcome<Reply> {
    let (_, text) = text_of(&call).await?;
    let problems = config::load(&text).err().unwrap_or_default();
    verdict(problems.iter().map(Trouble::in_text).collect())
}

async fn validate(call: Call) -> Outcome<Reply> {
    let troubles = match call.json()? {
        Given { document: None, text: Some(text) } => {
            let problems = config::load(&text).err().unwrap_or_default();
            problems.iter().map(Trouble::in_text).collect()
        }
        given => {
            let mut tree = Value::Object(given.tree()?);
            let before = call.site.draft().await.document;
            super::edit::unmask(&mut tree, &before);
            judge(&tree, Vec::new()).err().unwrap_or_default().iter().map(Trouble::in_json).collect()
        }
    };
    verdict(troubles)
}

fn verdict(mut problems: Vec<Trouble>) -> Outcome<Reply> {
    problems.truncate(TROUBLES);
    Reply::json(&json!({ "valid": problems.is_empty(), "problems": problems }))
}

async fn diff(call: Call) -> Outcome<Reply> {
    let side =
        |name: &str, usual| -> Outcome<Version> { Ok(call.query.parse(name, str::parse)?.unwrap_or(usual)) };
    let request =
        ConfigRequest::Diff { from: side("from", Version::Running)?, to: side("to", Version::Candidate)? };
    told(&call, ask(&call, request).await?)
}

/// A difference, as far as the caller may see it.
pub(super) fn told(call: &Call, answer: ConfigAnswer) -> Outcome<Reply> {
    let ConfigAnswer::Difference { rows, text, problems } = answer else { return Err(unexpected()) };
    let text = call.caller.may(Scope::Read, Right::Administer).then_some(text);
    Reply::json(&json!({ "changes": rows, "text": text, "problems": problems }))
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

/// Something has come into force.
pub(super) fn in_force(call: &Call, answer: ConfigAnswer, what: &str) -> Outcome<Reply> {
    let ConfigAnswer::Applied { revision, hash, confirm_within, pair } = answer else {
        return Err(unexpected());
    };
    call.note(format_args!("{what}: revision {revision}"));
    let body = json!({ "revision": revision, "hash": hash, "confirm_within": confirm_within, "pair": pair });
    Ok(Reply::json(&body)?.of_edition(hash))
}
