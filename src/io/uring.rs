//! Batches of reads and writes on one TAP in one system call each (io_uring).
//!
//! Invariant: no operation outlives the call that started it. Every operation carries `RWF_NOWAIT` (that the TAP is
//! non-blocking is not enough: the kernel would still keep a read until a frame comes), so the kernel finishes it
//! while it takes it from the queue, in order; a read of an empty TAP answers `EAGAIN` at once. Therefore single calls
//! of `read` and `write` may be mixed with batches at will, and frames are never reordered.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use io_uring::types::Fixed;
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::{clock, sys};
use crate::wire::FrameBuf;

/// The most operations in one batch.
pub const BATCH: usize = 64;

/// Rounds of the comparison with single calls; the best of each counts.
const ROUNDS: usize = 8;

/// The answer to an operation that the kernel has not even taken.
const UNANSWERED: i32 = -libc::ECANCELED;

/// An io_uring for one descriptor, used by one thread.
pub struct Ring {
    ring: IoUring,
    results: [i32; BATCH],
    /// The kernel has refused a call; the queue holds operations that must never start.
    broken: bool,
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
        let mut ring = Ring { ring, results: [UNANSWERED; BATCH], broken: false };
        match ring.empty_writes(1)? {
            [result] if *result == -libc::EOPNOTSUPP => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
            _ => Ok(ring),
        }
    }

    /// True when a batch costs clearly less than single calls on this machine.
    ///
    /// What io_uring saves is the way into the kernel and back, which costs 100 ns here and 250 ns there, according
    /// to the processor and to the mitigations of its faults; what it adds depends on them as well. So it is measured,
    /// with empty writes, in less than a millisecond.
    ///
    /// # Errors
    /// When the kernel does not take the batch; the ring is not to be used again.
    pub fn pays(&mut self, mut file: &File) -> io::Result<bool> {
        let (mut single, mut batch) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            let start = clock::now();
            for _ in 0..BATCH {
                let _ = file.write(&[]);
            }
            let middle = clock::now();
            self.empty_writes(BATCH)?;
            single = single.min(middle.since(start));
            batch = batch.min(clock::now().since(middle));
        }
        Ok(batch.as_nanos() * 10 < single.as_nanos() * 9)
    }

    /// Writes of nothing: no TAP takes them (`EINVAL`), but one that knows no `RWF_NOWAIT` says so.
    fn empty_writes(&mut self, count: usize) -> io::Result<&[i32]> {
        for _ in 0..count {
            self.push(opcode::Write::new(Fixed(0), std::ptr::null(), 0).rw_flags(libc::RWF_NOWAIT).build())?;
        }
        self.run(count)
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
            self.push(entry.rw_flags(libc::RWF_NOWAIT).build().user_data(number as u64))?;
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
            self.push(entry.rw_flags(libc::RWF_NOWAIT).build().user_data(number as u64))?;
        }
        self.run(count)
    }

    /// The answers to the last batch, which had `count` operations.
    pub fn results(&self, count: usize) -> &[i32] {
        &self.results[..count.min(BATCH)]
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("io_uring has stopped working"));
        }
        // SAFETY: the entry points to nothing, or into a frame that `read` or `write` borrows until `run` has its answer.
        unsafe { self.ring.submission().push(&entry) }
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
                self.results[entry.user_data() as usize % BATCH] = entry.result();
                answered += 1;
            }
            let Err(error) = entered else { continue };
            match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                _ => return self.give_up(count, answered, error),
            }
        }
        Ok(&self.results[..count])
    }

    /// The kernel refuses the call itself. Operations that it has not taken are never started, since the ring is not
    /// used again; one that it has taken and not answered would write into memory that is about to be given away.
    fn give_up(&mut self, count: usize, answered: usize, error: io::Error) -> io::Result<&[i32]> {
        self.broken = true;
        let mut queue = self.ring.submission();
        queue.sync();
        if count - queue.len() != answered {
            std::process::abort();
        }
        // With some answers the batch counts as done, lest a frame be written twice.
        if answered == 0 { Err(error) } else { Ok(&self.results[..count]) }
    }
}

impl Drop for Ring {
    /// The kernel takes a ring apart later, and would keep the device busy until then.
    fn drop(&mut self) {
        let _ = self.ring.submitter().unregister_files();
    }
}
