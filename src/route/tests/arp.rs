//! IPv4: questions, answers, conflicts.

use super::*;

const NET: &[&str] = &["192.168.1.1/24", "192.168.1.2/24"];

fn request(to: MacAddr, sender: &str, target: &str) -> Said {
    let (sender, target) = (sender.parse().unwrap(), target.parse().unwrap());
    let target_mac = MacAddr::default();
    Said::Arp {
        to,
        arp: Repr { operation: Operation::Request, sender_mac: OURS, sender, target_mac, target },
    }
}

#[test]
fn addresses_are_announced_twice_when_the_link_comes() {
    let mut bench = Bench::down(NET, Limits::ROUTER);
    assert!(bench.said().is_empty(), "the link is down");
    bench.engine.handle_link(bench.now, LAN, true, &mut bench.out);
    let announced = |said: Vec<Said>| -> Vec<String> {
        let arp = said.into_iter().filter_map(|said| match said {
            Said::Arp { to: MacAddr::BROADCAST, arp } if arp.sender == arp.target => {
                Some(arp.sender.to_string())
            }
            Said::Arp { .. } | Said::Discovery { .. } | Said::Report(_) => None,
        });
        arp.collect()
    };
    assert_eq!(announced(bench.said()), ["192.168.1.1", "192.168.1.2"]);
    bench.wait(1999);
    assert!(announced(bench.said()).is_empty());
    bench.wait(1);
    assert_eq!(announced(bench.said()), ["192.168.1.1", "192.168.1.2"]);
    bench.wait(60_000);
    assert!(announced(bench.said()).is_empty());
}

#[test]
fn every_own_address_is_answered_for_and_no_other() {
    let mut bench = Bench::new(NET);
    for (target, answers) in [("192.168.1.1", 1), ("192.168.1.2", 1), ("192.168.1.3", 0), ("10.0.0.1", 0)] {
        bench.arp(Operation::Request, THEIRS, "192.168.1.9", target);
        let said = bench.said();
        assert_eq!(said.len(), answers, "{target}");
        for said in said {
            let Said::Arp { to: THEIRS, arp } = said else { panic!("{said:?}") };
            assert_eq!(
                (arp.operation, arp.sender_mac, arp.sender.to_string()),
                (Operation::Reply, OURS, target.into())
            );
            assert_eq!((arp.target_mac, arp.target.to_string()), (THEIRS, "192.168.1.9".into()));
        }
    }
    assert_eq!(bench.state("192.168.1.9"), "stale", "who asks for us will hear from us");
}

#[test]
fn a_probe_is_answered_and_leaves_no_entry() {
    let mut bench = Bench::new(NET);
    bench.arp(Operation::Request, THEIRS, "0.0.0.0", "192.168.1.1");
    assert_eq!(bench.said().len(), 1, "RFC 5227: the prober learns that the address is taken");
    assert!(bench.engine.rows().is_empty());
}

#[test]
fn a_packet_waits_for_the_answer_and_comes_out_once() {
    let mut bench = Bench::new(NET);
    assert!(!bench.send("192.168.1.9", 1) && !bench.send("192.168.1.9", 2));
    assert_eq!(bench.said(), [request(MacAddr::BROADCAST, "192.168.1.1", "192.168.1.9")], "one question");
    bench.answer(THEIRS, "192.168.1.9");
    assert_eq!(bench.ready(), [(THEIRS, 1), (THEIRS, 2)]);
    assert_eq!(bench.state("192.168.1.9"), "reachable");
    assert!(bench.send("192.168.1.9", 3));
}

#[test]
fn three_questions_a_second_apart_then_silence() {
    let mut bench = Bench::new(NET);
    bench.send("192.168.1.9", 1);
    for millis in [0, 1000, 1000] {
        bench.wait(millis);
        assert_eq!(bench.said().len(), 1);
        assert!(bench.failed().is_empty());
    }
    bench.wait(1000);
    assert_eq!((bench.said().len(), bench.failed()), (0, vec![1]));
    assert!(!bench.send("192.168.1.9", 2));
    assert_eq!((bench.said().len(), bench.failed()), (0, vec![2]), "held down, and told at once");
    bench.wait(3000);
    bench.send("192.168.1.9", 3);
    assert_eq!((bench.said().len(), bench.failed()), (1, vec![]), "asked for anew");
}

#[test]
fn the_question_comes_from_the_address_of_the_target_s_network() {
    let mut bench = Bench::new(&["192.168.1.1/24", "10.5.0.1/16"]);
    bench.send("10.5.7.7", 1);
    assert_eq!(bench.said(), [request(MacAddr::BROADCAST, "10.5.0.1", "10.5.7.7")]);
}

#[test]
fn an_unasked_answer_makes_no_entry_and_confirms_nothing() {
    let mut bench = Bench::new(NET);
    bench.answer(THEIRS, "192.168.1.9");
    assert_eq!(bench.state("192.168.1.9"), "absent");
    bench.arp(Operation::Request, THEIRS, "192.168.1.9", "192.168.1.1");
    bench.answer(THEIRS, "192.168.1.9");
    assert_eq!(bench.state("192.168.1.9"), "stale", "nobody had asked");
    bench.arp(Operation::Request, THEIRS, "192.168.1.77", "192.168.1.78");
    assert_eq!(bench.state("192.168.1.77"), "absent", "others' business");
}

#[test]
fn implausible_senders_are_counted_and_believed_in_nothing() {
    let mut bench = Bench::new(NET);
    let group = MacAddr([1, 0, 0x5e, 0, 0, 1]);
    let table = [
        ("the network's number", Operation::Request, THEIRS, "192.168.1.0"),
        ("the broadcast address", Operation::Request, THEIRS, "192.168.1.255"),
        ("a group", Operation::Request, THEIRS, "224.0.0.5"),
        ("loopback", Operation::Request, THEIRS, "127.0.0.1"),
        ("a group's MAC", Operation::Request, group, "192.168.1.9"),
        ("no MAC", Operation::Request, MacAddr::default(), "192.168.1.9"),
        ("an answer from nobody", Operation::Reply, THEIRS, "0.0.0.0"),
    ];
    for (name, operation, mac, sender) in table {
        bench.arp(operation, mac, sender, "192.168.1.1");
        assert_eq!((bench.counted(), bench.said().len()), (vec![Drop::ArpInvalid], 0), "{name}");
        assert!(bench.engine.rows().is_empty(), "{name}");
    }
    bench.engine.handle_arp(bench.now, LAN, &[0; 41], &mut bench.out);
    assert_eq!(bench.counted(), [Drop::ArpInvalid], "too short");
}

#[test]
fn a_sender_from_elsewhere_gets_no_entry() {
    let mut bench = Bench::new(NET);
    bench.arp(Operation::Request, THEIRS, "10.66.0.9", "192.168.1.1");
    assert_eq!(bench.state("10.66.0.9"), "absent");
}

#[test]
fn a_conflict_is_told_and_the_address_defended_once_in_ten_seconds() {
    let mut bench = Bench::new(NET);
    let mut defences = 0;
    for _ in 0..20 {
        bench.arp(Operation::Request, THEIRS, "192.168.1.1", "192.168.1.1");
        defences += bench.said().len();
        bench.wait(1000);
    }
    assert_eq!(defences, 2);
    let conflict = Event::Conflict { interface: LAN, address: ip("192.168.1.1"), mac: THEIRS };
    assert_eq!(bench.events(), [conflict, conflict]);
    assert!(bench.engine.rows().is_empty(), "our own address is nobody's entry");
    assert!(bench.engine.owns(LAN, ip("192.168.1.1")));
}

#[test]
fn our_own_frames_that_come_back_are_ignored() {
    let mut bench = Bench::new(NET);
    bench.arp(Operation::Request, OURS, "192.168.1.1", "192.168.1.1");
    assert!(bench.said().is_empty() && bench.events().is_empty() && bench.counted().is_empty());
}

#[test]
fn a_neighbour_that_moved_is_followed_and_told_at_most_once_a_second() {
    let mut bench = Bench::new(NET);
    bench.send("192.168.1.9", 1);
    bench.answer(THEIRS, "192.168.1.9");
    bench.events();
    for _ in 0..10 {
        bench.arp(Operation::Request, OTHERS, "192.168.1.9", "192.168.1.9");
        bench.arp(Operation::Request, THEIRS, "192.168.1.9", "192.168.1.9");
    }
    let (interface, address) = (LAN, ip("192.168.1.9"));
    assert_eq!(bench.events(), [Event::Moved { interface, address, from: THEIRS, to: OTHERS }]);
    bench.wait(1000);
    bench.arp(Operation::Request, OTHERS, "192.168.1.9", "192.168.1.9");
    assert_eq!(bench.events().len(), 1);
    let id = bench.entry("192.168.1.9");
    assert_eq!(bench.engine.mac(id, bench.now), Some(OTHERS));
}
