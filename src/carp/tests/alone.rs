//! One speaker, and what it makes of what it hears.

use super::*;
use crate::wire::carp::virtual_mac;
use crate::wire::{Packet, Parsed, arp};

/// A VHID on its own, and what it says.
struct Bench {
    vhid: Vhid,
    now: Instant,
    out: Outbox,
}

impl Bench {
    fn new(config: VhidConfig) -> Self {
        let now = Instant::from_secs(1);
        let mut bench = Bench { vhid: Vhid::new(config, Seed([5, 6]), now), now, out: Outbox::default() };
        bench.vhid.handle_link(now, true, &mut bench.out);
        bench.out = Outbox::default();
        bench
    }

    fn run(&mut self, time: Duration) -> Outbox {
        let end = self.now + time;
        while let Some((due, _)) = self.vhid.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = due.max(self.now);
            self.vhid.handle_timeout(self.now, &mut self.out);
        }
        self.now = end;
        std::mem::take(&mut self.out)
    }

    fn hear(&mut self, from: IpAddr, advert: Repr) -> Outbox {
        self.vhid.handle_advert(self.now, from, &advert, &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn set_master(&mut self, master: bool) -> Outbox {
        self.vhid.set_master(self.now, master, &mut self.out);
        std::mem::take(&mut self.out)
    }
}

#[test]
fn a_new_master_advertises_and_announces_now_and_two_advertisements_later() {
    let mut bench = Bench::new(dual(foreign(0, 0, true)));
    assert_eq!(bench.run(Duration::from_millis(2_999)), Outbox::default());
    assert_eq!(bench.vhid.poll_timeout(), Some((Instant::from_secs(4), Why::MasterDown)));
    let both = [address(V4), address(V6)];
    for second in 0..6 {
        let out = bench.run(SECOND);
        assert_eq!(
            out.adverts.iter().map(|advert| advert.family).collect::<Vec<_>>(),
            [Family::Inet, Family::Inet6]
        );
        let signer = Signer::new("sekrit", VHID, &both);
        assert!(out.adverts.iter().all(|advert| signer.verify(&advert.repr)));
        let announced: &[IpAddr] = if matches!(second, 0 | 2) { &both } else { &[] };
        assert_eq!(out.announce, announced, "second {second}");
    }
    assert_eq!(bench.vhid.snapshot(bench.now).counters.sent, 12);
}

#[test]
fn counters_go_on_from_the_last_one_heard() {
    let mut bench = Bench::new(foreign(0, 100, false));
    for counter in [7, 3, u64::MAX] {
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
    }
    let out = bench.run(Duration::from_millis(3_400));
    assert_eq!(out.adverts[0].repr.counter, 0);
    assert_eq!(out.adverts[0].repr.advskew, 100);
    assert_eq!(bench.vhid.snapshot(bench.now).counters.received, 3);
}

/// Switches that let only the nodes' own addresses through are found out before a takeover needs the others.
#[test]
fn a_backup_that_hears_nothing_of_its_master_says_so() {
    let mut bench = Bench::new(paired(0));
    let silent = |bench: &Bench| bench.vhid.snapshot(bench.now).silent;
    for counter in 1..=20 {
        bench.run(SECOND);
        // The peer's count, and nobody else's.
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
        bench.hear(address("192.0.2.9"), advert("sekrit", 0, 1000 + counter));
        assert!(!silent(&bench), "second {counter}");
    }
    bench.run(6 * SECOND);
    assert!(!silent(&bench), "some may be lost");
    bench.hear(address("192.0.2.9"), advert("sekrit", 0, 2000));
    bench.hear(own(1)[0], advert("another", 0, 2001));
    bench.run(Duration::from_millis(1));
    assert!(silent(&bench));
    bench.hear(own(1)[0], advert("sekrit", 0, 21));
    assert!(!silent(&bench));
    bench.run(7 * SECOND);
    bench.set_master(true);
    assert!(!silent(&bench), "a master hears none");
    bench.set_master(false);
    assert!(!silent(&bench), "it begins to listen");
    bench.run(7 * SECOND);
    assert!(silent(&bench));
}

#[test]
fn what_comes_back_to_its_sender_deposes_nobody() {
    let mut bench = Bench::new(foreign(0, 0, true));
    let out = bench.run(4 * SECOND);
    assert_eq!(bench.vhid.state(), State::Master);
    let said = bench.hear(own(0)[0], out.adverts[0].repr);
    assert_eq!(said, Outbox { events: vec![Event::Repeat { from: own(0)[0] }], ..Outbox::default() });
    assert_eq!(bench.vhid.state(), State::Master);
    assert_eq!(bench.vhid.snapshot(bench.now).counters.reflected, 1);
    // From another it is a tie: ours is the lower address, so the other hears of us again at once.
    bench.run(Duration::from_millis(500));
    let out = bench.hear(own(1)[0], advert("sekrit", 0, 1));
    assert_eq!((out.adverts.len(), out.announce.len(), bench.vhid.state()), (1, 1, State::Master));
    let flood: usize =
        (0..1_000).map(|counter| bench.hear(own(1)[0], advert("sekrit", 0, counter)).adverts.len()).sum();
    assert_eq!(flood, 0, "but not at the other's pace");
}

#[test]
fn what_was_recorded_moves_nobody_whatever_skew_it_was_given() {
    let (peer, other) = (own(1)[0], address("192.0.2.66"));
    let mut bench = Bench::new(foreign(0, 100, true));
    // It says random numbers as long as it hears nobody, and then counts on.
    for counter in [900, 901, 903, 17, 5_000] {
        assert_eq!(bench.hear(peer, advert("sekrit", 0, counter)), Outbox::default());
        bench.run(SECOND);
    }
    let ours = bench.run(4 * SECOND).adverts[0].repr;
    assert_eq!(bench.vhid.state(), State::Master);
    let mut repeats = 0;
    for recorded in
        [900, 901, 903, 17, 5_000].map(|counter| advert("sekrit", 0, counter)).into_iter().chain([ours])
    {
        for (advbase, advskew) in [(1, 0), (1, 100), (1, 254), (255, 255)] {
            for from in [peer, other] {
                let said = bench.hear(from, Repr { advbase, advskew, ..recorded });
                assert_eq!((said.adverts, said.changes), (vec![], vec![]));
                repeats += said.events.len();
            }
        }
    }
    assert_eq!((bench.vhid.state(), repeats), (State::Master, 1));
    assert_eq!(bench.vhid.snapshot(bench.now).counters.replayed, 48);
    // The peer is back, with another random number.
    bench.hear(peer, advert("sekrit", 0, 77));
    assert_eq!(bench.vhid.state(), State::Backup);
}

/// OpenBSD's number is the same in all its advertisements, and another one after it was started again.
#[test]
fn who_does_not_count_is_no_replay() {
    let mut bench = Bench::new(foreign(0, 100, false));
    for cookie in [5_000, 70_000] {
        for _ in 0..300 {
            assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, cookie)), Outbox::default());
            assert_eq!(bench.run(SECOND).changes, []);
        }
        // Ours counts on from there, which does not make a row of it.
        assert_eq!(bench.run(4 * SECOND).adverts[0].repr.counter, cookie + 1);
        let said = bench.hear(own(1)[0], advert("sekrit", 0, cookie));
        assert_eq!((bench.vhid.state(), said.events), (State::Backup, vec![]));
    }
    let said = bench.hear(address("192.0.2.66"), advert("sekrit", 0, 70_000));
    assert_eq!(said.events, [Event::Repeat { from: address("192.0.2.66") }]);
}

/// Two that count on from the same advertisement at the same moment take each other for a replay only once.
#[test]
fn our_own_number_from_another_is_not_used_again() {
    let mut bench = Bench::new(foreign(0, 0, true));
    let said = bench.run(3 * SECOND).adverts[0].repr;
    bench.hear(own(1)[0], said);
    let next = bench.run(SECOND).adverts[0].repr;
    assert!(next.counter.wrapping_sub(said.counter) > 1);
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, said.counter + 1)).adverts.len(), 0);
}

/// After that long another may have taken over; a master speaks again only when it has listened.
#[test]
fn a_master_s_lease_is_the_shortest_patience_of_another() {
    let mut bench = Bench::new(foreign(0, 0, false));
    bench.run(5 * SECOND);
    assert_eq!(bench.vhid.lease(), Some(bench.now + 3 * SECOND));
    // Just in time.
    bench.now += Duration::from_millis(2_999);
    assert_eq!(bench.run(Duration::ZERO).adverts.len(), 1);
    // Too late, whatever comes first: here the other's advertisements, which we would not give way to.
    bench.now += 3 * SECOND;
    let said = bench.hear(own(1)[0], advert("sekrit", 100, 40));
    assert_eq!((said.adverts.len(), said.changes[0].reason), (0, Reason::Late));
    assert_eq!((bench.vhid.state(), bench.vhid.lease()), (State::Backup, None));
    for counter in 41..45 {
        bench.hear(own(1)[0], advert("sekrit", 100, counter));
        assert_eq!(bench.run(SECOND), Outbox::default());
    }
    // The calendar says that our own clock stood still.
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.run(5 * SECOND);
    bench.vhid.handle_clock_jump(bench.now, 2 * SECOND, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Master);
    bench.vhid.handle_clock_jump(bench.now, 3 * SECOND, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Backup);
}

#[test]
fn adverts_to_one_peer_and_the_other_family_to_the_group() {
    let mut config = dual(foreign(0, 0, true));
    config.mode = Mode::Foreign { preempt: true, peer: Some(own(1)[0]) };
    let out = Bench::new(config).run(3 * SECOND);
    assert_eq!(
        out.adverts.iter().map(|advert| advert.to).collect::<Vec<_>>(),
        [To::Peer(own(1)[0]), To::Group]
    );
}

#[test]
fn the_pair_decides_and_nobody_else() {
    let mut bench = Bench::new(paired(0));
    assert_eq!(bench.run(100 * SECOND), Outbox::default(), "silence is not our business");
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 1)), Outbox::default(), "the active peer");
    let out = bench.set_master(true);
    assert_eq!((out.adverts.len(), &out.announce[..]), (1, &[address(V4)][..]));
    assert_eq!(bench.set_master(true), Outbox::default(), "once");
    assert_eq!(bench.run(Duration::from_millis(3_500)).adverts.len(), 3);
    for skew in [0, 240, 255] {
        bench.hear(address("192.0.2.66"), advert("sekrit", skew, u64::from(skew) + 50));
        assert_eq!(bench.vhid.state(), State::Master);
    }
    let out = bench.set_master(false);
    assert_eq!((out.adverts.len(), bench.vhid.state()), (0, State::Backup));
    assert_eq!(bench.run(100 * SECOND), Outbox::default());
    // The link comes back to a node that is told to be MASTER.
    bench.set_master(true);
    bench.vhid.handle_link(bench.now, false, &mut bench.out);
    assert_eq!(bench.vhid.state(), State::Init);
    bench.out = Outbox::default();
    bench.vhid.handle_link(bench.now, true, &mut bench.out);
    assert_eq!((bench.vhid.state(), bench.out.adverts.len()), (State::Master, 1));
}

#[test]
fn alarms_of_a_paired_vhid() {
    let (peer, stranger) = (own(1)[0], address("192.0.2.66"));
    let mut bench = Bench::new(paired(0));
    let events = |bench: &mut Bench, from, advert| bench.hear(from, advert).events;
    assert_eq!(events(&mut bench, peer, advert("other", 0, 1)), [], "perhaps it is being changed");
    assert_eq!(events(&mut bench, stranger, advert("other", 0, 2)), [Event::BadDigest { from: stranger }]);
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 3)), []);
    let repeat = Event::Repeat { from: stranger };
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 3)), [repeat], "played back");
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 4)), [Event::Stranger { from: stranger }]);
    assert_eq!(events(&mut bench, stranger, advert("sekrit", 0, 5)), [], "told already");
    let sent = bench.set_master(true).adverts[0].repr;
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 6)), [], "still on its way at the takeover");
    bench.run(2 * SECOND);
    assert_eq!(events(&mut bench, stranger, sent), [], "our own, played back; told already");
    let goodbye = Repr { advbase: 255, ..advert("sekrit", 255, 7) };
    assert_eq!(events(&mut bench, peer, goodbye), []);
    assert_eq!(events(&mut bench, peer, advert("sekrit", 0, 8)), [Event::OtherMaster { from: peer }]);
    bench.run(10 * SECOND);
    assert_eq!(events(&mut bench, peer, advert("other", 0, 9)), []);
    bench.run(3 * SECOND);
    assert_eq!(events(&mut bench, peer, advert("other", 0, 10)), [Event::ListsDiffer { from: peer }]);
    let counters = bench.vhid.snapshot(bench.now).counters;
    assert_eq!((counters.bad_digest, counters.replayed, counters.received), (4, 2, 8));
}

#[test]
fn another_configuration_keeps_the_state_and_another_vhid_begins_anew() {
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.run(4 * SECOND);
    let mut apply = |config: VhidConfig| {
        bench.vhid.apply(bench.now, config, &mut bench.out);
        (bench.vhid.state(), std::mem::take(&mut bench.out))
    };
    assert_eq!(apply(foreign(0, 0, true)), (State::Master, Outbox::default()));
    let (state, out) = apply(dual(foreign(0, 50, true)));
    assert_eq!((state, out.adverts.len(), out.announce), (State::Master, 2, vec![address(V4), address(V6)]));
    assert_eq!(out.adverts[0].repr.advskew, 50);
    let (state, out) = apply(VhidConfig { vhid: Number(8), ..foreign(0, 50, true) });
    assert_eq!((state, out.adverts.len()), (State::Backup, 2), "the old one takes its leave");
    assert_eq!((out.adverts[0].repr.vhid, out.adverts[0].repr.advbase), (VHID, 255));
    // A backup of the pair has no timers, whatever is applied.
    let mut bench = Bench::new(paired(0));
    bench.vhid.apply(bench.now, dual(paired(0)), &mut bench.out);
    assert_eq!((bench.vhid.poll_timeout(), bench.vhid.state()), (None, State::Backup));
}

#[test]
fn announcements_as_the_bsds_send_them() {
    let mac = virtual_mac(VHID);
    let frame = announcement(mac, address(V4));
    let repr = arp::Repr::parse(frame.bytes()).unwrap();
    assert_eq!((repr.operation, repr.sender_mac, repr.sender), (arp::Operation::Request, mac, repr.target));
    assert_eq!(frame.bytes()[..12], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x5e, 0, 1, 7]);
    let Ok(Parsed::Ip(packet)) = Packet::parse(announcement(mac, address(V6))) else { panic!() };
    assert_eq!((packet.src_mac(), packet.layout.key.dst()), (mac, nd::ALL_NODES.into()));
    let expected = nd::Message::Advertisement {
        target: V6.parse().unwrap(),
        target_mac: Some(mac),
        router: true,
        solicited: false,
        overriding: true,
    };
    assert_eq!(nd::Message::read(&packet), Ok(expected));
}

#[test]
fn the_former_list_is_forgotten() {
    let mut bench = Bench::new(foreign(0, 0, true));
    bench.vhid.apply(bench.now, dual(foreign(0, 0, true)), &mut bench.out);
    for counter in 0..599 {
        bench.run(SECOND);
        bench.hear(own(1)[0], advert("sekrit", 0, counter));
        // The family that it does not know is silent, and that is all.
        assert_eq!(bench.vhid.state(), State::Backup);
    }
    bench.run(SECOND);
    bench.hear(own(1)[0], advert("sekrit", 0, 600));
    bench.run(3 * SECOND);
    assert_eq!(bench.vhid.state(), State::Master);
    // The pair changes both ends at once.
    let mut bench = Bench::new(paired(0));
    bench.vhid.apply(bench.now, dual(paired(0)), &mut bench.out);
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 1)).events, []);
    bench.run(3 * SECOND);
    let told = [Event::ListsDiffer { from: own(1)[0] }];
    assert_eq!(bench.hear(own(1)[0], advert("sekrit", 0, 2)).events, told);
}
