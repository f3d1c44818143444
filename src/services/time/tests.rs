//! The clock against servers of the tests' own, in simulated time.

use super::*;
use crate::wire::ntp::Answer;

/// When the simulated machine was started, by the right time.
const BOOT: u64 = 1_760_000_000;

struct World {
    clock: Clock,
    now: Instant,
    /// Nanoseconds by which the machine's calendar is ahead of the right time.
    wrong: i64,
    /// By server: its address, how far it is from the right time, whether it answers.
    servers: Vec<(IpAddr, i64, bool)>,
    asked: Vec<(Instant, IpAddr)>,
    spoil: fn(&mut Answer),
}

impl World {
    fn new(servers: &[(&str, i64)], wrong: i64) -> World {
        let names: Vec<String> = servers.iter().map(|(address, _)| (*address).into()).collect();
        let now = Instant::from_secs(5);
        let mut world = World {
            clock: Clock::new(&names, Seed([7, 8]), now, WallTime::default()),
            now,
            wrong,
            servers: servers.iter().map(|(address, off)| (address.parse().unwrap(), *off, true)).collect(),
            asked: Vec::new(),
            spoil: |_| {},
        };
        world.clock = Clock::new(&names, Seed([7, 8]), now, world.wall());
        world
    }

    /// The right time.
    fn right(&self) -> WallTime {
        WallTime::from_nanos(BOOT * 1_000_000_000 + self.now.as_nanos())
    }

    /// What the machine shows.
    fn wall(&self) -> WallTime {
        self.right().shifted(self.wrong)
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.clock.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            let mut out = Vec::new();
            let wall = self.wall();
            self.clock.handle_timeout(self.now, wall, &mut out);
            for question in out {
                self.answer(&question);
            }
        }
        self.now = end;
    }

    /// Ten milliseconds there, ten back.
    fn answer(&mut self, question: &Departing) {
        self.asked.push((self.now, question.remote.ip()));
        let (_, off, up) =
            *self.servers.iter().find(|(address, ..)| *address == question.remote.ip()).unwrap();
        if !up {
            return;
        }
        self.now += Duration::from_millis(10);
        let time = ntp::stamp(self.right().shifted(off));
        self.now += Duration::from_millis(10);
        let originate = u64::from_be_bytes(*question.payload.last_chunk().unwrap());
        let mut answer = Answer {
            leap: 0,
            stratum: 2,
            root_delay: Duration::from_millis(4),
            root_dispersion: Duration::from_millis(3),
            reference: [10, 0, 0, 1],
            originate,
            receive: time,
            transmit: time,
        };
        (self.spoil)(&mut answer);
        let wall = self.wall();
        assert!(self.clock.handle_datagram(self.now, wall, question.port, question.remote, &answer.emit()));
    }

    /// Nanoseconds by which the corrected clock is wrong.
    fn error(&self) -> i64 {
        self.wall().shifted(self.clock.ahead()).ahead_of(self.right())
    }

    fn sure(&self) -> bool {
        self.clock.trust(self.now, false) == Trust::Sure
    }
}

const MILLISECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600_000 * MILLISECOND;

#[test]
fn a_clock_that_is_hours_wrong_is_right_after_the_first_answer() {
    let mut world = World::new(&[("192.0.2.1", 0)], -5 * HOUR);
    assert!(!world.sure());
    world.run(Duration::from_secs(1));
    assert!(world.error().abs() < MILLISECOND, "{}", world.error());
    assert!(world.sure());
    let row = world.clock.row(world.now, world.wall(), false, |at| at.as_secs().to_string());
    assert_eq!((row.source.as_str(), row.sure, row.servers[0].stratum), ("192.0.2.1", true, Some(2)));
    assert!((row.ahead_seconds - 18_000.0).abs() < 0.01);
}

#[test]
fn questions_come_fast_at_first_and_then_ever_more_seldom() {
    let mut world = World::new(&[("192.0.2.1", 0)], 0);
    world.run(Duration::from_secs(4 * 3600));
    let gaps: Vec<u64> = world.asked.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_secs()).collect();
    assert_eq!(gaps[..3], [2, 2, 2]);
    assert!(gaps[3..].iter().all(|gap| (64..=1024).contains(gap)), "{gaps:?}");
    assert_eq!(gaps.last(), Some(&1024));
    assert_eq!(world.clock.row(world.now, world.wall(), false, |_| String::new()).servers[0].reach, 255);
}

#[test]
fn a_server_that_is_gone_leaves_doubt_after_hours() {
    let mut world = World::new(&[("192.0.2.1", 0)], 0);
    world.run(Duration::from_secs(60));
    world.servers[0].2 = false;
    world.run(Duration::from_secs(3600));
    assert!(world.sure(), "an hour is not much");
    world.run(Duration::from_secs(24 * 3600));
    assert!(!world.sure());
    let last = world.asked.len();
    world.servers[0].2 = true;
    world.run(Duration::from_secs(2000));
    assert!(world.sure() && world.asked.len() > last);
}

#[test]
fn a_liar_is_outvoted_and_two_that_differ_leave_doubt() {
    let mut world =
        World::new(&[("192.0.2.1", 0), ("192.0.2.2", 90 * HOUR), ("192.0.2.3", 2 * MILLISECOND)], 0);
    world.run(Duration::from_secs(3600));
    assert!(world.error().abs() < 5 * MILLISECOND && world.sure());
    let mut world = World::new(&[("192.0.2.1", 0), ("192.0.2.2", 90 * HOUR)], 0);
    world.run(Duration::from_secs(3600));
    assert!(!world.sure());
}

#[test]
fn a_large_step_is_believed_only_when_it_is_said_again() {
    let mut world = World::new(&[("192.0.2.1", 0)], 0);
    world.run(Duration::from_secs(60));
    world.servers[0].1 = HOUR;
    let mut unsure = false;
    for _ in 0..200 {
        world.run(Duration::from_secs(20));
        unsure |= !world.sure();
    }
    assert!(unsure, "it says that it is not sure meanwhile");
    assert!((world.error() - HOUR).abs() < MILLISECOND, "in the end there is nothing else to go by");
}

#[test]
fn nobody_else_can_answer() {
    let mut world = World::new(&[("192.0.2.1", 0)], 0);
    let (now, wall) = (world.now, world.wall());
    let mut out = Vec::new();
    world.clock.handle_timeout(now, wall, &mut out);
    let question = &out[0];
    let mut forged = Answer {
        leap: 0,
        stratum: 1,
        root_delay: Duration::ZERO,
        root_dispersion: Duration::ZERO,
        reference: *b"GPS\0",
        originate: 1,
        receive: ntp::stamp(wall.shifted(HOUR)),
        transmit: ntp::stamp(wall.shifted(HOUR)),
    };
    let mut send = |from: &str, port: u16, answer: &Answer| {
        world.clock.handle_datagram(now, wall, port, from.parse().unwrap(), &answer.emit())
    };
    assert!(!send("192.0.2.9:123", question.port, &forged), "another address");
    assert!(!send("192.0.2.1:124", question.port, &forged), "another port");
    assert!(!send("192.0.2.1:123", question.port ^ 1, &forged), "no question of ours");
    assert!(
        send("192.0.2.1:123", question.port, &forged),
        "it looks like an answer, but does not know the number"
    );
    assert_eq!((world.clock.ahead(), world.clock.strays), (0, 1));
    forged.originate = u64::from_be_bytes(*question.payload.last_chunk().unwrap());
    assert!(world.clock.handle_datagram(now, wall, question.port, question.remote, &forged.emit()));
    assert_eq!(world.clock.ahead() / HOUR, 1);
    let again = world.clock.handle_datagram(now, wall, question.port, question.remote, &forged.emit());
    assert!(!again, "an answer counts once");
}

#[test]
fn a_server_that_says_no_is_left_alone() {
    for (kiss, most) in [(b"DENY", 1), (b"RSTR", 1), (b"RATE", 5)] {
        let mut world = World::new(&[("192.0.2.1", 0)], HOUR);
        world.spoil = match kiss {
            b"DENY" => |answer| (answer.stratum, answer.reference) = (0, *b"DENY"),
            b"RSTR" => |answer| (answer.stratum, answer.reference) = (0, *b"RSTR"),
            _ => |answer| (answer.stratum, answer.reference) = (0, *b"RATE"),
        };
        world.run(Duration::from_secs(3600));
        assert!(world.asked.len() <= most, "{kiss:?}: {}", world.asked.len());
        assert!(world.clock.ahead() == 0 && !world.sure());
        let row = world.clock.row(world.now, world.wall(), false, |_| String::new());
        assert!(row.servers[0].trouble.is_some());
    }
}

#[test]
fn what_makes_no_sense_does_not_set_the_clock() {
    let spoils: [fn(&mut Answer); 6] = [
        |answer| answer.leap = 3,
        |answer| answer.stratum = 16,
        |answer| answer.transmit = 0,
        |answer| answer.receive = answer.transmit + (1 << 32),
        |answer| answer.root_dispersion = Duration::from_secs(2),
        |answer| answer.root_delay = Duration::from_secs(4),
    ];
    for spoil in spoils {
        let mut world = World::new(&[("192.0.2.1", 0)], HOUR);
        world.spoil = spoil;
        world.run(Duration::from_secs(600));
        assert_eq!(world.clock.ahead(), 0);
        assert!(!world.sure());
    }
}

#[test]
fn a_machine_whose_clock_is_put_back_still_knows_the_time() {
    let mut world = World::new(&[("192.0.2.1", 0)], 0);
    world.run(Duration::from_secs(4000));
    world.wrong = -HOUR;
    world.servers[0].2 = false;
    world.run(Duration::from_secs(1100));
    assert!(world.error().abs() < MILLISECOND, "{}", world.error());
    let row = world.clock.row(world.now, world.wall(), false, |_| String::new());
    assert_eq!(row.jumps, 1);
    world.servers[0].2 = true;
    world.run(Duration::from_secs(1100));
    assert!(world.error().abs() < MILLISECOND && world.sure());
}

#[test]
fn without_servers_the_machine_is_believed_when_somebody_keeps_it_right() {
    let clock = Clock::new(&[], Seed([1, 2]), Instant::ZERO, WallTime::default());
    assert_eq!(clock.trust(Instant::ZERO, true), Trust::Sure);
    assert_ne!(clock.trust(Instant::ZERO, false), Trust::Sure);
    assert_eq!(clock.poll_timeout(), None);
}

#[test]
fn when_the_servers_are_gone_the_machine_counts_again() {
    let mut world = World::new(&[("192.0.2.1", 0)], -HOUR);
    world.run(Duration::from_secs(60));
    assert_eq!(world.clock.ahead() / HOUR, 1);
    let now = world.now;
    world.clock.apply(now, &["192.0.2.2".into()]);
    assert_eq!(world.clock.ahead() / HOUR, 1, "what one has said holds until another one speaks");
    world.clock.apply(now, &[]);
    assert_eq!(world.clock.ahead(), 0);
    assert_eq!(world.clock.trust(now, true), Trust::Sure);
}

#[test]
fn a_name_is_asked_when_its_address_is_known() {
    let names = ["time.example".to_owned(), "192.0.2.7".to_owned()];
    let mut clock = Clock::new(&names, Seed([1, 2]), Instant::ZERO, WallTime::default());
    assert_eq!(clock.names().collect::<Vec<_>>(), ["time.example"]);
    let mut out = Vec::new();
    clock.handle_timeout(Instant::ZERO, WallTime::default(), &mut out);
    assert_eq!(out.len(), 1);
    clock.set_addresses(Instant::ZERO, "time.example", &["2001:db8::1".parse().unwrap()]);
    clock.handle_timeout(Instant::ZERO, WallTime::default(), &mut out);
    assert_eq!(out[1].remote.to_string(), "[2001:db8::1]:123");
    clock.apply(Instant::ZERO, &names[1..]);
    assert_eq!(clock.names().count(), 0);
}
