//! What the router does as a host of its own: it asks what time it is and what names stand for, and tells others what it
//! has logged. Engines that speak datagrams, not sockets.
//!
//! | file | noun |
//! |---|---|
//! | [`time`] | the clock: SNTP, servers, whom to believe |
//! | [`names`] | the resolver: names of hosts, their addresses, for how long |
//! | [`log`] | records of the firewall log in words, and as messages of syslog |
//! | [`notices`] | what nobody may overlook, and who has been told |
//! | `nonces` | numbers that nobody can guess |
//!
//! [`Services`] is all of them as one value. Invariant: pure; a datagram that nobody waits for changes nothing but a counter.

pub mod log;
pub mod names;
mod nonces;
pub mod notices;
pub mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::config::model::Service;
use crate::config::{Aliases, Config, defaults};
use crate::types::{Instant, Seed, WallTime};
use crate::wire::dns::Name;
use log::Herald;
use names::{NameRow, Resolver};
use nonces::Nonces;
use notices::{Notice, NoticesRow};
use time::{Clock, ClockRow};

/// A datagram of a service's, which leaves with the router's own address toward its destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Departing {
    /// The port that it is sent from.
    pub port: u16,
    /// Where to.
    pub remote: SocketAddr,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What services have to say; the caller owns it.
#[derive(Default)]
pub struct Outbox {
    /// To be sent.
    pub datagrams: Vec<Departing>,
    /// A name of an alias stands for something else.
    pub names_changed: bool,
}

/// Why services want to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// A time server is to be asked.
    Clock,
    /// A name is to be asked about.
    Names,
}

/// All of them.
pub struct Services {
    clock: Clock,
    resolver: Resolver,
    herald: Herald,
    /// Names that stand in aliases; the others are of servers.
    of_aliases: BTreeSet<Name>,
    log_servers: Vec<Service>,
}

/// The services as people see them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServicesRow {
    /// The clock.
    pub clock: ClockRow,
    /// Names.
    pub names: Vec<NameRow>,
    /// Counters: name, value, meaning.
    pub counters: Vec<(String, u64, String)>,
    /// What nobody may overlook, and who is told of it.
    #[serde(default)]
    pub notices: NoticesRow,
}

impl Services {
    /// As `config` wants them. `wall` is the machine's calendar.
    pub fn new(config: &Config, seed: Seed, now: Instant, wall: WallTime) -> Self {
        let mut services = Services {
            clock: Clock::new(&config.system.time_servers, seed.derive(1), now, wall),
            resolver: Resolver::new(config.system.dns_servers.clone(), seed.derive(2)),
            herald: Herald::new(&config.system, Nonces::new(seed.derive(3)).port()),
            of_aliases: BTreeSet::new(),
            log_servers: Vec::new(),
        };
        services.apply(config, now);
        services
    }

    /// As another document wants them.
    pub fn apply(&mut self, config: &Config, now: Instant) {
        let Services { clock, resolver, herald, of_aliases, log_servers } = self;
        clock.apply(now, &config.system.time_servers);
        *of_aliases = Aliases::names(config, defaults::NAME_LIMIT);
        log_servers.clone_from(&config.system.logging.servers);
        let servers = log_servers.iter().map(|server| server.host.as_str()).filter(|host| !is_address(host));
        let hook = config
            .system
            .notification
            .url
            .iter()
            .map(|url| url.host.as_str())
            .filter(|host| !is_address(host));
        let names = clock.names().chain(servers).chain(hook).filter_map(Name::new);
        let names: BTreeSet<Name> = names.chain(of_aliases.iter().cloned()).collect();
        resolver.apply(now, &config.system.dns_servers, &names);
        herald.apply(&config.system);
        self.tell_servers(now);
    }

    /// When to call [`Services::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let due = [(self.clock.poll_timeout(), Why::Clock), (self.resolver.poll_timeout(), Why::Names)];
        due.into_iter().filter_map(|(at, why)| Some((at?, why))).min_by_key(|(at, _)| *at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, wall: WallTime, out: &mut Outbox) {
        self.clock.handle_timeout(now, wall, &mut out.datagrams);
        self.resolver.handle_timeout(now, &mut out.datagrams);
    }

    /// A datagram to a port of ours; false when nobody waits for it.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        wall: WallTime,
        port: u16,
        from: SocketAddr,
        payload: &[u8],
        out: &mut Outbox,
    ) -> bool {
        if let Some(changed) = self.resolver.handle_datagram(now, port, from, payload) {
            if let Some(name) = changed {
                out.names_changed |= self.of_aliases.contains(&name);
                self.tell_servers(now);
            }
            return true;
        }
        self.clock.handle_datagram(now, wall, port, from, payload)
    }

    /// A record for the servers of the log.
    pub fn handle_record(&mut self, row: &log::LogRow, out: &mut Outbox) {
        self.herald.tell(row, &mut out.datagrams);
    }

    /// A notice for the servers of the log.
    pub fn handle_notice(&mut self, notice: &Notice, out: &mut Outbox) {
        self.herald.announce(notice, &mut out.datagrams);
    }

    /// What a host of the document stands for: itself, when it is an address.
    pub fn addresses(&self, host: &str) -> Vec<IpAddr> {
        match host.parse() {
            Ok(address) => vec![address],
            Err(_) => Name::new(host).and_then(|name| self.resolver.addresses(&name)).unwrap_or_default(),
        }
    }

    /// Records that found no room on their way here.
    pub fn note_missed(&mut self, records: u64) {
        self.herald.missed += records;
    }

    /// What the names in aliases stand for.
    pub fn names(&self) -> BTreeMap<Name, Vec<IpAddr>> {
        let of_aliases = self.resolver.known().filter(|(name, _)| self.of_aliases.contains(name));
        of_aliases.map(|(name, addresses)| (name.clone(), addresses)).collect()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// As people see them; `machine` says whether somebody keeps the machine's calendar right, `words` writes a date.
    pub fn row(
        &self,
        now: Instant,
        wall: WallTime,
        machine: bool,
        words: impl Fn(WallTime) -> String,
    ) -> ServicesRow {
        ServicesRow {
            clock: self.clock.row(now, wall, machine, words),
            names: self.resolver.rows(now),
            counters: self.counters(),
            notices: NoticesRow::default(),
        }
    }

    fn counters(&self) -> Vec<(String, u64, String)> {
        let names::Counters { asked, answered, unanswered, strays } = self.resolver.counters();
        let rows = [
            ("names-asked", asked, "Questions to name servers."),
            ("names-answered", answered, "Their answers."),
            ("names-unanswered", unanswered, "Questions that no name server answered in time."),
            ("names-strays", strays, "Datagrams to a question's port that were no answer to it."),
            ("log-told", self.herald.told, "Records sent to the servers of the firewall log."),
            ("log-missed", self.herald.missed, "Records of the firewall log that found no room."),
        ];
        rows.map(|(name, value, meaning)| (name.to_owned(), value, meaning.to_owned())).into()
    }

    /// Those who wait for names hear what is known.
    fn tell_servers(&mut self, now: Instant) {
        let Services { clock, resolver, herald, log_servers, .. } = self;
        let known =
            |host: &str| Name::new(host).and_then(|name| resolver.addresses(&name)).unwrap_or_default();
        let names: Vec<String> = clock.names().map(str::to_owned).collect();
        for name in names {
            clock.set_addresses(now, &name, &known(&name));
        }
        let addresses = log_servers.iter().filter_map(|server| {
            let address = server.host.parse().ok().or_else(|| known(&server.host).first().copied())?;
            Some(SocketAddr::new(address, server.port.unwrap_or(log::PORT)))
        });
        herald.set_servers(addresses.collect());
    }
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
