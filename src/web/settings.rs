//! A form for a fixed part of the document.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::Value;

use super::change::{Change, judge, rejection};
use super::edit::Rejected;
use super::form::{Control, Field, Form, Section, fill, tree};
use super::frame::Frame;
use super::message::html;
use super::site::Site;
use super::visitor::{Posted, Right, Visitor};
use super::whereabouts::Whereabouts;

/// A page with one form.
pub(super) struct Settings {
    /// Name of the page.
    pub title: &'static str,
    /// What it is about, in a sentence or two.
    pub about: &'static str,
    /// Where it is.
    pub slug: &'static str,
    /// Who changes it.
    pub change: Right,
    /// Title, path in the document and fields of each section.
    pub sections: &'static [(&'static str, &'static str, &'static [Field])],
    /// Pages beside it.
    pub beside: &'static [(&'static str, &'static str)],
    /// Shown instead of the form when this part of the document is not there.
    pub without: Option<(&'static str, &'static str)>,
}

/// A form as a page.
#[derive(Template)]
#[template(path = "edit.html")]
pub(super) struct Edit {
    pub frame: Frame,
    pub form: Form,
    pub about: &'static str,
    /// Where the list is that this is an entry of.
    pub back: Option<&'static str>,
    pub may_change: bool,
    pub action: String,
    /// One more page about it: what it is called, and where it is.
    pub aside: Option<(&'static str, String)>,
    /// What refers to it.
    pub uses: Vec<Whereabouts>,
}

impl Settings {
    fn sections(&self) -> Vec<Section> {
        self.sections.iter().map(|(title, base, fields)| Section::new(*title, *base, fields)).collect()
    }

    async fn page(&self, site: &Site, visitor: &Visitor, form: Form) -> Edit {
        Edit {
            frame: Frame::new(site, visitor, self.title, self.slug).await.with_tabs(self.beside),
            form,
            about: self.about,
            back: None,
            may_change: site.is_editable() && visitor.may(self.change),
            action: self.slug.to_owned(),
            aside: None,
            uses: Vec::new(),
        }
    }
}

/// `GET slug`
pub(super) async fn show(settings: &'static Settings, site: Site, visitor: Visitor) -> Response {
    let tree = site.tree(&site.draft().await);
    if let Some((path, instead)) = settings.without
        && tree::get(&tree, path).is_none()
    {
        let form = Form { groups: Vec::new(), problems: Vec::new() };
        let page = Edit { about: instead, ..settings.page(&site, &visitor, form).await };
        return html(&page);
    }
    let form = Form::new(&settings.sections(), &tree, false);
    html(&settings.page(&site, &visitor, form).await)
}

/// `POST slug`
pub(super) async fn save(
    settings: &'static Settings,
    site: Site,
    visitor: Visitor,
    posted: Posted,
) -> Response {
    let filled = posted.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        if settings.without.is_some_and(|(path, _)| tree::get(tree, path).is_none()) {
            return Err(Rejected::Gone);
        }
        Ok(fill(&settings.sections(), &filled, tree, false))
    });
    let done = site
        .edit(move |editor| {
            let (who, edition, tree, problems) = change.begin(editor)?;
            match judge(&tree, problems) {
                Ok(document) => editor.save(&who, &edition, document).map(Ok),
                Err(problems) => Ok(Err(Form::new(&settings.sections(), &tree, false).tell(&problems))),
            }
        })
        .await;
    match done {
        Ok(Ok(())) => {
            site.note(&visitor.account.name, visitor.from, format!("changed {}", settings.title));
            Redirect::to(settings.slug).into_response()
        }
        Ok(Err(form)) => {
            let page = settings.page(&site, &visitor, form).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
