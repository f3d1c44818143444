//! One worker's share of the router: the verbs that the edge calls.
//!
//! Invariant: a shard is a value. It is given the time, frames, link states and commands, and answers into an
//! [`Outbox`]; it never waits, and nothing here reads a clock, a file or a socket.

use std::sync::Arc;

use super::arrival::Arrival;
use super::assumption::Assumption;
use super::challenge::Challenges;
use super::command::CaptureSink;
use super::compiled::Compiled;
use super::deferral::Deferral;
use super::departure::{Departure, Departures};
use super::detour::Detour;
use super::drops::Drops;
use super::error_rate::ErrorRate;
use super::journal::Journal;
use super::notice::Notices;
use super::outbox::Outbox;
use super::overload::Overloads;
use super::pair::{self, Duty};
use super::pressure::Pressure;
use super::refusal::Refusal;
use super::relay::Relay;
use super::replication::Met;
use super::tally::Tallies;
use super::traffic::Traffic;
use super::uplinks::Uplinks;
use crate::conntrack::Table;
use crate::nat::{self, Outbound};
use crate::route::{self, Gateways, Neighbours, RouterAdvertiser};
use crate::types::{Instant, InterfaceId, PortId, Random, Role, Seed, Standing};
use crate::wire::icmp_error::ErrorCause;
use crate::wire::pair::Version;
use crate::wire::reassembly::{self, Reassembly};
use crate::wire::{Drop, FrameBuf};

/// Why a shard wants to be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// States expire.
    Conntrack,
    /// A neighbour is asked again, or found missing.
    Neighbours,
    /// Half-received datagrams expire.
    Reassembly,
    /// A router advertisement is due.
    RouterAdvertisement,
    /// The peer's node has more to be told.
    Replication,
    /// The peer's node is due to compare its states with ours.
    Digest,
    /// A flow's first packet has waited for long enough.
    Deferral,
    /// Frames of a handover wait.
    Handover,
    /// Flows of a standby that went through the active node have to end.
    Detour,
    /// A source's time in an overload table is over, or its flows are about to end.
    Overload,
    /// A probe of a gateway is due, or flows of one have to end.
    Gateways,
}

/// The router, or one worker's share of it.
pub struct Shard {
    pub(super) compiled: Arc<Compiled>,
    pub(super) started: Instant,
    pub(super) standing: Standing,
    pub(super) duty: Duty,
    pub(super) table: Table,
    pub(super) neighbours: Neighbours<Departure>,
    pub(super) advertiser: RouterAdvertiser,
    pub(super) reassembly: Reassembly,
    pub(super) departures: Departures,
    pub(super) drops: Drops,
    pub(super) tallies: Tallies,
    pub(super) traffic: Traffic,
    pub(super) outbound: Outbound,
    pub(super) errors: ErrorRate,
    pub(super) links_up: Vec<bool>,
    pub(super) captures: Vec<(Option<InterfaceId>, CaptureSink)>,
    pub(super) batch: Vec<Arrival>,
    pub(super) route_out: route::Outbox<Departure>,
    pub(super) whole: reassembly::Outbox,
    pub(super) journal: Journal,
    pub(super) notices: Notices,
    /// Gateways that answer, or no longer do, since somebody last asked: by number, the newest word on each.
    pub(super) gateway_news: Vec<(usize, bool)>,
    /// How many more chunks the peer's node has room for.
    pub(super) credit: usize,
    /// What the two nodes speak with each other.
    pub(super) speaks: Version,
    /// Neighbours that the peer's node has to be told of.
    pub(super) met: Vec<Met>,
    pub(super) deferral: Deferral,
    pub(super) overloads: Overloads,
    pub(super) pressure: Pressure,
    pub(super) challenges: Challenges,
    pub(super) identifications: Random,
    pub(super) relay: Relay,
    pub(super) assumption: Assumption,
    pub(super) uplinks: Uplinks,
    pub(super) detour: Detour,
}

impl Shard {
    /// A router with an empty table. All ports are down until the edge says otherwise.
    pub fn new(compiled: Arc<Compiled>, seed: Seed, now: Instant) -> Self {
        let mut route_out = route::Outbox::default();
        let interfaces = compiled.links.len();
        let fragment_id = seed.derive(1).random().next() as u32;
        let standing = pair::at_first(&compiled);
        let mut shard = Shard {
            started: now,
            standing,
            duty: Duty::new(now, &standing, &compiled),
            table: untold_table(&compiled, seed.derive(2), now),
            neighbours: Neighbours::new(compiled.neighbour_config(), seed.derive(3), now, &mut route_out),
            advertiser: RouterAdvertiser::new(compiled.advertiser_links(), seed.derive(4), now),
            reassembly: Reassembly::new(compiled.reassembly_limits()),
            departures: Departures::new(&compiled, fragment_id),
            drops: Drops::new(),
            tallies: Tallies::new(&compiled.ruleset),
            traffic: Traffic::new(interfaces),
            errors: ErrorRate::new(seed.derive(9), now),
            links_up: vec![false; compiled.offloads.len()],
            captures: Vec::new(),
            batch: Vec::with_capacity(256),
            route_out,
            whole: reassembly::Outbox::default(),
            journal: Journal::new(now),
            notices: Notices::new(now),
            gateway_news: Vec::new(),
            credit: 0,
            speaks: Version::OLDEST,
            met: Vec::new(),
            deferral: Deferral::default(),
            overloads: Overloads::new(),
            pressure: Pressure::new(now),
            challenges: Challenges::new(seed.derive(7)),
            identifications: seed.derive(8).random(),
            relay: Relay::default(),
            assumption: Assumption::default(),
            outbound: Outbound::new(seed.derive(6)),
            detour: Detour::new(now),
            uplinks: Uplinks::new(Gateways::new(compiled.uplinks.clone(), now)),
            compiled,
        };
        shard.speak(Version::OLDEST);
        shard.set_passive(now, standing.role == Role::Standby);
        shard.tell_duty(now);
        shard.watch_gateways(now);
        shard
    }

    /// Frames that came in by `port`.
    pub fn handle_frames(
        &mut self,
        now: Instant,
        port: PortId,
        frames: &mut Vec<FrameBuf>,
        out: &mut Outbox,
    ) {
        self.take_up_duty(now);
        self.go_on_with_handover(now, out);
        self.pressure.begin(now, port);
        for frame in frames.drain(..) {
            self.admit(now, port, frame, out);
        }
        self.finish(now, out);
        self.pressure.end();
    }

    /// The link of a port came or went.
    pub fn handle_link(&mut self, now: Instant, port: PortId, up: bool, out: &mut Outbox) {
        self.take_up_duty(now);
        let index = usize::from(port.0);
        if index >= self.links_up.len() {
            self.links_up.resize(index + 1, false);
        }
        self.links_up[index] = up;
        let interfaces: Vec<_> = self.compiled.interfaces_of(port).collect();
        for interface in interfaces {
            self.neighbours.handle_link(now, interface, up, &mut self.route_out);
            self.advertiser.handle_link(now, interface, up);
        }
        self.finish(now, out);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.take_up_duty(now);
        self.go_on_with_handover(now, out);
        self.table.handle_timeout(now);
        self.work_on_overloads(now);
        self.work_on_detours();
        self.neighbours.handle_timeout(now, &mut self.route_out);
        self.advertiser.handle_timeout(now, &mut self.route_out.frames);
        self.reassembly.handle_timeout(now, &mut self.whole);
        self.drain_reassembly(now, InterfaceId::SELF, out);
        self.end_deferral(now, out);
        self.tend_gateways(now, out);
        self.finish(now, out);
    }

    /// When to call [`Shard::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Why)> {
        let due = [
            (self.table.poll_timeout().map(|(at, _)| at), Why::Conntrack),
            (self.neighbours.poll_timeout(), Why::Neighbours),
            (self.reassembly.poll_timeout().map(|(at, _)| at), Why::Reassembly),
            (self.advertiser.poll_timeout(), Why::RouterAdvertisement),
            (self.has_to_tell().then_some(Instant::ZERO), Why::Replication),
            (self.has_to_relay().then_some(Instant::ZERO), Why::Handover),
            (self.relay_due(), Why::Handover),
            (self.assumption.poll_timeout(self.duty.leads), Why::Handover),
            (self.poll_digests(), Why::Digest),
            (self.deferral.poll_timeout(), Why::Deferral),
            (self.overloads.poll_timeout(), Why::Overload),
            (self.detour.poll_timeout(), Why::Detour),
            (self.uplinks.poll_timeout(), Why::Gateways),
        ];
        due.into_iter().filter_map(|(at, why)| Some((at?, why))).min_by_key(|(at, _)| *at)
    }

    /// Ends cleanly: hosts learn that this router advertises no more, unless its peer goes on.
    pub fn handle_stop(&mut self, now: Instant, out: &mut Outbox) {
        self.take_up_duty(now);
        let goes_on = self.compiled.pair.as_ref().is_some_and(|pair| pair.peer.is_some());
        if !goes_on {
            self.advertiser.stop(&mut self.route_out.frames);
        }
        self.renumber_chunks(now, out);
        self.finish(now, out);
    }

    /// Runs what has gathered in the batch, then everything that follows from it.
    pub(super) fn finish(&mut self, now: Instant, out: &mut Outbox) {
        self.run_batch(now, out);
        self.drain_neighbours(now, out);
        self.flush_departures(now, out);
        self.tell_peer(now, out);
        self.relay(now, out);
    }

    /// What has waited for the role, or for the end of it, comes before anything else.
    pub(super) fn go_on_with_handover(&mut self, now: Instant, out: &mut Outbox) {
        self.take_back_relayed(now, out);
        self.go_on(now, out);
    }

    /// What the neighbours say: frames of their own, packets whose next hop is known now, packets that wait no more.
    fn drain_neighbours(&mut self, now: Instant, out: &mut Outbox) {
        let mut said = std::mem::take(&mut self.route_out);
        for (interface, frame) in said.frames.drain(..) {
            self.send_link_frame(now, interface, frame, out);
        }
        for (_, mac, departure) in said.ready.drain(..) {
            // It may have waited past the end of the lease.
            match self.duty.leads || departure.ingress == InterfaceId::SELF {
                true => {
                    let Departure { packet, pass, ingress, egress, neighbour: _, original: _ } = departure;
                    self.transmit(now, packet, pass, [ingress, egress], mac, out);
                }
                false => self.recall(now, departure, out),
            }
        }
        for (_, _, departure) in said.failed.drain(..) {
            self.unreachable(now, departure, out);
        }
        for (reason, departure) in said.dropped.drain(..) {
            self.lose(now, reason, None, departure.ingress, departure.packet, out);
        }
        for reason in said.counted.drain(..) {
            self.drops.count(reason, 1);
        }
        for event in said.events.drain(..) {
            if let route::Event::Gateway { interface, address, reachable } = event {
                self.note_gateway((interface, address), reachable);
                self.heed_neighbour(now, (interface, address), reachable);
            }
            self.notice(now, event);
        }
        self.note_met(&mut said.met);
        self.route_out = said;
    }

    /// The next hop does not answer: the sender learns it, in terms of the packet that it sent.
    fn unreachable(&mut self, now: Instant, departure: Departure, out: &mut Outbox) {
        let Departure { mut packet, ingress, original, .. } = departure;
        if packet.layout.key != original {
            nat::rewrite(&mut packet, &original);
        }
        let refusal = Refusal::told(Drop::NeighbourFailed, ErrorCause::HostUnreachable);
        self.refuse(now, refusal, packet, ingress, out);
    }

    /// A copy for whoever watches.
    #[inline]
    pub(super) fn capture(&mut self, now: Instant, interface: InterfaceId, frame: &[u8]) {
        if !self.captures.is_empty() {
            self.captures
                .retain_mut(|(wanted, sink)| wanted.is_some_and(|id| id != interface) || sink(now, frame));
        }
    }
}

/// A table for a peer that has not said yet what it knows: it is told no proofs.
fn untold_table(compiled: &Compiled, seed: Seed, now: Instant) -> Table {
    let mut table = Table::new(compiled.conntrack_config(), seed, now);
    table.set_proves(false);
    table.apply_timers(compiled.rule_timers());
    table
}
