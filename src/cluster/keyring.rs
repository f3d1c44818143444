//! The keys that a node has for its pair: one, and while keys are being renewed the next one as well.
//!
//! A renewal goes in steps, after each of which the two nodes still find each other: both make a new key; each learns
//! the peer's new one over the authenticated channel and accepts handshakes under both; the document names the new
//! ones, whereupon the next session is made under them; then the old ones are forgotten.

use super::{Identity, PublicKey};

/// A renewal that is under way.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// This node's next key.
    pub identity: Identity,
    /// The peer's next key, once it has said so.
    pub peer: Option<PublicKey>,
    /// The peer's present key.
    pub peer_before: PublicKey,
}

/// Own key and peer's key, under which two nodes shake hands.
pub type Keys = (Identity, PublicKey);

/// See the module.
#[derive(Clone, Debug)]
pub struct Keyring {
    /// The key that the node has been known by.
    pub identity: Identity,
    /// Its renewal.
    pub renewal: Option<Renewal>,
}

impl Keyring {
    /// Without a renewal.
    pub fn new(identity: Identity) -> Self {
        Keyring { identity, renewal: None }
    }

    /// The keys to be used with a document that names these two, and those to be accepted as well.
    pub fn keys(&self, own: Option<PublicKey>, peer: PublicKey) -> (Keys, Option<Keys>) {
        match &self.renewal {
            Some(Renewal { identity, peer: Some(next), peer_before }) => {
                let (before, after) = ((self.identity.clone(), *peer_before), (identity.clone(), *next));
                match own == Some(identity.public()) && peer == *next {
                    true => (after, Some(before)),
                    false => ((self.identity.clone(), peer), Some(after)),
                }
            }
            Some(Renewal { peer: None, .. }) | None => ((self.identity.clone(), peer), None),
        }
    }

    /// Who this node is with a document that names it so.
    pub fn identity(&self, own: Option<PublicKey>) -> &Identity {
        match &self.renewal {
            Some(renewal) if own == Some(renewal.identity.public()) => &renewal.identity,
            Some(_) | None => &self.identity,
        }
    }

    /// True when both are keys of one peer, of which one takes the other's place.
    pub fn renews(&self, one: PublicKey, other: PublicKey) -> bool {
        self.renewal.as_ref().is_some_and(|renewal| {
            let both = (Some(renewal.peer_before), renewal.peer);
            both == (Some(one), Some(other)) || both == (Some(other), Some(one))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(byte: u8) -> Identity {
        Identity::from_bytes([byte; 32])
    }

    #[test]
    fn the_document_says_which_keys_are_used_and_the_others_are_accepted() {
        let (old, new) = (identity(1), identity(2));
        let (peer_old, peer_new) = (identity(3).public(), identity(4).public());
        let mut ring = Keyring::new(old.clone());
        let used = |ring: &Keyring, own: PublicKey, peer| {
            let ((identity, peer), also) = ring.keys(Some(own), peer);
            (identity.public(), peer, also.map(|(identity, peer)| (identity.public(), peer)))
        };
        assert_eq!(used(&ring, old.public(), peer_old), (old.public(), peer_old, None));
        ring.renewal = Some(Renewal { identity: new.clone(), peer: None, peer_before: peer_old });
        assert_eq!(used(&ring, old.public(), peer_old), (old.public(), peer_old, None));
        assert!(!ring.renews(peer_old, peer_new));
        ring.renewal = Some(Renewal { identity: new.clone(), peer: Some(peer_new), peer_before: peer_old });
        assert!(ring.renews(peer_old, peer_new) && ring.renews(peer_new, peer_old));
        assert!(!ring.renews(peer_old, identity(9).public()));
        let (before, after) = ((old.public(), peer_old), (new.public(), peer_new));
        assert_eq!(used(&ring, before.0, before.1), (before.0, before.1, Some(after)));
        assert_eq!(used(&ring, after.0, after.1), (after.0, after.1, Some(before)));
        assert_eq!(ring.identity(Some(after.0)).public(), after.0);
        assert_eq!(ring.identity(Some(before.0)).public(), before.0);
    }
}
