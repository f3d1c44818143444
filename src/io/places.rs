//! The parent's places in the file system: state directory, lock, control socket.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::privilege::Account;
use super::{control_client, files, sys_process};

/// Where state directories are, by node.
pub const STATE_DIRECTORY: &str = "/var/lib/koi";

/// How long a process that was killed may take to let go of its sockets.
const LAST_BREATH: Duration = Duration::from_millis(500);

/// What the parent holds in the file system; the socket goes away with this value.
#[derive(Debug)]
pub struct Places {
    /// The state directory.
    pub state: PathBuf,
    /// Path of the control socket.
    pub control: PathBuf,
    /// The control socket.
    pub listener: UnixListener,
    /// Whom the router becomes, when there is somebody.
    pub account: Option<Account>,
    /// Held for as long as this node runs on this machine.
    lock: File,
}

impl Places {
    /// Makes and takes them for the node; the usual ones where none are named.
    ///
    /// # Errors
    /// When they cannot be made, or when another process holds them.
    pub fn take(state: Option<&Path>, control: Option<&Path>, node: &str) -> anyhow::Result<Places> {
        let state = state.map_or_else(|| Path::new(STATE_DIRECTORY).join(node), Path::to_owned);
        files::create_private_directory(&state)
            .with_context(|| format!("the state directory {} cannot be made", state.display()))?;
        let state = state.canonicalize().with_context(|| state.display().to_string())?;
        let lock = lock(&state)?;
        let account = Account::for_router().filter(|account| give_to(&state, *account));
        let usual = || Path::new(control_client::DIRECTORY).join(format!("{node}.sock"));
        let control = control.map_or_else(usual, Path::to_owned);
        let listener = bind(&control)
            .with_context(|| format!("the control socket {} cannot be made", control.display()))?;
        Ok(Places { state, control, listener, account, lock })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.control);
        // A process that is just being started has a copy of every descriptor until it executes its program, and would
        // hold the lock for as long.
        let _ = self.lock.unlock();
    }
}

/// One node has one state directory, and the other way round.
fn lock(state: &Path) -> anyhow::Result<File> {
    let lock = File::open(state).with_context(|| state.display().to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another Koi runs with the state directory {}", state.display())
        }
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| state.display().to_string()),
    }
}

/// Gives the state directory and what is in it to the router's account; false when there is no such user here, as
/// in a user namespace.
fn give_to(state: &Path, account: Account) -> bool {
    let give = |path: &Path| chown(path, Some(account.uid), Some(account.gid));
    let inside = fs::read_dir(state).into_iter().flatten().flatten();
    let regular = inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    match give(state).and_then(|()| regular.map(|entry| entry.path()).try_for_each(|path| give(&path))) {
        Ok(()) => true,
        Err(error) => {
            tracing::info!(%error, uid = account.uid, "the router keeps this user: there is no other here");
            false
        }
    }
}

/// Binds the control socket with mode 0600. We hold the lock of the state directory, so a socket that nobody
/// answers was left behind.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
    }
    let bind = || sys_process::with_umask(0o177, || UnixListener::bind(path));
    let listener = match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            bind()?
        }
        result => result?,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A socket that nobody serves. Connecting to a file of another kind is refused in the same way.
fn is_abandoned(path: &Path) -> bool {
    let socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    socket
        && UnixStream::connect(path)
            .map_or_else(|error| error.kind() == io::ErrorKind::ConnectionRefused, is_closed)
}

/// The one who listened ends: a process that was killed lets go of its lock a moment before its sockets. One who lives
/// waits for our question and closes nothing.
fn is_closed(mut stream: UnixStream) -> bool {
    stream.set_read_timeout(Some(LAST_BREATH)).is_ok()
        && match stream.read(&mut [0]) {
            Ok(answered) => answered == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;

    use super::super::files::tests::Scratch;
    use super::*;

    #[test]
    fn a_node_runs_once_and_leaves_no_socket() {
        let scratch = Scratch::new("places");
        let (state, control) = (scratch.0.join("state"), scratch.0.join("run/koi.sock"));
        let take = || Places::take(Some(&state), Some(&control), "koi");
        let places = take().unwrap();
        assert_eq!(fs::metadata(&control).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(take().unwrap_err().to_string().contains("another Koi"));
        let elsewhere = Places::take(Some(&scratch.0.join("other")), Some(&control), "koi");
        assert!(format!("{:#}", elsewhere.unwrap_err()).contains("in use"));
        drop(places);
        assert!(!control.exists());
        // What a killed process leaves behind is taken over. Shut down, so that it is dead even while a process that
        // another test starts has a copy of it.
        let left = UnixStream::from(OwnedFd::from(UnixListener::bind(&control).unwrap()));
        left.shutdown(Shutdown::Both).unwrap();
        drop(left);
        drop(take().unwrap());
        // Also when it lets go of it while we ask.
        let dying = UnixListener::bind(&control).unwrap();
        let end = std::thread::spawn(move || {
            let asked = dying.accept().unwrap();
            UnixStream::from(OwnedFd::from(dying)).shutdown(Shutdown::Both).unwrap();
            asked.0.shutdown(Shutdown::Both).unwrap();
        });
        drop(take().unwrap());
        end.join().unwrap();
        // Something else is not.
        fs::write(&control, "a document").unwrap();
        assert!(take().is_err());
        assert_eq!(fs::read(&control).unwrap(), b"a document");
    }
}
