use proptest::prelude::*;

use super::*;
use crate::types::{GatewayId, RuleId};
use crate::wire::{FlowKey, protocol};

fn key(inet6: bool, number: u8) -> BoxedStrategy<FlowKey> {
    if inet6 {
        (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u16; 2]>())
            .prop_map(move |(src, dst, [a, b])| FlowKey::new(number, src.into(), a, dst.into(), b).unwrap())
            .boxed()
    } else {
        (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<[u16; 2]>())
            .prop_map(move |(src, dst, [a, b])| FlowKey::new(number, src.into(), a, dst.into(), b).unwrap())
            .boxed()
    }
}

fn end() -> impl Strategy<Value = TcpEnd> {
    (0u8..6, any::<[u32; 3]>(), any::<u16>(), prop::option::of(0u8..15)).prop_map(
        |(phase, [low, high, acked], window, scale)| TcpEnd { phase, low, high, acked, window, scale },
    )
}

fn progress(number: u8) -> BoxedStrategy<Progress> {
    if number == protocol::TCP {
        [end(), end()].prop_map(Progress::Tcp).boxed()
    } else {
        ([0u8..3, 0u8..3], any::<bool>())
            .prop_map(|(traffic, repeated)| Progress::Other { traffic, repeated })
            .boxed()
    }
}

fn record() -> impl Strategy<Value = FlowRecord> {
    let keys =
        (any::<bool>(), prop_oneof![Just(6u8), Just(17), any::<u8>()]).prop_flat_map(|(inet6, number)| {
            let reply = prop_oneof![Just(None), key(inet6, number).prop_map(Some)];
            (key(inet6, number), reply, any::<[bool; 4]>(), progress(number))
        });
    (
        keys,
        any::<(u32, u16)>(),
        any::<[u8; 2]>(),
        any::<[(u32, bool); 2]>(),
        any::<[u32; 4]>(),
        [0u64..1 << 48, 0u64..2000],
        [prop::option::of(1u32..), prop::option::of(1u32..)],
        prop::option::of(any::<(bool, u32, u16)>()),
    )
        .prop_map(
            |(
                (original, other, own, progress),
                (slot, generation),
                interfaces,
                rules,
                n,
                bytes,
                gateways,
                proxied,
            )| {
                let plain = original.inverse();
                let other = other.unwrap_or(plain);
                let reply = FlowKey::new(
                    original.protocol(),
                    if own[0] { other.src() } else { plain.src() },
                    if own[1] { other.src_port() } else { plain.src_port() },
                    if own[2] { other.dst() } else { plain.dst() },
                    if own[3] { other.dst_port() } else { plain.dst_port() },
                );
                FlowRecord {
                    slot,
                    generation,
                    original,
                    reply: reply.unwrap(),
                    interfaces: interfaces.map(InterfaceId),
                    rules: rules.map(|(rule, log)| (RuleId(rule), log)),
                    gateways: gateways.map(|number| number.map(GatewayId)),
                    progress,
                    packets: [n[0], n[1]],
                    bytes,
                    age: n[2],
                    idle: n[3],
                    proxied: proxied.map(|(waits, number, mss)| Proxied { waits, number, mss }),
                }
            },
        )
}

fn change() -> impl Strategy<Value = Change> {
    let address =
        prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from),];
    prop_oneof![
        4 => record().prop_map(|record| Change::Upsert(Box::new(record))),
        1 => any::<(u32, u16)>().prop_map(|(slot, generation)| Change::Close { slot, generation }),
        1 => (0..u32::MAX - 255, 0u32..256).prop_map(|(first, more)| Change::RangeBegin { first, last: first + more }),
        1 => (0..u32::MAX - 255, 0u32..256).prop_map(|(first, more)| Change::RangeEnd { first, last: first + more }),
        1 => Just(Change::Complete),
        1 => prop_oneof![Just(Change::Frozen), Just(Change::Drained), Just(Change::Left)],
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(|bytes| Change::Relayed(Piece { head: None, bytes })),
        1 => (0..u32::MAX - 255, 0u32..256, any::<(u64, u16, u64)>()).prop_map(|(first, more, (key, count, sum))| {
            Change::Digest(Digest { first, last: first + more, key, count, sum })
        }),
        1 => any::<[u32; 2]>().prop_map(|grown| Change::Round { grown }),
        1 => any::<[u32; 3]>().prop_map(|[slot, theirs, mixed]| Change::Known { slot, theirs, mixed }),
        1 => (any::<u8>(), any::<[u8; 16]>(), any::<u32>()).prop_map(|(table, source, seconds)| {
            Change::Overload { table, source: source.into(), seconds }
        }),
        1 => any::<([u64; 2], u64, u32)>().prop_map(|(root, turn, left_ms)| Change::CookieRoot { root, turn, left_ms }),
        1 => any::<[u32; 2]>().prop_map(|[full, known]| Change::Walked(Walked { full, known })),
        1 => (any::<u8>(), address, any::<[u8; 6]>()).prop_map(|(interface, address, mac)| Change::Neighbour {
            interface: InterfaceId(interface),
            address,
            mac: MacAddr(mac),
        }),
    ]
}

proptest! {
    #[test]
    fn what_was_encoded_decodes_to_itself(changes in prop::collection::vec(change(), 0..20)) {
        let mut chunk = Vec::new();
        begin(&mut chunk);
        for change in &changes {
            let before = chunk.len();
            encode(change, &mut chunk);
            prop_assert!(chunk.len() - before <= MAX_CHANGE);
        }
        let decoded: Result<Vec<_>, _> = decode(&chunk).collect();
        prop_assert_eq!(decoded, Ok(changes));
    }

    #[test]
    fn any_bytes_give_changes_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..300), kind in prop_oneof![0u8..8, 31u8..39, 48u8..54]) {
        if bytes.len() > 1 {
            bytes[0] = VERSION;
            bytes[1] = kind;
        }
        for change in decode(&bytes).flatten() {
            // What is accepted is in its only form, but for room that this version does not use.
            let mut again = Vec::new();
            encode(&change, &mut again);
            prop_assert!(again.len() <= MAX_CHANGE);
        }
    }

    #[test]
    fn a_torn_chunk_gives_what_came_before_the_tear(changes in prop::collection::vec(change(), 1..6), cut in any::<prop::sample::Index>()) {
        let mut chunk = Vec::new();
        begin(&mut chunk);
        changes.iter().for_each(|change| encode(change, &mut chunk));
        let torn = &chunk[..1 + cut.index(chunk.len() - 1)];
        let decoded: Vec<_> = decode(torn).collect();
        let whole = decoded.iter().take_while(|change| change.is_ok()).count();
        prop_assert!(decoded.len() <= whole + 1);
        for (decoded, change) in decoded.iter().take(whole).zip(&changes) {
            prop_assert_eq!(decoded, &Ok(change.clone()));
        }
    }
}

fn udp() -> FlowRecord {
    let key = |src: &str, a, dst: &str, b| FlowKey::new(17, src.parse().unwrap(), a, dst.parse().unwrap(), b);
    FlowRecord {
        slot: 5,
        generation: 1,
        original: key("192.168.1.10", 5353, "198.51.100.7", 53).unwrap(),
        reply: key("198.51.100.7", 53, "203.0.113.2", 61_000).unwrap(),
        interfaces: [InterfaceId(0), InterfaceId(1)],
        rules: [(RuleId(1), true), (RuleId(2), false)],
        gateways: [None; 2],
        progress: Progress::Other { traffic: [1, 0], repeated: false },
        packets: [1, 0],
        bytes: [70, 0],
        age: 0,
        idle: 0,
        proxied: None,
    }
}

#[test]
fn a_translated_udp_flow_byte_by_byte() {
    let mut chunk = Vec::new();
    begin(&mut chunk);
    encode(&Change::Upsert(Box::new(udp())), &mut chunk);
    let expected = [
        1, // version
        1, 0x2a,
        17, // upsert; destination and its port are translated, the rule on the way in logs; UDP
        0, 0, 0, 5, 0, 1, // slot, generation
        192, 168, 1, 10, 198, 51, 100, 7, 0x14, 0xe9, 0, 53, // original
        203, 0, 113, 2, 0xee, 0x48, // what the reply has of its own
        0, 1, 0, 0, 0, 1, 0, 0, 0, 2, // interfaces, rules
        1, 1, 0, 70, 0, 0, 0, // traffic, packets, bytes, age, idle
        0, // no extension
    ];
    assert_eq!(chunk, expected);
}

#[test]
fn an_extension_is_skipped() {
    let mut chunk = Vec::new();
    begin(&mut chunk);
    encode_record(&udp(), &mut chunk);
    *chunk.last_mut().unwrap() = 3;
    chunk.extend([9, 9, 9]);
    encode(&Change::Complete, &mut chunk);
    let changes: Result<Vec<_>, _> = decode(&chunk).collect();
    assert_eq!(changes, Ok(vec![Change::Upsert(Box::new(udp())), Change::Complete]));
}

#[test]
fn what_is_not_ours_is_named() {
    let cases: [(&[u8], Malformed); 6] = [
        (&[2, 5], Malformed::Version),
        (&[1, 99], Malformed::Kind),
        (&[1, 2, 0], Malformed::Short),
        (&[1, 3, 0xff, 0xff, 0xff, 0xff, 1], Malformed::Value),
        (&[1, 6, 0, 5, 0], Malformed::Value),
        (&[1, 1], Malformed::Short),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(bytes).collect::<Result<Vec<_>, _>>(), Err(expected), "{bytes:?}");
    }
    assert_eq!(decode(&[]).count(), 0);
    assert!(is_complete(&[1, 5]) && !is_complete(&[1, 5, 5]));
}
