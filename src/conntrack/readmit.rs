//! Flows outlive configurations: asking again whether one may exist.

use super::index::{Hit, Way};
use super::table::Table;
use super::witness::Via;
use crate::rules::Pass;
use crate::types::InterfaceId;
use crate::wire::FlowKey;

/// What a flow was admitted as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admission {
    /// Key of the first packet as it came in.
    pub original: FlowKey,
    /// Key with which it left.
    pub outside: FlowKey,
    /// The interface by which it came in.
    pub ingress: InterfaceId,
    /// The interface by which it left.
    pub egress: InterfaceId,
    /// The epoch of the configuration that admitted it.
    pub epoch: u32,
}

impl Table {
    /// What the flow was admitted as. The hit must be fresh, from [`Table::find`] or [`Table::advance`].
    pub fn admission(&self, hit: Hit) -> Admission {
        let common = self.store.common(hit.slot);
        Admission {
            original: self.store.key(hit.slot, Way::Original),
            outside: self.store.key(hit.slot, Way::Reply).inverse(),
            ingress: common.interfaces[0],
            egress: common.interfaces[1],
            epoch: common.epoch,
        }
    }

    /// The verdicts that let the flow in and out.
    #[inline]
    pub fn passes(&self, hit: Hit) -> [Pass; 2] {
        self.witnesses.get(self.store.common(hit.slot).witness())
    }

    /// The gateways that the flow goes by.
    pub fn via(&self, hit: Hit) -> Via {
        self.witnesses.via(self.store.common(hit.slot).witness())
    }

    /// The flow may go on under another configuration, whose rules and gateways are these; its next hops are looked up
    /// anew.
    pub fn readmit(&mut self, hit: Hit, (passes, via): ([Pass; 2], Via), epoch: u32) {
        let source = self.store.key(hit.slot, Way::Original).src();
        let connected = self.store.common(hit.slot).is_connected();
        let witness = self.hold(passes, via, source, connected);
        let common = self.store.common_mut(hit.slot);
        let before = common.witness();
        common.set_witness(witness);
        common.epoch = epoch;
        common.next_hop = [super::NO_HOP; 2];
        self.release(before, source, connected);
        if before != witness {
            self.note(hit.slot);
        }
    }

    /// Ends the flow: the configuration does not allow it any more.
    pub fn end(&mut self, hit: Hit) {
        self.remove(hit.slot);
    }
}
