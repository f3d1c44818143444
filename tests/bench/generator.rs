//! Small UDP packets, fast: a sender and a sink with sequence numbers, for `tests/bench/run`.
//!
//! ```text
//! generator send TO SECONDS SIZE          one flow of packets of SIZE bytes
//! generator open TO-NETWORK COUNT         COUNT new flows, one packet each: other destinations, other sources
//! generator sink PORT                     counts what arrives; prints one JSON object after a second of silence
//! generator echo PORT                     sends everything back
//! generator ping TO COUNT                 one packet in flight; prints percentiles of the round trip
//! ```

#![allow(unsafe_code, reason = "sendmmsg and recvmmsg have no safe form in the standard library")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring tool: it prints, and ends when it cannot go on"
)]
#![allow(clippy::disallowed_methods, reason = "it measures the real time")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Packets of one system call.
const BATCH: usize = 64;
/// Sources of new flows: so many addresses of the client.
const SOURCES: u32 = 256;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["send", to, seconds, size] => {
            send(to.parse().unwrap(), seconds.parse().unwrap(), size.parse().unwrap())
        }
        ["open", to, count] => open(to.parse().unwrap(), count.parse().unwrap()),
        ["sink", port] => sink(port.parse().unwrap()),
        ["echo", port] => echo(port.parse().unwrap()),
        ["ping", to, count] => ping(to.parse().unwrap(), count.parse().unwrap()),
        // `cargo bench` runs every bench target: there is nothing to measure without words.
        [] => {}
        _ => panic!("generator: {words:?}"),
    }
}

/// A batch of packets, ready for sendmmsg.
struct Batch {
    bytes: Vec<[u8; 2048]>,
    to: Vec<libc::sockaddr_in>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

impl Batch {
    fn new(size: usize) -> Box<Self> {
        // SAFETY: all of these are plain C structures for which zero is a value.
        let (address, message) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut batch = Box::new(Batch {
            bytes: vec![[0; 2048]; BATCH],
            to: vec![address; BATCH],
            parts: Vec::with_capacity(BATCH),
            messages: vec![message; BATCH],
        });
        for index in 0..BATCH {
            let base = batch.bytes[index].as_mut_ptr().cast();
            batch.parts.push(libc::iovec { iov_base: base, iov_len: size });
        }
        for index in 0..BATCH {
            let part: *mut libc::iovec = &mut batch.parts[index];
            let to: *mut libc::sockaddr_in = &mut batch.to[index];
            let header = &mut batch.messages[index].msg_hdr;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_name = to.cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        batch
    }

    fn set(&mut self, index: usize, to: SocketAddrV4, sequence: u64) {
        self.bytes[index][..8].copy_from_slice(&sequence.to_be_bytes());
        let address = &mut self.to[index];
        address.sin_family = libc::AF_INET as u16;
        address.sin_port = to.port().to_be();
        address.sin_addr.s_addr = u32::from(*to.ip()).to_be();
    }

    /// Sends the first `count`; what the kernel refuses is gone.
    fn send(&mut self, socket: &UdpSocket, count: usize) {
        // SAFETY: `messages` points into `parts`, `to` and `bytes`, which live as long and do not move.
        unsafe { libc::sendmmsg(socket.as_raw_fd(), self.messages.as_mut_ptr(), count as u32, 0) };
    }

    /// Receives some; waits for the first as long as the socket's time-out says.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        for part in &mut self.parts {
            part.iov_len = 2048;
        }
        // SAFETY: as in `send`; the kernel writes no more than `iov_len` bytes into each buffer.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        count.max(0) as usize
    }
}

fn large_buffers(socket: &UdpSocket) {
    let size: libc::c_int = 32 << 20;
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        // SAFETY: the option's value is an int, and its length is given.
        unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const size).cast(), 4);
        }
    }
}

fn send(to: SocketAddrV4, seconds: f64, size: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    large_buffers(&socket);
    let mut batch = Batch::new(size.max(8));
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut sequence = 0;
    while Instant::now() < end {
        for index in 0..BATCH {
            batch.set(index, to, sequence);
            sequence += 1;
        }
        batch.send(&socket, BATCH);
    }
    println!(r#"{{"sent":{sequence}}}"#);
}

fn open(to: SocketAddrV4, count: u32) {
    let first = u32::from(Ipv4Addr::new(192, 168, 128, 1));
    let sockets: Vec<UdpSocket> = (0..SOURCES)
        .map(|index| {
            let socket = UdpSocket::bind((Ipv4Addr::from(first + index), 0)).unwrap();
            large_buffers(&socket);
            socket
        })
        .collect();
    let mut batch = Batch::new(18);
    let begin = Instant::now();
    let mut sequence = 0u32;
    while sequence < count {
        let socket = &sockets[(sequence as usize / BATCH) % sockets.len()];
        for index in 0..BATCH {
            let to = SocketAddrV4::new(Ipv4Addr::from(u32::from(*to.ip()) + sequence), to.port());
            batch.set(index, to, u64::from(sequence));
            sequence += 1;
        }
        batch.send(socket, BATCH);
    }
    println!(r#"{{"sent":{sequence},"seconds":{:.4}}}"#, begin.elapsed().as_secs_f64());
}

fn sink(port: u16) {
    let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    large_buffers(&socket);
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut batch = Batch::new(2048);
    let (mut received, mut reordered, mut next) = (0u64, 0u64, 0u64);
    let (mut first, mut last) = (None, Instant::now());
    loop {
        let count = batch.receive(&socket);
        if count == 0 {
            // Silence: before the first packet it only means that nobody has begun.
            if first.is_some() {
                break;
            }
            continue;
        }
        last = Instant::now();
        first.get_or_insert(last);
        for bytes in &batch.bytes[..count] {
            let sequence = u64::from_be_bytes(bytes[..8].try_into().unwrap());
            reordered += u64::from(sequence < next);
            next = next.max(sequence + 1);
            received += 1;
        }
    }
    let seconds = last.duration_since(first.unwrap_or(last)).as_secs_f64();
    let lost = next.saturating_sub(received);
    println!(r#"{{"received":{received},"lost":{lost},"reordered":{reordered},"seconds":{seconds:.4}}}"#);
}

fn echo(port: u16) {
    let socket = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let mut buffer = [0; 2048];
    while let Ok((count, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&buffer[..count], from).unwrap();
    }
}

fn ping(to: SocketAddr, count: usize) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 64];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        socket.send(&[0; 18]).unwrap();
        if socket.recv(&mut buffer).is_ok() {
            times.push(begin.elapsed());
        }
    }
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    let lost = count - times.len();
    println!(r#"{{"p50":{:.2},"p99":{:.2},"lost":{lost}}}"#, at(0.5), at(0.99));
}
