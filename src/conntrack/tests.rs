use super::testing::{LAN, TcpText, Text, WAN, first, key, packet, pending, table};
use super::*;
use crate::types::{Duration, Instant, InterfaceId, RuleId};
use crate::wire::icmp_error::Quoted;
use crate::wire::{Drop, FlowKey, Gso, GsoKind, Packet, protocol, tcp_flags::*};

fn at(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

fn client(port: u16) -> FlowKey {
    key(protocol::TCP, "192.168.1.10", port, "198.51.100.7", 443)
}

fn nat(original: &FlowKey, port: u16) -> FlowKey {
    FlowKey::new(
        original.protocol(),
        original.dst(),
        original.dst_port(),
        "203.0.113.2".parse().unwrap(),
        port,
    )
    .unwrap()
}

fn tcp(key: &FlowKey, flags: u8, seq: u32, ack: u32, len: usize) -> Packet {
    let scale = if flags & SYN != 0 { Some(7) } else { None };
    packet(key, &Text::Tcp(TcpText { flags, seq, ack, window: 60_000, scale }), &vec![1; len])
}

fn go(table: &mut Table, now: u64, packet: &Packet) -> Result<Step, Drop> {
    let hit = table.find(&packet.layout.key).ok_or(Drop::NoFlow)?;
    table.advance(at(now), hit, packet)
}

fn open(table: &mut Table, now: u64, original: &FlowKey, reply: &FlowKey) -> Hit {
    let hit = table.insert(at(now), pending(*original, *reply), &tcp(original, SYN, 1000, 0, 0)).unwrap();
    go(table, now, &tcp(reply, SYN | ACK, 5000, 1001, 0)).unwrap();
    go(table, now, &tcp(original, ACK, 1001, 5001, 0)).unwrap();
    hit
}

/// Runs timers until nothing is due at `now`.
fn settle(table: &mut Table, now: u64) {
    while table.poll_timeout().is_some_and(|(when, _)| when <= at(now)) {
        table.handle_timeout(at(now));
    }
}

fn state(table: &Table, hit: Hit) -> String {
    let (rows, _) = table.list(at(0), &Filter::default(), None, 10_000);
    let original = table.store.key(hit.slot, Way::Original);
    rows.into_iter().find(|row| row.original == original).unwrap().state
}

#[test]
fn a_translated_flow_tells_each_packet_its_way() {
    let mut table = table(10);
    let (original, reply) = (client(4000), nat(&client(4000), 61_000));
    let hit = table.insert(at(0), pending(original, reply), &tcp(&original, SYN, 1, 0, 0)).unwrap();
    assert_eq!((table.len(), hit.way), (1, Way::Original));
    let Step::Forward(answer) = go(&mut table, 0, &tcp(&reply, SYN | ACK, 9, 2, 0)).unwrap() else {
        panic!()
    };
    assert_eq!((answer.to, answer.rewrite), (original.inverse(), true));
    assert_eq!((answer.ingress, answer.egress), (WAN, InterfaceId(0)));
    assert_eq!((answer.pass.rule(), answer.ends_here), (RuleId(1), false));
    assert_ne!(answer.epoch, 9, "nobody has looked up the way back");
    let Step::Forward(onward) = go(&mut table, 0, &tcp(&original, ACK, 2, 10, 0)).unwrap() else { panic!() };
    assert_eq!((onward.to, onward.next_hop, onward.epoch), (reply.inverse(), 3, 9));
    assert_eq!(onward.pass.rule(), RuleId(2));

    table.set_route(hit.slot, Way::Reply, InterfaceId(5), 77, 10);
    let Step::Forward(answer) = go(&mut table, 0, &tcp(&reply, ACK, 10, 2, 0)).unwrap() else { panic!() };
    assert_eq!((answer.egress, answer.next_hop, answer.epoch), (InterfaceId(5), 77, 10));
    let Step::Forward(onward) = go(&mut table, 0, &tcp(&original, ACK, 2, 10, 0)).unwrap() else { panic!() };
    assert_ne!(onward.epoch, 10, "the other way was found in an older epoch");
    assert_eq!(onward.ingress, InterfaceId(5));
}

#[test]
fn only_a_first_packet_begins_a_flow() {
    let mut table = table(10);
    let original = client(1);
    let udp = key(protocol::UDP, "192.168.1.10", 5, "198.51.100.7", 53);
    let ping = key(protocol::ICMP, "192.168.1.10", 0, "198.51.100.7", 8);
    let cases: [(Packet, Result<(), Drop>); 9] = [
        (tcp(&original, ACK, 1, 1, 0), Err(Drop::NoFlow)),
        (tcp(&original, SYN | ACK, 1, 1, 0), Err(Drop::NoFlow)),
        (tcp(&original, RST, 1, 0, 0), Err(Drop::NoFlow)),
        (tcp(&original, SYN | FIN, 1, 0, 0), Err(Drop::TcpFlags)),
        (tcp(&original, SYN, 1, 0, 0), Ok(())),
        (packet(&udp, &Text::Udp, b"?"), Ok(())),
        (packet(&ping.inverse(), &Text::Query { request: false }, b""), Err(Drop::NoFlow)),
        (packet(&ping, &Text::Query { request: true }, b""), Ok(())),
        (first(&key(47, "192.168.1.10", 0, "198.51.100.7", 0)), Ok(())),
    ];
    for (number, (packet, expected)) in cases.iter().enumerate() {
        let key = packet.layout.key;
        let result = table.insert(at(0), pending(key, key.inverse()), packet).map(|_| ());
        assert_eq!(result, *expected, "case {number}");
    }
    assert_eq!((table.len(), table.keys()), (4, 8));
}

#[test]
fn keys_are_entered_both_or_neither() {
    let mut table = table(10);
    let (a, b) = (client(1), client(2));
    table.insert(at(0), pending(a, nat(&a, 61_000)), &first(&a)).unwrap();
    // Its own key is taken; its answers would be another's; it would answer itself.
    let itself = key(protocol::UDP, "192.0.2.1", 9, "192.0.2.1", 9);
    for (original, reply) in [(a, nat(&a, 61_001)), (b, nat(&b, 61_000)), (itself, itself)] {
        assert_eq!(table.insert(at(0), pending(original, reply), &first(&original)), Err(Drop::StateClash));
    }
    assert!(table.find(&b).is_none() && table.find(&itself).is_none());
    assert_eq!((table.len(), table.keys(), table.counters().clashed), (1, 2, 3));
    assert_eq!(table.kill(&Filter::default(), None, 100), (1, None));
    assert_eq!((table.len(), table.keys()), (0, 0));
    assert!(table.find(&a).is_none() && table.find(&nat(&a, 61_000)).is_none());
}

#[test]
fn a_hit_that_has_grown_old_reaches_no_other_flow() {
    let mut table = table(10);
    let (a, b) = (client(1), client(2));
    let hit = table.insert(at(0), pending(a, a.inverse()), &first(&a)).unwrap();
    table.kill(&Filter::default(), None, 100);
    assert_eq!(table.advance(at(0), hit, &first(&a)), Ok(Step::Begin));
    let other = table.insert(at(0), pending(b, b.inverse()), &first(&b)).unwrap();
    assert_eq!(hit.slot, other.slot, "the slot is used again");
    assert_eq!(table.advance(at(0), hit, &first(&a)), Ok(Step::Begin));
    assert_eq!(table.counters().stale, 2);
}

#[test]
fn timers_are_those_of_pf() {
    // Each case: packets of a flow, then the seconds that it lives after the last.
    let udp = key(protocol::UDP, "192.168.1.10", 5, "198.51.100.7", 53);
    let ping = key(protocol::ICMPV6, "2001:db8::1", 77, "2001:db8::2", 128);
    let gre = key(47, "192.168.1.10", 0, "198.51.100.7", 0);
    let t = client(9);
    let r = t.inverse();
    let datagram = |key: &FlowKey| packet(key, &Text::Udp, b"?");
    let answer = packet(&ping.inverse(), &Text::Query { request: false }, b"");
    let cases: Vec<(Vec<Packet>, u64)> = vec![
        (vec![datagram(&udp)], 60),
        (vec![datagram(&udp), datagram(&udp)], 30),
        (vec![datagram(&udp), datagram(&udp.inverse())], 30),
        (vec![datagram(&udp), datagram(&udp.inverse()), datagram(&udp)], 60),
        (vec![first(&ping)], 20),
        (vec![first(&ping), answer], 10),
        (vec![first(&gre)], 60),
        (vec![first(&gre), first(&gre.inverse())], 30),
        (vec![first(&gre), first(&gre.inverse()), first(&gre)], 60),
        (vec![tcp(&t, SYN, 0, 0, 0)], 120),
        (vec![tcp(&t, SYN, 0, 0, 0), tcp(&r, SYN | ACK, 0, 1, 0)], 30),
        (vec![tcp(&t, SYN, 0, 0, 0), tcp(&r, SYN | ACK, 0, 1, 0), tcp(&t, ACK, 1, 1, 0)], 86_400),
        (
            vec![
                tcp(&t, SYN, 0, 0, 0),
                tcp(&r, SYN | ACK, 0, 1, 0),
                tcp(&t, ACK, 1, 1, 0),
                tcp(&t, ACK | FIN, 1, 1, 0),
            ],
            900,
        ),
        (vec![tcp(&t, SYN, 0, 0, 0), tcp(&r, RST | ACK, 0, 1, 0)], 90),
    ];
    for (number, (packets, lives)) in cases.iter().enumerate() {
        let mut table = table(10);
        let original = packets[0].layout.key;
        table.insert(at(100), pending(original, original.inverse()), &packets[0]).unwrap();
        for (step, packet) in packets.iter().enumerate().skip(1) {
            assert!(go(&mut table, 100 + step as u64, packet).is_ok());
        }
        let last = 100 + packets.len() as u64 - 1;
        settle(&mut table, last + lives - 1);
        table.handle_timeout(at(last + lives));
        assert_eq!(table.len(), 1, "case {number} ended early");
        settle(&mut table, last + lives + 1);
        assert_eq!((table.len(), table.keys()), (0, 0), "case {number} lives on");
        assert_eq!(table.poll_timeout(), None);
    }
}

#[test]
fn an_unanswered_syn_ends_however_often_it_is_repeated() {
    let mut table = table(10);
    let original = client(1);
    table.insert(at(0), pending(original, original.inverse()), &tcp(&original, SYN, 5, 0, 0)).unwrap();
    for second in 1..=120 {
        assert!(go(&mut table, second, &tcp(&original, SYN, 5, 0, 0)).is_ok());
        settle(&mut table, second);
    }
    settle(&mut table, 121);
    assert!(table.is_empty());
}

#[test]
fn a_long_silence_of_the_clock_is_caught_up_in_bounded_steps() {
    let mut table = table(5000);
    for port in 0..2000 {
        open(&mut table, 0, &client(port), &client(port).inverse());
    }
    table.handle_timeout(at(200_000));
    assert!(table.len() >= 2000 - 256);
    settle(&mut table, 200_000);
    assert_eq!((table.len(), table.counters().expired), (0, 2000));
}

#[test]
fn refreshed_flows_move_on_in_the_wheel() {
    let mut table = table(10);
    let original = client(1);
    open(&mut table, 0, &original, &original.inverse());
    for hour in 1..50 {
        settle(&mut table, hour * 3600);
        assert!(go(&mut table, hour * 3600, &tcp(&original, ACK, 1001, 5001, 0)).is_ok());
    }
    settle(&mut table, 49 * 3600 + 86_400);
    assert_eq!(table.len(), 1);
    settle(&mut table, 49 * 3600 + 86_401);
    assert!(table.is_empty());
}

#[test]
fn a_flood_takes_room_from_half_open_flows_only() {
    let mut table = table(100);
    for port in 0..50 {
        open(&mut table, 0, &client(port), &client(port).inverse());
    }
    for port in 1000..2000u16 {
        let spoofed =
            key(protocol::TCP, &format!("10.0.{}.{}", port >> 8, port & 255), port, "198.51.100.7", 80);
        table.insert(at(u64::from(port)), pending(spoofed, spoofed.inverse()), &first(&spoofed)).unwrap();
        if port == 1500 {
            // An honest connection amid the flood completes.
            open(&mut table, 1500, &client(60), &client(60).inverse());
        }
    }
    assert_eq!((table.len(), table.keys()), (100, 200));
    assert_eq!(table.counters().evicted, 950 + 1);
    for port in (0..50).chain([60]) {
        assert!(go(&mut table, 2000, &tcp(&client(port), ACK, 1001, 5001, 10)).is_ok(), "{port}");
    }
    // The oldest went first: what is left came last.
    let newest = key(protocol::TCP, "10.0.7.207", 1999, "198.51.100.7", 80);
    assert!(table.find(&newest).is_some());
}

#[test]
fn a_table_full_of_established_flows_refuses() {
    let mut table = table(10);
    for port in 0..10 {
        open(&mut table, 0, &client(port), &client(port).inverse());
    }
    let late = client(99);
    assert_eq!(table.insert(at(1), pending(late, late.inverse()), &first(&late)), Err(Drop::StateLimit));
    assert_eq!((table.counters().limited, table.len(), table.keys()), (1, 10, 20));
}

#[test]
fn a_source_has_only_so_many_half_open_flows() {
    let mut table = table(1000);
    table.apply(ConntrackConfig { half_open_per_source: 5, ..table.config });
    for port in 0..5 {
        let original = client(port);
        table.insert(at(0), pending(original, original.inverse()), &tcp(&original, SYN, 1000, 0, 0)).unwrap();
    }
    let sixth = client(6);
    assert_eq!(table.insert(at(0), pending(sixth, sixth.inverse()), &first(&sixth)), Err(Drop::SourceLimit));
    // Others are not affected, and one that completes makes room.
    let other = key(protocol::UDP, "192.168.1.11", 5, "198.51.100.7", 53);
    assert!(table.insert(at(0), pending(other, other.inverse()), &first(&other)).is_ok());
    go(&mut table, 0, &tcp(&client(0).inverse(), SYN | ACK, 5000, 1001, 0)).unwrap();
    assert_eq!(table.insert(at(0), pending(sixth, sixth.inverse()), &first(&sixth)), Err(Drop::SourceLimit));
    go(&mut table, 0, &tcp(&client(0), ACK, 1001, 5001, 0)).unwrap();
    assert!(table.insert(at(0), pending(sixth, sixth.inverse()), &first(&sixth)).is_ok());
    assert_eq!(table.counters().source_limited, 2);
    // IPv6 sources are counted by their /64.
    for host in 0..6 {
        let v6 = key(protocol::UDP, &format!("2001:db8:0:7::{host}"), 5, "2001:db8::2", 53);
        let result = table.insert(at(0), pending(v6, v6.inverse()), &first(&v6)).map(|_| ());
        assert_eq!(result, if host < 5 { Ok(()) } else { Err(Drop::SourceLimit) });
    }
    settle(&mut table, 500_000);
    assert_eq!(table.sources.get(client(0).src()), 0);
}

#[test]
fn a_closed_connection_makes_way_for_a_new_one() {
    let mut table = table(10);
    let original = client(1);
    open(&mut table, 0, &original, &original.inverse());
    let challenge = Challenge { seq: 5001, ack: 1001 };
    assert_eq!(go(&mut table, 1, &tcp(&original, SYN, 50, 0, 0)), Ok(Step::Challenge(challenge)));
    go(&mut table, 1, &tcp(&original, RST, 1001, 0, 0)).unwrap();
    assert_eq!(go(&mut table, 1, &tcp(&original, SYN, 50, 0, 0)), Ok(Step::Begin));
    assert_eq!((table.len(), table.counters().restarted, table.counters().mismatched), (0, 1, 1));
}

#[test]
fn forged_resets_and_nonsense_leave_the_state_established() {
    let mut table = table(10);
    let original = client(1);
    let hit = open(&mut table, 0, &original, &original.inverse());
    for seq in (0..64).map(|step| step * 60_000) {
        assert_eq!(go(&mut table, 1, &tcp(&original.inverse(), RST, seq, 0, 0)), Err(Drop::StateMismatch));
    }
    assert_eq!(go(&mut table, 1, &tcp(&original, FIN, 1001, 0, 0)), Err(Drop::TcpFlags));
    assert_eq!(state(&table, hit), "ESTABLISHED:ESTABLISHED");
    assert!(go(&mut table, 2, &tcp(&original.inverse(), ACK, 5001, 1001, 1000)).is_ok());
}

#[test]
fn questions_and_answers_keep_their_ways() {
    let mut table = table(10);
    // The identifier equals the type, so that question and answer have the same key.
    for id in [0, 8, 77] {
        let ping = key(protocol::ICMP, "192.168.1.10", id, "198.51.100.7", 8);
        table.insert(at(0), pending(ping, ping.inverse()), &first(&ping)).unwrap();
        let answer = packet(&ping.inverse(), &Text::Query { request: false }, b"");
        assert!(go(&mut table, 0, &answer).is_ok());
    }
    let backwards = key(protocol::ICMP, "198.51.100.7", 8, "192.168.1.10", 8);
    let question = packet(&backwards, &Text::Query { request: true }, b"");
    assert_eq!(go(&mut table, 0, &question), Err(Drop::StateMismatch));
}

#[test]
fn a_superpacket_counts_its_segments() {
    let mut table = table(10);
    let original = client(1);
    open(&mut table, 0, &original, &original.inverse());
    let mut packet = tcp(&original.inverse(), ACK, 5001, 1001, 3000);
    packet.frame.gso = Some(Gso { kind: GsoKind::Tcp4, ecn: false, size: 1448 });
    go(&mut table, 5, &packet).unwrap();
    let (rows, end) = table.list(at(7), &Filter::default(), None, 10);
    let row = &rows[0];
    assert_eq!((row.packets, end), ([2, 4], None));
    assert_eq!(row.bytes[1], 44 + 3 * 40 + 3000);
    assert_eq!((row.age, row.expires), (Duration::from_secs(7), Duration::from_millis(86_398_500)));
    assert_eq!((row.rules, row.translated()), ([RuleId(1), RuleId(2)], false));
}

#[test]
fn lists_and_kills_what_fits() {
    let mut table = table(100);
    for port in 0..20 {
        open(&mut table, 0, &client(port), &nat(&client(port), 61_000 + port));
    }
    let v6 = key(protocol::UDP, "2001:db8::1", 5, "2001:db8::2", 53);
    table.insert(at(0), pending(v6, v6.inverse()), &first(&v6)).unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (rows, next) = table.list(at(0), &Filter::default(), cursor, 7);
        seen.extend(rows);
        if next.is_none() {
            break;
        }
        cursor = next;
    }
    assert_eq!(seen.len(), 21);
    let count = |filter: Filter| table.list(at(0), &filter, None, 1000).0.len();
    assert_eq!(count(Filter { port: Some(61_003), ..Filter::default() }), 1);
    assert_eq!(count(Filter { protocol: Some(protocol::UDP), ..Filter::default() }), 1);
    assert_eq!(count(Filter { address: Some("203.0.113.2/32".parse().unwrap()), ..Filter::default() }), 20);
    assert_eq!(count(Filter { source: Some("203.0.113.2/32".parse().unwrap()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { destination: Some("2001:db8::/64".parse().unwrap()), ..Filter::default() }), 1);
    assert_eq!(count(Filter { interface: Some(WAN), ..Filter::default() }), 21);
    assert_eq!(count(Filter { rule: Some(RuleId(3)), ..Filter::default() }), 0);
    let id = Filter { id: Some(seen[4].id), ..Filter::default() };
    assert_eq!(table.kill(&id, None, 1), (1, None));
    assert_eq!(table.kill(&id, None, 1), (0, None), "a wrong number kills nothing");
    assert_eq!(table.kill(&Filter { id: Some(u64::MAX), ..Filter::default() }, None, 1), (0, None));
    let (killed, cursor) = table.kill(&Filter::default(), None, 7);
    assert_eq!((killed, cursor.is_some()), (6, true));
    assert_eq!(table.counters().killed, 7);
}

/// Page after page, as many slots at a time, until the end; the ids in their order, and the largest count.
fn leaf_through(table: &Table, filter: Filter, page: usize, reach: usize, step: usize) -> (Vec<u64>, u64) {
    let (mut seen, mut after, mut found) = (Vec::new(), None, 0);
    loop {
        let mut survey = Survey::page(filter, after, page, reach).counting();
        while !survey.is_done() {
            table.survey(at(0), &mut survey, step);
        }
        assert!(survey.rows().len() <= page && survey.looked() <= reach as u64 + step as u64);
        found = found.max(survey.found());
        seen.extend(survey.rows().iter().map(|row| row.id));
        match survey.next() {
            Some(next) => after = Some(next),
            None => return (seen, found),
        }
    }
}

#[test]
fn a_survey_leafs_through_all_that_fits_whatever_the_steps() {
    let mut table = table(200);
    for port in 0..60 {
        open(&mut table, 0, &client(port), &nat(&client(port), 61_000 + port));
    }
    let v6 = key(protocol::UDP, "2001:db8::1", 5, "2001:db8::2", 53);
    table.insert(at(0), pending(v6, v6.inverse()), &first(&v6)).unwrap();
    let some = Filter { stage: Some(Stage::Established), ..Filter::default() };
    let opening = Filter { stage: Some(Stage::Opening), ..Filter::default() };
    for filter in [Filter::default(), some, opening, Filter { port: Some(61_007), ..some }] {
        let expected: Vec<u64> =
            table.list(at(0), &filter, None, 1000).0.into_iter().map(|row| row.id).collect();
        for (page, reach, step) in [(7, 1000, 5), (7, 10, 3), (100, 1000, 1000), (1, 1000, 64), (60, 61, 61)]
        {
            let (seen, found) = leaf_through(&table, filter, page, reach, step);
            assert_eq!(seen, expected, "{filter:?}, pages of {page}, {reach} in steps of {step}");
            assert!(found <= expected.len() as u64);
        }
        // Without counting, a page ends as soon as it is full.
        let mut survey = Survey::page(filter, None, 3, 1000);
        while !survey.is_done() {
            table.survey(at(0), &mut survey, 1000);
        }
        let rows: Vec<u64> = survey.rows().iter().map(|row| row.id).collect();
        assert_eq!(rows, expected.iter().take(3).copied().collect::<Vec<_>>());
        assert_eq!(survey.next().is_some(), expected.len() > 3);
    }
    assert_eq!(table.list(at(0), &opening, None, 1000).0.len(), 1);
}

#[test]
fn a_survey_sums_up_by_group() {
    let mut table = table(200);
    for port in 0..30 {
        open(&mut table, 0, &client(port), &nat(&client(port), 61_000 + port));
    }
    let v6 = key(protocol::UDP, "2001:db8::1", 5, "2001:db8::2", 53);
    table.insert(at(0), pending(v6, v6.inverse()), &first(&v6)).unwrap();
    let sums = |by: By| {
        let mut survey = Survey::sums(Filter::default(), by, 1000);
        while !survey.is_done() {
            table.survey(at(0), &mut survey, 7);
        }
        assert!(survey.is_over() && survey.others() == Sum::default());
        survey.largest(10).into_iter().map(|(group, sum)| (group, sum.flows)).collect::<Vec<_>>()
    };
    let address = |text: &str| Group::Address(text.parse().unwrap());
    assert_eq!(sums(By::Source), [(Group::Address(client(0).src()), 30), (address("2001:db8::1"), 1)]);
    assert_eq!(sums(By::Destination), [(Group::Address(client(0).dst()), 30), (address("2001:db8::2"), 1)]);
    assert_eq!(sums(By::Rule), [(Group::Rule(RuleId(1)), 31)]);
    assert_eq!(sums(By::Interface), [(Group::Interface(LAN), 31)]);
}

#[test]
fn errors_are_related_by_what_they_quote() {
    let mut table = table(10);
    let (original, reply) = (client(1), nat(&client(1), 61_000));
    open(&mut table, 0, &original, &reply);
    go(&mut table, 1, &tcp(&original, ACK, 1001, 5001, 1000)).unwrap();
    let error = |src: &str, dst: &str| super::testing::icmp_error(src, dst, b"quoted");
    let quote = |key: FlowKey, seq| Quoted { key, l3: 42, l4: 62, transport_len: 8, tcp_seq: Some(seq) };
    let before = table.list(at(1), &Filter::default(), None, 10);

    // From a router outside, about what left translated.
    let outside = error("198.18.0.1", "203.0.113.2");
    let related = table.related(&outside, &quote(reply.inverse(), 1001)).unwrap();
    assert_eq!(
        (related.quoted, related.dst, related.src),
        (original, original.src(), outside.layout.key.src())
    );
    assert_eq!(
        (related.hit.way, related.route.ingress, related.route.egress),
        (Way::Reply, WAN, InterfaceId(0))
    );
    // From the client, about what came in: it must not show its address.
    let inside = error("192.168.1.10", "198.51.100.7");
    let related = table.related(&inside, &quote(original.inverse(), 5001)).unwrap();
    assert_eq!((related.quoted, related.dst, related.src), (reply, reply.src(), reply.dst()));
    assert_eq!(related.hit.way, Way::Original);

    let refused = [
        (error("198.18.0.1", "203.0.113.99"), quote(reply.inverse(), 1001)), // to somebody else
        (error("198.18.0.1", "203.0.113.2"), quote(reply.inverse(), 999)),   // before what is under way
        (error("198.18.0.1", "203.0.113.2"), quote(reply.inverse(), 2002)),  // not sent yet
        (error("198.18.0.1", "203.0.113.2"), Quoted { tcp_seq: None, ..quote(reply.inverse(), 0) }),
        (error("198.18.0.1", "192.168.1.10"), quote(original, 1001)), // not as it was sent
        (error("198.18.0.1", "203.0.113.2"), quote(nat(&client(1), 61_001).inverse(), 1001)),
    ];
    for (number, (error, quoted)) in refused.iter().enumerate() {
        assert_eq!(table.related(error, quoted), Err(Drop::IcmpUnmatched), "case {number}");
    }
    assert_eq!(table.counters().icmp_unmatched, 6);
    assert_eq!(table.list(at(1), &Filter::default(), None, 10), before, "errors change nothing");
}
