//! What the node may do for others at present, and what belongs to the pair among the packets that come in.
//!
//! Invariant: a node that does not lead forwards nothing and answers for no virtual IP of the pair. Whether it leads
//! is asked once a batch, so that the end of a lease is obeyed by the next one.

use super::Shard;
use super::compiled::Compiled;
use super::outbox::Outbox;
use crate::config::{Config, NodeIndex, Valid};
use crate::types::{Ceding, Duration, Instant, InterfaceId, PortId, PublicKey, Role, Standing};
use crate::wire::pair::PORT;
use crate::wire::{Drop, FlowKey, Fragment, FrameBuf, Packet, Parsed, Transport, protocol};

/// At most this many packets wait for the role within one batch.
const CONTROL_LIMIT: usize = 64;

/// The pair, as this node is in it.
#[derive(Clone, Debug)]
pub struct PairPart {
    /// The port that leads to the peer.
    pub sync: PortId,
    /// The other node; a pair of one has none.
    pub peer: Option<NodeIndex>,
    /// The keys by which the two know each other: this node's, the peer's.
    pub keys: (Option<PublicKey>, Option<PublicKey>),
    /// This node wins ties.
    pub preferred: bool,
    /// For how long the preferred node must have been well before it takes the role back; `None`: it does not.
    pub preempt: Option<Duration>,
    /// A flow's first packet waits until the peer knows the flow.
    pub defer: bool,
}

impl PairPart {
    pub(super) fn new(config: &Valid<Config>, node: NodeIndex) -> Option<Self> {
        let pair = config.pair.as_ref()?;
        let peer = config.peer_of(node);
        Some(PairPart {
            sync: config.sync_port_id(node)?,
            peer,
            keys: (
                config.node_part(node).public_key,
                peer.and_then(|peer| config.node_part(peer).public_key),
            ),
            preferred: config.is_preferred(node),
            preempt: pair.preempt.then(|| Duration::from_secs(pair.preempt_delay.into())),
            defer: pair.defer,
        })
    }
}

/// What a standing means for this batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Duty {
    /// Packets of others are forwarded.
    pub leads: bool,
    /// A bit for each virtual IP that is answered for.
    pub answered: u64,
}

impl Duty {
    pub(super) fn new(now: Instant, standing: &Standing, compiled: &Compiled) -> Self {
        let leads = standing.leads(now);
        let bits = |vip: &&super::VirtualIp| standing.answers(now, vip.index, vip.foreign);
        let answered = compiled.virtual_ips.iter().filter(bits).fold(0, |bits, vip| bits | vip.bit());
        Duty { leads, answered }
    }
}

/// Where a new shard stands: a node of a pair does nothing for others until it is told to.
pub(super) fn at_first(compiled: &Compiled) -> Standing {
    let role = match compiled.pair {
        Some(_) => Role::Standby,
        None => Role::Alone,
    };
    Standing { role, ..Standing::ALONE }
}

impl Shard {
    /// What the node may do from now on.
    pub fn set_standing(&mut self, now: Instant, standing: Standing) {
        let before = std::mem::replace(&mut self.standing, standing);
        if before.role != standing.role {
            // A standby's flows end when the active node says so.
            self.set_passive(now, standing.role == Role::Standby);
            self.follow_assumption(now);
            self.end_detours();
            if standing.role == Role::Active {
                self.doom_after_takeover();
            }
        }
        self.take_up_duty(now);
        if before.cedes != standing.cedes {
            self.follow_ceding(now, before);
        }
    }

    /// What the node was last allowed to do; the end of its lease is not looked at.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// A batch that this node made while it led, at `began`, has come too late when `holds` is what holds at `now`: the
    /// role is gone, or the lease over. A node that hands over leads no more either, but what it still has is sent.
    pub fn is_overtaken(&self, began: Instant, now: Instant, holds: Standing) -> bool {
        self.standing.leads(began) && holds.cedes == Ceding::No && !holds.leads(now)
    }

    /// Which ports have a link; index is [`PortId`].
    pub fn links_up(&self) -> &[bool] {
        &self.links_up
    }

    /// Asks the standing what it means now. Every batch begins with this.
    pub(super) fn take_up_duty(&mut self, now: Instant) {
        let duty = Duty::new(now, &self.standing, &self.compiled);
        if duty != self.duty {
            self.duty = duty;
            self.tell_duty(now);
        }
    }

    /// The engines that speak of their own accord do so only for what is ours.
    pub(super) fn tell_duty(&mut self, now: Instant) {
        self.neighbours.set_answered(self.duty.answered);
        self.advertiser.set_leading(now, self.duty.leads);
    }

    /// True for a packet that is the other node's business: to be forwarded, or of a virtual IP that is not ours now.
    #[inline]
    pub(super) fn stands_by(&self, ingress: InterfaceId, key: &FlowKey) -> bool {
        let everything = Duty { leads: true, answered: self.compiled.virtual_bits };
        self.duty != everything && self.is_others_business(ingress, key)
    }

    fn is_others_business(&self, ingress: InterfaceId, key: &FlowKey) -> bool {
        let from_self = ingress == InterfaceId::SELF;
        let address = if from_self { key.src() } else { key.dst() };
        match self.compiled.virtual_ip(address, ingress) {
            Some(vip) => self.duty.answered & vip.bit() == 0,
            None => !from_self && !self.duty.leads && !self.compiled.is_own(address, ingress),
        }
    }

    /// Whether a unicast frame is for this station: its own MAC address, or a virtual one that is ours now.
    #[inline]
    pub(super) fn check_station(&self, ingress: InterfaceId, frame: &FrameBuf) -> Result<(), Drop> {
        let Some(link) = self.compiled.link(ingress) else { return Err(Drop::NotForUs) };
        let to = &frame.bytes()[..6];
        if to == link.mac.0 || to[0] & 1 != 0 {
            return Ok(());
        }
        match link.virtual_ips.iter().find(|vip| to == vip.mac.0) {
            Some(vip) if self.duty.answered & vip.bit() != 0 => Ok(()),
            Some(_) => Err(Drop::Standby),
            None => Err(Drop::NotForUs),
        }
    }

    /// A frame of the cable between the two nodes, which has no interface. The role gets it as from
    /// [`InterfaceId::SELF`].
    pub(super) fn admit_cable(&mut self, now: Instant, frame: FrameBuf, out: &mut Outbox) {
        match Packet::parse(frame) {
            Ok(Parsed::Ip(packet)) if is_pair_datagram(&packet) => {
                self.hand_over(now, InterfaceId::SELF, packet, out);
            }
            Ok(Parsed::Ip(Packet { frame, .. }) | Parsed::Arp(frame)) => {
                self.lose_frame(now, Drop::UnknownVlan, InterfaceId::SELF, frame, out);
            }
            Err((drop, frame)) => self.lose_frame(now, drop, InterfaceId::SELF, frame, out),
        }
    }

    /// True for what the role is to see instead of the rules: the peer's datagrams, and CARP where there is any.
    #[inline]
    pub(super) fn is_control(&self, ingress: InterfaceId, packet: &Packet) -> bool {
        match packet.layout.key.protocol() {
            protocol::UDP => {
                packet.layout.key.dst_port() == PORT
                    && self.compiled.pair.is_some()
                    && is_pair_datagram(packet)
                    && self
                        .compiled
                        .link(ingress)
                        .and_then(|link| link.link_local())
                        .is_some_and(|own| packet.layout.key.dst() == own)
            }
            protocol::CARP => {
                let to = packet.layout.key.dst();
                packet.layout.fragment == Fragment::Whole
                    && self.compiled.link(ingress).is_some_and(|link| !link.virtual_ips.is_empty())
                    && (self.compiled.is_multicast(to) || self.compiled.is_own(to, ingress))
            }
            _ => false,
        }
    }

    /// The role gets the packet, as it came in but without its tag.
    pub(super) fn hand_over(&mut self, now: Instant, ingress: InterfaceId, packet: Packet, out: &mut Outbox) {
        if out.control.len() < CONTROL_LIMIT {
            return out.control.push((ingress, packet.frame));
        }
        self.lose(now, Drop::ControlQueue, None, ingress, packet, out);
    }
}

/// Says nothing about whose it is: that is for the channel, which opens it or does not.
fn is_pair_datagram(packet: &Packet) -> bool {
    let key = &packet.layout.key;
    let to_link = matches!(key.dst(), std::net::IpAddr::V6(to) if to.is_unicast_link_local());
    let whole = packet.layout.fragment == Fragment::Whole && packet.layout.transport == Transport::Udp;
    to_link && whole && key.dst_port() == PORT && packet.transport_checksum_ok()
}
