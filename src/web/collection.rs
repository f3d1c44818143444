//! A list of the document and the form of its entries, as a table: what the list shows, what the form asks.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::form::{Field, Section, text_of, tree};
use super::references::Noun;
use super::visitor::Right;
use crate::config::defaults::FIRST_RULE_ID;
use crate::config::{Config, Problem};
use crate::node::Compiled;
use crate::types::WallTime;

/// A list of the document.
pub(super) struct Collection {
    /// Name of the page.
    pub title: &'static str,
    /// What one entry is called.
    pub one: &'static str,
    /// What the page is about, in a sentence or two.
    pub about: &'static str,
    /// Where the page is.
    pub slug: &'static str,
    /// Path of the list in the document.
    pub list: &'static str,
    /// The field by which an entry is found again; its place in the list when empty.
    pub key: &'static str,
    /// Who sees it, and who changes it.
    pub look: Right,
    pub change: Right,
    pub columns: &'static [Column],
    pub fields: &'static [Field],
    /// The fields of an entry that has others.
    pub others: fn(&Value) -> Option<&'static [Field]>,
    /// Pages beside it.
    pub beside: &'static [(&'static str, &'static str)],
    /// One more page about an entry: what it is called, and the path before the key.
    pub aside: Option<(&'static str, &'static str)>,
    /// Its entries stand on tabs.
    pub by: Option<Tabs>,
    /// The order means something.
    pub ordered: bool,
    /// More sections of the form: by the tree, the entry's place and whether it is new.
    pub more: fn(&Value, usize, bool) -> Vec<Section>,
    /// What else becomes of the tree when an entry has been made.
    pub made: fn(&mut Value, usize),
    /// What else becomes of the tree when this entry is gone.
    pub gone: fn(&mut Value, &Value),
    /// Others refer to its entries by name, and follow when the name is another one.
    pub noun: Option<Noun>,
    /// What else becomes of the tree when an entry has got another name: the old one and the new one.
    pub renamed: fn(&mut Value, &str, &str),
    /// How an entry stands in its form where that is otherwise than in the document, and back.
    pub shown: fn(&mut Value, usize),
    pub taken: fn(&mut Value, usize),
    /// How an entry is at this moment, by its key.
    pub present: Option<fn(&Config, WallTime, &str) -> String>,
    /// What else its line tells of an entry.
    pub told: fn(&mut Value),
    /// What is wrong with an entry that the document itself does not know.
    pub wrong: fn(&Value, usize) -> Vec<Problem>,
    /// Lines that nobody wrote, before and after the others of a tab.
    pub automatic: fn(&Compiled, &str) -> [Vec<Line>; 2],
}

/// How entries stand on tabs.
pub(super) struct Tabs {
    /// All tabs.
    pub all: fn(&Value) -> Vec<String>,
    /// The one that an entry of this tree stands on.
    pub of: fn(&Value, &Value) -> String,
    /// A new entry on a tab.
    pub begin: fn(&str) -> Value,
    /// Tabs that entries of others can be copied to.
    pub targets: fn(&Value) -> Vec<String>,
    /// The copy of an entry for another tab; with `follow` what it says of its own tab it says of the other one.
    pub copy: fn(&Value, &Value, &str, bool) -> Result<Value, String>,
}

/// A collection without what few have.
pub(super) const PLAIN: Collection = Collection {
    title: "",
    one: "",
    about: "",
    slug: "",
    list: "",
    key: "",
    look: Right::Look,
    change: Right::Operate,
    columns: &[],
    fields: &[],
    others: |_| None,
    beside: &[],
    aside: None,
    by: None,
    ordered: false,
    more: |_, _, _| Vec::new(),
    made: |_, _| {},
    gone: |_, _| {},
    noun: None,
    renamed: |_, _, _| {},
    shown: |_, _| {},
    taken: |_, _| {},
    present: None,
    told: |_| {},
    wrong: |_, _| Vec::new(),
    automatic: |_, _| [Vec::new(), Vec::new()],
};

/// A column of the list.
pub(super) struct Column {
    pub head: &'static str,
    /// Fields of the entry, each a line.
    pub paths: &'static [&'static str],
    pub show: Show,
    /// What stands there when the document says nothing.
    pub absent: &'static str,
}

/// How a column looks.
#[derive(Clone, Copy)]
pub(super) enum Show {
    /// As text.
    Text,
    /// As addresses and names.
    Code,
    /// These words where the field is true.
    Words(&'static str),
    /// As a coloured mark.
    Mark,
}

/// A column.
pub(super) const fn column(
    head: &'static str,
    paths: &'static [&'static str],
    show: Show,
    absent: &'static str,
) -> Column {
    Column { head, paths, show, absent }
}

/// A line of the list.
pub(super) struct Line {
    /// How the entry is found again; empty when it is nobody's.
    pub key: String,
    pub cells: Vec<Cell>,
    pub disabled: bool,
    /// Words on a bar above it.
    pub above: String,
    /// The setting that owns an automatic line, and where that is.
    pub owner: Option<(&'static str, String)>,
}

/// A cell of a line.
pub(super) struct Cell {
    pub head: &'static str,
    pub texts: Vec<String>,
    pub code: bool,
    pub mark: bool,
}

impl Cell {
    /// With words.
    pub fn text(head: &'static str, text: String) -> Cell {
        Cell { head, texts: vec![text], code: false, mark: false }
    }
}

impl Collection {
    /// The place of an entry.
    pub fn find(&self, tree: &Value, key: &str) -> Option<usize> {
        let list = tree::list(tree, self.list);
        list.iter().enumerate().position(|(index, entry)| self.key_of(index, entry) == key)
    }

    /// How an entry is found again.
    pub fn key_of(&self, index: usize, entry: &Value) -> String {
        if self.key.is_empty() { index.to_string() } else { text_of(entry.get(self.key)) }
    }

    /// Entries can be put out of force.
    pub fn toggles(&self) -> bool {
        self.fields.iter().any(|field| field.path == "disabled")
    }

    /// The sections of the form of an entry.
    pub fn sections(&self, tree: &Value, index: usize, is_new: bool) -> Vec<Section> {
        let title = if is_new { format!("New {}", self.one) } else { capital(self.one) };
        let entry = tree::list(tree, self.list).get(index);
        let fields = entry.and_then(self.others).unwrap_or(self.fields);
        let own = Section::new(title, format!("{}[{index}]", self.list), fields);
        std::iter::once(own).chain((self.more)(tree, index, is_new)).collect()
    }

    /// Puts a new entry into the tree, a copy of another one or empty, and says where it is. `top`: before the others of
    /// its tab.
    pub fn insert(&self, tree: &mut Value, copy: Option<&str>, tab: &str, top: bool) -> Option<usize> {
        let source = copy.and_then(|key| self.find(tree, key));
        let mut entry = match source {
            Some(index) => tree::list(tree, self.list).get(index)?.clone(),
            None => self.by.as_ref().map_or_else(|| Value::Object(Map::new()), |tabs| (tabs.begin)(tab)),
        };
        let next = next_id(tree);
        let table = entry.as_object_mut()?;
        match (self.key, source) {
            ("id", _) => drop(table.insert("id".into(), next.into())),
            (key, Some(_)) => drop(table.remove(key)),
            (_, None) => {}
        }
        let first = tree::list(tree, self.list).iter().position(|other| self.tab_of(tree, other) == tab);
        let list = tree::list_mut(tree, self.list)?;
        let index = match (source, top, first) {
            (Some(source), _, _) => source + 1,
            (None, true, Some(first)) => first,
            (None, _, _) => list.len(),
        };
        list.insert(index, entry);
        Some(index)
    }

    /// Takes an entry away, with what hangs on it.
    pub fn remove(&self, tree: &mut Value, index: usize) -> Option<()> {
        let list = tree::list_mut(tree, self.list)?;
        let entry = (index < list.len()).then(|| list.remove(index))?;
        (self.gone)(tree, &entry);
        Some(())
    }

    /// Puts an entry out of force, or back in.
    pub fn toggle(&self, tree: &mut Value, index: usize) -> Option<()> {
        let entry = tree::list_mut(tree, self.list)?.get_mut(index)?.as_object_mut()?;
        let disabled = entry.get("disabled").and_then(Value::as_bool).unwrap_or(false);
        entry.insert("disabled".into(), json!(!disabled));
        Some(())
    }

    /// Moves an entry before another one of its tab.
    pub fn place_before(&self, tree: &mut Value, index: usize, other: usize) -> Option<()> {
        let list = tree::list(tree, self.list);
        let tab = |index: usize| Some(self.tab_of(tree, list.get(index)?));
        if tab(index)? != tab(other)? {
            return None;
        }
        let list = tree::list_mut(tree, self.list)?;
        let entry = list.remove(index);
        list.insert(if index < other { other - 1 } else { other }, entry);
        Some(())
    }

    /// Moves an entry among those of its tab.
    pub fn shift(&self, tree: &mut Value, index: usize, to: Place) -> Option<()> {
        let list = tree::list(tree, self.list);
        let tab = self.tab_of(tree, list.get(index)?);
        let others = |(place, other): (usize, &Value)| (self.tab_of(tree, other) == tab).then_some(place);
        let places: Vec<usize> = list.iter().enumerate().filter_map(others).collect();
        let list = tree::list_mut(tree, self.list)?;
        let own = places.iter().position(|place| *place == index)?;
        let target = match to {
            Place::Up => own.checked_sub(1),
            Place::Down => Some(own + 1),
            Place::Top => Some(0),
            Place::Bottom => places.len().checked_sub(1),
        };
        let Some(target) = target.and_then(|target| places.get(target)).copied() else { return Some(()) };
        let entry = list.remove(index);
        list.insert(target, entry);
        Some(())
    }

    /// The tab that an entry stands on.
    pub fn tab_of(&self, tree: &Value, entry: &Value) -> String {
        self.by.as_ref().map_or_else(String::new, |tabs| (tabs.of)(tree, entry))
    }

    /// An entry as a line.
    pub fn line(&self, index: usize, entry: &Value) -> Line {
        let mut told = entry.clone();
        (self.told)(&mut told);
        let cells = self.columns.iter().map(|column| column.cell(&told)).collect();
        let disabled = entry.get("disabled").and_then(Value::as_bool).unwrap_or(false);
        Line {
            key: self.key_of(index, entry),
            cells,
            disabled,
            above: text_of(entry.get("separator")),
            owner: None,
        }
    }
}

/// Where an entry goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Up,
    Down,
    Top,
    Bottom,
}

impl Place {
    /// By its word in a form.
    ///
    /// # Errors
    /// When there is no such word.
    pub fn parse(word: &str) -> Result<Place, StatusCode> {
        match word {
            "up" => Ok(Place::Up),
            "down" => Ok(Place::Down),
            "top" => Ok(Place::Top),
            "bottom" => Ok(Place::Bottom),
            _ => Err(StatusCode::BAD_REQUEST),
        }
    }
}

impl Column {
    fn cell(&self, entry: &Value) -> Cell {
        let text = |path: &&str| text_of(tree::get(entry, path));
        let mut texts: Vec<String> = match self.show {
            Show::Words(words) => {
                let is_true = |path: &&&str| tree::get(entry, path) == Some(&Value::Bool(true));
                self.paths.iter().filter(is_true).map(|_| words.to_owned()).collect()
            }
            Show::Text | Show::Code | Show::Mark => {
                let texts = self.paths.iter().map(text).filter(|text| !text.is_empty());
                texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
            }
        };
        if texts.is_empty() && !self.absent.is_empty() {
            texts.push(self.absent.to_owned());
        }
        let (code, mark) = (matches!(self.show, Show::Code), matches!(self.show, Show::Mark));
        Cell { head: self.head, texts, code, mark }
    }
}

/// An id that nothing has: rules and translations share their numbers.
pub(super) fn next_id(tree: &Value) -> u64 {
    let lists = ["rule", "port_forward", "one_to_one", "npt", "outbound.rule"];
    let entries = lists.iter().flat_map(|list| tree::list(tree, list));
    let taken = entries.filter_map(|entry| entry.get("id")?.as_u64());
    taken.max().map_or(u64::from(FIRST_RULE_ID), |last| last.max(u64::from(FIRST_RULE_ID)) + 1)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
