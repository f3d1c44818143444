//! IPv6: duplicate address detection, questions, answers, listener reports.

use super::*;

const NET: &[&str] = &["2001:db8::1/64"];
const ADDRESS: &str = "2001:db8::1";
const HOST: &str = "2001:db8::9";

fn group(address: &str) -> Ipv6Addr {
    nd::solicited_node(v6(address))
}

/// The solicitations of duplicate address detection among what was said: target and nonce.
fn detections(said: &[Said]) -> Vec<(Ipv6Addr, [u8; 6])> {
    let detection = |said: &Said| match said {
        Said::Discovery {
            from: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            message: Message::Solicitation { target, source_mac: None, nonce: Some(nonce) },
            ..
        } => Some((*target, *nonce)),
        Said::Discovery { .. } | Said::Arp { .. } | Said::Report(_) => None,
    };
    said.iter().filter_map(detection).collect()
}

#[test]
fn an_address_is_used_only_after_nobody_objected() {
    let mut bench = Bench::down(NET, Limits::ROUTER);
    bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
    let said = bench.said();
    assert!(said.contains(&Said::Report(3)), "all routers, and a group for each address: {said:?}");
    assert_eq!(detections(&said).len(), 2, "the address and the link-local one");
    assert!(!bench.engine.owns(LAN, ip(ADDRESS)));
    bench.discovery(THEIRS, HOST, group(ADDRESS), solicitation(ADDRESS, Some(THEIRS)));
    assert!(bench.said().is_empty(), "a tentative address is not answered for (RFC 4862 section 5.4.3)");
    bench.wait(1000);
    assert!(bench.engine.owns(LAN, ip(ADDRESS)));
    assert!(bench.events().contains(&Event::Usable { interface: LAN, address: ip(ADDRESS) }));
    let announced = bench.said().iter().any(|said| match said {
        Said::Discovery { message: Message::Advertisement { target, solicited: false, .. }, .. } => {
            *target == v6(ADDRESS)
        }
        Said::Discovery { .. } | Said::Arp { .. } | Said::Report(_) => false,
    });
    assert!(announced);
}

#[test]
fn an_address_that_somebody_has_is_not_used_and_tried_again_each_minute() {
    let mut bench = Bench::down(NET, Limits::ROUTER);
    bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
    bench.discovery(THEIRS, ADDRESS, nd::ALL_NODES, advertisement(v6(ADDRESS), THEIRS, false, true));
    assert_eq!(bench.events(), [Event::Duplicate { interface: LAN, address: ip(ADDRESS), mac: THEIRS }]);
    bench.wait(10_000);
    assert!(!bench.engine.owns(LAN, ip(ADDRESS)));
    bench.said();
    bench.wait(50_000);
    assert_eq!(detections(&bench.said()).len(), 1);
    bench.wait(1000);
    assert!(bench.engine.owns(LAN, ip(ADDRESS)), "the other one has gone");
}

#[test]
fn another_s_detection_takes_the_address_but_our_own_that_is_looped_back_does_not() {
    for (own, taken) in [(true, false), (false, true)] {
        let mut bench = Bench::down(NET, Limits::ROUTER);
        bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
        let said = bench.said();
        let (target, nonce) = *detections(&said).iter().find(|(target, _)| *target == v6(ADDRESS)).unwrap();
        let nonce = if own { nonce } else { [9; 6] };
        let message = Message::Solicitation { target, source_mac: None, nonce: Some(nonce) };
        bench.discovery(if own { OURS } else { THEIRS }, "::", group(ADDRESS), message);
        assert_eq!(!bench.events().is_empty(), taken);
        bench.wait(2000);
        assert_eq!(bench.engine.owns(LAN, ip(ADDRESS)), !taken);
    }
}

#[test]
fn a_question_is_answered_to_the_asker_who_is_remembered() {
    let mut bench = Bench::new(NET);
    bench.discovery(THEIRS, HOST, group(ADDRESS), solicitation(ADDRESS, Some(THEIRS)));
    let message = Message::Advertisement {
        target: v6(ADDRESS),
        target_mac: Some(OURS),
        router: true,
        solicited: true,
        overriding: true,
    };
    assert_eq!(bench.said(), [Said::Discovery { to: THEIRS, from: ip(ADDRESS), message }]);
    assert_eq!(bench.state(HOST), "stale");
    bench.discovery(OTHERS, "::", group(ADDRESS), solicitation(ADDRESS, None));
    let said = bench.said();
    let [Said::Discovery { to, message: Message::Advertisement { solicited: false, .. }, .. }] = said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(to, icmpv6::group_mac(nd::ALL_NODES), "whoever detects has no address to be answered at");
}

#[test]
fn who_is_not_on_the_link_gets_neither_answer_nor_entry() {
    let mut bench = Bench::new(NET);
    bench.discovery(THEIRS, "2001:db8:66::9", group(ADDRESS), solicitation(ADDRESS, Some(THEIRS)));
    assert_eq!((bench.said().len(), bench.counted()), (0, vec![Drop::NdInvalid]));
    assert!(bench.engine.rows().is_empty());
}

#[test]
fn a_packet_waits_for_the_advertisement() {
    let mut bench = Bench::new(NET);
    assert!(!bench.send(HOST, 1));
    let said = bench.said();
    let [Said::Discovery { to, from, message }] = said[..] else { panic!("{said:?}") };
    assert_eq!(to, icmpv6::group_mac(group(HOST)));
    assert_eq!(from, IpAddr::V6(icmpv6::link_local(OURS)));
    assert_eq!(message, solicitation(HOST, Some(OURS)));
    bench.answer(THEIRS, HOST);
    assert_eq!(bench.ready(), [(THEIRS, 1)]);
    assert_eq!(bench.state(HOST), "reachable");
}

#[test]
fn the_table_of_rfc_4861_section_7_2_5() {
    // (solicited, override, MAC address, state and MAC address afterwards), from REACHABLE with THEIRS.
    let table = [
        (false, false, THEIRS, "reachable", THEIRS),
        (false, false, OTHERS, "stale", THEIRS),
        (true, false, OTHERS, "stale", THEIRS),
        (true, false, THEIRS, "reachable", THEIRS),
        (false, true, OTHERS, "stale", OTHERS),
        (true, true, OTHERS, "reachable", OTHERS),
        (false, true, THEIRS, "reachable", THEIRS),
    ];
    for (solicited, overriding, mac, state, after) in table {
        let mut bench = Bench::new(NET);
        bench.send(HOST, 1);
        bench.answer(THEIRS, HOST);
        let to = if solicited { icmpv6::link_local(OURS) } else { nd::ALL_NODES };
        bench.discovery(mac, HOST, to, advertisement(v6(HOST), mac, solicited, overriding));
        assert_eq!(bench.state(HOST), state, "{solicited} {overriding} {mac}");
        let id = bench.entry(HOST);
        assert_eq!(bench.engine.mac(id, bench.now), Some(after));
    }
}

#[test]
fn invalid_messages_are_counted_and_change_nothing() {
    let mut bench = Bench::new(NET);
    let message = solicitation(ADDRESS, Some(THEIRS));
    let envelope = Envelope { from_mac: THEIRS, to_mac: OURS, from: v6(HOST), to: group(ADDRESS) };
    for (place, value, drop) in [(21, 254, Drop::NdInvalid), (56, 0xff, Drop::TransportChecksum)] {
        let mut frame = message.frame(envelope, &[]).bytes().to_vec();
        frame[place] = value;
        bench.packet(FrameBuf::copy_of(&frame));
        assert_eq!((bench.counted(), bench.said().len()), (vec![drop], 0), "byte {place}");
    }
    assert!(bench.engine.rows().is_empty());
}

#[test]
fn a_conflict_over_an_address_in_use_is_defended() {
    let mut bench = Bench::new(NET);
    bench.discovery(THEIRS, ADDRESS, nd::ALL_NODES, advertisement(v6(ADDRESS), THEIRS, false, true));
    assert_eq!(bench.events(), [Event::Conflict { interface: LAN, address: ip(ADDRESS), mac: THEIRS }]);
    assert_eq!(bench.said().len(), 1);
    assert!(bench.engine.owns(LAN, ip(ADDRESS)));
}

#[test]
fn queriers_get_their_report_in_time_in_the_version_that_they_speak() {
    let mac = MacAddr([2, 0, 0, 0, 0, 0x77]);
    for (length, version) in [(24usize, 131u8), (28, 143)] {
        let mut bench = Bench::new(NET);
        let mut icmp = vec![mld::QUERY, 0, 0, 0, 0x03, 0xe8, 0, 0];
        icmp.resize(length, 0);
        let to = nd::ALL_NODES;
        let envelope = Envelope { from_mac: mac, to_mac: icmpv6::group_mac(to), from: v6("fe80::77"), to };
        bench.packet(icmpv6::frame(envelope, icmpv6::HopLimit::Listeners, icmp));
        assert!(bench.out.frames.is_empty(), "not at once, for everybody would");
        bench.wait(1000);
        let kinds: Vec<u8> = bench
            .out
            .frames
            .drain(..)
            .map(|(_, frame)| match Packet::parse(frame) {
                Ok(Parsed::Ip(packet)) => packet.transport()[0],
                Ok(Parsed::Arp(_)) | Err(_) => 0,
            })
            .collect();
        let reports = if version == 131 { 3 } else { 1 };
        assert_eq!(kinds, vec![version; reports]);
    }
}
