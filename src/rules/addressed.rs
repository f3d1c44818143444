//! The part of a classifier that looks at addresses. It alone is made again when tables hold something else.

use std::collections::HashMap;
use std::sync::Arc;

use super::bits::{Rows, Say};
use super::book::{self, Book};
use super::criteria::Criteria;
use super::set::{FamilySpans, Key, Members, Set};
use super::table::Tables;

/// For each line its set by number, or `None` when any address will do.
type Looks = Box<[(u32, Option<u32>)]>;

/// What the lines of a family say of addresses.
#[derive(Debug)]
pub(super) struct Addressed<A> {
    asked: Arc<Asked>,
    /// With the tables as they are; the numbers are those that [`Asked`] has.
    sets: Box<[Set]>,
    book: Book<A>,
    source: Rows,
    destination: Rows,
}

/// Which set each line looks at.
#[derive(Debug)]
struct Asked {
    source: Looks,
    destination: Looks,
    /// Lines, those of other families included.
    count: usize,
}

impl<A: FamilySpans> Addressed<A> {
    /// `lines` are those of this family, out of `count`.
    pub(super) fn new(lines: &[(u32, &Criteria)], count: usize) -> Self {
        let mut sets = Vec::new();
        let mut known: HashMap<Key<A>, u32> = HashMap::new();
        let mut number = |set: &Set| {
            (!set.is_any()).then(|| {
                *known.entry(set.key()).or_insert_with(|| {
                    sets.push(set.clone());
                    sets.len() as u32 - 1
                })
            })
        };
        let source = lines.iter().map(|(line, rule)| (*line, number(&rule.source))).collect();
        let destination = lines.iter().map(|(line, rule)| (*line, number(&rule.destination))).collect();
        Addressed::of(Arc::new(Asked { source, destination, count }), sets.into())
    }

    fn of(asked: Arc<Asked>, sets: Box<[Set]>) -> Self {
        let mut draft = book::Draft::new();
        for set in &sets {
            draft.add(set.spans());
        }
        let (book, members) = draft.finish();
        let rows = |looks: &Looks| Rows::new(looks.iter().copied(), sets.len(), &members, asked.count);
        Addressed { source: rows(&asked.source), destination: rows(&asked.destination), book, sets, asked }
    }

    /// The same lines with these tables; `None` when they are those that it has.
    pub(super) fn with_tables(&self, tables: &Tables) -> Option<Self> {
        let mut changed = false;
        let sets = self.sets.iter().map(|set| {
            let Members::Alias(present) = &set.members else { return set.clone() };
            match tables.get(&present.name) {
                Some(table) if !Arc::ptr_eq(table, present) => {
                    changed |= A::part(table) != A::part(present);
                    Set { not: set.not, members: Members::Alias(Arc::clone(table)) }
                }
                Some(_) | None => set.clone(),
            }
        });
        let sets = sets.collect();
        changed.then(|| Addressed::of(Arc::clone(&self.asked), sets))
    }

    /// What a source says.
    #[inline]
    pub(super) fn source(&self, address: A) -> Say<'_> {
        self.source.say(self.book.class(address))
    }

    /// What a destination says.
    #[inline]
    pub(super) fn destination(&self, address: A) -> Say<'_> {
        self.destination.say(self.book.class(address))
    }
}
