//! Looks at the router once a second, and tells what somebody wants to know.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::hub::Holder;
use super::talkers::FLOWS;
use super::topic::{Topic, Topics};
use crate::io::clock;
use crate::node::snapshot::Snapshot;
use crate::node::{PairSnapshot, RuleCounts, Tally};
use crate::types::RuleId;
use crate::web::account::Account;
use crate::web::carp;
use crate::web::fragment::{Banner, Piece, fragment};
use crate::web::log_page::{self, Lines};
use crate::web::services;
use crate::web::site::{Site, lock};
use crate::web::status::Status;
use crate::web::traffic;
use crate::web::upgrade;

/// The time between two looks.
const SECOND: Duration = Duration::from_secs(1);
/// Records of the firewall log in one message.
const RECORDS: usize = 100;
/// Rules in one message.
const RULES: usize = 500;

/// What was told of a rule: evaluations, packets, bytes, states.
type Told = [u64; 4];

/// What the producer remembers from look to look.
#[derive(Default)]
struct Memory {
    /// Seconds since the start.
    turn: u64,
    /// The last record of the log that was told.
    record: Option<u64>,
    rules: BTreeMap<RuleId, Told>,
}

/// Looks until the process ends.
pub(in crate::web) async fn run(site: Site) {
    let mut interval = tokio::time::interval(SECOND);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut memory = Memory::default();
    loop {
        interval.tick().await;
        memory.look(&site).await;
        memory.turn += 1;
    }
}

impl Memory {
    /// One look. A router that is too busy to answer is looked at again in a second.
    async fn look(&mut self, site: &Site) {
        let events = &site.events;
        events.hub.review(|holder| may_look(site, holder));
        events.hub.tick(clock::calendar_ms());
        let Some(snapshot) = site.handle.glance().await else { return };
        lock(&events.history).push((site.clock)(), clock::calendar_ms(), &snapshot);
        let wanted = events.hub.wanted();
        let due = |topic: Topic| wanted.has(topic) && self.turn.is_multiple_of(topic.every());
        if wanted.is_empty() {
            return self.forget(site);
        }
        let of_pair = [Topic::Banner, Topic::Pair, Topic::Carp, Topic::Services];
        let pair = if wanted.has_any(&of_pair) { site.handle.pair().await } else { None };
        let rates =
            due(Topic::Rates).then(|| lock(&events.history).newest().map(|now| json!(now).to_string()));
        if let Some(rates) = rates.flatten() {
            events.hub.tell(Topic::Rates, &rates);
        }
        if due(Topic::Talkers) && look_at_talkers(site).await.is_some() {
            tell(site, Topic::Talkers, traffic::talkers(&lock(&site.events.talkers)));
        }
        if due(Topic::Services) {
            tell(site, Topic::Services, services::fragment(site, &snapshot, pair.as_ref()).await);
        }
        if due(Topic::Upgrade) {
            tell(site, Topic::Upgrade, upgrade::fragment(site).await);
        }
        if due(Topic::Rules) {
            self.tell_rules(site).await;
        }
        self.tell_log(site, wanted).await;
        tell_pieces(site, wanted, snapshot, pair);
    }

    /// Nobody looks.
    fn forget(&mut self, site: &Site) {
        self.record = None;
        self.rules.clear();
        lock(&site.events.talkers).forget();
    }

    /// Records that have come since the last look.
    async fn tell_log(&mut self, site: &Site, wanted: Topics) {
        if !wanted.has(Topic::Log) {
            self.record = None;
            return;
        }
        let after = self.record.unwrap_or(0);
        let Some((records, now)) = site.handle.log(after, RECORDS).await else { return };
        if let Some(newest) = records.first() {
            self.record = Some(newest.id);
            let rows = log_page::rows(site, &records, now);
            tell(site, Topic::Log, Lines { rows: &rows }.render().ok());
        }
    }

    /// Rules that were met since the last look.
    async fn tell_rules(&mut self, site: &Site) {
        let Some(counts) = site.handle.rules().await else { return };
        let changed = self.changed(&counts);
        if !changed.is_empty() {
            tell(site, Topic::Rules, Some(json!(changed).to_string()));
        }
    }

    fn changed(&mut self, counts: &RuleCounts) -> BTreeMap<u32, (Told, Option<u64>)> {
        let first = self.rules.is_empty();
        let mut changed = BTreeMap::new();
        let totals: BTreeMap<_, _> = counts.totals.iter().copied().collect();
        for (id, Tally { evaluations, blocked, blocked_bytes, last }) in &counts.tallies {
            let flows = totals.get(id).copied().unwrap_or_default();
            let told = [*evaluations, flows.packets + blocked, flows.bytes + blocked_bytes, flows.states];
            let before = self.rules.insert(*id, told);
            if !first && before != Some(told) && changed.len() < RULES {
                changed.insert(id.0, (told, last.map(|last| counts.now.since(last).as_secs())));
            }
        }
        changed
    }
}

/// Whose session is over, or who is somebody else by now, does not look any more.
fn may_look(site: &Site, holder: &Holder) -> bool {
    let config = site.config();
    let is_there = |name: &str, stamp: [u8; 32]| {
        Account::find(&config, &site.first, name).is_some_and(|account| account.stamp == stamp)
    };
    match holder {
        Holder::Session(key) => {
            let sessions = lock(&site.sessions);
            sessions.holder((site.clock)(), key).is_some_and(|(name, stamp)| is_there(name, stamp))
        }
        Holder::Account { name, stamp, from: _ } => is_there(name, *stamp),
    }
}

/// A fragment that cannot be rendered is not told.
fn tell(site: &Site, topic: Topic, data: Option<String>) {
    if let Some(data) = data {
        site.events.hub.tell(topic, &data);
    }
}

/// Looks at who talks most.
pub(in crate::web) async fn look_at_talkers(site: &Site) -> Option<()> {
    let (rows, partial) = site.handle.talk(FLOWS).await?;
    let compiled = site.handle.in_force();
    lock(&site.events.talkers).look((site.clock)(), &rows, partial, &compiled);
    Some(())
}

/// What is a piece of a page, and follows from one look.
fn tell_pieces(site: &Site, wanted: Topics, snapshot: Snapshot, pair: Option<PairSnapshot>) {
    if wanted.has(Topic::Banner) {
        tell(site, Topic::Banner, Banner::of(pair.as_ref()).render().ok());
    }
    if wanted.has(Topic::Traffic) {
        let html = traffic::rates(&snapshot, &lock(&site.events.history));
        tell(site, Topic::Traffic, html);
    }
    if wanted.has(Topic::Carp) {
        tell(site, Topic::Carp, carp::fragment(pair.as_ref()));
    }
    let status = Status::of(snapshot, pair);
    let pieces = [
        (Topic::System, Piece::System),
        (Topic::States, Piece::States),
        (Topic::Pair, Piece::Pair),
        (Topic::Gateways, Piece::Gateways),
        (Topic::Interfaces, Piece::Interfaces),
    ];
    for (topic, piece) in pieces.into_iter().filter(|(topic, _)| wanted.has(*topic)) {
        tell(site, topic, fragment(piece, &status));
    }
}
