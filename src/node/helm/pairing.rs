//! Pairing: for a while, the helm answers strangers on the sync port, or is one itself.
//!
//! Invariant: only the sync port is heard and spoken to, and only after an operator has asked for it. A node that has
//! joined waits for its peer's word before it serves, whatever it did before.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Helm, HelmNotice, HelmOutbox};
use crate::cluster::pairing::{self, Creator, Ended, Failure, Joiner, Standing};
use crate::cluster::{Code, Entropy, Identity, node_id};
use crate::config::mac_for;
use crate::types::{Instant, MacAddr, NodeId, PublicKey};
use crate::wire::FrameBuf;
use crate::wire::pair::{Envelope, Kind, frame, frame_to_all};

/// What an operator wants.
#[derive(Debug)]
pub enum PairingOrder {
    /// Let whoever knows the code join, and give him `own`.
    Offer {
        /// The code.
        code: Code,
        /// For the joiner.
        own: Vec<u8>,
    },
    /// Join the node that shows the code, and give it `own`.
    Join {
        /// The code.
        code: Code,
        /// For the creator.
        own: Vec<u8>,
    },
    /// No longer.
    Close,
}

/// What comes of it. All but the first end it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PairingNews {
    /// Somebody tried a wrong code; so many tries are left.
    WrongCode(u8),
    /// Both have each other's key and payload.
    Paired {
        /// The other's key.
        peer: PublicKey,
        /// What the other gave.
        payload: Vec<u8>,
    },
    /// It came to nothing.
    Failed(PairingFailure),
}

/// Why it came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PairingFailure {
    /// The document names no sync port.
    NoSyncPort,
    /// The document is too long to be given.
    TooLong,
    /// As many wrong codes as there are tries.
    TooManyTries,
    /// The code is too old.
    Expired,
    /// The joiner gave up.
    Joiner(Failure),
}

impl fmt::Display for PairingFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PairingFailure::NoSyncPort => "the document has no [pair] with a sync port",
            PairingFailure::TooLong => "the document is longer than a megabyte",
            PairingFailure::TooManyTries => "too many wrong codes; this one is good for nothing any more",
            PairingFailure::Expired => {
                "nobody came within ten minutes; the code is good for nothing any more"
            }
            PairingFailure::Joiner(Failure::Silence) => {
                "nobody answers on the sync port; is the cable there, and does the other node show a code?"
            }
            PairingFailure::Joiner(Failure::Refused) => {
                "the other node refuses: the code is wrong, used up or too old"
            }
            PairingFailure::Joiner(Failure::Nonsense) => {
                "the other node sends what makes no sense; is it of another version?"
            }
        })
    }
}

/// An open pairing, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PairingRow {
    /// `waiting`, `joining`, `paired`, `closed` or `expired`.
    pub standing: String,
    pub tries_left: u8,
    pub wrong: u64,
    pub refused: u64,
    pub seconds_left: u64,
}

/// What the helm keeps of it.
#[derive(Default)]
pub(super) struct Pairing {
    stage: Stage,
    out: pairing::Outbox,
    /// A node that joins begins as the standby of this peer.
    joined: Option<PublicKey>,
    /// The configuration with that peer is being put in force.
    yields: bool,
}

#[derive(Default)]
enum Stage {
    #[default]
    Closed,
    /// `told`: how it ended is known. It goes on answering, since its last word may have been lost.
    Offer {
        creator: Box<Creator>,
        wrong: u64,
        told: bool,
    },
    Join(Box<Joiner>),
}

/// A datagram that only a pairing understands.
pub(super) fn is_pairing(bytes: &[u8]) -> bool {
    Envelope::parse(bytes).is_some_and(|(envelope, _)| envelope.kind == Kind::Pairing)
}

impl Pairing {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Closed => None,
            Stage::Offer { creator, .. } => Some(creator.expires()),
            Stage::Join(joiner) => joiner.poll_timeout(),
        }
    }

    pub(super) fn row(&self, now: Instant) -> Option<PairingRow> {
        let Stage::Offer { creator, .. } = &self.stage else { return None };
        let (standing, tries_left) = match creator.standing(now) {
            Standing::Waiting(left) => ("waiting", left),
            Standing::Joining => ("joining", 0),
            Standing::Paired => ("paired", 0),
            Standing::TooManyTries => ("closed", 0),
            Standing::Expired => ("expired", 0),
        };
        let counters = creator.counters();
        Some(PairingRow {
            standing: standing.into(),
            tries_left,
            wrong: counters.wrong,
            refused: counters.refused,
            seconds_left: creator.expires().since(now).as_secs(),
        })
    }

    pub(super) fn prepare(&mut self, peer: Option<PublicKey>) {
        self.yields = peer.is_some() && peer == self.joined;
    }

    pub(super) fn yields(&self) -> bool {
        self.yields
    }

    /// True once for the peer that this node has joined.
    pub(super) fn has_joined(&mut self, peer: Option<NodeId>) -> bool {
        self.yields = false;
        self.joined.take_if(|joined| Some(node_id(joined)) == peer).is_some()
    }
}

impl Helm {
    /// An operator begins a pairing, or ends one.
    pub fn handle_pairing(&mut self, now: Instant, order: PairingOrder, out: &mut HelmOutbox) {
        let stage = match order {
            PairingOrder::Close => Ok(Stage::Closed),
            _ if self.sync_port().is_none() => Err(PairingFailure::NoSyncPort),
            PairingOrder::Offer { code, own } => {
                let creator = Creator::new(self.identity().clone(), &code, own, (self.entropy)(), now);
                let offer = |creator| Stage::Offer { creator: Box::new(creator), wrong: 0, told: false };
                creator.map(offer).ok_or(PairingFailure::TooLong)
            }
            PairingOrder::Join { code, own } => {
                join(self.identity(), code, own, (self.entropy)().as_mut(), now)
            }
        };
        match stage {
            Ok(stage) => self.pairing.stage = stage,
            Err(why) => out.pairing.push(PairingNews::Failed(why)),
        }
        self.run_pairing(now, out);
    }

    /// A datagram of a pairing has come in by the sync port.
    pub(super) fn hear_pairing(&mut self, now: Instant, from: MacAddr, bytes: &[u8], out: &mut HelmOutbox) {
        let Pairing { stage, out: said, joined: _, yields: _ } = &mut self.pairing;
        match stage {
            Stage::Closed => return,
            Stage::Offer { creator, .. } => creator.handle_datagram(now, bytes, said),
            Stage::Join(joiner) => joiner.handle_datagram(now, bytes, said),
        }
        self.tell_pairing(now, Some(from), out);
    }

    /// Does what is due.
    pub(super) fn run_pairing(&mut self, now: Instant, out: &mut HelmOutbox) {
        let Pairing { stage, out: said, joined: _, yields: _ } = &mut self.pairing;
        match stage {
            Stage::Closed | Stage::Offer { .. } => {}
            Stage::Join(joiner) => joiner.handle_timeout(now, said),
        }
        self.tell_pairing(now, None, out);
    }

    /// What was said goes out, and what happened is told.
    fn tell_pairing(&mut self, now: Instant, from: Option<MacAddr>, out: &mut HelmOutbox) {
        let pairing::Outbox { datagrams, ended } = std::mem::take(&mut self.pairing.out);
        let ours = mac_for(&self.compiled.config.node_part(self.compiled.node).name, "sync");
        let joins = matches!(self.pairing.stage, Stage::Join(_));
        let to = from.filter(|_| !joins);
        let frames = datagrams.iter().filter_map(|datagram| match to {
            Some(to) => frame(ours, to, datagram),
            None => frame_to_all(ours, datagram),
        });
        if let Some(port) = self.sync_port() {
            out.frames.extend(frames.map(|frame: FrameBuf| (port, frame)));
        }
        let mut news = Vec::new();
        if let Stage::Offer { creator, wrong, told } = &mut self.pairing.stage {
            let standing = creator.standing(now);
            let counted = creator.counters().wrong;
            if std::mem::replace(wrong, counted) != counted {
                let left = if let Standing::Waiting(left) = standing { left } else { 0 };
                news.push(PairingNews::WrongCode(left));
            }
            let failure = match standing {
                Standing::TooManyTries => Some(PairingFailure::TooManyTries),
                Standing::Expired => Some(PairingFailure::Expired),
                Standing::Waiting(_) | Standing::Joining | Standing::Paired => None,
            };
            if let Some(failure) = failure.filter(|_| !std::mem::replace(told, failure.is_some())) {
                news.push(PairingNews::Failed(failure));
            }
            *told |= ended.is_some();
            if now >= creator.expires() {
                self.pairing.stage = Stage::Closed;
            }
        }
        match ended {
            Some(Ended::Paired { peer, payload }) => {
                self.pairing.joined = joins.then_some(peer);
                news.push(PairingNews::Paired { peer, payload });
            }
            Some(Ended::Failed(failure)) => {
                news.push(PairingNews::Failed(PairingFailure::Joiner(failure)));
            }
            None => {}
        }
        if joins && news.iter().any(|news| !matches!(news, PairingNews::WrongCode(_))) {
            self.pairing.stage = Stage::Closed;
        }
        out.notices.extend(news.iter().map(notice));
        out.pairing.extend(news);
    }
}

fn join(
    identity: &Identity,
    code: Code,
    own: Vec<u8>,
    entropy: &mut dyn Entropy,
    now: Instant,
) -> Result<Stage, PairingFailure> {
    let joiner = Joiner::new(identity, code, own, entropy, now);
    joiner.map(|joiner| Stage::Join(Box::new(joiner))).ok_or(PairingFailure::TooLong)
}

fn notice(news: &PairingNews) -> HelmNotice {
    let (wrong, text) = match news {
        PairingNews::WrongCode(left) => {
            (true, format!("a node on the sync port tried a wrong pairing code; {left} tries are left"))
        }
        PairingNews::Paired { peer, .. } => (false, format!("paired with the node that has the key {peer}")),
        PairingNews::Failed(failure) => (true, format!("pairing: {failure}")),
    };
    HelmNotice { wrong, place: "pair".into(), text }
}
