//! OPNsense's newer sections, told in the words of the older ones, which are pfSense's: one reader serves both. The
//! elements keep their places, so the report names the right lines.

use super::super::tree::{Element, Entities, Product, Tree};

/// The file with its newer rules, translations and aliases beside the older ones.
pub(super) fn in_older_words(tree: &Tree) -> Option<Tree> {
    if tree.product != Product::Opnsense {
        return None;
    }
    let firewall = tree.root.find(&["OPNsense", "Firewall"])?;
    let mut older = tree.clone();
    let aliases = entries(firewall, &["Alias", "aliases"], "alias");
    older.root.ensure("aliases").children.extend(aliases.into_iter().cloned());
    let mut rules = entries(firewall, &["Filter", "rules"], "rule");
    // They stand in the order of their making; their sequence counts.
    rules.sort_by_key(|rule| rule.text_of("sequence").and_then(|text| text.parse::<u64>().ok()).unwrap_or(0));
    older.root.ensure("filter").children.extend(rules.into_iter().map(rule));
    let nat = older.root.ensure("nat");
    nat.children.extend(entries(firewall, &["Filter", "onetoone"], "rule").into_iter().map(one_to_one));
    nat.children.extend(entries(firewall, &["Filter", "npt"], "rule").into_iter().map(npt));
    let mappings = entries(firewall, &["Filter", "snatrules"], "rule");
    nat.ensure("outbound").children.extend(mappings.into_iter().map(mapping));
    Some(older)
}

fn entries<'t>(firewall: &'t Element, path: &[&str], name: &'t str) -> Vec<&'t Element> {
    firewall.find(path).map_or(Vec::new(), |list| list.all(name).filter(|entry| !entry.is_empty()).collect())
}

/// A new element in the place of another.
struct Maker<'t> {
    from: &'t Element,
    made: Element,
}

impl<'t> Maker<'t> {
    fn new(name: &str, from: &'t Element) -> Maker<'t> {
        let mut maker = Maker { from, made: Element::flag(name) };
        maker.made.at = from.at;
        if from.text_of("enabled") == Some("0") {
            maker.made.children.push(Element::flag("disabled"));
        }
        maker.copy("description", "descr");
        maker.copy("interface", "interface");
        maker.copy("ipprotocol", "ipprotocol");
        maker.flag("log", "log");
        maker
    }

    /// Copies a text under another name.
    fn copy(&mut self, key: &str, to: &str) {
        let text = self.from.text_of(key).map(|text| Element::leaf(to, text, Entities::None));
        self.made.children.extend(text);
    }

    /// A value of 1 becomes presence.
    fn flag(&mut self, key: &str, to: &str) {
        if self.from.text_of(key) == Some("1") {
            self.made.children.push(Element::flag(to));
        }
    }

    /// `source_net`, `source_not`, `source_port` become a block.
    fn side(&mut self, side: &str) {
        let mut block = Element::flag(side);
        match self.from.text_of(&format!("{side}_net")) {
            None | Some("any") => block.children.push(Element::flag("any")),
            Some(net) => block.children.push(Element::leaf("network", net, Entities::None)),
        }
        if self.from.text_of(&format!("{side}_not")) == Some("1") {
            block.children.push(Element::flag("not"));
        }
        let port = self.from.text_of(&format!("{side}_port"));
        block.children.extend(port.map(|port| Element::leaf("port", port, Entities::None)));
        self.made.children.push(block);
    }
}

fn rule(from: &Element) -> Element {
    let mut maker = Maker::new("rule", from);
    maker.copy("action", "type");
    for key in
        ["direction", "protocol", "gateway", "statetype", "quick", "icmptype", "tag", "tagged", "sched"]
    {
        maker.copy(key, key);
    }
    maker.side("source");
    maker.side("destination");
    if from.text_of("interfacenot") == Some("1") {
        // Told by its name, so that the rule is not taken for its opposite.
        maker.made.children.push(Element::leaf("interfacenot", "1", Entities::None));
    }
    maker.made
}

fn one_to_one(from: &Element) -> Element {
    let mut maker = Maker::new("onetoone", from);
    maker.copy("external", "external");
    maker.copy("natreflection", "natreflection");
    maker.side("source");
    maker.side("destination");
    maker.made
}

fn npt(from: &Element) -> Element {
    let mut maker = Maker::new("npt", from);
    maker.side("source");
    maker.side("destination");
    maker.made
}

fn mapping(from: &Element) -> Element {
    let mut maker = Maker::new("rule", from);
    for (key, to) in [
        ("protocol", "protocol"),
        ("target", "target"),
        ("target_port", "natport"),
        ("source_port", "sourceport"),
        ("destination_port", "dstport"),
        ("poolopts", "poolopts"),
    ] {
        maker.copy(key, to);
    }
    maker.flag("nonat", "nonat");
    maker.flag("staticnatport", "staticnatport");
    maker.side("source");
    maker.side("destination");
    maker.made
}
