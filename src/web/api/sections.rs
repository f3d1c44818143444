//! The document section by section: each list and table has its own paths, made from the document's outline.

use std::sync::Arc;

use serde_json::Value;

use super::call::{Call, Reply};
use super::config::SECRETS;
use super::edit::edited;
use super::entries::{delete, patch, post, put, show};
use super::problem::Outcome;
use super::query::{Parameter, Takes, parameter};
use super::rights::{right_to_change, right_to_look};
use super::route::{DOCUMENT, Route, SMALL, Verb};
use super::schema::{list, text};
use crate::cluster::tokens::Scope;
use crate::config::outline::{self, Section};

const PLACE: &[Parameter] = &[parameter(
    "position",
    Takes::Text,
    "Where among the others: top, bottom, before:KEY or after:KEY. A new entry goes to the bottom by itself.",
)];

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    outline::sections().into_iter().flat_map(|section| of_section(Arc::new(section))).collect()
}

/// What is the same in all routes of a section.
struct Way {
    section: Arc<Section>,
    /// `/rule`, `/node/{node}/interface`
    path: String,
    /// What it is called in sentences.
    name: String,
}

fn of_section(section: Arc<Section>) -> Vec<Route> {
    let mut path = String::new();
    for (at, part) in section.parts.iter().enumerate() {
        path.extend(["/", part.field]);
        if part.is_list && at + 1 < section.parts.len() {
            path.extend(["/{", part.field, "}"]);
        }
    }
    let name = section.parts.iter().map(|part| part.field).collect::<Vec<_>>().join(".");
    let way = Way { section, path, name };
    if way.section.is_list() {
        [way.looks(true), way.of_list(), way.of_entry()].concat()
    } else {
        [way.looks(false), way.of_table()].concat()
    }
}

impl Way {
    fn key(&self) -> &'static str {
        self.section.parts.last().map_or("", |part| part.field)
    }

    fn entry_path(&self) -> String {
        format!("{}/{{{}}}", self.path, self.key())
    }

    fn whole(&self) -> Value {
        let schema = self.section.schema.clone();
        if self.section.is_list() { list(schema) } else { schema }
    }

    /// What is there by itself is left out of what is shown.
    fn shown(schema: Value) -> Value {
        match schema {
            Value::Object(mut schema) => {
                schema.remove("required");
                if let Some(items) = schema.remove("items") {
                    schema.insert("items".into(), Way::shown(items));
                }
                Value::Object(schema)
            }
            other => other,
        }
    }

    fn look(&self, path: String, summary: String, gives: Value, entry: bool) -> Route {
        let section = Arc::clone(&self.section);
        let answer = move |call: Call| show(call, Arc::clone(&section), entry);
        let right =
            self.section.parts.first().map_or_else(|| right_to_look(""), |part| right_to_look(part.field));
        Route::get(path, summary, gives, answer).asks(SECRETS).needs(Scope::Read, right)
    }

    fn looks(&self, is_list: bool) -> Vec<Route> {
        let mut routes = Vec::new();
        for (version, of) in
            [("/config/{version}", "of a version"), ("/config/candidate", "of the candidate")]
        {
            let whole = format!("{version}{}", self.path);
            let summary = format!("{} {of}; what is there by itself is left out", self.name);
            routes.push(self.look(whole, summary, Way::shown(self.whole()), false));
            if is_list {
                let path = format!("{version}{}", self.entry_path());
                let summary = format!("One entry of {} {of}", self.name);
                routes.push(self.look(path, summary, Way::shown(self.section.schema.clone()), true));
            }
        }
        routes
    }

    fn change<F, A>(&self, verb: Verb, entry: bool, summary: &str, answer: F) -> Route
    where
        F: Fn(Call, Arc<Section>) -> A + Send + Sync + 'static,
        A: Future<Output = Outcome<Reply>> + Send + 'static,
    {
        let path = if entry { self.entry_path() } else { self.path.clone() };
        let section = Arc::clone(&self.section);
        let key = [("key", text("How the new entry is called in paths."))];
        let gives = if verb == Verb::Post { edited(&key) } else { edited(&[]) };
        Route::new(
            verb,
            format!("/config/candidate{path}"),
            format!("{summary} {}", self.name),
            gives,
            move |call| answer(call, Arc::clone(&section)),
        )
        .needs(Scope::Configure, right_to_change(&self.name))
        .edits()
    }

    fn of_table(&self) -> Vec<Route> {
        let schema = || self.section.schema.clone();
        vec![
            self.change(Verb::Put, false, "Replaces", |call, section| put(call, section, false))
                .takes(schema()),
            self.change(Verb::Patch, false, "Merges this into (RFC 7396)", |call, section| {
                patch(call, section, false)
            })
            .takes(Way::shown(schema())),
            self.change(Verb::Delete, false, "Takes away", |call, section| delete(call, section, false)),
        ]
    }

    fn of_list(&self) -> Vec<Route> {
        let schema = || self.section.schema.clone();
        vec![
            self.change(Verb::Put, false, "Replaces all of", |call, section| put(call, section, false))
                .takes_up_to(self.whole(), DOCUMENT),
            self.change(Verb::Post, false, "Adds an entry to", post).takes(schema()).asks(PLACE).makes(),
        ]
    }

    fn of_entry(&self) -> Vec<Route> {
        let schema = || self.section.schema.clone();
        vec![
            self.change(Verb::Put, true, "Replaces an entry of", |call, section| put(call, section, true))
                .takes_up_to(schema(), SMALL),
            self.change(
                Verb::Patch,
                true,
                "Merges this into an entry (RFC 7396), or moves it, in",
                |call, section| patch(call, section, true),
            )
            .takes(Way::shown(schema()))
            .asks(PLACE),
            self.change(Verb::Delete, true, "Takes an entry out of", |call, section| {
                delete(call, section, true)
            }),
        ]
    }
}
