//! The pages of a [`Collection`]: its list, its form, and what is done with an entry.

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
use super::settings::Edit;
use super::site::Site;
use super::visitor::{Posted, Visitor};
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
        List { frame, collection, may_change, tab, above, lines, below, page, pages, problems }
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
    let form = Form::new(&sections, &tree, true);
    let page = page(collection, &site, &visitor, form, new_action(collection, &wanted)).await;
    html(&page)
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
        let problems = fill(&sections, &filled, tree, true);
        (collection.made)(tree, index);
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
    let tree = tree::tree(&site.draft().await.document);
    let Some(index) = collection.find(&tree, &key) else { return gone(collection) };
    let form = Form::new(&collection.sections(&tree, index, false), &tree, false);
    let action = format!("{}/edit/{}", collection.slug, percent_encode(&key));
    html(&page(collection, &site, &visitor, form, action).await)
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
        let problems = fill(&sections, &filled, tree, false);
        Ok(Filled { sections, problems, index })
    });
    finish(collection, &site, &visitor, change, false, action).await
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
                    let form = Form::new(&sections, &std::mem::take(&mut tree), is_new).tell(&problems);
                    Ok(Err(form))
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
            let page = page(collection, site, visitor, form, action).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// `POST slug/delete/key`
pub(super) async fn delete(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
) -> Response {
    act(collection, site, visitor, key, posted, "deleted", move |tree, index| collection.remove(tree, index))
        .await
}

/// `POST slug/toggle/key`
pub(super) async fn toggle(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
) -> Response {
    act(collection, site, visitor, key, posted, "toggled", move |tree, index| collection.toggle(tree, index))
        .await
}

/// `POST slug/move/key`
pub(super) async fn shift(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
) -> Response {
    let to = match Place::parse(posted.get("to").unwrap_or_default()) {
        Ok(to) => to,
        Err(status) => return status.into_response(),
    };
    act(collection, site, visitor, key, posted, "moved", move |tree, index| collection.shift(tree, index, to))
        .await
}

/// Does something with one entry, and shows the list again.
async fn act(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    key: String,
    posted: Posted,
    verb: &'static str,
    action: impl FnOnce(&mut Value, usize) -> Option<()> + Send + 'static,
) -> Response {
    let wanted_key = key.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let index = collection.find(tree, &wanted_key).ok_or(Rejected::Gone)?;
        action(tree, index).ok_or(Rejected::Gone)
    });
    let tab = posted.get("tab").unwrap_or_default().to_owned();
    match site.edit(move |editor| change.save(editor)).await {
        Ok(()) => {
            note(collection, &site, &visitor, verb, &key);
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
    }
}
