//! The lines of a script.
//!
//! ```text
//! PORT PACKET -> WHAT          a packet comes in by PORT (wan, lan, dmz); WHAT becomes of it
//! states N                     so many flows exist
//! wait SECONDS                 time passes
//! ```
//!
//! `WHAT` is a port by which exactly one packet leaves, with words that it must satisfy; `nothing`; `drop NAME`, when in
//! addition that counter rises; or several of them with `,` between. Words: `src=ADDRESS:PORT`, `dst=`, `flags=`, `seq=`,
//! `ack=`, `ttl=`, `mss=`, `id=`, `df=`, `icmp=TYPE/CODE`, `mtu=`, `quotes=ADDRESS:PORT>ADDRESS:PORT`, `len=`, `tos=`. In
//! each value a letter with `$` in front is a variable: it takes what it meets first, and must meet the same ever after.
//!
//! `PACKET` is `udp`, `tcp`, `ping`, `pong`, `icmp` or `raw` with `A:port > B:port`, flags for TCP, type and code for ICMP,
//! and words: see `packet`. Host names stand for addresses: C and D on LAN, F and G far away behind WAN, W and L the
//! router's own on WAN and LAN, S on DMZ; with 6 behind them, IPv6. `#` begins a remark.

use std::collections::HashMap;

/// Hosts by name.
const HOSTS: &[(&str, &str)] = &[
    ("C6", "2001:db8:10::10"),
    ("D6", "2001:db8:10::11"),
    ("F6", "2001:db8:99::9"),
    ("G6", "2001:db8:98::8"),
    ("W6", "2001:db8:1::2"),
    ("L6", "2001:db8:10::1"),
    ("S6", "2001:db8:20::10"),
    ("C", "192.168.1.10"),
    ("D", "192.168.1.11"),
    ("F", "203.0.113.9"),
    ("G", "203.0.113.10"),
    ("W", "198.51.100.2"),
    ("L", "192.168.1.1"),
    ("S", "10.20.0.10"),
];

/// An address behind a name; the text itself when it is no name.
pub fn host(name: &str) -> &str {
    HOSTS.iter().find(|(known, _)| *known == name).map_or(name, |(_, address)| address)
}

/// `A:port`, `A` or `[A]:port`.
pub fn end(text: &str, variables: &Variables) -> (String, u16) {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.trim_start_matches(':')),
        None if text.matches(':').count() > 1 => (text, ""),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port =
        if port.is_empty() { 0 } else { variables.fill(port).parse().unwrap_or_else(|_| panic!("{text}")) };
    (variables.fill(host(name)), port)
}

/// What scripts remember.
#[derive(Default)]
pub struct Variables(HashMap<String, String>);

impl Variables {
    /// A value for its variable, or the text itself.
    pub fn fill(&self, text: &str) -> String {
        let Some(rest) = text.strip_prefix('$') else { return text.to_owned() };
        let at = rest.find(['+', '-']).unwrap_or(rest.len());
        let (name, change) = rest.split_at(at);
        let value = self.0.get(name).unwrap_or_else(|| panic!("nothing has been met as ${name}"));
        if change.is_empty() {
            return value.clone();
        }
        let (number, change): (u32, i64) = (value.parse().unwrap(), change.parse().unwrap());
        number.wrapping_add(change as u32).to_string()
    }

    /// True when the value fits; a new variable takes it.
    pub fn fits(&mut self, expected: &str, found: &str) -> bool {
        match expected.strip_prefix('$').filter(|name| !name.contains(['+', '-'])) {
            Some(name) => self.0.entry(name.to_owned()).or_insert_with(|| found.to_owned()) == found,
            None => self.fill(expected) == found,
        }
    }
}

/// A line of a script.
pub enum Line<'a> {
    Packet { port: u8, words: Vec<&'a str>, what: Vec<What<'a>> },
    States(usize),
    Wait(u64),
}

/// What must become of a packet.
pub enum What<'a> {
    Leaves(u8, Vec<(&'a str, &'a str)>),
    Dropped(&'a str),
}

pub fn port(name: &str) -> Option<u8> {
    ["wan", "lan", "dmz"].iter().position(|port| *port == name).map(|port| port as u8)
}

/// Reads a line; `None` for an empty one.
pub fn read(line: &str) -> Option<Line<'_>> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (left, right) = line.split_once("->").unwrap_or((line, ""));
    let words: Vec<&str> = left.split_whitespace().collect();
    match words.as_slice() {
        [] => None,
        ["states", count] => Some(Line::States(count.parse().unwrap())),
        ["wait", seconds] => Some(Line::Wait(seconds.parse().unwrap())),
        [from, rest @ ..] => {
            let port = port(from).unwrap_or_else(|| panic!("no port {from}: {line}"));
            let what = right.split(',').map(str::trim).filter(|what| *what != "nothing" && !what.is_empty());
            Some(Line::Packet { port, words: rest.to_vec(), what: what.map(read_what).collect() })
        }
    }
}

fn read_what(text: &str) -> What<'_> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["drop", name] => What::Dropped(name),
        [to, rest @ ..] => {
            let port = port(to).unwrap_or_else(|| panic!("no port {to}: {text}"));
            let pairs =
                rest.iter().map(|word| word.split_once('=').unwrap_or_else(|| panic!("{word}: {text}")));
            What::Leaves(port, pairs.collect())
        }
        [] => panic!("nothing said"),
    }
}
