use super::*;
use proptest::prelude::*;

const PFSENSE: MonitorConfig = MonitorConfig {
    interval: millis(500),
    loss_interval: millis(2000),
    time_period: millis(60_000),
    alert_interval: millis(1000),
    latency: [millis(200), millis(500)],
    loss: [10, 20],
};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A gateway that answers as `answer` says: by the number of the probe, after how long.
struct Bench {
    monitor: Monitor,
    now: Instant,
    waiting: Vec<(Instant, u16)>,
    sent: u64,
}

impl Bench {
    fn new(config: MonitorConfig) -> Bench {
        let now = Instant::from_secs(10);
        Bench { monitor: Monitor::new(config, now, Duration::ZERO), now, waiting: Vec::new(), sent: 0 }
    }

    fn run(&mut self, time: Duration, answer: impl Fn(u64) -> Option<Duration>) {
        let end = self.now + time;
        loop {
            let answered = self.waiting.iter().map(|(at, _)| *at).min();
            let next = answered.into_iter().chain([self.monitor.poll_timeout()]).min().unwrap();
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            let due = self.waiting.iter().position(|(at, _)| *at <= next);
            if let Some((_, sequence)) = due.map(|at| self.waiting.swap_remove(at)) {
                self.monitor.handle_answer(next, sequence);
                continue;
            }
            if let (Some(sequence), _) = self.monitor.handle_timeout(next) {
                if let Some(after) = answer(self.sent) {
                    self.waiting.push((next + after, sequence));
                }
                self.sent += 1;
            }
        }
    }

    /// Runs until the status is another one; how long that took.
    fn until_changed(&mut self, answer: impl Fn(u64) -> Option<Duration>) -> (Status, Duration) {
        let (before, begun) = (self.monitor.status(), self.now);
        for _ in 0..10_000 {
            self.run(millis(100), &answer);
            if self.monitor.status() != before {
                return (self.monitor.status(), self.now.since(begun));
            }
        }
        panic!("it stays {before:?}");
    }
}

#[test]
fn a_gateway_is_pending_then_online_and_its_delay_is_told() {
    let mut bench = Bench::new(PFSENSE);
    assert_eq!(bench.monitor.status(), Status::Pending);
    bench.run(millis(900), |_| Some(millis(10)));
    assert_eq!(bench.monitor.status(), Status::Pending, "nobody has looked yet");
    bench.run(millis(200), |_| Some(millis(10)));
    assert_eq!(bench.monitor.status(), Status::Online);
    bench.run(Duration::from_secs(30), |number| Some(if number % 2 == 0 { millis(10) } else { millis(30) }));
    let Report { delay, deviation, loss, probes } = bench.monitor.report();
    assert!((delay.as_millis() as i64 - 20).abs() <= 1 && (deviation.as_millis() as i64 - 10).abs() <= 1);
    assert_eq!((loss, probes), (0, 62));
}

/// dpinger's arithmetic: of some 121 probes in the window more than a fifth must be lost; each counts as lost after 2 s.
#[test]
fn silence_is_told_as_loss_first_and_as_down_when_a_fifth_is_lost() {
    let mut bench = Bench::new(PFSENSE);
    bench.run(Duration::from_secs(90), |_| Some(millis(10)));
    let (status, after) = bench.until_changed(|_| None);
    assert_eq!(status, Status::Loss);
    assert!((Duration::from_secs(8)..=Duration::from_secs(10)).contains(&after), "{after:?}");
    let (status, after) = bench.until_changed(|_| None);
    assert_eq!(status, Status::Down(Reason::Loss));
    assert!((Duration::from_secs(5)..Duration::from_secs(8)).contains(&after), "{after:?}");
}

#[test]
fn a_gateway_that_never_answers_is_down_at_the_first_look_that_can_know() {
    let mut bench = Bench::new(PFSENSE);
    let (status, after) = bench.until_changed(|_| None);
    assert_eq!(status, Status::Down(Reason::Loss));
    assert!((millis(2000)..=millis(3100)).contains(&after), "{after:?}");
}

#[test]
fn a_gateway_comes_back_when_the_window_has_forgotten_and_ten_looks_have_held() {
    let mut bench = Bench::new(PFSENSE);
    bench.run(Duration::from_secs(90), |_| Some(millis(10)));
    bench.run(Duration::from_secs(30), |_| None);
    assert_eq!(bench.monitor.status(), Status::Down(Reason::Loss));
    // 60 lost probes leave the window from 60 s after the first on; 24 and fewer are no alarm any more.
    let (status, after) = bench.until_changed(|_| Some(millis(10)));
    assert_eq!(status, Status::Loss);
    assert!((Duration::from_secs(50)..Duration::from_secs(64)).contains(&after), "{after:?}");
    let (status, after) = bench.until_changed(|_| Some(millis(10)));
    assert_eq!(status, Status::Online);
    assert!(after < Duration::from_secs(10), "{after:?}");
}

#[test]
fn slow_answers_are_told_and_bring_it_down() {
    let mut bench = Bench::new(PFSENSE);
    bench.run(Duration::from_secs(60), |_| Some(millis(250)));
    assert_eq!(bench.monitor.status(), Status::Delay);
    bench.run(Duration::from_secs(90), |_| Some(millis(600)));
    assert_eq!(bench.monitor.status(), Status::Down(Reason::Latency));
    assert_eq!(bench.monitor.report().loss, 0, "what is late is not lost");
}

#[test]
fn an_answer_counts_once_and_only_to_a_probe_that_is_remembered() {
    let mut monitor = Monitor::new(PFSENSE, Instant::from_secs(1), Duration::ZERO);
    assert!(!monitor.handle_answer(Instant::from_secs(1), 0), "nothing was sent");
    let now = monitor.poll_timeout();
    assert_eq!(monitor.handle_timeout(now).0, Some(0));
    assert!(!monitor.handle_answer(now, 1) && !monitor.handle_answer(now, 65_535));
    assert!(monitor.handle_answer(now + millis(5), 0));
    assert!(!monitor.handle_answer(now + millis(6), 0));
    let now = monitor.poll_timeout();
    assert_eq!(monitor.handle_timeout(now).0, Some(1));
    monitor.forget(1);
    assert!(!monitor.handle_answer(now + millis(7), 1), "it was never sent");
}

#[test]
fn what_was_slept_through_is_not_made_up_for() {
    let mut monitor = Monitor::new(PFSENSE, Instant::from_secs(1), Duration::ZERO);
    let late = Instant::from_secs(500);
    assert!(monitor.handle_timeout(late).0.is_some());
    assert!(monitor.handle_timeout(late).0.is_none() && monitor.poll_timeout() > late);
}

proptest! {
    /// The report equals the naive one over all probes that were ever sent.
    #[test]
    fn a_look_is_the_naive_count(
        fates in prop::collection::vec(prop::option::of(0u64..1900), 1..200),
        interval in 50u64..1000,
        period in 5000u64..20_000,
    ) {
        let config = MonitorConfig {
            interval: millis(interval),
            time_period: millis(period),
            alert_interval: millis(interval),
            ..PFSENSE
        };
        let mut bench = Bench::new(config);
        let start = bench.now;
        let answer = |number: u64| fates[number as usize % fates.len()].map(millis);
        bench.run(millis(interval * fates.len() as u64 + 2500), answer);
        let looked = bench.monitor.look_at.since(start).as_millis() as u64 - interval;
        let remembered = (period + 2000) / interval + 1;
        let sent = |number: u64| number * interval;
        let last = (0..).take_while(|number| sent(*number) <= looked).count() as u64;
        let mut all = Vec::new();
        let mut lost = 0;
        for number in last.saturating_sub(remembered)..last {
            match fates[number as usize % fates.len()] {
                Some(after) if sent(number) + after <= looked => all.push(after),
                _ if looked - sent(number) > 2000 => lost += 1,
                _ => {}
            }
        }
        let total = all.len() as u64 + lost;
        let report = bench.monitor.report();
        prop_assert_eq!(u64::from(report.probes), total);
        prop_assert_eq!(u64::from(report.loss), (lost * 100).checked_div(total).unwrap_or(0));
        let mean = all.iter().sum::<u64>() * 1000 / (all.len() as u64).max(1);
        prop_assert_eq!(report.delay.as_micros() as u64, mean);
    }
}
