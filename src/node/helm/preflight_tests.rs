use std::net::IpAddr;

use super::*;
use crate::node::helm::snapshot::{ConditionRow, PeerRow};

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

fn path(name: &str) -> PathRow {
    PathRow {
        name: name.into(),
        up: true,
        carries: true,
        echoed: true,
        heard_ms: Some(3),
        ..PathRow::default()
    }
}

/// A pair with which all is well, seen from its preferred node.
fn well() -> PairSnapshot {
    PairSnapshot {
        paired: true,
        node: "alpha".into(),
        peer_name: Some("beta".into()),
        role: "active".into(),
        leads: true,
        session: true,
        redundant: true,
        peer: Some(PeerRow { alive: true, role: "standby".into(), ..PeerRow::default() }),
        conditions: vec![ConditionRow { name: "gateways".into(), own: 1, peer: Some(1) }],
        paths: vec![path("sync"), path("wan"), path("lan")],
        virtual_ips: vec![VirtualIpRow { interface: "wan".into(), vhid: 7, ..VirtualIpRow::default() }],
        ..PairSnapshot::default()
    }
}

const WELL: Facts = Facts {
    lacks: &[],
    alarms: &[],
    gateways: 1,
    preferred: true,
    preempts: true,
    real_time: Some(true),
    clocks_apart: Some(Duration::from_millis(20)),
};

fn check(what: &str, pair: &PairSnapshot, facts: &Facts) {
    let found = findings(pair, facts);
    assert_eq!(found.len(), usize::from(!what.is_empty()), "{what}: {found:?}");
    for Finding { what: told, remedy } in &found {
        assert!(told.contains(what) && told.ends_with('.'), "{what}: {told}");
        assert!(remedy.ends_with('.') && remedy.len() > 20, "{remedy}");
    }
}

#[test]
fn a_healthy_pair_has_nothing_to_put_right_and_neither_has_a_node_without_a_peer() {
    check("", &well(), &WELL);
    let alone = PairSnapshot { paired: false, peer_name: None, peer: None, ..well() };
    check("", &alone, &Facts { gateways: 0, real_time: Some(false), ..WELL });
    let of_one = PairSnapshot { peer_name: None, peer: None, paths: Vec::new(), ..well() };
    check("", &of_one, &WELL);
}

#[test]
fn each_alarm_of_a_segment_is_told_with_its_remedy() {
    for (alarm, what) in [
        (Alarm::Carp(carp::Event::ListsDiffer { from: FROM }), "another list"),
        (Alarm::Carp(carp::Event::BadDigest { from: FROM }), "the same number with another password"),
        (Alarm::Carp(carp::Event::Stranger { from: FROM }), "not the peer"),
        (Alarm::Carp(carp::Event::OtherMaster { from: FROM }), "MASTER as well"),
        (Alarm::Carp(carp::Event::FamilySilent { family: Family::Inet6 }), "IPv6 advertisements"),
        (Alarm::Reflected, "come back"),
        (Alarm::Vrrp(FROM), "for VRRP"),
    ] {
        check(what, &well(), &Facts { alarms: &[(0, alarm)], ..WELL });
        let foreign = PairSnapshot { paired: false, ..well() };
        check("VHID 7 on wan: ", &foreign, &Facts { alarms: &[(0, alarm)], ..WELL });
    }
    check("", &well(), &Facts { alarms: &[(9, Alarm::Reflected)], ..WELL });
}

#[test]
fn a_virtual_address_that_the_active_node_cannot_use_is_told_by_the_standby() {
    let standby = || {
        let mut pair = PairSnapshot { node: "beta".into(), role: "standby".into(), leads: false, ..well() };
        pair.peer = Some(PeerRow { alive: true, role: "active".into(), ..PeerRow::default() });
        pair.virtual_ips[0].silent = true;
        pair
    };
    let facts = Facts { preferred: false, ..WELL };
    check("VHID 7 on wan", &standby(), &facts);
    let heard = |pair: &mut PairSnapshot| pair.virtual_ips[0].silent = false;
    let foreign = |pair: &mut PairSnapshot| pair.virtual_ips[0].foreign = true;
    let nobody_serves = |pair: &mut PairSnapshot| pair.peer.as_mut().unwrap().role = "standby".into();
    let dead = |pair: &mut PairSnapshot| pair.peer.as_mut().unwrap().alive = false;
    let cures: [fn(&mut PairSnapshot); 4] = [heard, foreign, nobody_serves, dead];
    for cure in cures {
        let mut pair = standby();
        cure(&mut pair);
        check("", &pair, &facts);
    }
    // Where not even the node is heard, that is what is said.
    let mut cut = standby();
    cut.paths[1].carries = false;
    check("wan has a link, but", &cut, &facts);
}

#[test]
fn each_lack_that_an_operator_ends_is_told() {
    for (lack, what) in [
        (Lack::PeerSilent, "silent on every path"),
        (Lack::VersionsDiffer, "do not understand"),
        (Lack::ConfigurationsDiffer, "different configurations"),
        (Lack::Maintenance, "in maintenance"),
        (Lack::Disabled, "is disabled"),
        (Lack::NotSynced, ""),
        (Lack::SyncDown, ""),
        (Lack::NoSession, ""),
        (Lack::StandbyUnwell, ""),
        (Lack::NobodyActive, ""),
    ] {
        check(what, &well(), &Facts { lacks: &[lack], ..WELL });
    }
}

#[test]
fn each_fault_of_a_path_is_told() {
    type Fault = fn(&mut PathRow);
    let faults: [(usize, Fault, &str); 9] = [
        (0, |path| (path.up, path.carries) = (false, false), "sync port has no link"),
        (0, |path| path.carries = false, "not heard on it: states"),
        (1, |path| (path.up, path.carries) = (false, false), "wan has no link"),
        (1, |path| path.carries = false, "wan has a link, but"),
        (2, |path| path.echoed = false, "does not hear this node"),
        (2, |path| path.loss_permille = 11, "loses 1.1 %"),
        (2, |path| path.loss_permille = 10, ""),
        (1, |path| path.lateness_us = 10_100, "10.1 ms late"),
        (1, |path| path.lateness_us = 10_000, ""),
    ];
    for (number, fault, what) in faults {
        let mut pair = well();
        fault(&mut pair.paths[number]);
        check(what, &pair, &WELL);
    }
}

#[test]
fn each_fault_of_a_node_or_its_uplink_is_told() {
    type Fault = fn(&mut PairSnapshot, &mut Facts);
    let faults: [(Fault, &str); 17] = [
        (|_, facts| facts.gateways = 0, "no gateway, so"),
        (|pair, _| pair.conditions[0].own = 0, "answers the peer and not this node"),
        (|pair, _| pair.conditions[0].peer = Some(0), "answers this node and not the peer"),
        (|pair, _| (pair.conditions[0].own, pair.conditions[0].peer) = (0, Some(0)), "No gateway answers"),
        (|pair, _| (pair.conditions[0].own, pair.conditions[0].peer) = (0, None), "No gateway answers"),
        (|_, facts| facts.real_time = Some(false), "does not let the role thread"),
        (|_, facts| facts.real_time = None, ""),
        (|pair, _| pair.lateness_us = 10_001, "This node is up to"),
        (|pair, _| pair.peer.as_mut().unwrap().lateness_us = 20_000, "The peer is up to 20.0 ms"),
        (|_, facts| facts.clocks_apart = Some(Duration::from_millis(1500)), "1.5 s apart"),
        (|_, facts| facts.clocks_apart = None, ""),
        (|pair, _| pair.role = "standby".into(), "preferred node is not"),
        (|_, facts| facts.preferred = false, "preferred node is not"),
        (|pair, facts| (pair.role, facts.preferred) = ("standby".into(), false), ""),
        (|pair, facts| (facts.preferred, pair.maintenance) = (false, true), ""),
        (
            |pair, facts| (facts.preferred, facts.preempts, pair.role) = (true, false, "standby".into()),
            "preferred",
        ),
        (|pair, facts| (facts.preferred, pair.peer.as_mut().unwrap().alive) = (false, false), ""),
    ];
    for (fault, what) in faults {
        let (mut pair, mut facts) = (well(), WELL);
        fault(&mut pair, &mut facts);
        check(what, &pair, &facts);
    }
}
