//! The node's key for the pair, in the state directory: 64 hex digits, readable by the router alone.

use std::fs;
use std::io;
use std::path::Path;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use super::entropy::System;
use super::files;
use crate::cluster::Identity;

/// Name of the file.
pub const FILE: &str = "pair.key";

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
            let text = format!("{}\n", HEXLOWER.encode(identity.secret_bytes()));
            files::write_atomically(&path, text.as_bytes())?;
            Ok(identity)
        }
        Err(error) => Err(error),
    }
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
