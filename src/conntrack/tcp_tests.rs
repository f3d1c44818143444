use super::*;
use crate::conntrack::timer::Class;
use Outcome::{Accept, Challenge, Ignore, Mismatch, Restart};
use Way::{Original, Reply};
use proptest::prelude::*;
use tcp_flags::{ACK, FIN, PSH, RST, SYN};

const ISN: [u32; 2] = [1_000_000, 0xffff_f000];

/// A segment; numbers count from the initial sequence numbers of the two ends.
struct Line(Way, u8, u32, u32, u32);

fn segment(way: Way, flags: u8, seq: u32, ack: u32, len: u32) -> Segment {
    let (from, to) = (ISN[way.index()], ISN[way.other().index()]);
    let ack = if flags & ACK == 0 { 0 } else { to.wrapping_add(ack) };
    Segment { flags, seq: from.wrapping_add(seq), ack, window: 8000, len, scale: None }
}

fn play(tcp: &mut Tcp, lines: &[(Line, Outcome)]) {
    for (number, (Line(way, flags, seq, ack, len), expected)) in lines.iter().enumerate() {
        let outcome = tcp.advance(*way, &segment(*way, *flags, *seq, *ack, *len));
        assert_eq!(outcome, *expected, "line {number}: {tcp:?}");
    }
}

fn opening() -> Tcp {
    Tcp::begin(&segment(Original, SYN, 0, 0, 0))
}

fn established() -> Tcp {
    let mut tcp = opening();
    play(&mut tcp, &[(Line(Reply, SYN | ACK, 0, 1, 0), Accept), (Line(Original, ACK, 1, 1, 0), Accept)]);
    assert_eq!(Class::of_tcp(&tcp), Class::TcpEstablished);
    tcp
}

#[test]
fn a_connection_opens_talks_and_closes() {
    let mut tcp = opening();
    let stages: [(Line, Class); 9] = [
        (Line(Reply, SYN | ACK, 0, 1, 0), Class::TcpOpening),
        (Line(Original, ACK, 1, 1, 0), Class::TcpEstablished),
        (Line(Original, ACK | PSH, 1, 1, 500), Class::TcpEstablished),
        (Line(Reply, ACK, 1, 501, 4000), Class::TcpEstablished),
        (Line(Original, ACK | FIN, 501, 4001, 0), Class::TcpClosing),
        (Line(Reply, ACK, 4001, 502, 0), Class::TcpClosing),
        // Half-closed: the other end goes on.
        (Line(Reply, ACK | PSH, 4001, 502, 1000), Class::TcpClosing),
        (Line(Reply, ACK | FIN, 5001, 502, 0), Class::TcpFinWait),
        (Line(Original, ACK, 502, 5002, 0), Class::TcpClosed),
    ];
    assert_eq!(Class::of_tcp(&tcp), Class::TcpFirst);
    for (number, (line, class)) in stages.into_iter().enumerate() {
        play(&mut tcp, &[(line, Accept)]);
        assert_eq!(Class::of_tcp(&tcp), class, "stage {number}");
    }
    // The last ACK may be lost and the FIN come again.
    play(&mut tcp, &[(Line(Reply, ACK | FIN, 5001, 502, 0), Accept)]);
    assert_eq!(tcp.advance(Original, &segment(Original, SYN, 77_777, 0, 0)), Restart);
}

#[test]
fn handshakes() {
    // Retransmissions of every step.
    play(
        &mut opening(),
        &[
            (Line(Original, SYN, 0, 0, 0), Ignore),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
            (Line(Original, SYN, 0, 0, 0), Accept),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
            (Line(Original, ACK, 1, 1, 0), Accept),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
            (Line(Original, SYN, 0, 0, 0), Challenge),
        ],
    );
    // Simultaneous open (RFC 9293 figure 7).
    let mut both = opening();
    play(
        &mut both,
        &[
            (Line(Reply, SYN, 0, 0, 0), Accept),
            (Line(Original, SYN | ACK, 0, 1, 0), Accept),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
            (Line(Original, ACK | PSH, 1, 1, 100), Accept),
        ],
    );
    assert_eq!(Class::of_tcp(&both), Class::TcpEstablished);
    // An old SYN+ACK does not poison the window; the right one is accepted afterwards.
    play(
        &mut opening(),
        &[
            (Line(Reply, SYN | ACK, 0, 70_000, 0), Mismatch),
            (Line(Reply, SYN | ACK, 0, 0, 0), Mismatch),
            (Line(Reply, SYN | ACK, 500, 2, 0), Mismatch),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
            (Line(Original, ACK, 1, 1, 0), Accept),
        ],
    );
    // A server with a stale connection challenges, the client resets, its next SYN works (RFC 5961 section 4.2).
    play(
        &mut opening(),
        &[
            (Line(Reply, ACK, 123_456, 654_321, 0), Ignore),
            (Line(Original, RST, 654_321, 0, 0), Ignore),
            (Line(Original, SYN, 0, 0, 0), Ignore),
            (Line(Reply, SYN | ACK, 0, 1, 0), Accept),
        ],
    );
    // The client gave up and tries again from the same port.
    play(&mut opening(), &[(Line(Original, SYN, 99, 0, 0), Restart)]);
    // Nothing but a SYN or a reset answers a SYN.
    play(
        &mut opening(),
        &[
            (Line(Reply, ACK | PSH, 1, 1, 100), Mismatch),
            (Line(Reply, ACK | FIN, 1, 1, 0), Mismatch),
            (Line(Original, ACK, 1, 1, 0), Mismatch),
            (Line(Original, SYN | ACK, 0, 1, 0), Mismatch),
        ],
    );
}

#[test]
fn refused_connections_need_the_right_number() {
    let zero = Segment { flags: RST | ACK, seq: 0, ack: 0, window: 0, len: 0, scale: None };
    let mut tcp = opening();
    assert_eq!(tcp.advance(Reply, &zero), Mismatch);
    assert_eq!(tcp.advance(Reply, &Segment { flags: RST, ..zero }), Mismatch);
    assert_eq!(tcp.advance(Reply, &Segment { ack: ISN[0] + 1, ..zero }), Accept);
    assert_eq!(Class::of_tcp(&tcp), Class::TcpClosed);
    assert_eq!(tcp.advance(Original, &segment(Original, SYN, 5, 0, 0)), Restart);
    // The client itself gives up.
    let mut tcp = opening();
    play(&mut tcp, &[(Line(Original, RST, 1, 0, 0), Accept)]);
    assert_eq!(Class::of_tcp(&tcp), Class::TcpClosed);
}

#[test]
fn resets_are_exact() {
    let talked = || {
        let mut tcp = established();
        play(
            &mut tcp,
            &[
                (Line(Original, ACK | PSH, 1, 1, 1000), Accept),
                (Line(Reply, ACK, 1, 1001, 0), Accept),
                // A hole: 1001 to 2001 was lost before it came here.
                (Line(Original, ACK | PSH, 2001, 1, 1000), Accept),
                (Line(Reply, ACK, 1, 1001, 0), Accept),
            ],
        );
        tcp
    };
    for (seq, expected) in [
        (3001, Accept),
        (3000, Accept),
        (3002, Accept),
        (1001, Accept), // what the receiver expects: before the hole
        (1000, Mismatch),
        (1002, Mismatch),
        (2999, Mismatch),
        (3003, Mismatch),
        (9000, Mismatch),
        (1_000_000, Mismatch),
    ] {
        let mut tcp = talked();
        play(&mut tcp, &[(Line(Original, RST, seq, 0, 0), expected)]);
        let closed = Class::of_tcp(&tcp) == Class::TcpClosed;
        assert_eq!(closed, expected == Accept, "{seq}");
    }
    // OpenBSD's fakeack_rst: an acknowledgement of zero, slightly behind the window, is not perfect.
    let mut tcp = talked();
    let fake = Segment { ack: 0, ..segment(Original, RST | ACK, 990, 0, 0) };
    assert_eq!(tcp.advance(Original, &fake), Mismatch);
    // In the closing phases the numbers vary.
    play(
        &mut tcp,
        &[(Line(Original, ACK | FIN, 3001, 1, 0), Accept), (Line(Original, RST, 2500, 0, 0), Accept)],
    );
}

#[test]
fn windows() {
    // 1: not beyond what was offered (8000), which a zero window still makes one byte.
    play(
        &mut established(),
        &[
            (Line(Original, ACK, 1, 1, 8000), Accept),
            (Line(Original, ACK, 8001, 1, 1), Mismatch),
            (Line(Reply, ACK, 1, 8001, 0), Accept),
            (Line(Original, ACK, 8001, 1, 8001), Mismatch),
        ],
    );
    let mut tcp = established();
    play(&mut tcp, &[(Line(Original, ACK, 1, 1, 8000), Accept)]);
    let closed = Segment { window: 0, ..segment(Reply, ACK, 1, 8001, 0) };
    assert_eq!(tcp.advance(Reply, &closed), Accept);
    play(
        &mut tcp,
        &[
            (Line(Original, ACK, 8001, 1, 1), Accept),   // zero-window probe
            (Line(Original, ACK, 8001, 1, 2), Mismatch), // more than a probe
            (Line(Original, ACK, 8000, 1, 1), Accept),   // keep-alive with a garbage byte
            (Line(Original, ACK, 8000, 1, 0), Accept),   // and without
            (Line(Original, ACK, 2, 1, 1460), Accept),   // 2: all acknowledged, sent again
        ],
    );
    // 2: but only one window back.
    let mut tcp = established();
    for step in 0..10 {
        play(
            &mut tcp,
            &[
                (Line(Original, ACK, 1 + step * 8000, 1, 8000), Accept),
                (Line(Reply, ACK, 1, 8001 + step * 8000, 0), Accept),
            ],
        );
    }
    play(
        &mut tcp,
        &[
            (Line(Original, ACK, 72_001, 1, 100), Accept),
            (Line(Original, ACK, 72_000, 1, 100), Mismatch),
            (Line(Reply, ACK, 1, 80_001 + FUDGE, 0), Accept), // 3
            (Line(Reply, ACK, 1, 80_002 + FUDGE, 0), Mismatch), // 3
            (Line(Reply, ACK, 1, 80_001 - FUDGE, 0), Accept), // 4
            (Line(Reply, ACK, 1, 80_000 - FUDGE, 0), Mismatch), // 4
        ],
    );
}

#[test]
fn scaling_needs_both_syns() {
    for (offered, answered, scaled) in
        [(Some(7), Some(3), true), (Some(7), None, false), (None, Some(3), false)]
    {
        let syn = Segment { window: 1000, scale: offered, ..segment(Original, SYN, 0, 0, 0) };
        let mut tcp = Tcp::begin(&syn);
        let answer = Segment { window: 1000, scale: answered, ..segment(Reply, SYN | ACK, 0, 1, 0) };
        assert_eq!(tcp.advance(Reply, &answer), Accept);
        // The windows of SYNs are never scaled.
        assert_eq!(tcp.peers[0].high, ISN[0].wrapping_add(1001));
        assert_eq!(tcp.peers[1].high, ISN[1].wrapping_add(1001));
        let ack = Segment { window: 1000, ..segment(Original, ACK, 1, 1, 0) };
        assert_eq!(tcp.advance(Original, &ack), Accept);
        let offered = if scaled { 1000 << 7 } else { 1000 };
        assert_eq!(tcp.peers[1].high, ISN[1].wrapping_add(1 + offered));
        let units = if scaled { [1000, 125] } else { [1000, 1000] };
        assert_eq!(tcp.peers.map(|peer| peer.window), units);
    }
}

#[test]
fn a_superpacket_counts_whole() {
    let syn = Segment { window: 65535, scale: Some(8), ..segment(Original, SYN, 0, 0, 0) };
    let mut tcp = Tcp::begin(&syn);
    let answer = Segment { scale: Some(8), ..segment(Reply, SYN | ACK, 0, 1, 0) };
    assert_eq!(tcp.advance(Reply, &answer), Accept);
    play(
        &mut tcp,
        &[
            (Line(Original, ACK, 1, 1, 0), Accept),
            (Line(Reply, ACK, 1, 1, 65_160), Accept),
            (Line(Original, ACK, 1, 65_161, 0), Accept),
            (Line(Reply, ACK, 65_161, 1, 65_160), Accept),
        ],
    );
}

#[test]
fn a_syn_on_a_living_connection_is_not_believed() {
    let mut tcp = established();
    let before = tcp;
    play(
        &mut tcp,
        &[
            (Line(Original, SYN, 100, 0, 0), Challenge),
            (Line(Reply, SYN, 100, 0, 0), Challenge),
            (Line(Original, SYN, 1_000_000, 0, 0), Challenge),
        ],
    );
    assert_eq!(tcp, before);
}

#[test]
fn impossible_flags() {
    let odd = [0, FIN, PSH, SYN | RST, SYN | FIN, SYN | FIN | ACK, FIN | PSH, RST | FIN, 0x20];
    let fine = [SYN, SYN | ACK, ACK, RST, RST | ACK, FIN | ACK, PSH | ACK, SYN | PSH, RST | ACK | PSH];
    assert!(odd.iter().all(|flags| segment(Original, *flags, 0, 0, 0).is_impossible()));
    assert!(fine.iter().all(|flags| !segment(Original, *flags, 0, 0, 0).is_impossible()));
    assert!(segment(Original, SYN | PSH, 0, 0, 0).is_first());
    assert!(![SYN | ACK, ACK, RST, SYN | FIN].iter().any(|f| segment(Original, *f, 0, 0, 0).is_first()));
}

/// One end of a connection that keeps to the rules, as simply as possible.
#[derive(Clone, Copy)]
struct End {
    next: u32,
    acked: u32,
    received: u32,
}

proptest! {
    /// Two ends that keep to the offered windows are never disturbed, whatever is lost, doubled or acknowledged late.
    #[test]
    fn well_behaved_ends_always_pass(
        isn in any::<[u32; 2]>(),
        scale in 0u8..15,
        steps in proptest::collection::vec((any::<bool>(), 0u32..66_000, 0u8..6), 1..200),
    ) {
        let window = 60_000u32;
        let syn = Segment { flags: SYN, seq: isn[0], ack: 0, window: 60_000, len: 0, scale: Some(scale) };
        let mut tcp = Tcp::begin(&syn);
        let answer = Segment { flags: SYN | ACK, seq: isn[1], ack: isn[0].wrapping_add(1), ..syn };
        prop_assert_eq!(tcp.advance(Reply, &answer), Accept);
        let field = (window >> scale) as u16;
        let start = |way: usize| End { next: isn[way].wrapping_add(1), acked: isn[way].wrapping_add(1), received: isn[1 - way].wrapping_add(1) };
        let mut ends = [start(0), start(1)];
        let open = Segment { flags: ACK, seq: ends[0].next, ack: ends[0].received, window: field, len: 0, scale: None };
        prop_assert_eq!(tcp.advance(Original, &open), Accept);
        let window = u32::from(field) << scale;
        for (reply, size, fate) in steps {
            let way = if reply { Reply } else { Original };
            let (from, to) = (way.index(), way.other().index());
            let room = window.saturating_sub(ends[from].next.wrapping_sub(ends[from].acked));
            let (seq, len) = match fate {
                // Sent again from the oldest unacknowledged byte.
                0 => (ends[from].acked, size.min(ends[from].next.wrapping_sub(ends[from].acked))),
                // A bare acknowledgement.
                1 => (ends[from].next, 0),
                2..=5 => (ends[from].next, size.min(room)),
                _ => unreachable!("fate {fate}"),
            };
            let segment = Segment { flags: ACK, seq, ack: ends[from].received, window: field, len, scale: None };
            if fate != 2 {
                prop_assert_eq!(tcp.advance(way, &segment), Accept);
            }
            let end = seq.wrapping_add(len);
            ends[from].next = later(ends[from].next, end);
            // Received in order, and behind us not lost.
            if fate > 3 && at_most(seq, ends[to].received) {
                ends[to].received = later(ends[to].received, end);
            }
            if fate > 2 {
                ends[to].acked = later(ends[to].acked, ends[from].received);
            }
        }
        prop_assert_eq!(Class::of_tcp(&tcp), Class::TcpEstablished);
    }

    /// Whatever comes, a phase never goes back and `acked <= low` holds.
    #[test]
    fn any_segments_keep_the_invariants(
        segments in proptest::collection::vec((any::<bool>(), any::<u8>(), any::<i16>(), any::<i16>(), any::<u16>(), 0u32..65_000), 0..100),
    ) {
        let mut tcp = established();
        for (reply, flags, seq, ack, window, len) in segments {
            let way = if reply { Reply } else { Original };
            let near = |number: u32, by: i16| number.wrapping_add_signed(i32::from(by));
            let (from, to) = (tcp.peers[way.index()], tcp.peers[way.other().index()]);
            let segment = Segment { flags, seq: near(from.low, seq), ack: near(to.low, ack), window, len, scale: Some(flags & 15) };
            if segment.is_impossible() {
                continue;
            }
            let before = tcp;
            let outcome = tcp.advance(way, &segment);
            for (old, new) in before.peers.iter().zip(&tcp.peers) {
                prop_assert!(old.phase <= new.phase && at_most(new.acked, new.low) && at_most(old.low, new.low));
            }
            prop_assert!(outcome == Accept || before == tcp);
        }
    }
}

/// An end of a connection at a takeover: what it has sent, what of that is acknowledged, and what it may send.
#[derive(Clone, Copy, Debug)]
struct Far {
    una: u32,
    nxt: u32,
    edge: u32,
    /// What it has received, and acknowledges.
    rcv: u32,
    window: u16,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Whatever well-behaved ends do after a takeover passes, however far they have come since the router that takes over
    /// last heard of them, and whoever speaks first.
    #[test]
    fn ends_that_have_come_far_go_on(
        scales in prop::array::uniform2(0u8..15),
        windows in prop::array::uniform2(2u16..),
        stale in prop::array::uniform2(1u16..),
        isn in any::<[u32; 2]>(),
        come in any::<[u32; 2]>(),
        flying in any::<[u32; 2]>(),
        steps in prop::collection::vec((any::<bool>(), 0u8..3, any::<u32>(), any::<u32>(), any::<u32>()), 1..60),
    ) {
        let peer = |way: usize| Peer {
            phase: Phase::Established,
            low: isn[way].wrapping_add(1),
            high: isn[way].wrapping_add(1 + u32::from(stale[1 - way])),
            acked: isn[way].wrapping_add(1),
            window: stale[way].min(windows[way]),
            scale: Some(scales[way]),
        };
        let mut tcp = Tcp { peers: [peer(0), peer(1)], loose: false };
        let room = |way: usize| u32::from(windows[1 - way]) << scales[1 - way];
        let mut ends = [0, 1].map(|way| {
            let una = isn[way].wrapping_add(come[way]);
            let (nxt, edge) = (una.wrapping_add(flying[way] % (room(way) + 1)), una.wrapping_add(room(way)));
            Far { una, nxt, edge, rcv: 0, window: windows[way] }
        });
        (ends[0].rcv, ends[1].rcv) = (ends[1].una, ends[0].una);
        let mut learned = false;
        for (answer, kind, size, place, more) in steps {
            let (way, from, to) = if answer { (Reply, 1, 0) } else { (Original, 0, 1) };
            let Far { una, nxt, edge, .. } = ends[from];
            // It has received more of what the other end has sent, perhaps through the router before us.
            let unreceived = ends[to].nxt.wrapping_sub(ends[from].rcv);
            ends[from].rcv = ends[from].rcv.wrapping_add(more % (unreceived + 1));
            ends[to].una = ends[from].rcv;
            ends[to].edge = later(ends[to].edge, ends[from].rcv.wrapping_add(room(to)));
            let (seq, len) = match kind {
                0 => (nxt, size % 65_000 % (edge.wrapping_sub(nxt) + 1)),
                1 => {
                    let flight = nxt.wrapping_sub(una);
                    let seq = una.wrapping_add(place % (flight + 1));
                    (seq, size % 65_000 % (nxt.wrapping_sub(seq) + 1))
                }
                _ => (nxt, 0),
            };
            ends[from].nxt = later(nxt, seq.wrapping_add(len));
            let segment = Segment { flags: ACK, seq, ack: ends[from].rcv, window: ends[from].window, len, scale: None };
            let outcome = if learned { tcp.advance(way, &segment) } else { tcp.relearn(way, &segment) };
            learned = true;
            prop_assert_eq!(outcome, Accept, "{:?} {:?} {:?}", segment, tcp, ends);
        }
    }

    #[test]
    fn a_reset_teaches_nothing(isn in any::<[u32; 2]>(), seq in any::<u32>(), ack in any::<u32>(), answer in any::<bool>()) {
        let peer = |way: usize| Peer {
            phase: Phase::Established,
            low: isn[way],
            high: isn[way].wrapping_add(8000),
            acked: isn[way],
            window: 8000,
            scale: None,
        };
        let mut tcp = Tcp { peers: [peer(0), peer(1)], loose: false };
        let (way, from) = if answer { (Reply, 1) } else { (Original, 0) };
        let before = tcp;
        let reset = Segment { flags: RST, seq, ack, window: 0, len: 0, scale: None };
        if distance(seq, isn[from]).unsigned_abs() > 1 {
            prop_assert_eq!(tcp.relearn(way, &reset), Mismatch);
            prop_assert_eq!(tcp, before);
        }
        prop_assert_eq!(tcp.relearn(way, &Segment { seq: isn[from], ..reset }), Accept);
    }
}

#[test]
fn a_fin_that_was_told_is_the_end_of_the_data() {
    let mut tcp = established();
    play(
        &mut tcp,
        &[(Line(Original, ACK | PSH, 1, 1, 500), Accept), (Line(Original, ACK | FIN, 501, 1, 0), Accept)],
    );
    // The other end has sent 3 GB since.
    let far = 3_000_000_000;
    assert_eq!(tcp.relearn(Reply, &segment(Reply, ACK, far, 503, 1000)), Mismatch);
    assert_eq!(tcp.relearn(Original, &segment(Original, ACK, 502, far, 1000)), Mismatch);
    assert_eq!(tcp.relearn(Reply, &segment(Reply, ACK, far, 502, 1000)), Accept);
    play(
        &mut tcp,
        &[
            (Line(Reply, ACK | FIN, far + 1000, 502, 0), Accept),
            (Line(Original, ACK, 502, far + 1001, 0), Accept),
        ],
    );
    assert_eq!(Class::of_tcp(&tcp), Class::TcpClosed);
}
