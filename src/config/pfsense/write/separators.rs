//! Separators stand by the number of the rule that they are in front of, so they are placed anew when rules change.

use super::super::tree::Element;

/// The most separators of a tab that follow their rules.
const SEPARATOR_LIMIT: usize = 1000;

/// What each separator stood in front of: where it is, and the rules of its tab from that one on, by their places.
pub(super) struct Anchor {
    section: &'static str,
    tab: Option<String>,
    separator: String,
    row: usize,
    behind: Vec<u32>,
}

/// Looks where they stand.
pub(super) fn anchors(root: &Element) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for section in ["filter", "nat"] {
        let Some(tabs) = root.find(&[section, "separator"]) else { continue };
        for tab in &tabs.children {
            let (name, inside) = match tab.has("row") {
                true => (None, std::slice::from_ref(tab)),
                false => (Some(tab.name.to_ascii_lowercase()), tab.children.as_slice()),
            };
            for separator in inside.iter().take(SEPARATOR_LIMIT) {
                let Some(row) = row(separator) else { continue };
                let rules = rules(root, section, name.as_deref());
                let behind = rules.into_iter().skip(row).flatten().collect();
                let separator = separator.name.clone();
                anchors.push(Anchor { section, tab: name.clone(), separator, row, behind });
            }
        }
    }
    anchors
}

fn row(separator: &Element) -> Option<usize> {
    separator.text_of("row")?.strip_prefix("fr")?.parse().ok()
}

/// The places of the rules of a tab in their order; none for one that was not there before.
fn rules(root: &Element, section: &str, tab: Option<&str>) -> Vec<Option<u32>> {
    let Some(section) = root.child(section) else { return Vec::new() };
    let on_tab = |rule: &&Element| match tab {
        None => true,
        Some("floatingrules") => rule.has("floating"),
        Some(tab) => {
            !rule.has("floating")
                && rule.text_of("interface").is_some_and(|name| name.eq_ignore_ascii_case(tab))
        }
    };
    section.all("rule").filter(on_tab).map(|rule| rule.at).collect()
}

/// Puts them in front of the rule that they stood in front of, or the next one that is still there.
pub(super) fn place(root: &mut Element, anchors: &[Anchor]) {
    for anchor in anchors {
        let rules = rules(root, anchor.section, anchor.tab.as_deref());
        let found = anchor.behind.iter().find_map(|at| rules.iter().position(|rule| *rule == Some(*at)));
        let row = found.unwrap_or(rules.len());
        if row == anchor.row {
            continue;
        }
        let mut around = root.ensure(anchor.section).ensure("separator");
        if let Some(tab) = &anchor.tab {
            around = around.ensure(tab);
        }
        around.ensure(&anchor.separator).put(Element::leaf(
            "row",
            &format!("fr{row}"),
            super::Entities::None,
        ));
    }
}
