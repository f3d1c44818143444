//! Translation of a new flow: its destination on the way in, its source on the way out.

use std::net::IpAddr;

use super::Shard;
use super::compiled::Compiled;
use super::refusal::Refusal;
use crate::nat::{Forward, Inward, Mapping, Outside, Outward, Whole};
use crate::rules::Query;
use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::icmp_error::ErrorCause;
use crate::wire::{Drop, FlowKey, protocol};

/// A flow behind the translation of its destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    /// Where it goes.
    pub key: FlowKey,
    /// The port forward that did it.
    pub forward: Option<RuleId>,
    /// It came in by another interface than the translation's own: a host inside asked for an outside address.
    pub reflected: Option<Reflection>,
}

/// A flow from inside to an outside address that stands for somebody inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reflection {
    /// Where it came in.
    ingress: InterfaceId,
    /// The prefixes that stand for each other; both of its ends are translated by them (RFC 6296 section 4.3).
    mapping: Option<Mapping>,
}

impl Reflection {
    /// A flow that `deed` translates and that came in by `ingress` is one, when it did so elsewhere.
    pub(super) fn new(deed: &Inward, ingress: InterfaceId) -> Option<Reflection> {
        let mapping = match deed {
            Inward::Whole(Whole { mapping: mapping @ Mapping::Prefix { .. }, .. }) => Some(*mapping),
            Inward::Whole(Whole { mapping: Mapping::Offset { .. }, .. })
            | Inward::Forward(_)
            | Inward::Keep(_) => None,
        };
        deed.on().filter(|on| *on != ingress).map(|_| Reflection { ingress, mapping })
    }

    /// The address of its source when it leaves again where it came in: answers must come back through here. Of prefixes
    /// its counterpart, otherwise the router's own.
    pub(super) fn source(
        &self,
        compiled: &Compiled,
        key: &FlowKey,
        egress: InterfaceId,
    ) -> Option<(IpAddr, bool)> {
        if self.ingress != egress {
            return None;
        }
        let counterpart = self.mapping.and_then(|mapping| mapping.outward(key.src()));
        let own = || compiled.outside_address(egress, key.family());
        counterpart.map(|address| (address, true)).or_else(|| Some((own()?, false)))
    }
}

/// No address of the other prefix stands for this one; a host inside is told (RFC 6296 sections 3.4 and 3.5).
pub(super) fn unmapped(mapping: &Mapping, source: IpAddr) -> Refusal {
    let cause = match mapping.names_nobody(source) {
        // Where the source stands in the header.
        true => ErrorCause::ParameterProblem { pointer: 8 },
        false => ErrorCause::NoRoute,
    };
    Refusal::told(Drop::PrefixUnmapped, cause)
}

impl Shard {
    /// Translates the destination of a flow that comes in.
    ///
    /// # Errors
    /// When nobody inside stands for it.
    pub(super) fn translate_in(&mut self, query: &Query) -> Result<Inside, Drop> {
        let key = query.key;
        let same = Inside { key, forward: None, reflected: None };
        let Some((line, deed)) = self.compiled.translations.inward(query) else { return Ok(same) };
        let reflected = Reflection::new(deed, query.interface);
        let (address, port, forward) = match deed {
            Inward::Keep(_) => return Ok(same),
            Inward::Forward(forward) => {
                let Forward { id, targets, .. } = forward;
                let Some(address) = self.outbound.take_turn(line, targets, key.family()) else {
                    return Ok(same);
                };
                (address, forward.port(key.dst_port()), Some(*id))
            }
            Inward::Whole(Whole { mapping, .. }) => {
                let address = mapping.inward(key.dst()).ok_or(Drop::PrefixUnmapped)?;
                (address, key.dst_port(), None)
            }
        };
        let port = if has_ports(&key) { port } else { key.dst_port() };
        let inside = FlowKey::new(key.protocol(), key.src(), key.src_port(), address, port);
        Ok(inside.map_or(same, |key| Inside { key, forward, reflected }))
    }

    /// Translates the source of a flow that leaves; `query` has the key behind the translation of its destination.
    ///
    /// # Errors
    /// When no port is left, or no address stands for the source.
    pub(super) fn translate_out(
        &mut self,
        now: Instant,
        query: &Query,
        reflected: Option<Reflection>,
    ) -> Result<FlowKey, Refusal> {
        let key = query.key;
        let turned = reflected.and_then(|it| it.source(&self.compiled, &key, query.interface));
        match turned {
            Some((counterpart, true)) => return Ok(with_source(&key, counterpart)),
            Some((own, false)) => {
                return Ok(self.outbound.translate_out(now, &mut self.table, &key, &Outside::new(own))?);
            }
            None => {}
        }
        match self.compiled.translations.outward(query) {
            None | Some((_, Outward::Keep(_))) => Ok(key),
            Some((_, Outward::Whole(Whole { mapping, .. }))) => match mapping.outward(key.src()) {
                Some(source) => Ok(with_source(&key, source)),
                None => Err(unmapped(mapping, key.src())),
            },
            Some((line, Outward::Source(source))) => {
                Ok(self.outbound.translate_by(now, &mut self.table, &key, (line, source))?)
            }
        }
    }

    /// True when a flow that came in as `original` would still leave as `outside`.
    pub(super) fn still_translated(&self, query: &Query, outside: &FlowKey, egress: InterfaceId) -> bool {
        let original = query.key;
        let (asked, inside) = ((original.dst(), original.dst_port()), (outside.dst(), outside.dst_port()));
        let inward = self.compiled.translations.inward(query).map(|(_, deed)| deed);
        let reflected = inward.and_then(|deed| Reflection::new(deed, query.interface));
        if !inward.map_or(asked == inside, |deed| deed.leads(asked, inside)) {
            return false;
        }
        if egress == InterfaceId::SELF {
            return true;
        }
        if let Some((source, _)) = reflected.and_then(|it| it.source(&self.compiled, &original, egress)) {
            return source == outside.src();
        }
        let inner =
            FlowKey::new(original.protocol(), original.src(), original.src_port(), inside.0, inside.1);
        let Some(key) = inner else { return false };
        let leaving = Query { direction: Direction::Out, interface: egress, key, ..*query };
        match self.compiled.translations.outward(&leaving) {
            None => original.src() == outside.src(),
            Some((_, deed)) => deed.leads(original.src(), outside.src()),
        }
    }
}

fn has_ports(key: &FlowKey) -> bool {
    matches!(key.protocol(), protocol::TCP | protocol::UDP)
}

fn with_source(key: &FlowKey, source: IpAddr) -> FlowKey {
    FlowKey::new(key.protocol(), source, key.src_port(), key.dst(), key.dst_port()).unwrap_or(*key)
}
