//! Signed programs: what a node may install.
//!
//! A release is the program with a trailer behind it, which the kernel does not look at. So it is one file, and what is
//! signed and what is run cannot be parted. The appliance's image of a kernel and a program is signed in the same way.
//!
//! ```text
//!  program | "KOI RELEASE 1\n" | major minor patch | pair's protocols | SHA-256 of the program | key | signature
//!          |        14         |  2    2     2     |        2         |           32           | 32  |    64
//! ```
//!
//! Numbers are big-endian. The Ed25519 signature covers the trailer up to itself.
//!
//! Invariant: a [`Release`] that somebody holds was signed by a trusted key, is whole, and is not older than the floor.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::Entropy;
use crate::config::model::System;
use crate::types::{ReleaseKey, ReleaseVersion};
use crate::wire::pair::Version;

const MAGIC: &[u8; 14] = b"KOI RELEASE 1\n";
const HASH_LEN: usize = 32;
const KEY_LEN: usize = 32;
const SIGNATURE_LEN: usize = 64;
const SIGNED_LEN: usize = MAGIC.len() + 8 + HASH_LEN + KEY_LEN;
/// Bytes that a signature adds.
pub const TRAILER: usize = SIGNED_LEN + SIGNATURE_LEN;
/// The longest release.
pub const SIZE_MAX: usize = (64 << 20) - 1024;
/// A program for Linux begins so.
const ELF: &[u8] = b"\x7fELF";
/// An image for the appliance begins so.
pub const IMAGE: &[u8] = b"KOI IMAGE 1\n";

/// What a release is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The program alone: both nodes run it one after the other.
    Program,
    /// A kernel and a program for the appliance's disk.
    Image,
}

impl Kind {
    fn of(bytes: &[u8]) -> Option<Kind> {
        match () {
            () if bytes.starts_with(ELF) => Some(Kind::Program),
            () if bytes.starts_with(IMAGE) => Some(Kind::Image),
            () => None,
        }
    }
}

/// A key to sign with. Nothing prints the secret half.
pub struct SigningKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new one.
    pub fn generate(entropy: &mut dyn Entropy) -> Option<Self> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self::from_bytes(seed)
    }

    /// The one with this seed.
    pub fn from_bytes(seed: [u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        Some(SigningKey { seed, pair })
    }

    /// For the file that keeps it.
    pub fn secret_bytes(&self) -> &[u8; 32] {
        &self.seed
    }

    /// What nodes trust.
    pub fn public(&self) -> ReleaseKey {
        let mut bytes = [0; KEY_LEN];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        ReleaseKey(bytes)
    }

    /// The program as a release; a trailer that it has already gives way.
    ///
    /// # Errors
    /// When it is no program, or too long.
    pub fn sign(&self, program: &[u8], version: ReleaseVersion, speaks: Version) -> Result<Vec<u8>, Refusal> {
        let program = Trailer::split(program).map_or(program, |(program, _)| program);
        if Kind::of(program).is_none() {
            return Err(Refusal::NoProgram);
        }
        if program.len() + TRAILER > SIZE_MAX {
            return Err(Refusal::TooLong);
        }
        let mut signed = Vec::with_capacity(program.len() + TRAILER);
        signed.extend_from_slice(program);
        signed.extend_from_slice(MAGIC);
        for number in [version.major, version.minor, version.patch, speaks.0] {
            signed.extend_from_slice(&number.to_be_bytes());
        }
        signed.extend_from_slice(digest(&SHA256, program).as_ref());
        signed.extend_from_slice(&self.public().0);
        let signature = self.pair.sign(&signed[program.len()..]);
        signed.extend_from_slice(signature.as_ref());
        Ok(signed)
    }
}

/// What stands behind a program; nobody has checked it.
struct Trailer<'a> {
    signed: &'a [u8],
    version: ReleaseVersion,
    speaks: Version,
    hash: &'a [u8],
    key: ReleaseKey,
    signature: &'a [u8],
}

impl<'a> Trailer<'a> {
    fn split(bytes: &'a [u8]) -> Option<(&'a [u8], Trailer<'a>)> {
        let (program, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER)?)?;
        let (signed, signature) = trailer.split_at(SIGNED_LEN);
        let (numbers, rest) = signed.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (hash, key) = rest.split_at_checked(HASH_LEN)?;
        let number = |at: usize| u16::from_be_bytes([numbers[at], numbers[at + 1]]);
        let version = ReleaseVersion { major: number(0), minor: number(2), patch: number(4) };
        let key = ReleaseKey(key.try_into().ok()?);
        Some((program, Trailer { signed, version, speaks: Version(number(6)), hash, key, signature }))
    }
}

/// Whom a node trusts, and how old a release may be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trust {
    keys: Vec<ReleaseKey>,
    floor: ReleaseVersion,
}

impl Trust {
    /// As the document says.
    pub fn of(system: &System) -> Self {
        let floor = system.version_floor.unwrap_or_default();
        Trust { keys: system.release_keys.clone(), floor }
    }

    /// Nothing older than this is accepted, either.
    pub fn at_least(mut self, version: ReleaseVersion) -> Self {
        self.floor = self.floor.max(version);
        self
    }

    /// Checks the release of a program.
    ///
    /// # Errors
    /// Says why it must not be installed.
    pub fn check(&self, bytes: &[u8]) -> Result<Release, Refusal> {
        let release = self.check_any(bytes)?;
        match release.kind {
            Kind::Program => Ok(release),
            Kind::Image => Err(Refusal::OtherKind(Kind::Image)),
        }
    }

    /// Checks the release of an image; gives what was signed, too.
    ///
    /// # Errors
    /// Says why it must not be installed.
    pub fn check_image<'a>(&self, bytes: &'a [u8]) -> Result<(Release, &'a [u8]), Refusal> {
        let release = self.check_any(bytes)?;
        let (image, _) = Trailer::split(bytes).ok_or(Refusal::Unsigned)?;
        match release.kind {
            Kind::Image => Ok((release, image)),
            Kind::Program => Err(Refusal::OtherKind(Kind::Program)),
        }
    }

    /// Checks a release of either kind.
    ///
    /// # Errors
    /// Says why it must not be installed.
    pub fn check_any(&self, bytes: &[u8]) -> Result<Release, Refusal> {
        if self.keys.is_empty() {
            return Err(Refusal::NoKeys);
        }
        if bytes.len() > SIZE_MAX {
            return Err(Refusal::TooLong);
        }
        let (program, trailer) = Trailer::split(bytes).ok_or(Refusal::Unsigned)?;
        if !self.keys.contains(&trailer.key) {
            return Err(Refusal::Foreign(trailer.key));
        }
        let key = UnparsedPublicKey::new(&ED25519, &trailer.key.0);
        key.verify(trailer.signed, trailer.signature).map_err(|_| Refusal::Broken)?;
        if digest(&SHA256, program).as_ref() != trailer.hash {
            return Err(Refusal::Broken);
        }
        let kind = Kind::of(program).ok_or(Refusal::NoProgram)?;
        if trailer.version < self.floor {
            return Err(Refusal::Old { version: trailer.version, floor: self.floor });
        }
        if Version::NEWEST.with(trailer.speaks).is_none() {
            return Err(Refusal::Incompatible(trailer.speaks));
        }
        Ok(Release { kind, version: trailer.version, speaks: trailer.speaks, key: trailer.key })
    }
}

/// What a checked release is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Release {
    /// Of what.
    pub kind: Kind,
    /// Its version.
    pub version: ReleaseVersion,
    /// What it speaks with its peer.
    pub speaks: Version,
    /// Who has signed it.
    pub key: ReleaseKey,
}

/// Why a program is not installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The document trusts nobody.
    NoKeys,
    /// It is no release at all.
    Unsigned,
    /// A key has signed it that the document does not have.
    Foreign(ReleaseKey),
    /// It is not what was signed.
    Broken,
    /// What was signed is no program.
    NoProgram,
    /// It is a release of the other kind.
    OtherKind(Kind),
    /// It is longer than a release may be.
    TooLong,
    /// It is older than the floor.
    Old {
        /// Its version.
        version: ReleaseVersion,
        /// The oldest one that is accepted.
        floor: ReleaseVersion,
    },
    /// It could not speak with what runs now, so the two nodes could not be upgraded one after the other.
    Incompatible(Version),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoKeys => {
                f.write_str("the document has no release_keys in [system], so no release is accepted")
            }
            Refusal::Unsigned => f.write_str("it is not signed"),
            Refusal::Foreign(key) => write!(f, "it is signed by {key}, which is not among the release_keys"),
            Refusal::Broken => f.write_str("it is broken: it is not what was signed"),
            Refusal::NoProgram => {
                f.write_str("it is neither a program for Linux nor an image of the appliance")
            }
            Refusal::OtherKind(Kind::Image) => {
                f.write_str("it is an image of the appliance, which koi update installs")
            }
            Refusal::OtherKind(Kind::Program) => {
                f.write_str("it is a program alone, which koi pair upgrade installs")
            }
            Refusal::TooLong => write!(f, "it is longer than {SIZE_MAX} bytes"),
            Refusal::Old { version, floor } => {
                write!(f, "version {version} is older than {floor}, the oldest one that is accepted")
            }
            Refusal::Incompatible(speaks) => write!(
                f,
                "it speaks version {speaks} of the pair's protocols, and what runs now {}: install a release between \
                 them first",
                Version::NEWEST
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cluster::entropy::Seeded;
    use crate::types::Seed;

    fn key(number: u8) -> SigningKey {
        SigningKey::from_bytes([number; 32]).unwrap()
    }

    fn program() -> Vec<u8> {
        [ELF, &[7; 5000]].concat()
    }

    fn version(minor: u16) -> ReleaseVersion {
        ReleaseVersion { major: 1, minor, patch: 3 }
    }

    fn trust(keys: &[u8]) -> Trust {
        let release_keys = keys.iter().map(|number| key(*number).public()).collect();
        Trust::of(&System { release_keys, version_floor: Some(version(2)), ..System::default() })
    }

    /// RFC 8032 section 7.1, test 1.
    #[test]
    fn the_public_key_of_rfc_8032() {
        let seed = data_encoding::HEXLOWER
            .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap();
        let key = SigningKey::from_bytes(seed.try_into().unwrap()).unwrap();
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(key.pair.sign(b"").as_ref()[..4], [0xe5, 0x56, 0x43, 0x00]);
    }

    #[test]
    fn a_release_of_either_trusted_key_is_accepted_and_signing_twice_signs_once() {
        for number in [1, 2] {
            let signed = key(number).sign(&program(), version(2), Version::NEWEST).unwrap();
            assert_eq!(signed.len(), program().len() + TRAILER);
            let release = trust(&[1, 2]).check(&signed).unwrap();
            assert_eq!((release.version, release.key), (version(2), key(number).public()));
            let again = key(3).sign(&signed, version(5), Version::OLDEST).unwrap();
            assert_eq!(again.len(), signed.len());
            assert_eq!(trust(&[3]).check(&again).unwrap().version, version(5));
        }
    }

    #[test]
    fn each_reason_to_refuse_is_named() {
        let signed = key(1).sign(&program(), version(2), Version::NEWEST).unwrap();
        let floor = trust(&[1]).at_least(version(3));
        let cases = [
            (Trust::default(), signed.clone(), Refusal::NoKeys),
            (trust(&[1]), program(), Refusal::Unsigned),
            (trust(&[1]), Vec::new(), Refusal::Unsigned),
            (trust(&[2, 3]), signed.clone(), Refusal::Foreign(key(1).public())),
            (floor, signed.clone(), Refusal::Old { version: version(2), floor: version(3) }),
            (trust(&[1]), vec![0; SIZE_MAX + 1], Refusal::TooLong),
            (
                trust(&[1]),
                key(1).sign(&program(), version(2), Version(Version::NEWEST.0 + 2)).unwrap(),
                Refusal::Incompatible(Version(Version::NEWEST.0 + 2)),
            ),
        ];
        for (trust, bytes, refusal) in cases {
            assert_eq!(trust.check(&bytes), Err(refusal), "{refusal}");
        }
        let image = key(1).sign(&[IMAGE, b"and so on"].concat(), version(2), Version::NEWEST).unwrap();
        assert_eq!(trust(&[1]).check(&image), Err(Refusal::OtherKind(Kind::Image)));
        assert_eq!(trust(&[1]).check_image(&signed), Err(Refusal::OtherKind(Kind::Program)));
        let (release, inside) = trust(&[1]).check_image(&image).unwrap();
        assert_eq!((release.kind, inside), (Kind::Image, &image[..image.len() - TRAILER]));
        assert_eq!(key(1).sign(b"#!/bin/sh", version(2), Version::NEWEST), Err(Refusal::NoProgram));
        assert!(Refusal::NoKeys.to_string().contains("release_keys"));
    }

    #[test]
    fn a_new_key_is_another_one() {
        let keys =
            [1, 2].map(|seed| SigningKey::generate(&mut Seeded::new(Seed([seed, seed]))).unwrap().public());
        assert_ne!(keys[0], keys[1]);
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_accepted(at in 0usize..5004 + TRAILER, bit in 0u8..8) {
            let mut signed = key(1).sign(&program(), version(2), Version::NEWEST).unwrap();
            signed[at] ^= 1 << bit;
            prop_assert!(trust(&[1]).check(&signed).is_err());
        }

        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(trust(&[1]).check(&bytes).is_err());
        }
    }
}
