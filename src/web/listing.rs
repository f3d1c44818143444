//! The list of a [`Collection`], and what is done with its entries without a form.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;

use super::change::{Change, rejection};
use super::collection::{Cell, Collection, Line, Place};
use super::copying;
use super::edit::Rejected;
use super::entries::{back, note};
use super::form::{sentence, text_of, tree};
use super::frame::Frame;
use super::guard::percent_encode;
use super::menu::Link;
use super::message::html;
use super::references;
use super::site::Site;
use super::status::filters;
use super::visitor::{Posted, Visitor};
use crate::io::clock;
use crate::node::Tally;
use crate::types::RuleId;

/// Lines on a page.
const PAGE: usize = 55;
/// Head of the column that says how entries are at this moment.
const AT_PRESENT: &str = "At present";

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
pub(super) struct Wanted {
    /// The interface whose tab it is.
    #[serde(default)]
    pub tab: String,
    /// Page of the list, from 1.
    page: Option<usize>,
    /// A new entry is a copy of this one.
    pub copy: Option<String>,
    /// A new entry comes before the others.
    #[serde(default)]
    pub top: bool,
}

/// A list.
#[derive(Template)]
#[template(path = "list.html")]
struct List {
    frame: Frame,
    collection: &'static Collection,
    may_change: bool,
    tab: String,
    above: Vec<Line>,
    lines: Vec<Line>,
    below: Vec<Line>,
    page: usize,
    pages: usize,
    problems: Vec<String>,
    /// How often others refer to an entry, where they can.
    used: Option<HashMap<String, usize>>,
    /// Tabs to which entries can be copied.
    targets: Vec<String>,
    /// What was counted of an entry, where that is.
    counts: Option<HashMap<String, Counted>>,
}

/// What was counted of a rule.
#[derive(Clone, Copy, Default)]
struct Counted {
    evaluations: u64,
    packets: u64,
    states: u64,
    /// Seconds since it was last met.
    last: Option<u64>,
}

/// By the numbers of rules.
async fn counted(site: &Site) -> Option<HashMap<String, Counted>> {
    let counts = site.handle.rules().await?;
    let totals: HashMap<_, _> = counts.totals.iter().copied().collect();
    let row = |(id, tally): &(RuleId, Tally)| {
        let Tally { evaluations, blocked, blocked_bytes: _, last } = *tally;
        let flows = totals.get(id).copied().unwrap_or_default();
        let counted = Counted {
            evaluations,
            packets: flows.packets + blocked,
            states: flows.states,
            last: last.map(|last| counts.now.since(last).as_secs()),
        };
        (id.0.to_string(), counted)
    };
    Some(counts.tallies.iter().map(row).collect())
}

/// `GET slug`
pub(super) async fn show(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    wanted: Wanted,
) -> Response {
    html(&List::gather(collection, &site, &visitor, &wanted, Vec::new()).await)
}

impl List {
    async fn gather(
        collection: &'static Collection,
        site: &Site,
        visitor: &Visitor,
        wanted: &Wanted,
        problems: Vec<String>,
    ) -> List {
        let draft = site.draft().await;
        let tree = site.tree(&draft);
        let mut frame = Frame::around(site, visitor, collection.title, collection.slug, &draft).await;
        frame = frame.with_tabs(collection.beside);
        let tab = tab(collection, &tree, &wanted.tab);
        if collection.by.is_some() {
            frame.tabs.extend(links(collection, &tree, &tab));
        }
        let [above, below] = (collection.automatic)(&site.handle.in_force(), &tab);
        let entries = tree::list(&tree, collection.list).iter().enumerate();
        let own = entries.filter(|(_, entry)| collection.tab_of(&tree, entry) == tab);
        let all: Vec<_> = own.collect();
        let pages = all.len().div_ceil(PAGE).max(1);
        let page = wanted.page.unwrap_or(1).clamp(1, pages);
        let part = all.iter().skip((page - 1) * PAGE).take(PAGE);
        let mut lines: Vec<Line> = part.map(|(index, entry)| collection.line(*index, entry)).collect();
        if let Some(present) = collection.present {
            let now = clock::wall();
            for line in &mut lines {
                line.cells.push(Cell::text(AT_PRESENT, present(&draft.document, now, &line.key)));
            }
        }
        let may_change = site.is_editable() && visitor.may(collection.change);
        let used = collection.noun.map(|noun| references::counts(&tree, noun));
        let targets = collection.by.as_ref().map_or_else(Vec::new, |tabs| (tabs.targets)(&tree));
        let targets = targets.into_iter().filter(|target| *target != tab).collect();
        let counts = if collection.list == "rule" { counted(site).await } else { None };
        List {
            frame,
            collection,
            may_change,
            tab,
            above,
            lines,
            below,
            page,
            pages,
            problems,
            used,
            targets,
            counts,
        }
    }

    /// Where an entry is used, in words.
    fn use_of(&self, key: &str) -> String {
        match self.used.as_ref().and_then(|used| used.get(key)).copied().unwrap_or(0) {
            0 => "nowhere".into(),
            1 => "in 1 place".into(),
            places => format!("in {places} places"),
        }
    }

    /// What was counted of a rule; one that is not in force yet has none.
    fn count_of(&self, key: &str) -> Option<Counted> {
        self.counts.as_ref()?.get(key).copied()
    }

    /// Columns that the words of an automatic line take.
    fn wide(&self) -> usize {
        self.collection.columns.len().saturating_sub(1)
            + usize::from(self.used.is_some())
            + usize::from(self.counts.is_some())
    }

    /// All columns.
    fn whole(&self) -> usize {
        self.wide() + 2 + usize::from(self.may_change)
    }

    fn new_path(&self) -> String {
        format!("{}/new?tab={}", self.collection.slug, percent_encode(&self.tab))
    }
}

/// The tab that was asked for, or the first that stands for an interface.
pub(super) fn tab(collection: &Collection, tree: &Value, wanted: &str) -> String {
    let Some(tabs) = &collection.by else { return String::new() };
    let names = (tabs.all)(tree);
    let first = tree::list(tree, "interface").first().map(|entry| text_of(entry.get("name")));
    names.into_iter().find(|name| name == wanted).or(first).unwrap_or_default()
}

fn links(collection: &Collection, tree: &Value, tab: &str) -> Vec<Link> {
    let link = |name: String| Link {
        label: name.to_uppercase(),
        path: format!("{}?tab={}", collection.slug, percent_encode(&name)),
        current: name == tab,
    };
    collection.by.as_ref().map(|tabs| (tabs.all)(tree)).into_iter().flatten().map(link).collect()
}

/// What is done with an entry of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deed {
    Delete,
    Toggle,
    Move,
}

impl Deed {
    /// In the path, and in the log.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Deed::Delete => ("delete", "deleted"),
            Deed::Toggle => ("toggle", "toggled"),
            Deed::Move => ("move", "moved"),
        }
    }
}

/// `POST slug/delete/key`, `slug/toggle/key` and `slug/move/key`: up, down, to the top, to the bottom, or before another
/// entry.
pub(super) async fn act(
    collection: &'static Collection,
    deed: Deed,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
) -> Response {
    let before = posted.get("before").map(str::to_owned);
    let to = match (deed, &before) {
        (Deed::Move, None) => match Place::parse(posted.get("to").unwrap_or_default()) {
            Ok(to) => Some(to),
            Err(status) => return status.into_response(),
        },
        (Deed::Move, Some(_)) | (Deed::Delete | Deed::Toggle, _) => None,
    };
    let wanted = key.clone();
    let action = move |tree: &mut Value| {
        let index = collection.find(tree, &wanted)?;
        match (deed, to, &before) {
            (Deed::Delete, ..) => collection.remove(tree, index),
            (Deed::Toggle, ..) => collection.toggle(tree, index),
            (Deed::Move, Some(to), _) => collection.shift(tree, index, to),
            (Deed::Move, None, Some(other)) => {
                let other = collection.find(tree, other)?;
                collection.place_before(tree, index, other)
            }
            (Deed::Move, None, None) => None,
        }
    };
    let done = Done { verb: deed.words().1, words: key, tab: own_tab(&posted) };
    change_list(collection, site, visitor, posted, done, or_gone(action)).await
}

/// The tab that a form stands on.
fn own_tab(posted: &Posted) -> String {
    posted.get("tab").unwrap_or_default().to_owned()
}

fn or_gone(
    action: impl FnOnce(&mut Value) -> Option<()> + Send + 'static,
) -> impl FnOnce(&mut Value) -> Result<(), Rejected> + Send + 'static {
    move |tree| action(tree).ok_or(Rejected::Gone)
}

/// `POST slug/bulk`: the same with every entry that is ticked, in one change.
pub(super) async fn bulk(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    posted: Posted,
) -> Response {
    let keys: Vec<String> = posted.all("key").map(str::to_owned).collect();
    let (verb, disabled) = match posted.get("do") {
        Some("delete") => ("deleted", None),
        Some("disable") if collection.toggles() => ("disabled", Some(true)),
        Some("enable") if collection.toggles() => ("enabled", Some(false)),
        Some("copy") if collection.by.is_some() => {
            return copying::copy(collection, site, visitor, posted, keys).await;
        }
        Some(_) | None => return StatusCode::BAD_REQUEST.into_response(),
    };
    let words = keys.join(", ");
    let action = move |tree: &mut Value| {
        let found: Option<Vec<usize>> = keys.iter().map(|key| collection.find(tree, key)).collect();
        let mut indexes = found?;
        // From the end, so that places keep their meaning.
        indexes.sort_unstable_by(|a, b| b.cmp(a));
        indexes.dedup();
        for index in indexes {
            match disabled {
                None => collection.remove(tree, index)?,
                Some(disabled) => {
                    let path = format!("{}[{index}].disabled", collection.list);
                    tree::set(tree, &path, Some(disabled.into()));
                }
            }
        }
        Some(())
    };
    let done = Done { verb, words, tab: own_tab(&posted) };
    change_list(collection, site, visitor, posted, done, or_gone(action)).await
}

/// What the log says of a change, and which tab is shown after it.
pub(super) struct Done {
    pub verb: &'static str,
    pub words: String,
    pub tab: String,
}

/// Changes a list, and shows it again.
pub(super) async fn change_list(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    posted: Posted,
    done: Done,
    action: impl FnOnce(&mut Value) -> Result<(), Rejected> + Send + 'static,
) -> Response {
    let change = Change::new(&visitor, &posted, action);
    let tab = own_tab(&posted);
    match site.edit(move |editor| change.save(editor)).await {
        Ok(()) => {
            note(collection, &site, &visitor, done.verb, &done.words);
            Redirect::to(&back(collection, &done.tab)).into_response()
        }
        Err(Rejected::Problems(problems)) => {
            let wanted = Wanted { tab, ..Wanted::default() };
            let problems = problems.iter().map(|problem| format!("{}: {}", problem.path, sentence(problem)));
            let list = List::gather(collection, &site, &visitor, &wanted, problems.collect()).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&list)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
