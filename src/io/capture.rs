//! Captures: frames from the packet path, through a bounded queue, into the pcap format.
//!
//! The packet path only filters and copies; the thread that serves the capture writes. A queue that is full costs
//! frames of the capture, counted, never packets.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::{clock, sys_process};
use crate::types::Instant;
use crate::wire::filter::Filter;

/// Frames that wait to be written; superpackets, so up to 32 MiB.
const QUEUE: usize = 512;
/// The longest frame that is kept whole.
const SNAP_LEN: u32 = 262_144;
/// pcap with time stamps in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Ethernet.
const LINK_TYPE: u32 = 1;

/// A copy of a frame.
#[derive(Debug)]
pub struct Frame {
    /// When it crossed the interface.
    pub at: Instant,
    /// From the destination MAC address on.
    pub bytes: Vec<u8>,
}

/// The end of a capture that belongs to the packet path.
pub struct Sink {
    filter: Filter,
    queue: SyncSender<Frame>,
    missed: Arc<AtomicU64>,
}

/// The end of a capture that belongs to whoever writes it.
pub struct Source {
    /// Frames in the order in which they crossed the interface.
    pub frames: Receiver<Frame>,
    missed: Arc<AtomicU64>,
}

/// A new capture: give the sink to the packet path.
pub fn channel(filter: Filter) -> (Sink, Source) {
    let (queue, frames) = sync_channel(QUEUE);
    let missed = Arc::new(AtomicU64::new(0));
    (Sink { filter, queue, missed: Arc::clone(&missed) }, Source { frames, missed })
}

impl Sink {
    /// Copies the frame when the filter wants it; false when nobody listens any more.
    pub fn offer(&mut self, at: Instant, frame: &[u8]) -> bool {
        if !self.filter.matches(frame) {
            return true;
        }
        match self.queue.try_send(Frame { at, bytes: frame.to_vec() }) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Source {
    /// Frames that found the queue full.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// Writes the pcap format: a header of 24 bytes, then 16 bytes and the frame, again and again.
pub struct PcapWriter<W: Write> {
    out: W,
    /// Nanoseconds from the zero of [`Instant`] to 1970, seen backwards.
    offset: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the header. `offset` is what makes an [`Instant`] a time since 1970, see [`wall_offset`].
    ///
    /// # Errors
    /// When `out` does not take it.
    pub fn new(mut out: W, offset: u64) -> io::Result<Self> {
        let mut header = [0; 24];
        header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        // Version 2.4; time zone and accuracy of the time stamps are zero by convention.
        header[4..6].copy_from_slice(&2u16.to_le_bytes());
        header[6..8].copy_from_slice(&4u16.to_le_bytes());
        header[16..20].copy_from_slice(&SNAP_LEN.to_le_bytes());
        header[20..24].copy_from_slice(&LINK_TYPE.to_le_bytes());
        out.write_all(&header)?;
        Ok(PcapWriter { out, offset })
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn write(&mut self, at: Instant, frame: &[u8]) -> io::Result<()> {
        let nanos = at.as_nanos().wrapping_add(self.offset);
        let original = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let kept = original.min(SNAP_LEN);
        let words = [(nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32, kept, original];
        let mut header = [0; 16];
        for (place, word) in header.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        self.out.write_all(&header)?;
        self.out.write_all(&frame[..kept as usize])
    }

    /// Hands over what a buffered output still holds.
    ///
    /// # Errors
    /// When the output does not take it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl PcapWriter<Vec<u8>> {
    /// What was written since somebody last took it away.
    pub fn written(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

/// What added to an [`Instant`] gives nanoseconds since 1970, as the clock of the machine stands now.
pub fn wall_offset() -> u64 {
    sys_process::wall_nanos().wrapping_sub(clock::now().as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_pcap_to_the_byte() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::new(&mut file, 1_700_000_000_000_000_000).unwrap();
        writer.write(Instant::from_nanos(5_000_000_007), &[0xaa; 3]).unwrap();
        writer.flush().unwrap();
        let expected = [
            &[0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0][..],
            &1_700_000_005u32.to_le_bytes(),
            &7u32.to_le_bytes(),
            &[3, 0, 0, 0, 3, 0, 0, 0],
            &[0xaa; 3],
        ]
        .concat();
        assert_eq!(file, expected);
    }

    #[test]
    fn long_frames_are_cut_and_say_so() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::new(&mut file, 0).unwrap();
        writer.write(Instant::ZERO, &vec![0; SNAP_LEN as usize + 9]).unwrap();
        assert_eq!(file.len(), 24 + 16 + SNAP_LEN as usize);
        assert_eq!(file[36..40], (SNAP_LEN + 9).to_le_bytes());
    }

    #[test]
    fn the_sink_filters_counts_and_ends() {
        let (mut sink, source) = channel("arp".parse().unwrap());
        let mut arp = vec![0; 42];
        arp[12..14].copy_from_slice(&[8, 6]);
        assert!(sink.offer(Instant::ZERO, &[0; 60]), "unwanted frames are no reason to stop");
        for _ in 0..QUEUE + 5 {
            assert!(sink.offer(Instant::ZERO, &arp));
        }
        assert_eq!((source.frames.try_iter().count(), source.missed()), (QUEUE, 5));
        drop(source);
        assert!(!sink.offer(Instant::ZERO, &arp));
    }

    #[test]
    fn the_wall_clock_is_past_2020() {
        assert!(wall_offset().wrapping_add(clock::now().as_nanos()) > 1_577_836_800_000_000_000);
    }
}
