//! What becomes of an entry: confirmed, doubted, asked again, forgotten; links that come and go; gateways.

use super::*;

const NET: &[&str] = &["192.168.1.1/24", "2001:db8::1/64"];

#[test]
fn an_unused_neighbour_grows_stale_and_is_forgotten() {
    for host in ["192.168.1.9", "2001:db8::9"] {
        let mut bench = Bench::new(NET);
        bench.send(host, 1);
        bench.answer(THEIRS, host);
        bench.wait(14_000);
        assert_eq!(bench.state(host), "reachable");
        bench.wait(32_000);
        assert_eq!(bench.state(host), "stale");
        bench.said();
        bench.wait(1_201_000);
        assert_eq!((bench.state(host), bench.said().len()), ("absent", 0), "nobody was asked");
    }
}

#[test]
fn a_neighbour_in_use_is_confirmed_by_unicast_without_losing_a_packet() {
    for host in ["192.168.1.9", "2001:db8::9"] {
        let mut bench = Bench::new(NET);
        bench.send(host, 1);
        bench.answer(THEIRS, host);
        bench.wait(46_000);
        bench.said();
        assert!(bench.send(host, 2), "stale is good enough to send");
        assert_eq!(bench.state(host), "delay");
        bench.wait(5000);
        assert_eq!(bench.state(host), "probe");
        let said = bench.said();
        let to = match said[..] {
            [Said::Arp { to, .. } | Said::Discovery { to, .. }] => to,
            _ => panic!("{said:?}"),
        };
        assert_eq!(to, THEIRS, "whom we knew is asked, not everybody");
        assert!(bench.send(host, 3));
        bench.answer(THEIRS, host);
        assert_eq!(bench.state(host), "reachable");
    }
}

#[test]
fn a_neighbour_that_no_longer_answers_is_asked_for_everywhere_then_given_up() {
    let mut bench = Bench::new(NET);
    bench.send("192.168.1.9", 1);
    bench.answer(THEIRS, "192.168.1.9");
    bench.ready();
    bench.wait(46_000);
    bench.send("192.168.1.9", 2);
    bench.said();
    bench.wait(5000 + 3000);
    let to: Vec<MacAddr> = bench
        .said()
        .into_iter()
        .map(|said| match said {
            Said::Arp { to, .. } => to,
            Said::Discovery { .. } | Said::Report(_) => panic!("{said:?}"),
        })
        .collect();
    assert_eq!(to, [THEIRS, THEIRS, THEIRS, MacAddr::BROADCAST], "RFC 7048");
    assert!(!bench.send("192.168.1.9", 3));
    bench.answer(OTHERS, "192.168.1.9");
    assert_eq!(bench.ready(), [(OTHERS, 3)], "it had moved");
    bench.wait(46_000);
    bench.send("192.168.1.9", 4);
    bench.wait(12_000);
    assert_eq!(bench.state("192.168.1.9"), "failed");
    bench.wait(4000);
    assert_eq!(bench.state("192.168.1.9"), "absent");
}

#[test]
fn a_neighbour_that_an_operator_takes_out_is_asked_for_anew() {
    for host in ["192.168.1.9", "2001:db8::9"] {
        let mut bench = Bench::new(NET);
        bench.send(host, 1);
        bench.answer(THEIRS, host);
        let old = bench.entry(host);
        let forget = |bench: &mut Bench| bench.engine.take_out(bench.now, (LAN, ip(host)), &mut bench.out);
        assert!(forget(&mut bench));
        assert_eq!((bench.state(host), forget(&mut bench)), ("absent", false), "it is gone");
        assert!(!bench.engine.is_current(old));
        bench.said();
        assert!(!bench.send(host, 2) && bench.said().len() == 1, "somebody needs it");
        // What waits for one that is taken out is dropped, and counted as such.
        assert!(forget(&mut bench));
        assert!(matches!(bench.out.dropped[..], [(Drop::NeighbourPending, 2)]), "{:?}", bench.out.dropped);
        // A gateway is needed by itself.
        bench.engine.watch(bench.now, &[(LAN, ip(host))], false, &mut bench.out);
        bench.answer(OTHERS, host);
        bench.said();
        assert!(forget(&mut bench));
        assert_eq!((bench.state(host), bench.said().len()), ("incomplete", 1));
    }
}

#[test]
fn an_old_id_never_names_another_neighbour() {
    let mut bench = Bench::new(NET);
    let old = bench.entry("192.168.1.9");
    bench.engine.flush(bench.now, LAN, &mut bench.out);
    assert!(!bench.engine.is_current(old));
    let new = bench.entry("192.168.1.10");
    assert!(new != old && bench.engine.is_current(new));
    bench.engine.park(bench.now, old, 1, &mut bench.out);
    assert_eq!(bench.out.dropped.len(), 1);
    assert_eq!(bench.engine.mac(NeighbourId::NONE, bench.now), None);
}

#[test]
fn a_short_interruption_forgets_nobody_who_answered_and_fails_who_waits() {
    let mut bench = Bench::new(NET);
    bench.send("192.168.1.9", 1);
    bench.answer(THEIRS, "192.168.1.9");
    bench.send("192.168.1.10", 2);
    bench.engine.handle_link(bench.now, LAN, false, &mut bench.out);
    assert_eq!((bench.failed(), bench.state("192.168.1.10")), (vec![2], "absent"));
    assert_eq!(bench.state("192.168.1.9"), "stale");
    assert!(!bench.engine.owns(LAN, ip("192.168.1.1")), "a link that is down has no addresses");
    assert_eq!(bench.engine.entry(bench.now, LAN, ip("192.168.1.44")), Err(Drop::PortDown));
    bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
    assert!(bench.send("192.168.1.9", 3));
}

#[test]
fn who_cannot_be_a_neighbour_is_not_asked_for() {
    let mut bench = Bench::new(NET);
    let table = [
        ("192.168.1.1", Drop::Martian),
        ("192.168.1.255", Drop::Multicast),
        ("192.168.1.0", Drop::Multicast),
        ("255.255.255.255", Drop::Multicast),
        ("224.0.0.9", Drop::Multicast),
        ("ff02::9", Drop::Multicast),
        ("127.0.0.1", Drop::Martian),
        ("::", Drop::Martian),
    ];
    for (address, drop) in table {
        assert_eq!(bench.engine.entry(bench.now, LAN, ip(address)), Err(drop), "{address}");
    }
    assert_eq!(bench.engine.entry(bench.now, InterfaceId(7), ip("192.168.1.9")), Err(Drop::NoRoute));
    assert!(bench.out.frames.is_empty());
}

#[test]
fn a_reload_keeps_neighbours_and_announces_only_new_addresses() {
    let mut bench = Bench::new(NET);
    bench.send("192.168.1.9", 1);
    bench.answer(THEIRS, "192.168.1.9");
    bench.said();
    let more = NeighbourConfig { links: vec![link(&["192.168.1.1/24", "192.168.1.5/24", "2001:db8::1/64"])] };
    bench.engine.apply(bench.now, more, &mut bench.out);
    let said = bench.said();
    let [Said::Arp { arp, .. }] = &said[..] else { panic!("{said:?}") };
    assert_eq!(arp.sender.to_string(), "192.168.1.5");
    assert_eq!(bench.state("192.168.1.9"), "reachable");
    let mut other_card = link(NET);
    other_card.mac = MacAddr([2, 0, 0, 0, 0, 0x55]);
    bench.engine.apply(bench.now, NeighbourConfig { links: vec![other_card] }, &mut bench.out);
    assert_eq!(bench.state("192.168.1.9"), "absent", "another card, perhaps another network");
}

/// A router that starts watches gateways before its links are up.
#[test]
fn a_gateway_that_was_never_asked_is_not_called_silent() {
    let mut bench = Bench::new(NET);
    let (interface, address) = (LAN, ip("192.168.1.254"));
    bench.engine.handle_link(bench.now, LAN, false, &mut bench.out);
    bench.engine.watch(bench.now, &[(interface, address)], false, &mut bench.out);
    bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
    assert_eq!(bench.events(), [], "it has just been asked");
    bench.wait(10_000);
    assert_eq!(bench.events().last(), Some(&Event::Gateway { interface, address, reachable: false }));
}

#[test]
fn a_gateway_is_asked_for_without_traffic_and_its_silence_told_once() {
    let mut bench = Bench::new(NET);
    let (interface, address) = (LAN, ip("192.168.1.254"));
    let told = |reachable| [Event::Gateway { interface, address, reachable }];
    bench.engine.watch(bench.now, &[(interface, address)], false, &mut bench.out);
    assert_eq!(bench.said().len(), 1);
    bench.answer(THEIRS, "192.168.1.254");
    assert_eq!(bench.events(), told(true));
    bench.wait(300_000);
    assert_eq!(bench.events(), told(false), "once, however often it is asked for");
    assert!(bench.said().len() > 10);
    bench.answer(THEIRS, "192.168.1.254");
    assert_eq!(bench.events(), told(true));
    bench.engine.watch(bench.now, &[], false, &mut bench.out);
    bench.wait(1_300_000);
    assert_eq!(bench.state("192.168.1.254"), "absent", "no longer a gateway");
}

/// What is told of the gateway 192.168.1.254.
fn told(reachable: bool) -> [Event; 1] {
    [Event::Gateway { interface: LAN, address: ip("192.168.1.254"), reachable }]
}

/// It is there, and watched closely.
fn with_a_gateway_watched_closely() -> Bench {
    let mut bench = Bench::new(NET);
    bench.engine.watch(bench.now, &[(LAN, ip("192.168.1.254"))], true, &mut bench.out);
    bench.answer(THEIRS, "192.168.1.254");
    assert_eq!(bench.events(), told(true));
    bench
}

/// In a pair the two nodes compare what they reach, and that must not take long.
#[test]
fn a_gateway_that_is_watched_closely_is_silent_within_a_second() {
    let mut bench = with_a_gateway_watched_closely();
    bench.said();
    bench.wait(700);
    assert_eq!(bench.events(), [], "three questions may be lost");
    assert_eq!(bench.said().len(), 3);
    bench.wait(200);
    assert_eq!(bench.events(), told(false));
    bench.wait(5_000);
    bench.answer(THEIRS, "192.168.1.254");
    assert_eq!(bench.events(), told(true));
}

/// Where more comes in than is carried, answers are lost with everything else: a gateway that sends is there.
#[test]
fn a_gateway_that_sends_but_does_not_answer_is_given_more_time() {
    let mut bench = with_a_gateway_watched_closely();
    // Whom nobody asks, nobody has to listen to.
    assert!(!bench.engine.listens());
    bench.wait(210);
    assert!(bench.engine.listens());
    bench.engine.overhear(bench.now, InterfaceId(7), THEIRS);
    bench.engine.overhear(bench.now, LAN, MacAddr([2, 0, 0, 0, 0, 0x77]));
    assert!(bench.engine.listens(), "that was another station");
    for _ in 0..27 {
        bench.engine.overhear(bench.now, LAN, THEIRS);
        assert!(!bench.engine.listens(), "once for each question is enough");
        bench.wait(100);
        assert_eq!(bench.events(), []);
    }
    bench.engine.overhear(bench.now, LAN, THEIRS);
    bench.wait(500);
    assert_eq!(bench.events(), told(false), "after three seconds it does not answer");
    bench.answer(THEIRS, "192.168.1.254");
    assert_eq!(bench.events(), told(true));
    // What it sent before it fell silent is forgotten soon.
    bench.wait(210);
    bench.engine.overhear(bench.now, LAN, THEIRS);
    bench.wait(700);
    assert_eq!(bench.events(), told(false));
}
