//! The import wizard: a file of pfSense or OPNsense, or a document of Koi's own, becomes a draft.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::change::rejection;
use super::edit::Rejected;
use super::frame::Frame;
use super::message::html;
use super::pending::PENDING;
use super::site::{Site, lock};
use super::visitor::{Posted, Visitor};
use crate::config::pfsense::report::{Finding, Place};
use crate::config::pfsense::tree::{self, Product};
use crate::config::pfsense::{self, Options, Report, crypt};
use crate::config::{self, Config, Problem};

/// Where it is.
pub(super) const IMPORT: &str = "/diagnostics/import";
/// Places that a line names.
const SHOWN: usize = 6;

/// A file that somebody has uploaded and not taken over yet. There is one at a time.
pub(super) struct Waiting {
    /// Whose it is.
    owner: String,
    /// Decrypted.
    text: String,
    options: Options,
}

/// A group of the report.
struct Group {
    title: &'static str,
    about: &'static str,
    count: usize,
    lines: Vec<(String, String)>,
}

/// What a device there carries, and what takes its place.
struct Device {
    name: String,
    carries: String,
    /// Ports here: name and whether it is chosen.
    ports: Vec<(String, bool)>,
    because: String,
}

/// The report of a file.
struct Shown {
    product: String,
    devices: Vec<Device>,
    /// Interfaces that get their address elsewhere there, and what they get here.
    dynamic: Vec<(String, String, String)>,
    groups: Vec<Group>,
    effects: Vec<String>,
    problems: Vec<String>,
    is_mapped: bool,
}

/// The wizard.
#[derive(Template)]
#[template(path = "import.html")]
struct Page {
    frame: Frame,
    error: Option<String>,
    shown: Option<Shown>,
    paired: bool,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, error: Option<String>) -> Page {
        let draft = site.draft().await;
        let frame = Frame::around(site, visitor, "Import", IMPORT, &draft).await;
        let waiting = lock(&site.import);
        let waiting = waiting.as_ref().filter(|waiting| waiting.owner == visitor.account.name);
        let paired = draft.document.pair.is_some();
        Page { frame, error, shown: waiting.and_then(|waiting| Shown::new(waiting, &draft.document)), paired }
    }
}

impl Shown {
    fn new(waiting: &Waiting, document: &Config) -> Option<Shown> {
        let tree = tree::parse(&waiting.text).ok()?;
        let import = pfsense::import(&tree, &waiting.options);
        let report = &import.report;
        let merged = onto(import.config.clone(), document);
        let problems = match config::validate(merged) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        };
        let product = match report.product {
            Product::Pfsense => "pfSense",
            Product::Opnsense => "OPNsense",
        };
        let version =
            report.version.as_deref().map_or_else(String::new, |version| format!(", format {version}"));
        Some(Shown {
            product: format!("{product}{version}"),
            devices: devices(report, &waiting.options),
            dynamic: dynamic(&import.config, &waiting.options),
            groups: groups(report),
            effects: effects(report),
            problems,
            is_mapped: report.is_mapped(),
        })
    }
}

fn devices(report: &Report, options: &Options) -> Vec<Device> {
    let device = |mapped: &pfsense::mapping::Mapped| {
        let chosen = mapped.port.as_ref().unwrap_or(&mapped.proposal);
        let known = options.ports.iter().map(|port| (port.name.clone(), port.name == *chosen));
        let mut ports: Vec<(String, bool)> = known.collect();
        if !ports.iter().any(|(_, chosen)| *chosen) {
            ports.push((chosen.clone(), true));
        }
        let because = if mapped.port.is_some() { "as you said".into() } else { mapped.because.clone() };
        Device { name: mapped.device.clone(), carries: mapped.carries.join("; "), ports, because }
    };
    report.mapping.iter().map(device).collect()
}

/// Interfaces without an address, and those that were given one here.
fn dynamic(config: &Config, options: &Options) -> Vec<(String, String, String)> {
    let given = |name: &str| {
        let address = options.addresses.iter().find(|(interface, _)| interface == name);
        let gateway = options.gateways.iter().find(|(interface, _)| interface == name);
        (
            address.map_or_else(String::new, |(_, address)| address.to_string()),
            gateway.map_or_else(String::new, |(_, gateway)| gateway.to_string()),
        )
    };
    let parts = config.nodes.first().map(|node| node.interfaces.as_slice()).unwrap_or_default();
    let lacking = parts.iter().filter(|part| {
        part.addresses.is_empty() || options.addresses.iter().any(|(interface, _)| *interface == part.name)
    });
    lacking
        .map(|part| {
            let (address, gateway) = given(&part.name);
            (part.name.clone(), address, gateway)
        })
        .collect()
}

fn groups(report: &Report) -> Vec<Group> {
    let group = |title, about, findings: &[Finding]| Group {
        title,
        about,
        count: Report::count(findings),
        lines: findings.iter().map(line).collect(),
    };
    vec![
        group("Imported", "in force as it was", &report.imported),
        group("Adapted", "in force, in another way", &report.adapted),
        group("Kept, but inactive", "without effect here", &report.kept_inactive),
        group("Not possible", "what Koi cannot do", &report.not_possible),
    ]
}

fn line(finding: &Finding) -> (String, String) {
    let Finding { what, how, count, places } = finding;
    let why = if how.is_empty() { String::new() } else { format!(": {how}") };
    let named: Vec<String> = places.iter().take(SHOWN).map(place).collect();
    let more = if *count > SHOWN { format!(" and {} more", count - SHOWN) } else { String::new() };
    (format!("{count} {what}{why}"), format!("{}{more}", named.join(", ")))
}

fn place(place: &Place) -> String {
    let Place { path, line, name } = place;
    let line = line.map_or(String::new(), |line| format!(" (line {line})"));
    let name = if name.is_empty() { String::new() } else { format!(" \u{201c}{name}\u{201d}") };
    format!("{path}{line}{name}")
}

fn effects(report: &Report) -> Vec<String> {
    let effect = &report.effect;
    let list = |title: &str, lines: &[String]| {
        let lines = if lines.is_empty() { "none".to_owned() } else { lines.join("; ") };
        format!("{title}: {lines}")
    };
    let mut lines = vec![
        list("Interfaces", &effect.interfaces),
        list("Virtual IPs", &effect.virtual_ips),
        list("Gateways", &effect.gateways),
    ];
    lines.extend(
        effect
            .tabs
            .iter()
            .map(|tab| format!("Rules on {}: {} in force, {} disabled", tab.name, tab.active, tab.disabled)),
    );
    lines.push(format!(
        "Port forwards: {}, 1:1: {}, NPt: {}, outbound: {}",
        effect.port_forwards, effect.one_to_one, effect.npt, effect.outbound
    ));
    lines.push(format!("Routes: {}, aliases: {}", effect.routes, effect.aliases));
    lines.push(list("Users that come over", &effect.users));
    lines
}

/// What an import leaves to this machine: who may log in here, its pages, its place in the order of interfaces.
fn onto(mut import: Config, document: &Config) -> Config {
    import.revision = document.revision;
    import.system.web = document.system.web.clone();
    import.certificates.clone_from(&document.certificates);
    import.system.release_keys.clone_from(&document.system.release_keys);
    import.system.version_floor.clone_from(&document.system.version_floor);
    let mut users = document.users.clone();
    let is_new = |name: &str| !document.users.iter().any(|user| user.name == name);
    users.extend(import.users.into_iter().filter(|user| is_new(&user.name)));
    import.users = users;
    if let (Some(node), Some(own)) = (import.nodes.first_mut(), document.nodes.first()) {
        node.loopback = own.loopback;
        node.public_key = own.public_key;
    }
    // Flows hold interfaces by their places: those that are there keep theirs.
    let place = |name: &str| document.interfaces.iter().position(|interface| interface.name == name);
    import.interfaces.sort_by_key(|interface| place(&interface.name).unwrap_or(usize::MAX));
    import
}

/// `GET /diagnostics/import`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor, None).await)
}

/// `POST /diagnostics/import`: the file.
pub(super) async fn upload(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let file = posted.get("file").unwrap_or_default().to_owned();
    let password = posted.get("password").unwrap_or_default().to_owned();
    let document = site.draft().await.document;
    let (who, edition) = (visitor.author(), posted.edition().to_owned());
    let read = site.edit(move |editor| {
        if !crypt::is_sealed(&file) && !file.trim_start().starts_with('<') {
            let document = config::load(&file).map_err(Rejected::Problems)?;
            editor.save(&who, &edition, document)?;
            return Ok(None);
        }
        let failed = |problem: Problem| Rejected::Failed(problem.to_string());
        let text = if crypt::is_sealed(&file) {
            let plain = crypt::open(&file, &password).map_err(failed)?;
            tree::decode(&plain).map_err(failed)?.0
        } else {
            file
        };
        tree::parse(&text).map_err(failed)?;
        Ok(Some(text))
    });
    match read.await {
        Ok(Some(text)) => {
            let (owner, options) =
                (visitor.account.name.clone(), Options::onto(&document, Some(&site.node_name())));
            *lock(&site.import) = Some(Waiting { owner, text, options });
            site.note(&visitor.account.name, visitor.from, "uploaded a file to import");
            Redirect::to(IMPORT).into_response()
        }
        Ok(None) => {
            site.note(&visitor.account.name, visitor.from, "uploaded a configuration");
            Redirect::to(PENDING).into_response()
        }
        Err(Rejected::Failed(why)) => refuse(&site, &visitor, why).await,
        Err(Rejected::Problems(problems)) => {
            let lines: Vec<String> = problems.iter().take(SHOWN).map(ToString::to_string).collect();
            refuse(&site, &visitor, lines.join(" ")).await
        }
        Err(rejected) => rejection(rejected),
    }
}

async fn refuse(site: &Site, visitor: &Visitor, why: String) -> Response {
    let page = Page::new(site, visitor, Some(why)).await;
    (StatusCode::UNPROCESSABLE_ENTITY, html(&page)).into_response()
}

/// `POST /diagnostics/import/map`: what takes whose place; and, at the end, the draft.
pub(super) async fn map(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    if posted.get("forget").is_some() {
        lock(&site.import).take();
        return Redirect::to(IMPORT).into_response();
    }
    let told = tell(&site, &visitor, &posted);
    let (text, options) = match told {
        Ok(told) => told,
        Err(why) => return refuse(&site, &visitor, why).await,
    };
    if posted.get("take").is_none() {
        return Redirect::to(IMPORT).into_response();
    }
    let (who, edition) = (visitor.author(), posted.edition().to_owned());
    let saved = site.edit(move |editor| {
        let failed = |problem: Problem| Rejected::Failed(problem.to_string());
        let tree = tree::parse(&text).map_err(failed)?;
        let import = pfsense::import(&tree, &options);
        let draft = editor.draft();
        if draft.document.pair.is_some() {
            return Err(Rejected::Failed("A pair takes over no file; import on a single node.".into()));
        }
        let document = config::validate(onto(import.config, &draft.document)).map_err(Rejected::Problems)?;
        editor.save(&who, &edition, document)
    });
    match saved.await {
        Ok(()) => {
            lock(&site.import).take();
            site.note(&visitor.account.name, visitor.from, "imported a file as draft");
            Redirect::to(PENDING).into_response()
        }
        Err(Rejected::Failed(why)) => refuse(&site, &visitor, why).await,
        Err(Rejected::Problems(_)) => {
            refuse(&site, &visitor, "It cannot be in force yet; see what is to be corrected.".into()).await
        }
        Err(rejected) => rejection(rejected),
    }
}

/// Writes what was chosen to the file that waits.
fn tell(site: &Site, visitor: &Visitor, posted: &Posted) -> Result<(String, Options), String> {
    let mut waiting = lock(&site.import);
    let waiting = waiting.as_mut().filter(|waiting| waiting.owner == visitor.account.name);
    let Some(Waiting { text, options, .. }) = waiting else { return Err("Upload the file again.".into()) };
    let fields = |prefix: &'static str| {
        posted.0.iter().filter_map(move |(name, value)| {
            let name = name.strip_prefix(prefix)?;
            let value = value.trim();
            (!value.is_empty()).then_some((name.to_owned(), value.to_owned()))
        })
    };
    options.maps = fields("map.").collect();
    let wrong =
        |value: &str| format!("\u{201c}{value}\u{201d} is not an address; write one as in 203.0.113.2/24.");
    let address = |(name, value): (String, String)| {
        value.parse().map(|address| (name, address)).map_err(|_| wrong(&value))
    };
    let gateway = |(name, value): (String, String)| {
        value.parse().map(|address| (name, address)).map_err(|_| wrong(&value))
    };
    options.addresses = fields("address.").map(address).collect::<Result<_, _>>()?;
    options.gateways = fields("gateway.").map(gateway).collect::<Result<_, _>>()?;
    Ok((text.clone(), options.clone()))
}
