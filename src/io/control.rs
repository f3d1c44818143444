//! The control socket: a Unix stream socket of mode 0600, one question a connection.
//!
//! The file's mode keeps others out; the peer's credentials are checked as well, because a descriptor may be
//! handed around. Everything is bounded: connections, the length of a question, the time that it may take.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::capture::{self, PcapWriter};
use super::pairing::Listening;
use super::request::{PairingWord, Request, Response};
use super::{sys, sys_process};

/// Connections at a time, captures included.
const CONNECTIONS_MAX: usize = 16;
/// The longest question: a whole document, and what JSON makes of it.
const REQUEST_MAX: u64 = 80 << 20;
/// How long a peer may take to ask, or to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a quiet capture looks whether its reader is still there.
const LOOK: Duration = Duration::from_millis(200);

/// What a question leads to.
pub enum Answer {
    /// One line.
    Reply(Response),
    /// A stream of frames, at most `count`.
    Capture {
        /// Where the frames come from.
        source: capture::Source,
        /// Ends after so many.
        count: Option<u64>,
    },
    /// One line for each thing that happens.
    Pairing(Listening),
}

/// Whoever knows the answers; called in a thread of the connection and allowed to wait.
pub type Answering = dyn Fn(Request) -> Answer + Send + Sync;

/// Serves `listener` in threads of its own until the process ends. Root and the user `owner` may ask.
///
/// # Errors
/// When no thread can be started.
pub fn serve(listener: UnixListener, owner: u32, answering: Arc<Answering>) -> io::Result<()> {
    let serving = move || {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => accept(stream, owner, &answering, &open),
                Err(error) => tracing::warn!(%error, "control socket"),
            }
        }
    };
    std::thread::Builder::new().name("control".into()).spawn(serving).map(drop)
}

/// Counts a connection while it lives.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn accept(mut stream: UnixStream, owner: u32, answering: &Arc<Answering>, open: &Arc<AtomicUsize>) {
    let busy = open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX;
    let place = Place(Arc::clone(open));
    if busy {
        // The refusal fits the socket's buffer, so this does not wait.
        let _ = reply(&mut stream, &Response::Failed("too many connections to the control socket".into()));
        return;
    }
    let answering = Arc::clone(answering);
    let serving = move || {
        let _place = place;
        if let Err(error) = converse(stream, owner, &*answering) {
            tracing::debug!(%error, "control connection");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("control-client".into()).spawn(serving) {
        tracing::warn!(%error, "control connection");
    }
}

fn converse(mut stream: UnixStream, owner: u32, answering: &Answering) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = sys_process::peer(stream.as_fd())?;
    if peer.uid != 0 && peer.uid != owner {
        tracing::warn!(uid = peer.uid, pid = peer.pid, "refused on the control socket");
        return reply(&mut stream, &Response::Failed("only root and the owner of the router may ask".into()));
    }
    let mut line = String::new();
    BufReader::new(&stream).take(REQUEST_MAX).read_line(&mut line)?;
    if line.len() as u64 == REQUEST_MAX {
        let limit = REQUEST_MAX >> 20;
        return reply(&mut stream, &Response::Failed(format!("a request may be {limit} MiB long at most")));
    }
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => return reply(&mut stream, &Response::Failed(format!("not a request: {error}"))),
    };
    match answering(request) {
        Answer::Reply(response) => reply(&mut stream, &response),
        Answer::Pairing(listening) => tell_pairing(&mut stream, &listening),
        Answer::Capture { source, count } => {
            reply(&mut stream, &Response::Capturing)?;
            let frames = stream_capture(&stream, &source, count)?;
            stream.write_all(&0u32.to_le_bytes())?;
            reply(&mut stream, &Response::Captured { frames, missed: source.missed() })
        }
    }
}

fn reply(stream: &mut UnixStream, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Tells what happens until it is over; a listener who leaves before withdraws it.
fn tell_pairing(stream: &mut UnixStream, listening: &Listening) -> io::Result<()> {
    loop {
        match listening.words.recv_timeout(LOOK) {
            Ok(word) => {
                let goes_on = matches!(
                    word,
                    Response::Pairing(PairingWord::Offered { .. } | PairingWord::WrongCode { .. })
                );
                let told = reply(stream, &word);
                if told.is_err() && goes_on {
                    listening.withdraw();
                }
                if told.is_err() || !goes_on {
                    return told;
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                if reader_is_done(stream)? {
                    listening.withdraw();
                    return Ok(());
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                return reply(stream, &Response::Failed("another pairing has been begun".into()));
            }
        }
    }
}

/// Writes frames until there are enough of them, the packet path ends, or the reader wants no more.
fn stream_capture(stream: &UnixStream, source: &capture::Source, count: Option<u64>) -> io::Result<u64> {
    let chunks = BufWriter::with_capacity(64 << 10, Chunks(stream));
    let mut writer = PcapWriter::new(chunks, capture::wall_offset())?;
    writer.flush()?;
    let mut written = 0;
    while count.is_none_or(|count| written < count) {
        // Whatever waits is written in one go; only then is the reader served and looked at.
        let frame = match source.frames.try_recv() {
            Ok(frame) => Ok(frame),
            Err(_) => {
                writer.flush()?;
                if reader_is_done(stream)? {
                    break;
                }
                source.frames.recv_timeout(LOOK)
            }
        };
        match frame {
            Ok(frame) => {
                writer.write(frame.at, &frame.bytes)?;
                written += 1;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    writer.flush()?;
    Ok(written)
}

/// The reader has closed its end, or has anything more to say.
fn reader_is_done(stream: &UnixStream) -> io::Result<bool> {
    let mut entry = [sys::PollEntry::readable(stream.as_fd())];
    sys::poll(&mut entry, Some(Duration::ZERO)).map(|ready| ready > 0)
}

/// Puts a length in front of every piece.
struct Chunks<'a>(&'a UnixStream);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.write_all(&(bytes.len() as u32).to_le_bytes())?;
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::control_client::Client;
    use super::super::files::tests::Scratch;
    use super::*;
    use crate::types::Instant;

    fn start(
        name: &str,
        owner: u32,
        answering: impl Fn(Request) -> Answer + Send + Sync + 'static,
    ) -> Scratch {
        let scratch = Scratch::new(name);
        let listener = UnixListener::bind(scratch.0.join("koi.sock")).unwrap();
        serve(listener, owner, Arc::new(answering)).unwrap();
        scratch
    }

    fn client(scratch: &Scratch) -> Client {
        Client::connect(Some(&scratch.0.join("koi.sock"))).unwrap()
    }

    #[test]
    fn questions_are_answered_and_nonsense_is_refused() {
        let me = sys_process::effective_user();
        let scratch = start("control", me, |request| {
            Answer::Reply(match request {
                Request::Kill { filter } => Response::Killed { count: filter.id.unwrap_or(0) },
                _ => Response::Failed("no".into()),
            })
        });
        let filter = super::super::request::FlowFilter { id: Some(7), ..Default::default() };
        let answer = client(&scratch).ask(&Request::Kill { filter }).unwrap();
        assert!(matches!(answer, Response::Killed { count: 7 }), "{answer:?}");
        for nonsense in [&b"\n"[..], b"{}\n", b"\xff\n", &[b'x'; 70_000]] {
            let mut stream = UnixStream::connect(scratch.0.join("koi.sock")).unwrap();
            let _ = stream.write_all(nonsense);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer);
            assert!(read.is_err() || answer.is_empty() || answer.contains("not a request"), "{answer}");
        }
    }

    #[test]
    fn other_users_are_refused() {
        if sys_process::effective_user() == 0 {
            return; // Root may ask anyway; the namespace tests ask as somebody else.
        }
        let scratch = start("strangers", u32::MAX, |_| Answer::Reply(Response::Killed { count: 1 }));
        let answer = client(&scratch).ask(&Request::Status).unwrap();
        assert!(matches!(answer, Response::Failed(_)), "{answer:?}");
    }

    #[test]
    fn a_capture_is_a_pcap_file_and_ends_after_its_count() {
        let me = sys_process::effective_user();
        let scratch = start("capture", me, |request| {
            let Request::Capture { filter, count, .. } = request else {
                return Answer::Reply(Response::Failed("no".into()));
            };
            let (mut sink, source) = capture::channel(filter.parse().unwrap());
            std::thread::spawn(move || while sink.offer(Instant::from_secs(1), &[7; 100]) {});
            Answer::Capture { source, count }
        });
        let mut file = Vec::new();
        let request = Request::Capture { interface: "wan".into(), filter: String::new(), count: Some(3) };
        let end = client(&scratch).capture(&request, &mut file).unwrap();
        assert!(matches!(end, Response::Captured { frames: 3, .. }), "{end:?}");
        assert_eq!(file.len(), 24 + 3 * 116);
    }

    #[test]
    fn a_quiet_capture_ends_when_its_reader_leaves() {
        let (dropped, gone) = std::sync::mpsc::channel();
        let me = sys_process::effective_user();
        let scratch = start("quiet", me, move |_| {
            let (mut sink, source) = capture::channel("arp".parse().unwrap());
            let dropped = dropped.clone();
            let mut arp = vec![0; 60];
            arp[12..14].copy_from_slice(&[8, 6]);
            std::thread::spawn(move || {
                while sink.offer(Instant::ZERO, &arp) {
                    std::thread::yield_now();
                }
                let _ = dropped.send(());
            });
            Answer::Capture { source, count: None }
        });
        let mut stream = UnixStream::connect(scratch.0.join("koi.sock")).unwrap();
        stream.write_all(b"{\"capture\":{\"interface\":\"wan\",\"filter\":\"\",\"count\":null}}\n").unwrap();
        let mut some = [0; 64];
        stream.read_exact(&mut some).unwrap();
        drop(stream);
        gone.recv_timeout(PATIENCE).unwrap();
    }
}
