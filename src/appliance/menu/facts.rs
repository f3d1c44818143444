//! What the menu knows at a moment.

use std::fmt::Write;

use crate::types::MacAddr;

/// A network card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    /// What the kernel calls it.
    pub name: String,
    /// Its address.
    pub mac: MacAddr,
    /// Its cable is in.
    pub carries: bool,
}

/// A logical interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `wan`, `lan` or `dmz`.
    pub zone: String,
    /// What carries it.
    pub device: String,
    /// Its addresses and virtual addresses, as people write them.
    pub addresses: Vec<String>,
}

/// An earlier configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// When, who, and why.
    pub words: String,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Version and build.
    pub release: String,
    /// Name of the machine.
    pub hostname: String,
    /// Name of this node.
    pub node: String,
    /// The router's role in words when it answers.
    pub router: Option<String>,
    /// What somebody should know.
    pub warnings: Vec<String>,
    /// The machine's cards.
    pub cards: Vec<Card>,
    /// The logical interfaces, as the document has them.
    pub interfaces: Vec<Interface>,
    /// Where the pages are.
    pub pages: Option<String>,
    /// The document.
    pub document: String,
    /// The history, newest last.
    pub revisions: Vec<Revision>,
}

impl Facts {
    /// What stands above the options.
    pub(super) fn heading(&self) -> String {
        let mut out = format!("\n*** Koi {} on {} ***\n\n", self.release, self.hostname);
        for interface in &self.interfaces {
            let addresses = match interface.addresses.is_empty() {
                true => "no address".to_owned(),
                false => interface.addresses.join(", "),
            };
            let name = format!("{} ({})", interface.name.to_uppercase(), interface.zone);
            let _ = writeln!(
                out,
                " {name:<14} -> {:<18} {:<5} {addresses}",
                interface.device,
                self.light(interface)
            );
        }
        out.push('\n');
        match &self.router {
            Some(role) => drop(writeln!(out, " Router: runs{role}")),
            None => drop(writeln!(out, " Router: does not answer")),
        }
        if let Some(pages) = &self.pages {
            let _ = writeln!(out, " Pages:  {pages}");
        }
        for warning in &self.warnings {
            let _ = writeln!(out, " WARNING: {warning}");
        }
        out
    }

    /// Of the card that carries an interface.
    fn light(&self, interface: &Interface) -> &'static str {
        let card = self.cards.iter().find(|card| card.mac.to_string() == interface.device);
        card.map_or("", |card| if card.carries { "up" } else { "down" })
    }

    pub(super) fn interface_list(&self, question: &str) -> String {
        let mut out = String::new();
        for (number, interface) in self.interfaces.iter().enumerate() {
            let _ = writeln!(out, " {}) {} {}", number + 1, interface.name, interface.addresses.join(", "));
        }
        out + question
    }

    pub(super) fn card_list(&self) -> String {
        let mut out = String::new();
        for (number, card) in self.cards.iter().enumerate() {
            let light = if card.carries { "link up" } else { "no link" };
            let _ = writeln!(out, " {}) {} {:<6} {light}", number + 1, card.mac, card.name);
        }
        out
    }

    pub(super) fn revision_list(&self) -> String {
        let mut out = String::new();
        for revision in self.revisions.iter().rev().take(20) {
            let _ = writeln!(out, " {:>5}  {}", revision.number, revision.words);
        }
        out + "Restore which revision? "
    }
}
