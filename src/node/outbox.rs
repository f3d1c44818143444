//! What a shard hands to the edge: frames by port, packets for the router's own stack, changes for the
//! peer's node.

use super::departure::Lease;
use crate::types::{InterfaceId, PortId};
use crate::wire::{FrameBuf, Pool};

/// How many empty buffers a shard keeps.
const POOL: usize = 512;

/// A frame that speaks for a virtual IP, and how long this node has that; see [`Shard::release_answers`].
///
/// [`Shard::release_answers`]: super::Shard::release_answers
pub(super) struct Answer {
    pub port: PortId,
    pub frame: FrameBuf,
    pub lease: Lease,
}

/// Caller-owned outputs of a [`super::Shard`].
pub struct Outbox {
    /// Empty buffers. The edge takes from here to read, and gives back what it has sent.
    pub pool: Pool,
    frames: Vec<Vec<FrameBuf>>,
    /// Packets for the router's own stack, Ethernet header in front.
    pub host: Vec<FrameBuf>,
    /// What the peer and speakers of CARP say, for the role: whole frames without their tags.
    pub control: Vec<(InterfaceId, FrameBuf)>,
    /// Changes of the state table for the peer's node, a datagram's worth each, in order.
    pub chunks: Vec<Vec<u8>>,
    /// Packets for the peer's node, in pieces of a datagram's size.
    pub detours: Vec<Vec<u8>>,
    pub(super) answers: Vec<Answer>,
}

impl Outbox {
    /// An empty outbox for `ports` ports.
    pub fn new(ports: usize) -> Self {
        Outbox {
            pool: Pool::new(POOL),
            frames: (0..ports).map(|_| Vec::with_capacity(128)).collect(),
            host: Vec::new(),
            control: Vec::new(),
            chunks: Vec::new(),
            detours: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Frames to be sent by `port`, in order; the edge drains them.
    pub fn frames(&mut self, port: PortId) -> (&mut Vec<FrameBuf>, &mut Pool) {
        let Outbox { pool, frames, host: _, control: _, chunks: _, detours: _, answers: _ } = self;
        let index = usize::from(port.0);
        if index >= frames.len() {
            frames.resize_with(index + 1, Vec::new);
        }
        (&mut frames[index], pool)
    }

    /// A frame that may leave: of a packet that policy let pass, or of the link layer's own.
    pub(super) fn send(&mut self, port: PortId, frame: FrameBuf) {
        self.frames(port).0.push(frame);
    }

    /// A frame that leaves under a lease.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// Everything that waits to be sent, by its port.
    pub(super) fn take(&mut self) -> Vec<(PortId, FrameBuf)> {
        let ports = self.frames.iter_mut().enumerate();
        ports
            .flat_map(|(number, frames)| frames.drain(..).map(move |frame| (PortId(number as u8), frame)))
            .collect()
    }

    /// True when the edge has to ask for answers before it sends.
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// True when nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
            && self.control.is_empty()
            && self.chunks.is_empty()
            && self.detours.is_empty()
            && self.answers.is_empty()
            && self.frames.iter().all(Vec::is_empty)
    }
}
