//! What the forward thread tells the role thread: control frames that came in, and how its ports are.
//!
//! Invariant: the forward thread never waits here. Control frames that find the queue full are dropped and counted;
//! of a port only the newest state is kept, so nothing grows.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_queue::ArrayQueue;

use super::poller::Waker;
use super::standing::Published;
use crate::types::{InterfaceId, PortId};
use crate::wire::{FrameBuf, Pool};

/// Control frames that wait.
const FRAMES: usize = 1024;

/// A port's device, as another thread may use it.
#[derive(Debug)]
pub struct Device {
    /// A descriptor of its own for the same queue.
    pub file: File,
    /// Frames have the offload header in front.
    pub offload_header: bool,
}

/// What is new about a port.
#[derive(Debug)]
pub struct PortNews {
    /// Which.
    pub port: PortId,
    /// Its link carries frames.
    pub up: bool,
    /// Another device, or none any more; absent when it is still the same one.
    pub device: Option<Option<Device>>,
}

struct Shared {
    frames: ArrayQueue<(InterfaceId, FrameBuf)>,
    missed: AtomicU64,
    news: Mutex<Vec<PortNews>>,
    gateways: Mutex<Vec<(usize, bool)>>,
    has_news: AtomicBool,
}

/// The forward thread's end.
pub struct ForwardEnd {
    shared: Arc<Shared>,
    waker: Waker,
    /// The standing to obey, and the pulse to show.
    pub published: Arc<Published>,
}

/// The role thread's end.
pub struct HelmEnd {
    shared: Arc<Shared>,
}

/// A link to the role thread that `waker` wakes.
pub fn pair(waker: Waker, published: Arc<Published>) -> (ForwardEnd, HelmEnd) {
    let shared = Arc::new(Shared {
        frames: ArrayQueue::new(FRAMES),
        missed: AtomicU64::new(0),
        news: Mutex::default(),
        gateways: Mutex::default(),
        has_news: AtomicBool::new(false),
    });
    (ForwardEnd { shared: Arc::clone(&shared), waker, published }, HelmEnd { shared })
}

impl ForwardEnd {
    /// Hands right-sized copies of control frames over; the buffers go back to `pool`.
    pub fn send(&self, frames: &mut Vec<(InterfaceId, FrameBuf)>, pool: &mut Pool) {
        if frames.is_empty() {
            return;
        }
        for (interface, frame) in frames.drain(..) {
            if self.shared.frames.push((interface, frame.shrunk())).is_err() {
                self.shared.missed.fetch_add(1, Ordering::Relaxed);
            }
            pool.give(frame);
        }
        self.waker.wake();
    }

    /// A port's link or device is another one now.
    pub fn tell(&self, news: PortNews) {
        let mut all = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|old| old.port == news.port) {
            Some(old) => {
                old.up = news.up;
                if news.device.is_some() {
                    old.device = news.device;
                }
            }
            None => all.push(news),
        }
        drop(all);
        self.shared.has_news.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// A gateway, by its number in the document, answers or no longer does.
    pub fn tell_gateway(&self, number: usize, reachable: bool) {
        let mut all = self.shared.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|(known, _)| *known == number) {
            Some((_, newest)) => *newest = reachable,
            None => all.push((number, reachable)),
        }
        drop(all);
        self.shared.has_news.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Control frames that found no room.
    pub fn missed(&self) -> u64 {
        self.shared.missed.load(Ordering::Relaxed)
    }
}

impl HelmEnd {
    /// The next control frame.
    pub fn frame(&self) -> Option<(InterfaceId, FrameBuf)> {
        self.shared.frames.pop()
    }

    /// True when no control frame waits.
    pub fn is_drained(&self) -> bool {
        self.shared.frames.is_empty()
    }

    /// What is new about the ports and the gateways.
    pub fn news(&self) -> (Vec<PortNews>, Vec<(usize, bool)>) {
        if !self.shared.has_news.swap(false, Ordering::AcqRel) {
            return (Vec::new(), Vec::new());
        }
        let ports = std::mem::take(&mut *self.shared.news.lock().unwrap_or_else(PoisonError::into_inner));
        let gateways =
            std::mem::take(&mut *self.shared.gateways.lock().unwrap_or_else(PoisonError::into_inner));
        (ports, gateways)
    }
}

#[cfg(test)]
mod tests {
    use super::super::poller::Poller;
    use super::*;
    use crate::types::Standing;

    #[test]
    fn frames_that_find_no_room_are_counted_and_only_the_newest_of_a_port_is_kept() {
        let poller = Poller::new().unwrap();
        let (near, far) = pair(poller.waker(), Arc::new(Published::new(Standing::ALONE)));
        let mut frames: Vec<_> = (0..FRAMES + 2).map(|_| (InterfaceId(1), FrameBuf::copy_of(&[1]))).collect();
        near.send(&mut frames, &mut Pool::new(8));
        assert!(frames.is_empty() && near.missed() == 2 && !far.is_drained());
        assert_eq!(std::iter::from_fn(|| far.frame()).count(), FRAMES);
        assert!(far.is_drained() && far.news().0.is_empty());
        let null = || File::open("/dev/null").unwrap();
        let device = Some(Some(Device { file: null(), offload_header: true }));
        near.tell(PortNews { port: PortId(2), up: false, device });
        near.tell(PortNews { port: PortId(2), up: true, device: None });
        near.tell_gateway(1, false);
        near.tell_gateway(1, true);
        let (ports, gateways) = far.news();
        let [news] = &ports[..] else { panic!("one port") };
        assert!(news.up && matches!(news.device, Some(Some(_))));
        assert_eq!(gateways, [(1, true)]);
        assert!(far.news().0.is_empty());
    }
}
