//! One frame a system call: the way that every kernel has, and the better one for superpackets.

use std::fs::File;
use std::io;

use super::sys;
use crate::wire::{FrameBuf, Pool};

/// Reads after which a batch of superpackets ends, so that its bytes are still in the cache when they are written.
const BATCH_BYTES: usize = 4 * 65_536;

/// What a batch of reads brought.
#[derive(Default)]
pub struct Received {
    /// Frames that came.
    pub frames: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Frames whose offload header makes no sense.
    pub malformed: usize,
    /// The device had no more.
    pub drained: bool,
    /// It was one call for all.
    pub batch: bool,
    /// The device refuses to be read.
    pub error: Option<io::Error>,
}

impl Received {
    /// Accounts for one finished read; true when more may follow.
    pub fn take(
        &mut self,
        result: io::Result<usize>,
        mut frame: FrameBuf,
        offload_header: bool,
        pool: &mut Pool,
        into: &mut Vec<FrameBuf>,
    ) -> bool {
        match result {
            Ok(count) if frame.received(count, offload_header) => {
                self.frames += 1;
                self.bytes += frame.len();
                into.push(frame);
                true
            }
            Ok(_) => {
                self.malformed += 1;
                pool.give(frame);
                true
            }
            Err(error) => {
                pool.give(frame);
                match error.kind() {
                    io::ErrorKind::WouldBlock => self.drained = true,
                    io::ErrorKind::Interrupted => return true,
                    _ => self.error = Some(error),
                }
                false
            }
        }
    }
}

/// Reads up to `limit` frames.
pub fn read(
    file: &File,
    offload_header: bool,
    limit: usize,
    pool: &mut Pool,
    into: &mut Vec<FrameBuf>,
) -> Received {
    let mut received = Received::default();
    for _ in 0..limit {
        let mut frame = pool.take();
        let result = sys::read(file, frame.receive_area(offload_header));
        if !received.take(result, frame, offload_header, pool, into) || received.bytes >= BATCH_BYTES {
            break;
        }
    }
    received
}

/// Writes one frame.
pub fn write(file: &File, frame: &mut FrameBuf, offload_header: bool) -> io::Result<usize> {
    loop {
        match sys::write(file, frame.send_area(offload_header)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The result of one operation of a batch, as a single call would give it.
pub fn number(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}
