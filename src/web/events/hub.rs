//! Who looks at what, and what they are told.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::topic::{Topic, Topics};
use crate::web::site::lock;

/// Streams at a time: pages themselves need connections, too.
const STREAMS: usize = 224;
/// Of one session.
const STREAMS_OF_ONE: usize = 16;
/// Messages that wait for a client: some seconds of everything.
const WAITING: usize = 64;

/// Whose stream it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    /// Of a session: what is kept of its cookie.
    Session(String),
    /// Of somebody who sends name and password with every request.
    Account {
        /// The name.
        name: String,
        /// See [`crate::web::account::Account::stamp`].
        stamp: [u8; 32],
        /// From there.
        from: IpAddr,
    },
}

/// What the streams have counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::web) struct Counters {
    /// Streams at present.
    pub open: u64,
    /// Streams that were begun.
    pub begun: u64,
    /// Streams that were refused: there were too many.
    pub refused: u64,
    /// Streams that were ended because their client did not keep up.
    pub slow: u64,
    /// Streams that ended with their session.
    pub over: u64,
    /// Messages that were told.
    pub told: u64,
}

/// A stream.
struct Place {
    holder: Holder,
    topics: Topics,
    sender: mpsc::Sender<Bytes>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Hub {
    places: Mutex<Vec<Place>>,
    /// What was told last, by topic, while somebody wants it: for whoever comes next.
    last: Mutex<[Option<Bytes>; Topic::ALL.len()]>,
    begun: AtomicU64,
    refused: AtomicU64,
    slow: AtomicU64,
    over: AtomicU64,
    told: AtomicU64,
}

fn more(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Hub {
    /// A stream begins with what was told last; `None` when there are too many.
    pub fn enter(&self, holder: Holder, topics: Topics) -> Option<mpsc::Receiver<Bytes>> {
        let mut places = lock(&self.places);
        places.retain(|place| !place.sender.is_closed());
        let of_one = places.iter().filter(|place| place.holder == holder).count();
        if places.len() >= STREAMS || of_one >= STREAMS_OF_ONE {
            more(&self.refused, 1);
            return None;
        }
        more(&self.begun, 1);
        let (sender, receiver) = mpsc::channel(WAITING);
        for (topic, message) in Topic::ALL.into_iter().zip(&*lock(&self.last)) {
            if let Some(message) = message.as_ref().filter(|_| topics.has(topic)) {
                // A new channel has room for one message of each topic.
                let _ = sender.try_send(message.clone());
            }
        }
        places.push(Place { holder, topics, sender });
        Some(receiver)
    }

    /// What anybody wants to see. What nobody wants is forgotten.
    pub fn wanted(&self) -> Topics {
        let mut places = lock(&self.places);
        places.retain(|place| !place.sender.is_closed());
        let wanted = places.iter().fold(Topics::default(), |wanted, place| wanted.and(place.topics));
        drop(places);
        for (topic, message) in Topic::ALL.into_iter().zip(&mut *lock(&self.last)) {
            if !wanted.has(topic) {
                *message = None;
            }
        }
        wanted
    }

    /// Tells everybody who wants to see this topic.
    pub fn tell(&self, topic: Topic, data: &str) {
        let message = event(topic.name(), data);
        lock(&self.last)[topic as usize] = Some(message.clone());
        self.send(&message, |place| place.topics.has(topic));
    }

    /// Tells everybody what time it is: so a client knows that the stream is alive, and how far behind it is.
    pub fn tick(&self, at_ms: u64) {
        self.send(&event("tick", &format!("{{\"at\":{at_ms}}}")), |_| true);
    }

    fn send(&self, message: &Bytes, to: impl Fn(&Place) -> bool) {
        let (mut told, mut slow) = (0, 0);
        lock(&self.places).retain(|place| {
            if !to(place) {
                return true;
            }
            match place.sender.try_send(message.clone()) {
                Ok(()) => told += 1,
                Err(TrySendError::Full(_)) => {
                    slow += 1;
                    return false;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
        more(&self.told, told);
        more(&self.slow, slow);
    }

    /// Ends the streams of those who may not look any more.
    pub fn review(&self, may: impl Fn(&Holder) -> bool) {
        let mut places = lock(&self.places);
        let before = places.len();
        places.retain(|place| may(&place.holder));
        more(&self.over, (before - places.len()) as u64);
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let open = lock(&self.places).iter().filter(|place| !place.sender.is_closed()).count();
        Counters {
            open: open as u64,
            begun: of(&self.begun),
            refused: of(&self.refused),
            slow: of(&self.slow),
            over: of(&self.over),
            told: of(&self.told),
        }
    }
}

/// An event as it goes over the wire: a line of data for each line.
fn event(name: &str, data: &str) -> Bytes {
    let mut text = String::with_capacity(data.len() + 64);
    text.push_str("event: ");
    text.push_str(name);
    text.push('\n');
    for line in data.split(['\n', '\r']) {
        text.push_str("data: ");
        text.push_str(line);
        text.push('\n');
    }
    text.push('\n');
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(number: usize) -> Holder {
        Holder::Session(number.to_string())
    }

    fn topics(text: &str) -> Topics {
        Topics::parse(text).unwrap()
    }

    #[test]
    fn everybody_hears_what_they_want_and_whoever_comes_late_hears_the_last_word() {
        let hub = Hub::default();
        let mut pair = hub.enter(holder(1), topics("pair")).unwrap();
        let mut both = hub.enter(holder(2), topics("pair,log")).unwrap();
        assert_eq!(hub.wanted(), topics("log,pair"));
        hub.tell(Topic::Pair, "a\nb");
        hub.tell(Topic::Log, "c");
        let said = |receiver: &mut mpsc::Receiver<Bytes>| {
            let mut all = String::new();
            while let Ok(bytes) = receiver.try_recv() {
                all.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            all
        };
        assert_eq!(said(&mut pair), "event: pair\ndata: a\ndata: b\n\n");
        assert!(said(&mut both).ends_with("event: log\ndata: c\n\n"));
        let mut late = hub.enter(holder(3), topics("log")).unwrap();
        assert_eq!(said(&mut late), "event: log\ndata: c\n\n");
        drop((late, both));
        assert_eq!(hub.wanted(), topics("pair"));
        let mut later = hub.enter(holder(3), topics("log")).unwrap();
        assert_eq!(said(&mut later), "", "what nobody wanted is forgotten");
        hub.tick(7);
        assert_eq!(said(&mut later), "event: tick\ndata: {\"at\":7}\n\n");
    }

    #[test]
    fn streams_are_bounded_for_each_session_and_in_all() {
        let hub = Hub::default();
        let mut kept = Vec::new();
        for number in 0..1000 {
            kept.extend(hub.enter(holder(number / 20), topics("pair")));
        }
        assert_eq!(kept.len(), STREAMS);
        assert_eq!(hub.counters().refused, (1000 - STREAMS) as u64);
        let first = kept.iter().take(STREAMS_OF_ONE).count();
        assert_eq!(first, STREAMS_OF_ONE);
        kept.truncate(10);
        assert_eq!(hub.counters().open, 10);
        assert!(hub.enter(holder(7), topics("pair")).is_some(), "there is room again");
    }

    #[test]
    fn whoever_does_not_keep_up_is_let_go_and_counted() {
        let hub = Hub::default();
        let slow = hub.enter(holder(1), topics("pair")).unwrap();
        let mut quick = hub.enter(holder(2), topics("pair")).unwrap();
        for _ in 0..=WAITING {
            hub.tell(Topic::Pair, "x");
            assert!(quick.try_recv().is_ok());
        }
        assert_eq!((hub.counters().slow, hub.counters().open), (1, 1));
        assert!(slow.len() <= WAITING);
        hub.review(|holder| *holder != Holder::Session("2".into()));
        assert_eq!((hub.counters().over, hub.counters().open), (1, 0));
        assert!(quick.is_closed(), "its session is over");
    }
}
