//! Work inside another network namespace.
//!
//! A thread belongs to one network namespace, so that work is done in a thread of its own that ends with it; the
//! caller's thread never moves. Descriptors opened there stay in that namespace wherever they are used.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::sys;

/// Where `ip netns` keeps its names.
pub const NAMES: &str = "/run/netns";

/// True when the open namespace is the one called `name`; without a name, when it is the caller's own.
///
/// # Errors
/// When there is no namespace of that name, or it may not be looked at.
pub fn is(namespace: &File, name: Option<&str>) -> io::Result<bool> {
    let path = match name {
        Some(name) => Path::new(NAMES).join(name),
        None => Path::new("/proc/thread-self/ns/net").into(),
    };
    let (one, other) = (namespace.metadata()?, std::fs::metadata(path)?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Runs `work` in the network namespace called `name`; in the caller's own when there is no name.
///
/// # Errors
/// When there is no such namespace, when it may not be entered, and whatever `work` fails with.
pub fn within<T: Send>(name: Option<&str>, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let Some(name) = name else { return work() };
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is no namespace name")));
    }
    let namespace = File::open(Path::new(NAMES).join(name))
        .map_err(|error| io::Error::new(error.kind(), format!("network namespace \"{name}\": {error}")))?;
    inside(&namespace, work)
}

/// Runs `work` in an open network namespace.
///
/// # Errors
/// When the namespace may not be entered, and whatever `work` fails with.
pub fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, move || {
            sys::enter_network_namespace(namespace.as_fd())?;
            work()
        })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_paths_and_names_that_do_not_exist_are_refused() {
        for bad in ["", ".", "..", "../1/ns/net", "a\0b", "koi-test-no-such-namespace"] {
            assert!(within(Some(bad), || Ok(())).is_err(), "{bad}");
        }
        assert_eq!(within(None, || Ok(7)).unwrap(), 7);
    }
}
