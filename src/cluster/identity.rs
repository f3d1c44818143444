//! A node's X25519 key, and who a node is by its public half.

use std::fmt;
use std::str::FromStr;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::digest::{SHA256, digest};

use super::Entropy;
use super::noise;
use crate::types::NodeId;

/// The public half of a node's key, as it stands in the document of its peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The first eight bytes of the key's SHA-256.
    pub fn node_id(&self) -> NodeId {
        let hash = digest(&SHA256, &self.0);
        NodeId(hash.as_ref().iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            // Of zero every shared secret is zero: whoever pins it trusts everybody.
            Some(bytes) if bytes != [0; 32] => Ok(PublicKey(bytes)),
            Some(_) | None => Err(format!(
                "\"{text}\" is not a public key; it is the 64 hex digits that the other node shows"
            )),
        }
    }
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
        self.public.node_id()
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
    fn hex_round_trips_and_nonsense_is_refused() {
        let key = Identity::from_bytes([7; 32]).public();
        assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
        for bad in ["", "00", &"0".repeat(64), &"g".repeat(64), &"1".repeat(63), &"1".repeat(66)] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let text = format!("{:?}", Identity::from_bytes([0x5a; 32]));
        assert!(!text.contains("90, 90") && !text.contains("5a5a5a"), "{text}");
    }

    #[test]
    fn node_id_is_the_beginning_of_the_hash() {
        // SHA-256 of 32 zero bytes begins with 66687aadf862bd77.
        assert_eq!(PublicKey([0; 32]).node_id(), NodeId(0x6668_7aad_f862_bd77));
    }
}
