//! The first configuration: which one a machine starts with, from whatever has one.

use std::fs;
use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};

use super::factory::{self, Wishes};
use super::origin::{self, Origin};
use super::partition::{self, Mounted};
use crate::config::life::Life;
use crate::config::{self, Problem};
use crate::io::archive::Archive;
use crate::io::machine::Access;
use crate::io::{files, guestinfo};
use crate::types::MacAddr;

/// Files that QEMU hands over.
const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/org.koi";
/// Where a seed disk is mounted.
const ASIDE: &str = "/run/koi-seed";
/// A document that is used although it is not the one on the disk.
const SPARE: &str = "/run/koi/config.toml";
/// Name of this machine's node, on the partition.
const NODE: &str = "/var/lib/koi/node";

/// What a machine starts with.
#[derive(Debug)]
pub struct First {
    /// Where it comes from.
    pub origin: Origin,
    /// The file.
    pub document: PathBuf,
    /// Which node this machine is; `None` when the document tells.
    pub node: Option<String>,
    /// The machine's name.
    pub hostname: String,
    /// What is wrong.
    pub warnings: Vec<String>,
}

/// Finds it, and puts it where the router's parent reads it. `all_disks` makes those appear that take their time; it is
/// called when nobody has said anything yet that makes sense.
pub fn find(cards: &[MacAddr], all_disks: impl FnOnce()) -> First {
    let mut warnings = Vec::new();
    let document = Path::new(partition::DOCUMENT);
    let (origin, text) = match read(document) {
        Some(text) => kept(text, cards, &mut warnings),
        None => given(cards, all_disks, &mut warnings),
    };
    let path = match origin {
        Origin::Disk => document.to_owned(),
        // The document that makes no sense stays for whoever can mend it.
        Origin::Factory if document.exists() => spare(&text),
        Origin::FwCfg
        | Origin::Guestinfo
        | Origin::Ovf
        | Origin::Seed(_)
        | Origin::History(_)
        | Origin::Factory => match files::write_atomically(document, text.as_bytes()) {
            Ok(()) => document.to_owned(),
            Err(error) => {
                warnings.push(format!("the configuration cannot be written: {error}"));
                spare(&text)
            }
        },
    };
    keep_key();
    let config = config::load(&text).ok();
    let hostname =
        config.as_ref().map_or_else(|| factory::NAME.into(), |config| config.system.hostname.clone());
    let node = config.and_then(|config| {
        let named = node_name().filter(|name| config.nodes.iter().any(|node| node.name == *name));
        named.or_else(|| origin::node(&config, cards).map(str::to_owned))
    });
    First { origin, document: path, node, hostname, warnings }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(origin::LONGEST as u64).read_to_string(&mut text).ok()?;
    Some(text)
}

fn spare(text: &str) -> PathBuf {
    let path = PathBuf::from(SPARE);
    // Without memory nothing runs anyway.
    let _ = files::write_atomically(&path, text.as_bytes());
    path
}

/// The document on the disk, or what comes nearest when it makes no sense.
fn kept(text: String, cards: &[MacAddr], warnings: &mut Vec<String>) -> (Origin, String) {
    let Err(problems) = config::load(&text) else { return (Origin::Disk, text) };
    warnings.push(format!("the configuration makes no sense: {}", words(&problems)));
    match last_good(Path::new(partition::DOCUMENT)) {
        Some((revision, good)) => {
            let aside = format!("{}.bad", partition::DOCUMENT);
            if files::write_atomically(Path::new(&aside), text.as_bytes()).is_ok() {
                warnings.push(format!("revision {revision} is used; the other one is kept as {aside}"));
            }
            (Origin::History(revision), good)
        }
        None => {
            warnings
                .push("there is no earlier revision; the factory default is used until it is mended".into());
            (Origin::Factory, factory::document(cards, &Wishes::default()))
        }
    }
}

fn words(problems: &[Problem]) -> String {
    let more = problems.len().saturating_sub(1);
    let first = problems.first().map(Problem::to_string).unwrap_or_default();
    if more == 0 { first } else { format!("{first} (and {more} more)") }
}

/// The newest revision in the history beside a document that makes sense.
fn last_good(document: &Path) -> Option<(u64, String)> {
    let inside = Archive::of(document).read_all().ok()?;
    let texts = inside.values().filter_map(|bytes| Life::text_in(bytes));
    let good = texts.filter_map(|text| Some((config::load(&text).ok()?.revision, text)));
    good.max_by_key(|(revision, _)| *revision)
}

/// What whoever has made the machine says; the first that makes sense.
fn given(cards: &[MacAddr], all_disks: impl FnOnce(), warnings: &mut Vec<String>) -> (Origin, String) {
    let environment = guestinfo::read("ovfEnv").and_then(|text| origin::ovf(&text));
    let (ovf, wishes) = environment.unwrap_or_default();
    let wished = wishes != Wishes::default();
    let told = [
        fw_cfg("config").map(|text| (Origin::FwCfg, text)),
        guestinfo::read("koi.config").map(|text| (Origin::Guestinfo, text)),
        ovf.map(|text| (Origin::Ovf, text)),
    ];
    let searched = iter::once_with(|| {
        all_disks();
        [
            seed().map(|(device, text)| (Origin::Seed(device), text)),
            wished.then(|| (Origin::Ovf, factory::document(cards, &wishes))),
        ]
    });
    for (origin, text) in told.into_iter().chain(searched.flatten()).flatten() {
        let text = origin::plain(&text);
        match config::load(&text) {
            Ok(_) => return (origin, text),
            Err(problems) => {
                warnings.push(format!("the configuration of {origin} makes no sense: {}", words(&problems)))
            }
        }
    }
    (Origin::Factory, factory::document(cards, &Wishes::default()))
}

fn fw_cfg(name: &str) -> Option<String> {
    read(&Path::new(FW_CFG).join(name).join("raw"))
}

fn seed() -> Option<(String, String)> {
    let volume = partition::find(partition::SEED)?;
    let mounted = Mounted::new(&volume, Path::new(ASIDE), Access::Read).ok()?;
    let text = read(&mounted.path().join("config.toml"))?;
    Some((volume.device, text))
}

/// The node's key in the pair, when somebody has chosen it; a key that is there already stays.
fn keep_key() {
    let path = Path::new(partition::STATE).join(crate::io::keys::FILE);
    if let Some(key) = fw_cfg("key").filter(|_| !path.exists()) {
        let made = files::create_private_directory(Path::new(partition::STATE));
        // A pair without it says that the peer is not known.
        let _ = made.and_then(|()| files::write_atomically(&path, format!("{}\n", key.trim()).as_bytes()));
    }
}

/// As somebody has said now, or when the machine was made.
fn node_name() -> Option<String> {
    let said = fw_cfg("node").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    if let Some(name) = &said {
        let _ = files::write_atomically(Path::new(NODE), name.as_bytes());
    }
    said.or_else(|| read(Path::new(NODE)).map(|name| name.trim().to_owned()))
}
