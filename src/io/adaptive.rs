//! How many reads to put into one batch: many while frames are small, none while superpackets come.
//!
//! A batch of reads through io_uring saves a system call per frame, but every read takes a buffer of its own and an
//! answer even when there is nothing to read. Superpackets are better read one by one, each into a buffer whose
//! bytes are still in the cache. So the depth follows what the last batches brought.

use super::uring::BATCH;

/// Mean length from which frames count as superpackets.
const LARGE: usize = 4096;
/// Fewer frames than this are cheaper to read one by one.
pub const WORTHWHILE: usize = 4;

/// Depth of the next batch of reads.
#[derive(Default)]
pub struct Depth(usize);

impl Depth {
    /// Reads to start at once; zero when single reads are better.
    pub fn get(&self) -> usize {
        if self.0 < WORTHWHILE { 0 } else { self.0 }
    }

    /// Learns from a batch that brought `frames` of `bytes` altogether.
    pub fn learn(&mut self, frames: usize, bytes: usize) {
        self.0 = if frames > 0 && bytes / frames >= LARGE {
            0
        } else if frames >= self.0 {
            (frames * 2).min(BATCH)
        } else {
            // Down slowly: an answer of "nothing there" is cheap, a batch too short is not.
            self.0 - (self.0 - frames) / 4
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_follows_the_load() {
        let mut depth = Depth::default();
        depth.learn(1, 60);
        assert_eq!(depth.get(), 0, "a lone frame is read alone");
        for frames in [2, 4, 8, 16, 32, 64, 64] {
            depth.learn(frames, frames * 60);
        }
        assert_eq!(depth.get(), BATCH);
        depth.learn(BATCH, BATCH * 65_000);
        assert_eq!(depth.get(), 0, "superpackets are read one by one at once");
        depth.learn(40, 40 * 60);
        assert_eq!(depth.get(), BATCH);
        for _ in 0..64 {
            depth.learn(0, 0);
        }
        assert_eq!(depth.get(), 0, "nothing comes any more");
    }
}
