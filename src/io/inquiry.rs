//! Questions to the network that people ask from the router itself: is a host there, which way leads to it, what is its
//! name's address, does it take connections.
//!
//! The packets are the router's own and go the way that all of them go: rules, routes, translation, states. Whoever asks
//! waits, at most [`PATIENCE`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::Wake;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host_thread::HostHandle;
use super::{clock, entropy};
use crate::host::{Seen, Sighting, WatchId};
use crate::node::Compiled;
use crate::types::{Instant, Random};
use crate::wire::dns::{self, Kind, Name};
use crate::wire::{FlowKey, FrameBuf, Packet, Parsed, Pool, datagram, echo, probe};

/// The longest that anybody waits.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// Echo requests of a ping.
pub const ECHOES: u8 = 10;
/// The most hops that are asked about.
pub const HOPS: u8 = 30;
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// The first port that a traceroute asks for, as everywhere.
const TRACE_PORT: u16 = 33_434;
/// Bytes behind the header of an echo request.
const PAYLOAD: u16 = 56;
/// Addresses of a name that are told.
const ADDRESSES: usize = 32;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inquiry {
    /// Echo requests.
    Ping {
        /// Address or name.
        host: String,
        /// An address of the router's own; the one toward the host when absent.
        source: Option<IpAddr>,
        /// How many, at most [`ECHOES`].
        count: u8,
    },
    /// The way to a host, hop by hop.
    Trace {
        /// Address or name.
        host: String,
        /// An address of the router's own.
        source: Option<IpAddr>,
        /// With echo requests instead of datagrams.
        icmp: bool,
        /// As far as that, at most [`HOPS`].
        hops: u8,
    },
    /// Does a TCP port take connections?
    Port {
        /// Address or name.
        host: String,
        /// The port.
        port: u16,
        /// An address of the router's own.
        source: Option<IpAddr>,
    },
    /// The addresses of a name.
    Names {
        /// The name.
        name: String,
        /// The server that is asked; all that the document names when absent.
        server: Option<IpAddr>,
    },
}

/// What was found out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    /// The address that was asked about.
    pub address: Option<IpAddr>,
    /// The router's address that asked.
    pub source: Option<IpAddr>,
    /// Line by line.
    pub rows: Vec<FindingRow>,
}

/// A line of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FindingRow {
    /// Number of the request, or of the hop.
    pub number: u16,
    /// Who answered.
    pub from: Option<IpAddr>,
    /// After so long.
    pub millis: Option<f64>,
    /// `answer`, `silence`, `open`, `closed`, or what went wrong.
    pub outcome: String,
    /// Addresses of a name.
    pub addresses: Vec<IpAddr>,
}

/// A packet that was sent, and when.
struct Sent {
    key: FlowKey,
    number: u16,
    at: Instant,
}

/// Asks, and waits for the answers.
///
/// # Errors
/// When the question makes no sense, or cannot be asked, in words.
pub fn inquire(host: &HostHandle, compiled: &Compiled, inquiry: &Inquiry) -> Result<Finding, String> {
    let mut asker = Asker::new(host, compiled)?;
    match inquiry {
        Inquiry::Ping { host, source, count } => {
            let ends = asker.ends(host, *source)?;
            asker.ping(ends, (*count).clamp(1, ECHOES))
        }
        Inquiry::Trace { host, source, icmp, hops } => {
            let ends = asker.ends(host, *source)?;
            asker.trace(ends, *icmp, (*hops).clamp(1, HOPS))
        }
        Inquiry::Port { host, port, source } => {
            let ends = asker.ends(host, *source)?;
            asker.port(ends, *port)
        }
        Inquiry::Names { name, server } => asker.names(name, *server),
    }
}

/// Wakes whoever waits for a sighting.
struct Bell(SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // Full: it is about to look anyway.
        let _ = self.0.try_send(());
    }
}

struct Asker<'a> {
    host: &'a HostHandle,
    compiled: &'a Compiled,
    random: Random,
    pool: Pool,
    begun: Instant,
    bell: Arc<Bell>,
    rung: Receiver<()>,
}

impl<'a> Asker<'a> {
    fn new(host: &'a HostHandle, compiled: &'a Compiled) -> Result<Asker<'a>, String> {
        let seed = entropy::seed().map_err(|error| format!("the machine has no randomness: {error}"))?;
        let (sender, rung) = sync_channel(1);
        let (random, begun) = (seed.random(), clock::now());
        Ok(Asker { host, compiled, random, pool: Pool::new(4), begun, bell: Arc::new(Bell(sender)), rung })
    }

    /// Our address and the host's.
    fn ends(&mut self, host: &str, source: Option<IpAddr>) -> Result<[IpAddr; 2], String> {
        let host = host.trim();
        let to = match host.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => self.resolve(host, source)?,
        };
        let from = match source {
            Some(source) => {
                if !own_addresses(self.compiled).contains(&source) {
                    return Err(format!("{source} is not an address of this firewall"));
                }
                source
            }
            None => self.toward(to)?,
        };
        if from.is_ipv4() != to.is_ipv4() {
            return Err(format!("{from} and {to} are of two families"));
        }
        Ok([from, to])
    }

    fn toward(&self, to: IpAddr) -> Result<IpAddr, String> {
        let known = self.compiled.address_toward(to);
        // Where a group is the default gateway, the routes do not lead there; any address of a WAN does.
        let mut own = own_addresses(self.compiled).into_iter();
        known
            .or_else(|| own.find(|address| address.is_ipv4() == to.is_ipv4()))
            .ok_or_else(|| format!("there is no route to {to}, and no address of its family"))
    }

    /// The first address of a name, of the family of the source.
    fn resolve(&mut self, text: &str, source: Option<IpAddr>) -> Result<IpAddr, String> {
        let found = self.names(text, None)?;
        let mut addresses = found.rows.into_iter().flat_map(|row| row.addresses);
        let fits = |address: &IpAddr| source.is_none_or(|source| source.is_ipv4() == address.is_ipv4());
        addresses.find(fits).ok_or_else(|| format!("\"{text}\" has no address"))
    }

    fn ping(&mut self, ends: [IpAddr; 2], count: u8) -> Result<Finding, String> {
        let identifier = self.random.next() as u16;
        // All must be over in time, the last answer included.
        let spacing = (Duration::from_secs(1)).min((PATIENCE - ANSWER) / u32::from(count));
        let mut frames = Vec::new();
        for number in 0..u16::from(count) {
            let frame = echo::request(ends, (identifier, number + 1), PAYLOAD, &mut self.pool);
            frames.push((number + 1, frame.ok_or("the addresses are of two families")?));
        }
        let (sent, seen) = self.exchange(frames, spacing, |seen, sent| answered(seen) >= sent)?;
        let row = |sent: &Sent| {
            let answer = seen.iter().find(|seen| match &seen.what {
                Seen::Echo(number) => *number == sent.number,
                Seen::Error(..) => seen.at >= sent.at && since(seen.at, sent.at) < spacing,
                Seen::Datagram(_) | Seen::Open | Seen::Closed => false,
            });
            row(sent, answer, ends[1])
        };
        Ok(Finding { address: Some(ends[1]), source: Some(ends[0]), rows: sent.iter().map(row).collect() })
    }

    fn trace(&mut self, ends: [IpAddr; 2], icmp: bool, hops: u8) -> Result<Finding, String> {
        let identifier = self.random.next() as u16;
        let mut frames = Vec::new();
        for hop in 1..=u16::from(hops) {
            let frame = match icmp {
                // Each hop has a number of its own, so that its answer is known.
                true => echo::request(ends, (identifier.wrapping_add(hop), hop), PAYLOAD, &mut self.pool),
                false => {
                    let from = SocketAddr::new(ends[0], 49_152 + identifier % 16_000);
                    let to = SocketAddr::new(ends[1], TRACE_PORT + hop - 1);
                    datagram::build(from, to, &[0; 32], &mut self.pool)
                }
            };
            let mut frame = frame.ok_or("the addresses are of two families")?;
            probe::limit_hops(&mut frame, hop as u8);
            frames.push((hop, frame));
        }
        let arrived = |seen: &Sighting| seen.from == ends[1];
        let (sent, seen) = self.exchange(frames, Duration::from_millis(50), |seen, _| {
            // Nothing is missing before the first hop that is the host itself.
            let first = seen.iter().any(arrived);
            first && seen.len() >= usize::from(hops)
        })?;
        let mut rows = Vec::new();
        for sent in &sent {
            let answer = seen.iter().find(|seen| seen.key == sent.key);
            rows.push(row(sent, answer, ends[1]));
            if answer.is_some_and(arrived) {
                break;
            }
        }
        // Silence behind the last answer tells nothing but that.
        let last = rows.iter().rposition(|row| row.from.is_some()).map_or(1, |at| at + 2);
        rows.truncate(last.max(1));
        Ok(Finding { address: Some(ends[1]), source: Some(ends[0]), rows })
    }

    fn port(&mut self, ends: [IpAddr; 2], port: u16) -> Result<Finding, String> {
        let from = SocketAddr::new(ends[0], self.some_port());
        let sequence = self.random.next() as u32;
        let frame = probe::syn(from, SocketAddr::new(ends[1], port), sequence);
        let frame = frame.ok_or("the addresses are of two families")?;
        let (sent, seen) =
            self.exchange(vec![(port, frame)], Duration::from_millis(10), |seen, _| !seen.is_empty())?;
        let rows = sent.iter().map(|sent| row(sent, seen.first(), ends[1])).collect();
        Ok(Finding { address: Some(ends[1]), source: Some(ends[0]), rows })
    }

    fn names(&mut self, text: &str, server: Option<IpAddr>) -> Result<Finding, String> {
        let name =
            Name::new(text.trim()).ok_or_else(|| format!("\"{text}\" is neither an address nor a name"))?;
        let servers = match server {
            Some(server) => vec![server],
            None => self.compiled.config.system.dns_servers.clone(),
        };
        if servers.is_empty() {
            return Err("there are no name servers: system.dns_servers".into());
        }
        let (mut frames, mut asked) = (Vec::new(), Vec::new());
        for server in servers.into_iter().take(4) {
            for kind in Kind::ALL {
                let (id, port) = (self.random.next() as u16, self.some_port());
                let from = SocketAddr::new(self.toward(server)?, port);
                let to = SocketAddr::new(server, dns::PORT);
                let payload = dns::query(id, &name, kind);
                let frame = datagram::build(from, to, &payload, &mut self.pool);
                frames.push((asked.len() as u16, frame.ok_or("the name is too long")?));
                asked.push((server, kind, id));
            }
        }
        let (sent, seen) =
            self.exchange(frames, Duration::from_millis(5), |seen, sent| seen.len() >= sent)?;
        let rows = sent.iter().zip(&asked).map(|(sent, (server, kind, id))| {
            let answer = seen.iter().find(|seen| seen.key == sent.key);
            let mut row = row(sent, answer, *server);
            row.from = Some(*server);
            if let Some(Sighting { what: Seen::Datagram(bytes), .. }) = answer {
                match dns::answer(bytes, *id, &name, *kind, ADDRESSES) {
                    Ok(answer) => {
                        row.outcome =
                            if answer.addresses.is_empty() { "no address" } else { "answer" }.into();
                        row.addresses = answer.addresses;
                    }
                    Err(refusal) => row.outcome = refusal.to_string(),
                }
            }
            row
        });
        Ok(Finding { address: None, source: None, rows: rows.collect() })
    }

    fn some_port(&mut self) -> u16 {
        49_152 + (self.random.next() % 16_384) as u16
    }

    /// Sends packets one after the other and hears what comes, until all are answered or time is up.
    fn exchange(
        &mut self,
        frames: Vec<(u16, FrameBuf)>,
        spacing: Duration,
        is_done: impl Fn(&[Sighting], usize) -> bool,
    ) -> Result<(Vec<Sent>, Vec<Sighting>), String> {
        let mut packets = Vec::new();
        for (number, frame) in frames {
            match Packet::parse(frame) {
                Ok(Parsed::Ip(packet)) => packets.push((number, packet)),
                Ok(Parsed::Arp(_)) | Err(_) => return Err("the packet cannot be made".into()),
            }
        }
        let keys = packets.iter().map(|(_, packet)| packet.layout.key).collect();
        let watch = Watch::begin(self.host, keys, Arc::clone(&self.bell))?;
        let (mut sent, mut seen) = (Vec::new(), Vec::new());
        let total = packets.len();
        let mut packets = packets.into_iter();
        let mut next = clock::now();
        let mut last = next;
        loop {
            let now = clock::now();
            if now >= next
                && let Some((number, packet)) = packets.next()
            {
                sent.push(Sent { key: packet.layout.key, number, at: now });
                let mut held = self.host.hold();
                if !held.stack().send_packet(packet.frame) {
                    return Err("the router has too much to send".into());
                }
                held.run();
                (last, next) = (now, now + spacing);
            }
            seen.extend(watch.take());
            let all_sent = sent.len() == total;
            let is_over = now.since(self.begun) >= PATIENCE || (all_sent && now.since(last) >= ANSWER);
            if is_over || (all_sent && is_done(&seen, total)) {
                return Ok((sent, seen));
            }
            let rest = if all_sent { Duration::from_millis(100) } else { next.since(now) };
            match self.rung.recv_timeout(rest.max(Duration::from_millis(1))) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("the router is about to end".into()),
            }
        }
    }
}

/// A watch that ends with this value.
struct Watch<'a> {
    host: &'a HostHandle,
    id: WatchId,
}

impl<'a> Watch<'a> {
    fn begin(host: &'a HostHandle, keys: Vec<FlowKey>, bell: Arc<Bell>) -> Result<Watch<'a>, String> {
        let id = host.hold().stack().watch(keys, bell.into());
        Ok(Watch { host, id: id.ok_or("too many questions are under way; try again")? })
    }

    fn take(&self) -> Vec<Sighting> {
        self.host.hold().stack().sightings(self.id)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.host.hold().stack().unwatch(self.id);
    }
}

/// Every address of the router's own, virtual ones included, in the document's order.
pub fn own_addresses(compiled: &Compiled) -> Vec<IpAddr> {
    let of_link = |link: &crate::node::Link| {
        let virtual_ips = link.virtual_ips.iter().flat_map(|vip| &vip.addresses);
        link.addresses.iter().chain(virtual_ips).map(|prefix| prefix.addr()).collect::<Vec<_>>()
    };
    let mut addresses: Vec<IpAddr> = compiled.links.iter().flat_map(of_link).collect();
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    addresses
}

fn answered(seen: &[Sighting]) -> usize {
    seen.iter().filter(|seen| matches!(seen.what, Seen::Echo(_))).count()
}

fn since(later: Instant, earlier: Instant) -> Duration {
    later.since(earlier)
}

fn row(sent: &Sent, answer: Option<&Sighting>, to: IpAddr) -> FindingRow {
    let Some(Sighting { at, from, key: _, what }) = answer else {
        return FindingRow { number: sent.number, outcome: "silence".into(), ..FindingRow::default() };
    };
    let outcome = match what {
        Seen::Echo(_) | Seen::Datagram(_) => "answer".to_owned(),
        Seen::Open => "open".into(),
        Seen::Closed => "closed".into(),
        Seen::Error(kind, code) => error_words(to.is_ipv4(), *kind, *code),
    };
    FindingRow {
        number: sent.number,
        from: Some(*from),
        millis: Some(at.since(sent.at).as_secs_f64() * 1000.0),
        outcome,
        addresses: Vec::new(),
    }
}

/// What an ICMP error says.
fn error_words(v4: bool, kind: u8, code: u8) -> String {
    let words = match (v4, kind, code) {
        (true, 11, 0) | (false, 3, 0) => "on the way",
        (true, 3, 0) | (false, 1, 0) => "network unreachable",
        (true, 3, 1) | (false, 1, 3) => "host unreachable",
        (true, 3, 3) | (false, 1, 4) => "port unreachable",
        (true, 3, 9 | 10 | 13) | (false, 1, 1) => "administratively prohibited",
        (true, 3, 4) | (false, 2, 0) => "packet too big",
        _ => return format!("ICMP error {kind}, {code}"),
    };
    words.into()
}

#[cfg(test)]
#[path = "inquiry_tests.rs"]
mod whole_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_words() {
        for (v4, kind, code, words) in [
            (true, 11, 0, "on the way"),
            (false, 3, 0, "on the way"),
            (true, 3, 3, "port unreachable"),
            (false, 1, 4, "port unreachable"),
            (true, 12, 1, "ICMP error 12, 1"),
        ] {
            assert_eq!(error_words(v4, kind, code), words);
        }
    }

    #[test]
    fn a_line_tells_who_answered_and_after_how_long() {
        let key = FlowKey::new(1, "192.0.2.1".parse().unwrap(), 7, "192.0.2.9".parse().unwrap(), 8).unwrap();
        let sent = Sent { key, number: 2, at: Instant::from_secs(1) };
        let to = "192.0.2.9".parse().unwrap();
        assert_eq!(row(&sent, None, to).outcome, "silence");
        let at = Instant::from_nanos(1_002_500_000);
        let seen = Sighting { at, from: to, key, what: Seen::Echo(2) };
        let told = row(&sent, Some(&seen), to);
        assert_eq!(
            (told.number, told.from, told.millis, told.outcome.as_str()),
            (2, Some(to), Some(2.5), "answer")
        );
    }
}
