//! A port: one TAP or macvtap, whatever its driver, with batches of frames in and out.
//!
//! Invariant: frames keep their order within a port, in both directions, whichever way they are read and written; a
//! call never waits; a frame that the device does not take is dropped and counted, never tried again.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::attachment::Attachment;
pub use super::spec::{Batches, Device, Spec};
use super::tap::{Offloads, Patience};
use super::uring::BATCH;
use super::{netns, single, sys, tap};
use crate::types::PortId;
use crate::wire::{FrameBuf, Pool};

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

/// A port of the node.
pub struct Port {
    spec: Spec,
    device: Option<Attachment>,
    /// Of the device that was attached last.
    last_name: Option<String>,
    /// Number of a device that is gone, until netlink has said so, too.
    leaving: Option<u32>,
    counters: Counters,
}

impl Port {
    /// Opens the device and attaches the port to it.
    ///
    /// # Errors
    /// When the device cannot be opened.
    pub fn attach(spec: Spec) -> io::Result<Self> {
        let device = Attachment::open(&spec, Patience::Second)?;
        Ok(Self::with_device(spec, Some(device)))
    }

    /// A port for a device that somebody else has opened, and whose number is `index` if he knows.
    ///
    /// # Errors
    /// When the descriptor does not fit the driver.
    pub fn adopt(spec: Spec, fd: OwnedFd, index: Option<u32>) -> io::Result<Self> {
        let device = Attachment::adopt(&spec, fd, index)?;
        Ok(Self::with_device(spec, Some(device)))
    }

    /// A port whose device is not there yet.
    pub fn detached(spec: Spec) -> Self {
        Self::with_device(spec, None)
    }

    fn with_device(spec: Spec, device: Option<Attachment>) -> Self {
        let last_name = device.as_ref().map(|device| device.tap.name.clone());
        Port { spec, device, last_name, leaving: None, counters: Counters::default() }
    }

    /// Opens the device again after it was gone; at once or not at all. A device that is not there is not created.
    ///
    /// # Errors
    /// When the device is not there (yet), or cannot be opened.
    pub fn attach_again(&mut self) -> io::Result<()> {
        if let Device::Tap(name) = &self.spec.device {
            let look = || sys::interface_index(sys::interface_socket()?.as_fd(), name);
            netns::within(self.spec.netns.as_deref(), look)?;
        }
        self.device = None;
        let device = Attachment::open(&self.spec, Patience::None)?;
        self.put_in(device);
        Ok(())
    }

    /// Takes a descriptor that somebody else has opened after the device was gone; see [`Port::adopt`].
    ///
    /// # Errors
    /// When the descriptor does not fit the driver.
    pub fn adopt_again(&mut self, fd: OwnedFd, index: Option<u32>) -> io::Result<()> {
        let device = Attachment::adopt(&self.spec, fd, index)?;
        self.put_in(device);
        Ok(())
    }

    fn put_in(&mut self, device: Attachment) {
        self.last_name = Some(device.tap.name.clone());
        self.device = Some(device);
        self.leaving = None;
        self.counters.attached_again += 1;
    }

    /// Lets go of the device. Its number is remembered, because netlink may still have older news of it.
    pub fn detach(&mut self) {
        self.leaving = self.index();
        self.device = None;
    }

    /// Netlink has said that the device is gone; another one may get its number.
    pub fn forget_index(&mut self) {
        self.leaving = None;
    }

    /// It has another number among the node's ports now.
    pub fn set_id(&mut self, id: PortId) {
        self.spec.id = id;
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
        self.device.as_ref().map(|device| device.tap.offloads).unwrap_or_default()
    }

    /// Number of the device in its namespace, also of one that has just gone; `None` when it is not known.
    pub fn index(&self) -> Option<u32> {
        self.device.as_ref().map_or(self.leaving, |device| device.tap.index)
    }

    /// Name of the device that was attached last.
    pub fn last_name(&self) -> Option<&str> {
        self.last_name.as_deref()
    }

    /// Ready to read when frames wait; `None` while no device is attached.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.device.as_ref().map(|device| device.tap.file.as_fd())
    }

    /// A descriptor of the same device for another thread, and whether its frames have the offload header; `None`
    /// while no device is attached.
    pub fn share(&self) -> Option<(std::fs::File, bool)> {
        let tap = &self.device.as_ref()?.tap;
        Some((tap.file.try_clone().ok()?, tap.offload_header))
    }

    /// True when the device that is attached still exists, wherever it is.
    pub fn is_attached(&self) -> bool {
        self.fd().is_some_and(|fd| sys::tun_device(fd).is_ok())
    }

    /// The device was moved to another namespace, where it may have another number and another name.
    pub fn renumber(&mut self) {
        let Some(Attachment { tap, .. }) = &mut self.device else { return };
        if let Ok((name, _)) = sys::tun_device(tap.file.as_fd()) {
            tap.name = name;
            self.last_name = Some(tap.name.clone());
        }
        tap.index = tap::index_of(&tap.file, &tap.name);
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
        let device = self.device.as_mut().ok_or(PortError::Gone)?;
        let received = device.read(limit, pool, into);
        self.counters.batches += u64::from(received.batch);
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
        let Some(device) = &mut self.device else {
            counters.tx_down += batch.len() as u64;
            report.dropped += batch.len();
            report.error = Some(PortError::Gone);
            return;
        };
        if let Some(results) = device.write_batch(batch) {
            counters.batches += 1;
            for (&result, frame) in results.iter().zip(&*batch) {
                account(single::number(result), frame.len(), counters, report);
            }
            return;
        }
        for frame in batch {
            let result = single::write(&device.tap.file, frame, device.tap.offload_header);
            account(result, frame.len(), counters, report);
        }
    }
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

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
