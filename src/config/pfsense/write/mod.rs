//! From a document to a file that pfSense can read again: the origin's tree, changed only where the document is another
//! than an import of that tree makes it.

mod interfaces;
mod merge;
mod names;
mod nat;
mod patch;
mod routing;
mod rules;
mod schedules;
mod separators;
mod services;
mod system;
mod users;
mod virtual_ips;
mod words;

use std::collections::HashMap;

use super::mapping::Options;
use super::origin::Origin;
use super::read::{Import, Key, Links, import};
use super::report::{Finding, Place};
use super::tree::{Element, Entities, Product, Tree, parse, repeats};
use crate::config::model::Node;
use crate::config::{Config, Problem};
use words::Names;

/// The format that a file has which comes from no other.
const VERSION: &str = "24.5";

/// A file, and what it could not say.
#[derive(Clone, Debug)]
pub struct Export {
    /// The file.
    pub xml: String,
    /// What pfSense has no word for.
    pub not_possible: Vec<Finding>,
}

/// Writes the document as a file of pfSense; of the node of this name when it has two.
///
/// # Errors
/// When the origin is no longer what it was.
pub fn export(config: &Config, origin: Option<&Origin>, node: Option<&str>) -> Result<Export, Problem> {
    let (mut tree, options) = match origin {
        Some(origin) => (parse(&origin.xml)?, origin.options.clone()),
        None => (skeleton(), Options::default()),
    };
    let Import { config: old, links, .. } = import(&tree, &options);
    let named = config.nodes.iter().find(|candidate| node.is_none_or(|name| candidate.name == name));
    let Some(named) = named else {
        let message = format!("There is no node \"{}\".", node.unwrap_or_default());
        return Err(Problem::new("node", message, "Name one of the document."));
    };
    let there = tree.root.child("interfaces").map_or(&[][..], |section| &section.children);
    let there = there.iter().filter_map(|element| {
        let Key::Interface(name) = links.get(element)? else { return None };
        Some((name.clone(), element.name.to_ascii_lowercase()))
    });
    let mut names = Names::new(config, there.collect());
    for group in tree.root.child("ifgroups").map_or(&[][..], |groups| &groups.children) {
        if let (Some(Key::Group(name)), Some(there)) = (links.get(group), group.text_of("ifname")) {
            names.call(name, there);
        }
    }
    let mut scene = Scene {
        old: &old,
        new: config,
        node: named,
        options: &options,
        links: &links,
        names,
        entities: tree.entities(),
        root: tree.root.clone(),
        lacking: Vec::new(),
    };
    let same = Config { revision: old.revision, ..config.clone() } == old;
    if !same && is_newer(&tree) {
        let message = "The document is another than its OPNsense file, whose rules stand in sections that only OPNsense writes.";
        return Err(Problem::new("", message, "Export without the origin: a file of pfSense."));
    }
    if !same {
        let anchors = separators::anchors(&scene.root);
        system::write(&mut scene);
        services::told(&mut scene);
        users::write(&mut scene);
        interfaces::write(&mut scene);
        virtual_ips::write(&mut scene);
        routing::write(&mut scene);
        names::write(&mut scene);
        schedules::write(&mut scene);
        rules::write(&mut scene);
        nat::write(&mut scene);
        separators::place(&mut scene.root, &anchors);
    }
    let Scene { root, lacking, .. } = scene;
    tree.root = root;
    if tree.product == Product::Pfsense {
        without_repetition(&mut tree.root);
    }
    Ok(Export { xml: tree.to_xml(), not_possible: lacking })
}

/// What the writers of all sections share.
struct Scene<'a> {
    old: &'a Config,
    new: &'a Config,
    /// The machine that the file is for.
    node: &'a Node,
    options: &'a Options,
    links: &'a Links,
    names: Names,
    entities: Entities,
    root: Element,
    lacking: Vec<Finding>,
}

impl Scene<'_> {
    /// Takes a section out to work on it; an empty one when there is none.
    fn take(&mut self, name: &str) -> Element {
        std::mem::take(self.root.ensure(name)).called(name)
    }

    /// Puts a section back.
    fn give(&mut self, section: Element) {
        let name = section.name.clone();
        // What was taken left its place behind, without a name.
        match self.root.children.iter_mut().find(|child| child.name.is_empty()) {
            Some(place) => *place = section,
            None => self.root.put(section),
        }
        if self.root.child(&name).is_some_and(Element::is_empty) {
            self.root.put(Element::flag(&name));
        }
    }

    /// Something that pfSense cannot say.
    fn lacks(&mut self, what: &'static str, how: &str, name: &str) {
        let place = Place { path: String::new(), line: None, name: name.into() };
        match self.lacking.iter_mut().find(|finding| finding.what == what && finding.how == how) {
            Some(finding) => {
                finding.count += 1;
                finding.places.push(place);
            }
            None => {
                self.lacking.push(Finding {
                    what: what.into(),
                    how: how.into(),
                    count: 1,
                    places: vec![place],
                });
            }
        }
    }

    /// The device there of a port here.
    fn device(&self, port: &str) -> String {
        let mapped = self.options.maps.iter().find(|(device, to)| self.options.port(device, to).name == port);
        mapped.map_or_else(|| port.to_owned(), |(device, _)| device.clone())
    }
}

/// OPNsense's newer sections of rules.
fn is_newer(tree: &Tree) -> bool {
    let firewall = tree.root.find(&["OPNsense", "Firewall"]);
    tree.product == Product::Opnsense && firewall.is_some_and(|firewall| !firewall.is_empty())
}

/// An almost empty file of the newest format.
fn skeleton() -> Tree {
    let leaf = |name: &str, text: &str| Element::leaf(name, text, Entities::Xml);
    let system = Element::new(
        "system",
        vec![
            leaf("optimization", "normal"),
            leaf("hostname", "koi"),
            Element::new("webgui", vec![leaf("protocol", "https")]),
            leaf("disablenatreflection", "yes"),
            Element::flag("ipv6allow"),
        ],
    );
    let sections = ["interfaces", "staticroutes", "gateways", "virtualip", "aliases", "nat", "filter"];
    let mut children = vec![leaf("version", VERSION), system];
    children.extend(sections.map(Element::flag));
    Tree::new(Product::Pfsense, VERSION, Element::new("pfsense", children))
}

/// pfSense stops at a name that stands twice where it knows one.
fn without_repetition(element: &mut Element) {
    let mut seen: HashMap<String, ()> = HashMap::new();
    element.children.retain(|child| {
        let name = child.name.to_ascii_lowercase();
        repeats(&name) || seen.insert(name, ()).is_none()
    });
    element.children.iter_mut().for_each(without_repetition);
}
