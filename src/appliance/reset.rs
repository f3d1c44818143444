//! Back to the factory default: a mark on the partition, and at the next start nothing but the mark is left, and then
//! that goes, too. So a power cut in between changes nothing about the result.

use std::fs;
use std::io;
use std::path::Path;

use super::partition::{self, Mounted};
use crate::io::files;
use crate::io::machine::Access;

/// The mark.
const MARK: &str = "factory-default";
/// Where the partition is mounted when it is not in its place.
const ASIDE: &str = "/run/koi-aside";

/// The next start forgets everything.
///
/// # Errors
/// When that cannot be written down.
pub fn mark() -> io::Result<()> {
    files::write_atomically(&Path::new(partition::HOME).join(MARK), b"")?;
    // In memory the mark does not live: the partition itself is emptied, as far as it can be.
    if partition::is_in_memory()
        && let Some(volume) = partition::find(partition::CONFIG)
    {
        let aside = Mounted::new(&volume, Path::new(ASIDE), Access::Write)?;
        empty(aside.path())?;
    }
    Ok(())
}

/// Forgets what is to be forgotten; true when it was.
///
/// # Errors
/// When something cannot be removed.
pub fn carry_out(home: &Path) -> io::Result<bool> {
    let mark = home.join(MARK);
    if !mark.exists() {
        return Ok(false);
    }
    empty(home)?;
    fs::remove_file(mark)?;
    Ok(true)
}

fn empty(home: &Path) -> io::Result<()> {
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Some("lost+found" | MARK) => {}
            _ if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
            _ => fs::remove_file(entry.path())?,
        }
    }
    fs::File::open(home)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_when_the_mark_is_there_and_nothing_without_it() {
        let home = std::env::temp_dir().join(format!("koi-reset-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(home.join("state")).unwrap();
        fs::create_dir_all(home.join("lost+found")).unwrap();
        fs::write(home.join("config.toml"), "x").unwrap();
        assert!(!carry_out(&home).unwrap() && home.join("config.toml").exists());
        fs::write(home.join(MARK), "").unwrap();
        assert!(carry_out(&home).unwrap());
        let left: Vec<_> = fs::read_dir(&home).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["lost+found"]);
        let _ = fs::remove_dir_all(&home);
    }
}
