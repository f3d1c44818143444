//! The pages of a [`Collection`]: its list, its form, and what is done with an entry.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;

use super::change::{Change, judge, rejection};
use super::collection::{Collection, Line, Place};
use super::edit::Rejected;
use super::form::{Form, Section, fill, sentence, text_of, tree};
use super::frame::Frame;
use super::guard::percent_encode;
use super::menu::Link;
use super::message::{Message, html};
use super::references::{self, Noun};
use super::settings::Edit;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use super::whereabouts::{self, Whereabouts};
use crate::config::Problem;

/// Lines on a page.
const PAGE: usize = 100;

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
pub(super) struct Wanted {
    /// The interface whose tab it is.
    #[serde(default)]
    tab: String,
    /// Page of the list, from 1.
    page: Option<usize>,
    /// A new entry is a copy of this one.
    copy: Option<String>,
    /// A new entry comes before the others.
    #[serde(default)]
    top: bool,
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
        let tree = tree::tree(&draft.document);
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
        let lines = part.map(|(index, entry)| collection.line(*index, entry)).collect();
        let may_change = site.is_editable() && visitor.may(collection.change);
        let used = collection.noun.map(|noun| references::counts(&tree, noun));
        List { frame, collection, may_change, tab, above, lines, below, page, pages, problems, used }
    }

    /// Where an entry is used, in words.
    fn use_of(&self, key: &str) -> String {
        match self.used.as_ref().and_then(|used| used.get(key)).copied().unwrap_or(0) {
            0 => "nowhere".into(),
            1 => "in 1 place".into(),
            places => format!("in {places} places"),
        }
    }

    /// Columns that the words of an automatic line take.
    fn wide(&self) -> usize {
        self.collection.columns.len().saturating_sub(1) + usize::from(self.used.is_some())
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
fn tab(collection: &Collection, tree: &Value, wanted: &str) -> String {
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

/// `GET slug/new`
pub(super) async fn add(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    wanted: Wanted,
) -> Response {
    let draft = site.draft().await;
    let mut tree = tree::tree(&draft.document);
    let tab = tab(collection, &tree, &wanted.tab);
    let Some(index) = collection.insert(&mut tree, wanted.copy.as_deref(), &tab, wanted.top) else {
        return Message::missing("There is nothing to copy.").into_response();
    };
    let sections = collection.sections(&tree, index, true);
    (collection.shown)(&mut tree, index);
    let form = Form::new(&sections, &tree, true);
    let action = new_action(collection, &wanted);
    html(&page(collection, &site, &visitor, form, action, Vec::new()).await)
}

/// `POST slug/new`
pub(super) async fn make(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    wanted: Wanted,
    posted: Posted,
) -> Response {
    let action = new_action(collection, &wanted);
    let filled = posted.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let tab = tab(collection, tree, &wanted.tab);
        let copy = wanted.copy.as_deref();
        let index = collection.insert(tree, copy, &tab, wanted.top).ok_or(Rejected::Gone)?;
        let sections = collection.sections(tree, index, true);
        let mut problems = fill(&sections, &filled, tree, true);
        (collection.made)(tree, index);
        (collection.taken)(tree, index);
        problems.extend((collection.wrong)(tree, index));
        Ok(Filled { sections, problems, index })
    });
    finish(collection, &site, &visitor, change, true, action).await
}

/// `GET slug/edit/key`
pub(super) async fn edit(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
) -> Response {
    let mut tree = tree::tree(&site.draft().await.document);
    let Some(index) = collection.find(&tree, &key) else { return gone(collection) };
    let uses = collection.noun.map(|noun| users(&tree, noun, &key)).unwrap_or_default();
    (collection.shown)(&mut tree, index);
    let form = Form::new(&collection.sections(&tree, index, false), &tree, false);
    let action = format!("{}/edit/{}", collection.slug, percent_encode(&key));
    html(&page(collection, &site, &visitor, form, action, uses).await)
}

/// What refers to an entry, each once.
fn users(tree: &Value, noun: Noun, name: &str) -> Vec<Whereabouts> {
    let places = references::uses(tree, noun, name);
    let mut users: Vec<Whereabouts> = Vec::new();
    for found in places.iter().filter_map(|place| whereabouts::find(tree, place)) {
        if users.last() != Some(&found) && !users.contains(&found) {
            users.push(found);
        }
    }
    users
}

/// `POST slug/edit/key`
pub(super) async fn save(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
) -> Response {
    let action = format!("{}/edit/{}", collection.slug, percent_encode(&key));
    let filled = posted.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let index = collection.find(tree, &key).ok_or(Rejected::Gone)?;
        let sections = collection.sections(tree, index, false);
        let mut problems = fill(&sections, &filled, tree, false);
        follow(collection, tree, index, &key);
        (collection.taken)(tree, index);
        problems.extend((collection.wrong)(tree, index));
        Ok(Filled { sections, problems, index })
    });
    finish(collection, &site, &visitor, change, false, action).await
}

/// When an entry has got another name, everything that refers to it follows, in the same change.
fn follow(collection: &Collection, tree: &mut Value, index: usize, old: &str) {
    let Some(noun) = collection.noun else { return };
    let name = format!("{}[{index}].name", collection.list);
    let new = text_of(tree::get(tree, &name));
    if new != old && !new.is_empty() {
        references::rename(tree, noun, old, &new);
        (collection.renamed)(tree, old, &new);
    }
}

/// What a form has done to the tree.
struct Filled {
    sections: Vec<Section>,
    problems: Vec<Problem>,
    index: usize,
}

/// Saves what was filled in; shows the form again when something is wrong with it.
async fn finish(
    collection: &'static Collection,
    site: &Site,
    visitor: &Visitor,
    change: Change<impl FnOnce(&mut Value) -> Result<Filled, Rejected> + Send + 'static>,
    is_new: bool,
    action: String,
) -> Response {
    let done = site
        .edit(move |editor| {
            let (who, edition, mut tree, filled) = change.begin(editor)?;
            let Filled { sections, problems, index } = filled;
            match judge(&tree, problems) {
                Ok(document) => {
                    editor.save(&who, &edition, document)?;
                    let entry = tree::list(&tree, collection.list).get(index).cloned().unwrap_or_default();
                    Ok(Ok((collection.key_of(index, &entry), collection.tab_of(&tree, &entry))))
                }
                Err(problems) => {
                    (collection.shown)(&mut tree, index);
                    Ok(Err(Form::new(&sections, &tree, is_new).tell(&problems)))
                }
            }
        })
        .await;
    match done {
        Ok(Ok((key, tab))) => {
            let verb = if is_new { "added" } else { "changed" };
            note(collection, site, visitor, verb, &key);
            Redirect::to(&back(collection, &tab)).into_response()
        }
        Ok(Err(form)) => {
            let page = page(collection, site, visitor, form, action, Vec::new()).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
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
    change_list(collection, site, visitor, posted, (deed.words().1, key), action).await
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
    change_list(collection, site, visitor, posted, (verb, words), action).await
}

/// Changes a list, and shows it again. `done` is what the log says.
async fn change_list(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    posted: Posted,
    done: (&'static str, String),
    action: impl FnOnce(&mut Value) -> Option<()> + Send + 'static,
) -> Response {
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| action(tree).ok_or(Rejected::Gone));
    let tab = posted.get("tab").unwrap_or_default().to_owned();
    match site.edit(move |editor| change.save(editor)).await {
        Ok(()) => {
            note(collection, &site, &visitor, done.0, &done.1);
            Redirect::to(&back(collection, &tab)).into_response()
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

fn note(collection: &Collection, site: &Site, visitor: &Visitor, verb: &str, key: &str) {
    site.note(&visitor.account.name, visitor.from, format!("{verb} {} {key}", collection.one));
}

fn gone(collection: &Collection) -> Response {
    Message::missing(format!("There is no such {} any more.", collection.one)).into_response()
}

fn back(collection: &Collection, tab: &str) -> String {
    match &collection.by {
        Some(_) => format!("{}?tab={}", collection.slug, percent_encode(tab)),
        None => collection.slug.to_owned(),
    }
}

fn new_action(collection: &Collection, wanted: &Wanted) -> String {
    let mut action = format!("{}/new?tab={}", collection.slug, percent_encode(&wanted.tab));
    if let Some(copy) = &wanted.copy {
        action.push_str("&copy=");
        action.push_str(&percent_encode(copy));
    }
    if wanted.top {
        action.push_str("&top=true");
    }
    action
}

/// The form of an entry as a page.
async fn page(
    collection: &'static Collection,
    site: &Site,
    visitor: &Visitor,
    form: Form,
    action: String,
    uses: Vec<Whereabouts>,
) -> Edit {
    let here = action.split('?').next().unwrap_or_default();
    let frame = Frame::new(site, visitor, collection.title, here).await.with_tabs(collection.beside);
    Edit {
        frame,
        form,
        about: "",
        back: Some(collection.slug),
        may_change: site.is_editable() && visitor.may(collection.change),
        action,
        uses,
    }
}
