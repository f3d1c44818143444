//! What the hosts of the lab try: TCP, UDP and ICMP of the kernel, from inside their namespaces.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::services::{BYTES, NANOS, PEER, read_head};
use crate::io::{clock, echo_socket};

/// How long an answer may take that should come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long silence must last to be called so. A lost packet is no answer either, so the router must also have
/// counted the refusal.
const SILENCE: Duration = Duration::from_millis(700);
/// How often UDP and ICMP are sent again.
const TRIES: u32 = 5;
/// What each transfer takes.
const TRANSFER: Duration = Duration::from_millis(1000);

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Our end, as we see it: the flow's source in the router's table.
    pub local: SocketAddr,
    /// Our end, as the other side sees it; ICMP cannot say.
    pub seen_as: Option<SocketAddr>,
    /// From the first packet to the answer.
    pub round_trip: Duration,
    /// Bytes that arrived, and in which time.
    pub moved: Option<(u64, Duration)>,
}

/// What to try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Asks the HTTP server whom it sees.
    Tcp,
    /// Only connects.
    Connect,
    /// Sends a datagram and gets back whom the other side sees.
    Udp,
    /// Asks for an echo.
    Ping,
    /// Sends as much as possible for a second.
    Upload,
    /// Receives as much as possible for a second.
    Download,
}

impl Probe {
    /// Tries it in this thread's network namespace, and expects an answer.
    ///
    /// # Errors
    /// When none comes.
    pub fn run(self, to: SocketAddr) -> io::Result<Answer> {
        match self {
            Probe::Tcp => transfer("GET / HTTP/1.1\r\n", to, nothing),
            Probe::Connect => {
                let (stream, round_trip) = connect(to, PATIENCE)?;
                Ok(Answer { local: stream.local_addr()?, seen_as: None, round_trip, moved: None })
            }
            Probe::Udp => datagram(to, TRIES, Duration::from_secs(1)),
            Probe::Ping => ping(to.ip(), TRIES, Duration::from_secs(1)),
            Probe::Upload => transfer("POST /upload HTTP/1.1\r\n", to, upload),
            Probe::Download => transfer("GET /download HTTP/1.1\r\n", to, download),
        }
    }

    /// Tries it in this thread's network namespace, and expects silence or a refusal; gives our end.
    ///
    /// # Errors
    /// When there is an answer, or when it cannot be tried at all.
    pub fn run_in_vain(self, to: SocketAddr) -> io::Result<()> {
        let answered = match self {
            Probe::Tcp | Probe::Connect | Probe::Upload | Probe::Download => connect(to, SILENCE).map(drop),
            Probe::Udp => datagram(to, 1, SILENCE).map(drop),
            Probe::Ping => ping(to.ip(), 1, SILENCE).map(drop),
        };
        match answered {
            Ok(()) => Err(io::Error::other("there was an answer")),
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused => {
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }
}

fn connect(to: SocketAddr, limit: Duration) -> io::Result<(TcpStream, Duration)> {
    let begin = clock::now();
    let stream = TcpStream::connect_timeout(&to, limit)?;
    let round_trip = clock::now().since(begin);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok((stream, round_trip))
}

/// What happens after the head of a request; gives what was received.
type Body = fn(&TcpStream) -> io::Result<(u64, Duration)>;

fn nothing(_: &TcpStream) -> io::Result<(u64, Duration)> {
    Ok((0, Duration::ZERO))
}

fn transfer(request: &str, to: SocketAddr, body: Body) -> io::Result<Answer> {
    let (mut stream, round_trip) = connect(to, PATIENCE)?;
    let local = stream.local_addr()?;
    stream.write_all(format!("{request}Host: {to}\r\n\r\n").as_bytes())?;
    // A download begins with the answer, an upload ends with it.
    let is_download = request.starts_with("GET /download");
    let early = if is_download { Some(read_head(&stream)?) } else { None };
    let (mut bytes, mut time) = body(&stream)?;
    let head = match early {
        Some(head) => head,
        None => read_head(&stream)?,
    };
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let number = |name| field(name).and_then(|value| value.parse::<u64>().ok());
    if let (Some(received), Some(nanos)) = (number(BYTES), number(NANOS)) {
        (bytes, time) = (received, Duration::from_nanos(nanos));
    }
    let seen_as = field(PEER).and_then(|peer| peer.parse().ok());
    let moved = (bytes > 0).then_some((bytes, time));
    Ok(Answer { local, seen_as, round_trip, moved })
}

fn upload(mut stream: &TcpStream) -> io::Result<(u64, Duration)> {
    let block = vec![0x6f; 256 << 10];
    let begin = clock::now();
    while clock::now().since(begin) < TRANSFER {
        stream.write_all(&block)?;
    }
    stream.shutdown(Shutdown::Write)?;
    Ok((0, Duration::ZERO))
}

fn download(mut stream: &TcpStream) -> io::Result<(u64, Duration)> {
    let mut block = vec![0; 256 << 10];
    let begin = clock::now();
    let mut bytes = 0;
    while clock::now().since(begin) < TRANSFER {
        match stream.read(&mut block)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download ended early")),
            len => bytes += len as u64,
        }
    }
    Ok((bytes, clock::now().since(begin)))
}

fn datagram(to: SocketAddr, tries: u32, patience: Duration) -> io::Result<Answer> {
    let any: IpAddr = if to.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    let mut block = [0; 2048];
    let (len, round_trip) = ask(&socket, b"whom do you see?", &mut block, tries, patience)?;
    let seen_as = std::str::from_utf8(&block[..len]).ok().and_then(|text| text.parse().ok());
    Ok(Answer { local: socket.local_addr()?, seen_as, round_trip, moved: None })
}

fn ping(to: IpAddr, tries: u32, patience: Duration) -> io::Result<Answer> {
    let socket = echo_socket::open(to.is_ipv6())?;
    socket.connect((to, 0))?;
    // Type, code, checksum and identifier (the kernel's), sequence number, payload.
    let kind = if to.is_ipv6() { 128 } else { 8 };
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(&[0x6b; 48]);
    let mut block = [0; 2048];
    let (len, round_trip) = ask(&socket, &message, &mut block, tries, patience)?;
    if block[..len].get(8..) != message.get(8..) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the echo is not what was sent"));
    }
    Ok(Answer { local: socket.local_addr()?, seen_as: None, round_trip, moved: None })
}

fn ask(
    socket: &UdpSocket,
    question: &[u8],
    answer: &mut [u8],
    tries: u32,
    patience: Duration,
) -> io::Result<(usize, Duration)> {
    socket.set_read_timeout(Some(patience))?;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..tries {
        let begin = clock::now();
        match socket.send(question).and_then(|_| socket.recv(answer)) {
            Ok(len) => return Ok((len, clock::now().since(begin))),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn silence_and_refusal_are_told_from_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        assert!(Probe::Connect.run(to).is_ok());
        assert!(Probe::Connect.run_in_vain(to).is_err(), "there is an answer");
        drop(listener);
        assert!(Probe::Connect.run(to).is_err());
        assert!(Probe::Connect.run_in_vain(to).is_ok(), "refused");
        let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Probe::Udp.run_in_vain(mute.local_addr().unwrap()).is_ok(), "silent");
    }
}
