//! The frames that the helm makes: a closed set.

use std::net::IpAddr;

use super::announcements::Announcement;
use super::vips::{Alarm, Place};
use super::{Helm, HelmOutbox, Way};
use crate::carp::{self, Advert, To};
use crate::cluster::channel;
use crate::node::departure::tag;
use crate::types::{Family, Instant, PortId, Role};
use crate::wire::FrameBuf;
use crate::wire::carp::Envelope;
use crate::wire::pair::{self, Envelope as PairEnvelope, Kind, Space};

/// True for a sealed datagram that the courier opens.
pub(super) fn is_replica(bytes: &[u8]) -> bool {
    PairEnvelope::parse(bytes).is_some_and(|(envelope, _)| {
        let space = Space::from_number(envelope.space);
        envelope.kind == Kind::Sealed && matches!(space, Some(Space::Replica | Space::Parcel | Space::Detour))
    })
}

impl Way {
    /// A datagram to the peer, as a frame for this way's port.
    pub fn frame(&self, payload: &[u8]) -> Option<FrameBuf> {
        let mut frame = pair::frame(self.ours, self.theirs, payload)?;
        tag(self.vlan, &mut frame).then_some(frame)
    }
}

impl Helm {
    /// A datagram of the channel goes out.
    pub(super) fn send(&self, way: channel::Way, payload: &[u8], out: &mut HelmOutbox) {
        let wanted = |one: &&Way| match way {
            channel::Way::All => true,
            channel::Way::Path(path) => one.path == path,
        };
        let ways = self.ways.iter().filter(wanted).filter(|way| self.conditions.link(way.port));
        out.frames.extend(ways.filter_map(|way| Some((way.port, way.frame(payload)?))));
    }

    /// The frame comes from a virtual MAC address of the pair's: it may leave under the lease only.
    pub fn claims(&self, port: PortId, frame: &FrameBuf) -> bool {
        let from = frame.bytes().get(6..12);
        let paired = self.vips.iter().map(|vip| &vip.place).filter(|place| !place.foreign);
        paired
            .into_iter()
            .any(|place| place.port == port && place.mac != place.own_mac && from == Some(&place.mac.0[..]))
    }

    /// An address is announced where it lives.
    pub(super) fn announce(&self, announcement: Announcement, out: &mut HelmOutbox) {
        let Announcement { interface, mac, address } = announcement;
        let Some(link) = self.compiled.link(interface) else { return };
        let mut frame = carp::announcement(mac, address);
        if tag(link.vlan, &mut frame) {
            out.frames.push((link.port, frame));
        }
    }

    /// An advertisement goes out: to the group by the port, to a single peer through the packet path, which knows how
    /// to find it.
    pub(super) fn advertise(&self, index: usize, advert: &Advert, out: &mut HelmOutbox) {
        let Some(vip) = self.vips.get(index) else { return };
        let place = &vip.place;
        let own = vip.engine.config().own.iter();
        let Some(from) = own.copied().find(|own| own.is_ipv4() == (advert.family == Family::Inet)) else {
            return;
        };
        match (advert.to, from) {
            (To::Group, from) => {
                let mut frame = advert.repr.frame(Envelope::to_group(place.mac, from));
                let vlan = self.compiled.link(place.interface).and_then(|link| link.vlan);
                if tag(vlan, &mut frame) {
                    out.frames.push((place.port, frame));
                }
            }
            (To::Peer(IpAddr::V4(to)), IpAddr::V4(from)) => {
                let (from_mac, to_mac) = (place.own_mac, place.own_mac);
                out.packets.push(advert.repr.frame(Envelope::V4 { from_mac, to_mac, from, to }));
            }
            (To::Peer(IpAddr::V6(to)), IpAddr::V6(from)) => {
                let (from_mac, to_mac) = (place.own_mac, place.own_mac);
                out.packets.push(advert.repr.frame(Envelope::V6 { from_mac, to_mac, from, to }));
            }
            (To::Peer(_), _) => {}
        }
    }

    /// What an engine says goes out, and into the log.
    pub(super) fn say_carp(&mut self, now: Instant, index: usize, said: carp::Outbox, out: &mut HelmOutbox) {
        let carp::Outbox { adverts, announce, changes, events } = said;
        let Some(Place { interface, mac, foreign, .. }) = self.vips.get(index).map(|vip| vip.place.clone())
        else {
            return;
        };
        for change in changes.iter().filter(|_| foreign) {
            self.note_carp(
                index,
                false,
                format!("{} is {:?} ({:?})", carp_name(self, index), change.to, change.reason),
                out,
            );
        }
        for event in events {
            if let Some(vip) = self.vips.get_mut(index) {
                vip.note_alarm(now, Alarm::Carp(event));
            }
            self.note_carp(index, true, format!("{}: {}", carp_name(self, index), words(event)), out);
        }
        // Whose lease has lapsed says nothing from a virtual MAC address, though it still holds the role.
        let standing = self.elector.standing();
        let lapsed = standing.role == Role::Active && !standing.leads(now);
        for advert in adverts.iter().filter(|_| foreign || !lapsed) {
            self.advertise(index, advert, out);
        }
        // A takeover of the pair is announced for all virtual IPs together.
        if foreign {
            for address in announce {
                self.announce(Announcement { interface, mac, address }, out);
            }
        }
    }

    /// Somebody else's MAC address is that of a virtual IP.
    pub(super) fn note_vrrp(&self, index: usize, from: IpAddr, out: &mut HelmOutbox) {
        let text = format!(
            "{}: {from} advertises the same number by VRRP, and so the same MAC address; one of the two needs another",
            carp_name(self, index)
        );
        self.note_carp(index, true, text, out);
    }

    fn note_carp(&self, index: usize, wrong: bool, text: String, out: &mut HelmOutbox) {
        let place = self.vips.get(index).map(|vip| vip.place.name.clone()).unwrap_or_default();
        out.notices.push(super::HelmNotice { wrong, place, text });
    }
}

fn carp_name(helm: &Helm, index: usize) -> String {
    helm.vips.get(index).map_or(String::new(), |vip| format!("VHID {}", vip.engine.config().vhid))
}

/// What an operator should do about it.
fn words(event: carp::Event) -> String {
    match event {
        carp::Event::ListsDiffer { from } => {
            format!("the peer {from} has another list of virtual addresses, or another password")
        }
        carp::Event::BadDigest { from } => {
            format!(
                "{from} advertises this VHID with a wrong digest: another password, other addresses, or another use of the number"
            )
        }
        carp::Event::Stranger { from } => {
            format!(
                "{from}, which is not the peer, advertises this VHID; declare it foreign or choose another number"
            )
        }
        carp::Event::Repeat { from } => {
            format!(
                "an advertisement of {from} was heard again: a replay, or a switch that sends frames back"
            )
        }
        carp::Event::OtherMaster { from } => format!("{from} is MASTER, too"),
        carp::Event::FamilySilent { family } => {
            format!(
                "the master's {family:?} advertisements do not arrive; look for a switch that filters multicast"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replica_datagrams_are_told_from_others() {
        let envelope = |kind, space: Space| {
            PairEnvelope { kind, space: space.number().unwrap(), session: 1, counter: 2 }.emit().to_vec()
        };
        assert!(is_replica(&envelope(Kind::Sealed, Space::Replica)));
        assert!(is_replica(&envelope(Kind::Sealed, Space::Parcel)));
        assert!(is_replica(&envelope(Kind::Sealed, Space::Detour)));
        assert!(!is_replica(&envelope(Kind::Sealed, Space::Control)));
        assert!(!is_replica(&envelope(Kind::Handshake, Space::Replica)));
        assert!(!is_replica(&[]));
    }
}
