//! The keys by which the nodes of a pair know each other, made before the nodes are started.

use std::path::Path;

use anyhow::Context;
use data_encoding::HEXLOWER;
use snow::Builder;
use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};

use crate::io::files;

/// The secret key in the state directory of a node: 64 hex digits and a newline, for nobody else to read.
const FILE: &str = "pair.key";
/// What the key is for.
const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";

/// Makes the key of the node with this state directory; gives its public half in hex.
///
/// # Errors
/// When the file cannot be written.
pub fn make(state: &Path) -> anyhow::Result<String> {
    let resolver = FallbackResolver::new(Box::new(DefaultResolver), Box::new(RingResolver));
    let builder = Builder::with_resolver(PATTERN.parse()?, Box::new(resolver));
    let pair = builder.generate_keypair().context("a key for the pair")?;
    files::create_private_directory(state).with_context(|| state.display().to_string())?;
    let path = state.join(FILE);
    let text = HEXLOWER.encode(&pair.private) + "\n";
    files::write_atomically(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(HEXLOWER.encode(&pair.public))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_written_for_its_owner_alone() {
        let directory = std::env::temp_dir().join(format!("koi-test-keys-{}", std::process::id()));
        let public = make(&directory).unwrap();
        let path = directory.join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let secret = HEXLOWER.decode(text.trim_end().as_bytes()).unwrap();
        assert_eq!((secret.len(), public.len(), text.len()), (32, 64, 65));
        assert_ne!(make(&directory).unwrap(), public, "each is a new one");
        fs::remove_dir_all(directory).unwrap();
    }
}
