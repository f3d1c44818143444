//! Captures that pages and programs begin: kept in memory, bounded in frames, bytes and time.
//!
//! Invariant: the packet path only filters and copies; a thread of each capture's own writes. A capture ends by itself.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::handle::Handle;
use super::site::lock;
use crate::io::capture::{self, PcapWriter, Source};
use crate::io::{clock, flow_filter};
use crate::types::Instant;
use crate::wire::filter::Filter;
use crate::wire::{FrameBuf, Packet, Parsed, Transport};

/// Captures at a time.
const RUNNING: usize = 2;
/// Captures that are kept, those that run included.
const KEPT: usize = 6;
/// Bytes of a capture.
const BYTES: usize = 8 << 20;
/// Frames of a capture, and when nobody says how many.
pub(super) const MOST_FRAMES: u64 = 100_000;
pub(super) const FRAMES: u64 = 1000;
/// Seconds of a capture, and when nobody says how many.
pub(super) const MOST_SECONDS: u64 = 600;
pub(super) const SECONDS: u64 = 60;
/// Frames that are told in words.
const PREVIEW: usize = 200;
/// How often a quiet capture looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);

/// What shall be captured.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub interface: String,
    /// In the language of [`crate::wire::filter`].
    pub filter: String,
    pub frames: u64,
    pub seconds: u64,
}

/// A capture, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CaptureRow {
    pub id: u64,
    pub interface: String,
    pub filter: String,
    /// Name of whoever began it.
    pub user: String,
    /// Seconds since 1970.
    pub began: u64,
    pub frames: u64,
    pub bytes: u64,
    /// Frames that came faster than they could be written.
    pub missed: u64,
    /// Why it has ended; absent while it runs.
    pub ended: Option<String>,
}

struct Capture {
    row: CaptureRow,
    /// A pcap file.
    file: Vec<u8>,
    lines: Vec<String>,
    stop: Arc<AtomicBool>,
}

/// All captures, the oldest first.
#[derive(Default)]
pub(super) struct Captures {
    list: Mutex<Vec<Arc<Mutex<Capture>>>>,
    made: Mutex<u64>,
}

impl Captures {
    /// Begins one; says its number.
    ///
    /// # Errors
    /// When it cannot be begun, in a sentence.
    pub fn begin(self: &Arc<Self>, handle: &Handle, order: Order, user: &str) -> Result<u64, String> {
        let Order { interface, filter, frames, seconds } = order;
        let parsed: Filter = filter.parse().map_err(|error| format!("The filter: {error}."))?;
        let number =
            flow_filter::number(&handle.in_force(), &interface).map_err(|why| format!("There is {why}."))?;
        let mut list = lock(&self.list);
        if list.iter().filter(|one| lock(one).row.ended.is_none()).count() >= RUNNING {
            return Err(format!("{RUNNING} captures run already; stop one first."));
        }
        let (mut sink, source) = capture::channel(parsed);
        let begun = handle.capture(number, Box::new(move |at, frame: &[u8]| sink.offer(at, frame)));
        begun.ok_or("The router is busy; try again.")?;
        let id = {
            let mut made = lock(&self.made);
            *made += 1;
            *made
        };
        let row = CaptureRow {
            id,
            interface,
            filter,
            user: user.to_owned(),
            began: clock::wall_seconds(),
            frames: 0,
            bytes: 0,
            missed: 0,
            ended: None,
        };
        let stop = Arc::<AtomicBool>::default();
        let capture = Capture { row, file: Vec::new(), lines: Vec::new(), stop: Arc::clone(&stop) };
        let capture = Arc::new(Mutex::new(capture));
        let limits = (frames.clamp(1, MOST_FRAMES), Duration::from_secs(seconds.clamp(1, MOST_SECONDS)));
        let written = Arc::clone(&capture);
        let thread = std::thread::Builder::new().name("capture".into());
        thread
            .spawn(move || write(&written, &source, limits, &stop))
            .map_err(|error| format!("The capture cannot be begun: {error}."))?;
        list.push(capture);
        if list.len() > KEPT
            && let Some(oldest) = list.iter().position(|one| lock(one).row.ended.is_some())
        {
            list.remove(oldest);
        }
        Ok(id)
    }

    /// Every capture, the newest first.
    pub fn rows(&self) -> Vec<CaptureRow> {
        lock(&self.list).iter().rev().map(|one| lock(one).row.clone()).collect()
    }

    fn find(&self, id: u64) -> Option<Arc<Mutex<Capture>>> {
        lock(&self.list).iter().find(|one| lock(one).row.id == id).cloned()
    }

    /// One, and its first frames in words.
    pub fn preview(&self, id: u64) -> Option<(CaptureRow, Vec<String>)> {
        let found = self.find(id)?;
        let capture = lock(&found);
        Some((capture.row.clone(), capture.lines.clone()))
    }

    /// The pcap file as far as it is written.
    pub fn file(&self, id: u64) -> Option<(CaptureRow, Vec<u8>)> {
        let found = self.find(id)?;
        let capture = lock(&found);
        Some((capture.row.clone(), capture.file.clone()))
    }

    /// Ends one; what it has is kept.
    pub fn stop(&self, id: u64) -> Option<()> {
        let found = self.find(id)?;
        lock(&found).stop.store(true, Ordering::Relaxed);
        Some(())
    }

    /// Ends one and forgets it.
    pub fn forget(&self, id: u64) -> Option<()> {
        self.stop(id)?;
        lock(&self.list).retain(|one| lock(one).row.id != id);
        Some(())
    }
}

/// Writes until there is enough, time is up, or somebody says so.
fn write(capture: &Mutex<Capture>, source: &Source, (frames, time): (u64, Duration), stop: &AtomicBool) {
    let begun = clock::now();
    let mut writer = match PcapWriter::new(Vec::new(), capture::wall_offset()) {
        Ok(writer) => writer,
        Err(_) => return,
    };
    let mut first: Option<Instant> = None;
    let ended = loop {
        match source.frames.recv_timeout(LOOK) {
            Ok(frame) => {
                let first = *first.get_or_insert(frame.at);
                if writer.write(frame.at, &frame.bytes).is_err() {
                    break "it cannot be written";
                }
                let mut capture = lock(capture);
                capture.file.append(writer.written());
                capture.row.frames += 1;
                capture.row.bytes += frame.bytes.len() as u64;
                capture.row.missed = source.missed();
                if capture.lines.len() < PREVIEW {
                    let line =
                        format!("{:>10.6}  {}", frame.at.since(first).as_secs_f64(), words(&frame.bytes));
                    capture.lines.push(line);
                }
                if capture.row.frames >= frames {
                    break "it has all frames that were asked for";
                }
                if capture.file.len() >= BYTES {
                    break "it is as large as it may be";
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break "the router has ended it",
        }
        if stop.load(Ordering::Relaxed) {
            break "it was stopped";
        }
        if clock::now().since(begun) >= time {
            break "its time is over";
        }
    };
    let mut capture = lock(capture);
    // Of a capture without frames, the header alone is a file as well.
    capture.file.append(writer.written());
    capture.row.ended = Some(ended.to_owned());
}

/// A frame in a line.
fn words(frame: &[u8]) -> String {
    let length = frame.len();
    match Packet::parse(FrameBuf::copy_of(frame)) {
        Ok(Parsed::Ip(packet)) => {
            let flags = match packet.layout.transport {
                Transport::Tcp { flags, .. } => format!(" {}", letters(flags)),
                Transport::IcmpError { kind, code } => format!(" error {kind}/{code}"),
                Transport::IcmpQuery { request: true } => " request".into(),
                Transport::IcmpQuery { request: false } => " reply".into(),
                Transport::IcmpOther { kind } => format!(" type {kind}"),
                Transport::Udp | Transport::Other => String::new(),
            };
            format!("{}{flags}, {length} bytes", packet.layout.key)
        }
        Ok(Parsed::Arp(frame)) => {
            let bytes = frame.bytes();
            let address = |at: usize| {
                let bytes = bytes.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
                bytes.map_or_else(|| "?".to_owned(), |bytes| IpAddr::from(bytes).to_string())
            };
            match bytes.get(21) {
                Some(1) => format!("arp: who has {}, tell {}", address(38), address(28)),
                _ => format!("arp: {} is here", address(28)),
            }
        }
        Err((drop, frame)) => {
            let kind = frame.bytes().get(12..14).map_or(0, |kind| u16::from_be_bytes([kind[0], kind[1]]));
            format!("type {kind:04x}, {length} bytes ({})", drop.name())
        }
    }
}

fn letters(flags: u8) -> String {
    let set = "FSRPAUEW".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
    set.map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Pool, echo};

    #[test]
    fn frames_have_words() {
        let ends = ["192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap()];
        let frame = echo::request(ends, (7, 1), 8, &mut Pool::new(1)).unwrap();
        let told = words(frame.bytes());
        assert!(told.contains("192.0.2.1") && told.contains("request"), "{told}");
        let mut arp = vec![0; 42];
        arp[12..14].copy_from_slice(&[8, 6]);
        arp[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        arp[28..32].copy_from_slice(&[192, 0, 2, 1]);
        arp[38..42].copy_from_slice(&[192, 0, 2, 9]);
        assert_eq!(words(&arp), "arp: who has 192.0.2.9, tell 192.0.2.1");
        assert!(words(&[0; 20]).contains("20 bytes"));
        assert_eq!(letters(0b1_0010), "SA");
    }

    #[test]
    fn a_capture_ends_by_itself_and_is_a_file() {
        let row = CaptureRow {
            id: 1,
            interface: "wan".into(),
            filter: String::new(),
            user: "ada".into(),
            began: 0,
            frames: 0,
            bytes: 0,
            missed: 0,
            ended: None,
        };
        let stop = Arc::<AtomicBool>::default();
        let capture = Mutex::new(Capture { row, file: Vec::new(), lines: Vec::new(), stop });
        let (mut sink, source) = capture::channel("".parse().unwrap());
        for at in 1..=5 {
            sink.offer(Instant::from_secs(at), &[0; 60]);
        }
        write(&capture, &source, (3, Duration::from_secs(5)), &AtomicBool::new(false));
        let capture = capture.into_inner().unwrap();
        assert_eq!((capture.row.frames, capture.file.len()), (3, 24 + 3 * 76));
        assert_eq!(capture.row.ended.as_deref(), Some("it has all frames that were asked for"));
        assert!(capture.lines[2].starts_with("  2.000000"), "{:?}", capture.lines);
    }
}
