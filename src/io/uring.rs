//! Batches of reads and writes on one TAP in one system call each (io_uring).
//!
//! Invariant: no operation outlives the call that started it. The TAP is non-blocking, so the kernel finishes every
//! operation while it takes it from the queue, in order: a read of an empty TAP answers `EAGAIN` at once. Therefore
//! single calls of `read` and `write` may be mixed with batches at will, and frames are never reordered.

use std::fs::File;
use std::io;

use io_uring::{IoUring, cqueue, opcode, squeue, types::Fixed};

use super::sys;
use crate::wire::FrameBuf;

/// The most operations in one batch.
pub const BATCH: usize = 64;

/// An operation that the kernel has not answered (it always does).
const UNANSWERED: i32 = i32::MIN;

/// An io_uring for one descriptor, used by one thread.
pub struct Ring {
    ring: IoUring,
    results: [i32; BATCH],
}

impl Ring {
    /// A ring for `file`, for the calling thread alone.
    ///
    /// # Errors
    /// When the kernel has no io_uring, or an older one, or does not permit it.
    pub fn new(file: &File) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(BATCH as u32)?;
        ring.submitter().register_files(&[sys::raw(file)])?;
        Ok(Ring { ring, results: [UNANSWERED; BATCH] })
    }

    /// Reads one frame into each of `frames` (at most [`BATCH`]). Gives for each the count of bytes or the negative
    /// error number.
    ///
    /// # Errors
    /// When the kernel does not take the batch; the ring is not to be used again.
    pub fn read(&mut self, frames: &mut [FrameBuf], offload_header: bool) -> io::Result<&[i32]> {
        let count = frames.len().min(BATCH);
        for (number, frame) in frames[..count].iter_mut().enumerate() {
            let area = frame.receive_area(offload_header);
            let entry = opcode::Read::new(Fixed(0), area.as_mut_ptr(), area.len() as u32);
            self.push(&entry.build().user_data(number as u64))?;
        }
        self.run(count)
    }

    /// Writes each of `frames` (at most [`BATCH`]), in order. Gives for each the count of bytes or the negative error
    /// number.
    ///
    /// # Errors
    /// When the kernel does not take the batch; the ring is not to be used again.
    pub fn write(&mut self, frames: &mut [FrameBuf], offload_header: bool) -> io::Result<&[i32]> {
        let count = frames.len().min(BATCH);
        for (number, frame) in frames[..count].iter_mut().enumerate() {
            let area = frame.send_area(offload_header);
            let entry = opcode::Write::new(Fixed(0), area.as_ptr(), area.len() as u32);
            self.push(&entry.build().user_data(number as u64))?;
        }
        self.run(count)
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: the entry points into a frame that `read` or `write` borrows until `run` has seen its answer.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_| io::Error::other("io_uring's queue is full"))
    }

    /// Submits what was pushed and waits until all of it is answered.
    fn run(&mut self, count: usize) -> io::Result<&[i32]> {
        self.results[..count].fill(UNANSWERED);
        let mut answered = 0;
        while answered < count {
            let entered = self.ring.submit_and_wait(count - answered);
            for entry in self.ring.completion() {
                let entry: cqueue::Entry = entry;
                if let Some(result) = self.results.get_mut(entry.user_data() as usize) {
                    *result = entry.result();
                    answered += 1;
                }
            }
            let Err(error) = entered else { continue };
            match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                _ => return self.give_up(count, answered, error),
            }
        }
        Ok(&self.results[..count])
    }

    /// The kernel refuses the call itself. Operations that it has not taken are never started, since the ring is
    /// dropped; one that it has taken and not answered would write into memory that is about to be given away.
    fn give_up(&mut self, count: usize, answered: usize, error: io::Error) -> io::Result<&[i32]> {
        let mut queue = self.ring.submission();
        queue.sync();
        if count - queue.len() != answered {
            std::process::abort();
        }
        Err(error)
    }
}
