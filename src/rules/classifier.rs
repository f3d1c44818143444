//! Which lines match a packet, without asking each line.
//!
//! Each field of the packet is looked up once: addresses and ports in a [`Book`], protocol and place in a table. What
//! comes out is a set of lines for each field; the lines in all of them match, but for what few rules look at (types,
//! flags, tags), which the line itself then answers. So the cost hardly grows with the number of rules, and not at all
//! with the size of aliases.

use std::collections::HashMap;
use std::sync::Arc;

use super::addressed::Addressed;
use super::bits::{Rows, intersect};
use super::book::{self, Book};
use super::criteria::{Criteria, Tag};
use super::line::{Facts, Rest, protocols};
use super::query::Query;
use super::set::{FamilySpans, PortSet};
use super::table::Tables;
use crate::types::Direction;
use crate::wire::FlowKey;

/// The lines of one family.
#[derive(Debug)]
struct Lines<A> {
    fixed: Arc<Fixed>,
    addressed: Arc<Addressed<A>>,
}

/// What no table changes.
#[derive(Debug)]
struct Fixed {
    rest: Box<[Rest]>,
    ports: Book<u16>,
    source_port: Rows,
    destination_port: Rows,
    protocol: Rows,
    crossing: Rows,
}

/// Criteria by their numbers, compiled for both families.
#[derive(Debug)]
pub struct Classifier {
    inet: Lines<u32>,
    inet6: Lines<u128>,
}

impl Classifier {
    /// Compiles; a line's number is its index.
    pub fn new<'a>(criteria: impl IntoIterator<Item = &'a Criteria>) -> Classifier {
        let criteria: Vec<&Criteria> = criteria.into_iter().collect();
        Classifier { inet: Lines::new(&criteria), inet6: Lines::new(&criteria) }
    }

    /// The same lines with these tables instead of those of the same names. Only what looks at addresses is made again,
    /// and that only for a family whose addresses are others.
    pub fn with_tables(&self, tables: &Tables) -> Classifier {
        Classifier { inet: self.inet.with_tables(tables), inet6: self.inet6.with_tables(tables) }
    }

    /// What is not about addresses is one and the same in both.
    #[cfg(test)]
    pub(super) fn shares_with(&self, other: &Classifier) -> bool {
        Arc::ptr_eq(&self.inet.fixed, &other.inet.fixed) && Arc::ptr_eq(&self.inet6.fixed, &other.inet6.fixed)
    }

    /// Shows the lines that match, in order, until `show` returns false. It may change the tag for the lines after.
    #[inline]
    pub fn walk(&self, query: &Query, tag: &mut Tag, show: impl FnMut(usize, &mut Tag) -> bool) {
        match query.key {
            FlowKey::V4(key) => self.inet.walk(&Facts::new(query), key.src.into(), key.dst.into(), tag, show),
            FlowKey::V6(key) => {
                self.inet6.walk(&Facts::new(query), key.src.into(), key.dst.into(), tag, show)
            }
        }
    }

    /// The first line that matches.
    pub fn first(&self, query: &Query) -> Option<usize> {
        let mut found = None;
        self.walk(query, &mut query.tag.clone(), |line, _| {
            found = Some(line);
            false
        });
        found
    }
}

impl<A: FamilySpans> Lines<A> {
    fn new(criteria: &[&Criteria]) -> Lines<A> {
        let numbered = criteria.iter().enumerate().map(|(line, criteria)| (line as u32, *criteria));
        let here: Vec<_> = numbered.filter(|(_, criteria)| criteria.families.contains(&A::FAMILY)).collect();
        let rest = criteria.iter().map(|rule| Rest::new(rule, A::FAMILY)).collect();
        let addressed = Addressed::new(&here, criteria.len());
        Lines { fixed: Arc::new(Fixed::new::<A>(rest, &here)), addressed: Arc::new(addressed) }
    }

    fn with_tables(&self, tables: &Tables) -> Lines<A> {
        let changed = self.addressed.with_tables(tables).map(Arc::new);
        let addressed = changed.unwrap_or_else(|| Arc::clone(&self.addressed));
        Lines { fixed: Arc::clone(&self.fixed), addressed }
    }

    #[inline]
    fn walk(
        &self,
        facts: &Facts,
        src: A,
        dst: A,
        tag: &mut Tag,
        mut show: impl FnMut(usize, &mut Tag) -> bool,
    ) {
        let (Fixed { rest, ports, source_port, destination_port, protocol, crossing }, addressed) =
            (&*self.fixed, &*self.addressed);
        let says = [
            crossing.say(facts.crossing),
            protocol.say(facts.protocol.into()),
            destination_port.say(ports.class(facts.dst_port)),
            source_port.say(ports.class(facts.src_port)),
            addressed.destination(dst),
            addressed.source(src),
        ];
        intersect(&says, |line| {
            let line = line as usize;
            !rest[line].matches(facts, *tag) || show(line, tag)
        });
    }
}

impl Fixed {
    /// `here` are the lines of this family, out of all that `rest` is about.
    fn new<A: FamilySpans>(rest: Box<[Rest]>, here: &[(u32, &Criteria)]) -> Fixed {
        let count = rest.len();
        let mut draft = book::Draft::new();
        let mut known = HashMap::new();
        let mut port = |set: &PortSet| {
            let spans = set.spans();
            (!set.is_any())
                .then(|| *known.entry(spans).or_insert_with_key(|spans| draft.add(Clone::clone(spans))))
        };
        let sources: Vec<_> = here.iter().map(|(line, rule)| (*line, port(&rule.source_port))).collect();
        let destinations: Vec<_> =
            here.iter().map(|(line, rule)| (*line, port(&rule.destination_port))).collect();
        let sets = draft.len();
        let (ports, members) = draft.finish();
        Fixed {
            rest,
            source_port: Rows::new(sources, sets, &members, count),
            destination_port: Rows::new(destinations, sets, &members, count),
            protocol: protocol_rows::<A>(here.iter().copied(), count),
            crossing: crossing_rows(here.iter().copied(), count),
            ports,
        }
    }
}

/// By protocol number: the class is the number.
fn protocol_rows<'a, A: FamilySpans>(lines: impl Iterator<Item = (u32, &'a Criteria)>, count: usize) -> Rows {
    let mut sets: Vec<Vec<u8>> = Vec::new();
    let lines: Vec<_> = lines
        .map(|(line, rule)| {
            let set = protocols(rule.protocol, A::FAMILY).map(|wanted| {
                let known = sets.iter().position(|set| *set == wanted);
                known.unwrap_or_else(|| {
                    sets.push(wanted);
                    sets.len() - 1
                }) as u32
            });
            (line, set)
        })
        .collect();
    let of =
        |number: u8| (0..sets.len() as u32).filter(|set| sets[*set as usize].contains(&number)).collect();
    let members = (0..=u8::MAX).map(of).collect();
    Rows::new(lines, sets.len(), &members, count)
}

/// By interface and direction: see [`Facts::crossing`].
fn crossing_rows<'a>(lines: impl Iterator<Item = (u32, &'a Criteria)>, count: usize) -> Rows {
    type Place = (u128, &'static [Direction]);
    let mut sets: Vec<Place> = Vec::new();
    let mut known: HashMap<Place, u32> = HashMap::new();
    let lines: Vec<_> = lines
        .map(|(line, rule)| {
            let place = (rule.interfaces, rule.directions);
            let set = *known.entry(place).or_insert_with(|| {
                sets.push(place);
                sets.len() as u32 - 1
            });
            (line, Some(set))
        })
        .collect();
    let of = |crossing: u32| {
        let direction = if crossing.is_multiple_of(2) { Direction::In } else { Direction::Out };
        let covers = |(interfaces, directions): &Place| {
            interfaces >> (crossing / 2) & 1 == 1 && directions.contains(&direction)
        };
        (0..sets.len() as u32).filter(|set| covers(&sets[*set as usize])).collect()
    };
    let members = (0..256).map(of).collect();
    Rows::new(lines, sets.len(), &members, count)
}
