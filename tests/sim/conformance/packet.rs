//! Packets as scripts write them: `udp C:5000 > F:53 len=10 ttl=4`.
//!
//! Words of all: `ttl`, `id`, `df` (1), `mf` (1), `off` (bytes), `tos`, `opts` (hex, IPv4 options), `ext` (IPv6 extension
//! headers, `60:010400000000` and more behind `+`), `cut` (only so many bytes of the payload behind the IP header), `skip`
//! (without so many of its first bytes), `badsum`, `badip`, `total` (another total length), `proto` (for `raw`). Of TCP:
//! `seq`, `ack`, `win`, `mss`, `scale`, `tcpopts` (hex). Of ICMP: `id`, `mtu`, `quote` (the last packet that left, with
//! `qseq`, `qdst`, `qlen` changed), `code`.

use std::collections::HashMap;
use std::net::IpAddr;

use koi::wire::checksum;

use super::language::{Variables, end, host};

/// Words by name.
struct Words<'a>(HashMap<&'a str, String>);

impl Words<'_> {
    fn number(&self, name: &str, otherwise: u32) -> u32 {
        self.0.get(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    }

    fn hex(&self, name: &str) -> Vec<u8> {
        self.0.get(name).map_or(Vec::new(), |text| hex(text))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Builds a packet, IP header first.
pub fn build(words: &[&str], variables: &Variables, last: Option<&[u8]>) -> Vec<u8> {
    let [kind, from, ">", to, rest @ ..] = words else { panic!("{words:?}") };
    let (from, to) = (end(from, variables), end(to, variables));
    let plain: Vec<&str> = rest.iter().copied().filter(|word| !word.contains('=')).collect();
    let named = rest.iter().filter_map(|word| word.split_once('='));
    let words = Words(named.map(|(name, value)| (name, variables.fill(value))).collect());
    let (src, dst): (IpAddr, IpAddr) = (from.0.parse().unwrap(), to.0.parse().unwrap());
    let payload: Vec<u8> = (0..words.number("len", 4)).map(|at| at as u8).collect();
    let (protocol, mut body) = match *kind {
        "udp" => (17, udp(from.1, to.1, &payload)),
        "tcp" => (6, tcp(from.1, to.1, plain.first().copied().unwrap_or(""), &words)),
        "ping" | "pong" => echo(src.is_ipv4(), *kind == "ping", &words, &payload),
        "icmp" => error(src.is_ipv4(), plain[0], &words, last),
        "raw" => (words.number("proto", 99) as u8, payload),
        other => panic!("no packet {other}"),
    };
    if let Some(at) = checksum_at(protocol) {
        seal(&mut body, at, protocol, src, dst);
        if words.has("badsum") {
            body[at] ^= 0x55;
        }
        if words.has("nosum") {
            body[at..at + 2].fill(0);
        }
    }
    let skip = words.number("skip", 0) as usize;
    let cut = words.number("cut", (body.len() - skip) as u32) as usize;
    let body = &body[skip..skip + cut];
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ipv4(src.octets(), dst.octets(), protocol, body, &words),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ipv6(src.octets(), dst.octets(), protocol, body, &words),
        other => panic!("{other:?}"),
    }
}

const fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        6 => Some(16),
        17 => Some(6),
        1 | 58 => Some(2),
        _ => None,
    }
}

fn seal(body: &mut [u8], at: usize, protocol: u8, src: IpAddr, dst: IpAddr) {
    body[at..at + 2].fill(0);
    let pseudo = match protocol {
        1 => 0,
        _ => checksum::pseudo_header(src, dst, protocol, body.len() as u32),
    };
    let sum = match !checksum::add(pseudo, checksum::sum(body)) {
        0 if protocol == 17 => 0xffff,
        sum => sum,
    };
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

fn tcp(from: u16, to: u16, flags: &str, words: &Words<'_>) -> Vec<u8> {
    let bits = flags.chars().map(|flag| 1 << "FSRPAUEW".find(flag).unwrap_or_else(|| panic!("{flag}")));
    let mut options = words.hex("tcpopts");
    if words.has("mss") {
        options.extend([2, 4]);
        options.extend((words.number("mss", 0) as u16).to_be_bytes());
    }
    if words.has("scale") {
        options.extend([1, 3, 3, words.number("scale", 0) as u8]);
    }
    options.resize(options.len().next_multiple_of(4), 0);
    let mut segment = [&from.to_be_bytes()[..], &to.to_be_bytes()].concat();
    segment.extend(words.number("seq", 1000).to_be_bytes());
    segment.extend(words.number("ack", 0).to_be_bytes());
    segment.extend([(5 + options.len() as u8 / 4) << 4, bits.fold(0, |all, bit| all | bit)]);
    segment.extend((words.number("win", 64_000) as u16).to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment.extend((0..words.number("len", 0)).map(|at| at as u8));
    segment
}

fn echo(v4: bool, ask: bool, words: &Words<'_>, payload: &[u8]) -> (u8, Vec<u8>) {
    let kind = match (v4, ask) {
        (true, true) => 8,
        (true, false) => 0,
        (false, true) => 128,
        (false, false) => 129,
    };
    let [high, low] = (words.number("echo", 7) as u16).to_be_bytes();
    let body = [&[kind, 0, 0, 0, high, low, 0, 1], payload].concat();
    (if v4 { 1 } else { 58 }, body)
}

fn error(v4: bool, what: &str, words: &Words<'_>, last: Option<&[u8]>) -> (u8, Vec<u8>) {
    let (kind, code) = what.split_once('/').unwrap();
    let mut body = vec![kind.parse().unwrap(), code.parse().unwrap(), 0, 0];
    let mtu = words.number("mtu", 0);
    body.extend(mtu.to_be_bytes());
    let mut quoted = last.map_or(Vec::new(), <[u8]>::to_vec);
    let l4 = if v4 { 20 } else { 40 };
    if words.has("qseq") {
        quoted[l4 + 4..l4 + 8].copy_from_slice(&words.number("qseq", 0).to_be_bytes());
    }
    if let Some(to) = words.0.get("qdst") {
        let address: IpAddr = host(to).parse().unwrap();
        match address {
            IpAddr::V4(address) => {
                quoted[16..20].copy_from_slice(&address.octets());
                quoted[10..12].fill(0);
                let sum = !checksum::sum(&quoted[..20]);
                quoted[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            IpAddr::V6(address) => quoted[24..40].copy_from_slice(&address.octets()),
        }
    }
    if words.has("qbadsum") {
        quoted[10] ^= 0x55;
    }
    quoted.truncate(words.number("qlen", 500) as usize);
    body.extend(quoted);
    (if v4 { 1 } else { 58 }, body)
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, body: &[u8], words: &Words<'_>) -> Vec<u8> {
    let mut options = words.hex("opts");
    options.resize(options.len().next_multiple_of(4), 0);
    let length = 20 + options.len() + body.len();
    let mut packet = vec![0x45 + options.len() as u8 / 4, words.number("tos", 0) as u8];
    packet.extend((words.number("total", length as u32) as u16).to_be_bytes());
    packet.extend((words.number("id", 1) as u16).to_be_bytes());
    let flags = words.number("df", 0) << 14 | words.number("mf", 0) << 13 | words.number("off", 0) / 8;
    packet.extend((flags as u16).to_be_bytes());
    packet.extend([words.number("ttl", 64) as u8, protocol, 0, 0]);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(options);
    let sum = !checksum::sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    if words.has("badip") {
        packet[10] ^= 0x55;
    }
    if words.has("version") {
        packet[0] = (words.number("version", 4) as u8) << 4 | packet[0] & 15;
    }
    packet.extend(body);
    packet
}

fn ipv6(src: [u8; 16], dst: [u8; 16], protocol: u8, body: &[u8], words: &Words<'_>) -> Vec<u8> {
    let mut headers: Vec<(u8, Vec<u8>)> = Vec::new();
    for header in words.0.get("ext").map_or("", String::as_str).split('+').filter(|text| !text.is_empty()) {
        let (kind, bytes) = header.split_once(':').unwrap();
        headers.push((kind.parse().unwrap(), hex(bytes)));
    }
    for _ in 0..words.number("auths", 0) {
        headers.push((51, vec![0; 10]));
    }
    if words.has("frag") {
        let (offset, more) = (words.number("off", 0) as u16, words.number("mf", 0) as u16);
        let [high, low] = (offset & 0xfff8 | more).to_be_bytes();
        headers.push((44, [&[high, low][..], &words.number("frag", 1).to_be_bytes()].concat()));
    }
    let mut chain = Vec::new();
    for (index, (kind, bytes)) in headers.iter().enumerate() {
        let next = headers.get(index + 1).map_or(protocol, |(kind, _)| *kind);
        let units = match kind {
            44 => 0,
            51 => ((bytes.len() + 2) / 4 - 2) as u8,
            _ => ((bytes.len() + 2) / 8 - 1) as u8,
        };
        chain.extend([next, units]);
        chain.extend(bytes);
    }
    let tos = words.number("tos", 0) as u8;
    let mut packet = vec![0x60 | tos >> 4, tos << 4, words.number("flow", 0) as u8, 0];
    let length = (chain.len() + body.len()) as u32;
    packet.extend((words.number("total", length) as u16).to_be_bytes());
    packet.push(headers.first().map_or(protocol, |(kind, _)| *kind));
    packet.push(words.number("ttl", 64) as u8);
    packet.extend(src);
    packet.extend(dst);
    packet.extend(chain);
    packet.extend(body);
    packet
}
