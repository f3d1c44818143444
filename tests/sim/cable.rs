//! A cable between two ports: delay, loss, reordering and duplication, all chosen by the seed.

use std::time::Duration;

use koi::types::{Instant, Random};

/// How a cable treats frames. Probabilities are in thousandths.
#[derive(Clone, Copy, Debug)]
pub struct Quality {
    /// Every frame takes at least this long.
    pub delay: Duration,
    /// And up to this much longer, which reorders frames.
    pub jitter: Duration,
    /// Frames that vanish.
    pub loss: u64,
    /// Frames that arrive twice.
    pub duplicate: u64,
}

impl Quality {
    /// A good cable.
    pub const CLEAN: Quality =
        Quality { delay: Duration::from_micros(50), jitter: Duration::ZERO, loss: 0, duplicate: 0 };
    /// A bad one.
    pub const ROUGH: Quality = Quality {
        delay: Duration::from_micros(200),
        jitter: Duration::from_micros(400),
        loss: 10,
        duplicate: 10,
    };
}

/// One direction of a cable.
pub struct Cable {
    pub quality: Quality,
    random: Random,
    /// True while the cable is pulled out.
    pub cut: bool,
    last: Instant,
}

impl Cable {
    pub fn new(quality: Quality, random: Random) -> Self {
        Cable { quality, random, cut: false, last: Instant::ZERO }
    }

    /// It becomes better or worse.
    pub fn change(&mut self, quality: Quality) {
        self.quality = quality;
    }

    /// When a frame that enters now comes out: never, once, or twice.
    pub fn carry(&mut self, now: Instant) -> Vec<Instant> {
        let Quality { delay, jitter, loss, duplicate } = self.quality;
        if self.cut || self.random.below(1000) < loss {
            return Vec::new();
        }
        let copies = if self.random.below(1000) < duplicate { 2 } else { 1 };
        (0..copies)
            .map(|_| {
                let extra = Duration::from_nanos(self.random.below(jitter.as_nanos() as u64 + 1));
                let at = now + delay + extra;
                // Without jitter a cable keeps its order.
                let at = if jitter.is_zero() { at.max(self.last) } else { at };
                self.last = self.last.max(at);
                at
            })
            .collect()
    }
}
