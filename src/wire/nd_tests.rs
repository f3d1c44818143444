use super::*;
use crate::wire::Parsed;
use proptest::prelude::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn packet(frame: FrameBuf) -> Packet {
    match Packet::parse(frame) {
        Ok(Parsed::Ip(packet)) => packet,
        Ok(Parsed::Arp(_)) => panic!("ARP"),
        Err((drop, _)) => panic!("{drop}"),
    }
}

fn read(message: Message, from: &str, to: &str) -> Result<Message, Drop> {
    let envelope = Envelope { from_mac: MAC, to_mac: OTHER, from: v6(from), to: v6(to) };
    Message::read(&packet(message.frame(envelope, &[])))
}

fn solicitation(source_mac: Option<MacAddr>) -> Message {
    Message::Solicitation { target: v6("2001:db8::5"), source_mac, nonce: None }
}

fn advertisement(solicited: bool) -> Message {
    let target = v6("2001:db8::5");
    Message::Advertisement { target, target_mac: Some(MAC), router: false, solicited, overriding: true }
}

#[test]
fn the_group_of_an_address() {
    assert_eq!(solicited_node(v6("4037::01:800:200e:8c6c")), v6("ff02::1:ff0e:8c6c"), "RFC 4291's example");
}

#[test]
fn who_may_send_what_to_whom() {
    let router = Message::RouterAdvertisement(RouterAdvertisement {
        hop_limit: 64,
        managed: false,
        other: false,
        lifetime: 1800,
        source_mac: Some(MAC),
        mtu: None,
    });
    let group = "ff02::1:ff00:5";
    let table = [
        ("ordinary", solicitation(Some(MAC)), "fe80::1", group, true),
        ("probe by unicast", solicitation(None), "fe80::1", "2001:db8::5", true),
        ("duplicate address detection", solicitation(None), "::", group, true),
        ("detection with a MAC address", solicitation(Some(MAC)), "::", group, false),
        ("detection by unicast", solicitation(None), "::", "2001:db8::5", false),
        ("detection in another group", solicitation(None), "::", "ff02::1:ff00:6", false),
        ("from a group", solicitation(Some(MAC)), "ff02::5", group, false),
        ("answer", advertisement(true), "2001:db8::5", "fe80::1", true),
        ("unasked for", advertisement(false), "2001:db8::5", "ff02::1", true),
        ("answer to a group", advertisement(true), "2001:db8::5", "ff02::1", false),
        ("advertised by nobody", advertisement(false), "::", "ff02::1", false),
        ("router", router, "fe80::1", "ff02::1", true),
        ("router without link-local address", router, "2001:db8::1", "ff02::1", false),
        ("host", Message::RouterSolicitation { source_mac: None }, "::", "ff02::2", true),
        ("host's MAC", Message::RouterSolicitation { source_mac: Some(MAC) }, "::", "ff02::2", false),
        ("redirect", Message::Redirect, "fe80::1", "2001:db8::5", true),
        ("redirect from afar", Message::Redirect, "2001:db8::1", "2001:db8::5", false),
    ];
    for (what, message, from, to, good) in table {
        let expected = if good { Ok(message) } else { Err(Drop::NdInvalid) };
        assert_eq!(read(message, from, to), expected, "{what}");
    }
}

/// A solicitation, spoilt; offsets count from the beginning of the frame.
#[test]
fn what_is_not_believed() {
    type Spoil = fn(&mut Vec<u8>);
    let table: [(&str, Spoil, Drop); 8] = [
        ("hop limit 254: from beyond the link", |b| b[21] = 254, Drop::NdInvalid),
        ("code", |b| b[55] = 1, Drop::NdInvalid),
        ("multicast target", |b| b[62] = 0xff, Drop::NdInvalid),
        ("option without length", |b| b[79] = 0, Drop::NdInvalid),
        ("option longer than the message", |b| b[79] = 2, Drop::NdInvalid),
        ("a group's MAC address", |b| b[80] = 1, Drop::NdInvalid),
        (
            "no target",
            |b| {
                b.truncate(70);
                b[19] = 16
            },
            Drop::NdInvalid,
        ),
        ("checksum", |b| b[70] ^= 1, Drop::TransportChecksum),
    ];
    let envelope = Envelope::to_group(MAC, v6("fe80::1"), v6("ff02::1:ff00:5"));
    for (what, spoil, expected) in table {
        let mut bytes = solicitation(Some(MAC)).frame(envelope, &[]).bytes().to_vec();
        spoil(&mut bytes);
        if expected == Drop::NdInvalid {
            mend_checksum(&mut bytes);
        }
        assert_eq!(Message::read(&packet(FrameBuf::copy_of(&bytes))), Err(expected), "{what}");
    }
}

fn mend_checksum(bytes: &mut [u8]) {
    use crate::wire::checksum;
    bytes[56..58].fill(0);
    let source = address(bytes, 22).unwrap();
    let destination = address(bytes, 38).unwrap();
    let length = bytes.len() as u32 - 54;
    let pseudo = checksum::pseudo_header(source.into(), destination.into(), 58, length);
    let sum = !checksum::add(pseudo, checksum::sum(&bytes[54..]));
    bytes[56..58].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn fragments_are_refused_even_atomic_ones() {
    let envelope = Envelope::to_group(MAC, v6("fe80::1"), v6("ff02::1:ff00:5"));
    let plain = solicitation(Some(MAC)).frame(envelope, &[]).bytes().to_vec();
    let with = |next: u8, header: [u8; 8]| {
        let mut bytes = plain.clone();
        bytes[20] = next;
        bytes[19] += 8;
        bytes.splice(54..54, header);
        packet(FrameBuf::copy_of(&bytes))
    };
    let mut whole = packet(FrameBuf::copy_of(&plain));
    assert!(Message::read(&whole).is_ok());
    let atomic = with(44, [58, 0, 0, 0, 0, 0, 0, 9]);
    assert_eq!(atomic.layout.fragment, Fragment::Whole, "the parser makes no difference");
    assert_eq!(Message::read(&atomic), Err(Drop::NdInvalid));
    assert_eq!(Message::read(&with(44, [58, 0, 0, 1, 0, 0, 0, 9])), Err(Drop::NdInvalid));
    assert!(
        Message::read(&with(60, [58, 0, 1, 4, 0, 0, 0, 0])).is_ok(),
        "destination options are no fragment"
    );
    whole.layout.reassembled = Some(1280);
    assert_eq!(Message::read(&whole), Err(Drop::NdInvalid));
}

fn any_mac() -> impl Strategy<Value = Option<MacAddr>> {
    proptest::option::of(any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| MacAddr([2, a, b, c, d, e])))
}

fn any_message() -> impl Strategy<Value = Message> {
    let target = any::<u128>().prop_map(|bits| Ipv6Addr::from(bits >> 1));
    let flags = any::<[bool; 3]>();
    prop_oneof![
        any_mac().prop_map(|source_mac| Message::RouterSolicitation { source_mac }),
        (target.clone(), any_mac(), any::<Option<[u8; 6]>>())
            .prop_map(|(target, source_mac, nonce)| Message::Solicitation { target, source_mac, nonce }),
        (target, any_mac(), flags).prop_map(|(target, target_mac, [router, solicited, overriding])| {
            Message::Advertisement { target, target_mac, router, solicited, overriding }
        }),
        (any::<(u8, bool, bool, u16, Option<u32>)>(), any_mac()).prop_map(
            |((hop_limit, managed, other, lifetime, mtu), source_mac)| {
                let ra = RouterAdvertisement { hop_limit, managed, other, lifetime, source_mac, mtu };
                Message::RouterAdvertisement(ra)
            }
        ),
        Just(Message::Redirect),
    ]
}

fn any_prefix() -> impl Strategy<Value = PrefixInformation> {
    (any::<u128>(), 0u8..=128, any::<(bool, bool, u32, u32)>()).prop_map(
        |(bits, length, (on_link, autonomous, valid, preferred))| PrefixInformation {
            prefix: Ipv6Net::new(Ipv6Addr::from(bits), length).unwrap().trunc(),
            on_link,
            autonomous,
            valid,
            preferred,
        },
    )
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(message in any_message(), list in proptest::collection::vec(any_prefix(), 0..8)) {
        let envelope = Envelope { from_mac: MAC, to_mac: OTHER, from: v6("fe80::1"), to: v6("fe80::2") };
        let packet = packet(message.frame(envelope, &list));
        prop_assert!(packet.transport_checksum_ok());
        prop_assert_eq!(Message::parse(packet.transport()), Some(message));
        prop_assert_eq!(Message::read(&packet), Ok(message));
        if let Message::RouterAdvertisement(_) = message {
            prop_assert_eq!(prefixes(packet.transport()).collect::<Vec<_>>(), list);
        }
    }

    #[test]
    fn total_on_arbitrary_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), kind in 133u8..=137) {
        Message::parse(&bytes);
        prefixes(&bytes).for_each(drop);
        if bytes.len() > 1 {
            bytes[0] = kind;
            bytes[1] = 0;
        }
        Message::parse(&bytes);
    }
}
