//! The end that receives: one parcel at a time.

use std::collections::VecDeque;

use super::datagram::{Ack, Data, Datagram, WORDS, chunks};
use super::{Event, Kind, WINDOW};
use crate::types::{Duration, Instant};

/// An acknowledgement waits for company so long.
const DELAY: Duration = Duration::from_millis(2);
/// At so many chunks it waits no longer.
const ACK_EVERY: u32 = 16;

/// A parcel that comes in.
struct Assembly {
    life: u32,
    parcel: u32,
    kind: Kind,
    length: u32,
    /// Chunks in `bytes`.
    received: u32,
    /// What has come in order. It grows as it comes, so a promise of much costs nothing.
    bytes: Vec<u8>,
    /// The chunks from `received` on, as far as they have come.
    beyond: VecDeque<Option<Vec<u8>>>,
    /// Chunks that were not acknowledged yet.
    silent: u32,
}

/// The end that receives.
#[derive(Default)]
pub(super) struct Receiver {
    assembly: Option<Assembly>,
    /// The newest parcel that has arrived: the sender's life, number, chunks.
    arrived: Option<(u32, u32, u32)>,
    acknowledge_at: Option<Instant>,
}

impl Receiver {
    /// A chunk has come; `own` is this node's life.
    pub fn handle_data(
        &mut self,
        now: Instant,
        own: u32,
        data: &Data<'_>,
        out: &mut Vec<Vec<u8>>,
    ) -> Option<Event> {
        if let Some((life, parcel, count)) = self.arrived
            && life == data.life
            && parcel >= data.parcel
        {
            // Its acknowledgement was lost. What is older was given up.
            if parcel == data.parcel {
                out.push(acknowledgement(own, life, parcel, count, [0; WORDS]));
            }
            return None;
        }
        let assembly = self.assembly_for(data)?;
        let orderly = assembly.put(data);
        assembly.silent += 1;
        if assembly.received == chunks(assembly.length) {
            return self.finish(own, out);
        }
        if !orderly || assembly.silent >= ACK_EVERY {
            self.acknowledge(own, out);
        } else if self.acknowledge_at.is_none() {
            self.acknowledge_at = Some(now + DELAY);
        }
        None
    }

    /// The parcel that the chunk belongs to; `None` for one that the sender has given up.
    fn assembly_for(&mut self, data: &Data<'_>) -> Option<&mut Assembly> {
        let Data { life, parcel, kind, length, index: _, bytes: _ } = *data;
        match &self.assembly {
            Some(old) if old.life == life && old.parcel > parcel => return None,
            Some(old) if old.life == life && old.parcel == parcel => {
                if (old.kind, old.length) != (kind, length) {
                    return None;
                }
            }
            Some(_) | None => {
                self.assembly = Some(Assembly {
                    life,
                    parcel,
                    kind,
                    length,
                    received: 0,
                    bytes: Vec::new(),
                    beyond: VecDeque::new(),
                    silent: 0,
                });
            }
        }
        self.assembly.as_mut()
    }

    fn finish(&mut self, own: u32, out: &mut Vec<Vec<u8>>) -> Option<Event> {
        self.acknowledge(own, out);
        let Assembly { life, parcel, kind, received, bytes, .. } = self.assembly.take()?;
        self.arrived = Some((life, parcel, received));
        Some(Event::Arrived { kind, bytes })
    }

    fn acknowledge(&mut self, own: u32, out: &mut Vec<Vec<u8>>) {
        self.acknowledge_at = None;
        let Some(assembly) = &mut self.assembly else { return };
        assembly.silent = 0;
        let mut beyond = [0; WORDS];
        // The chunk at the front is the one that is missing.
        for (bit, chunk) in assembly.beyond.iter().skip(1).enumerate().take(WINDOW as usize) {
            beyond[bit / 64] |= u64::from(chunk.is_some()) << (bit % 64);
        }
        out.push(acknowledgement(own, assembly.life, assembly.parcel, assembly.received, beyond));
    }

    pub fn handle_timeout(&mut self, now: Instant, own: u32, out: &mut Vec<Vec<u8>>) {
        if self.acknowledge_at.is_some_and(|at| at <= now) {
            self.acknowledge(own, out);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.acknowledge_at
    }
}

impl Assembly {
    /// True when the chunk was the next one.
    fn put(&mut self, data: &Data<'_>) -> bool {
        let Some(place) = data.index.checked_sub(self.received).filter(|place| *place < WINDOW) else {
            return false;
        };
        let place = place as usize;
        if self.beyond.len() <= place {
            self.beyond.resize(place + 1, None);
        }
        self.beyond[place] = Some(data.bytes.to_vec());
        while let Some(Some(chunk)) = self.beyond.front_mut().map(Option::take) {
            self.bytes.extend_from_slice(&chunk);
            self.received += 1;
            self.beyond.pop_front();
        }
        place == 0
    }
}

fn acknowledgement(own: u32, life: u32, parcel: u32, received: u32, beyond: [u64; WORDS]) -> Vec<u8> {
    Datagram::Ack(Ack { life, receiver: own, parcel, received, beyond }).encode()
}
