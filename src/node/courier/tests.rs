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
                    // Whatever the chunks say, all is the same.
                    let evidence = Evidence { round: Some(false), ..Evidence::default() };
                    self.couriers[1].handle_applied(self.channels.now, stream, sequence, &evidence, &mut out);
                    self.deliver(1, out);
                }
                ReplicaOrder::ForgetPeer => forgot = true,
                ReplicaOrder::Speak(_) | ReplicaOrder::Detour(_) => {}
                ReplicaOrder::Tell { .. } | ReplicaOrder::Correct { .. } | ReplicaOrder::Quiet => {
                    panic!("a standby tells nothing")
                }
            }
        }
        (chunks, forgot)
    }

    /// The last chunk that was given to the standby's shard has shown this.
    fn show(&mut self, sequence: u64, evidence: Evidence) {
        let stream = self.couriers[1].receiver.stream().unwrap();
        let mut out = CourierOutbox::default();
        self.couriers[1].handle_applied(self.channels.now, stream, sequence, &evidence, &mut out);
        self.deliver(1, out);
    }

    fn tells_anew(&mut self) -> bool {
        std::mem::take(&mut self.orders[0]).contains(&ReplicaOrder::Tell { by_name: false })
    }

    /// The nodes change their roles.
    fn swap(&mut self, epoch: u32) {
        self.couriers.swap(0, 1);
        self.orders.swap(0, 1);
        self.channels.ends.swap(0, 1);
        self.order(1, CourierOrder::Role(Role::Standby, Epoch(epoch)));
        self.orders = Default::default();
        self.order(0, CourierOrder::Role(Role::Active, Epoch(epoch)));
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
    pair.order(1, CourierOrder::Speak(Version::NEWEST));
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
    pair.order(1, CourierOrder::Speak(Version::NEWEST));
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
fn after_a_change_of_roles_the_peer_is_told_by_name() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.tell(complete());
    pair.apply();
    pair.orders = Default::default();
    pair.swap(8);
    assert_eq!(pair.orders[0], [ReplicaOrder::Tell { by_name: true }]);
    // And back again.
    pair.tell(complete());
    pair.apply();
    pair.orders = Default::default();
    pair.swap(9);
    assert_eq!(pair.orders[0], [ReplicaOrder::Tell { by_name: true }]);
}

#[test]
fn a_peer_whose_router_started_again_has_no_names() {
    let mut pair = Pair::new();
    pair.tell(complete());
    pair.apply();
    pair.couriers[0] = Courier::default();
    pair.order(0, CourierOrder::Speak(Version::NEWEST));
    pair.orders = Default::default();
    pair.swap(8);
    pair.session();
    assert!(pair.orders[0].contains(&ReplicaOrder::Tell { by_name: false }), "{:?}", pair.orders[0]);
}

#[test]
fn an_operator_at_either_node_gets_everything_told_in_full() {
    for who in 0..2 {
        let mut pair = Pair::new();
        pair.tell(complete());
        pair.apply();
        pair.swap(8);
        pair.tell(complete());
        pair.apply();
        assert!(pair.couriers[1].synced());
        let before = pair.couriers[0].snapshot(pair.channels.now).stream;
        pair.orders = Default::default();
        let mut out = CourierOutbox::default();
        assert_eq!(pair.couriers[who].handle_again(pair.channels.now, &mut out), Ok(()));
        pair.deliver(who, out);
        assert_eq!(pair.orders[0], [ReplicaOrder::Tell { by_name: false }]);
        let now = pair.channels.now;
        let [alpha, beta] = [0, 1].map(|node| pair.couriers[node].snapshot(now).stream);
        assert!(alpha != before && alpha == beta);
        assert!(!pair.couriers[1].synced() && !pair.couriers[0].snapshot(now).synced);
        pair.tell(complete());
        assert!(pair.apply().1);
        assert!(pair.couriers[1].synced() && pair.couriers[0].snapshot(now).synced);
    }
    let mut out = CourierOutbox::default();
    let refused = Courier::default().handle_again(Instant::ZERO, &mut out);
    assert_eq!(refused, Err(NotAgain::NoSession));
}

#[test]
fn what_differs_is_asked_for_and_both_nodes_know_of_it() {
    let mut pair = Pair::new();
    pair.tell(complete());
    pair.apply();
    pair.tell(vec![1]);
    pair.orders = Default::default();
    let different = Evidence { compared: vec![(512, false)], unknown: vec![9], ..Evidence::default() };
    pair.show(2, different);
    let asked = |ranges: &[u32], flows: &[u32]| ReplicaOrder::Correct {
        ranges: ranges.to_vec(),
        flows: flows.to_vec(),
    };
    assert_eq!(pair.orders[0], [asked(&[], &[9]), asked(&[512], &[])]);
    let now = pair.channels.now;
    assert!(!pair.couriers[1].synced());
    for node in 0..2 {
        let row = pair.couriers[node].snapshot(now);
        assert_eq!((row.synced, row.digests.equal, row.digests.differing), (false, false, 1));
        assert_eq!((row.digests.ranges[0].first, row.digests.ranges[0].last), (512, 767));
        let mut told = crate::node::PairSnapshot::default();
        pair.couriers[node].complete(now + Duration::from_secs(9), &mut told);
        assert_eq!(told.findings.len(), 0);
        pair.couriers[node].complete(now + Duration::from_secs(11), &mut told);
        assert!(told.findings[0].what.contains("1 ranges for 11 s"), "{:?}", told.findings);
    }
    // The question was lost, or the answer.
    pair.orders = Default::default();
    let mut out = CourierOutbox::default();
    let later = pair.couriers[1].poll_timeout().unwrap();
    pair.couriers[1].handle_timeout(later.max(now + Duration::from_millis(500)), &mut out);
    pair.deliver(1, out);
    assert_eq!(pair.orders[0], [asked(&[512], &[])]);
    pair.tell(vec![2]);
    pair.show(3, Evidence { compared: vec![(512, true)], ..Evidence::default() });
    assert!(pair.couriers[1].synced());
    assert!((0..2).all(|node| pair.couriers[node].snapshot(now).digests.equal));
}

#[test]
fn a_peer_of_another_release_never_says_what_it_told_and_is_told_in_full() {
    let mut pair = Pair::new();
    pair.tell(complete());
    pair.apply();
    pair.order(0, CourierOrder::Role(Role::Standby, Epoch(8)));
    let mut out = CourierOutbox::default();
    pair.couriers[1].handle_order(pair.channels.now, CourierOrder::Role(Role::Active, Epoch(8)), &mut out);
    // The sender's beginning is acknowledged; what was told before is not said.
    let stream = pair.couriers[1].sender.as_ref().unwrap().stream();
    let beyond = [0; 4];
    let ack = Datagram::Ack { stream, received: 0, applied: 0, beyond }.encode();
    let mut now = pair.channels.now;
    let mut out = CourierOutbox::default();
    pair.couriers[1].handle_answer(now, &ack, &mut out);
    let mut asked = 0;
    while out.orders.is_empty() && asked < 100 {
        now = pair.couriers[1].poll_timeout().unwrap().max(now);
        asked += 1;
        pair.couriers[1].handle_timeout(now, &mut out);
    }
    assert_eq!(out.orders, [ReplicaOrder::Tell { by_name: false }]);
    assert!(now.since(pair.channels.now) < Duration::from_millis(400));
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

fn only(change: &Change) -> Vec<u8> {
    let mut chunk = Vec::new();
    flow::begin(&mut chunk);
    flow::encode(change, &mut chunk);
    chunk
}

#[test]
fn in_a_handover_the_stream_outlives_the_role_until_its_last_word() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.tell(complete());
    pair.apply();
    pair.order(0, CourierOrder::Cedes(Epoch(7)));
    pair.tell(only(&Change::Frozen));
    assert_eq!(pair.couriers[1].frozen(), None, "not before it is applied");
    pair.apply();
    assert_eq!(pair.couriers[1].frozen(), Some(Epoch(7)));
    // The peer leads, begins a stream of its own that nobody hears yet, and still takes what the first one says.
    pair.order(1, CourierOrder::Role(Role::Active, Epoch(8)));
    assert!(!pair.orders[0].contains(&ReplicaOrder::ForgetPeer));
    pair.tell(vec![7]);
    pair.tell(only(&Change::Left));
    let taken: Vec<_> = std::mem::take(&mut pair.orders[1]);
    assert_eq!(taken.len(), 2, "{taken:?}");
    for order in taken {
        let ReplicaOrder::Import(stream, sequence, _) = order else { panic!("{order:?}") };
        let mut out = CourierOutbox::default();
        let now = pair.channels.now;
        pair.couriers[1].handle_applied(now, stream, sequence, &Evidence::default(), &mut out);
        pair.deliver(1, out);
    }
    assert!(pair.orders[0].contains(&ReplicaOrder::Quiet), "{:?}", pair.orders[0]);
    assert_eq!(pair.couriers[0].snapshot(pair.channels.now).direction, "receives");
}

#[test]
fn a_last_word_that_nobody_acknowledges_is_given_up() {
    let mut pair = Pair::new();
    pair.tells_anew();
    pair.order(0, CourierOrder::Cedes(Epoch(7)));
    assert!(pair.couriers[0].acked().is_some());
    let mut out = CourierOutbox::default();
    pair.couriers[0].handle_timeout(pair.channels.now + CEDE, &mut out);
    assert!(out.orders.contains(&ReplicaOrder::Quiet) && pair.couriers[0].acked().is_none());
    assert_eq!(pair.couriers[0].unfinished, 1);
}

#[test]
fn a_standby_s_own_packets_go_both_ways_in_the_present_epoch_and_to_a_peer_that_knows_them() {
    let mut pair = Pair::new();
    let say = |pair: &mut Pair, from: usize| {
        let mut out = CourierOutbox::default();
        pair.couriers[from].handle_detour(b"packet", &mut out);
        pair.deliver(from, out);
        std::mem::take(&mut pair.orders[1 - from]).contains(&ReplicaOrder::Detour(b"packet".to_vec()))
    };
    assert!(say(&mut pair, 0) && say(&mut pair, 1));
    pair.order(1, CourierOrder::Speak(Version::OLDEST));
    assert!(!say(&mut pair, 1), "the peer is of the release before");
    pair.order(1, CourierOrder::Speak(Version::NEWEST));
    // Its stream has not reached the standby yet.
    let order = CourierOrder::Role(Role::Active, Epoch(8));
    pair.couriers[0].handle_order(pair.channels.now, order, &mut CourierOutbox::default());
    assert!(!say(&mut pair, 0) && !say(&mut pair, 1), "of another epoch");
    assert!(pair.couriers[0].detours_lost == 1 && pair.couriers[1].detours_lost == 2);
}
