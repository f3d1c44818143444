//! Where a flow goes: by the gateway that its rule names, by the one whose address it has, else where the routes lead.
//!
//! The packet path and `explain` ask the same questions here.

use std::net::IpAddr;

use super::compiled::Compiled;
use crate::conntrack::Via;
use crate::route::{NextHop, Selection};
use crate::rules::{Choice, Pass};
use crate::types::{Family, GatewayId, InterfaceId};
use crate::wire::FlowKey;

/// The configuration, and what of its gateways is used at present.
#[derive(Clone, Copy)]
pub(super) struct Ways<'a> {
    pub compiled: &'a Compiled,
    pub selection: &'a Selection,
}

/// A way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Out {
    pub hop: NextHop,
    /// The gateway, when the configuration has it.
    pub gateway: Option<GatewayId>,
    pub why: Why,
}

/// Who has chosen a way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The rule names a gateway or group.
    Rule(Choice),
    /// The router's own packet has the address of an interface with a gateway.
    Source,
    /// The routes.
    Route,
}

impl Ways<'_> {
    /// Where the routes lead.
    #[inline]
    pub fn route(&self, destination: IpAddr) -> Option<NextHop> {
        let known = self.compiled.fib.lookup(destination);
        known.or_else(|| self.selection.default_hop(Family::of(destination)))
    }

    /// Where a new flow goes. Networks that are attached directly need no gateway (pfSense's negated rules).
    pub fn out(&self, key: &FlowKey, from_self: bool, pass_in: Option<Pass>) -> Option<Out> {
        let route = self.route(key.dst());
        if route.is_none_or(|hop| hop.gateway.is_some()) {
            let choice = pass_in.and_then(Pass::choice);
            if let Some(choice) = choice
                && let Some((id, hop)) = self.selection.pick(choice, key)
            {
                return Some(Out { hop, gateway: Some(id), why: Why::Rule(choice) });
            }
            if from_self && let Some((id, hop)) = self.of_source(key, route) {
                return Some(Out { hop, gateway: Some(id), why: Why::Source });
            }
        }
        let hop = route?;
        Some(Out { hop, gateway: self.selection.gateway_of(&hop), why: Why::Route })
    }

    /// Would a flow that began by `via` and `egress` still go there? The gateways that it stays with, when it would.
    pub fn again(
        &self,
        key: &FlowKey,
        from_self: bool,
        (pass_in, via): (Option<Pass>, Via),
        [ingress, egress]: [InterfaceId; 2],
    ) -> Option<Via> {
        let back = self.back(ingress, key.src(), pass_in);
        let stays = via.out.filter(|id| self.selection.hop(*id).is_some_and(|hop| hop.interface == egress));
        if let Some(choice) = pass_in.and_then(Pass::choice)
            && stays.is_some_and(|id| self.compiled.uplinks.includes(choice, id))
        {
            return Some(Via { out: stays, back });
        }
        // Where a group is the default gateway, flows stay with the member that they began by.
        let by_default = self.compiled.fib.lookup(key.dst()).is_none()
            && stays.is_some_and(|id| self.compiled.uplinks.is_default(id))
            && pass_in.is_none_or(|pass| pass.choice().is_none());
        if by_default {
            return Some(Via { out: stays, back });
        }
        let Out { hop, gateway, .. } = self.out(key, from_self, pass_in)?;
        (hop.interface == egress).then_some(Via { out: gateway, back })
    }

    /// The router's own packets leave by the gateway of the interface whose address they have, as pfSense's rules say.
    fn of_source(&self, key: &FlowKey, route: Option<NextHop>) -> Option<(GatewayId, NextHop)> {
        let on = self.compiled.interface_of(key.src())?;
        if route.is_some_and(|hop| hop.interface == on) {
            return None;
        }
        self.selection.reply_gateway(on, key.family())
    }

    /// The gateway by which answers go back (pf's reply-to): that of the WAN by which the flow came in, unless its
    /// source is attached there.
    #[inline]
    pub fn back(&self, ingress: InterfaceId, source: IpAddr, pass_in: Option<Pass>) -> Option<GatewayId> {
        let (id, _) = self.selection.reply_gateway(ingress, Family::of(source))?;
        let attached = |link: &super::Link| link.addresses.iter().any(|net| net.contains(&source));
        let applies = pass_in.is_some_and(Pass::replies_to_gateway);
        (applies && !self.compiled.link(ingress).is_some_and(attached)).then_some(id)
    }

    /// The next hop of a gateway that a flow stays with, when that is still behind the same interface.
    pub fn stay(&self, gateway: Option<GatewayId>, egress: InterfaceId) -> Option<NextHop> {
        self.selection.hop(gateway?).filter(|hop| hop.interface == egress)
    }
}
