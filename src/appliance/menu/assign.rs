//! Which network card is which port: asked one after the other.

use super::edit;
use super::facts::Facts;
use crate::types::MacAddr;

/// Ports that a machine may have even when the document does not have them yet.
const USUAL: [&str; 3] = ["wan", "lan", "dmz"];

/// How far it is.
#[derive(Clone, Debug)]
pub(super) struct Assign {
    /// The ports that are asked for.
    ports: Vec<String>,
    /// What was answered so far; `None` leaves a port as it is.
    answers: Vec<Option<MacAddr>>,
}

/// What comes of an answer.
pub(super) enum Outcome {
    /// The next question.
    Ask(Assign, String),
    /// A cable is waited for.
    Watch(Assign, String),
    /// The new document.
    Done(String),
    /// Nothing changes, and why.
    Nothing(String),
}

impl Assign {
    pub(super) fn begin(facts: &Facts) -> Outcome {
        let mut ports = edit::ports(&facts.document, &facts.node);
        if edit::is_single(&facts.document) {
            let missing = USUAL
                .iter()
                .filter(|name| !ports.iter().any(|port| port == *name))
                .map(|name| (*name).into());
            let missing: Vec<String> = missing.collect();
            ports.extend(missing);
        }
        if facts.cards.is_empty() || ports.is_empty() {
            return Outcome::Nothing("There is no network card.".into());
        }
        let assign = Assign { ports, answers: Vec::new() };
        let text = format!("The network cards of this machine:\n{}{}", facts.card_list(), assign.question());
        Outcome::Ask(assign, text)
    }

    fn port(&self) -> &str {
        self.ports.get(self.answers.len()).map(String::as_str).unwrap_or_default()
    }

    fn question(&self) -> String {
        format!(
            "\nCard of {} (number, a = find it by its cable, empty = as it is): ",
            self.port().to_uppercase()
        )
    }

    pub(super) fn answer(self, line: &str, facts: &Facts) -> Outcome {
        match line {
            "" => self.next(None, facts),
            "a" => {
                let text = format!(
                    "Plug the cable of {} in now (30 s; if it is in, unplug it first) ...\n",
                    self.port().to_uppercase()
                );
                Outcome::Watch(self, text)
            }
            number => {
                let card =
                    number.parse::<usize>().ok().and_then(|number| facts.cards.get(number.checked_sub(1)?));
                match card {
                    Some(card) => self.next(Some(card.mac), facts),
                    None => self.again(format!("There is no card {number}.")),
                }
            }
        }
    }

    pub(super) fn plugged(self, card: Option<MacAddr>, facts: &Facts) -> Outcome {
        match card {
            Some(mac) => {
                let mut outcome = self.next(Some(mac), facts);
                if let Outcome::Ask(_, text) = &mut outcome {
                    text.insert_str(0, &format!("It is {mac}.\n"));
                }
                outcome
            }
            None => self.again("No cable was plugged in.".into()),
        }
    }

    fn again(self, why: String) -> Outcome {
        let text = why + &self.question();
        Outcome::Ask(self, text)
    }

    fn next(mut self, card: Option<MacAddr>, facts: &Facts) -> Outcome {
        if card.is_some() && self.answers.contains(&card) {
            return self.again("This card is taken already.".into());
        }
        self.answers.push(card);
        if self.answers.len() < self.ports.len() {
            let text = self.question();
            return Outcome::Ask(self, text);
        }
        let chosen: Vec<(String, MacAddr)> =
            self.ports.into_iter().zip(self.answers).filter_map(|(port, card)| Some((port, card?))).collect();
        if chosen.is_empty() {
            return Outcome::Nothing("Nothing has changed.".into());
        }
        match edit::assign(&facts.document, &facts.node, &chosen) {
            Ok(text) => Outcome::Done(text),
            Err(why) => Outcome::Nothing(format!("{why}. Nothing has changed.")),
        }
    }
}
