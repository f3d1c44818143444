//! The node's keys for the pair, in the state directory: 64 hex digits, readable by the router alone.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

use super::entropy::System;
use super::files;
use crate::cluster::Identity;
use crate::cluster::keyring::Renewal;
use crate::types::PublicKey;

/// Name of the file.
pub const FILE: &str = "pair.key";
/// Name of the file of a renewal.
const RENEWAL: &str = "pair.renewal";

/// A step of a renewal; each may be taken again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStep {
    /// Make the next key, unless there is one.
    Make,
    /// The peer's next key is this one; handshakes under both are accepted from now on.
    Learn(PublicKey),
    /// The document names the next keys and they are in use: forget the ones before.
    Finish,
}

/// A renewal as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    secret: String,
    peer: Option<PublicKey>,
    peer_before: PublicKey,
}

/// The key in `directory`; made and written when there is none.
///
/// # Errors
/// When the file can be neither read nor written, or holds something else. A key is never replaced: the peer knows it.
pub fn load_or_make(directory: &Path) -> io::Result<Identity> {
    let path = directory.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text).ok_or_else(|| {
            let what = format!(
                "{} does not hold a key of 64 hex digits; restore it, or remove it and pair anew",
                path.display()
            );
            io::Error::new(io::ErrorKind::InvalidData, what)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let identity = Identity::generate(&mut System);
            write(directory, &identity)?;
            Ok(identity)
        }
        Err(error) => Err(error),
    }
}

/// The renewal that is under way in `directory`, if there is one.
///
/// # Errors
/// When the file cannot be read, or holds something else.
pub fn renewal(directory: &Path) -> io::Result<Option<Renewal>> {
    let path = directory.join(RENEWAL);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let wrong =
        || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no renewal of keys", path.display()));
    let Written { secret, peer, peer_before } = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let identity = parse(&secret).ok_or_else(wrong)?;
    Ok(Some(Renewal { identity, peer, peer_before }))
}

/// Writes a renewal down.
///
/// # Errors
/// When the file cannot be written.
pub fn write_renewal(directory: &Path, renewal: &Renewal) -> io::Result<()> {
    let Renewal { identity, peer, peer_before } = renewal;
    let secret = HEXLOWER.encode(identity.secret_bytes());
    let written = Written { secret, peer: *peer, peer_before: *peer_before };
    files::write_atomically(&directory.join(RENEWAL), &serde_json::to_vec(&written)?)
}

/// The next key is the node's key from now on, and the one before is worth nothing. Begun and interrupted, it can be done
/// again.
///
/// # Errors
/// When the files cannot be written.
pub fn finish_renewal(directory: &Path, renewal: &Renewal) -> io::Result<()> {
    write(directory, &renewal.identity)?;
    match fs::remove_file(directory.join(RENEWAL)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(directory: &Path, identity: &Identity) -> io::Result<()> {
    let text = format!("{}\n", HEXLOWER.encode(identity.secret_bytes()));
    files::write_atomically(&directory.join(FILE), text.as_bytes())
}

fn parse(text: &str) -> Option<Identity> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.trim_end().as_bytes()).ok()?;
    Some(Identity::from_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::files::tests::Scratch;
    use super::*;

    #[test]
    fn a_renewal_is_kept_until_it_is_finished() {
        let scratch = Scratch::new("renewal");
        let old = load_or_make(&scratch.0).unwrap();
        assert!(renewal(&scratch.0).unwrap().is_none());
        let (identity, peer_before) = (Identity::generate(&mut System), old.public());
        let begun = Renewal { identity: identity.clone(), peer: None, peer_before };
        write_renewal(&scratch.0, &begun).unwrap();
        assert_eq!(fs::metadata(scratch.0.join(RENEWAL)).unwrap().permissions().mode() & 0o777, 0o600);
        let known = Renewal { peer: Some(old.public()), ..begun };
        write_renewal(&scratch.0, &known).unwrap();
        let read = renewal(&scratch.0).unwrap().unwrap();
        assert_eq!((read.identity.public(), read.peer), (identity.public(), Some(old.public())));
        for _ in 0..2 {
            finish_renewal(&scratch.0, &read).unwrap();
            assert_eq!(load_or_make(&scratch.0).unwrap().public(), identity.public());
            assert!(renewal(&scratch.0).unwrap().is_none());
        }
        fs::write(scratch.0.join(RENEWAL), "nonsense").unwrap();
        assert!(renewal(&scratch.0).is_err());
    }

    #[test]
    fn a_key_is_made_once_kept_and_never_replaced() {
        let scratch = Scratch::new("keys");
        fs::create_dir_all(&scratch.0).unwrap();
        let made = load_or_make(&scratch.0).unwrap();
        let path = scratch.0.join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&scratch.0).unwrap().public(), made.public());
        fs::write(&path, "nonsense").unwrap();
        assert!(load_or_make(&scratch.0).unwrap_err().to_string().contains("64 hex digits"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
    }
}
