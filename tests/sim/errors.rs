//! ICMP errors from far away reach the client, translated with the flow that they are about.

use std::net::IpAddr;
use std::time::Duration;

use koi::wire::{FlowKey, FrameBuf, Packet, Parsed, Transport, checksum, icmp_error};
use smoltcp::socket::udp;

use crate::audit::Audit;
use crate::cable::Quality;
use crate::far::{FAR, FAR6, Far, PROVIDER, PROVIDER6};
use crate::for_each_seed;
use crate::story::ip;
use crate::transfers::Transfer;
use crate::world::{End, World};

/// An ICMP error as a host heard it.
struct Heard {
    kind: u8,
    code: u8,
    mtu: u16,
    from: IpAddr,
    quoted: FlowKey,
}

/// The errors that a host has heard. Each must quote, to the byte, a packet that the host has sent.
fn errors(world: &World, host: usize) -> Vec<Heard> {
    let parse = |frame: &Vec<u8>| match Packet::parse(FrameBuf::copy_of(frame)) {
        Ok(Parsed::Ip(packet)) => Some(packet),
        Ok(Parsed::Arp(_)) | Err(_) => None,
    };
    let sent = world.seen.iter().filter(|(_, from, _)| *from == End::Host(host));
    let sent: Vec<Packet> = sent.filter_map(|(_, _, frame)| parse(frame)).collect();
    let mut errors = Vec::new();
    for packet in world.hosts[host].heard().iter().filter_map(parse) {
        let Transport::IcmpError { kind, code } = packet.layout.transport else { continue };
        assert!(packet.transport_checksum_ok(), "{:?}", packet.layout);
        let quoted = icmp_error::quoted(&packet).unwrap();
        let bytes = packet.frame.bytes();
        let (l3, l4) = (usize::from(quoted.l3), usize::from(quoted.l4));
        if bytes[l3] >> 4 == 4 {
            assert_eq!(checksum::sum(&bytes[l3..l4]), 0xffff, "the quoted header's checksum");
        }
        let quote = &bytes[l4..packet.layout.end as usize];
        let is_quoted = |sent: &Packet| {
            let end = (usize::from(sent.layout.l4) + quote.len()).min(sent.layout.end as usize);
            sent.layout.key == quoted.key && sent.frame.bytes()[usize::from(sent.layout.l4)..end] == *quote
        };
        assert!(sent.iter().any(is_quoted), "{} was never sent like this", quoted.key);
        let mtu = u16::from_be_bytes([packet.transport()[6], packet.transport()[7]]);
        errors.push(Heard { kind, code, mtu, from: packet.layout.key.src(), quoted: quoted.key });
    }
    errors
}

#[test]
fn a_path_that_becomes_narrow_is_told_to_the_client_and_the_transfer_completes() {
    for (address, provider, kind) in [(FAR, PROVIDER, (3, 4)), (FAR6, PROVIDER6, (2, 0))] {
        for_each_seed(|seed| {
            let mut far = Far::new(seed, Quality::ROUGH);
            let (client, server) = (far.client, far.server);
            let mut transfer = Transfer::new(&mut far.world, client, server, address, 80, seed);
            transfer.half(&mut far.world);
            far.world.hosts[client].listen();
            far.world.hosts[client].path.obeys = true;
            far.narrow(1300);
            // The provider's router obeys within 2 ms.
            let narrow = far.world.now + Duration::from_millis(2);
            let world = &mut far.world;
            transfer.finish(world);
            let errors = errors(world, client);
            assert!(!errors.is_empty(), "somebody said that packets are too big");
            for error in errors {
                assert_eq!(((error.kind, error.code), error.mtu), (kind, 1300));
                assert_eq!(error.from, ip(provider));
                assert_eq!((error.quoted.dst(), error.quoted.dst_port()), (ip(address), 80));
            }
            let late = world.seen.iter().filter(|(at, _, _)| *at > narrow);
            let mut delivered = late.filter(|(_, from, _)| *from == End::Router(1, 1));
            assert!(delivered.clone().count() > 50 && delivered.all(|(_, _, frame)| frame.len() <= 1314));
            Audit::all(world);
        });
    }
}

#[test]
fn port_unreachable_and_ttl_exceeded_from_afar_arrive_at_the_client() {
    for_each_seed(|seed| {
        let mut far = Far::new(seed, Quality::CLEAN);
        let (client, world) = (far.client, &mut far.world);
        world.hosts[client].listen();
        let closed = world.hosts[client].udp(5000);
        world.hosts[client].say(closed, (ip(FAR), 33_434), b"is anybody there?");
        let short = world.hosts[client].udp(5001);
        world.hosts[client].sockets.get_mut::<udp::Socket>(short).set_hop_limit(Some(2));
        world.hosts[client].say(short, (ip(FAR), 33_435), b"how far is it?");
        let here = world.hosts[client].udp(5002);
        world.hosts[client].sockets.get_mut::<udp::Socket>(here).set_hop_limit(Some(1));
        world.hosts[client].say(here, (ip(FAR), 33_436), b"and before?");
        world.run_for(Duration::from_secs(3));
        let mut errors = errors(world, client);
        errors.sort_by_key(|error| error.quoted.src_port());
        let told: Vec<_> = errors.iter().map(|e| (e.quoted.src_port(), e.kind, e.code, e.from)).collect();
        let expected = [
            (5000, 3, 3, ip(FAR)),
            (5001, 11, 0, ip(PROVIDER)),
            // Our own router speaks from the side that the client knows.
            (5002, 11, 0, ip("192.168.1.1")),
        ];
        assert_eq!(told, expected);
        assert!(errors.iter().all(|error| error.quoted.src() == ip("192.168.1.10")));
        Audit::all(world);
    });
}
