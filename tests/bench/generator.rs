//! The traffic of the bench: sends small UDP packets as fast as one thread can, receives them, counts what is missing
//! and what is out of order, and measures round trips. One command a run; the answer is one JSON object on standard
//! output.
//!
//! * `send`: packets with an 18-byte payload (tag, flow, sequence number) from a raw socket, so that every packet may
//!   have addresses and ports of its own. With `--syn 1` they are the SYNs of as many connections instead.
//! * `receive`: says `ready`, counts the packets with its tag until standard input is closed and nothing comes any
//!   more.
//! * `sink`: takes packets of a port and looks at none.
//! * `echo` and `pingpong`: one datagram there and back, again and again.
//! * `wire`: two of Koi's ports and no router: what comes into one goes out of the other as it is.

#![allow(
    unsafe_code,
    reason = "sendmmsg and recvmmsg are not in the standard library; every block says why it is sound"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends at once")]

use std::collections::HashMap;
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use koi::config::model::Driver;
use koi::io::clock;
use koi::io::poller::Poller;
use koi::io::port::{Batches, Device, Port, Spec, Waiting};
use koi::types::PortId;
use koi::wire::Pool;

/// Packets in one system call.
const BATCH: usize = 64;
/// IP header, UDP header, payload.
const LEN: usize = 20 + 8 + PAYLOAD;
/// IP header, TCP header with an MSS option.
const SYN_LEN: usize = 20 + 24;
/// Tag (2), flow (8), sequence number (8).
const PAYLOAD: usize = 18;
/// How long nothing must have come before the receiver believes that nothing will.
const QUIET: Duration = Duration::from_millis(200);
/// The most flows that are told apart.
const FLOWS_MAX: u64 = 1 << 25;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(command) = words.next() else {
        println!("0 passed, 0 failed (commands: send, receive, sink, echo, pingpong, wire)");
        return;
    };
    let rest: Vec<String> = words.collect();
    let options: HashMap<String, String> = rest
        .chunks_exact(2)
        .map(|pair| (pair[0].trim_start_matches("--").to_owned(), pair[1].clone()))
        .collect();
    let options = Options(options);
    match command.as_str() {
        "send" => send(&options),
        "receive" => receive(&options),
        "sink" => sink(&options),
        "echo" => echo(&options),
        "pingpong" => pingpong(&options),
        "wire" => wire(&options),
        other => panic!("no command {other}"),
    }
}

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn get<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name).map(|text| text.parse().unwrap_or_else(|_| panic!("--{name} {text} makes no sense")))
    }

    fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.get(name).unwrap_or(otherwise)
    }
}

/// Addresses and ports of the flow `flow`: a source among `sources` addresses from `first` on, and one of
/// `destinations` addresses.
struct Plan {
    first: u32,
    sources: u64,
    to: u32,
    destinations: u64,
    port: u16,
}

impl Plan {
    fn write(&self, flow: u64, packet: &mut [u8]) -> Ipv4Addr {
        // Spread like the flows of many hosts, without any order that a hash could like or dislike.
        let mixed = (flow + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let source = self.first + (flow % self.sources) as u32;
        let to = self.to + ((flow / self.sources + flow) % self.destinations) as u32;
        let source_port = 1024 + (mixed % 64_000) as u16;
        packet[12..16].copy_from_slice(&source.to_be_bytes());
        packet[16..20].copy_from_slice(&to.to_be_bytes());
        packet[20..22].copy_from_slice(&source_port.to_be_bytes());
        packet[22..24].copy_from_slice(&self.port.to_be_bytes());
        Ipv4Addr::from(to)
    }
}

/// The sum of 16-bit words, not folded.
fn words(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Fills in the checksum of UDP; that of IP is the kernel's on such a socket.
fn seal(packet: &mut [u8]) {
    packet[26..28].fill(0);
    let sum = words(&packet[12..20]) + 17 + (8 + PAYLOAD as u32) + words(&packet[20..LEN]);
    let checksum = match folded(sum) {
        0 => 0xffff,
        other => other,
    };
    packet[26..28].copy_from_slice(&checksum.to_be_bytes());
}

/// The same for a SYN.
fn seal_syn(packet: &mut [u8]) {
    packet[36..38].fill(0);
    let sum = words(&packet[12..20]) + 6 + 24 + words(&packet[20..SYN_LEN]);
    let checksum = folded(sum);
    packet[36..38].copy_from_slice(&checksum.to_be_bytes());
}

fn send(options: &Options) {
    let plan = Plan {
        first: options.get::<Ipv4Addr>("from").unwrap().into(),
        sources: options.number("sources", 1),
        to: options.get::<Ipv4Addr>("to").unwrap().into(),
        destinations: options.number("destinations", 1),
        port: options.number("port", 9) as u16,
    };
    // Without a number of flows, every packet begins a new one.
    let flows = options.number("flows", u64::MAX);
    let count = options.number("count", u64::MAX);
    let limit = Duration::from_millis(options.number("milliseconds", 60_000));
    let pace = options.number("rate", u64::MAX);
    let tag = options.number("tag", 0) as u16;
    let syn = options.number("syn", 0) == 1;
    // SAFETY: no pointers are passed.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
    assert!(raw >= 0, "raw socket: {}", std::io::Error::last_os_error());
    // SAFETY: the call has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut batch = Batch::new();
    batch.len = if syn { SYN_LEN } else { LEN };
    for packet in batch.packets.iter_mut().filter(|_| syn) {
        packet[..10].copy_from_slice(&[0x45, 0, 0, SYN_LEN as u8, 0, 0, 0x40, 0, 64, 6]);
        packet[32..36].copy_from_slice(&[0x60, 0x02, 0xfa, 0xf0]);
        packet[40..44].copy_from_slice(&[2, 4, 5, 0xb4]);
    }
    for packet in batch.packets.iter_mut().filter(|_| !syn) {
        packet[..10].copy_from_slice(&[0x45, 0, 0, LEN as u8, 0, 0, 0x40, 0, 64, 17]);
        packet[24..26].copy_from_slice(&(8 + PAYLOAD as u16).to_be_bytes());
        packet[28..30].copy_from_slice(&tag.to_be_bytes());
    }
    let (begin, mut sent, mut elapsed) = (clock::now(), 0u64, Duration::ZERO);
    while sent < count && elapsed < limit {
        let size = BATCH.min((count - sent) as usize);
        for (index, (packet, to)) in batch.packets.iter_mut().zip(&mut batch.addresses).take(size).enumerate()
        {
            let number = sent + index as u64;
            let flow = number % flows;
            let address = plan.write(flow, packet);
            if syn {
                packet[24..28].copy_from_slice(&(flow as u32).to_be_bytes());
                seal_syn(packet);
            } else {
                packet[30..38].copy_from_slice(&flow.to_be_bytes());
                packet[38..46].copy_from_slice(&(number / flows).to_be_bytes());
                seal(packet);
            }
            to.sin_addr.s_addr = u32::from(address).to_be();
        }
        sent += batch.send(&socket, size);
        elapsed = clock::now().since(begin);
        // The pace of a paced run is that of a busy clock: exact, and nobody else is measured meanwhile.
        while pace != u64::MAX && elapsed.as_secs_f64() < sent as f64 / pace as f64 {
            std::hint::spin_loop();
            elapsed = clock::now().since(begin);
        }
    }
    println!(r#"{{"sent":{sent},"seconds":{:.6}}}"#, elapsed.as_secs_f64());
}

/// Room for the packets of one call, and the structures that point to them.
struct Batch {
    packets: Vec<[u8; 2048]>,
    addresses: Vec<libc::sockaddr_in>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    /// Bytes of each packet.
    len: usize,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: all-zero bytes are valid values of these plain C structures: null pointers and zero lengths.
        let (address, part, message) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        let mut batch = Batch {
            packets: vec![[0; 2048]; BATCH],
            addresses: vec![address; BATCH],
            parts: vec![part; BATCH],
            messages: vec![message; BATCH],
            len: LEN,
        };
        for address in &mut batch.addresses {
            address.sin_family = libc::AF_INET as u16;
        }
        batch
    }

    /// Points the headers at the packets, `len` bytes of each. The vectors never grow, so they stay where they are.
    fn aim(&mut self, len: usize, with_addresses: bool) {
        for index in 0..BATCH {
            self.parts[index] =
                libc::iovec { iov_base: self.packets[index].as_mut_ptr().cast(), iov_len: len };
            let header = &mut self.messages[index].msg_hdr;
            header.msg_iov = &raw mut self.parts[index];
            header.msg_iovlen = 1;
            if with_addresses {
                header.msg_name = (&raw mut self.addresses[index]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            }
        }
    }

    /// Sends the first `size` packets; those that the device refuses are offered and lost.
    fn send(&mut self, socket: &OwnedFd, size: usize) -> u64 {
        self.aim(self.len, true);
        let mut done = 0;
        while done < size {
            let rest = &mut self.messages[done..size];
            // SAFETY: the headers point to packets and addresses of this value, which outlive the call.
            let result =
                unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            match usize::try_from(result) {
                Ok(count) => done += count,
                Err(_) => {
                    let error = std::io::Error::last_os_error();
                    let full = matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN));
                    assert!(full, "sendmmsg: {error}");
                    done += 1;
                }
            }
        }
        size as u64
    }

    /// Receives at least one packet, unless the time of the socket is over; gives the lengths' count.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        self.aim(2048, false);
        // SAFETY: the headers point to packets of this value with their true length; all outlive the call.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(result).unwrap_or(0)
    }
}

/// A socket with room for the packets of a whole scheduling round.
fn listen(port: u64) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port as u16)).unwrap();
    let size: libc::c_int = 64 << 20;
    // SAFETY: `size` is an `int` that outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as u32,
        )
    };
    assert_eq!(result, 0, "SO_RCVBUFFORCE: {}", std::io::Error::last_os_error());
    socket
}

fn receive(options: &Options) {
    let tag = options.number("tag", 0) as u16;
    let socket = listen(options.number("port", 9));
    socket.set_read_timeout(Some(QUIET)).unwrap();
    println!("ready");
    let (closed, is_closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = closed.send(());
    });
    // The highest number of each flow, plus one; and the highest first packet of any flow.
    let mut next: Vec<u32> = Vec::new();
    let (mut received, mut distinct, mut reordered, mut highest) = (0u64, 0u64, 0u64, 0u64);
    let (mut first, mut last) = (None, None);
    let mut batch = Batch::new();
    let mut may_end = false;
    loop {
        let count = batch.receive(&socket);
        may_end |= is_closed.try_recv().is_ok();
        if count == 0 {
            if may_end {
                break;
            }
            continue;
        }
        let now = clock::now();
        for (packet, message) in batch.packets.iter().zip(&batch.messages).take(count) {
            if message.msg_len as usize != PAYLOAD || packet[..2] != tag.to_be_bytes() {
                continue;
            }
            let flow = u64::from_be_bytes(packet[2..10].try_into().unwrap());
            let number = u64::from_be_bytes(packet[10..18].try_into().unwrap());
            if flow >= FLOWS_MAX {
                continue;
            }
            first.get_or_insert(now);
            last = Some(now);
            received += 1;
            if flow as usize >= next.len() {
                next.resize((flow as usize + 1).next_power_of_two(), 0);
            }
            let seen = &mut next[flow as usize];
            if *seen == 0 {
                distinct += 1;
                reordered += u64::from(number == 0 && flow < highest);
                highest = highest.max(flow);
            } else if (number as u32) < *seen {
                reordered += 1;
            }
            *seen = (*seen).max(number as u32 + 1);
        }
    }
    let seconds = first.zip(last).map_or(0.0, |(first, last)| last.since(first).as_secs_f64());
    println!(
        r#"{{"received":{received},"distinct":{distinct},"reordered":{reordered},"seconds":{seconds:.6}}}"#
    );
}

fn sink(options: &Options) {
    let socket = listen(options.number("port", 10));
    println!("ready");
    let mut batch = Batch::new();
    loop {
        batch.receive(&socket);
    }
}

fn echo(options: &Options) {
    let socket = listen(options.number("port", 7));
    println!("ready");
    let mut block = [0; 2048];
    loop {
        let (len, peer) = socket.recv_from(&mut block).unwrap();
        let _ = socket.send_to(&block[..len], peer);
    }
}

fn pingpong(options: &Options) {
    let to = (options.get::<Ipv4Addr>("to").unwrap(), options.number("port", 7) as u16);
    let count = options.number("count", 1000);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut figures = Vec::new();
    let (mut lost, mut reordered) = (0, 0);
    let mut block = [0; 64];
    for number in 0..count + count / 10 {
        let begin = clock::now();
        let mut message = [0; PAYLOAD];
        message[..8].copy_from_slice(&number.to_be_bytes());
        socket.send(&message).unwrap();
        let nanos = loop {
            match socket.recv(&mut block) {
                Ok(len) if block[..len] == message => break Some(clock::now().since(begin).as_nanos() as u64),
                Ok(_) => reordered += 1,
                Err(_) => break None,
            }
        };
        match nanos {
            None => lost += 1,
            // The first ones find caches cold and neighbours unknown.
            Some(nanos) if number >= count / 10 => figures.push(nanos),
            Some(_) => {}
        }
    }
    figures.sort_unstable();
    let at = |part: f64| figures.get((figures.len() as f64 * part) as usize).map_or(0.0, |n| *n as f64 / 1e3);
    println!(
        r#"{{"p50":{:.3},"p99":{:.3},"count":{},"lost":{lost},"reordered":{reordered}}}"#,
        at(0.5),
        at(0.99),
        figures.len()
    );
}

/// Between the TAPs called `eth0` of the network namespaces `--lan` and `--wan`.
fn wire(options: &Options) {
    let mut ports = ["lan", "wan"].map(|end| {
        let spec = Spec {
            id: PortId(0),
            device: Device::Tap("eth0".into()),
            netns: options.get(end),
            driver: Driver::Offload,
            batches: Batches::Adaptive,
        };
        Port::attach(spec).unwrap()
    });
    let mut poller = Poller::new().unwrap();
    for (token, port) in ports.iter().enumerate() {
        poller.add(token, port.fd().unwrap());
    }
    let (mut pool, mut frames, mut ready) = (Pool::new(256), Vec::new(), Vec::new());
    println!("ready");
    let mut more = false;
    loop {
        poller.wait(more.then_some(Duration::ZERO), &mut ready).unwrap();
        more = false;
        for from in 0..ports.len() {
            more |= ports[from].recv_batch(&mut pool, &mut frames, BATCH) == Ok(Waiting::Perhaps);
            ports[1 - from].send_batch(&mut frames, &mut pool);
        }
    }
}
