//! The helm and the courier of a node as actors beside its shard, with the queues between the three.
//!
//! A turn does what the program's threads do, in their order: what there is is read, what was read to its end is said,
//! then follows what is due; the standing is published before frames leave. When a turn comes is for the world.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use koi::cluster::entropy::Seeded;
use koi::cluster::parcel;
use koi::cluster::replica::{Evidence, StreamId};
use koi::cluster::role::{Refusal, Request};
use koi::cluster::{Entropy, Identity, Keyring};
use koi::node::{
    Compiled, Courier, CourierOrder, CourierOutbox, Helm, HelmNotice, HelmOutbox, Pulse, ReplicaOrder,
    SyncWay, sync_way,
};
use koi::types::{Epoch, Instant, InterfaceId, PathId, PortId, Seed, Standing};
use koi::wire::FrameBuf;
use koi::wire::pair::Version;

use crate::ledger::Deed;

/// As in the program.
const SYNC_FRAMES: usize = 1000;
const CONTROL: usize = 1024;
const DATAGRAMS: usize = 1024;
const CHUNKS: usize = 256;
const DETOURS: usize = 128;
const FORWARD_ORDERS: usize = 256;
/// Sync frames read in one turn.
const BATCH: usize = 64;
const AGAIN: Duration = Duration::from_millis(1);
/// Published words that a reader may still see.
const WORDS: usize = 16;
/// Rare words, and orders of the courier's, that wait: a window of the stream and a little.
const RARE: usize = 64;
const WAITING: usize = 600;

/// How far replication is: in sync, newest chunk, where the peer stopped, and whether it is behind.
type Told = (bool, u64, Option<Epoch>, bool);

/// Who has turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Actor {
    Helm,
    Courier,
    /// The forward thread takes orders.
    Forward,
}

impl Actor {
    pub const ALL: [Actor; 3] = [Actor::Helm, Actor::Courier, Actor::Forward];
}

/// What is to be seen of the forward thread, for the helm to judge it.
#[derive(Clone, Copy)]
pub struct Beat {
    /// Since when it has been in the middle of a turn.
    pub busy: Option<Instant>,
    /// How many it has ended.
    pub turns: u64,
}

/// Both actors and their queues.
pub struct Crew {
    pub helm: Helm,
    helm_out: HelmOutbox,
    pub courier: Courier,
    courier_out: CourierOutbox,
    sync: PortId,
    way: SyncWay,
    // For the helm.
    sync_frames: VecDeque<Vec<u8>>,
    control: VecDeque<(InterfaceId, FrameBuf)>,
    news: Vec<(PortId, bool)>,
    gateways: Vec<(usize, bool)>,
    requests: VecDeque<Request>,
    changes: VecDeque<Change>,
    replication: VecDeque<Told>,
    pulse: Pulse,
    // For the courier.
    datagrams: VecDeque<Vec<u8>>,
    words: VecDeque<CourierOrder>,
    applied: VecDeque<(StreamId, u64, Evidence)>,
    chunks: VecDeque<(u32, Vec<u8>)>,
    detours: VecDeque<Vec<u8>>,
    wanted: u32,
    waiting: VecDeque<(u32, ReplicaOrder)>,
    told: Option<Told>,
    // For the forward thread.
    pub orders: VecDeque<(u32, ReplicaOrder)>,
    telling: u32,
    pub packets: Vec<FrameBuf>,
    /// Interfaces whose stations the packet path shall ask.
    pub probes: Vec<(InterfaceId, PortId)>,
    asked: Vec<(PortId, Instant)>,
    /// By data port: when the last frame came in.
    heard: Vec<(PortId, Instant)>,
    /// The newest words, and when each was published.
    published: VecDeque<(Instant, Standing)>,
    /// What the parent sends when the router dies.
    pub resignation: Vec<(u8, Vec<u8>)>,
    pub notices: Vec<(Instant, HelmNotice)>,
    /// What the courier was handed over, and what was acknowledged.
    pub deeds: Vec<Deed>,
    acked: Option<u64>,
    /// What became of parcels.
    pub parcels: Vec<parcel::Event>,
    /// The calendar clock is wrong by this much.
    pub calendar: u64,
    /// What found a queue full.
    pub overflowed: u64,
    /// Why requests were not followed.
    pub refused: Vec<Refusal>,
}

/// What an operator changes of the helm.
pub enum Change {
    /// The node's keys.
    Keyring(Box<Keyring>),
    /// The document.
    Document(Arc<Compiled>),
    /// The release of the pair's protocols.
    Speak(Version),
    /// After how long a session is renewed.
    Rekey(Duration),
}

impl Crew {
    /// The crew of a node that starts; nobody has told it of links.
    pub fn new(compiled: &Arc<Compiled>, identity: Identity, fresh: bool, seed: Seed, now: Instant) -> Self {
        let mut helm_out = HelmOutbox::default();
        let count = std::sync::atomic::AtomicU64::new(0);
        let make = move || {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::new(Seeded::new(seed.derive(1000 + number))) as Box<dyn Entropy + Send>
        };
        let helm = Helm::new(
            Arc::clone(compiled),
            identity,
            Box::new(make),
            fresh,
            seed.derive(2),
            now,
            &mut helm_out,
        );
        let sync = helm.sync_port().unwrap();
        let standing = Standing { until: now, ..helm.standing() };
        Crew {
            helm,
            helm_out,
            courier: Courier::default(),
            courier_out: CourierOutbox::default(),
            sync,
            way: sync_way(&compiled.config, compiled.node).unwrap(),
            sync_frames: VecDeque::new(),
            control: VecDeque::new(),
            news: Vec::new(),
            gateways: Vec::new(),
            requests: VecDeque::new(),
            changes: VecDeque::new(),
            replication: VecDeque::new(),
            pulse: Pulse::default(),
            datagrams: VecDeque::new(),
            words: VecDeque::new(),
            applied: VecDeque::new(),
            chunks: VecDeque::new(),
            detours: VecDeque::new(),
            wanted: 0,
            waiting: VecDeque::new(),
            told: None,
            orders: VecDeque::new(),
            telling: 0,
            packets: Vec::new(),
            probes: Vec::new(),
            asked: Vec::new(),
            heard: Vec::new(),
            published: VecDeque::from([(now, standing)]),
            resignation: Vec::new(),
            notices: Vec::new(),
            deeds: Vec::new(),
            acked: None,
            parcels: Vec::new(),
            calendar: 0,
            overflowed: 0,
            refused: Vec::new(),
        }
    }

    pub fn is_sync(&self, port: u8) -> bool {
        self.sync == PortId(port)
    }

    /// What was published last.
    pub fn standing(&self) -> Standing {
        self.published.back().unwrap().1
    }

    /// What somebody reads who reads `late`.
    pub fn stale_standing(&self, now: Instant, late: Duration) -> Standing {
        let then = now - late;
        let words = self.published.iter().rev();
        words.clone().find(|(at, _)| *at <= then).unwrap_or(self.published.front().unwrap()).1
    }

    // What reaches the helm.

    pub fn receive_sync(&mut self, frame: Vec<u8>) {
        if self.sync_frames.len() < SYNC_FRAMES {
            self.sync_frames.push_back(frame);
        } else {
            self.overflowed += 1;
        }
    }

    pub fn receive_control(&mut self, interface: InterfaceId, frame: FrameBuf) {
        if self.control.len() < CONTROL {
            self.control.push_back((interface, frame));
        } else {
            self.overflowed += 1;
        }
    }

    /// Frames came in by a port, by the node's clock.
    pub fn hear(&mut self, port: PortId, at: Instant) {
        self.heard.retain(|(known, _)| *known != port);
        self.heard.push((port, at));
    }

    pub fn tell_link(&mut self, port: PortId, up: bool) {
        self.news.retain(|(known, _)| *known != port);
        self.news.push((port, up));
    }

    pub fn tell_gateway(&mut self, number: usize, reachable: bool) {
        self.gateways.retain(|(known, _)| *known != number);
        self.gateways.push((number, reachable));
    }

    /// The stations behind a port have been asked.
    pub fn asked(&mut self, port: PortId, at: Instant) {
        self.asked.push((port, at));
    }

    pub fn request(&mut self, request: Request) {
        self.requests.push_back(request);
    }

    pub fn change(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    // What reaches the courier.

    /// What it says to that leaves with its next turn.
    pub fn tell_again(&mut self, now: Instant) {
        assert_eq!(self.courier.handle_again(now, &mut self.courier_out), Ok(()));
    }

    /// A parcel for the peer; it leaves with the next turn.
    pub fn send_parcel(&mut self, now: Instant, kind: parcel::Kind, bytes: Vec<u8>) {
        self.courier.send_parcel(now, kind, bytes, &mut self.courier_out).unwrap();
    }

    /// How many chunks the forward thread may hand over.
    pub fn room(&self) -> usize {
        CHUNKS - self.chunks.len()
    }

    pub fn hand_over_chunks(&mut self, chunks: &mut Vec<Vec<u8>>) {
        let count = chunks.len().min(self.room());
        self.chunks.extend(chunks.drain(..count).map(|chunk| (self.telling, chunk)));
    }

    /// How many found no room.
    pub fn hand_over_detours(&mut self, detours: &mut Vec<Vec<u8>>) -> usize {
        let count = detours.len().min(DETOURS - self.detours.len());
        self.detours.extend(detours.drain(..count));
        let lost = detours.len();
        detours.clear();
        lost
    }

    /// The forward thread begins to tell anew.
    pub fn begin_telling(&mut self, telling: u32) {
        self.telling = telling;
    }

    pub fn applied(&mut self, stream: StreamId, sequence: u64, evidence: Evidence) {
        self.applied.push_back((stream, sequence, evidence));
    }

    /// When an actor wants a turn, by the node's clock.
    pub fn due(&self, actor: Actor, now: Instant) -> Option<Instant> {
        match actor {
            Actor::Helm => {
                let waits = !self.sync_frames.is_empty()
                    || !self.control.is_empty()
                    || !self.news.is_empty()
                    || !self.gateways.is_empty()
                    || !self.requests.is_empty()
                    || !self.changes.is_empty()
                    || !self.replication.is_empty();
                let due = self.helm.poll_timeout().map(|(at, _)| at);
                let pulse = self.pulse.due();
                if waits { Some(now) } else { Some(due.map_or(pulse, |due| due.min(pulse))) }
            }
            Actor::Courier => {
                let waits = !self.datagrams.is_empty()
                    || !self.words.is_empty()
                    || !self.applied.is_empty()
                    || !self.detours.is_empty()
                    || (self.courier.credit() > 0 && !self.chunks.is_empty());
                let again = (!self.waiting.is_empty()).then(|| now + AGAIN);
                if waits { Some(now) } else { self.courier.poll_timeout().into_iter().chain(again).min() }
            }
            Actor::Forward => {
                let waits = !self.orders.is_empty() || !self.packets.is_empty() || !self.probes.is_empty();
                waits.then_some(now)
            }
        }
    }

    /// The helm's turn. `quiet` says of a port that nothing waits in it; frames come back that leave at once.
    pub fn helm_turn(
        &mut self,
        now: Instant,
        calendar: u64,
        beat: Beat,
        quiet: impl Fn(PortId) -> bool,
    ) -> Vec<(u8, Vec<u8>)> {
        let Crew { helm, helm_out: out, .. } = self;
        helm.handle_clock(now, calendar + self.calendar, out);
        for change in self.changes.drain(..) {
            match change {
                Change::Keyring(keyring) => helm.handle_keyring(now, *keyring, out),
                Change::Document(compiled) => helm.apply(now, compiled, out),
                Change::Speak(version) => helm.speak(version),
                Change::Rekey(time) => helm.renew_sessions_after(time),
            }
        }
        for (number, reachable) in self.gateways.drain(..) {
            helm.handle_gateway(now, number, reachable, out);
        }
        for (port, up) in self.news.drain(..) {
            helm.handle_link(now, port, up, out);
        }
        let late = helm.lateness(now);
        if let Some(turns) = self.pulse.look(now, beat.busy, beat.turns, late) {
            helm.handle_forwarding(now, turns, out);
        }
        for _ in 0..BATCH {
            let Some(frame) = self.sync_frames.pop_front() else { break };
            helm.handle_sync_frame(now, &FrameBuf::copy_of(&frame), out);
        }
        if self.sync_frames.is_empty() {
            helm.handle_drained(now, PathId::SYNC);
        }
        for sealed in out.replica.drain(..) {
            if self.datagrams.len() < DATAGRAMS {
                self.datagrams.push_back(sealed);
            } else {
                self.overflowed += 1;
            }
        }
        for (interface, frame) in self.control.drain(..) {
            helm.handle_control_frame(now, interface, frame, out);
        }
        for (port, at) in self.asked.drain(..) {
            helm.handle_asked(port, at);
        }
        for (port, at) in &self.heard {
            helm.handle_heard(now, *port, *at, out);
        }
        if beat.busy.is_none() {
            let paths: Vec<_> = helm.data_paths().filter(|(_, port)| quiet(*port)).collect();
            for (path, _) in paths {
                helm.handle_drained(now, path);
            }
        }
        for request in self.requests.drain(..) {
            self.refused.extend(helm.handle_request(now, request, out).err());
        }
        for (synced, applied, frozen, behind) in self.replication.drain(..) {
            helm.handle_lag(behind);
            if let Some(epoch) = frozen {
                helm.handle_frozen(now, epoch, out);
            }
            helm.handle_replication(now, synced, applied, out);
        }
        if helm.poll_timeout().is_some_and(|(at, _)| at <= now) {
            helm.handle_timeout(now, out);
        }
        self.flush_helm(now)
    }

    fn flush_helm(&mut self, now: Instant) -> Vec<(u8, Vec<u8>)> {
        let standing = self.helm.standing();
        if standing != self.standing() {
            self.published.push_back((now, standing));
            if self.published.len() > WORDS {
                self.published.pop_front();
            }
        }
        let out = &mut self.helm_out;
        self.words.extend(out.courier.drain(..));
        self.packets.append(&mut out.packets);
        self.probes.append(&mut out.probes);
        if let Some(frames) = out.resignation.take() {
            self.resignation = frames.iter().map(plain).collect();
        }
        self.notices.extend(out.notices.drain(..).map(|notice| (now, notice)));
        out.frames.drain(..).map(|frame| plain(&frame)).collect()
    }

    /// The courier's turn.
    pub fn courier_turn(&mut self, now: Instant, calendar: u64) -> Vec<(u8, Vec<u8>)> {
        let Crew { courier, courier_out: out, .. } = self;
        courier.handle_clock(now, calendar + self.calendar);
        for order in self.words.drain(..) {
            courier.handle_order(now, order, out);
        }
        for sealed in self.datagrams.drain(..) {
            courier.handle_datagram(now, &sealed, out);
        }
        for (stream, sequence, evidence) in self.applied.drain(..) {
            courier.handle_applied(now, stream, sequence, &evidence, out);
        }
        for packets in self.detours.drain(..) {
            courier.handle_detour(&packets, out);
        }
        for order in out.orders.drain(..) {
            self.wanted += u32::from(matches!(order, ReplicaOrder::Tell { .. }));
            self.waiting.push_back((self.wanted, order));
        }
        // Before another stream may begin with this turn's words.
        let acked = courier.acked().filter(|acked| *acked > 0);
        if acked.is_some() && std::mem::replace(&mut self.acked, acked) != acked {
            self.deeds.extend(acked.map(Deed::Acked));
        }
        while courier.credit() > 0
            && let Some((telling, chunk)) = self.chunks.pop_front()
        {
            if telling == self.wanted {
                courier.handle_chunk(now, chunk.clone(), out);
                let row = courier.snapshot(now);
                self.deeds.push(Deed::Told { stream: row.stream, sequence: row.newest, chunk });
                self.acked = None;
            }
        }
        if courier.poll_timeout().is_some_and(|at| at <= now) {
            courier.handle_timeout(now, out);
        }
        let frames = out.datagrams.drain(..).filter_map(|datagram| {
            let frame = self.way.frame(&datagram)?;
            Some(plain(&(self.way.port, frame)))
        });
        let frames = frames.collect();
        self.parcels.append(&mut out.parcels);
        for order in out.orders.drain(..) {
            self.wanted += u32::from(matches!(order, ReplicaOrder::Tell { .. }));
            self.waiting.push_back((self.wanted, order));
        }
        while self.orders.len() < FORWARD_ORDERS
            && let Some(order) = self.waiting.pop_front()
        {
            self.orders.push_back(order);
        }
        let courier = &self.courier;
        let now = (courier.synced(), courier.applied(), courier.frozen(), courier.is_behind(now));
        let urgent = self.told.is_none_or(|told| (told.0, told.2, told.3) != (now.0, now.2, now.3));
        if urgent || self.told.is_none_or(|told| now.1.abs_diff(told.1) >= 64) {
            self.told = Some(now);
            self.replication.push_back(now);
        }
        frames
    }

    /// Panics when a queue is longer than anybody may expect.
    pub fn check_queues(&self) {
        assert!(self.words.len() <= RARE, "{} words for the courier", self.words.len());
        assert!(self.waiting.len() <= WAITING, "{} orders of the courier's wait", self.waiting.len());
        assert!(self.applied.len() <= WAITING, "{} chunks applied and not told", self.applied.len());
        assert!(self.replication.len() <= RARE && self.requests.len() <= RARE);
        assert!(self.packets.len() <= RARE, "{} packets of the helm's wait", self.packets.len());
        assert!(self.chunks.len() <= CHUNKS && self.orders.len() <= FORWARD_ORDERS);
    }
}

fn plain((port, frame): &(PortId, FrameBuf)) -> (u8, Vec<u8>) {
    (port.0, frame.bytes().to_vec())
}
