//! Which lines match a packet, without asking each line.
//!
//! Each field of the packet is looked up once: addresses and ports in a [`Book`], protocol and place in a table. What
//! comes out is a set of lines for each field; the lines in all of them match, but for what few rules look at (types,
//! flags, tags), which the line itself then answers. So the cost hardly grows with the number of rules, and not at all
//! with the size of aliases.

use std::collections::HashMap;

use super::bits::{Rows, intersect};
use super::book::{self, Book};
use super::criteria::{Criteria, Tag};
use super::line::{Facts, Rest, protocols};
use super::query::Query;
use super::set::FamilySpans;
use crate::types::Direction;
use crate::wire::FlowKey;

/// The lines of one family.
#[derive(Debug)]
struct Lines<A> {
    rest: Box<[Rest]>,
    addresses: Book<A>,
    ports: Book<u16>,
    source: Rows,
    destination: Rows,
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

/// Sets by what they contain, each once.
struct Terms<K, Q> {
    draft: book::Draft<K>,
    known: HashMap<Q, u32>,
}

impl<A: FamilySpans> Lines<A> {
    fn new(criteria: &[&Criteria]) -> Lines<A> {
        let count = criteria.len();
        let here = || {
            let numbered = criteria.iter().enumerate().map(|(line, criteria)| (line as u32, *criteria));
            numbered.filter(|(_, criteria)| criteria.families.contains(&A::FAMILY))
        };
        let mut addresses = Terms { draft: book::Draft::new(), known: HashMap::new() };
        let mut address = |set: &super::set::Set| {
            let Terms { draft, known } = &mut addresses;
            (!set.is_any()).then(|| *known.entry(set.key::<A>()).or_insert_with(|| draft.add(set.spans())))
        };
        let sources: Vec<_> = here().map(|(line, rule)| (line, address(&rule.source))).collect();
        let destinations: Vec<_> = here().map(|(line, rule)| (line, address(&rule.destination))).collect();
        let mut ports = Terms { draft: book::Draft::new(), known: HashMap::new() };
        let mut port = |set: &super::set::PortSet| {
            let Terms { draft, known } = &mut ports;
            let spans = set.spans();
            (!set.is_any()).then(|| *known.entry(spans).or_insert_with_key(|spans| draft.add(spans.clone())))
        };
        let source_ports: Vec<_> = here().map(|(line, rule)| (line, port(&rule.source_port))).collect();
        let destination_ports: Vec<_> =
            here().map(|(line, rule)| (line, port(&rule.destination_port))).collect();
        let (address_sets, port_sets) = (addresses.draft.len(), ports.draft.len());
        let (addresses, address_members) = addresses.draft.finish();
        let (ports, port_members) = ports.draft.finish();
        Lines {
            rest: criteria.iter().map(|rule| Rest::new(rule, A::FAMILY)).collect(),
            source: Rows::new(sources, address_sets, &address_members, count),
            destination: Rows::new(destinations, address_sets, &address_members, count),
            source_port: Rows::new(source_ports, port_sets, &port_members, count),
            destination_port: Rows::new(destination_ports, port_sets, &port_members, count),
            protocol: protocol_rows::<A>(here(), count),
            crossing: crossing_rows(here(), count),
            addresses,
            ports,
        }
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
        let says = [
            self.crossing.say(facts.crossing),
            self.protocol.say(facts.protocol.into()),
            self.destination_port.say(self.ports.class(facts.dst_port)),
            self.source_port.say(self.ports.class(facts.src_port)),
            self.destination.say(self.addresses.class(dst)),
            self.source.say(self.addresses.class(src)),
        ];
        intersect(&says, |line| {
            let line = line as usize;
            !self.rest[line].matches(facts, *tag) || show(line, tag)
        });
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
