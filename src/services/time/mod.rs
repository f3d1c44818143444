//! What time it is: a small SNTP client (RFC 4330, RFC 5905's client) over the router's own datagrams.
//!
//! [`Clock`] asks each server a few times quickly and then ever more seldom, keeps the answers that make sense, and goes
//! by the time that most servers agree on. It does not set the machine's clock, for which the router has no right: it
//! says by how much the right time is ahead of it. A small difference is taken over at once; a large one, after the
//! first, only when several rounds in a row say the same.
//!
//! Invariant: pure. The monotonic time decides when to ask and how long an answer took; the machine's calendar is only
//! compared. Only an answer to a question that waits, with that question's number, is looked at.

mod sample;
mod selection;
mod server;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use sample::drift;
pub use sample::{Asked, Refusal, Sample};
pub use selection::select;
use server::Server;

use super::Departing;
use super::nonces::Nonces;
use crate::types::{Duration, Instant, Seed, WallTime};
use crate::wire::ntp;

/// A larger difference is not taken over at once (RFC 5905's step threshold).
const STEP: i64 = 128_000_000;
/// So many rounds in a row must say the same before it is.
const STEP_ROUNDS: u32 = 3;
/// A clock that may be farther off than this is not sure.
const SURE: Duration = Duration::from_secs(1);

/// Whether the time is to be trusted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// It is.
    Sure,
    /// It may be wrong: why, in words.
    Unsure(String),
}

/// The clock.
pub struct Clock {
    servers: Vec<Server>,
    nonces: Nonces,
    /// By how many nanoseconds the right time is ahead of the machine's calendar.
    ahead: i64,
    /// The measurement that the clock was set by, and the server that made it.
    set_by: Option<(String, Sample)>,
    /// When it was first set.
    since: Option<WallTime>,
    /// How many rounds in a row have wanted a step.
    stepping: u32,
    /// Most servers could not agree.
    disputed: bool,
    /// Both clocks when they were last looked at.
    looked: (Instant, WallTime),
    /// Times that the machine's calendar was put forward or back.
    jumps: u64,
    strays: u64,
}

/// The clock as people see it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClockRow {
    /// The time, in the firewall's zone.
    pub time: String,
    /// What it goes by: a server, or `machine`.
    pub source: String,
    /// It is sure.
    pub sure: bool,
    /// Why not.
    pub doubt: Option<String>,
    /// Seconds by which the right time is ahead of the machine's clock.
    pub ahead_seconds: f64,
    /// Seconds by which it may be wrong.
    pub error_seconds: Option<f64>,
    /// Since when it has been set by a server.
    pub since: Option<String>,
    /// Times that the machine's clock has jumped.
    pub jumps: u64,
    /// Answers to nobody's question.
    pub strays: u64,
    /// Servers.
    pub servers: Vec<ServerRow>,
}

/// A time server as people see it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ServerRow {
    /// As the document has it.
    pub name: String,
    /// Where it is asked.
    pub address: Option<IpAddr>,
    /// Hops to a clock.
    pub stratum: Option<u8>,
    /// Seconds by which it is ahead of this machine.
    pub ahead_seconds: Option<f64>,
    /// Seconds to it and back.
    pub delay_seconds: Option<f64>,
    /// Of the last eight questions, a one for each that was answered.
    pub reach: u8,
    /// What is wrong with it.
    pub trouble: Option<String>,
}

impl Clock {
    /// A clock that goes by these servers, addresses or names.
    pub fn new(servers: &[String], seed: Seed, now: Instant, wall: WallTime) -> Self {
        Clock {
            servers: servers.iter().map(|name| Server::new(name.clone(), now)).collect(),
            nonces: Nonces::new(seed),
            ahead: 0,
            set_by: None,
            since: None,
            stepping: 0,
            disputed: false,
            looked: (now, wall),
            jumps: 0,
            strays: 0,
        }
    }

    /// Other servers from now on; those that stay keep what they have said. Without any, the machine's clock counts.
    pub fn apply(&mut self, now: Instant, servers: &[String]) {
        let mut before = std::mem::take(&mut self.servers);
        for name in servers {
            let known = before.iter().position(|server| server.name == *name);
            let server = known.map(|at| before.swap_remove(at));
            self.servers.push(server.unwrap_or_else(|| Server::new(name.clone(), now)));
        }
        if self.servers.is_empty() {
            (self.ahead, self.set_by, self.since) = (0, None, None);
            (self.stepping, self.disputed) = (0, false);
        }
    }

    /// The names of servers that have to be looked up.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.servers.iter().map(|server| server.name.as_str());
        names.filter(|name| name.parse::<IpAddr>().is_err())
    }

    /// A name stands for these addresses.
    pub fn set_addresses(&mut self, now: Instant, name: &str, addresses: &[IpAddr]) {
        for server in self.servers.iter_mut().filter(|server| server.name == name) {
            server.set_addresses(now, addresses);
        }
    }

    /// By how many nanoseconds the right time is ahead of the machine's calendar.
    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    /// When to call [`Clock::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.servers.iter().filter_map(Server::due).min()
    }

    /// Asks whom it is time to ask. `wall` is the machine's calendar.
    pub fn handle_timeout(&mut self, now: Instant, wall: WallTime, out: &mut Vec<Departing>) {
        self.look(now, wall);
        let Clock { servers, nonces, .. } = self;
        for server in servers.iter_mut().filter(|server| server.due().is_some_and(|due| due <= now)) {
            if server.asked.is_some() {
                server.give_up();
                continue;
            }
            let Some(address) = server.address else { continue };
            let asked = Asked { at: now, wall, nonce: nonces.next(), port: nonces.port() };
            server.ask(now, asked);
            let remote = SocketAddr::new(address, ntp::PORT);
            let payload = ntp::request(asked.nonce).to_vec();
            out.push(Departing { port: asked.port, remote, payload });
        }
    }

    /// A datagram to a port of ours; false when it is nothing for the clock.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        wall: WallTime,
        port: u16,
        from: SocketAddr,
        payload: &[u8],
    ) -> bool {
        self.look(now, wall);
        let waits = |server: &&mut Server| {
            server.address == Some(from.ip()) && server.asked.is_some_and(|asked| asked.port == port)
        };
        let Some(server) = self.servers.iter_mut().find(waits).filter(|_| from.port() == ntp::PORT) else {
            return false;
        };
        let Some(asked) = server.asked else { return false };
        let answer = ntp::Answer::parse(payload);
        let measured = answer.map_or(Err(Refusal::Stray), |answer| asked.measure(now, &answer));
        self.strays += u64::from(measured == Err(Refusal::Stray));
        server.note(now, measured);
        if measured.is_ok() {
            self.settle(now, wall);
        }
        true
    }

    /// The machine's calendar against the clock that never jumps: when somebody has put it forward or back, the right
    /// time stays what it was, and the servers are asked again.
    fn look(&mut self, now: Instant, wall: WallTime) {
        let (looked, shown) = std::mem::replace(&mut self.looked, (now, wall));
        let passed = now.since(looked);
        let expected = shown.shifted(i64::try_from(passed.as_nanos()).unwrap_or(i64::MAX));
        let jump = wall.ahead_of(expected);
        let tolerated = STEP.saturating_add(i64::try_from(drift(passed).as_nanos()).unwrap_or(i64::MAX));
        if jump.saturating_abs() <= tolerated {
            return;
        }
        self.jumps += 1;
        if self.set_by.is_some() {
            self.ahead = self.ahead.saturating_sub(jump);
        }
        for server in &mut self.servers {
            server.shift(jump);
            server.begin_anew(now);
        }
    }

    /// Goes by what most servers say.
    fn settle(&mut self, now: Instant, wall: WallTime) {
        let heard: Vec<(&Server, Sample)> =
            self.servers.iter().filter_map(|server| Some((server, server.best(now)?))).collect();
        let samples: Vec<Sample> = heard.iter().map(|(_, sample)| *sample).collect();
        let Some((index, sample)) = select(now, &samples) else {
            self.disputed = true;
            return;
        };
        let name = heard[index].0.name.clone();
        self.disputed = false;
        let step = sample.ahead.saturating_sub(self.ahead).saturating_abs() > STEP;
        self.stepping = if step { self.stepping + 1 } else { 0 };
        if step && self.set_by.is_some() && self.stepping < STEP_ROUNDS {
            return;
        }
        self.stepping = 0;
        self.ahead = sample.ahead;
        self.set_by = Some((name, sample));
        self.since.get_or_insert_with(|| wall.shifted(self.ahead));
    }

    /// Can the time be trusted? `machine` says whether the machine's own calendar is kept right by somebody.
    pub fn trust(&self, now: Instant, machine: bool) -> Trust {
        let unsure = |why: &str| Trust::Unsure(format!("The firewall is not sure of the time: {why}."));
        if self.servers.is_empty() {
            return match machine {
                true => Trust::Sure,
                false => unsure("nobody sets this machine's clock, and there are no time servers"),
            };
        }
        let Some((_, sample)) = &self.set_by else {
            return match (machine, self.disputed) {
                (true, _) => Trust::Sure,
                (false, true) => unsure("the time servers do not agree"),
                (false, false) => unsure("no time server has answered"),
            };
        };
        if self.stepping > 0 {
            return unsure("the time servers have just changed their minds");
        }
        if self.disputed {
            return unsure("the time servers do not agree any more");
        }
        match sample.error(now) < SURE {
            true => Trust::Sure,
            false => unsure("no time server has answered for a long time"),
        }
    }

    /// As people see it; `words` writes a date.
    pub fn row(
        &self,
        now: Instant,
        wall: WallTime,
        machine: bool,
        words: impl Fn(WallTime) -> String,
    ) -> ClockRow {
        let seconds = |nanos: i64| nanos as f64 / 1e9;
        let doubt = match self.trust(now, machine) {
            Trust::Sure => None,
            Trust::Unsure(why) => Some(why),
        };
        ClockRow {
            time: words(wall.shifted(self.ahead)),
            source: self.set_by.as_ref().map_or("machine".into(), |(name, _)| name.clone()),
            sure: doubt.is_none(),
            doubt,
            ahead_seconds: seconds(self.ahead),
            error_seconds: self.set_by.as_ref().map(|(_, sample)| sample.error(now).as_secs_f64()),
            since: self.since.map(words),
            jumps: self.jumps,
            strays: self.strays,
            servers: self.servers.iter().map(|server| server_row(server, now)).collect(),
        }
    }
}

fn server_row(server: &Server, now: Instant) -> ServerRow {
    let best = server.best(now);
    let trouble = match (server.trouble, server.address, server.reach) {
        (Some(Refusal::Denied), ..) => Some("does not want to be asked"),
        (Some(Refusal::Rate), ..) => Some("wants to be asked less often"),
        (Some(Refusal::Unsynchronised), ..) => Some("does not know the time itself"),
        (Some(Refusal::Insane), ..) => Some("says what makes no sense"),
        (Some(Refusal::Stray) | None, None, _) => Some("its name is not known yet"),
        (Some(Refusal::Stray) | None, Some(_), 0) => Some("does not answer"),
        (Some(Refusal::Stray) | None, Some(_), _) => None,
    };
    ServerRow {
        name: server.name.clone(),
        address: server.address,
        stratum: best.map(|sample| sample.stratum),
        ahead_seconds: best.map(|sample| sample.ahead as f64 / 1e9),
        delay_seconds: best.map(|sample| sample.delay.as_secs_f64()),
        reach: server.reach,
        trouble: trouble.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
