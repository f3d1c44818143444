//! Sets of addresses and ports as rules have them: both families, with words for people.

use std::fmt;
use std::sync::Arc;

use super::spans::{Address, Spans};
use super::table::Table;
use crate::config::model::AddressRange;
use crate::types::{Family, PortRange, Prefix};

/// A set of addresses.
#[derive(Clone, Debug)]
pub struct Set {
    /// Everything but.
    pub not: bool,
    /// The addresses.
    pub members: Members,
}

/// The addresses of a set.
#[derive(Clone, Debug)]
pub enum Members {
    /// Every address.
    Everything,
    /// These networks.
    Networks(Vec<Prefix>),
    /// From one address to another.
    Range(AddressRange),
    /// Those of an alias.
    Alias(Arc<Table>),
}

/// What tells one set from another; sets with the same key have the same addresses.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Key<K> {
    Alias(String, bool),
    Spans(Spans<K>),
}

/// A family's part of a table.
pub trait FamilySpans: Address {
    /// That part.
    fn part(table: &Table) -> &Spans<Self>;
}

impl FamilySpans for u32 {
    fn part(table: &Table) -> &Spans<u32> {
        &table.inet
    }
}

impl FamilySpans for u128 {
    fn part(table: &Table) -> &Spans<u128> {
        &table.inet6
    }
}

impl Set {
    /// Every address.
    pub fn any() -> Set {
        Set { not: false, members: Members::Everything }
    }

    /// These networks.
    pub fn of(networks: impl IntoIterator<Item = Prefix>) -> Set {
        Set { not: false, members: Members::Networks(networks.into_iter().collect()) }
    }

    /// From the texts of a list in this module.
    pub(super) fn listed(texts: &[&str]) -> Set {
        Set::of(texts.iter().filter_map(|text| text.parse().ok()))
    }

    /// True when every address is in it.
    pub fn is_any(&self) -> bool {
        !self.not && matches!(self.members, Members::Everything)
    }

    /// The one family that all of its literal addresses have.
    pub fn family(&self) -> Option<Family> {
        let of = |is_ipv4: bool| if is_ipv4 { Family::Inet } else { Family::Inet6 };
        match &self.members {
            Members::Range(range) => Some(of(range.first().is_ipv4())),
            Members::Networks(networks) => match networks.as_slice() {
                [one] => Some(of(one.addr().is_ipv4())),
                _ => None,
            },
            Members::Everything | Members::Alias(_) => None,
        }
    }

    pub(super) fn key<A: FamilySpans>(&self) -> Key<A> {
        match &self.members {
            Members::Alias(table) => Key::Alias(table.name.clone(), self.not),
            Members::Everything | Members::Networks(_) | Members::Range(_) => Key::Spans(self.spans()),
        }
    }

    /// Its addresses of a family.
    pub fn spans<A: FamilySpans>(&self) -> Spans<A> {
        let these = match &self.members {
            Members::Everything => Spans::of([(A::MIN, A::MAX)]),
            Members::Networks(networks) => {
                Spans::of_addresses(networks.iter().copied().map(AddressRange::from))
            }
            Members::Range(range) => Spans::of_addresses([*range]),
            Members::Alias(table) if self.not => return A::part(table).complement(),
            Members::Alias(table) => return A::part(table).clone(),
        };
        if self.not { these.complement() } else { these }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not {
            f.write_str("! ")?;
        }
        match &self.members {
            Members::Everything => f.write_str("any"),
            Members::Networks(networks) => match networks.as_slice() {
                [] => f.write_str("nobody"),
                [one] => write!(f, "{one}"),
                several => {
                    let texts: Vec<String> = several.iter().map(Prefix::to_string).collect();
                    write!(f, "{{ {} }}", texts.join(" "))
                }
            },
            Members::Range(range) => write!(f, "{range}"),
            Members::Alias(table) => write!(f, "<{}>", table.name),
        }
    }
}

/// A set of ports.
#[derive(Clone, Debug)]
pub enum PortSet {
    /// From one port to another.
    Range(PortRange),
    /// Those of an alias.
    Alias(Arc<PortTable>),
}

/// The ports of an alias.
#[derive(Debug)]
pub struct PortTable {
    /// The alias.
    pub name: String,
    /// Its ports.
    pub ports: Spans<u16>,
}

impl PortSet {
    /// Every port.
    pub const ANY: PortSet = PortSet::Range(PortRange::ANY);

    /// One port.
    pub fn one(port: u16) -> PortSet {
        PortSet::Range(PortRange::new(port, port).unwrap_or(PortRange::ANY))
    }

    /// True when every port is in it.
    pub fn is_any(&self) -> bool {
        match self {
            PortSet::Range(range) => *range == PortRange::ANY,
            PortSet::Alias(_) => false,
        }
    }

    /// Its ports.
    pub fn spans(&self) -> Spans<u16> {
        match self {
            PortSet::Range(range) => Spans::of([(range.first(), range.last())]),
            PortSet::Alias(table) => table.ports.clone(),
        }
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortSet::Range(range) if *range == PortRange::ANY => Ok(()),
            PortSet::Range(range) => write!(f, " port {range}"),
            PortSet::Alias(table) => write!(f, " port <{}>", table.name),
        }
    }
}
