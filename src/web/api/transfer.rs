//! Files in and out: a config.xml of pfSense or OPNsense, a whole node as one file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Reply, unexpected};
use super::edit::{More, ask, edit, edited};
use super::problem::{Kind, Outcome, Problem, Trouble};
use super::route::{FILE, Route, Verb};
use super::schema::{anything, flag, list, map_of, maybe, object, one_of, text};
use crate::cluster::tokens::Scope;
use crate::config::backup::{self, Backup, RANDOM_BYTES};
use crate::config::pfsense::{self, Options, Report, crypt, tree as xml};
use crate::config::{self, Config};
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Version};
use crate::io::{entropy, files};
use crate::types::Prefix;
use crate::web::form::tree;
use crate::web::visitor::Right;

/// Every route of this room.
pub(super) fn routes() -> Vec<Route> {
    let report = |more: &[(&str, Value)]| {
        let parts = [("kind", one_of(&["pfsense", "koi"], "Whose file it was.")), ("report", anything())];
        object(&[&parts[..], more].concat(), &[])
    };
    let file = || {
        object(
            &[("file", text("The file: config.xml, encrypted or not, or a backup of Koi."))],
            &[
                ("password", text("Of an encrypted file.")),
                ("maps", map_of(text("Device there, and the port or TAP that takes its place here."))),
                ("addresses", map_of(list(text("Interface there, and its addresses here.")))),
                ("gateways", map_of(list(text("Interface there, and its gateways here.")))),
            ],
        )
    };
    let written = object(
        &[
            ("name", text("A name for the file.")),
            ("file", text("What is in it.")),
            ("not_possible", list(anything())),
        ],
        &[],
    );
    vec![
        Route::new(
            Verb::Post,
            "/config/import/preview",
            "What an import would become; nothing is changed",
            report(&[("mapped", flag("Every device has something that takes its place."))]),
            preview,
        )
        .takes_up_to(file(), FILE)
        .needs(Scope::Read, Right::Administer),
        Route::new(
            Verb::Post,
            "/config/import",
            "Makes what a file becomes the candidate",
            edited(&[("kind", text("Whose file it was.")), ("report", maybe(anything()))]),
            import,
        )
        .takes_up_to(file(), FILE)
        .needs(Scope::Configure, Right::Administer)
        .edits(),
        Route::new(Verb::Post, "/config/export", "A version as a file", written, export)
            .takes(object(
                &[(
                    "format",
                    one_of(
                        &["koi", "pfsense", "toml"],
                        "A whole node with its keys, a config.xml, or the document.",
                    ),
                )],
                &[
                    ("version", text("running by itself.")),
                    ("password", text("What is written is encrypted with it.")),
                ],
            ))
            .needs(Scope::Configure, Right::Administer),
    ]
}

/// A file that came, and what is to be known of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    file: String,
    password: Option<String>,
    #[serde(default)]
    maps: BTreeMap<String, String>,
    #[serde(default)]
    addresses: BTreeMap<String, Vec<Prefix>>,
    #[serde(default)]
    gateways: BTreeMap<String, Vec<IpAddr>>,
}

/// What it becomes.
enum Found {
    /// A document, and how it came about.
    Foreign(Box<Config>, Box<Report>),
    /// The document of a backup: text, node, names of the other files.
    Own(String, String, Vec<String>),
}

impl Given {
    /// Reads the file, for a machine with this document.
    fn read(self, onto: &Config, node: &str) -> Outcome<Found> {
        let Given { file, password, maps, addresses, gateways } = self;
        let wrong = |problem: config::Problem| Problem::invalid(vec![Trouble::in_text(&problem)]);
        if backup::is_backup(&file) {
            let backup = backup::read(&file, password.as_deref()).map_err(wrong)?;
            let names = backup.files().map_err(wrong)?.into_iter().map(|(name, _)| name).collect();
            return Ok(Found::Own(backup.document, backup.node, names));
        }
        let file = match crypt::is_sealed(&file) {
            false => file,
            true => {
                let Some(password) = password else {
                    return Err(Problem::malformed(
                        "/password",
                        "The file is encrypted.",
                        "Send its password.",
                    ));
                };
                let plain = crypt::open(&file, &password).map_err(wrong)?;
                xml::decode(&plain).map_err(wrong)?.0
            }
        };
        let tree = xml::parse(&file).map_err(wrong)?;
        let flat = |(name, values): (String, Vec<Prefix>)| {
            values.into_iter().map(move |value| (name.clone(), value))
        };
        let addresses = addresses.into_iter().flat_map(flat).collect();
        let flat = |(name, values): (String, Vec<IpAddr>)| {
            values.into_iter().map(move |value| (name.clone(), value))
        };
        let gateways = gateways.into_iter().flat_map(flat).collect();
        let options = Options { maps, addresses, gateways, ..Options::onto(onto, Some(node)) };
        let pfsense::Import { config, report, .. } = pfsense::import(&tree, &options);
        Ok(Found::Foreign(Box::new(config), Box::new(report)))
    }
}

/// The node whose ports can be named.
fn node_name(call: &Call) -> String {
    let in_force = call.site.handle.in_force();
    in_force.config.node_part(in_force.node).name.clone()
}

async fn preview(call: Call) -> Outcome<Reply> {
    let given: Given = call.json()?;
    let onto = call.site.draft().await.document;
    let node = node_name(&call);
    let found = call.site.edit(move |_| Ok(given.read(&onto, &node))).await??;
    match found {
        Found::Foreign(_, report) => {
            let mapped = report.is_mapped();
            Reply::json(&json!({ "kind": "pfsense", "report": report, "mapped": mapped }))
        }
        Found::Own(document, node, files) => {
            let problems = config::load(&document).err().unwrap_or_default();
            let report = json!({ "node": node, "files": files, "problems": problems });
            Reply::json(&json!({ "kind": "koi", "report": report, "mapped": true }))
        }
    }
}

async fn import(call: Call) -> Outcome<Reply> {
    let given: Given = call.json()?;
    let node = node_name(&call);
    edit(&call, "imported a file into the candidate", move |tree| {
        let before: Config = serde_json::from_value(tree.clone()).map_err(|_| unexpected())?;
        let (document, kind, report) = match given.read(&before, &node)? {
            Found::Foreign(config, report) => {
                unmapped(&report)?;
                (*config, "pfsense", json!(report))
            }
            Found::Own(text, node, _) => {
                let wrong = |problems: Vec<config::Problem>| {
                    Problem::invalid(problems.iter().map(Trouble::in_text).collect())
                };
                (config::load(&text).map_err(wrong)?.into_inner(), "koi", json!({ "node": node }))
            }
        };
        *tree = tree::tree(&Config { revision: before.revision, ..document });
        Ok(More::from_iter([("kind".to_owned(), kind.into()), ("report".to_owned(), report)]))
    })
    .await
}

/// Nothing takes the place of a device in silence.
fn unmapped(report: &Report) -> Outcome<()> {
    let open = report.mapping.iter().filter(|mapped| mapped.port.is_none());
    let trouble = |mapped: &pfsense::mapping::Mapped| Trouble {
        path: String::new(),
        place: Some(format!("/maps/{}", mapped.device)),
        message: format!("Nothing takes the place of the device {}.", mapped.device),
        remedy: "Name a port or a TAP of this machine in \"maps\".".into(),
    };
    let troubles: Vec<Trouble> = open.map(trouble).collect();
    if troubles.is_empty() { Ok(()) } else { Err(Problem::invalid(troubles)) }
}

/// What is to be written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    format: Format,
    version: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Koi,
    Pfsense,
    Toml,
}

async fn export(call: Call) -> Outcome<Reply> {
    let Wanted { format, version, password } = call.json()?;
    let version = version.unwrap_or_else(|| "running".into());
    let version: Version =
        version.parse().map_err(|why: String| Problem::malformed("/version", "This is no version.", why))?;
    let ConfigAnswer::Text { text, .. } = ask(&call, ConfigRequest::Show { version, secrets: true }).await?
    else {
        return Err(unexpected());
    };
    if format == Format::Toml && password.is_some() {
        return Err(Problem::malformed(
            "/password",
            "A document alone is not encrypted.",
            "Ask for the format koi.",
        ));
    }
    let in_force = call.site.handle.in_force();
    let node = in_force.config.node_part(in_force.node).name.clone();
    let state = call.site.state.clone();
    let written =
        call.site.edit(move |_| Ok(write(format, text, &node, password.as_deref(), &state))).await??;
    call.note("exported the configuration");
    Reply::json(&written)
}

fn write(format: Format, text: String, node: &str, password: Option<&str>, state: &Path) -> Outcome<Value> {
    let named = |name: &str, file: String, not_possible: Value| json!({ "name": format!("{node}.{name}"), "file": file, "not_possible": not_possible });
    match format {
        Format::Toml => Ok(named("toml", text, json!([]))),
        Format::Pfsense => {
            let conflict = |why: String| Problem::new(Kind::Conflict, why);
            let config = config::parse(&text).map_err(|_| conflict("This version cannot be read.".into()))?;
            let export = pfsense::export(&config, None, Some(node))
                .map_err(|problem| conflict(problem.to_string()))?;
            let file = match password {
                None => export.xml,
                Some(password) => crypt::seal(&export.xml, password, random()?),
            };
            Ok(named("xml", file, json!(export.not_possible)))
        }
        Format::Koi => {
            let kept = files::small_ones(state).map_err(|error| {
                Problem::new(Kind::Conflict, format!("The state directory cannot be read: {error}."))
            })?;
            let backup = Backup::new(node.to_owned(), text, kept.into_iter(), None);
            let file = match password {
                None => backup.to_text(),
                Some(password) => backup.seal(password, random::<RANDOM_BYTES>()?),
            };
            Ok(named("koi-backup", file, json!([])))
        }
    }
}

fn random<const BYTES: usize>() -> Outcome<[u8; BYTES]> {
    let mut random = [0; BYTES];
    entropy::fill(&mut random).map_err(|error| Problem::new(Kind::Busy, error.to_string()))?;
    Ok(random)
}
