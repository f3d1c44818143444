//! Is a gateway there, and how good is the way behind it? Echo requests, judged as dpinger does.
//!
//! A probe leaves every `interval`; its answer may take `loss_interval`. Every `alert_interval` the probes of the last
//! `time_period` are looked at together: their mean delay, its deviation, and how many were lost. Above a threshold an
//! alarm goes off at once; it ends only when [`HOLD`] looks in a row have found nothing.
//!
//! Invariant: at most so many probes are remembered as fit into the period; an answer counts once, and only with the
//! number of a probe that is remembered.

use std::time::Duration;

use crate::types::Instant;

/// Looks in a row that must find nothing for an alarm to end.
const HOLD: u8 = 10;
/// The most probes that are remembered.
const SLOTS: usize = 4096;

/// How a gateway is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonitorConfig {
    /// Between two probes.
    pub interval: Duration,
    /// After this long a probe without an answer is lost.
    pub loss_interval: Duration,
    /// Probes of this time are looked at together.
    pub time_period: Duration,
    /// Between two looks.
    pub alert_interval: Duration,
    /// Mean delays above which it is slow, and down.
    pub latency: [Duration; 2],
    /// Percentages of lost probes above which it is lossy, and down.
    pub loss: [u8; 2],
}

/// How a gateway is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Nobody knows yet: taken for up.
    Pending,
    /// It answers.
    Online,
    /// Slowly.
    Delay,
    /// Not always.
    Loss,
    /// Not usable.
    Down(Reason),
}

/// Why a gateway is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Too many probes are lost.
    Loss,
    /// Answers take too long.
    Latency,
    /// It has no MAC address any more: it does not answer on its own link.
    Neighbour,
    /// A person says so.
    Forced,
}

impl Status {
    /// pfSense's word.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Online => "online",
            Status::Delay => "delay",
            Status::Loss => "loss",
            Status::Down(_) => "down",
        }
    }

    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Status::Pending => "not known yet",
            Status::Online => "online",
            Status::Delay => "online, but slow",
            Status::Loss => "online, but loses packets",
            Status::Down(Reason::Loss) => "down: packets are lost",
            Status::Down(Reason::Latency) => "down: it is too slow",
            Status::Down(Reason::Neighbour) => "down: it does not answer on its link",
            Status::Down(Reason::Forced) => "marked as down",
        }
    }

    /// It is down.
    pub const fn is_down(self) -> bool {
        match self {
            Status::Pending | Status::Online | Status::Delay | Status::Loss => false,
            Status::Down(_) => true,
        }
    }
}

/// What the probes of the period have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Mean time to the answer.
    pub delay: Duration,
    /// Its standard deviation.
    pub deviation: Duration,
    /// Lost probes in percent.
    pub loss: u8,
    /// Probes that this is about.
    pub probes: u32,
}

/// A probe.
#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Sent { sequence: u16, at: Instant },
    Answered { after: Duration },
}

/// The watch over one gateway.
pub struct Monitor {
    config: MonitorConfig,
    slots: Box<[Slot]>,
    /// Number of the next probe; its place is this modulo the number of slots.
    next: u64,
    probe_at: Instant,
    look_at: Instant,
    /// Looks for which an alarm still holds: slow, lossy, too slow, too lossy.
    alarms: [u8; 4],
    report: Report,
}

impl Monitor {
    /// Watches from `now` on. The first probe leaves after `stagger`, so that those of many gateways do not leave at once.
    pub fn new(config: MonitorConfig, now: Instant, stagger: Duration) -> Self {
        let interval = config.interval.max(Duration::from_millis(1));
        let probes = (config.time_period + config.loss_interval).as_nanos() / interval.as_nanos() + 1;
        let count = usize::try_from(probes).unwrap_or(SLOTS).clamp(2, SLOTS);
        Monitor {
            config,
            slots: vec![Slot::Empty; count].into_boxed_slice(),
            next: 0,
            probe_at: now + stagger,
            look_at: now + stagger + config.alert_interval,
            alarms: [0; 4],
            report: Report::default(),
        }
    }

    /// As it was told to watch.
    pub fn config(&self) -> &MonitorConfig {
        &self.config
    }

    /// The last look.
    pub fn report(&self) -> Report {
        self.report
    }

    /// When [`Monitor::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Instant {
        self.probe_at.min(self.look_at)
    }

    /// Sends a probe when one is due, and looks when it is time: the number of the probe, and whether it has looked.
    pub fn handle_timeout(&mut self, now: Instant) -> (Option<u16>, bool) {
        let probe = (self.probe_at <= now).then(|| self.probe(now));
        let look = self.look_at <= now;
        if look {
            self.look(now);
            self.look_at = following(self.look_at, self.config.alert_interval, now);
        }
        (probe, look)
    }

    fn probe(&mut self, now: Instant) -> u16 {
        let sequence = self.next as u16;
        let place = self.place(self.next);
        self.slots[place] = Slot::Sent { sequence, at: now };
        self.next += 1;
        self.probe_at = following(self.probe_at, self.config.interval, now);
        sequence
    }

    fn place(&self, number: u64) -> usize {
        (number % self.slots.len() as u64) as usize
    }

    /// A probe could not be sent, for reasons of our own: it counts for nothing.
    pub fn forget(&mut self, sequence: u16) {
        if let Some(place) = self.remembered(sequence) {
            self.slots[place] = Slot::Empty;
        }
    }

    /// Where the probe whose number ends like this waits for its answer.
    fn remembered(&self, sequence: u16) -> Option<usize> {
        // The latest one has the number `next - 1`.
        let back = (self.next as u16).wrapping_sub(1).wrapping_sub(sequence);
        let place = self.place(self.next.checked_sub(1 + u64::from(back))?);
        let waits = match self.slots[place] {
            Slot::Sent { sequence: sent, .. } => sent == sequence,
            Slot::Answered { .. } | Slot::Empty => false,
        };
        (waits && usize::from(back) < self.slots.len()).then_some(place)
    }

    /// An answer has come; false when it is to no probe that is remembered, or to one that has been answered.
    pub fn handle_answer(&mut self, now: Instant, sequence: u16) -> bool {
        let Some(place) = self.remembered(sequence) else { return false };
        let Slot::Sent { at, .. } = self.slots[place] else { return false };
        self.slots[place] = Slot::Answered { after: now.since(at) };
        true
    }

    fn look(&mut self, now: Instant) {
        let (mut answered, mut lost) = (0u64, 0u64);
        let (mut sum, mut squares) = (0u128, 0u128);
        for slot in &self.slots {
            match *slot {
                Slot::Answered { after } => {
                    let micros = after.as_micros();
                    answered += 1;
                    sum += micros;
                    squares += micros * micros;
                }
                Slot::Sent { at, .. } if now.since(at) > self.config.loss_interval => lost += 1,
                Slot::Sent { .. } | Slot::Empty => {}
            }
        }
        let count = u128::from(answered.max(1));
        let mean = sum / count;
        let micros = |micros: u128| Duration::from_micros(micros as u64);
        self.report = Report {
            delay: micros(mean),
            deviation: micros((squares / count).saturating_sub(mean * mean).isqrt()),
            loss: (lost * 100 / (answered + lost).max(1)) as u8,
            probes: (answered + lost) as u32,
        };
        let Report { delay, loss, .. } = self.report;
        let [slow, too_slow] = self.config.latency.map(|threshold| delay > threshold);
        let [lossy, too_lossy] = self.config.loss.map(|threshold| loss > threshold);
        for (alarm, raised) in self.alarms.iter_mut().zip([slow, lossy, too_slow, too_lossy]) {
            *alarm = if raised { HOLD } else { alarm.saturating_sub(1) };
        }
    }

    /// How the gateway is, after the last look.
    pub fn status(&self) -> Status {
        match self.alarms.map(|alarm| alarm > 0) {
            [_, _, _, true] => Status::Down(Reason::Loss),
            [_, _, true, _] => Status::Down(Reason::Latency),
            [_, true, ..] => Status::Loss,
            [true, ..] => Status::Delay,
            [false, false, false, false] if self.report.probes == 0 => Status::Pending,
            [false, false, false, false] => Status::Online,
        }
    }
}

/// The next time after one that was due; what was missed is not made up for.
fn following(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next <= now { now + interval } else { next }
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
