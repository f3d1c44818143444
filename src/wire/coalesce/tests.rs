//! What is joined, what is not, and that cutting gives it back.

use proptest::prelude::*;

use super::*;
use crate::wire::sample::{self, Sample};
use crate::wire::segment;

fn push_all(packets: impl IntoIterator<Item = Packet>) -> Vec<FrameBuf> {
    let (mut coalescer, mut pool, mut out) = (Coalescer::new(Offload::ALL), Pool::new(8), Vec::new());
    for packet in packets {
        coalescer.push(packet, &mut pool);
    }
    coalescer.flush(&mut out);
    assert!(coalescer.is_empty());
    out
}

fn cut_all(frames: Vec<FrameBuf>) -> Vec<Vec<u8>> {
    let (mut pool, mut out) = (Pool::new(8), Vec::new());
    for frame in frames {
        segment::split(sample::parse_frame(frame), &mut pool, &mut out).unwrap();
    }
    out.iter().map(|frame| frame.bytes().to_vec()).collect()
}

/// `count` segments of `size` bytes as a sender makes them.
fn run(sample: &Sample, size: usize, count: usize) -> Vec<Sample> {
    (0..count)
        .map(|index| Sample {
            seq: sample.seq.wrapping_add((index * size) as u32),
            id: sample.id.wrapping_add(index as u16),
            payload: sample::bytes(size + index).split_off(index),
            ..sample.clone()
        })
        .collect()
}

fn kinds() -> impl Iterator<Item = Sample> {
    [(true, false), (true, true), (false, false), (false, true)].into_iter().map(|(tcp, v6)| Sample {
        tcp,
        v6,
        timestamps: tcp.then_some(5),
        ..Sample::default()
    })
}

#[test]
fn a_run_leaves_in_one_frame() {
    for sample in kinds() {
        let mut samples = run(&sample, 1_400, 5);
        samples.last_mut().unwrap().payload.truncate(90);
        let originals: Vec<_> = samples.iter().map(Sample::frame).collect();
        let out = push_all(samples.iter().map(Sample::packet));
        assert_eq!(out.len(), 1, "{sample:?}");
        let gso = out[0].gso.unwrap();
        let kind = match (sample.tcp, sample.v6) {
            (true, false) => GsoKind::Tcp4,
            (true, true) => GsoKind::Tcp6,
            (false, _) => GsoKind::Udp,
        };
        assert_eq!(gso, Gso { kind, ecn: false, size: 1_400 });
        assert!(matches!(out[0].checksum, ChecksumState::Partial { .. }));
        assert_eq!(cut_all(out), originals);
    }
}

/// The partial checksum is what a sending kernel would have left, so finishing it makes the large packet right.
#[test]
fn the_field_holds_the_pseudo_header() {
    for sample in kinds() {
        let mut out = push_all(run(&sample, 500, 4).iter().map(Sample::packet));
        let mut frame = out.remove(0);
        frame.gso = None;
        let mut packet = sample::parse_frame(frame);
        segment::finish_checksum(&mut packet);
        packet.frame.checksum = ChecksumState::Unverified;
        assert!(packet.transport_checksum_ok());
    }
}

#[test]
fn differences_end_a_run() {
    use tcp_flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
    type Change = fn(&mut Sample);
    let table: [(&str, usize, Change); 16] = [
        ("nothing", 1, |_| ()),
        ("PSH on the last", 1, |s| s.flags |= PSH),
        ("gap", 2, |s| s.seq = s.seq.wrapping_add(1)),
        ("acknowledgement", 2, |s| s.ack += 1),
        ("timestamps", 2, |s| s.timestamps = Some(6)),
        ("no options", 2, |s| s.timestamps = None),
        ("time to live", 2, |s| s.ttl -= 1),
        ("DF", 2, |s| s.dont_fragment = true),
        ("identification", 2, |s| s.id = s.id.wrapping_add(1)),
        ("larger", 2, |s| s.payload.push(0)),
        ("empty", 2, |s| s.payload.clear()),
        ("other flow", 2, |s| s.src_port += 1),
        ("FIN", 2, |s| s.flags = ACK | FIN),
        ("RST", 2, |s| s.flags = ACK | RST),
        ("SYN", 2, |s| s.flags = ACK | SYN),
        ("ECN and urgent", 2, |s| s.flags = ACK | CWR | ECE | URG),
    ];
    for (name, frames, change) in table {
        let mut samples = run(&Sample { timestamps: Some(5), ..Sample::default() }, 100, 2);
        change(&mut samples[1]);
        let originals: Vec<_> = samples.iter().map(Sample::frame).collect();
        let out = push_all(samples.iter().map(Sample::packet));
        assert_eq!(out.len(), frames, "{name}");
        assert_eq!(cut_all(out), originals, "{name}");
    }
}

#[test]
fn with_df_the_identification_means_nothing() {
    let samples = run(&Sample { dont_fragment: true, ..Sample::default() }, 100, 4);
    assert_eq!(push_all(samples.iter().map(|s| Sample { id: 0, ..s.clone() }.packet())).len(), 1);
}

#[test]
fn a_wrong_checksum_is_not_covered_up() {
    for sample in kinds() {
        for bad in 0..3 {
            let samples = run(&sample, 100, 3);
            let mut frames: Vec<_> = samples.iter().map(Sample::frame).collect();
            *frames[bad].last_mut().unwrap() ^= 1;
            let out = push_all(frames.iter().map(|frame| sample::parse(frame)));
            assert_eq!(cut_all(out), frames);
        }
    }
    let mut none = run(&Sample { tcp: false, ..Sample::default() }, 100, 2)
        .iter()
        .map(Sample::frame)
        .collect::<Vec<_>>();
    none.iter_mut().for_each(|frame| frame[40..42].fill(0));
    assert_eq!(push_all(none.iter().map(|frame| sample::parse(frame))).len(), 2, "UDP without a checksum");
}

#[test]
fn nothing_overtakes_within_a_flow() {
    let segments = run(&Sample::default(), 100, 4);
    let bare_ack = Sample { payload: vec![], ..segments[2].clone() };
    let order = [&segments[0], &segments[1], &bare_ack, &segments[2], &segments[3]];
    let out = push_all(order.iter().map(|sample| sample.packet()));
    assert_eq!(out.len(), 3);
    assert_eq!(cut_all(out), order.map(Sample::frame));
}

#[test]
fn two_flows_interleaved() {
    let one = run(&Sample::default(), 1_000, 6);
    let two = run(&Sample { v6: true, ..Sample::default() }, 700, 6);
    let packets = one.iter().zip(&two).flat_map(|(one, two)| [one.packet(), two.packet()]);
    let out = push_all(packets);
    assert_eq!(out.len(), 2);
    let expected: Vec<_> = one.iter().chain(&two).map(Sample::frame).collect();
    assert_eq!(cut_all(out), expected);
}

#[test]
fn batches_are_apart_and_superpackets_pass() {
    let samples = run(&Sample::default(), 1_400, 4);
    let (mut coalescer, mut pool, mut out) = (Coalescer::new(Offload::ALL), Pool::new(8), Vec::new());
    for sample in &samples {
        coalescer.push(sample.packet(), &mut pool);
        if sample.seq == samples[1].seq {
            coalescer.flush(&mut out);
        }
    }
    coalescer.flush(&mut out);
    assert_eq!((out.len(), coalescer.joined()), (2, 2));
    let again = push_all(out.into_iter().map(sample::parse_frame));
    assert_eq!(again.len(), 2);
    coalescer.apply(Offload { tcp: false, udp: false });
    let mut out = Vec::new();
    samples.iter().for_each(|sample| coalescer.push(sample.packet(), &mut pool));
    coalescer.flush(&mut out);
    assert_eq!(out.len(), 4);
}

#[test]
fn no_packet_grows_beyond_the_largest() {
    let samples = run(&Sample::default(), 1_448, 60);
    let out = push_all(samples.iter().map(Sample::packet));
    assert_eq!(out.len(), 2);
    assert!(out.iter().all(|frame| frame.len() <= LARGEST + ETHERNET_LEN));
    assert_eq!(cut_all(out), samples.iter().map(Sample::frame).collect::<Vec<_>>());
    let datagrams = run(&Sample { tcp: false, ..Sample::default() }, 10, 150);
    assert_eq!(push_all(datagrams.iter().map(Sample::packet)).len(), 3);
}

#[test]
fn padding_is_taken_off() {
    let samples = run(&Sample::default(), 1, 3);
    let padded = samples.iter().map(|sample| {
        let mut frame = sample.frame();
        frame.resize(60, 0xee);
        sample::parse(&frame)
    });
    let out = push_all(padded);
    assert_eq!(cut_all(out), samples.iter().map(Sample::frame).collect::<Vec<_>>());
}

fn any_segment() -> impl Strategy<Value = (u8, u8, u8, u8)> {
    (0u8..4, 0u8..12, 0u8..4, 0u8..20)
}

proptest! {
    /// Flows mixed at random, with now and then a change, a gap or an odd size: cutting gives back every flow's
    /// packets in their order.
    #[test]
    fn cutting_undoes_joining(steps in proptest::collection::vec(any_segment(), 1..120), partial: bool) {
        let mut flows: Vec<Sample> = kinds().collect();
        let mut expected: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
        let mut packets = Vec::new();
        for (flow, size, change, flags) in steps {
            let sample = &mut flows[usize::from(flow)];
            let size = if size < 8 { 300 } else { usize::from(size) * 30 };
            sample.payload = sample::bytes(size);
            sample.flags = match flags { 0 => 0x18, 1 => 0x11, 2 => 0x50, _ => 0x10 };
            if change == 3 { sample.ack += u32::from(flags == 3) }
            expected[usize::from(flow)].push(sample.frame());
            packets.push(if partial && change == 1 { sample.partial() } else { sample.packet() });
            sample.seq = sample.seq.wrapping_add(size as u32 + u32::from(flags == 4));
            sample.id = sample.id.wrapping_add(1 + u16::from(flags == 5));
        }
        let cut = cut_all(push_all(packets));
        for (flow, expected) in flows.iter().zip(expected) {
            let protocol = if flow.tcp { 6 } else { 17 };
            let of_flow: Vec<_> = cut.iter().filter(|frame| {
                if flow.v6 { frame[12] == 0x86 && frame[20] == protocol } else { frame[12] == 8 && frame[23] == protocol }
            }).cloned().collect();
            prop_assert_eq!(of_flow, expected);
        }
    }
}

/// Figures for people: `cargo test --release --lib coalesce -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn figures() {
    const TURNS: u32 = 20_000;
    let measure = |name: &str, samples: Vec<Sample>, joins: Offload| {
        let frames: Vec<_> = samples.iter().map(Sample::frame).collect();
        let (mut coalescer, mut pool, mut out) = (Coalescer::new(joins), Pool::new(256), Vec::new());
        let (mut spent, mut floor) = (0u128, 0u128);
        for _ in 0..TURNS {
            let packets = |pool: &mut Pool| -> Vec<Packet> {
                let parse = |frame: &Vec<u8>| {
                    let mut buf = pool.take();
                    buf.set(frame);
                    sample::parse_frame(buf)
                };
                frames.iter().map(parse).collect()
            };
            let batch = packets(&mut pool);
            let start = std::time::Instant::now();
            out.extend(batch.into_iter().map(|packet| packet.frame));
            floor += start.elapsed().as_nanos();
            out.drain(..).for_each(|frame| pool.give(frame));
            let batch = packets(&mut pool);
            let start = std::time::Instant::now();
            batch.into_iter().for_each(|packet| coalescer.push(packet, &mut pool));
            coalescer.flush(&mut out);
            spent += start.elapsed().as_nanos();
            out.drain(..).for_each(|frame| pool.give(frame));
        }
        let each = |total: u128| total as f64 / f64::from(TURNS) / frames.len() as f64;
        println!("{name}: {:.1} ns a packet (moving alone {:.1})", each(spent), each(floor));
    };
    let flows = |payload: usize, tcp: bool| -> Vec<Sample> {
        let flow = |port: u16| Sample {
            src_port: 10_000 + port * 7,
            tcp,
            payload: sample::bytes(payload),
            ..Sample::default()
        };
        (0..64).map(flow).collect()
    };
    measure("64 flows, nothing to join, TCP", flows(1_448, true), Offload::ALL);
    measure("64 flows, nothing to join, UDP", flows(18, false), Offload::ALL);
    measure("64 bare ACKs", flows(0, true), Offload::ALL);
    measure("UDP where only TCP is joined", flows(18, false), Offload { tcp: true, udp: false });
    measure("one run of 44, TCP 1448", run(&Sample::default(), 1_448, 44), Offload::ALL);
    measure("one run of 64, UDP 18", run(&Sample { tcp: false, ..Sample::default() }, 18, 64), Offload::ALL);

    let out = push_all(run(&Sample::default(), 1_448, 44).iter().map(Sample::packet));
    let (mut pool, mut segments, mut spent) = (Pool::new(256), Vec::new(), 0u128);
    for _ in 0..TURNS {
        let mut frame = pool.take();
        frame.set(out[0].bytes());
        (frame.checksum, frame.gso) = (out[0].checksum, out[0].gso);
        let packet = sample::parse_frame(frame);
        let start = std::time::Instant::now();
        segment::split(packet, &mut pool, &mut segments).unwrap();
        spent += start.elapsed().as_nanos();
        segments.drain(..).for_each(|frame| pool.give(frame));
    }
    println!("cut into 44 segments of 1448: {:.1} ns a segment", spent as f64 / f64::from(TURNS) / 44.0);
}
