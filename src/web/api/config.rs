//! Versions of the configuration as a whole, and what is different between them.

use serde_json::{Value, json};

use super::call::{Call, Reply, unexpected};
use super::candidate::{Given, given};
use super::edit::{ask, mask};
use super::problem::{Kind, Outcome, Problem, TROUBLES, Trouble};
use super::query::{Parameter, Takes, parameter};
use super::rights::right_to_look;
use super::route::{DOCUMENT, Route, Verb};
use super::schema::{flag, like, list, maybe, named, number, object, text};
use crate::cluster::tokens::Scope;
use crate::config::{self, Config};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Standing, Version};
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

/// The schema of a difference.
pub(super) fn difference() -> Value {
    object(
        &[
            ("changes", list(named("Change"))),
            ("text", maybe(text("In the form of a patch, for administrators; secrets are masked."))),
            ("problems", list(text("What is wrong with the newer one."))),
        ],
        &[],
    )
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
