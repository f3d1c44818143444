//! A node's X25519 key, and who a node is by its public half.

use std::fmt;

use ring::digest::{SHA256, digest};

use super::Entropy;
use super::noise;
use crate::types::{NodeId, PublicKey};

/// Who a node is: the first eight bytes of its key's SHA-256.
pub fn node_id(key: &PublicKey) -> NodeId {
    let hash = digest(&SHA256, &key.0);
    NodeId(hash.as_ref().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)))
}

/// A node's own key. Nothing prints the secret half.
#[derive(Clone)]
pub struct Identity {
    secret: [u8; 32],
    public: PublicKey,
}

impl Identity {
    /// A new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self::from_bytes(secret)
    }

    /// The one with this secret key.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Identity { secret, public: PublicKey(noise::public_of(&secret)) }
    }

    /// The secret key: for the file that keeps it, and for handshakes.
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The half that others may know.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Who this node is.
    pub fn node_id(&self) -> NodeId {
        node_id(&self.public)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { secret: _, public } = self;
        f.debug_struct("Identity").field("public", public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// Bob's keys in RFC 7748 section 6.1.
    #[test]
    fn public_key_of_rfc_7748() {
        let secret =
            HEXLOWER.decode(b"5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb").unwrap();
        let identity = Identity::from_bytes(secret.try_into().unwrap());
        let public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        assert_eq!(identity.public().to_string(), public);
    }

    #[test]
    fn the_secret_is_not_printed() {
        let text = format!("{:?}", Identity::from_bytes([0x5a; 32]));
        assert!(!text.contains("90, 90") && !text.contains("5a5a5a"), "{text}");
    }

    #[test]
    fn node_id_is_the_beginning_of_the_hash() {
        // SHA-256 of 32 zero bytes begins with 66687aadf862bd77.
        assert_eq!(node_id(&PublicKey([0; 32])), NodeId(0x6668_7aad_f862_bd77));
    }
}
