//! What the hosts of the lab serve: a small HTTP server that says whom it sees, and a UDP port that does the same.
//!
//! `GET /` says whom the server sees, `GET /download` sends until the client has enough, `POST /upload` counts until
//! the client has ended. Every answer names the peer in the header `X-Peer`. `curl` works as well as our probes.
//!
//! Invariant: at most [`CONNECTIONS`] connections at a time and host, each with time limits.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::network::namespace;
use crate::io::{clock, netns};

/// Where the HTTP server listens.
pub const TCP_PORT: u16 = 80;
/// Where the UDP port is.
pub const UDP_PORT: u16 = 7;
/// The header that names the peer.
pub const PEER: &str = "X-Peer";
/// The header that says how many bytes an upload had.
pub const BYTES: &str = "X-Bytes";
/// The header that says how many nanoseconds an upload took, from its first byte to its end.
pub const NANOS: &str = "X-Nanoseconds";

/// Connections at a time and host.
const CONNECTIONS: usize = 64;
/// The longest request head.
const HEAD_MAX: usize = 8192;
/// How long a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest transfer.
const TRANSFER_LIMIT: Duration = Duration::from_secs(60);

/// Starts the services of a host; they end with the process.
///
/// # Errors
/// When the ports cannot be had.
pub fn start(host: &str) -> io::Result<()> {
    // Sockets stay in the namespace in which they were made; so do those that they accept.
    let (listener, socket) = netns::within(Some(&namespace(host)), || {
        let any = Ipv6Addr::UNSPECIFIED;
        Ok((TcpListener::bind((any, TCP_PORT))?, UdpSocket::bind((any, UDP_PORT))?))
    })?;
    let host = host.to_owned();
    let says = host.clone();
    thread::Builder::new().name(format!("{host}-tcp")).spawn(move || accept(&listener, &says))?;
    thread::Builder::new().name(format!("{host}-udp")).spawn(move || answer_datagrams(&socket))?;
    Ok(())
}

fn accept(listener: &TcpListener, host: &str) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (counter, host) = (Arc::clone(&open), host.to_owned());
        let serve = move || {
            // A peer that goes away in the middle is its own affair.
            let _ = serve(&stream, &host);
            counter.fetch_sub(1, Ordering::Relaxed);
        };
        if thread::Builder::new().name("connection".into()).spawn(serve).is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// IPv4 peers as such, although the socket is an IPv6 one.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn serve(stream: &TcpStream, host: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = canonical(stream.peer_addr()?);
    let head = read_head(stream)?;
    match head.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["GET", "/download"] => {
            respond(stream, peer, "", "")?;
            send_until_enough(stream)
        }
        ["POST", "/upload"] => {
            let (bytes, nanos) = receive_until_end(stream)?;
            respond(stream, peer, &format!("{BYTES}: {bytes}\r\n{NANOS}: {nanos}\r\n"), "")
        }
        _ => respond(stream, peer, "", &format!("This is {host}; I see you as {peer}.\n")),
    }
}

/// The head of a request or an answer, up to the empty line.
pub fn read_head(mut stream: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_MAX || stream.read(&mut byte)? == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP"));
        }
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn respond(mut stream: &TcpStream, peer: SocketAddr, more: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n{PEER}: {peer}\r\n{more}\r\n"
    );
    stream.write_all((head + body).as_bytes())
}

fn send_until_enough(mut stream: &TcpStream) -> io::Result<()> {
    let begin = clock::now();
    let block = vec![0x6b; 256 << 10];
    while clock::now().since(begin) < TRANSFER_LIMIT {
        match stream.write(&block) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    stream.shutdown(Shutdown::Write)
}

fn receive_until_end(mut stream: &TcpStream) -> io::Result<(u64, u128)> {
    let begin = clock::now();
    let mut block = vec![0; 256 << 10];
    let mut bytes = 0;
    while clock::now().since(begin) < TRANSFER_LIMIT {
        match stream.read(&mut block)? {
            0 => break,
            len => bytes += len as u64,
        }
    }
    Ok((bytes, clock::now().since(begin).as_nanos()))
}

fn answer_datagrams(socket: &UdpSocket) {
    let mut block = [0; 2048];
    // An error of this socket is about one peer (nobody listens there any more), not about the next.
    let mut errors = 0;
    while errors < 1000 {
        match socket.recv_from(&mut block) {
            Ok((_, peer)) => {
                errors = 0;
                let _ = socket.send_to(canonical(peer).to_string().as_bytes(), peer);
            }
            Err(_) => errors += 1,
        }
    }
}
