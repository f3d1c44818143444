//! Each behaviour by its name.

use super::super::*;
use super::room::{MS, Room, WELL, Wire};
use crate::types::Ceding;
use crate::wire::pair::Health;

/// A pair in its ordinary state: the first node serves, both are in sync.
fn pair(seed: u64) -> Room {
    let mut room = Room::new(seed, 3);
    room.run(5000);
    assert_eq!(room.serving(), [0], "the preferred node serves");
    assert!(room.nodes.iter().all(|node| node.elector.redundancy().is_full()));
    room
}

fn role(room: &Room, index: usize) -> Role {
    room.nodes[index].elector.standing().role
}

fn causes(room: &Room, index: usize) -> Vec<Cause> {
    room.nodes[index].elector.snapshot(room.local(index)).timeline.iter().map(|row| row.cause).collect()
}

fn last_cause(room: &Room, index: usize) -> Cause {
    room.nodes[index].elector.snapshot(room.local(index)).cause
}

#[test]
fn without_a_peer_a_node_is_alone() {
    let config = RoleConfig {
        node: NodeId(1),
        peer: None,
        preference: 0,
        preempt: None,
        paths: vec![PathId::SYNC],
        fresh: true,
    };
    let (mut out, now) = (RoleOutbox::default(), Instant::from_secs(9));
    let mut elector = Elector::new(config.clone(), now);
    assert_eq!(elector.poll_timeout(), None);
    elector.handle_timeout(now, &mut out);
    assert_eq!(elector.handle_request(now, Request::Resign, &mut out), Err(Refusal::NoPair));
    assert!(elector.standing().leads(now) && out.heartbeats.is_empty());
    assert!(matches!(out.events[..], [Event::Refused { refusal: Refusal::NoPair, .. }]));
    // It becomes one of a pair: it goes on serving.
    elector.apply(now, RoleConfig { peer: Some(NodeId(2)), ..config.clone() }, &mut out);
    assert_eq!((elector.standing().role, elector.standing().leads(now)), (Role::Active, true));
    for millis in 0..200 {
        let now = now + Duration::from_millis(millis);
        elector.handle_drained(now, PathId::SYNC);
        elector.handle_timeout(now, &mut out);
        assert!(elector.standing().leads(now), "{millis}");
    }
    elector.apply(now, config, &mut out);
    assert_eq!(elector.standing().role, Role::Alone);
}

#[test]
fn alone_at_its_start_it_listens_three_seconds() {
    let mut room = Room::new(1, 3);
    room.kill(1);
    let took = room.run_until(4000, |room| room.serves(0)).unwrap();
    assert!((3_000_000..3_050_000).contains(&took), "{took}");
    assert_eq!(last_cause(&room, 0), Cause::NobodyHeard);
}

#[test]
fn a_peer_that_serves_is_heard_meanwhile_and_it_is_standby() {
    let mut room = Room::with(2, 3, None);
    room.kill(0);
    room.run(4000);
    assert_eq!(room.serving(), [1]);
    room.start(0, true);
    room.run(10_000);
    assert_eq!((room.serving(), role(&room, 0)), (vec![1], Role::Standby));
    assert_eq!(room.takeovers(), 1);
}

#[test]
fn two_that_start_together_elect_the_preferred_one() {
    for seed in 0..20 {
        let mut room = Room::new(seed, 1 + seed as usize % 3);
        room.run(4000);
        assert_eq!((room.serving(), room.takeovers()), (vec![0], 1), "seed {seed}");
    }
}

#[test]
fn the_worse_one_serves_when_the_preferred_one_may_not() {
    let mut room = Room::new(3, 2);
    room.request(0, Request::Disable(true));
    room.run(4000);
    assert_eq!(room.serving(), [1]);
}

#[test]
fn power_off_is_noticed_in_the_dead_time() {
    for seed in 0..20 {
        let mut room = pair(seed);
        room.run(seed);
        room.kill(0);
        let took = room.run_until(100, |room| room.serves(1)).unwrap();
        assert!((20_000..33_000).contains(&took), "{took}");
        assert_eq!(last_cause(&room, 1), Cause::PeerSilent);
    }
}

#[test]
fn a_dead_standby_costs_nothing() {
    let mut room = pair(4);
    room.kill(1);
    for _ in 0..3000 {
        room.run(1);
        assert_eq!(room.serving(), [0]);
    }
    let lacks: Vec<Lack> = room.nodes[0].elector.redundancy().lacks().collect();
    assert_eq!(lacks, [Lack::PeerSilent, Lack::SyncDown]);
}

#[test]
fn a_crash_is_told_by_the_parent() {
    let mut room = pair(5);
    room.crash(0);
    let took = room.run_until(100, |room| room.serves(1)).unwrap();
    assert!(took < 2_000, "{took}");
    assert_eq!(last_cause(&room, 1), Cause::PeerDied);
    room.run(50);
    room.start(0, false);
    room.run(1000);
    assert_eq!((room.serving(), room.takeovers()), (vec![1], 1));
}

#[test]
fn a_resignation_of_an_epoch_that_is_over_is_ignored() {
    let mut room = pair(6);
    let now = room.local(1);
    let mut out = RoleOutbox::default();
    room.nodes[1].elector.handle_resignation(now, Epoch(0), &mut out);
    assert!(matches!(out.events[..], [Event::StaleResignation { epoch: Epoch(0) }]));
    room.run(1000);
    assert_eq!((room.serving(), room.takeovers()), (vec![0], 1));
}

#[test]
fn a_path_that_is_not_read_delays_death() {
    let mut room = pair(7);
    let (now, mut out) = (room.local(1), RoleOutbox::default());
    let elector = &mut room.nodes[1].elector;
    for millis in 1..500 {
        let now = now + Duration::from_millis(millis);
        elector.handle_drained(now, PathId(0));
        elector.handle_drained(now, PathId(1));
        elector.handle_timeout(now, &mut out);
        assert_eq!(elector.standing().role, Role::Standby, "path 2 was not read");
        assert!(elector.poll_timeout().unwrap().0 > now, "it does not spin");
    }
    let now = now + Duration::from_millis(500);
    elector.handle_drained(now, PathId(2));
    let (due, why) = elector.poll_timeout().unwrap();
    assert!(due <= now && why == Why::Silence);
    elector.handle_timeout(now, &mut out);
    assert!(elector.standing().leads(now));
}

#[test]
fn a_path_whose_own_link_is_down_does_not_count() {
    let mut room = pair(8);
    room.set_link(1, 0, false);
    room.run(100);
    assert_eq!(room.serving(), [0]);
    room.kill(0);
    assert!(room.run_until(40, |room| room.serves(1)).is_some());
}

#[test]
fn a_standby_that_is_cut_off_stays_standby() {
    let mut room = pair(9);
    (0..3).for_each(|path| room.set_link(1, path, false));
    room.run(3000);
    assert_eq!((room.serving(), role(&room, 1)), (vec![0], Role::Standby));
    // Its links come back before the peer is heard: still no takeover.
    room.split(true);
    (0..3).for_each(|path| room.set_link(1, path, true));
    room.run(500);
    assert_eq!(role(&room, 1), Role::Standby);
    room.split(false);
    room.run(1000);
    assert_eq!((room.serving(), room.takeovers()), (vec![0], 1));
}

#[test]
fn a_standby_with_every_way_dead_takes_over_when_it_is_whole() {
    // The cable between the two is the only way, and went with the peer's power.
    let mut room = Room::new(10, 1);
    room.run(4000);
    room.kill(0);
    room.set_link(1, 0, false);
    assert!(room.run_until(100, |room| room.serves(1)).is_some());

    let mut room = Room::new(10, 1);
    room.run(4000);
    room.set_health(1, Health { links: 1, ..WELL });
    room.run(50);
    room.kill(0);
    room.set_link(1, 0, false);
    room.run(2000);
    assert!(room.serving().is_empty(), "a link of its own is down");
}

#[test]
fn an_active_without_any_link_serves_nobody_and_returns_as_standby() {
    let mut room = pair(11);
    (0..3).for_each(|path| room.set_link(0, path, false));
    assert!(room.run_until(50, |room| room.serving() == [1]).is_some());
    room.run(2000);
    (0..3).for_each(|path| room.set_link(0, path, true));
    room.run(1500);
    assert_eq!((room.serving(), room.takeovers(), room.dual), (vec![1], 2, 0));
}

#[test]
fn a_freeze_is_exactly_one_failover() {
    for seed in 0..30 {
        let mut room = pair(100 + seed);
        room.run(seed);
        room.stop(0, 200 * MS, false);
        assert!(room.run_until(40, |room| room.serves(1)).is_some());
        room.run(1800);
        assert_eq!((room.serving(), room.takeovers(), room.dual), (vec![1], 2, 0), "seed {seed}");
    }
}

#[test]
fn a_short_stall_costs_the_lease_and_not_the_role() {
    let mut room = pair(12);
    room.stop(0, 27 * MS, false);
    room.run(26);
    room.run(100);
    // The stall may or may not have been longer than the silence that the peer bears.
    assert_eq!(room.serving().len(), 1);
    assert_eq!(room.dual, 0);
    let fenced = room.nodes[0].events.iter().any(|(_, event)| matches!(event, Event::Fenced { .. }));
    assert!(fenced);
}

#[test]
fn a_fenced_node_that_nobody_replaced_serves_again() {
    let mut room = pair(13);
    // The standby bears more, because it was late itself.
    room.stop(1, 60 * MS, false);
    room.run(200);
    room.stop(0, 50 * MS, false);
    room.run(51);
    let took = room.run_until(100, |room| room.serves(0)).unwrap();
    assert!(took < 30_000, "{took}");
    let kinds = room.nodes[0].events.iter().rev().take(2).map(|(_, event)| *event);
    assert!(kinds.clone().any(|event| event == Event::Unfenced), "{:?}", kinds.collect::<Vec<_>>());
    room.run(1000);
    assert_eq!((room.serving(), room.takeovers()), (vec![0], 1));
}

#[test]
fn nothing_is_said_behind_a_fence_before_a_new_session_stands() {
    let mut room = pair(14);
    room.split(true);
    let (now, mut out) = (room.local(0) + Duration::from_millis(60), RoleOutbox::default());
    let elector = &mut room.nodes[0].elector;
    elector.handle_timeout(now, &mut out);
    assert!(out.renew_session && out.heartbeats.is_empty() && !elector.standing().leads(now));
    for millis in 0..20 {
        elector.handle_timeout(now + Duration::from_millis(millis), &mut out);
    }
    assert!(out.heartbeats.is_empty());
    elector.handle_session(now + Duration::from_millis(20), true, &mut out);
    assert_eq!(out.heartbeats.len(), 3);
    assert!(!elector.standing().leads(now + Duration::from_millis(20)), "not before the peer has answered");
}

#[test]
fn a_lone_node_that_stalls_serves_again_at_once() {
    let mut room = pair(15);
    room.kill(1);
    room.run(1000);
    room.stop(0, 120 * MS, false);
    room.run(121);
    assert_eq!(room.serving(), [0]);
    // After a longer stall the peer may have come back.
    room.stop(0, 2000 * MS, false);
    room.run(2001);
    assert!(room.serving().is_empty());
    assert!(room.run_until(500, |room| room.serves(0)).is_some());
}

#[test]
fn a_paused_machine_gives_way_when_it_wakes() {
    let mut room = pair(16);
    room.stop(0, 5000 * MS, true);
    room.run(4999);
    assert_eq!(room.serving(), [1]);
    room.run(2);
    assert_eq!((room.serving(), role(&room, 0)), (vec![1], Role::Standby));
    assert!(room.dual < MS, "{}", room.dual);
}

#[test]
fn hogs_on_both_nodes_are_no_failover() {
    for seed in 0..20 {
        let mut room = Room::new(200 + seed, 3);
        room.nodes.iter_mut().for_each(|node| node.late = 100 * MS);
        room.run(60_000);
        let served: usize = room.takeovers();
        assert_eq!((served, room.dual), (1, 0), "seed {seed}");
    }
}

#[test]
fn of_two_in_one_epoch_the_preferred_stays() {
    let mut room = pair(17);
    let heartbeat = {
        let (now, mut out) = (room.local(0), RoleOutbox::default());
        room.nodes[0].elector.handle_timeout(now + Duration::from_millis(10), &mut out);
        out.heartbeats.swap_remove(0).1
    };
    let now = room.local(0) + Duration::from_millis(11);
    let rival = |preference| Heartbeat { preference, sequence: 1 << 40, ..heartbeat.clone() };
    let (mut winner, mut loser) = (room.nodes[0].elector.clone(), room.nodes[0].elector.clone());
    let mut out = RoleOutbox::default();
    winner.handle_heartbeat(now, PathId(0), &rival(0), &mut out);
    assert!(winner.standing().leads(now));
    assert_eq!((winner.standing().epoch, out.became), (heartbeat.epoch.next(), None));
    loser.handle_heartbeat(now, PathId(0), &rival(9), &mut out);
    assert!(!loser.standing().leads(now));
    assert_eq!(out.became, Some(Role::Standby));
    // Alike: the greater number stays.
    let mut alike = room.nodes[0].elector.clone();
    alike.handle_heartbeat(now, PathId(0), &rival(1), &mut out);
    assert_eq!(alike.standing().role, Role::Standby);
}

#[test]
fn a_higher_epoch_is_obeyed_at_once() {
    let mut room = pair(18);
    let (now, mut out) = (room.local(0), RoleOutbox::default());
    let elector = &mut room.nodes[0].elector;
    elector.handle_timeout(now + Duration::from_millis(10), &mut out);
    let heard = Heartbeat { epoch: Epoch(40), sequence: 1 << 40, ..out.heartbeats[0].1.clone() };
    let now = now + Duration::from_millis(11);
    elector.handle_heartbeat(now, PathId(0), &heard, &mut out);
    assert!(!elector.standing().leads(now));
    assert_eq!((elector.standing().epoch, out.became), (Epoch(40), Some(Role::Standby)));
}

#[test]
fn the_unwell_active_hands_over() {
    for seed in 0..20 {
        let mut room = pair(300 + seed);
        room.set_health(0, Health { links: 1, ..WELL });
        let took = room.run_until(100, |room| room.serves(1)).unwrap();
        assert!(took < 12_000, "{took}");
        assert_eq!((last_cause(&room, 0), last_cause(&room, 1)), (Cause::PeerHealthier, Cause::PeerResigned));
        assert_eq!(room.dual, 0);
    }
}

#[test]
fn a_dead_gateway_hands_over_when_the_other_one_still_reaches_it() {
    let mut room = pair(19);
    room.set_health(0, Health { gateways: 0, ..WELL });
    room.run(100);
    room.set_health(1, Health { gateways: 0, ..WELL });
    room.run(1000);
    assert_eq!(room.takeovers(), 1, "both lost it, one a little earlier");
    room.set_health(1, WELL);
    let took = room.run_until(2000, |room| room.serves(1)).unwrap();
    assert!((1_240_000..1_300_000).contains(&took), "{took}");
}

#[test]
fn a_condition_that_flaps_does_not_move_the_role_back_and_forth() {
    let mut room = Room::with(20, 3, None);
    room.run(4000);
    for _ in 0..20 {
        room.set_health(0, Health { links: 1, ..WELL });
        room.run(200);
        room.set_health(0, WELL);
        room.run(200);
    }
    assert_eq!((room.serving(), room.takeovers()), (vec![1], 2));
}

#[test]
fn a_tie_stays() {
    let mut room = Room::with(21, 3, None);
    room.run(4000);
    room.request(0, Request::Resign);
    room.run(10_000);
    assert_eq!((room.serving(), room.takeovers()), (vec![1], 2), "preference alone takes nothing");
}

#[test]
fn the_better_standby_takes_what_it_is_not_given() {
    let room = pair(22);
    // The active judges by something older: it does not learn that it is worse.
    let mut elector = room.nodes[1].elector.clone();
    let (now, mut out) = (room.local(1), RoleOutbox::default());
    elector.handle_timeout(now, &mut out);
    let heard = elector.peer().unwrap().clone();
    let mut claimed = None;
    for millis in 1..400 {
        let now = now + Duration::from_millis(millis);
        if millis % 10 == 0 {
            let said = Heartbeat {
                sequence: heard.sequence + millis,
                health: Health { links: 1, ..WELL },
                heard: vec![(PathId(0), out.heartbeats.last().unwrap().1.sequence)],
                ..heard.clone()
            };
            elector.handle_heartbeat(now, PathId(0), &said, &mut out);
        }
        elector.handle_timeout(now, &mut out);
        if elector.standing().epoch > heard.epoch {
            claimed = claimed.or(Some(millis));
            assert_eq!(elector.standing().role, Role::Standby, "not before the peer has stepped down");
        }
    }
    assert!((105..=125).contains(&claimed.unwrap()), "{claimed:?}");
    let now = now + Duration::from_millis(400);
    let gave_way = Heartbeat {
        sequence: heard.sequence + 400,
        role: Role::Standby,
        health: Health { links: 1, ..WELL },
        epoch: elector.standing().epoch,
        heard: vec![(PathId(0), out.heartbeats.last().unwrap().1.sequence)],
        ..heard
    };
    elector.handle_heartbeat(now, PathId(0), &gave_way, &mut out);
    elector.handle_timeout(now, &mut out);
    // The claim is too old to count by itself; that the peer agrees is enough.
    assert!(elector.standing().leads(now));
}

#[test]
fn the_preferred_node_comes_back_when_it_is_in_sync_and_not_before() {
    let mut room = pair(23);
    room.kill(0);
    room.run(1000);
    room.nodes[0].health = Health { synced: false, ..WELL };
    room.start(0, true);
    room.run(10_000);
    assert_eq!(room.serving(), [1], "it has not all states");
    room.set_health(0, WELL);
    let took = room.run_until(5000, |room| room.serves(0)).unwrap();
    assert!((2_990_000..3_050_000).contains(&took), "a second for the damping, two of delay: {took}");
    assert_eq!((last_cause(&room, 1), last_cause(&room, 0)), (Cause::Preempted, Cause::PeerResigned));
}

#[test]
fn in_maintenance_a_node_hands_over_and_does_not_come_back() {
    let mut room = pair(24);
    room.request(0, Request::Maintenance(true));
    let took = room.run_until(100, |room| room.serves(1)).unwrap();
    assert!(took < 10_000, "{took}");
    assert_eq!(last_cause(&room, 0), Cause::Maintenance);
    room.run(10_000);
    assert_eq!(room.serving(), [1]);
    assert!(room.nodes[1].elector.redundancy().lacks().any(|lack| lack == Lack::Maintenance));
    // The peer dies: maintenance is no reason for nobody to serve.
    room.kill(1);
    assert!(room.run_until(100, |room| room.serves(0)).is_some());
    room.start(1, true);
    assert!(room.run_until(2000, |room| room.serving() == [1]).is_some());
    room.request(0, Request::Maintenance(false));
    assert!(room.run_until(5000, |room| room.serving() == [0]).is_some(), "and is preferred again");
}

#[test]
fn a_disabled_node_serves_no_more_whatever_happens() {
    let mut room = pair(25);
    room.request(0, Request::Disable(true));
    assert!(room.run_until(20, |room| room.serving() == [1]).is_some());
    room.kill(1);
    room.run(3000);
    assert!(room.serving().is_empty());
    room.request(0, Request::Disable(false));
    assert!(room.run_until(1200, |room| room.serving() == [0]).is_some());
}

#[test]
fn a_handover_waits_for_the_end_of_the_changes_within_a_bound() {
    let mut room = Room::with(27, 3, None);
    room.run(4000);
    let before = room.serving()[0];
    room.request(before, Request::HandOver);
    let took = room.run_until(100, |room| room.serving() == [1 - before]).unwrap();
    assert!(took < 12_000, "{took}");
    assert_eq!(
        (last_cause(&room, before), last_cause(&room, 1 - before)),
        (Cause::Asked, Cause::PeerResigned)
    );
    assert_eq!(room.nodes[before].elector.standing().cedes, Ceding::Relays);
    room.run(30);
    assert_eq!(room.nodes[before].elector.standing().cedes, Ceding::Drains);
    room.run(600);
    assert_eq!(room.nodes[before].elector.standing().cedes, Ceding::No);
    room.endless = true;
    room.request(1 - before, Request::HandOver);
    room.run(90);
    assert!(room.serving().is_empty(), "it waits");
    assert!(room.run_until(30, |room| room.serving() == [before]).is_some(), "but not for ever");
    room.run(1000);
    room.request(before, Request::HandOver);
    room.run(20);
    room.kill(before);
    assert!(room.run_until(60, |room| room.serving() == [1 - before]).is_some(), "nor for a dead peer");
}

#[test]
fn a_standby_that_lacks_something_is_not_handed_over_to() {
    let mut room = Room::with(28, 3, None);
    room.run(4000);
    let before = room.serving()[0];
    let lacking = Health { synced: false, ..WELL };
    room.set_health(1 - before, lacking);
    room.run(50);
    room.request(before, Request::HandOver);
    room.run(50);
    let refused =
        |event: &(u64, Event)| matches!(event.1, Event::Refused { refusal: Refusal::NotSynced, .. });
    assert!(room.nodes[before].events.iter().any(refused));
    assert_eq!(room.serving(), [before]);
    // What an operator wants at once happens nevertheless.
    room.request(before, Request::Resign);
    assert!(room.run_until(30, |room| room.serving() == [1 - before]).is_some());
    assert_eq!(room.nodes[before].elector.standing().cedes, Ceding::No);
}

#[test]
fn a_node_that_cannot_hand_over_says_so_when_it_gives_the_role_away() {
    for (behind, abrupt) in [(true, 1), (false, 0)] {
        let mut room = Room::with(29, 3, None);
        room.run(4000);
        let before = room.serving()[0];
        room.nodes[before].elector.handle_lag(behind);
        room.request(before, Request::Disable(true));
        assert!(room.run_until(30, |room| room.serving() == [1 - before]).is_some());
        let said = |event: &&(u64, Event)| matches!(event.1, Event::Abrupt { refusal: Refusal::Behind });
        assert_eq!(room.nodes[before].events.iter().filter(said).count(), abrupt);
    }
}

#[test]
fn an_operator_moves_the_role() {
    let mut room = Room::with(26, 3, None);
    room.run(4000);
    for (index, request) in [(1, Request::TakeOver), (0, Request::TakeOver), (0, Request::Resign)] {
        let before = room.serving()[0];
        room.request(index, request);
        let took = room.run_until(100, |room| room.serving() == [1 - before]).unwrap();
        assert!(took < 12_000, "{request}: {took}");
        assert_eq!(room.dual, 0);
        room.run(1000);
    }
    room.request(0, Request::Resign);
    room.set_health(0, Health { links: 1, ..WELL });
    room.run(100);
    room.request(0, Request::TakeOver);
    room.run(500);
    assert_eq!(room.serving(), [1]);
    let refused: Vec<Refusal> = room.nodes[0]
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [Refusal::NotActive, Refusal::Worse]);
}

#[test]
fn a_split_pair_is_one_again_within_a_second() {
    for seed in 0..30 {
        let mut room = pair(400 + seed);
        room.split(true);
        room.run(50 + 100 * seed);
        assert_eq!(room.serving(), [0, 1], "without a path nobody can know");
        let path = seed as usize % 3;
        room.set_wire(path, Wire::GOOD);
        let took = room.run_until(1000, |room| room.serving().len() == 1).unwrap();
        assert!(took < 50_000, "{took}");
        room.run(500);
        assert_eq!(room.serving(), [1], "the higher epoch");
    }
}

#[test]
fn with_the_sync_link_cut_both_keep_their_roles() {
    let mut room = pair(27);
    room.set_link(0, 0, false);
    room.set_link(1, 0, false);
    room.run(5000);
    assert_eq!((room.serving(), room.takeovers()), (vec![0], 1));
    let lacks: Vec<Lack> = room.nodes[1].elector.redundancy().lacks().collect();
    assert_eq!(lacks, [Lack::SyncDown]);
    let event = Event::Path { path: PathId::SYNC, carries: false };
    assert!(room.nodes[1].events.iter().any(|(_, told)| *told == event));
}

#[test]
fn one_direction_alone_ends_with_one_active() {
    for (deaf, from) in [(0, 1), (1, 0)] {
        let mut room = pair(28);
        for path in 0..3 {
            let mut wire = Wire::GOOD;
            wire.cut[from] = true;
            room.set_wire(path, wire);
        }
        room.run(2000);
        // A standby that is deaf takes over and is heard; an active that is deaf goes on.
        assert_eq!(room.serving(), [deaf]);
        (0..3).for_each(|path| room.set_wire(path, Wire::GOOD));
        room.run(1000);
        assert_eq!(room.serving().len(), 1);
    }
}

#[test]
fn a_tenth_lost_on_every_path_is_no_failover() {
    let mut room = pair(29);
    (0..3).for_each(|path| room.set_wire(path, Wire { loss_percent: 10, ..Wire::GOOD }));
    room.run(60_000);
    assert_eq!((room.serving(), room.takeovers()), (vec![0], 1));
    let snapshot = room.nodes[1].elector.snapshot(room.local(1));
    assert!(
        snapshot.paths.iter().all(|path| (50..150).contains(&path.loss_permille)),
        "{:?}",
        snapshot.paths
    );
}

#[test]
fn the_snapshot_says_it_all() {
    let mut room = pair(30);
    room.kill(0);
    room.run(1000);
    let snapshot = room.nodes[1].elector.snapshot(room.local(1));
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!(json["role"], "active");
    assert_eq!(json["cause"], "peer_silent");
    assert_eq!(json["lacks"][0], "peer_silent");
    assert_eq!(json["conditions"][1]["name"], "links");
    assert_eq!((json["paths"][2]["carries"].as_bool(), snapshot.redundant), (Some(false), false));
    assert_eq!(causes(&room, 1), [Cause::Started, Cause::PeerSilent]);
    for (_, event) in &room.nodes[1].events {
        assert!(!event.to_string().is_empty());
    }
}
