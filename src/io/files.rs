//! Files that survive a power cut: written whole or not at all, readable by their owner only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

/// Replaces the contents of `path` in one step: temporary file, fsync, rename, fsync of the directory. Mode 0600.
///
/// # Errors
/// When the directory cannot be written to; `path` is then as it was.
pub fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path)?;
    let result = write_new(&temporary, contents).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // The first error is the one that tells; a left-over is overwritten by the next write.
        let _ = fs::remove_file(&temporary);
        return result;
    }
    File::open(directory_of(path))?.sync_all()
}

/// Gives the file to whom the directory belongs, where this process may.
///
/// # Errors
/// When there is no such file or directory.
pub fn give_like(path: &Path, directory: &Path) -> io::Result<()> {
    let owner = fs::metadata(directory)?;
    match lchown(path, Some(owner.uid()), Some(owner.gid())) {
        // In a user namespace there may be nobody else.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Creates a directory with mode 0700, and its parents; an existing one keeps its owner but loses the permissions of
/// others.
///
/// # Errors
/// When it cannot be created, or when something else than a directory is there.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result,
    }
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "there is something else of this name"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The largest file of a state directory that belongs to a backup.
const SMALL: u64 = 1 << 20;

/// The files of a state directory that belong to a backup, by name; hidden ones are still being written. There are none
/// when the directory is not there.
///
/// # Errors
/// When the directory or one of them cannot be read.
pub fn small_ones(directory: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if metadata.is_file() && metadata.len() <= SMALL && !name.starts_with('.') {
            found.push((name, fs::read(entry.path())?));
        }
    }
    found.sort();
    Ok(found)
}

fn write_new(temporary: &Path, contents: &[u8]) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// `.NAME.new` in the same directory, so that the rename stays within one file system.
fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory that goes away with its test.
    pub struct Scratch(pub PathBuf);

    impl Scratch {
        pub fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("koi-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            create_private_directory(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn contents_are_replaced_and_private_and_nothing_is_left_over() {
        let scratch = Scratch::new("files");
        let path = scratch.0.join("document");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(scratch.0.join(".document.new"), "left by a crash").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o600));
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
        assert!(write_atomically(&scratch.0.join("missing/document"), b"new").is_err());
        assert!(write_atomically(Path::new("/"), b"new").is_err());
    }

    #[test]
    fn a_directory_is_private_also_when_it_was_not() {
        let scratch = Scratch::new("directory");
        let path = scratch.0.join("a/b");
        create_private_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        create_private_directory(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        fs::write(scratch.0.join("file"), "").unwrap();
        assert!(create_private_directory(&scratch.0.join("file")).is_err());
    }
}
