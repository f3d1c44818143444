//! From the document to compiled translations.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::mapping::Mapping;
use super::translations::{Forward, Inward, Kind, Outward, Source, Translations, Whole};
use crate::config::model::{
    AddressRange, Config, Npt, OneToOne, OutboundMode, OutboundRule, Pool, PortForward, Ports, Reflection,
    Target, Zone,
};
use crate::config::{Conditions, NodeIndex, Valid};
use crate::rules::{BOTH, Classifier, Criteria, INWARD, OUTWARD, Places, Set, bit, families, only};
use crate::types::{Family, InterfaceId, PortRange, Prefix};

/// What translations need to know of a node besides the document.
pub struct Surroundings<'a> {
    /// The networks that automatic outbound NAT hides.
    pub inside: &'a [Prefix],
    /// Sources that are never translated: what the nodes of a pair send by themselves.
    pub untranslated: &'a [IpAddr],
    /// By interface the IPv4 and the IPv6 address that flows leave with.
    pub outside: &'a [[Option<IpAddr>; 2]],
    /// What names stand for.
    pub conditions: &'a Conditions,
}

/// Compiles the translations that are in force on a node.
pub fn compile(config: &Valid<Config>, node: NodeIndex, around: &Surroundings<'_>) -> Translations {
    let compiler = Compiler { config, places: Places::new(config, node, around.conditions), around };
    let mut inward = Lines::default();
    inward.extend(Kind::Forward, compiler.forwards());
    inward.extend(Kind::Whole, compiler.wholes_inward());
    let mut outward = Lines::default();
    outward.extend(Kind::Source, compiler.own());
    outward.extend(Kind::Whole, compiler.wholes_outward());
    outward.extend(Kind::Source, compiler.mappings());
    outward.extend(Kind::Source, compiler.automatic());
    Translations {
        tables: compiler.places.tables(),
        inward: Classifier::new(&inward.criteria),
        inward_deeds: inward.deeds.into(),
        outward: Classifier::new(&outward.criteria),
        outward_deeds: outward.deeds.into(),
    }
}

/// What is looked at, and what is done; the same number of each.
struct Lines<T> {
    criteria: Vec<Criteria>,
    deeds: Vec<(Kind, T)>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Lines { criteria: Vec::new(), deeds: Vec::new() }
    }
}

impl<T> Lines<T> {
    fn extend(&mut self, kind: Kind, lines: impl IntoIterator<Item = (Criteria, T)>) {
        for (criteria, deed) in lines {
            self.criteria.push(criteria);
            self.deeds.push((kind, deed));
        }
    }
}

struct Compiler<'a> {
    config: &'a Valid<Config>,
    places: Places<'a>,
    around: &'a Surroundings<'a>,
}

impl Compiler<'_> {
    fn on(&self, interface: &str) -> Option<InterfaceId> {
        self.config.interface_id(interface)
    }

    /// Where an entry of `on` looks: there, and with reflection on every interface inside.
    fn interfaces(&self, on: InterfaceId, reflects: bool) -> u128 {
        let inside = |id: &InterfaceId| self.config.interfaces[usize::from(id.0)].zone != Zone::Wan;
        let inside = self.config.interface_ids().filter(inside).filter(|_| reflects);
        inside.fold(bit(on), |bits, id| bits | bit(id))
    }

    fn forwards(&self) -> impl Iterator<Item = (Criteria, Inward)> {
        let in_force = self.config.port_forwards.iter().filter(|forward| !forward.disabled);
        in_force.filter_map(|forward| self.forward(forward))
    }

    fn forward(&self, forward: &PortForward) -> Option<(Criteria, Inward)> {
        let on = self.on(&forward.interface)?;
        let reflects = match forward.reflection.unwrap_or(self.config.system.nat_reflection) {
            Reflection::Purenat => true,
            Reflection::Disable => false,
        };
        let (source, destination) = (self.places.set(&forward.source), self.places.set(&forward.destination));
        let families = families(forward.family, [&source, &destination]);
        let criteria = Criteria {
            protocol: forward.protocol,
            source,
            source_port: self.places.ports(forward.source_port.as_ref()),
            destination,
            destination_port: self.places.ports(forward.destination_port.as_ref()),
            ..Criteria::new(self.interfaces(on, reflects), INWARD, families)
        };
        let Some(target) = forward.target.as_ref().filter(|_| !forward.no_redirect) else {
            return Some((criteria, Inward::Keep(forward.id)));
        };
        let targets = Addresses::new(self.places.target_ranges(target));
        let families = families_of(&targets, criteria.families)?;
        let ports = match (&forward.destination_port, forward.local_port) {
            (Some(Ports::Range(range)), Some(local)) => Some((range.first(), local)),
            (Some(Ports::Range(_) | Ports::Alias(_)) | None, _) => None,
        };
        Some((
            Criteria { families, ..criteria },
            Inward::Forward(Forward { id: forward.id, on, targets, ports }),
        ))
    }

    fn wholes(&self) -> Vec<(&OneToOne, InterfaceId, Mapping, &'static [Family])> {
        let in_force = self.config.one_to_ones.iter().filter(|entry| !entry.disabled);
        in_force
            .filter_map(|entry| {
                let internal = AddressRange::from(entry.internal);
                let first = AddressRange::from(Prefix::from(entry.external));
                let external = AddressRange::new(entry.external, first.nth(internal.span()))?;
                let family = if entry.external.is_ipv4() { Family::Inet } else { Family::Inet6 };
                Some((
                    entry,
                    self.on(&entry.interface)?,
                    Mapping::Offset { external, internal },
                    only(family),
                ))
            })
            .collect()
    }

    fn npts(&self) -> Vec<(&Npt, InterfaceId, Mapping)> {
        let in_force = self.config.npts.iter().filter(|npt| !npt.disabled);
        in_force
            .filter_map(|npt| match (npt.source, npt.destination) {
                (Prefix::V6(internal), Prefix::V6(external)) => {
                    Some((npt, self.on(&npt.interface)?, Mapping::Prefix { external, internal }))
                }
                (Prefix::V4(_) | Prefix::V6(_), Prefix::V4(_) | Prefix::V6(_)) => None,
            })
            .collect()
    }

    fn wholes_inward(&self) -> Vec<(Criteria, Inward)> {
        let one_to_one = self.wholes().into_iter().map(|(entry, on, mapping, families)| {
            let reflects = entry.reflection.unwrap_or(self.config.system.one_to_one_reflection);
            let criteria = Criteria {
                source: self.places.set(&entry.destination),
                destination: self.places.target(&outside_of(&mapping)),
                ..Criteria::new(self.interfaces(on, reflects), INWARD, families)
            };
            let whole = Inward::Whole(Whole { id: entry.id, on, mapping });
            (criteria, if entry.no_binat { Inward::Keep(entry.id) } else { whole })
        });
        let npt = self.npts().into_iter().map(|(npt, on, mapping)| {
            let destination = self.places.target(&Target::Prefix(npt.destination));
            // RFC 6296 section 4.3: also for hosts inside.
            let interfaces = self.interfaces(on, true);
            let criteria = Criteria { destination, ..Criteria::new(interfaces, INWARD, only(Family::Inet6)) };
            (criteria, Inward::Whole(Whole { id: npt.id, on, mapping }))
        });
        one_to_one.chain(npt).collect()
    }

    fn wholes_outward(&self) -> Vec<(Criteria, Outward)> {
        let one_to_one = self.wholes().into_iter().map(|(entry, on, mapping, families)| {
            let criteria = Criteria {
                source: self.places.target(&Target::Prefix(entry.internal)),
                destination: self.places.set(&entry.destination),
                ..Criteria::new(bit(on), OUTWARD, families)
            };
            let whole = Outward::Whole(Whole { id: entry.id, on, mapping });
            (criteria, if entry.no_binat { Outward::Keep(Some(entry.id)) } else { whole })
        });
        let npt = self.npts().into_iter().map(|(npt, on, mapping)| {
            let source = self.places.target(&Target::Prefix(npt.source));
            let criteria = Criteria { source, ..Criteria::new(bit(on), OUTWARD, only(Family::Inet6)) };
            (criteria, Outward::Whole(Whole { id: npt.id, on, mapping }))
        });
        one_to_one.chain(npt).collect()
    }

    /// What the nodes of a pair send by themselves leaves as it is.
    fn own(&self) -> Option<(Criteria, Outward)> {
        let own = self.around.untranslated;
        (!own.is_empty()).then(|| {
            let source = Set::of(own.iter().copied().map(Prefix::from));
            (Criteria { source, ..Criteria::new(self.places.all(), OUTWARD, BOTH) }, Outward::Keep(None))
        })
    }

    fn mappings(&self) -> Vec<(Criteria, Outward)> {
        match self.config.outbound.mode {
            OutboundMode::Automatic | OutboundMode::Disabled => Vec::new(),
            OutboundMode::Hybrid | OutboundMode::Manual => {
                let in_force = self.config.outbound.rules.iter().filter(|rule| !rule.disabled);
                in_force.filter_map(|rule| self.mapping(rule)).collect()
            }
        }
    }

    fn mapping(&self, rule: &OutboundRule) -> Option<(Criteria, Outward)> {
        let on = self.on(&rule.interface)?;
        let (source, destination) = (self.places.set(&rule.source), self.places.set(&rule.destination));
        let families = families(rule.family, [&source, &destination]);
        let criteria = Criteria {
            protocol: rule.protocol,
            source,
            source_port: self.places.ports(rule.source_port.as_ref()),
            destination,
            destination_port: self.places.ports(rule.destination_port.as_ref()),
            ..Criteria::new(bit(on), OUTWARD, families)
        };
        if rule.no_nat {
            return Some((criteria, Outward::Keep(Some(rule.id))));
        }
        let addresses = match &rule.target {
            Some(target) => Addresses::new(self.places.target_ranges(target)),
            None => self.outside(on, BOTH),
        };
        let source = Source {
            id: Some(rule.id),
            pool: rule.pool,
            sticky: rule.sticky,
            ports: (!rule.static_port).then(|| rule.port.unwrap_or(Source::PORTS)),
            addresses,
        };
        let families = families_of(&source.addresses, criteria.families)?;
        Some((Criteria { families, ..criteria }, Outward::Source(source)))
    }

    /// The addresses that flows leave an interface with.
    fn outside(&self, on: InterfaceId, families: &[Family]) -> Addresses {
        let [inet, inet6] = self.around.outside.get(usize::from(on.0)).copied().unwrap_or_default();
        let wanted = families.iter().filter_map(|family| match family {
            Family::Inet => inet,
            Family::Inet6 => inet6,
        });
        Addresses::new(wanted.map(Prefix::from).map(AddressRange::from))
    }

    /// pfSense's automatic mappings: IPv4 from inside leaves a WAN with the WAN's address; what has it already, keeps it.
    fn automatic(&self) -> Vec<(Criteria, Outward)> {
        match self.config.outbound.mode {
            OutboundMode::Automatic | OutboundMode::Hybrid => {}
            OutboundMode::Manual | OutboundMode::Disabled => return Vec::new(),
        }
        let wans = self
            .config
            .interface_ids()
            .filter(|id| self.config.interfaces[usize::from(id.0)].zone == Zone::Wan);
        wans.filter_map(|on| {
            let [external, _] = self.around.outside.get(usize::from(on.0)).copied().unwrap_or_default();
            let about =
                |source: Set| Criteria { source, ..Criteria::new(bit(on), OUTWARD, only(Family::Inet)) };
            let keep = (about(Set::of([Prefix::from(external?)])), Outward::Keep(None));
            let source = Source {
                id: None,
                addresses: self.outside(on, only(Family::Inet)),
                pool: Pool::RoundRobin,
                sticky: false,
                ports: Some(Source::PORTS),
            };
            let hide = (about(Set::of(self.around.inside.iter().copied())), Outward::Source(source));
            Some([keep, hide])
        })
        .flatten()
        .collect()
    }
}

impl Source {
    /// pf's range of ports, all but the well-known ones.
    pub const PORTS: PortRange = match PortRange::new(1024, u16::MAX) {
        Some(ports) => ports,
        None => PortRange::ANY,
    };
}

/// The families that there are addresses of, among those that are looked at; `None` when there are none.
fn families_of(addresses: &Addresses, wanted: &'static [Family]) -> Option<&'static [Family]> {
    let has = |family: Family| wanted.contains(&family) && addresses.count(family) > 0;
    match (has(Family::Inet), has(Family::Inet6)) {
        (true, true) => Some(BOTH),
        (true, false) => Some(only(Family::Inet)),
        (false, true) => Some(only(Family::Inet6)),
        (false, false) => None,
    }
}

fn outside_of(mapping: &Mapping) -> Target {
    match mapping {
        Mapping::Offset { external, .. } => Target::Range(*external),
        Mapping::Prefix { external, .. } => Target::Prefix(Prefix::V6(*external)),
    }
}
