//! One box for everything: pages, settings, entries of lists, addresses, the manual.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::form::{text_of, tree};
use super::frame::Frame;
use super::message::html;
use super::pages::{COLLECTIONS, SETTINGS};
use super::site::Site;
use super::visitor::Visitor;
use super::whereabouts::{self, Whereabouts};
use super::{help, menu};
use crate::config::model::AddressRange;
use crate::types::Prefix;

/// Where it is.
pub(super) const SEARCH: &str = "/search";
/// Of each kind.
const HITS: usize = 25;
/// Letters of a question.
const LETTERS: usize = 100;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    /// Without what stands around a page.
    part: Option<u8>,
}

/// Hits of a kind.
#[derive(Debug)]
struct Group {
    title: &'static str,
    hits: Vec<Whereabouts>,
}

/// What was found, as a page.
#[derive(Template)]
#[template(path = "search.html")]
struct Page {
    frame: Frame,
    query: String,
    groups: Vec<Group>,
}

/// What was found, alone.
#[derive(Template)]
#[template(path = "found.html")]
struct Part {
    query: String,
    groups: Vec<Group>,
}

/// `GET /search`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let query: String = wanted.q.trim().chars().take(LETTERS).collect();
    let draft = site.draft().await;
    let groups = find(&query, &site.tree(&draft), &visitor);
    match wanted.part {
        Some(_) => html(&Part { query, groups }),
        None => {
            let frame = Frame::around(&site, &visitor, "Search", SEARCH, &draft).await;
            html(&Page { frame, query, groups })
        }
    }
}

/// Everything that fits, for somebody who may see it.
fn find(query: &str, tree: &Value, visitor: &Visitor) -> Vec<Group> {
    if query.is_empty() {
        return Vec::new();
    }
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let group =
        |title, hits: &mut dyn Iterator<Item = Whereabouts>| Group { title, hits: hits.take(HITS).collect() };
    let groups = [
        group("Pages", &mut pages(&words, visitor)),
        group("Entries", &mut entries(&words, tree, visitor)),
        group("Where this address is", &mut addresses(query, tree, visitor)),
        group("Settings", &mut settings(&words, visitor)),
        group("Manual", &mut help::search(&words)),
    ];
    groups.into_iter().filter(|group| !group.hits.is_empty()).collect()
}

/// Every word stands in the text.
pub(super) fn fits(words: &[String], text: &str) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

fn pages<'a>(words: &'a [String], visitor: &'a Visitor) -> impl Iterator<Item = Whereabouts> + 'a {
    let hits =
        menu::entries(visitor).filter(move |(menu, entry)| fits(words, &format!("{menu} {}", entry.label)));
    hits.map(|(menu, entry)| Whereabouts {
        words: entry.label.to_owned(),
        about: menu.to_owned(),
        path: entry.path.to_owned(),
    })
}

/// Entries of lists in which the words stand. What is secret is not looked at.
fn entries<'a>(
    words: &'a [String],
    tree: &'a Value,
    visitor: &'a Visitor,
) -> impl Iterator<Item = Whereabouts> + 'a {
    let seen = COLLECTIONS.iter().filter(move |collection| visitor.may(collection.look));
    seen.flat_map(move |collection| {
        let list = tree::list(tree, collection.list).iter().enumerate();
        list.filter_map(move |(index, entry)| {
            let texts = [collection.one.to_owned(), collection.key_of(index, entry)];
            let shown = collection.columns.iter().flat_map(|column| column.paths);
            let shown = shown.map(|path| text_of(tree::get(entry, path)));
            let text = texts.into_iter().chain(shown).collect::<Vec<_>>().join("\n");
            fits(words, &text).then(|| whereabouts::entry(collection, tree, index)).flatten()
        })
    })
}

/// Networks, aliases and virtual IPs that an address belongs to, though it does not stand there.
fn addresses<'a>(
    query: &'a str,
    tree: &'a Value,
    visitor: &'a Visitor,
) -> impl Iterator<Item = Whereabouts> + 'a {
    let address = query.parse::<IpAddr>().ok();
    let seen = COLLECTIONS.iter().filter(move |collection| address.is_some() && visitor.may(collection.look));
    let in_lists = seen.flat_map(move |collection| {
        let list = tree::list(tree, collection.list).iter().enumerate();
        list.filter_map(move |(index, entry)| {
            let mut texts = Vec::new();
            gather(entry, &mut texts);
            let inside = texts.iter().any(|text| address.is_some_and(|address| holds(text, address)));
            inside.then(|| whereabouts::entry(collection, tree, index)).flatten()
        })
    });
    let nodes = tree::list(tree, "node").iter();
    let own = nodes.flat_map(move |node| {
        let parts = tree::list(node, "interface").iter();
        parts.filter_map(move |part| {
            let prefixes = tree::list(part, "addresses").iter();
            let mut prefixes = prefixes.filter_map(|text| text.as_str());
            let address = address?;
            prefixes.find(|text| holds_network(text, address)).map(|prefix| Whereabouts {
                words: format!("interface {}", text_of(part.get("name"))),
                about: format!("{prefix} on {}", text_of(node.get("name"))),
                path: format!("/interfaces/edit/{}", text_of(part.get("name"))),
            })
        })
    });
    own.chain(in_lists)
}

fn gather<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(table) => table.values().for_each(|item| gather(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// True when a text names a network or a range with the address in it, or the address.
fn holds(text: &str, address: IpAddr) -> bool {
    let text = text.strip_prefix("! ").unwrap_or(text);
    let range = text.parse::<AddressRange>();
    text.parse::<IpAddr>() == Ok(address)
        || holds_network(text, address)
        || range.is_ok_and(|range| (range.first()..=range.last()).contains(&address))
}

fn holds_network(text: &str, address: IpAddr) -> bool {
    text.parse::<Prefix>().is_ok_and(|prefix| prefix.prefix_len() > 0 && prefix.contains(&address))
}

/// Fields of forms, by what they are called and what their help says.
fn settings<'a>(words: &'a [String], visitor: &'a Visitor) -> impl Iterator<Item = Whereabouts> + 'a {
    let fixed = SETTINGS.iter().flat_map(|table| {
        let sections = table.sections.iter();
        sections.flat_map(move |(title, base, fields)| {
            fields.iter().map(move |field| {
                let id = format!("{base}.{}", field.path).replace(|c: char| !c.is_ascii_alphanumeric(), "-");
                (field, format!("{}: {title}", table.title), format!("{}#{id}", table.slug))
            })
        })
    });
    let lists =
        COLLECTIONS.iter().filter(move |collection| visitor.may(collection.look)).flat_map(|collection| {
            collection
                .fields
                .iter()
                .map(|field| (field, collection.title.to_owned(), collection.slug.to_owned()))
        });
    let hits =
        fixed.chain(lists).filter(move |(field, ..)| fits(words, &format!("{} {}", field.label, field.help)));
    hits.map(|(field, about, path)| Whereabouts { words: field.label.to_owned(), about, path })
}
