//! UDP of the router's own: bounded queues of datagrams, in both directions.
//!
//! No socket stands behind them: the packet path delivers only answers of flows that the router itself has begun, and
//! whoever asked knows by port, server and number what is an answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;

use crate::wire::{FrameBuf, Packet, Pool, datagram};

/// Datagrams that wait in either direction.
const WAITING: usize = 256;

/// A datagram for the router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// The address and port that it came to.
    pub local: SocketAddr,
    /// The address and port that it came from.
    pub remote: SocketAddr,
    /// What it says.
    pub payload: Vec<u8>,
}

/// The queues.
#[derive(Default)]
pub(super) struct Datagrams {
    arrived: VecDeque<Datagram>,
    leaving: VecDeque<FrameBuf>,
    waker: Option<Waker>,
    /// Datagrams that found no room, in either direction.
    pub refused: u64,
}

impl Datagrams {
    /// A packet for us; its buffer comes back. False when it is no whole datagram.
    pub fn arrive(&mut self, packet: Packet, pool: &mut Pool) -> bool {
        let key = packet.layout.key;
        let payload = datagram::payload(&packet).map(<[u8]>::to_vec);
        pool.give(packet.frame);
        let Some(payload) = payload else { return false };
        if self.arrived.len() >= WAITING {
            self.refused += 1;
            return true;
        }
        self.arrived.push_back(Datagram {
            local: SocketAddr::new(key.dst(), key.dst_port()),
            remote: SocketAddr::new(key.src(), key.src_port()),
            payload,
        });
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
        true
    }

    /// Called when one arrives.
    pub fn set_waker(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// The next one that has arrived.
    pub fn take(&mut self) -> Option<Datagram> {
        self.arrived.pop_front()
    }

    /// One that shall leave; false when there is no room, or when it can be none.
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, payload: &[u8], pool: &mut Pool) -> bool {
        if self.leaving.len() >= WAITING {
            self.refused += 1;
            return false;
        }
        let frame = datagram::build(local, remote, payload, pool);
        let sent = frame.is_some();
        self.leaving.extend(frame);
        sent
    }

    /// A packet that somebody has made whole; false when there is no room.
    pub fn push(&mut self, frame: FrameBuf) -> bool {
        let has_room = self.leaving.len() < WAITING;
        if has_room {
            self.leaving.push_back(frame);
        } else {
            self.refused += 1;
        }
        has_room
    }

    /// Hands over what leaves, as long as there is room.
    pub fn leave(&mut self, room: usize, out: &mut Vec<FrameBuf>) {
        let count = room.saturating_sub(out.len()).min(self.leaving.len());
        out.extend(self.leaving.drain(..count));
    }

    /// Some have not left yet.
    pub fn wants_room(&self) -> bool {
        !self.leaving.is_empty()
    }
}
