//! Handshakes: `snow` does the protocol, ring the ciphers and hashes, and the ephemeral keys come from an [`Entropy`].

use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver, RingResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use snow::{Builder, HandshakeState};

use super::{Entropy, Identity, PublicKey};

/// Which handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pattern {
    /// Both know the other's key.
    Pinned,
    /// Both learn the other's key, and prove that they know the same code.
    Code,
}

impl Pattern {
    const fn name(self) -> &'static str {
        match self {
            Pattern::Pinned => "Noise_KK_25519_ChaChaPoly_SHA256",
            Pattern::Code => "Noise_XXpsk3_25519_ChaChaPoly_SHA256",
        }
    }
}

/// What both sides of a handshake begin with.
pub(super) struct Start<'a> {
    pub pattern: Pattern,
    pub identity: &'a Identity,
    pub peer: Option<PublicKey>,
    pub psk: Option<[u8; 32]>,
    pub initiator: bool,
}

impl Start<'_> {
    /// A handshake with an ephemeral key of its own.
    pub fn build(self, entropy: &mut dyn Entropy) -> Result<HandshakeState, snow::Error> {
        let Start { pattern, identity, peer, psk, initiator } = self;
        let mut ephemeral = [0; 32];
        entropy.fill(&mut ephemeral);
        let resolver = Box::new(Resolver { ephemeral });
        let mut builder = Builder::with_resolver(pattern.name().parse()?, resolver)
            .prologue(b"koi pair 1")?
            .local_private_key(identity.secret_bytes())?;
        if let Some(peer) = &peer {
            builder = builder.remote_public_key(&peer.0)?;
        }
        if let Some(psk) = &psk {
            builder = builder.psk(3, psk)?;
        }
        if initiator { builder.build_initiator() } else { builder.build_responder() }
    }
}

/// The keys that a finished handshake gives.
pub(super) struct Keys {
    pub id: u32,
    pub sealing: LessSafeKey,
    pub opening: LessSafeKey,
}

impl Keys {
    /// `None` while the handshake is not finished.
    pub fn of(handshake: &mut HandshakeState) -> Option<Keys> {
        if !handshake.is_handshake_finished() {
            return None;
        }
        // Both nodes have the same hash: it names the session without a word.
        let id = u32::from_be_bytes(*handshake.get_handshake_hash().first_chunk::<4>()?);
        let (of_initiator, of_responder) = handshake.dangerously_get_raw_split();
        let (sealing, opening) = if handshake.is_initiator() {
            (of_initiator, of_responder)
        } else {
            (of_responder, of_initiator)
        };
        Some(Keys { id, sealing: key(&sealing)?, opening: key(&opening)? })
    }
}

fn key(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, bytes).ok().map(LessSafeKey::new)
}

/// The public half of a secret key.
pub(super) fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    let mut public = [0; 32];
    if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
        dh.set(secret);
        public.copy_from_slice(dh.pubkey());
    }
    public
}

/// What a node and its peer know without a message: the product of their keys.
pub(super) fn shared_secret(identity: &Identity, peer: &PublicKey) -> [u8; 32] {
    let mut shared = [0; 32];
    if let Some(mut dh) = DefaultResolver.resolve_dh(&DHChoice::Curve25519) {
        dh.set(identity.secret_bytes());
        // It fails for a key of the wrong length alone.
        let _ = dh.dh(&peer.0, &mut shared);
    }
    shared
}

struct Resolver {
    ephemeral: [u8; 32],
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        RingResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        RingResolver.resolve_cipher(choice)
    }
}

/// A handshake draws one ephemeral key, once.
struct Once(Option<[u8; 32]>);

impl Random for Once {
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(drawn) if drawn.len() == bytes.len() => {
                bytes.copy_from_slice(&drawn);
                Ok(())
            }
            Some(_) | None => Err(snow::Error::Rng),
        }
    }
}
