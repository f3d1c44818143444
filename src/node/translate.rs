//! Translation of a new flow: its destination on the way in, its source on the way out.

use std::net::IpAddr;

use super::Shard;
use super::refusal::Refusal;
use crate::nat::{Forward, Inward, Outside, Outward, Source, Whole};
use crate::rules::Query;
use crate::types::{Direction, Instant, InterfaceId, RuleId};
use crate::wire::{Drop, FlowKey, protocol};

/// A flow behind the translation of its destination.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    /// Where it goes.
    pub key: FlowKey,
    /// The port forward that did it.
    pub forward: Option<RuleId>,
    /// It came in by another interface than the translation's own: a host inside asked for an outside address.
    pub reflected: bool,
}

impl Shard {
    /// Translates the destination of a flow that comes in.
    pub(super) fn translate_in(&mut self, query: &Query) -> Inside {
        let key = query.key;
        let same = Inside { key, forward: None, reflected: false };
        let Some((line, deed)) = self.compiled.translations.inward(query) else { return same };
        let reflected = deed.on().is_some_and(|on| on != query.interface);
        let (address, port, forward) = match deed {
            Inward::Keep(_) => return same,
            Inward::Forward(forward) => {
                let Forward { id, targets, .. } = forward;
                let Some(address) = self.outbound.take_turn(line, targets, key.family()) else { return same };
                (address, forward.port(key.dst_port()), Some(*id))
            }
            Inward::Whole(Whole { mapping, .. }) => {
                let Some(address) = mapping.inward(key.dst()) else { return same };
                (address, key.dst_port(), None)
            }
        };
        let port = if has_ports(&key) { port } else { key.dst_port() };
        match FlowKey::new(key.protocol(), key.src(), key.src_port(), address, port) {
            Some(key) => Inside { key, forward, reflected },
            None => same,
        }
    }

    /// Translates the source of a flow that leaves; `query` has the key behind the translation of its destination.
    ///
    /// # Errors
    /// When no port is left.
    pub(super) fn translate_out(
        &mut self,
        now: Instant,
        query: &Query,
        reflected: Option<InterfaceId>,
    ) -> Result<FlowKey, Refusal> {
        let key = query.key;
        // A reflected flow that turns round must come back through here: it gets the router's address.
        if reflected == Some(query.interface)
            && let Some(address) = self.compiled.outside_address(query.interface, key.family())
        {
            return Ok(self.outbound.translate_out(now, &self.table, &key, &Outside::new(address))?);
        }
        match self.compiled.translations.outward(query) {
            None | Some((_, Outward::Keep(_))) => Ok(key),
            Some((_, Outward::Whole(Whole { mapping, .. }))) => match mapping.outward(key.src()) {
                Some(source) => Ok(with_source(&key, source)),
                None => Ok(key),
            },
            Some((line, Outward::Source(source))) => {
                let Source { addresses, pool, sticky, ports, id: _ } = source;
                let Some(address) = self.outbound.pick(line, addresses, (*pool, *sticky), &key) else {
                    return Err(Drop::PortsExhausted.into());
                };
                let static_port = ports.is_none();
                let outside = Outside { address, ports: ports.unwrap_or(Source::PORTS), static_port };
                Ok(self.outbound.translate_out(now, &self.table, &key, &outside)?)
            }
        }
    }

    /// True when a flow that came in as `original` would still leave as `outside`.
    pub(super) fn still_translated(&self, query: &Query, outside: &FlowKey, egress: InterfaceId) -> bool {
        let original = query.key;
        let (asked, inside) = ((original.dst(), original.dst_port()), (outside.dst(), outside.dst_port()));
        let inward = self.compiled.translations.inward(query).map(|(_, deed)| deed);
        let reflected = inward.and_then(Inward::on).is_some_and(|on| on != query.interface);
        if !inward.map_or(asked == inside, |deed| deed.leads(asked, inside)) {
            return false;
        }
        if egress == InterfaceId::SELF {
            return true;
        }
        if reflected && egress == query.interface {
            return self.compiled.outside_address(egress, original.family()) == Some(outside.src());
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
