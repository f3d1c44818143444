//! The role thread: it reads the sync port, hears what the forward thread hands over, and sends the helm's frames
//! itself, also by the data ports.
//!
//! One turn: read what there is, tell what was read to its end, then decide. A node that comes back from a stall so
//! acts on the last word, not on the first one in its queue. Nothing here takes long; what could is another thread's.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

use super::courier_thread::CourierHandle;
use super::helm_link::{Device, HelmEnd, PortNews};
use super::poller::{Poller, Ready, Waker};
use super::privilege::REAL_TIME;
use super::sabotage::Sabotage;
use super::standing::Published;
use super::sys::{self, PollEntry};
use super::{clock, pace, single, sys_precedence, sys_process};
use crate::cluster::Keyring;
use crate::cluster::role::{Refusal, Request};
use crate::node::snapshot::CounterRow;
use crate::node::{Compiled, Helm, HelmNotice, HelmOutbox, PairSnapshot, PairingNews, PairingOrder, Pulse};
use crate::types::{Ceding, Epoch, Instant, InterfaceId, PathId, PortId, PublicKey, Role};
use crate::wire::{FrameBuf, Pool, pair as wire_pair};

/// Orders that wait.
const ORDERS: usize = 256;
/// Frames of the sync port that are read in one turn.
const BATCH: usize = 64;
/// Control frames that are heard in one turn.
const FRAMES: usize = 256;
/// A thread that has nothing to do looks around this often, should a wake-up ever get lost.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A turn of the forward thread takes less, unless it has no processor; whether it is over is looked at this often.
const TURN: Duration = Duration::from_millis(2);
const GLANCE: Duration = Duration::from_micros(50);

/// Two clocks that are read within this are read at once.
pub(super) const MOMENT: Duration = Duration::from_millis(2);

/// Hears what comes of a pairing.
pub type PairingListener = Box<dyn FnMut(PairingNews) + Send>;

/// Hears whether a request is followed.
pub type Answer = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// What others ask of the role thread.
pub enum HelmOrder {
    /// A configuration with this peer comes into force as soon as that has been heard, and the standing published.
    Prepare(Option<PublicKey>, Box<dyn FnOnce() + Send>),
    /// Another configuration.
    Apply(Arc<Compiled>, Box<dyn FnOnce() + Send>),
    /// The pair, for people.
    Snapshot(Box<dyn FnOnce(PairSnapshot) + Send>),
    /// An operator asks, and is told whether that is followed.
    Request(Request, Answer),
    /// An operator begins or ends a pairing, and listens to what comes of it.
    Pairing(PairingOrder, PairingListener),
    /// Other keys.
    Keyring(Box<Keyring>),
    /// The courier says how far replication is.
    Replication {
        /// This node has everything.
        synced: bool,
        /// The newest chunk that it has applied.
        applied: u64,
        /// The epoch in which the peer stopped to forward, once all that it told before has been applied.
        frozen: Option<Epoch>,
        /// The peer is behind with the changes that it is told.
        behind: bool,
    },
    /// Hand over, take leave, end; called when the last frame has been sent.
    Stop(Box<dyn FnOnce() + Send>),
}

/// Gives orders to the role thread, from any thread.
#[derive(Clone)]
pub struct HelmHandle {
    orders: Arc<ArrayQueue<HelmOrder>>,
    waker: Waker,
}

impl HelmHandle {
    /// Queues an order; false when too many wait.
    pub fn order(&self, order: HelmOrder) -> bool {
        let taken = self.orders.push(order).is_ok();
        self.waker.wake();
        taken
    }
}

/// Takes the frames of a resignation, by port.
pub type ResignationListener = Box<dyn FnMut(Vec<(PortId, FrameBuf)>) + Send>;

/// What the role thread tells others.
pub struct Listeners {
    /// A line for the log.
    pub notice: Box<dyn FnMut(HelmNotice) + Send>,
    /// What the parent shall send when the router dies, by port.
    pub resignation: ResignationListener,
    /// The parent shall let this thread go before all ordinary ones.
    pub precede: Box<dyn FnMut(u32) + Send>,
    /// The standing has changed in a way that the forward thread should not wait for.
    pub wake_forward: Waker,
    /// The packet path shall ask the stations behind an interface whether they are there.
    pub probe: Box<dyn FnMut(InterfaceId, PortId) + Send>,
    /// Packets of the node itself that the packet path shall route.
    pub packets: Box<dyn FnMut(Vec<FrameBuf>) + Send>,
}

/// The role thread's world.
pub struct HelmThread {
    helm: Helm,
    out: HelmOutbox,
    link: HelmEnd,
    ports: Vec<Option<Device>>,
    published: Arc<Published>,
    courier: CourierHandle,
    listeners: Listeners,
    poller: Poller,
    orders: Arc<ArrayQueue<HelmOrder>>,
    pool: Pool,
    frames: Vec<FrameBuf>,
    /// The set of descriptors is out of date.
    stale: bool,
    /// Of the forward thread.
    pulse: Pulse,
    stop: Option<Box<dyn FnOnce() + Send>>,
    /// Who listens to the pairing that was begun last.
    pairing: Option<PairingListener>,
    /// Frames that a device did not take.
    refused: u64,
}

impl HelmThread {
    /// A thread around `helm`. `poller` is the one whose waker `link` was made with.
    pub fn new(
        (helm, out): (Helm, HelmOutbox),
        link: HelmEnd,
        published: Arc<Published>,
        courier: CourierHandle,
        listeners: Listeners,
        poller: Poller,
    ) -> Self {
        HelmThread {
            helm,
            out,
            link,
            ports: Vec::new(),
            published,
            courier,
            listeners,
            poller,
            orders: Arc::new(ArrayQueue::new(ORDERS)),
            pool: Pool::new(BATCH),
            frames: Vec::with_capacity(BATCH),
            stale: true,
            pulse: Pulse::default(),
            stop: None,
            pairing: None,
            refused: 0,
        }
    }

    /// Gives orders.
    pub fn handle(&self) -> HelmHandle {
        HelmHandle { orders: Arc::clone(&self.orders), waker: self.poller.waker() }
    }

    /// Starts the thread, before all ordinary ones where the machine permits it.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn start(self) -> io::Result<std::thread::JoinHandle<()>> {
        let mut role = self;
        std::thread::Builder::new().name("role".into()).spawn(move || {
            let real_time = sys_precedence::become_real_time(REAL_TIME);
            if real_time.is_err() {
                // The limit that permits it could not be raised; the parent may do it without.
                (role.listeners.precede)(sys_precedence::thread_id());
            }
            role.run();
        })
    }

    fn run(mut self) {
        let mut ready = Vec::new();
        // What the helm has said while it was made.
        self.flush(clock::now());
        loop {
            if self.wait(&mut ready).is_err() {
                return;
            }
            self.turn();
            if let Some(stop) = self.stop.take() {
                return stop();
            }
        }
    }

    fn wait(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        if std::mem::take(&mut self.stale) {
            self.poller.clear();
            let sync = self.helm.sync_port().and_then(|port| self.ports.get(usize::from(port.0)));
            if let Some(Some(device)) = sync {
                self.poller.add(0, device.file.as_fd());
            }
        }
        self.poller.arm();
        let timeout =
            if self.orders.is_empty() && self.link.is_drained() { self.timeout() } else { Duration::ZERO };
        self.poller.wait(Some(timeout), ready)
    }

    fn timeout(&self) -> Duration {
        let now = clock::now();
        let due = self.helm.poll_timeout().map(|(at, _)| at.since(now));
        let pulse = if self.helm.sync_port().is_some() { Pulse::EVERY } else { LOOK_AROUND };
        due.map_or(pulse, |due| due.min(pulse))
    }

    fn turn(&mut self) {
        self.look(clock::now());
        self.take_news();
        self.read_sync_port();
        self.hear_control_frames();
        self.tell_heard();
        self.tell_drained();
        self.carry_out_orders();
        let now = clock::now();
        if self.helm.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.helm.handle_timeout(now, &mut self.out);
        }
        self.flush(now);
    }

    /// The calendar clock, in each turn, since a machine that was put back in time must seal nothing before it knows;
    /// and whether the forward thread still turns.
    fn look(&mut self, now: Instant) {
        let calendar = sys_process::wall_nanos();
        // Who was held up between the two readings has not seen one moment.
        if clock::now().since(now) < MOMENT {
            self.helm.handle_clock(now, calendar, &mut self.out);
        }
        let (busy, turns) = self.published.pulse();
        let late = self.helm.lateness(now);
        let Some(turns) = self.pulse.look(now, busy, turns, late) else { return };
        self.helm.handle_scheduling(sys_precedence::is_real_time());
        self.helm.handle_forwarding(now, turns, &mut self.out);
    }

    fn take_news(&mut self) {
        let (ports, gateways) = self.link.news();
        for (number, reachable) in gateways {
            self.helm.handle_gateway(clock::now(), number, reachable, &mut self.out);
        }
        for PortNews { port, up, device } in ports {
            let index = usize::from(port.0);
            if index >= self.ports.len() {
                self.ports.resize_with(index + 1, || None);
            }
            if let Some(device) = device {
                self.ports[index] = device;
                self.stale = true;
                if self.helm.sync_port() == Some(port) {
                    self.courier.set_device(self.sync_device());
                }
            }
            self.helm.handle_link(clock::now(), port, up, &mut self.out);
        }
    }

    fn read_sync_port(&mut self) {
        let Some(port) = self.helm.sync_port() else { return };
        let Some(Some(device)) = self.ports.get(usize::from(port.0)) else { return };
        let received =
            single::read(&device.file, device.offload_header, BATCH, &mut self.pool, &mut self.frames);
        let now = clock::now();
        for frame in self.frames.drain(..) {
            self.helm.handle_sync_frame(now, &frame, &mut self.out);
            self.pool.give(frame);
        }
        if received.drained || received.error.is_some() {
            self.helm.handle_drained(now, PathId::SYNC);
        }
        for sealed in self.out.replica.drain(..) {
            self.courier.datagram(sealed);
        }
    }

    fn hear_control_frames(&mut self) {
        for _ in 0..FRAMES {
            let Some((interface, frame)) = self.link.frame() else { return };
            self.helm.handle_control_frame(clock::now(), interface, frame, &mut self.out);
        }
    }

    /// What the data ports have heard, for interfaces whose way to the peer is silent.
    fn tell_heard(&mut self) {
        let ports: Vec<PortId> = self.helm.data_paths().map(|(_, port)| port).collect();
        for port in ports {
            self.helm.handle_asked(port, self.published.asked(port));
            let at = self.published.heard(port);
            self.helm.handle_heard(clock::now(), port, at, &mut self.out);
        }
    }

    /// A data port has been read to its end when nothing waits in it, the forward thread is not in the middle of
    /// something, and everything that it has handed over was heard.
    fn tell_drained(&mut self) {
        let now = clock::now();
        if self.published.pulse().0.is_some() {
            return;
        }
        let paths: Vec<(PathId, PortId)> = self.helm.data_paths().collect();
        for (path, port) in paths {
            let Some(Some(device)) = self.ports.get(usize::from(port.0)) else { continue };
            let mut entry = [PollEntry::readable(device.file.as_fd())];
            let waits = sys::poll(&mut entry, Some(Duration::ZERO)).is_ok_and(|count| count > 0);
            if !waits && self.link.is_drained() {
                self.helm.handle_drained(now, path);
            }
        }
    }

    fn carry_out_orders(&mut self) {
        for _ in 0..ORDERS {
            let Some(order) = self.orders.pop() else { return };
            let now = clock::now();
            match order {
                HelmOrder::Prepare(peer, done) => {
                    self.helm.prepare(peer);
                    self.flush(now);
                    done();
                }
                HelmOrder::Apply(compiled, done) => {
                    // What was heard in this turn may have renewed the lease, and a document takes its time.
                    self.flush(now);
                    self.ports.truncate(compiled.offloads.len());
                    self.courier.set_way(&compiled);
                    self.helm.apply(now, compiled, &mut self.out);
                    self.courier.set_device(self.sync_device());
                    self.stale = true;
                    done();
                }
                HelmOrder::Snapshot(reply) => {
                    let mut snapshot = self.helm.snapshot(now);
                    snapshot.counters.push(CounterRow::new(
                        "role-refused",
                        self.refused,
                        "Frames of the pair that a port's device did not take.",
                    ));
                    self.courier.complete(snapshot, reply);
                }
                HelmOrder::Request(request, answer) => {
                    answer(self.helm.handle_request(now, request, &mut self.out));
                }
                HelmOrder::Pairing(order, listener) => {
                    self.pairing = Some(listener);
                    self.helm.handle_pairing(now, order, &mut self.out);
                }
                HelmOrder::Keyring(keyring) => self.helm.handle_keyring(now, *keyring, &mut self.out),
                HelmOrder::Replication { synced, applied, frozen, behind } => {
                    self.helm.handle_lag(behind);
                    if let Some(epoch) = frozen {
                        self.helm.handle_frozen(now, epoch, &mut self.out);
                    }
                    self.helm.handle_replication(now, synced, applied, &mut self.out);
                }
                HelmOrder::Stop(done) => {
                    self.helm.stop(now, &mut self.out);
                    self.stop = Some(done);
                }
            }
        }
    }

    /// First the standing, then the frames that follow from it.
    fn flush(&mut self, now: Instant) {
        let standing = self.helm.standing();
        let before = self.published.standing();
        // This thread may have stood still since the turn began: the forward thread knows by now what has lapsed.
        let at = clock::now();
        self.published.publish(standing);
        let other_duty = before.leads(at) != standing.leads(at) || before.cedes != standing.cedes;
        if other_duty || before.foreign != standing.foreign {
            self.listeners.wake_forward.wake();
        }
        if before.leads(now) && standing.role == Role::Standby && standing.cedes == Ceding::No {
            self.await_turn();
        }
        if Sabotage::Announcements.is_on_after_a_move(standing.epoch) {
            // What remains is what goes to the peer.
            self.out.packets.clear();
            self.out.frames.retain(|(_, frame)| wire_pair::payload(frame).is_some());
        }
        for (port, mut frame) in self.out.frames.drain(..) {
            let Some(Some(device)) = self.ports.get(usize::from(port.0)) else { continue };
            // The thread may have stood still since the frame was made.
            let lapsed = || standing.role == Role::Active && !standing.leads(clock::now());
            if self.helm.claims(port, &frame) && lapsed() {
                self.refused += 1;
                continue;
            }
            if single::write(&device.file, &mut frame, device.offload_header).is_err() {
                self.refused += 1;
            }
        }
        for order in self.out.courier.drain(..) {
            self.courier.order(order);
        }
        for (interface, port) in self.out.probes.drain(..) {
            (self.listeners.probe)(interface, port);
        }
        if !self.out.packets.is_empty() {
            (self.listeners.packets)(std::mem::take(&mut self.out.packets));
        }
        if let Some(frames) = self.out.resignation.take() {
            (self.listeners.resignation)(frames);
        }
        for news in self.out.pairing.drain(..) {
            if let Some(listener) = &mut self.pairing {
                listener(news);
            }
        }
        for notice in self.out.notices.drain(..) {
            (self.listeners.notice)(notice);
        }
    }

    /// The role is given up. What the forward thread is in the middle of sending leaves before the peer hears of it, so
    /// that not both are heard at once; what it begins from now on obeys.
    fn await_turn(&self) {
        let (mut busy, turn) = self.published.pulse();
        let patience = clock::now() + TURN;
        while busy.is_some() && clock::now() < patience {
            pace::until(clock::now() + GLANCE);
            let (since, turns) = self.published.pulse();
            busy = since.filter(|_| turns == turn);
        }
    }

    fn sync_device(&self) -> Option<&Device> {
        let port = self.helm.sync_port()?;
        self.ports.get(usize::from(port.0))?.as_ref()
    }
}
