use super::*;
use crate::config::model::Trigger;
use crate::route::{GroupConfig, MonitorConfig};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn gateway(number: u8, kill: KillStates) -> GatewayConfig {
    let monitor = MonitorConfig {
        interval: millis(500),
        loss_interval: millis(2000),
        time_period: millis(60_000),
        alert_interval: millis(1000),
        latency: [millis(200), millis(500)],
        loss: [10, 20],
    };
    GatewayConfig {
        id: GatewayId(u32::from(number) + 1),
        interface: InterfaceId(number),
        address: IpAddr::from([10, 0, number, 1]),
        weight: 1,
        watch: Watch::On { target: IpAddr::from([9, 9, 9, number]), monitor, payload: 1, acts: true },
        kill,
    }
}

fn config(kill: KillStates, kill_on_recovery: bool) -> GatewaysConfig {
    GatewaysConfig {
        gateways: vec![gateway(0, kill), gateway(1, KillStates::None)],
        groups: vec![GroupConfig { trigger: Trigger::Down, members: vec![(1, 0), (2, 1)], kill_on_recovery }],
        default_groups: [Some(0), None],
        ..GatewaysConfig::default()
    }
}

struct Bench {
    gateways: Gateways,
    now: Instant,
    out: GatewaysOutbox,
    probes: Vec<Probe>,
}

impl Bench {
    fn new(config: GatewaysConfig) -> Bench {
        let now = Instant::from_secs(5);
        let out = GatewaysOutbox::default();
        Bench { gateways: Gateways::new(config, now), now, out, probes: Vec::new() }
    }

    /// Time passes; gateways answer at once where `answers` says so, by their places.
    fn run(&mut self, time: Duration, answers: [bool; 2]) {
        let end = self.now + time;
        while let Some(at) = self.gateways.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.gateways.handle_timeout(at, &mut self.out);
            for probe in self.out.probes.drain(..) {
                if answers[usize::from(probe.interface.0)] {
                    assert!(self.gateways.handle_answer(at, probe.target, probe.identifier, probe.sequence));
                }
                self.probes.push(probe);
            }
        }
        self.now = end;
    }

    fn neighbour(&mut self, reachable: bool) {
        let key = (InterfaceId(0), IpAddr::from([10, 0, 0, 1]));
        self.gateways.handle_neighbour(self.now, key, reachable, &mut self.out);
    }

    fn default(&self) -> u8 {
        self.gateways.selection().default_hop(crate::types::Family::Inet).unwrap().interface.0
    }
}

#[test]
fn probes_are_spread_have_identifiers_of_their_own_and_ask_the_monitor_address() {
    let mut bench = Bench::new(config(KillStates::None, false));
    bench.run(millis(999), [true; 2]);
    let told: Vec<(u8, IpAddr, u16)> =
        bench.probes.iter().map(|it| (it.interface.0, it.target, it.sequence)).collect();
    let target = |number: u8| IpAddr::from([9, 9, 9, number]);
    assert_eq!(told, [(0, target(0), 0), (1, target(1), 0), (0, target(0), 1), (1, target(1), 1)]);
    let [first, second] = [0, 1].map(|at| bench.probes[at].identifier);
    assert_ne!(first, second);
    assert_eq!(bench.gateways.gateway_of_probe(target(1), second), Some(GatewayId(2)));
    assert_eq!(bench.gateways.gateway_of_probe(target(0), second), None, "an answer from somebody else");
    assert!(!bench.gateways.handle_answer(bench.now, target(0), first, 9), "never asked");
}

#[test]
fn a_silent_monitor_moves_the_default_route_and_an_answer_brings_it_back() {
    let mut bench = Bench::new(config(KillStates::None, false));
    bench.run(Duration::from_secs(70), [true; 2]);
    bench.out.changes.clear();
    bench.run(Duration::from_secs(20), [false, true]);
    let last = bench.out.changes.last().map(|it| (it.place, it.after));
    assert_eq!(last, Some((0, Status::Down(Reason::Loss))));
    assert_eq!((bench.default(), bench.gateways.selection().tier(0)), (1, 2));
    assert!(bench.out.doomed.is_empty(), "flows are kept");
    bench.run(Duration::from_secs(100), [true; 2]);
    assert_eq!((bench.default(), bench.gateways.selection().tier(0)), (0, 1));
}

#[test]
fn silence_on_the_link_is_known_at_once_and_no_probe_is_wasted_on_it() {
    let mut bench = Bench::new(config(KillStates::Down, true));
    bench.run(Duration::from_secs(5), [true; 2]);
    bench.neighbour(false);
    assert_eq!(bench.default(), 1);
    assert_eq!(std::mem::take(&mut bench.out.doomed), [Doomed::By(GatewayId(1))]);
    bench.probes.clear();
    bench.run(millis(1000), [true; 2]);
    assert!(bench.probes.iter().all(|probe| probe.interface == InterfaceId(1)));
    bench.neighbour(true);
    assert_eq!(bench.default(), 0, "two lost probes are not a fifth");
    let of = |choice: Option<Choice>| Doomed::Failover { choice, gateways: vec![GatewayId(2)] };
    assert_eq!(
        bench.out.doomed,
        [of(None), of(Some(Choice::at(2)))],
        "what had gone by the second begins anew"
    );
}

#[test]
fn what_ends_is_as_configured() {
    for (kill, doomed) in [
        (KillStates::None, vec![]),
        (KillStates::Down, vec![Doomed::By(GatewayId(1))]),
        (KillStates::All, vec![Doomed::All]),
    ] {
        let mut bench = Bench::new(config(kill, false));
        bench.neighbour(false);
        bench.neighbour(false);
        assert_eq!(bench.out.doomed, doomed);
        let mut again = Vec::new();
        bench.gateways.doom_again(&mut again);
        assert_eq!(again, doomed, "a node that takes over does the same");
    }
}

#[test]
fn a_new_configuration_keeps_what_is_known_of_gateways_that_are_watched_as_before() {
    let mut bench = Bench::new(config(KillStates::None, false));
    bench.run(Duration::from_secs(5), [true, false]);
    let mut swapped = config(KillStates::None, false);
    swapped.gateways.swap(0, 1);
    bench.gateways.apply(bench.now, swapped.clone());
    assert_eq!(bench.gateways.statuses(), [Status::Down(Reason::Loss), Status::Online]);
    swapped.gateways[0].watch = Watch::ForcedDown;
    swapped.gateways[1].watch = Watch::Off;
    bench.gateways.apply(bench.now, swapped);
    assert_eq!(bench.gateways.statuses(), [Status::Down(Reason::Forced), Status::Online]);
    assert_eq!(bench.gateways.poll_timeout(), None);
}
