//! New keys for the pair: the channel takes them up while it goes on, and nobody's role changes.

use super::{Helm, HelmOutbox};
use crate::cluster::{Identity, Keyring, node_id};
use crate::node::Compiled;
use crate::types::Instant;

impl Helm {
    /// The keys that this node has from now on. Which of them are used, the document says.
    pub fn handle_keyring(&mut self, now: Instant, keyring: Keyring, out: &mut HelmOutbox) {
        self.keyring = keyring;
        let peer = self.peer.as_ref().map(node_id);
        self.elector.rename(self.identity().node_id(), peer);
        self.adopt_keys(now);
        self.settle(now, out);
    }

    /// True when that document has other keys of the same two nodes than the one in force.
    pub(super) fn is_renewed(&self, compiled: &Compiled) -> bool {
        let config = &compiled.config;
        let peer = config.peer_of(compiled.node).and_then(|peer| config.node_part(peer).public_key);
        match (self.peer, peer) {
            (Some(before), Some(after)) => before != after && self.keyring.renews(before, after),
            (Some(_) | None, Some(_) | None) => false,
        }
    }

    /// Who this node is.
    pub(super) fn identity(&self) -> &Identity {
        self.keyring.identity(self.compiled.config.node_part(self.compiled.node).public_key)
    }

    pub(super) fn adopt_keys(&mut self, now: Instant) {
        let own = self.compiled.config.node_part(self.compiled.node).public_key;
        if let (Some(channel), Some(peer)) = (&mut self.channel, self.peer) {
            let (keys, also) = self.keyring.keys(own, peer);
            channel.adopt(now, keys, also);
        }
    }
}
