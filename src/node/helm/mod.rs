//! The helm: who serves, and what everybody else on the links must know of it.
//!
//! It is the value that the role thread runs: the channel to the peer, the election, CARP, and the announcements of a
//! takeover. It does nothing that can take long, and it alone makes frames that come from a virtual MAC address.
//!
//! Invariant: the frames that it makes belong to a closed set: datagrams of the pair between the nodes' own addresses,
//! CARP advertisements, announcements. Whoever sends them has published [`Helm::standing`] before.

mod announcements;
mod conditions;
mod counters;
mod doubts;
mod frames;
mod keys;
mod outbox;
mod pairing;
#[cfg(test)]
mod pairing_tests;
mod preflight;
mod pulse;
mod settle;
mod snapshot;
mod vips;
mod ways;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use announcements::Announcements;
use conditions::Conditions;
use doubts::Doubts;
pub use outbox::{CourierOrder, HelmNotice, HelmOutbox};
use pairing::Pairing;
pub use pairing::{PairingNews, PairingOrder, PairingRow};
pub use preflight::{Finding, nothing_arrives};
pub use pulse::Pulse;
pub use snapshot::{
    DigestRow, PairSnapshot, PathRow, PeerRow, RangeRow, ReplicationRow, TransitionRow, VirtualIpRow, WalkRow,
};
use vips::{Alarm, Vip};
pub use ways::{Way, sync_way};

use super::calendar::Calendar;
use super::compiled::Compiled;
use crate::carp;
use crate::cluster::channel::{self, Channel};
use crate::cluster::role::{Elector, RoleConfig, RoleOutbox};
use crate::cluster::{Entropy, Identity, Keyring, node_id, role};
use crate::config::model::VirtualIp;
use crate::config::{Config, Valid};
use crate::types::{Duration, Epoch, Instant, InterfaceId, PathId, PortId, PublicKey, Role, Seed, Standing};
use crate::wire::pair::{Version, payload};
use crate::wire::{FrameBuf, Packet, Parsed, carp as carp_wire, protocol};

/// The document's `preempt_delay` is in seconds; a preferred node outranks the other by this much.
const PREFERRED: u8 = 200;
const OTHER: u8 = 100;
/// The calendar clock may differ from our own by this much between two looks before we think that we were paused.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(20);

/// Makes the randomness of a new channel.
pub type MakeEntropy = Box<dyn Fn() -> Box<dyn Entropy + Send> + Send>;

/// Why the helm wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The channel.
    Channel(channel::Why),
    /// The election.
    Role(role::Why),
    /// A virtual host id.
    Carp(carp::Why),
    /// An interface is silent.
    Doubt,
    /// The next announcement.
    Announcement,
    /// A pairing.
    Pairing,
}

/// See the module.
pub struct Helm {
    pub(super) compiled: Arc<Compiled>,
    keyring: Keyring,
    entropy: MakeEntropy,
    ways: Vec<Way>,
    /// With whom the channel is.
    peer: Option<PublicKey>,
    channel: Option<Channel>,
    elector: Elector,
    vips: Vec<Vip>,
    announcements: Announcements,
    conditions: Conditions,
    doubts: Doubts,
    /// Whether the machine was started, or only the router.
    fresh: bool,
    seed: Seed,
    /// The calendar clock against our own.
    calendar: Calendar,
    /// The machine lets the role thread run before all ordinary ones; unknown at first.
    real_time: Option<bool>,
    /// By how much the peer's calendar clock differed at its last heartbeat.
    clocks_apart: Option<Duration>,
    /// The parent has a resignation for this session and epoch.
    resignation: Option<(u32, Epoch)>,
    session: Option<u32>,
    /// What the two nodes speak with each other, as the courier was told.
    speaks: Version,
    pairing: Pairing,
    /// A session is renewed after so long.
    rekey: Duration,
    channel_out: channel::Outbox,
    role_out: RoleOutbox,
}

impl Helm {
    /// A node that starts. `fresh`: the machine was started, not only the router. The calendar clock is told with
    /// [`Helm::handle_clock`].
    pub fn new(
        compiled: Arc<Compiled>,
        identity: Identity,
        entropy: MakeEntropy,
        fresh: bool,
        seed: Seed,
        now: Instant,
        out: &mut HelmOutbox,
    ) -> Self {
        let elector = Elector::new(role_config(&compiled, &identity, fresh), now);
        let mut helm = Helm {
            ways: Vec::new(),
            peer: None,
            channel: None,
            elector,
            vips: Vec::new(),
            announcements: Announcements::default(),
            conditions: Conditions::new(0, Vec::new(), 0),
            doubts: Doubts::default(),
            fresh,
            seed,
            calendar: Calendar::default(),
            real_time: None,
            clocks_apart: None,
            resignation: None,
            session: None,
            speaks: Version::OLDEST,
            pairing: Pairing::default(),
            rekey: channel::REKEY,
            channel_out: channel::Outbox::default(),
            role_out: RoleOutbox::default(),
            compiled: Arc::clone(&compiled),
            keyring: Keyring::new(identity),
            entropy,
        };
        helm.take_document(now, compiled, out);
        helm
    }

    /// What the packet path may do.
    pub fn standing(&self) -> Standing {
        let role = match self.pairing.yields() {
            true => Standing { role: Role::Standby, until: Instant::ZERO, ..self.elector.standing() },
            false => self.elector.standing(),
        };
        let lease = |(index, vip): (usize, &Vip)| Some((1 << (index & 63), vip.engine.lease()?));
        let leases = self.vips.iter().enumerate().filter_map(lease);
        let (foreign, foreign_until) =
            leases.reduce(|(bits, until), (bit, end)| (bits | bit, until.min(end))).unwrap_or_default();
        Standing { foreign, foreign_until, ..role }
    }

    /// A configuration with this peer comes into force soon: a node that has joined it serves no more from now on, so
    /// that it never answers for the virtual addresses.
    pub fn prepare(&mut self, peer: Option<PublicKey>) {
        self.pairing.prepare(peer);
    }

    /// Another configuration.
    pub fn apply(&mut self, now: Instant, compiled: Arc<Compiled>, out: &mut HelmOutbox) {
        let own = compiled.config.node_part(compiled.node).public_key;
        let config = role_config(&compiled, self.keyring.identity(own), self.fresh);
        if self.is_renewed(&compiled) {
            self.elector.rename(config.node, config.peer);
        }
        if self.pairing.has_joined(config.peer) {
            // A newcomer serves no more until it has heard its peer.
            self.elector = Elector::new(config, now);
        } else {
            self.elector.apply(now, config, &mut self.role_out);
        }
        self.take_document(now, compiled, out);
        self.settle(now, out);
    }

    fn take_document(&mut self, now: Instant, compiled: Arc<Compiled>, out: &mut HelmOutbox) {
        let (config, node) = (&compiled.config, compiled.node);
        self.ways = ways::ways(config, node);
        let peer = config.peer_of(node).and_then(|peer| config.node_part(peer).public_key);
        let renewed = self.is_renewed(&compiled);
        if peer != self.peer && !renewed {
            let own = config.node_part(node).public_key;
            let channel = |peer| Channel::new(self.keyring.keys(own, peer).0.0, peer, (self.entropy)(), now);
            self.channel = peer.map(channel);
            self.renew_sessions_after(self.rekey);
            (self.session, self.resignation) = (None, None);
            out.courier.push(CourierOrder::SessionFell);
        }
        self.peer = peer;
        self.leave_out(now, config, out);
        let before = std::mem::take(&mut self.vips);
        let vips = vips::vips(config, node, before, self.seed.derive(1), now);
        let (vips, said): (Vec<Vip>, Vec<carp::Outbox>) = vips.into_iter().unzip();
        self.vips = vips;
        let paired = self.vips.iter().filter(|vip| !vip.place.foreign);
        let critical = paired.map(|vip| (vip.place.interface, vip.place.port)).collect();
        let virtual_ips = self.vips.iter().map(|vip| (vip.place.interface, vip.place.port));
        let uplinks = compiled.gateways().iter();
        let uplinks = uplinks.map(|(interface, _)| (*interface, config.port_id(node, *interface)));
        let needed = virtual_ips.chain(uplinks).collect();
        let known = self.compiled.gateways();
        let before = compiled.gateways().iter().map(|new| known.iter().position(|old| old == new));
        self.conditions.apply(compiled.offloads.len(), critical, needed, before);
        self.elector.handle_config_hash(short_hash(&compiled.hash));
        self.compiled = compiled;
        self.adopt_keys(now);
        for (index, said) in said.into_iter().enumerate() {
            self.say_carp(now, index, said, out);
        }
        self.tell_links(now, out);
        self.follow_role(now, out);
    }

    /// Virtual IPs that the document no longer has are left to the others.
    fn leave_out(&mut self, now: Instant, config: &Valid<Config>, out: &mut HelmOutbox) {
        for index in 0..self.vips.len() {
            let vip = &self.vips[index];
            let (name, number) = (&vip.place.name, vip.engine.config().vhid);
            let stays = |(interface, vip): (InterfaceId, &VirtualIp)| {
                config.interface_name(interface) == name && vip.vhid == number
            };
            if !config.virtual_ips().any(stays) {
                let mut carp_out = carp::Outbox::default();
                self.vips[index].engine.stop(now, &mut carp_out);
                self.say_carp(now, index, carp_out, out);
            }
        }
    }

    /// A frame that the sync port received.
    pub fn handle_sync_frame(&mut self, now: Instant, frame: &FrameBuf, out: &mut HelmOutbox) {
        match payload(frame) {
            Some((from, _, bytes)) if pairing::is_pairing(bytes) => self.hear_pairing(now, from, bytes, out),
            Some((_, _, bytes)) => self.handle_datagram(now, PathId::SYNC, bytes, out),
            None => {}
        }
        self.settle(now, out);
    }

    /// A control frame that a data port received: a datagram of the pair, or CARP.
    pub fn handle_control_frame(
        &mut self,
        now: Instant,
        interface: InterfaceId,
        frame: FrameBuf,
        out: &mut HelmOutbox,
    ) {
        if let Some((_, _, bytes)) = payload(&frame) {
            self.handle_datagram(now, ways::path_of(interface), bytes, out);
        } else if let Ok(Parsed::Ip(packet)) = Packet::parse(frame)
            && packet.layout.key.protocol() == protocol::CARP
        {
            self.handle_carp(now, interface, &packet, out);
        }
        self.settle(now, out);
    }

    fn handle_datagram(&mut self, now: Instant, path: PathId, bytes: &[u8], out: &mut HelmOutbox) {
        if path == PathId::SYNC && frames::is_replica(bytes) {
            out.replica.push(bytes.to_vec());
        } else if let Some(channel) = &mut self.channel {
            channel.handle_datagram(now, path, bytes, &mut self.channel_out);
        }
    }

    fn handle_carp(&mut self, now: Instant, interface: InterfaceId, packet: &Packet, out: &mut HelmOutbox) {
        let from = packet.layout.key.src();
        let unicast = !packet.layout.key.dst().is_multicast();
        let read = carp_wire::Repr::read(packet, unicast);
        let vhid = match read {
            Ok(advert) => Some(advert.vhid),
            Err(_) => carp_wire::vrrp_router(packet),
        };
        let here = |vip: &Vip| vip.place.interface == interface && Some(vip.engine.config().vhid) == vhid;
        let Some(index) = self.vips.iter().position(here) else { return };
        let vip = &mut self.vips[index];
        let Ok(advert) = read else {
            if vip.note_alarm(now, Alarm::Vrrp(from)) {
                self.note_vrrp(index, from, out);
            }
            return;
        };
        let mut carp_out = carp::Outbox::default();
        vip.engine.handle_advert(now, from, &advert, &mut carp_out);
        if vip.engine.config().own.contains(&from) {
            vip.note_alarm(now, Alarm::Reflected);
        }
        self.say_carp(now, index, carp_out, out);
    }

    /// The reader of a path has found nothing more at `now`.
    pub fn handle_drained(&mut self, now: Instant, path: PathId) {
        self.elector.handle_drained(now, path);
        if let Some(way) = self.ways.iter().find(|way| way.path == path) {
            self.doubts.handle_drained(now, way.port);
        }
    }

    /// The last frame that a data port received came in at `at`.
    pub fn handle_heard(&mut self, now: Instant, port: PortId, at: Instant, out: &mut HelmOutbox) {
        if let Some(step) = self.doubts.handle_heard(port, at) {
            self.take_step(now, step, out);
            self.settle(now, out);
        }
    }

    /// The last question of [`HelmOutbox::probes`] by a data port went out at `at`.
    pub fn handle_asked(&mut self, port: PortId, at: Instant) {
        self.doubts.handle_asked(port, at, self.lateness(at));
    }

    /// How late this node did something at worst, of late.
    pub fn lateness(&self, now: Instant) -> Duration {
        self.elector.lateness(now)
    }

    /// The ways through interfaces, with the port of each.
    pub fn data_paths(&self) -> impl Iterator<Item = (PathId, PortId)> + '_ {
        self.ways.iter().filter(|way| way.interface.is_some()).map(|way| (way.path, way.port))
    }

    /// The port that only the pair uses.
    pub fn sync_port(&self) -> Option<PortId> {
        self.compiled.config.sync_port_id(self.compiled.node)
    }

    /// The link of a port came or went.
    pub fn handle_link(&mut self, now: Instant, port: PortId, up: bool, out: &mut HelmOutbox) {
        self.conditions.set_link(port, up);
        self.tell_links(now, out);
        self.settle(now, out);
    }

    /// A gateway answers, or no longer does.
    pub fn handle_gateway(&mut self, now: Instant, index: usize, reachable: bool, out: &mut HelmOutbox) {
        self.conditions.set_gateway(index, reachable);
        self.tell_health(now, out);
        self.settle(now, out);
    }

    /// The forwarding loop turns, or is stuck.
    pub fn handle_forwarding(&mut self, now: Instant, turns: bool, out: &mut HelmOutbox) {
        if self.conditions.forwarding != turns {
            self.conditions.forwarding = turns;
            self.tell_health(now, out);
            self.settle(now, out);
        }
    }

    /// The courier says how far replication is.
    pub fn handle_replication(&mut self, now: Instant, synced: bool, applied: u64, out: &mut HelmOutbox) {
        self.elector.handle_applied(applied);
        if self.conditions.synced != synced {
            self.conditions.synced = synced;
            self.tell_health(now, out);
            self.settle(now, out);
        }
    }

    /// The shard has applied everything that a peer that hands over told before it stopped, in this epoch.
    pub fn handle_frozen(&mut self, now: Instant, epoch: Epoch, out: &mut HelmOutbox) {
        self.elector.handle_frozen(now, epoch, &mut self.role_out);
        self.settle(now, out);
    }

    /// Whether more changes wait for the peer than it applies in no time.
    pub fn handle_lag(&mut self, behind: bool) {
        self.elector.handle_lag(behind);
    }

    /// Whether the machine lets the role thread run before all ordinary ones.
    pub fn handle_scheduling(&mut self, real_time: bool) {
        self.real_time = Some(real_time);
    }

    /// The calendar clock of the machine, at `now`: a jump against our own means that we were paused or reverted.
    pub fn handle_clock(&mut self, now: Instant, calendar_nanos: u64, out: &mut HelmOutbox) {
        let by = self.calendar.look(now, calendar_nanos);
        if by > CLOCK_TOLERANCE {
            self.elector.handle_clock_jump(now, by, &mut self.role_out);
            for index in 0..self.vips.len() {
                let mut carp_out = carp::Outbox::default();
                self.vips[index].engine.handle_clock_jump(now, by, &mut carp_out);
                self.say_carp(now, index, carp_out, out);
            }
            self.settle(now, out);
        }
    }

    /// An operator asks.
    ///
    /// # Errors
    /// When the request cannot be followed.
    pub fn handle_request(
        &mut self,
        now: Instant,
        request: role::Request,
        out: &mut HelmOutbox,
    ) -> Result<(), role::Refusal> {
        let followed = self.elector.handle_request(now, request, &mut self.role_out);
        self.settle(now, out);
        followed
    }

    /// This node speaks as an earlier release of the pair's protocols would, from its start on.
    pub fn speak(&mut self, version: Version) {
        self.elector.set_version(version);
    }

    /// A session with the peer is renewed after so long, instead of an hour.
    pub fn renew_sessions_after(&mut self, time: Duration) {
        self.rekey = time;
        if let Some(channel) = &mut self.channel {
            channel.set_rekey(time);
        }
    }

    /// True when the peer knows this release of the pair's protocols, and so does this node.
    pub fn peer_speaks(&self, version: Version) -> bool {
        self.elector.common_version() >= version
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut HelmOutbox) {
        if let Some(channel) = &mut self.channel {
            channel.handle_timeout(now, &mut self.channel_out);
        }
        // What the channel has opened is heard before anything is decided.
        self.settle(now, out);
        self.elector.handle_timeout(now, &mut self.role_out);
        self.settle(now, out);
        for index in 0..self.vips.len() {
            let mut carp_out = carp::Outbox::default();
            self.vips[index].engine.handle_timeout(now, &mut carp_out);
            self.say_carp(now, index, carp_out, out);
        }
        while let Some(step) = self.doubts.step(now) {
            self.take_step(now, step, out);
            self.settle(now, out);
        }
        if !self.elector.standing().leads(now) {
            self.announcements.hold(now);
        }
        while let Some(announcement) = self.announcements.due(now) {
            self.announce(announcement, out);
        }
        self.run_pairing(now, out);
    }

    /// When to call [`Helm::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let channel = self.channel.as_ref().and_then(Channel::poll_timeout);
        let vips = self.vips.iter().filter_map(|vip| vip.engine.poll_timeout());
        let vips = vips.min_by_key(|(at, _)| *at);
        let timers = [
            channel.map(|(at, why)| (at, Why::Channel(why))),
            self.elector.poll_timeout().map(|(at, why)| (at, Why::Role(why))),
            vips.map(|(at, why)| (at, Why::Carp(why))),
            self.doubts.poll_timeout().map(|at| (at, Why::Doubt)),
            self.announcements.poll_timeout().map(|at| (at, Why::Announcement)),
            self.pairing.poll_timeout().map(|at| (at, Why::Pairing)),
        ];
        timers.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The node ends cleanly: it hands over and takes leave of foreign speakers.
    pub fn stop(&mut self, now: Instant, out: &mut HelmOutbox) {
        // Where there is no pair, there is nothing to give.
        let _ = self.elector.handle_request(now, role::Request::Disable(true), &mut self.role_out);
        self.settle(now, out);
        for index in 0..self.vips.len() {
            let mut carp_out = carp::Outbox::default();
            self.vips[index].engine.stop(now, &mut carp_out);
            self.say_carp(now, index, carp_out, out);
        }
        out.resignation = Some(Vec::new());
    }

    /// The node's role.
    pub fn role(&self) -> Role {
        self.elector.standing().role
    }
}

fn role_config(compiled: &Compiled, identity: &Identity, fresh: bool) -> RoleConfig {
    let (config, node) = (&compiled.config, compiled.node);
    let peer = config.peer_of(node).and_then(|peer| config.node_part(peer).public_key);
    let preempt = config.pair.as_ref().filter(|pair| pair.preempt);
    RoleConfig {
        node: identity.node_id(),
        peer: peer.as_ref().map(node_id),
        preference: if config.is_preferred(node) { PREFERRED } else { OTHER },
        preempt: preempt.map(|pair| Duration::from_secs(pair.preempt_delay.into())),
        paths: ways::ways(config, node).iter().map(|way| way.path).collect(),
        fresh,
    }
}

/// The first 64 bits of the document's hash: enough to see that two nodes differ.
fn short_hash(hash: &str) -> u64 {
    hash.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
}
