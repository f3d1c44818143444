//! The other end of the control socket: what `koi show` and the other commands use.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::request::{PairingWord, Request, Response};
use super::{sys, sys_process};

/// Where the control sockets of this machine are: `NODE.sock`.
pub const DIRECTORY: &str = "/run/koi";
/// The longest answer: a hundred thousand flows fit.
const ANSWER_MAX: u64 = 256 << 20;
/// The longest piece of a capture.
const CHUNK_MAX: usize = 1 << 20;
/// An answer comes at once, unless the router is being started again or a large configuration is being compiled.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// There is no control socket at all.
    NotRunning(PathBuf),
    /// There are several; somebody has to choose.
    Several(Vec<PathBuf>),
    /// A socket is there, but nobody serves it.
    Abandoned(PathBuf),
    /// It belongs to somebody else.
    NotPermitted(PathBuf),
    /// It does not answer in time.
    Silent(PathBuf),
    /// The router ended before it had answered.
    Died(PathBuf),
    /// Anything else.
    Other(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotRunning(path) => {
                write!(f, "Koi does not run here: there is no control socket at {}.", path.display())
            }
            Error::Several(paths) => {
                let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                write!(f, "Several nodes run here; name one with --control: {}.", names.join(", "))
            }
            Error::Abandoned(path) => write!(
                f,
                "Koi does not run here: nobody serves {}, which an earlier run has left behind.",
                path.display()
            ),
            Error::NotPermitted(path) => {
                write!(f, "Permission denied: only root and the owner of {} may ask.", path.display())
            }
            Error::Silent(path) => {
                write!(
                    f,
                    "No answer from {}: the router is busy, or it is just being restarted.",
                    path.display()
                )
            }
            Error::Died(path) => {
                write!(f, "The router at {} ended before it had answered; try again.", path.display())
            }
            Error::Other(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    fn of(path: &Path, error: io::Error) -> Error {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Error::NotRunning(path),
            io::ErrorKind::ConnectionRefused => Error::Abandoned(path),
            io::ErrorKind::PermissionDenied => Error::NotPermitted(path),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Silent(path),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Error::Died(path)
            }
            _ => Error::Other(path, error),
        }
    }
}

/// A connection for one question.
pub struct Client {
    path: PathBuf,
    stream: UnixStream,
}

impl Client {
    /// Connects to `path`, or to the only control socket of this machine.
    ///
    /// # Errors
    /// When Koi does not run here, or belongs to somebody else.
    pub fn connect(path: Option<&Path>) -> Result<Client, Error> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => only_socket(Path::new(DIRECTORY))?,
        };
        let connect = || {
            let stream = UnixStream::connect(&path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = connect().map_err(|error| Error::of(&path, error))?;
        Ok(Client { path, stream })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask(self, request: &Request) -> Result<Response, Error> {
        self.ask_and_read(request).map_err(|error| Error::of(&self.path, error))
    }

    /// Asks for a capture and writes the pcap file to `out` until it ends; an interrupt from the terminal ends it
    /// properly. Gives the last word of the router.
    ///
    /// # Errors
    /// When the router or `out` fails.
    pub fn capture(self, request: &Request, out: &mut impl Write) -> Result<Response, Error> {
        self.ask_and_copy(request, out).map_err(|error| Error::of(&self.path, error))
    }

    /// Begins a pairing and hears what happens, however long it takes; gives the last word.
    ///
    /// # Errors
    /// When the router ends before it has said it.
    pub fn listen(self, request: &Request, heard: impl FnMut(&PairingWord)) -> Result<Response, Error> {
        self.ask_and_listen(request, heard).map_err(|error| Error::of(&self.path, error))
    }

    fn ask_and_listen(&self, request: &Request, mut heard: impl FnMut(&PairingWord)) -> io::Result<Response> {
        self.say(request)?;
        self.stream.set_read_timeout(None)?;
        let mut reader = BufReader::new(&self.stream);
        loop {
            match read_line(&mut reader)? {
                Response::Pairing(word @ (PairingWord::Offered { .. } | PairingWord::WrongCode { .. })) => {
                    heard(&word)
                }
                last => return Ok(last),
            }
        }
    }

    fn ask_and_read(&self, request: &Request) -> io::Result<Response> {
        self.say(request)?;
        read_line(&mut BufReader::new(&self.stream))
    }

    fn ask_and_copy(&self, request: &Request, out: &mut impl Write) -> io::Result<Response> {
        self.say(request)?;
        let mut reader = BufReader::new(&self.stream);
        match read_line(&mut reader)? {
            Response::Capturing => {}
            other => return Ok(other),
        }
        self.stream.set_read_timeout(None)?;
        self.leave_on_interrupt()?;
        let mut chunk = Vec::new();
        loop {
            let mut len = [0; 4];
            reader.read_exact(&mut len)?;
            let len = u32::from_le_bytes(len) as usize;
            if len == 0 {
                return read_line(&mut reader);
            }
            if len > CHUNK_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is too long"));
            }
            chunk.resize(len, 0);
            reader.read_exact(&mut chunk)?;
            out.write_all(&chunk)?;
        }
    }

    fn say(&self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        (&self.stream).write_all(&line)
    }

    /// On an interrupt, tells the router that we want no more; it then ends the capture with its last word.
    fn leave_on_interrupt(&self) -> io::Result<()> {
        let signals = sys_process::signal_descriptor(&[libc::SIGINT, libc::SIGTERM])?;
        let stream = self.stream.try_clone()?;
        let waiting = move || {
            let mut entry = [sys::PollEntry::readable(signals.as_fd())];
            while matches!(sys::poll(&mut entry, None), Ok(0)) {}
            // When this fails, the connection has ended already.
            let _ = stream.shutdown(Shutdown::Write);
        };
        std::thread::Builder::new().name("interrupt".into()).spawn(waiting).map(drop)
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Response> {
    let mut line = Vec::new();
    reader.take(ANSWER_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the router closed the connection"));
    }
    Ok(serde_json::from_slice(&line)?)
}

/// The only control socket in `directory`.
fn only_socket(directory: &Path) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(directory).map_err(|error| Error::of(directory, error))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut sockets: Vec<PathBuf> =
        paths.filter(|path| path.extension() == Some(OsStr::new("sock"))).collect();
    sockets.sort();
    match sockets.len() {
        0 => Err(Error::NotRunning(directory.to_owned())),
        1 => Ok(sockets.remove(0)),
        _ => Err(Error::Several(sockets)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::files::tests::Scratch;
    use super::*;

    #[test]
    fn every_way_not_to_reach_the_router_has_its_own_words() {
        let scratch = Scratch::new("client");
        let path = scratch.0.join("koi.sock");
        let words = |path: &Path| Client::connect(Some(path)).map(drop).unwrap_err().to_string();
        assert!(words(&path).contains("there is no control socket"));
        drop(UnixListener::bind(&path).unwrap());
        assert!(words(&path).contains("left behind"));
        let denied = Error::of(&path, io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(denied.to_string().contains("only root"));
    }

    #[test]
    fn the_only_socket_is_found_and_two_are_named() {
        let scratch = Scratch::new("sockets");
        assert!(matches!(only_socket(&scratch.0.join("none")), Err(Error::NotRunning(_))));
        assert!(matches!(only_socket(&scratch.0), Err(Error::NotRunning(_))));
        fs::write(scratch.0.join("a.sock"), "").unwrap();
        fs::write(scratch.0.join("note.txt"), "").unwrap();
        assert_eq!(only_socket(&scratch.0).unwrap(), scratch.0.join("a.sock"));
        fs::write(scratch.0.join("b.sock"), "").unwrap();
        let several = only_socket(&scratch.0).unwrap_err().to_string();
        assert!(several.contains("a.sock") && several.contains("b.sock"), "{several}");
    }
}
