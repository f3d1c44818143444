//! The setup wizard: a few steps over the draft, each of them one form. What is there is shown, so it can be run again.

mod fields;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use fields::{
    ADMIN_FIELDS, DMZ_FIELDS, DMZ_RULES, GATEWAY_FIELDS, LAN_FIELDS, LAN_RULE, NAT_FIELDS, SYSTEM_FIELDS,
    WAN_FIELDS,
};

use super::change::{Change, judge, rejection};
use super::collection::next_id;
use super::edit::Rejected;
use super::form::{Control, Form, Section, fill, text_of, tree};
use super::frame::Frame;
use super::message::{Message, html};
use super::pages::INTERFACES;
use super::site::Site;
use super::visitor::{Posted, Visitor};

/// Where it is.
pub(super) const WIZARD: &str = "/wizard";
/// Where ticks stand that the document knows nothing of.
const SCRATCH: &str = "wizard";

/// A step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    System,
    Wan,
    Lan,
    Dmz,
    Admin,
    Finish,
}

impl Step {
    const ALL: [Step; 6] = [Step::System, Step::Wan, Step::Lan, Step::Dmz, Step::Admin, Step::Finish];

    const fn slug(self) -> &'static str {
        match self {
            Step::System => "system",
            Step::Wan => "wan",
            Step::Lan => "lan",
            Step::Dmz => "dmz",
            Step::Admin => "admin",
            Step::Finish => "finish",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Step::System => "The firewall",
            Step::Wan => "WAN: the way out",
            Step::Lan => "LAN: the trusted inside",
            Step::Dmz => "DMZ: servers",
            Step::Admin => "Who may log in",
            Step::Finish => "Put it in force",
        }
    }

    const fn about(self) -> &'static str {
        match self {
            Step::System => {
                "Its name stands on its pages and in its certificate. Whom it asks for names and the time may be filled in later, too."
            }
            Step::Wan => {
                "The port of the provider's cable, the address that the provider has given you, and the provider's router."
            }
            Step::Lan => {
                "The network of your own machines. Change its address only if you know how to reach the new one."
            }
            Step::Dmz => {
                "A network for servers that the internet may reach and that may not reach you. Skip it when you have none."
            }
            Step::Admin => {
                "An administrator of your own. The code of the first start ends when the first one is in force."
            }
            Step::Finish => {
                "Nothing has happened to packets so far. On trial, everything goes back by itself when it locks you out."
            }
        }
    }

    fn find(slug: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.slug() == slug)
    }

    fn path(self) -> String {
        format!("{WIZARD}/{}", self.slug())
    }

    fn next(self) -> Step {
        let place = Step::ALL.iter().position(|step| *step == self).unwrap_or(0);
        Step::ALL.get(place + 1).copied().unwrap_or(Step::Finish)
    }

    /// The zone that a step sets up.
    const fn zone(self) -> Option<&'static str> {
        match self {
            Step::Wan => Some("wan"),
            Step::Lan => Some("lan"),
            Step::Dmz => Some("dmz"),
            Step::System | Step::Admin | Step::Finish => None,
        }
    }
}

/// A step as a page.
#[derive(Template)]
#[template(path = "wizard.html")]
struct Page {
    frame: Frame,
    step: Step,
    form: Form,
    /// It need not be taken.
    may_skip: bool,
    changes: Vec<String>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, step: Step, form: Form) -> Page {
        let draft = site.draft().await;
        let frame = Frame::around(site, visitor, "Setup Wizard", WIZARD, &draft).await;
        let nobody = draft.document.users.is_empty();
        let may_skip = match step {
            Step::Dmz => true,
            Step::Admin => !nobody,
            Step::System | Step::Wan | Step::Lan | Step::Finish => !nobody,
        };
        Page { frame, step, form, may_skip, changes: draft.changes }
    }
}

/// Makes room in the tree for what a step asks, and says what that is.
fn prepare(step: Step, tree: &mut Value) -> Vec<Section> {
    let Some(zone) = step.zone() else {
        return match step {
            Step::System => vec![Section::new("The firewall", "system", SYSTEM_FIELDS)],
            Step::Admin => {
                let index = tree::list(tree, "user").len();
                vec![Section::new("Your account", format!("user[{index}]"), ADMIN_FIELDS)]
            }
            Step::Finish | Step::Wan | Step::Lan | Step::Dmz => Vec::new(),
        };
    };
    let index = interface_of(tree, zone);
    let (fields, title) = match step {
        Step::Wan => (WAN_FIELDS, "WAN"),
        Step::Lan => (LAN_FIELDS, "LAN"),
        Step::Dmz | Step::System | Step::Admin | Step::Finish => (DMZ_FIELDS, "DMZ"),
    };
    let mut sections = vec![Section::new(title, format!("interface[{index}]"), fields)];
    sections.extend((INTERFACES.more)(tree, index, false));
    match step {
        Step::Wan => {
            let base = format!("gateway[{}]", gateway_of(tree, index));
            sections.push(Section::new("The way out", base, GATEWAY_FIELDS));
            // A machine that nobody has set up translates nothing, since it has no address to translate to.
            let is_off = text_of(tree::get(tree, "outbound.mode")) == "disabled";
            let nat = !is_off || tree::list(tree, "gateway").is_empty();
            tree::set(tree, &format!("{SCRATCH}.nat"), Some(nat.into()));
            sections.push(Section::new("Translation", SCRATCH, NAT_FIELDS));
        }
        Step::Lan => sections.push(Section::new("What it may do", SCRATCH, LAN_RULE)),
        Step::Dmz => sections.push(Section::new("What it may do", SCRATCH, DMZ_RULES)),
        Step::System | Step::Admin | Step::Finish => {}
    }
    sections
}

/// The first interface of a zone; a new one when there is none.
fn interface_of(tree: &mut Value, zone: &str) -> usize {
    let interfaces = tree::list(tree, "interface");
    if let Some(index) = interfaces.iter().position(|entry| text_of(entry.get("zone")) == zone) {
        return index;
    }
    let taken = |name: &str| interfaces.iter().any(|entry| text_of(entry.get("name")) == name);
    let name = std::iter::once(zone.to_owned()).chain((2..).map(|number| format!("{zone}{number}")));
    let name = name.take(100).find(|name| !taken(name)).unwrap_or_default();
    let index = interfaces.len();
    if let Some(interfaces) = tree::list_mut(tree, "interface") {
        interfaces.push(json!({ "name": name, "zone": zone }));
    }
    index
}

/// The default gateway for IPv4 on this interface; the place of a new one when there is none.
fn gateway_of(tree: &Value, interface: usize) -> usize {
    let name = text_of(tree::get(tree, &format!("interface[{interface}].name")));
    let gateways = tree::list(tree, "gateway");
    let is_it = |entry: &Value| {
        text_of(entry.get("interface")) == name && !text_of(entry.get("address")).contains(':')
    };
    gateways.iter().position(is_it).unwrap_or(gateways.len())
}

/// What else follows from what was filled in.
fn complete(step: Step, tree: &mut Value) {
    let tick = |name: &str| tree::get(tree, SCRATCH).and_then(|scratch| scratch.get(name)).cloned();
    let (allow, nat) = (tick("allow"), tick("nat"));
    tree::set(tree, SCRATCH, None);
    match step {
        Step::Wan | Step::Lan | Step::Dmz => {
            let zone = step.zone().unwrap_or_default();
            let index = interface_of(tree, zone);
            let name = text_of(tree::get(tree, &format!("interface[{index}].name")));
            (INTERFACES.made)(tree, index);
            if step == Step::Wan {
                complete_gateway(tree, index, &name);
                let mode = text_of(tree::get(tree, "outbound.mode"));
                match nat == Some(Value::Bool(true)) {
                    true if mode == "disabled" => tree::set(tree, "outbound.mode", None),
                    false if mode != "disabled" => tree::set(tree, "outbound.mode", Some("disabled".into())),
                    true | false => {}
                }
            } else if allow == Some(Value::Bool(true)) {
                begin_rules(step, tree, &name);
            }
        }
        Step::Admin => {
            let index = tree::list(tree, "user").len().saturating_sub(1);
            tree::set(tree, &format!("user[{index}].role"), Some("administrator".into()));
        }
        Step::System | Step::Finish => {}
    }
}

fn complete_gateway(tree: &mut Value, interface: usize, name: &str) {
    let index = gateway_of(tree, interface);
    let gateways = tree::list(tree, "gateway");
    // What was filled in stands at the end and has no interface yet.
    let index = gateways.iter().position(|entry| entry.get("interface").is_none()).unwrap_or(index);
    let Some(entry) = gateways.get(index) else { return };
    if text_of(entry.get("address")).is_empty() {
        if let Some(gateways) = tree::list_mut(tree, "gateway") {
            gateways.remove(index);
        }
        return;
    }
    if entry.get("interface").is_none() {
        let taken = |name: &str| gateways.iter().any(|entry| text_of(entry.get("name")) == name);
        let names =
            std::iter::once("WANGW".to_owned()).chain((2..100).map(|number| format!("WANGW{number}")));
        let free = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let has_default = gateways.iter().any(|entry| {
            entry.get("default") == Some(&Value::Bool(true)) && !text_of(entry.get("address")).contains(':')
        });
        tree::set(tree, &format!("gateway[{index}].name"), Some(free.into()));
        tree::set(tree, &format!("gateway[{index}].interface"), Some(name.into()));
        tree::set(tree, &format!("gateway[{index}].default"), Some((!has_default).into()));
    }
}

/// The rules of a new network, when it has none.
fn begin_rules(step: Step, tree: &mut Value, name: &str) {
    if tree::list(tree, "rule").iter().any(|rule| text_of(rule.get("interface")) == name) {
        return;
    }
    let net = format!("{name} net");
    let mut rules = Vec::new();
    if step == Step::Dmz {
        let interfaces = tree::list(tree, "interface").iter();
        let lans = interfaces.filter(|entry| text_of(entry.get("zone")) == "lan");
        rules.extend(lans.map(|lan| {
            let lan = text_of(lan.get("name"));
            json!({ "action": "block", "destination": format!("{lan} net"), "log": true,
                "description": format!("{name} may not reach {lan}") })
        }));
        let port = match text_of(tree::get(tree, "system.web.port")) {
            port if port.is_empty() => "443".to_owned(),
            port => port,
        };
        rules.push(json!({ "action": "block", "protocol": "tcp", "destination": "this firewall",
            "destination_port": port, "log": true, "description": format!("{name} may not reach these pages") }));
    }
    rules.push(json!({ "action": "pass", "source": net, "description": format!("{name} may go anywhere") }));
    for mut rule in rules {
        let id = next_id(tree);
        tree::set(&mut rule, "id", Some(id.into()));
        tree::set(&mut rule, "interface", Some(name.into()));
        if let Some(list) = tree::list_mut(tree, "rule") {
            list.push(rule);
        }
    }
}

/// `GET /wizard`
pub(super) async fn begin() -> Response {
    Redirect::to(&Step::System.path()).into_response()
}

/// `GET /wizard/{step}`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Path(slug): Path<String>) -> Response {
    let Some(step) = Step::find(&slug) else {
        return Message::missing("The wizard has no such step.").into_response();
    };
    let mut tree = tree::tree(&site.draft().await.document);
    let sections = prepare(step, &mut tree);
    let form = Form::new(&sections, &tree, step == Step::Admin);
    html(&Page::new(&site, &visitor, step, form).await)
}

/// `POST /wizard/{step}`
pub(super) async fn save(
    State(site): State<Site>,
    visitor: Visitor,
    Path(slug): Path<String>,
    posted: Posted,
) -> Response {
    let Some(step) = Step::find(&slug).filter(|step| *step != Step::Finish) else {
        return Message::missing("The wizard has no such step.").into_response();
    };
    let filled = posted.clone();
    let change = Change::new(&visitor, &posted, move |tree: &mut Value| {
        let sections = prepare(step, tree);
        let problems = fill(&sections, &filled, tree, step == Step::Admin);
        complete(step, tree);
        Ok::<_, Rejected>((sections, problems))
    });
    let done = site
        .edit(move |editor| {
            let (who, edition, tree, (sections, problems)) = change.begin(editor)?;
            match judge(&tree, problems) {
                Ok(document) => editor.save(&who, &edition, document).map(Ok),
                Err(problems) => Ok(Err(Form::new(&sections, &tree, step == Step::Admin).tell(&problems))),
            }
        })
        .await;
    match done {
        Ok(Ok(())) => {
            site.note(&visitor.account.name, visitor.from, format!("set up {}", step.title()));
            Redirect::to(&step.next().path()).into_response()
        }
        Ok(Err(form)) => {
            let page = Page::new(&site, &visitor, step, form).await;
            (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
        }
        Err(rejected) => rejection(rejected),
    }
}
