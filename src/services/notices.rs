//! What nobody may overlook, as one sentence each, and who has been told of it.
//!
//! [`Notices`] is shown how the pair and the gateways are, and says what has changed for longer than a moment: a planned move of
//! the role lacks a standby for a second, and that is nobody's business. Notices wait in a bounded queue for the webhook, and are
//! tried again a bounded number of times, later and later.
//!
//! Invariant: pure. Whoever asks what is due, and tells what came of it, has the sockets.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{Duration, Instant};

/// A change is told when it has lasted so long.
const LASTING: Duration = Duration::from_secs(5);
/// Notices that wait.
const WAITING: usize = 32;
/// Gateways that are watched.
const GATEWAYS: usize = 64;
/// A notice is tried so often.
const TRIES: u32 = 8;
/// The time to the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What a notice is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A fail-over would lack something.
    RedundancyLost,
    /// It would lack nothing any more.
    RedundancyRegained,
    /// This node has taken the role over.
    TookOver,
    /// A gateway is down.
    GatewayDown,
    /// It is up again.
    GatewayUp,
}

impl Event {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Event::RedundancyLost => "redundancy-lost",
            Event::RedundancyRegained => "redundancy-regained",
            Event::TookOver => "took-over",
            Event::GatewayDown => "gateway-down",
            Event::GatewayUp => "gateway-up",
        }
    }

    /// Somebody should do something.
    pub const fn is_bad(self) -> bool {
        match self {
            Event::RedundancyLost | Event::TookOver | Event::GatewayDown => true,
            Event::RedundancyRegained | Event::GatewayUp => false,
        }
    }
}

/// A notice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notice {
    /// Counts the notices of a router process from 1.
    pub id: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// What it is about.
    pub event: Event,
    /// Name of the firewall.
    pub firewall: String,
    /// Name of the node.
    pub node: String,
    /// In words.
    pub text: String,
}

/// How things are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Name of the firewall.
    pub firewall: String,
    /// Name of this node.
    pub node: String,
    /// There is a pair.
    pub paired: bool,
    /// This node serves.
    pub leads: bool,
    /// The pair's epoch.
    pub epoch: u32,
    /// Why this node has its role.
    pub why: String,
    /// What a fail-over would lack; nothing when there is none to lack anything.
    pub lacks: Vec<String>,
    /// Gateways by name: whether each is down, and that in words.
    pub gateways: Vec<(String, bool, String)>,
}

/// For people.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NoticesRow {
    /// Notices that the webhook has taken.
    pub told: u64,
    /// Notices that wait for it.
    pub waiting: u64,
    /// Notices that it never took, or for which there was no room.
    pub lost: u64,
    /// What was wrong with the last try.
    pub trouble: Option<String>,
    /// The latest ones, newest first.
    pub latest: Vec<Notice>,
}

/// Something that is so or not, and since when it differs from what was told.
#[derive(Clone, Copy, Default)]
struct Fact {
    told: bool,
    differs: Option<Instant>,
}

impl Fact {
    /// True when it has become another one for long enough.
    fn turns(&mut self, now: Instant, is: bool) -> bool {
        if is == self.told {
            self.differs = None;
            return false;
        }
        let since = *self.differs.get_or_insert(now);
        if now.since(since) < LASTING {
            return false;
        }
        *self = Fact { told: is, differs: None };
        true
    }

    fn due(&self) -> Option<Instant> {
        self.differs.map(|since| since + LASTING)
    }
}

/// A notice that waits for the webhook.
struct Waiting {
    notice: Notice,
    tries: u32,
    at: Instant,
}

/// See the module.
#[derive(Default)]
pub struct Notices {
    last: u64,
    lost: Fact,
    gateways: BTreeMap<String, Fact>,
    /// The last epoch in which this node was seen, and whether it served.
    served: Option<(u32, bool)>,
    queue: VecDeque<Waiting>,
    row: NoticesRow,
}

impl Notices {
    /// Shows how things are; gives what is new. Those of a node that serves, or of one that is alone, wait for the webhook when
    /// there is one.
    pub fn look(&mut self, now: Instant, at_ms: u64, view: &View, webhook: bool) -> Vec<Notice> {
        let mut found: Vec<(Event, String)> = Vec::new();
        let lacks = view.paired && !view.lacks.is_empty();
        if self.lost.turns(now, lacks) {
            found.push(match lacks {
                true => (Event::RedundancyLost, format!("Redundancy is lost: {}.", view.lacks.join("; "))),
                false => (Event::RedundancyRegained, "The pair could fail over again.".into()),
            });
        }
        let before = self.served.replace((view.epoch, view.leads));
        if view.paired && before.is_some_and(|(epoch, led)| view.leads && !led && view.epoch > epoch) {
            found.push((Event::TookOver, format!("{} serves now: {}.", view.node, view.why)));
        }
        self.gateways.retain(|name, _| view.gateways.iter().any(|(known, ..)| known == name));
        for (name, down, words) in view.gateways.iter().take(GATEWAYS) {
            if self.gateways.entry(name.clone()).or_default().turns(now, *down) {
                let event = if *down { Event::GatewayDown } else { Event::GatewayUp };
                found.push((event, format!("Gateway {name} is {words}.")));
            }
        }
        let notices: Vec<Notice> =
            found.into_iter().map(|(event, text)| self.note(at_ms, view, event, text)).collect();
        if webhook && (view.leads || !view.paired) {
            notices.iter().for_each(|notice| self.wait(now, notice.clone()));
        }
        notices
    }

    fn note(&mut self, at_ms: u64, view: &View, event: Event, text: String) -> Notice {
        self.last += 1;
        let (firewall, node) = (view.firewall.clone(), view.node.clone());
        let notice = Notice { id: self.last, at_ms, event, firewall, node, text };
        self.row.latest.insert(0, notice.clone());
        self.row.latest.truncate(WAITING);
        notice
    }

    fn wait(&mut self, now: Instant, notice: Notice) {
        if self.queue.len() == WAITING {
            self.queue.pop_front();
            self.row.lost += 1;
        }
        self.queue.push_back(Waiting { notice, tries: 0, at: now });
    }

    /// The notice that is to be tried now; they go out in their order.
    pub fn next(&self, now: Instant) -> Option<&Notice> {
        self.queue.front().filter(|waiting| waiting.at <= now).map(|waiting| &waiting.notice)
    }

    /// When to look again, should nothing happen before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let facts = self.gateways.values().chain([&self.lost]).filter_map(Fact::due);
        facts.chain(self.queue.front().map(|waiting| waiting.at)).min()
    }

    /// The webhook has taken it.
    pub fn taken(&mut self, id: u64) {
        if self.queue.front().is_some_and(|waiting| waiting.notice.id == id) {
            self.queue.pop_front();
            self.row.told += 1;
            self.row.trouble = None;
        }
    }

    /// The webhook has not taken it.
    pub fn failed(&mut self, now: Instant, id: u64, why: &str) {
        let Some(waiting) = self.queue.front_mut().filter(|waiting| waiting.notice.id == id) else { return };
        waiting.tries += 1;
        waiting.at = now + (FIRST_WAIT * 2u32.pow((waiting.tries - 1).min(16))).min(LONGEST_WAIT);
        self.row.trouble = Some(why.to_owned());
        if waiting.tries >= TRIES {
            self.queue.pop_front();
            self.row.lost += 1;
        }
    }

    /// Nobody is to be told any more.
    pub fn forget(&mut self) {
        self.queue.clear();
        self.row.trouble = None;
    }

    /// For people.
    pub fn row(&self) -> NoticesRow {
        NoticesRow { waiting: self.queue.len() as u64, ..self.row.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1000 + seconds)
    }

    fn pair(lacks: &[&str], epoch: u32) -> View {
        let lacks = lacks.iter().map(|lack| (*lack).to_owned()).collect();
        View { node: "alpha".into(), paired: true, leads: true, epoch, lacks, ..View::default() }
    }

    fn events(notices: &[Notice]) -> Vec<Event> {
        notices.iter().map(|notice| notice.event).collect()
    }

    #[test]
    fn what_lasts_is_told_once_and_what_passes_is_not() {
        let mut notices = Notices::default();
        let mut look = |second, lacks: &[&str]| notices.look(at(second), 7, &pair(lacks, 3), true);
        assert!(look(0, &[]).is_empty());
        assert!(look(1, &["the peer is not heard"]).is_empty());
        assert!(look(3, &[]).is_empty(), "a handover");
        assert!(look(4, &["the peer is not heard"]).is_empty());
        let told = look(9, &["the peer is not heard"]);
        assert_eq!(events(&told), [Event::RedundancyLost]);
        assert!(told[0].text.contains("the peer is not heard"));
        assert!(look(60, &["the peer is not heard"]).is_empty());
        assert!(look(61, &[]).is_empty());
        assert_eq!(events(&look(66, &[])), [Event::RedundancyRegained]);
    }

    #[test]
    fn a_takeover_and_a_gateway_are_told_and_the_standby_leaves_the_webhook_to_its_peer() {
        let mut notices = Notices::default();
        let standby = View { leads: false, ..pair(&[], 3) };
        assert!(notices.look(at(0), 7, &standby, true).is_empty());
        assert_eq!(events(&notices.look(at(1), 7, &pair(&[], 4), true)), [Event::TookOver]);
        assert!(notices.look(at(2), 7, &pair(&[], 4), true).is_empty());
        let gateway = |down| {
            let words = if down { "down" } else { "online" };
            View { gateways: vec![("WANGW".into(), down, words.into())], ..pair(&[], 4) }
        };
        notices.look(at(3), 7, &gateway(true), true);
        assert_eq!(notices.poll_timeout(), Some(at(1)), "the webhook is to be told first");
        assert_eq!(events(&notices.look(at(8), 7, &gateway(true), true)), [Event::GatewayDown]);
        notices.look(at(9), 7, &gateway(false), true);
        assert_eq!(events(&notices.look(at(14), 7, &gateway(false), true)), [Event::GatewayUp]);
        assert_eq!(notices.row().waiting, 3);
        let mut standby_view = gateway(true);
        standby_view.leads = false;
        let mut quiet = Notices::default();
        quiet.look(at(0), 7, &standby_view, true);
        assert_eq!(quiet.look(at(5), 7, &standby_view, true).len(), 1);
        assert_eq!(quiet.row().waiting, 0);
    }

    #[test]
    fn a_webhook_that_does_not_answer_is_tried_later_and_later_and_given_up() {
        let mut notices = Notices::default();
        let lost = pair(&["x"], 1);
        notices.look(at(0), 7, &lost, true);
        notices.look(at(5), 7, &lost, true);
        let (mut now, mut tries, mut waits) = (at(5), 0, Vec::new());
        while let Some(notice) = notices.next(now).cloned() {
            tries += 1;
            notices.failed(now, notice.id, "no answer");
            let Some(next) = notices.poll_timeout() else { break };
            assert!(notices.next(now).is_none(), "not at once");
            waits.push(next.since(now).as_secs());
            now = next;
        }
        assert_eq!((tries, waits.as_slice()), (TRIES, &[2, 4, 8, 16, 32, 64, 128][..]));
        let row = notices.row();
        assert_eq!((row.lost, row.waiting, row.trouble.as_deref()), (1, 0, Some("no answer")));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut notices = Notices::default();
        for round in 0..100u64 {
            let lacks: &[&str] = if round % 2 == 0 { &["x"] } else { &[] };
            notices.look(at(round * 10), 7, &pair(lacks, 1), true);
            notices.look(at(round * 10 + 5), 7, &pair(lacks, 1), true);
        }
        let row = notices.row();
        assert_eq!(
            (row.waiting, row.lost, row.latest.len()),
            (WAITING as u64, 100 - WAITING as u64, WAITING)
        );
        let first = notices.next(at(9999)).unwrap().id;
        notices.taken(first + 1);
        assert_eq!(notices.row().told, 0, "not the one that was tried");
        notices.taken(first);
        assert_eq!((notices.row().told, notices.row().waiting), (1, WAITING as u64 - 1));
        notices.forget();
        assert_eq!(notices.next(at(9999)), None);
    }
}
