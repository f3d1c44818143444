//! For how long a rule is in force: it ends in an hour, or pauses for one.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::change::{Change, rejection};
use super::easy_rule::{SPANS, span_of};
use super::edit::Rejected;
use super::form::{text_of, tree};
use super::frame::Frame;
use super::message::{Message, html};
use super::pages::BESIDE_RULES;
use super::pending::PENDING;
use super::site::Site;
use super::status::span;
use super::visitor::{Posted, Visitor};
use crate::config::model::{Moment, Rule};
use crate::io::clock;

/// Where it is: a rule's number stands behind it.
pub(super) const TIME: &str = "/firewall/rules/time";

/// The page.
#[derive(Template)]
#[template(path = "rule-time.html")]
struct Page {
    frame: Frame,
    rule: Rule,
    /// Its time, in words.
    told: String,
}

/// The time of a rule, in words with a countdown; empty for one that is always in force.
pub(super) fn told(expires: Option<Moment>, paused_until: Option<Moment>, now: u64) -> String {
    let ends = expires.map(|end| match end.as_secs().checked_sub(now).filter(|left| *left > 0) {
        Some(left) => format!("ends in {}", span(left)),
        None => "has ended".into(),
    });
    let begins = paused_until.and_then(|begin| begin.as_secs().checked_sub(now)).filter(|left| *left > 0);
    let begins = begins.map(|left| format!("pauses for {}", span(left)));
    begins.into_iter().chain(ends).collect::<Vec<_>>().join(", ")
}

/// What the list of rules says of the time of one.
pub(super) fn tell(entry: &mut Value) {
    let moment = |name: &str| text_of(entry.get(name)).parse::<Moment>().ok();
    let told = told(moment("expires"), moment("paused_until"), clock::wall_seconds());
    if let Some(table) = entry.as_object_mut() {
        table.insert("time".into(), told.into());
    }
}

/// `GET /firewall/rules/time/{key}`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Path(key): Path<String>) -> Response {
    let document = site.draft().await.document;
    let Some(rule) = document.rules.iter().find(|rule| rule.id.to_string() == key).cloned() else {
        return Message::missing("There is no such rule any more.").into_response();
    };
    let told = told(rule.expires, rule.paused_until, clock::wall_seconds());
    let path = format!("{TIME}/{key}");
    let frame = Frame::new(&site, &visitor, format!("Time of Rule {key}"), &path).await;
    html(&Page { frame: frame.with_tabs(BESIDE_RULES), rule, told })
}

/// `POST /firewall/rules/time/{key}`
pub(super) async fn save(
    State(site): State<Site>,
    visitor: Visitor,
    Path(key): Path<String>,
    posted: Posted,
) -> Response {
    let (expires, pause) = (posted.get("expires").map(str::to_owned), posted.get("pause").map(str::to_owned));
    if expires.is_none() && pause.is_none() {
        let text = "Say for how long.";
        return (StatusCode::UNPROCESSABLE_ENTITY, Message::conflict(text)).into_response();
    }
    let wanted = key.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let rules = tree::list(tree, "rule");
        let at = rules.iter().position(|rule| text_of(rule.get("id")) == wanted).ok_or(Rejected::Gone)?;
        for (name, word) in [("expires", expires), ("paused_until", pause)] {
            let Some(word) = word else { continue };
            let moment = span_of(&word).map(|seconds| Moment::from_secs(clock::wall_seconds() + seconds));
            let value = moment.map(|moment| Value::from(moment.to_string()));
            tree::set(tree, &format!("rule[{at}].{name}"), value);
        }
        Ok(())
    });
    match site.edit(|editor| change.save(editor)).await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, format!("changed the time of rule {key}"));
            Redirect::to(PENDING).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_s_time_counts_down() {
        let at = |seconds| Some(Moment::from_secs(seconds));
        for (expires, paused, words) in [
            (None, None, ""),
            (at(1061), None, "ends in 1 min 01 s"),
            (at(1000), None, "has ended"),
            (None, at(1010), "pauses for 10 s"),
            (None, at(990), ""),
            (at(8200), at(1010), "pauses for 10 s, ends in 2 h 00 min"),
        ] {
            assert_eq!(told(expires, paused, 1000), words);
        }
    }
}
