//! Two couriers with real sessions between them.

use super::*;
use crate::cluster::channel::{Channel, Outbox, SessionNews, Way};
use crate::cluster::entropy::Seeded;
use crate::cluster::{Entropy, Identity};
use crate::types::{PathId, Seed};
use crate::wire::pair::flow::Change;

/// Two channels that shake hands at once whenever they are asked to.
struct Channels {
    ends: [Channel; 2],
    now: Instant,
}

impl Channels {
    fn new() -> Self {
        let identity = |seed| Identity::generate(&mut Seeded::new(Seed([seed, 1])));
        let (alpha, beta) = (identity(1), identity(2));
        let now = Instant::from_secs(1);
        let entropy = |seed| Box::new(Seeded::new(Seed([seed, 2]))) as Box<dyn Entropy + Send>;
        let ends = [
            Channel::new(alpha.clone(), beta.public(), entropy(3), now),
            Channel::new(beta, alpha.public(), entropy(4), now),
        ];
        Channels { ends, now }
    }

    /// Shakes hands anew; gives both halves of each end.
    fn session(&mut self) -> [CourierOrder; 2] {
        self.ends.iter_mut().for_each(|end| end.renew(self.now));
        let mut stand = [false; 2];
        while stand != [true; 2] {
            self.now += Duration::from_millis(10);
            let mut outs = [Outbox::default(), Outbox::default()];
            for (end, out) in self.ends.iter_mut().zip(&mut outs) {
                end.handle_timeout(self.now, out);
            }
            for round in 0..8 {
                let from = round % 2;
                for (way, datagram) in std::mem::take(&mut outs[from].datagrams) {
                    let path = match way {
                        Way::All => PathId::SYNC,
                        Way::Path(path) => path,
                    };
                    self.ends[1 - from].handle_datagram(self.now, path, &datagram, &mut outs[1 - from]);
                }
            }
            for (stands, out) in stand.iter_mut().zip(&outs) {
                *stands |= matches!(out.session, Some(SessionNews::Stands(_)));
            }
        }
        let halves = |end: &mut Channel| CourierOrder::Session(Box::new(end.replica_halves().unwrap()));
        let [alpha, beta] = &mut self.ends;
        [halves(alpha), halves(beta)]
    }
}

/// An active node's courier and a standby's, and a cable.
struct Pair {
    channels: Channels,
    couriers: [Courier; 2],
    orders: [Vec<ReplicaOrder>; 2],
}

impl Pair {
    fn new() -> Self {
        let (couriers, orders) = ([Courier::default(), Courier::default()], [Vec::new(), Vec::new()]);
        let mut pair = Pair { channels: Channels::new(), couriers, orders };
        pair.order(0, CourierOrder::Role(Role::Active, Epoch(7)));
        pair.order(1, CourierOrder::Role(Role::Standby, Epoch(7)));
        pair.session();
        (0..2).for_each(|who| pair.order(who, CourierOrder::Speak(Version::NEWEST)));
        pair
    }

    fn session(&mut self) {
        let [alpha, beta] = self.channels.session();
        // Both ends hear of the session before anything is said in it.
        let mut out = CourierOutbox::default();
        self.couriers[1].handle_order(self.channels.now, beta, &mut out);
        self.deliver(1, out);
        self.order(0, alpha);
    }

    fn order(&mut self, who: usize, order: CourierOrder) {
        let mut out = CourierOutbox::default();
        self.couriers[who].handle_order(self.channels.now, order, &mut out);
        self.deliver(who, out);
    }

    fn deliver(&mut self, from: usize, out: CourierOutbox) {
        let CourierOutbox { datagrams, orders, parcels: _ } = out;
        self.orders[from].extend(orders);
        for datagram in datagrams {
            let mut out = CourierOutbox::default();
            self.couriers[1 - from].handle_datagram(self.channels.now, &datagram, &mut out);
            self.deliver(1 - from, out);
        }
    }

    /// The active node's shard hands over a chunk.
    fn tell(&mut self, chunk: Vec<u8>) {
        let mut out = CourierOutbox::default();
        self.couriers[0].handle_chunk(self.channels.now, chunk, &mut out);
        self.deliver(0, out);
    }

    /// The standby's shard applies what it was given; gives the chunks, and whether the peer's numbers were forgotten.
    fn apply(&mut self) -> (Vec<Vec<u8>>, bool) {
        let (mut chunks, mut forgot) = (Vec::new(), false);
        for order in std::mem::take(&mut self.orders[1]) {
            match order {
                ReplicaOrder::Import(stream, sequence, chunk) => {
                    chunks.push(chunk);
                    let mut out = CourierOutbox::default();
                    self.couriers[1].handle_applied(self.channels.now, stream, sequence, &mut out);
                    self.deliver(1, out);
                }
                ReplicaOrder::ForgetPeer => forgot = true,
                ReplicaOrder::Speak(_) => {}
                ReplicaOrder::Tell | ReplicaOrder::Quiet => panic!("a standby tells nothing"),
            }
        }
        (chunks, forgot)
    }

    fn tells_anew(&mut self) -> bool {
        std::mem::take(&mut self.orders[0]).contains(&ReplicaOrder::Tell)
    }
}

fn complete() -> Vec<u8> {
    let mut chunk = Vec::new();
    flow::begin(&mut chunk);
    flow::encode(&Change::Complete, &mut chunk);
    chunk
}

#[test]
fn a_standby_has_everything_when_it_has_applied_the_whole_walk() {
    let mut pair = Pair::new();
    assert!(pair.tells_anew() && pair.couriers[0].credit() > 0);
    pair.tell(vec![1]);
    pair.tell(complete());
    assert!(!pair.couriers[1].synced());
    assert_eq!(pair.apply(), (vec![vec![1], complete()], true));
    assert!(pair.couriers[1].synced() && pair.couriers[0].snapshot(pair.channels.now).synced);
}

#[test]
fn a_new_session_goes_on_where_the_old_one_ended() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.tell(complete());
    pair.apply();
    // The session falls while a chunk is on its way.
    pair.order(0, CourierOrder::SessionFell);
    pair.tell(vec![2]);
    pair.session();
    assert!(!pair.tells_anew(), "the peer has not forgotten");
    let mut out = CourierOutbox::default();
    let later = pair.channels.now + Duration::from_secs(1);
    pair.couriers[0].handle_timeout(later, &mut out);
    pair.deliver(0, out);
    assert_eq!(pair.apply(), (vec![vec![2]], false));
    assert!(pair.couriers[1].synced());
}

#[test]
fn a_peer_that_started_again_is_told_everything() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.tell(complete());
    pair.apply();
    pair.couriers[1] = Courier::default();
    pair.order(1, CourierOrder::Role(Role::Standby, Epoch(7)));
    pair.session();
    assert!(pair.tells_anew());
    pair.tell(complete());
    assert_eq!(pair.apply(), (vec![complete()], true));
    assert!(pair.couriers[1].synced());
}

/// What the peer had received is not kept here; a peer that forgets it before it has applied it must be told again.
#[test]
fn a_peer_that_started_again_before_it_had_applied_anything_is_told_everything() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.tell(vec![1]);
    pair.tell(complete());
    // It says what has come, and not that it was applied.
    let mut out = CourierOutbox::default();
    let later = pair.channels.now + Duration::from_millis(5);
    pair.couriers[1].handle_timeout(later, &mut out);
    assert!(!out.datagrams.is_empty());
    pair.deliver(1, out);
    pair.couriers[1] = Courier::default();
    pair.orders[1].clear();
    pair.order(1, CourierOrder::Role(Role::Standby, Epoch(7)));
    pair.session();
    assert!(pair.tells_anew());
    pair.tell(complete());
    assert_eq!(pair.apply(), (vec![complete()], true));
    assert!(pair.couriers[1].synced());
}

#[test]
fn whoever_is_no_longer_active_tells_nothing_and_waits_for_nothing() {
    let mut pair = Pair::new();
    pair.order(0, CourierOrder::Role(Role::Standby, Epoch(8)));
    assert!(pair.orders[0].contains(&ReplicaOrder::Quiet));
    assert_eq!((pair.couriers[0].credit(), pair.couriers[0].synced()), (0, false));
    let mut out = CourierOutbox::default();
    let later = pair.channels.now + Duration::from_secs(60);
    pair.couriers[0].handle_timeout(later, &mut out);
    assert_eq!(pair.couriers[0].poll_timeout(), None);
}

#[test]
fn a_parcel_goes_through_the_sessions_of_the_pair() {
    let mut pair = Pair::new();
    let kind = parcel::Kind::AGREEMENT;
    let (mut out, mut events) = (CourierOutbox::default(), [Vec::new(), Vec::new()]);
    let now = pair.channels.now;
    pair.couriers[1].send_parcel(now, kind, vec![7; 300_000], &mut out).unwrap();
    let mut way: Vec<(usize, Vec<u8>)> = out.datagrams.drain(..).map(|datagram| (0, datagram)).collect();
    while let Some((to, datagram)) = (!way.is_empty()).then(|| way.remove(0)) {
        pair.couriers[to].handle_datagram(now, &datagram, &mut out);
        way.extend(out.datagrams.drain(..).map(|datagram| (1 - to, datagram)));
        events[to].append(&mut out.parcels);
    }
    assert_eq!(events[0], [parcel::Event::Arrived { kind, bytes: vec![7; 300_000] }]);
    assert_eq!(events[1], [parcel::Event::Delivered(parcel::ParcelId(1))]);
}
