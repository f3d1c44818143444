//! The keys by which two nodes shake hands. While keys are being replaced there are two pairs of them.

use super::Entropy;
use super::handshake::{Authenticator, Initiation};
use crate::cluster::{Identity, PublicKey, node_id};
use crate::types::Instant;

/// This node's key and its peer's, and what follows from them.
pub(super) struct Credential {
    pub identity: Identity,
    pub peer: PublicKey,
    /// This node alone sends initiations under these keys.
    pub leads: bool,
    pub authenticator: Authenticator,
    /// The newest one, which may be answered.
    pub initiation: Option<Initiation>,
}

impl Credential {
    pub fn new(identity: Identity, peer: PublicKey) -> Self {
        Credential {
            leads: identity.node_id() < node_id(&peer),
            authenticator: Authenticator::new(&identity, &peer),
            identity,
            peer,
            initiation: None,
        }
    }

    pub fn is(&self, identity: &Identity, peer: &PublicKey) -> bool {
        self.identity.public() == identity.public() && self.peer == *peer
    }

    /// Makes an initiation that may be answered from now on.
    pub fn initiate(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        self.initiation = self.authenticator.initiate(now, &self.identity, self.peer, entropy);
    }
}
