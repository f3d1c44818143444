//! A certificate that signs itself, made on a page.

use std::net::IpAddr;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::certificate::{DAY, sign};
use super::change::{Change, judge, rejection};
use super::edit::Rejected;
use super::form::{Control, Field, Form, Kind, Section, TEXT, field, fill, required, text_of, tree};
use super::frame::Frame;
use super::message::html;
use super::pages::BESIDE_CERTIFICATES;
use super::site::Site;
use super::visitor::{Posted, Visitor};
use crate::config::Problem;
use crate::io::clock;

/// Where it is.
pub(super) const SELF_SIGNED: &str = "/system/self-signed";
/// Where the list is.
const CERTIFICATES: &str = "/system/certificates";
/// Where the answers stand while the certificate is made.
const SCRATCH: &str = "wanted";
/// Days, when nobody says otherwise: the longest that browsers accept.
const DAYS: u64 = 398;
const MOST_DAYS: u64 = 3650;

static FIELDS: &[Field] = &[
    required("name", "Name", TEXT, "What it is called under Advanced."),
    field(
        "names",
        "Names and addresses",
        Kind::Lines,
        "What browsers call the firewall, one a line: host names and addresses. Empty for its hostname and all its addresses.",
    ),
    field("days", "Lifetime", Kind::Number { default: "398" }, "Days; browsers accept no more than 398."),
];

/// The form.
#[derive(Template)]
#[template(path = "self-signed.html")]
struct Page {
    frame: Frame,
    form: Form,
}

fn sections() -> [Section; 1] {
    [Section::new("A certificate that signs itself", SCRATCH, FIELDS)]
}

async fn page(site: &Site, visitor: &Visitor, form: Form) -> Page {
    let frame = Frame::new(site, visitor, "New Self-signed Certificate", SELF_SIGNED).await;
    Page { frame: frame.with_tabs(BESIDE_CERTIFICATES), form }
}

/// `GET /system/self-signed`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let form = Form::new(&sections(), &Value::Null, true);
    html(&page(&site, &visitor, form).await)
}

/// `POST /system/self-signed`
pub(super) async fn make(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let filled = posted.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let problems = fill(&sections(), &filled, tree, true);
        let wanted = tree::get(tree, SCRATCH).cloned().unwrap_or_default();
        tree::set(tree, SCRATCH, None);
        Ok::<_, Rejected>((wanted, problems))
    });
    let done = site.edit(move |editor| {
        let (who, edition, mut tree, (wanted, mut problems)) = change.begin(editor)?;
        match add(&mut tree, &wanted) {
            Ok(()) => {}
            Err(problem) => problems.push(problem),
        }
        match judge(&tree, problems) {
            Ok(document) => editor.save(&who, &edition, document).map(Ok),
            Err(problems) => {
                let tree = json!({ SCRATCH: wanted });
                Ok(Err(Form::new(&sections(), &tree, true).tell(&problems)))
            }
        }
    });
    match done.await {
        Ok(Ok(())) => {
            site.note(&visitor.account.name, visitor.from, "made a certificate");
            Redirect::to(CERTIFICATES).into_response()
        }
        Ok(Err(form)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page(&site, &visitor, form).await)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}

/// Makes it and puts it into the tree.
fn add(tree: &mut Value, wanted: &Value) -> Result<(), Problem> {
    let days = match wanted.get("days") {
        None => DAYS,
        Some(days) => days.as_u64().filter(|days| (1..=MOST_DAYS).contains(days)).ok_or_else(|| {
            let remedy = format!("Write a number of days from 1 to {MOST_DAYS}.");
            Problem::new("wanted.days", "This is no lifetime.", remedy)
        })?,
    };
    let lines: Vec<String> = tree::list(wanted, "names").iter().map(|line| text_of(Some(line))).collect();
    let (addresses, mut names): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.parse::<IpAddr>().is_ok());
    let mut addresses: Vec<IpAddr> = addresses.iter().filter_map(|line| line.parse().ok()).collect();
    if names.is_empty() && addresses.is_empty() {
        (names, addresses) = of_firewall(tree);
    }
    let made = sign(&names, &addresses, clock::wall_seconds(), days * DAY);
    let (certificate, key, _) = made.map_err(|error| {
        Problem::new("wanted.names", format!("{error:#}."), "Write host names and addresses, one a line.")
    })?;
    let name = text_of(wanted.get("name"));
    if tree::list(tree, "certificate").iter().any(|entry| text_of(entry.get("name")) == name) {
        let message = format!("There is a certificate \"{name}\" already.");
        return Err(Problem::new("wanted.name", message, "Write another name."));
    }
    if name.is_empty() {
        return Err(Problem::new("wanted.name", "It needs a name.", "Write one."));
    }
    if let Some(list) = tree::list_mut(tree, "certificate") {
        list.push(json!({ "name": name, "certificate": certificate, "private_key": key }));
    }
    Ok(())
}

/// The hostname, and every address of every node.
fn of_firewall(tree: &Value) -> (Vec<String>, Vec<IpAddr>) {
    let hostname = match text_of(tree::get(tree, "system.hostname")) {
        name if name.is_empty() => "koi".to_owned(),
        name => name,
    };
    let parts = tree::list(tree, "node").iter().flat_map(|node| tree::list(node, "interface"));
    let owners = parts.chain(tree::list(tree, "virtual_ip"));
    let texts = owners.flat_map(|owner| tree::list(owner, "addresses")).filter_map(Value::as_str);
    let addresses = texts.filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok());
    let mut addresses: Vec<IpAddr> = addresses.filter(|address| !is_link_local(*address)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    (vec![hostname], addresses)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
