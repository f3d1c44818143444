use std::time::Duration;

use super::*;
use crate::route::Reason;
use proptest::prelude::*;

const DOWN: Status = Status::Down(Reason::Loss);

fn gateway(number: u8, weight: u8) -> GatewayConfig {
    let second = Duration::from_secs(1);
    let monitor = MonitorConfig {
        interval: second,
        loss_interval: second,
        time_period: second * 60,
        alert_interval: second,
        latency: [second; 2],
        loss: [10, 20],
    };
    let address = IpAddr::from([10, 0, number, 1]);
    GatewayConfig {
        id: GatewayId(u32::from(number) + 1),
        interface: InterfaceId(number),
        address,
        weight,
        watch: Watch::On { target: address, monitor, payload: 1, acts: true },
        kill: KillStates::None,
    }
}

fn config(weights: &[u8], tiers: &[u8], trigger: Trigger) -> GatewaysConfig {
    let members = tiers.iter().enumerate().map(|(place, tier)| (*tier, place as u16)).collect();
    GatewaysConfig {
        gateways: weights.iter().enumerate().map(|(number, weight)| gateway(number as u8, *weight)).collect(),
        groups: vec![GroupConfig { trigger, members, kill_on_recovery: false }],
        default_groups: [Some(0), None],
        replies: vec![[Some(0), None], [None, None]],
        ..GatewaysConfig::default()
    }
}

fn flow(source: u32, port: u16) -> FlowKey {
    FlowKey::new(6, IpAddr::from(source.to_be_bytes()), port, IpAddr::from([9, 9, 9, 9]), 443).unwrap()
}

fn group(config: &GatewaysConfig) -> Choice {
    Choice::at(config.gateways.len() as u16)
}

#[test]
fn the_lowest_tier_with_a_member_that_is_up_is_used() {
    use Status::{Delay, Loss, Online, Pending};
    for (trigger, statuses, tier, members) in [
        (Trigger::Down, [Online, Online, Online], 1, vec![1]),
        (Trigger::Down, [Pending, DOWN, Online], 1, vec![1]),
        (Trigger::Down, [DOWN, Online, Online], 2, vec![2]),
        (Trigger::Down, [Loss, Online, Online], 1, vec![1]),
        (Trigger::DownLoss, [Loss, Online, Online], 2, vec![2]),
        (Trigger::DownLoss, [Delay, Online, Online], 1, vec![1]),
        (Trigger::DownLatency, [Delay, Online, Online], 2, vec![2]),
        (Trigger::DownLatency, [Loss, Online, Online], 1, vec![1]),
        (Trigger::DownLossLatency, [Delay, Loss, Online], 0, vec![]),
        (Trigger::Down, [DOWN, DOWN, Online], 0, vec![]),
    ] {
        let config = config(&[1, 1, 1], &[1, 2], trigger);
        let selection = Selection::new(&config, &statuses);
        let used: Vec<u32> = selection.members(group(&config)).map(|id| id.0).collect();
        assert_eq!(selection.tier(0), tier, "{trigger:?} {statuses:?}");
        assert_eq!(used, members, "{trigger:?} {statuses:?}");
        let picked = selection.pick(group(&config), &flow(1, 1)).map(|(id, _)| id.0);
        assert_eq!(picked, used.first().copied());
    }
}

#[test]
fn a_gateway_whose_monitor_has_no_consequences_is_always_used() {
    let mut config = config(&[1, 1], &[1, 2], Trigger::DownLossLatency);
    for watch in [Watch::Off, Watch::ForcedDown] {
        config.gateways[0].watch = watch.clone();
        let selection = Selection::new(&config, &[DOWN, Status::Online]);
        let up = watch == Watch::Off;
        assert_eq!(selection.tier(0), if up { 1 } else { 2 });
        assert_eq!(selection.pick(Choice::at(0), &flow(1, 1)).is_some(), up);
    }
}

#[test]
fn the_default_gateway_is_the_first_member_that_is_up_and_the_first_of_all_when_none_is() {
    let config = config(&[1, 1], &[2, 1], Trigger::Down);
    let hop = |statuses: &[Status]| {
        Selection::new(&config, statuses).default_hop(Family::Inet).map(|hop| hop.interface.0)
    };
    assert_eq!(hop(&[]), Some(1), "the lower tier");
    assert_eq!(hop(&[Status::Online, DOWN]), Some(0));
    assert_eq!(hop(&[DOWN, DOWN]), Some(1));
    assert_eq!(Selection::new(&config, &[]).default_hop(Family::Inet6), None);
}

#[test]
fn rules_are_left_out_only_where_that_is_asked_for() {
    let mut config = config(&[1, 1], &[1, 1], Trigger::Down);
    assert_eq!(Selection::new(&config, &[DOWN, DOWN]).idle(), [false; 3]);
    config.skip_rules = true;
    assert_eq!(Selection::new(&config, &[DOWN, Status::Online]).idle(), [true, false, false]);
    assert_eq!(Selection::new(&config, &[DOWN, DOWN]).idle(), [true; 3]);
}

#[test]
fn flows_are_shared_by_weight_and_sources_stick_where_asked() {
    let mut config = config(&[1, 3], &[1, 1], Trigger::Down);
    let selection = Selection::new(&config, &[]);
    let choice = group(&config);
    let count =
        (0..4000u32).filter(|n| selection.pick(choice, &flow(*n, 7)).unwrap().0 == GatewayId(2)).count();
    assert!((2800..3200).contains(&count), "{count} of 4000");
    let of_source = |selection: &Selection, source: u32| -> Vec<u32> {
        let mut ids: Vec<u32> =
            (0..50).map(|port| selection.pick(choice, &flow(source, port)).unwrap().0.0).collect();
        ids.dedup();
        ids
    };
    assert!(of_source(&selection, 5).len() > 1);
    config.sticky = true;
    let selection = Selection::new(&config, &[]);
    assert!((0..50).all(|source| of_source(&selection, source).len() == 1));
}

proptest! {
    /// When a member goes, only its own flows move.
    #[test]
    fn flows_of_the_others_stay(weights in prop::collection::vec(1u8..5, 2..5), gone in any::<prop::sample::Index>()) {
        let config = config(&weights, &vec![1; weights.len()], Trigger::Down);
        let gone = gone.index(weights.len());
        let statuses: Vec<Status> =
            (0..weights.len()).map(|place| if place == gone { DOWN } else { Status::Online }).collect();
        let (before, after) = (Selection::new(&config, &[]), Selection::new(&config, &statuses));
        for source in 0..200 {
            let pick = |selection: &Selection| selection.pick(group(&config), &flow(source, 1)).unwrap().0;
            if pick(&before) != GatewayId(gone as u32 + 1) {
                prop_assert_eq!(pick(&before), pick(&after));
            }
        }
    }
}
