//! Every rule in one list, in the order in which packets meet them: automatic ones with the setting that owns them.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::frame::Frame;
use super::message::html;
use super::pages::{BESIDE_RULES, owner_page};
use super::site::Site;
use super::visitor::Visitor;
use crate::config::model::RuleDirection;
use crate::node::Compiled;
use crate::rules::RuleInfo;

/// Where it is.
pub(super) const ALL_RULES: &str = "/firewall/rules/all";
/// Rules on a page.
const PAGE: usize = 100;

/// What stands behind the question mark.
#[derive(Deserialize)]
pub(super) struct Wanted {
    page: Option<usize>,
}

/// A rule.
struct Row {
    place: usize,
    action: &'static str,
    quick: bool,
    way: &'static str,
    interfaces: String,
    text: String,
    description: String,
    /// The setting that owns it, or the rule's own page; nothing turns off what has none.
    owner: Option<(&'static str, String)>,
    id: u32,
}

/// The list.
#[derive(Template)]
#[template(path = "all-rules.html")]
struct AllRules {
    frame: Frame,
    rows: Vec<Row>,
    page: usize,
    pages: usize,
}

/// `GET /firewall/rules/all`
pub(super) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Response {
    let compiled = site.handle.in_force();
    let count = compiled.ruleset.in_order().count();
    let pages = count.div_ceil(PAGE).max(1);
    let page = wanted.page.unwrap_or(1).clamp(1, pages);
    let shown = compiled.ruleset.in_order().enumerate().skip((page - 1) * PAGE).take(PAGE);
    let rows = shown.map(|(place, (info, quick))| Row::new(&compiled, place + 1, info, quick)).collect();
    let frame = Frame::new(&site, &visitor, "All Rules", ALL_RULES).await.with_tabs(BESIDE_RULES);
    html(&AllRules { frame, rows, page, pages })
}

impl Row {
    fn new(compiled: &Compiled, place: usize, info: &RuleInfo, quick: bool) -> Row {
        let names = info.interfaces.iter().filter_map(|id| Some(compiled.link(*id)?.name.as_str()));
        let names: Vec<&str> = names.collect();
        let everywhere = names.len() > 1 && names.len() == compiled.links.len();
        let id = info.id.0;
        Row {
            place,
            action: action(&info.text),
            quick,
            way: match info.direction {
                RuleDirection::In => "in",
                RuleDirection::Out => "out",
                RuleDirection::Any => "in, out",
            },
            interfaces: if everywhere { "all".into() } else { names.join(", ") },
            text: info.text.lines().next().unwrap_or_default().to_owned(),
            description: info.description.clone(),
            owner: match info.automatic {
                Some(setting) => owner_page(setting, names.first().copied().unwrap_or_default())
                    .map(|page| ("Setting", page)),
                None => Some(("Edit", format!("/firewall/rules/edit/{id}"))),
            },
            id,
        }
    }
}

/// The first word of a rule in pf's words.
fn action(text: &str) -> &'static str {
    if text.starts_with("pass") {
        "pass"
    } else if text.starts_with("match") {
        "match"
    } else if text.starts_with("block return") {
        "reject"
    } else {
        "block"
    }
}
