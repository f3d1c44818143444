//! A port: one TAP or macvtap, whatever its driver, with batches of frames in and out.
//!
//! Invariant: frames keep their order within a port, in both directions, whichever way they are read and written; a
//! call never waits; a frame that the device does not take is dropped and counted, never tried again.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::adaptive::{Depth, WORTHWHILE};
use super::plain::{self, PlainTap};
use super::single::{self, Received};
use super::tap::{self, Offloads, Tap};
use super::uring::{BATCH, Ring};
use crate::config::model as config;
use crate::types::PortId;
use crate::wire::{FrameBuf, Pool};

/// What a port attaches to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Device {
    /// The TAP of this name; created when there is none.
    Tap(String),
    /// The character device of a macvtap.
    Macvtap(String),
}

/// Everything needed to attach a port, now and again after its device was gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spec {
    /// Which port of the node.
    pub id: PortId,
    /// Its device.
    pub device: Device,
    /// The network namespace in which the device lives.
    pub netns: Option<String>,
    /// How frames are read and written.
    pub driver: config::Driver,
    /// Whether batches may go through io_uring.
    pub batches: Batches,
}

/// Whether batches may go through io_uring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Batches {
    /// Where the kernel permits it, while frames are small, on machines where it costs less.
    #[default]
    Adaptive,
    /// Where the kernel permits it, while frames are small.
    Permitted,
    /// Never: as if the kernel did not permit it.
    Never,
}

impl Spec {
    /// The port `id` as the configuration has it; `None` when it names no device.
    pub fn new(id: PortId, port: &config::Port) -> Option<Self> {
        let device = match (&port.tap, &port.macvtap) {
            (Some(name), _) => Device::Tap(name.clone()),
            (None, Some(path)) => Device::Macvtap(path.clone()),
            (None, None) => return None,
        };
        let (netns, driver) = (port.netns.clone(), port.driver);
        Some(Spec { id, device, netns, driver, batches: Batches::Adaptive })
    }
}

/// Why a port does not work at present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortError {
    /// The device does not exist any more; the port must be attached again.
    Gone,
    /// The device is down.
    Down,
    /// The kernel answers with an error number that we do not expect.
    Refused(i32),
}

impl PortError {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().unwrap_or(0) {
            libc::EBADFD | libc::ENODEV | libc::ENXIO | libc::ENOLINK => PortError::Gone,
            libc::EIO | libc::ENETDOWN => PortError::Down,
            number => PortError::Refused(number),
        }
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortError::Gone => f.write_str("the device is gone"),
            PortError::Down => f.write_str("the device is down"),
            PortError::Refused(number) => io::Error::from_raw_os_error(*number).fmt(f),
        }
    }
}

impl std::error::Error for PortError {}

/// Whether a port may have more frames waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// It was read until it had no more.
    Nothing,
    /// The batch was full.
    Perhaps,
}

/// What became of the frames of one batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SendReport {
    /// Taken by the device.
    pub sent: usize,
    /// Dropped, for whatever reason; the counters say which.
    pub dropped: usize,
    /// What the device says, when it does not work.
    pub error: Option<PortError>,
}

/// What a port has carried and lost since the process started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames read; a superpacket is one.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames read whose offload header made no sense.
    pub rx_malformed: u64,
    /// Frames written; a superpacket is one.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames dropped because the device had no room.
    pub tx_full: u64,
    /// Frames dropped because the device was down, gone or not attached.
    pub tx_down: u64,
    /// Frames dropped because the kernel refused them.
    pub tx_refused: u64,
    /// Times that the port was attached again.
    pub attached_again: u64,
    /// Batches that went through io_uring.
    pub batches: u64,
}

impl Counters {
    /// Frames lost in either direction.
    pub fn drops(&self) -> u64 {
        self.rx_malformed + self.tx_full + self.tx_down + self.tx_refused
    }
}

/// An attached device.
enum Driver {
    Plain(PlainTap),
    Offload { tap: Tap, ring: RingState },
}

/// A ring belongs to the thread that makes it, so the first batch makes it.
enum RingState {
    Untried,
    Ready(Box<Ring>),
    Refused,
}

/// A port of the node.
pub struct Port {
    spec: Spec,
    driver: Option<Driver>,
    depth: Depth,
    reads: Vec<FrameBuf>,
    counters: Counters,
}

impl Port {
    /// Opens the device and attaches the port to it.
    ///
    /// # Errors
    /// When the device cannot be opened.
    pub fn attach(spec: Spec) -> io::Result<Self> {
        let driver = open(&spec)?;
        Ok(Self::with_driver(spec, Some(driver)))
    }

    /// A port for a device that somebody else has opened.
    ///
    /// # Errors
    /// When the descriptor does not fit the driver.
    pub fn adopt(spec: Spec, fd: OwnedFd) -> io::Result<Self> {
        let driver = adopt(&spec, fd)?;
        Ok(Self::with_driver(spec, Some(driver)))
    }

    /// A port whose device is not there yet.
    pub fn detached(spec: Spec) -> Self {
        Self::with_driver(spec, None)
    }

    fn with_driver(spec: Spec, driver: Option<Driver>) -> Self {
        Port { spec, driver, depth: Depth::default(), reads: Vec::new(), counters: Counters::default() }
    }

    /// Opens the device again after it was gone.
    ///
    /// # Errors
    /// When the device cannot be opened (yet).
    pub fn attach_again(&mut self) -> io::Result<()> {
        self.driver = None;
        self.driver = Some(open(&self.spec)?);
        self.counters.attached_again += 1;
        Ok(())
    }

    /// Takes a descriptor that somebody else has opened after the device was gone.
    ///
    /// # Errors
    /// When the descriptor does not fit the driver.
    pub fn adopt_again(&mut self, fd: OwnedFd) -> io::Result<()> {
        self.driver = Some(adopt(&self.spec, fd)?);
        self.counters.attached_again += 1;
        Ok(())
    }

    /// Lets go of the device.
    pub fn detach(&mut self) {
        self.driver = None;
    }

    /// How it is attached.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What it has carried.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What the device does for us.
    pub fn offloads(&self) -> Offloads {
        match &self.driver {
            Some(Driver::Offload { tap, .. }) => tap.offloads,
            Some(Driver::Plain(_)) | None => Offloads::default(),
        }
    }

    /// Number of the device in its namespace; zero when it is not known.
    pub fn index(&self) -> u32 {
        match &self.driver {
            Some(Driver::Offload { tap, .. }) => tap.index,
            Some(Driver::Plain(tap)) => tap.index,
            None => 0,
        }
    }

    /// Name of the device when it was attached.
    pub fn device(&self) -> Option<&str> {
        match &self.driver {
            Some(Driver::Offload { tap, .. }) => Some(&tap.name),
            Some(Driver::Plain(tap)) => Some(&tap.name),
            None => None,
        }
    }

    /// Ready to read when frames wait; `None` while no device is attached.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.driver {
            Some(Driver::Offload { tap, .. }) => Some(tap.file.as_fd()),
            Some(Driver::Plain(tap)) => Some(tap.file.as_fd()),
            None => None,
        }
    }

    /// Reads what waits, at most `limit` frames, and appends it to `into`.
    ///
    /// # Errors
    /// When the device does not work; frames read before that are in `into`.
    pub fn recv_batch(
        &mut self,
        pool: &mut Pool,
        into: &mut Vec<FrameBuf>,
        limit: usize,
    ) -> Result<Waiting, PortError> {
        let depth = self.depth.get().min(limit);
        let received = match &mut self.driver {
            None => return Err(PortError::Gone),
            Some(Driver::Plain(tap)) => single::read(&tap.file, false, limit, pool, into),
            Some(Driver::Offload { tap, ring }) => match ring.get(depth, tap, self.spec.batches) {
                None => {
                    let received = single::read(&tap.file, true, limit, pool, into);
                    self.depth.learn(received.frames, received.bytes);
                    received
                }
                Some(batch) => {
                    self.counters.batches += 1;
                    let received = read_batch(batch, &mut self.reads, depth, pool, into);
                    if received.is_none() {
                        *ring = RingState::Refused;
                    }
                    let received = received.unwrap_or_default();
                    self.depth.learn(received.frames, received.bytes);
                    received
                }
            },
        };
        self.counters.rx_frames += received.frames as u64;
        self.counters.rx_bytes += received.bytes as u64;
        self.counters.rx_malformed += received.malformed as u64;
        match received.error {
            Some(error) => Err(PortError::of(&error)),
            None if received.drained => Ok(Waiting::Nothing),
            None => Ok(Waiting::Perhaps),
        }
    }

    /// Writes all of `frames`, in order, and gives their buffers back to `pool`.
    pub fn send_batch(&mut self, frames: &mut Vec<FrameBuf>, pool: &mut Pool) -> SendReport {
        let mut report = SendReport::default();
        let mut rest = &mut frames[..];
        while !rest.is_empty() {
            let count = rest.len().min(BATCH);
            let (batch, after) = rest.split_at_mut(count);
            self.send_up_to_batch(batch, &mut report);
            rest = after;
        }
        for frame in frames.drain(..) {
            pool.give(frame);
        }
        report
    }

    fn send_up_to_batch(&mut self, batch: &mut [FrameBuf], report: &mut SendReport) {
        let counters = &mut self.counters;
        match &mut self.driver {
            None => {
                counters.tx_down += batch.len() as u64;
                report.dropped += batch.len();
                report.error = Some(PortError::Gone);
            }
            Some(Driver::Plain(tap)) => {
                for frame in batch {
                    account(single::write(&tap.file, frame, false), frame.len(), counters, report);
                }
            }
            Some(Driver::Offload { tap, ring }) => {
                if let Some(writes) = ring.get(batch.len(), tap, self.spec.batches) {
                    counters.batches += 1;
                    match writes.write(batch, true) {
                        Ok(results) => {
                            for (&result, frame) in results.iter().zip(&*batch) {
                                account(number(result), frame.len(), counters, report);
                            }
                            return;
                        }
                        Err(_) => *ring = RingState::Refused,
                    }
                }
                for frame in batch {
                    account(single::write(&tap.file, frame, true), frame.len(), counters, report);
                }
            }
        }
    }
}

impl RingState {
    /// The ring, when a batch of `count` is worth one and the kernel permits it.
    fn get(&mut self, count: usize, tap: &Tap, batches: Batches) -> Option<&mut Ring> {
        if count < WORTHWHILE || batches == Batches::Never {
            return None;
        }
        if let RingState::Untried = self {
            *self = Self::try_out(tap, batches).unwrap_or(RingState::Refused);
        }
        match self {
            RingState::Ready(ring) => Some(ring),
            RingState::Untried | RingState::Refused => None,
        }
    }

    fn try_out(tap: &Tap, batches: Batches) -> io::Result<Self> {
        let mut ring = Ring::new(&tap.file)?;
        if batches == Batches::Adaptive && !ring.pays(&tap.file)? {
            return Ok(RingState::Refused);
        }
        Ok(RingState::Ready(Box::new(ring)))
    }
}

fn open(spec: &Spec) -> io::Result<Driver> {
    let netns = spec.netns.as_deref();
    match (&spec.device, spec.driver) {
        (Device::Tap(name), config::Driver::Plain) => plain::open(name, netns).map(Driver::Plain),
        (Device::Tap(name), config::Driver::Offload) => tap::open(name, netns).map(offload),
        // The kernel asks the same of both drivers here, and the header costs nothing.
        (Device::Macvtap(path), config::Driver::Plain | config::Driver::Offload) => {
            tap::open_macvtap(path, netns).map(offload)
        }
    }
}

fn adopt(spec: &Spec, fd: OwnedFd) -> io::Result<Driver> {
    match (&spec.device, spec.driver) {
        (Device::Tap(_), config::Driver::Plain) => plain::adopt(fd).map(Driver::Plain),
        (Device::Tap(_), config::Driver::Offload) | (Device::Macvtap(_), _) => tap::adopt(fd).map(offload),
    }
}

fn offload(tap: Tap) -> Driver {
    Driver::Offload { tap, ring: RingState::Untried }
}

/// Reads a batch of up to `depth` frames. `reads` keeps the buffers that stayed empty for the next time. `None` when
/// the ring does not work any more.
fn read_batch(
    ring: &mut Ring,
    reads: &mut Vec<FrameBuf>,
    depth: usize,
    pool: &mut Pool,
    into: &mut Vec<FrameBuf>,
) -> Option<Received> {
    while reads.len() < depth {
        reads.push(pool.take());
    }
    let results = ring.read(&mut reads[..depth], true).ok()?;
    let mut received = Received::default();
    for (&result, read) in results.iter().zip(reads) {
        // A frame may still come after an empty answer; the order is that of the reads.
        if result == -libc::EAGAIN {
            received.drained = true;
        } else {
            let frame = std::mem::replace(read, pool.take());
            received.take(number(result), frame, true, pool, into);
        }
    }
    Some(received)
}

/// The result of one operation of a batch as the single call would give it.
fn number(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

/// Counts what became of one frame.
fn account(result: io::Result<usize>, len: usize, counters: &mut Counters, report: &mut SendReport) {
    let Err(error) = result else {
        counters.tx_frames += 1;
        counters.tx_bytes += len as u64;
        report.sent += 1;
        return;
    };
    report.dropped += 1;
    if error.kind() == io::ErrorKind::WouldBlock {
        counters.tx_full += 1;
        return;
    }
    match PortError::of(&error) {
        error @ (PortError::Gone | PortError::Down) => {
            counters.tx_down += 1;
            report.error = Some(error);
        }
        PortError::Refused(_) => counters.tx_refused += 1,
    }
}
