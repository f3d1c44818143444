//! A device that a port has, and the better way of the moment to read and write it.

use std::io;
use std::os::fd::OwnedFd;

use super::adaptive::{Depth, WORTHWHILE};
use super::nic::{self, Made};
use super::plain;
use super::single::{self, Received};
use super::spec::{Batches, Device, Spec};
use super::tap::{self, Patience, Tap};
use super::uring::Ring;
use crate::config::model::Driver;
use crate::wire::{FrameBuf, Pool};

/// An attached device.
pub struct Attachment {
    /// The device.
    pub tap: Tap,
    /// What was made for it on a network card.
    _made: Option<Made>,
    ring: RingState,
    batches: Batches,
    depth: Depth,
    /// Buffers of the last batch of reads that stayed empty.
    reads: Vec<FrameBuf>,
}

/// A ring belongs to the thread that makes it, so the first batch makes it.
enum RingState {
    Untried,
    Ready(Box<Ring>),
    Refused,
}

impl Attachment {
    /// Opens the device.
    pub fn open(spec: &Spec, patience: Patience) -> io::Result<Self> {
        let netns = spec.netns.as_deref();
        let tap = match (&spec.device, spec.driver) {
            (Device::Tap(name), Driver::Plain) => plain::open(name, netns, patience)?,
            (Device::Tap(name), Driver::Offload) => tap::open(name, netns, patience)?,
            (Device::Macvtap(path), driver) => tap::open_macvtap(path, netns, driver == Driver::Offload)?,
            (Device::Nic(mac), driver) => {
                let (tap, made) = nic::open(*mac, driver == Driver::Offload)?;
                return Ok(Self::new(tap, Some(made), spec));
            }
        };
        Ok(Self::new(tap, None, spec))
    }

    /// Takes over a device that somebody else has opened.
    pub fn adopt(spec: &Spec, fd: OwnedFd, index: Option<u32>) -> io::Result<Self> {
        Ok(Self::new(tap::adopt(fd, spec.driver == Driver::Offload, index)?, None, spec))
    }

    fn new(tap: Tap, made: Option<Made>, spec: &Spec) -> Self {
        // The plain driver is the one that needs nothing but read and write.
        let ring = match (spec.driver, spec.batches) {
            (Driver::Plain, _) | (_, Batches::Never) => RingState::Refused,
            (Driver::Offload, Batches::Adaptive | Batches::Permitted) => RingState::Untried,
        };
        Attachment {
            tap,
            _made: made,
            ring,
            batches: spec.batches,
            depth: Depth::default(),
            reads: Vec::new(),
        }
    }

    /// Reads what waits, at most `limit` frames.
    pub fn read(&mut self, limit: usize, pool: &mut Pool, into: &mut Vec<FrameBuf>) -> Received {
        let depth = self.depth.get().min(limit);
        let received = match self.read_batch(depth, pool, into) {
            Some(received) => received,
            None => single::read(&self.tap.file, self.tap.offload_header, limit, pool, into),
        };
        self.depth.learn(received.frames, received.bytes);
        received
    }

    /// Reads up to `depth` frames in one call; `None` when that is not worth it, or not possible.
    fn read_batch(&mut self, depth: usize, pool: &mut Pool, into: &mut Vec<FrameBuf>) -> Option<Received> {
        self.choose_ring(depth)?;
        while self.reads.len() < depth {
            self.reads.push(pool.take());
        }
        let RingState::Ready(ring) = &mut self.ring else { return None };
        let Ok(results) = ring.read(&mut self.reads[..depth], self.tap.offload_header) else {
            self.ring = RingState::Refused;
            return None;
        };
        let mut received = Received { batch: true, ..Received::default() };
        for (&result, read) in results.iter().zip(&mut self.reads) {
            // A frame may still come after an empty answer; the order is that of the reads.
            if result == -libc::EAGAIN {
                received.drained = true;
            } else {
                let frame = std::mem::replace(read, pool.take());
                received.take(single::number(result), frame, self.tap.offload_header, pool, into);
            }
        }
        Some(received)
    }

    /// Writes `frames` in one call and gives for each the count of bytes or the negative error number; `None`, with
    /// nothing written, when that is not worth it, or not possible.
    pub fn write_batch(&mut self, frames: &mut [FrameBuf]) -> Option<&[i32]> {
        self.choose_ring(frames.len())?;
        let RingState::Ready(ring) = &mut self.ring else { return None };
        let written = ring.write(frames, self.tap.offload_header).is_ok();
        if !written {
            self.ring = RingState::Refused;
        }
        match &self.ring {
            RingState::Ready(ring) => Some(ring.results(frames.len())),
            RingState::Untried | RingState::Refused => None,
        }
    }

    /// Makes the ring when a batch of `count` is worth one; `None` when there is none.
    fn choose_ring(&mut self, count: usize) -> Option<()> {
        if count < WORTHWHILE {
            return None;
        }
        if let RingState::Untried = self.ring {
            self.ring = self.try_ring().unwrap_or(RingState::Refused);
        }
        matches!(self.ring, RingState::Ready(_)).then_some(())
    }

    fn try_ring(&self) -> io::Result<RingState> {
        let mut ring = Ring::new(&self.tap.file)?;
        if self.batches == Batches::Adaptive && !ring.pays(&self.tap.file)? {
            return Ok(RingState::Refused);
        }
        Ok(RingState::Ready(Box::new(ring)))
    }
}
