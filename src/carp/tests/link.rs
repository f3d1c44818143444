//! Two speakers: one of them is master, whatever is lost.

use super::*;

#[test]
fn two_of_ours_agree_on_one_master_whatever_was_lost() {
    for seed in 0..150 {
        let mut random = Seed([seed, 3]).random();
        let skew = [[0, 100], [0, 0], [100, 0], [7, 7]][random.below(4) as usize];
        let mut configs =
            [foreign(0, skew[0], random.below(2) == 0), foreign(1, skew[1], random.below(2) == 0)];
        if random.below(2) == 0 {
            configs = configs.map(dual);
        }
        let mut lan = Lan::ours(seed, configs);
        lan.most_delay = Duration::from_millis(1 + random.below(30));
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, in peace"));
        lan.loss = 100 + random.below(800);
        lan.run(30 * SECOND);
        lan.loss = 0;
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, after losses"));
    }
}

#[test]
fn with_freebsd_and_with_ucarp_there_is_one_master_too() {
    for seed in 0..200 {
        let mut random = Seed([seed, 4]).random();
        let (ucarp, preempt) = (random.below(2) == 0, random.below(2) == 0);
        let skew = [[0, 100], [0, 0], [100, 0], [7, 7]][random.below(4) as usize];
        let node = random.below(2) as usize;
        let mut nodes = [
            ours(foreign(node, skew[0], random.below(2) == 0), seed),
            Speaker::Other(Box::new(Other::new(ucarp, skew[1], preempt, Instant::from_secs(1)))),
        ];
        if node == 1 {
            nodes.swap(0, 1);
        }
        let mut lan = Lan::new(seed, nodes);
        lan.link(node, true);
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, ucarp {ucarp}, in peace"));
        lan.loss = 100 + random.below(800);
        lan.run(30 * SECOND);
        lan.loss = 0;
        lan.run(12 * SECOND);
        lan.assert_one_master(&format!("seed {seed}, ucarp {ucarp}, after losses"));
    }
}

#[test]
fn a_silent_master_is_replaced_after_three_intervals_and_the_skew() {
    for (skew, expected) in [(0, 3_000), (100, 3_390)] {
        let mut lan = Lan::ours(1, [foreign(0, 0, true), foreign(1, skew, false)]);
        lan.run(20 * SECOND);
        let dead = usize::from(lan.is_master(1));
        let skew_of_heir = if dead == 0 { expected } else { 3_000 };
        let Speaker::Ours(vhid) = &lan.nodes[dead] else { panic!() };
        // Right before the next advertisement: the last one was heard an interval ago.
        let last = vhid.advertised;
        lan.nodes[dead] = Speaker::Dead;
        lan.run(5 * SECOND);
        let (at, change) = lan.last_change(1 - dead);
        assert_eq!((change.to, change.reason), (State::Master, Reason::Silence));
        let took = at.since(last).as_millis();
        assert!((skew_of_heir..skew_of_heir + 10).contains(&took), "{took} ms");
    }
}

#[test]
fn who_preempts_takes_back_and_who_does_not_waits() {
    for preempt in [true, false] {
        let mut lan = Lan::ours(2, [foreign(0, 0, preempt), foreign(1, 100, true)]);
        lan.link(0, false);
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (false, true));
        lan.link(0, true);
        lan.run(3 * SECOND);
        assert_eq!(lan.masters(), (preempt, !preempt));
        if preempt {
            assert_eq!(lan.last_change(0).1.reason, Reason::Preempts);
            assert_eq!(lan.last_change(1).1.reason, Reason::BetterMaster);
            assert_eq!(lan.events, [], "an ordinary change is no alarm");
        }
        lan.assert_one_master("preempt");
    }
}

#[test]
fn a_goodbye_is_followed_at_once() {
    for preempt in [true, false] {
        let mut lan = Lan::ours(3, [foreign(0, 0, true), foreign(1, 100, preempt)]);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        let before = lan.now;
        lan.with(0, |vhid, now, out| vhid.stop(now, out));
        lan.run(Duration::from_millis(10));
        assert_eq!(lan.masters(), (false, true));
        let (at, change) = lan.last_change(1);
        assert!(at.since(before) < Duration::from_millis(2));
        assert_eq!(change.reason, Reason::Goodbye);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (false, true), "who stopped stays away");
        lan.link(0, true);
        lan.run(3 * SECOND);
        assert_eq!(lan.masters(), (true, false), "until its link comes again");
    }
    // ucarp and FreeBSD have no word for it: the master "will time out".
    for ucarp in [true, false] {
        let other = Speaker::Other(Box::new(Other::new(ucarp, 100, false, Instant::from_secs(1))));
        let mut lan = Lan::new(4, [ours(foreign(0, 0, true), 4), other]);
        lan.link(0, true);
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.with(0, |vhid, now, out| vhid.stop(now, out));
        lan.run(Duration::from_millis(10));
        assert_eq!(lan.masters(), (false, true));
    }
}

#[test]
fn a_wrong_password_is_an_alarm_and_not_a_master() {
    let wrong = VhidConfig { password: "other".into(), ..foreign(1, 100, true) };
    let mut lan = Lan::ours(5, [foreign(0, 0, true), wrong]);
    lan.run(9 * SECOND);
    assert_eq!(lan.masters(), (true, true));
    let told = |node: usize| {
        let event = Event::BadDigest { from: own(1 - node)[0] };
        lan.events.iter().filter(|told| **told == (node, event)).count()
    };
    assert_eq!((told(0), told(1), lan.events.len()), (1, 1, 2), "{:?}", lan.events);
}

#[test]
fn another_list_on_one_end_makes_no_second_master() {
    for first in [0, 1] {
        let configs = [foreign(0, 0, true), foreign(1, 100, true)];
        let mut lan = Lan::ours(10, configs.clone());
        lan.run(8 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.with(first, |vhid, now, out| vhid.apply(now, dual(configs[first].clone()), out));
        // Who was told nothing yet takes over, when the other one was master.
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (first == 1, first == 0));
        lan.assert_one_master("the lists differ");
        let from = own(1 - first)[0];
        assert!(lan.events.contains(&(first, Event::ListsDiffer { from })), "{:?}", lan.events);
        lan.with(1 - first, |vhid, now, out| vhid.apply(now, dual(configs[1 - first].clone()), out));
        lan.run(5 * SECOND);
        assert_eq!(lan.masters(), (true, false));
        lan.assert_one_master("the lists are equal");
    }
}

#[test]
fn one_family_s_loss_is_an_alarm_and_not_a_second_master() {
    for family in [Family::Inet, Family::Inet6] {
        let mut lan = Lan::ours(6, [foreign(0, 0, true), foreign(1, 100, true)].map(dual));
        lan.run(8 * SECOND);
        lan.lost = Some(family);
        lan.assert_one_master("one family is lost");
        assert_eq!(lan.events, [(1, Event::FamilySilent { family })]);
        lan.lost = None;
        lan.run(5 * SECOND);
        lan.nodes[0] = Speaker::Dead;
        lan.run(4 * SECOND);
        assert!(lan.is_master(1));
        assert_eq!(lan.events.len(), 1, "a dead master is silent in both: {:?}", lan.events);
    }
}

#[test]
fn two_masters_are_one_within_a_second() {
    let mut lan = Lan::ours(7, [foreign(0, 0, false), foreign(1, 100, false)]);
    lan.loss = 1_000;
    lan.run(9 * SECOND);
    assert_eq!(lan.masters(), (true, true));
    lan.loss = 0;
    lan.run(Duration::from_millis(1_100));
    assert_eq!(lan.masters(), (true, false));
    assert_eq!(lan.last_change(1).1.reason, Reason::BetterMaster);
    // As equals, the one that yields tells of it.
    let mut lan = Lan::ours(7, [foreign(0, 0, false), foreign(1, 0, false)]);
    lan.loss = 1_000;
    lan.run(9 * SECOND);
    lan.loss = 0;
    lan.run(Duration::from_millis(1_100));
    assert_eq!(lan.masters(), (true, false));
    assert!(lan.events.contains(&(1, Event::OtherMaster { from: own(0)[0] })), "{:?}", lan.events);
}

#[test]
fn a_demoted_master_gives_way() {
    let mut lan = Lan::ours(8, [foreign(0, 0, true), foreign(1, 100, true)]);
    lan.run(8 * SECOND);
    lan.with(0, |vhid, now, out| vhid.demote(now, 240, out));
    lan.run(Duration::from_millis(10));
    assert_eq!(lan.masters(), (false, true), "told at once");
    lan.assert_one_master("demoted");
    lan.with(0, |vhid, now, out| vhid.demote(now, 0, out));
    lan.run(3 * SECOND);
    assert_eq!(lan.masters(), (true, false));
}

#[test]
fn who_was_stopped_listens_before_it_speaks() {
    let mut lan = Lan::ours(9, [foreign(0, 0, false), foreign(1, 100, false)]);
    lan.run(8 * SECOND);
    let stopped = std::mem::replace(&mut lan.nodes[0], Speaker::Dead);
    lan.run(9 * SECOND);
    assert!(lan.is_master(1));
    lan.nodes[0] = stopped;
    lan.run(Duration::from_millis(1));
    assert_eq!(lan.masters(), (false, true));
    assert_eq!(lan.last_change(0).1.reason, Reason::Late);
    lan.assert_one_master("the pause is over");
    // A backup that was stopped: the master is there, its advertisements have not been read yet.
    let stopped = std::mem::replace(&mut lan.nodes[0], Speaker::Dead);
    lan.run(9 * SECOND);
    lan.nodes[0] = stopped;
    lan.assert_one_master("the backup's pause is over");
}
