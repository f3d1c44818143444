//! Every part that pages are made of, on one page.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::form::{Control, Field, Form, Kind, Section, TEXT, field, required};
use super::frame::Frame;
use super::message::html;
use super::site::Site;
use super::visitor::Visitor;
use crate::config::Problem;

/// Where it is.
pub(super) const COMPONENTS: &str = "/help/components";

/// The parts.
#[derive(Template)]
#[template(path = "components.html")]
struct Components {
    frame: Frame,
    form: Form,
}

static FIELDS: &[Field] = &[
    required("name", "Required", TEXT, "A sentence of help stands below each field."),
    field("address", "Wrong", Kind::Endpoint, "What is wrong stands beside the field."),
    field("number", "Number", Kind::Number { default: "1500" }, "What it is when empty stands in grey."),
    field("flag", "Tick", Kind::Flag { default: true, words: "What a tick means" }, "Why one would."),
    field("choice", "Choice", Kind::Choice(&[("a", "The usual one"), ("b", "Another one")]), ""),
    field("lines", "Several", Kind::Lines, "One a line."),
    field("secret", "Secret", Kind::Secret, "It is never shown."),
    field("password", "Password", Kind::Password, "Twice, so that a slip is noticed."),
];

/// `GET /help/components`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let tree =
        json!({ "example": { "name": "lan", "address": "lann net", "secret": "x", "lines": ["a", "b"] } });
    let sections = [Section::new("A form", "example", FIELDS)];
    let problem = Problem::new("example.address", "There is no interface \"lann\".", "Did you mean \"lan\"?");
    let form = Form::new(&sections, &tree, true).tell(&[problem]);
    html(&Components { frame: Frame::new(&site, &visitor, "Components", COMPONENTS).await, form })
}
