//! The form of an entry of a [`Collection`].

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::change::{Change, judge, rejection};
use super::collection::Collection;
use super::edit::Rejected;
use super::form::{Form, Section, fill, text_of, tree};
use super::frame::Frame;
use super::guard::percent_encode;
use super::listing::{Wanted, tab};
use super::message::{Message, html};
use super::references::{self, Noun};
use super::settings::Edit;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use super::whereabouts::{self, Whereabouts};
use crate::config::Problem;

/// `GET slug/new`
pub(super) async fn add(
    collection: &'static Collection,
    site: Site,
    visitor: Visitor,
    wanted: Wanted,
) -> Response {
    let draft = site.draft().await;
    let mut tree = Value::clone(&site.tree(&draft));
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
    let mut tree = Value::clone(&site.tree(&site.draft().await));
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
                    let again = collection.sections(&tree, index, is_new);
                    // What was empty has gone, or there is one more.
                    let sections = if again.len() == sections.len() { sections } else { again };
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

pub(super) fn note(collection: &Collection, site: &Site, visitor: &Visitor, verb: &str, key: &str) {
    site.note(&visitor.account.name, visitor.from, format!("{verb} {} {key}", collection.one));
}

fn gone(collection: &Collection) -> Response {
    Message::missing(format!("There is no such {} any more.", collection.one)).into_response()
}

pub(super) fn back(collection: &Collection, tab: &str) -> String {
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
    let key = here.strip_prefix(collection.slug).and_then(|rest| rest.strip_prefix("/edit/"));
    let aside = collection.aside.zip(key).map(|((words, path), key)| (words, format!("{path}/{key}")));
    Edit {
        frame,
        form,
        about: "",
        back: Some(collection.slug),
        may_change: site.is_editable() && visitor.may(collection.change),
        aside,
        action,
        uses,
    }
}
