//! What happens on the segments of the virtual IPs: frames that come back, strangers with the same number, other modes
//! of CARP, lists that differ. All of it as frames on cables.

use std::time::Duration;

use koi::types::MacAddr;
use koi::wire::{arp, checksum};

use crate::cable::Quality;
use crate::for_some_seeds;
use crate::pair::{DMZ, LAN, Pair, WAN, compile_each, text};
use crate::story::ip;
use crate::world::End;

const SEEDS: u64 = 10;
const LAN_HOST: usize = 1;
const DMZ_HOST: usize = 2;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// IPv4 of protocol 112.
fn is_carp(frame: &[u8]) -> bool {
    frame.len() >= 70 && frame[12..14] == [0x08, 0x00] && frame[23] == 112
}

impl Pair {
    /// The last advertisement that a node has sent by a port.
    fn last_advert(&self, node: usize, port: u8) -> Vec<u8> {
        let sent = self.world.seen.iter().rev();
        let mut ours = sent.filter(|(_, from, frame)| *from == End::Router(node, port) && is_carp(frame));
        ours.next().expect("an advertisement").2.clone()
    }

    /// What a node shows to people: findings and their remedies.
    fn findings(&self, node: usize) -> String {
        let router = &self.world.routers[node];
        let snapshot = router.crew.as_ref().unwrap().helm.snapshot(router.clock.local(self.world.now));
        snapshot.findings.iter().map(|finding| format!("{} {}\n", finding.what, finding.remedy)).collect()
    }

    /// What it has logged.
    fn log(&self, node: usize) -> String {
        let notices = &self.world.routers[node].crew.as_ref().unwrap().notices;
        notices.iter().map(|(_, notice)| format!("{} {}\n", notice.wrong, notice.text)).collect()
    }
}

#[test]
fn a_switch_that_sends_frames_back_is_told_of_and_deposes_nobody() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        pair.run_for(seconds(2));
        let active = pair.leader().unwrap();
        pair.invariants.takeovers = 0;
        for _ in 0..3 {
            let advert = pair.last_advert(active, LAN);
            pair.world.emit(End::Host(LAN_HOST), advert);
            pair.run_for(Duration::from_millis(400));
        }
        let (findings, log) = (pair.findings(active), pair.log(active));
        assert!(findings.contains("own advertisements come back"), "{findings}");
        assert!(log.contains("true VHID 2: an advertisement"), "{log}");
        assert_eq!((pair.leader(), pair.invariants.takeovers), (Some(active), 0));
        pair.finish();
    });
}

#[test]
fn a_speaker_of_vrrp_with_the_same_number_is_told_of() {
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::new(seed);
        pair.run_for(seconds(1));
        let active = pair.leader().unwrap();
        let mut frame = pair.last_advert(active, LAN);
        // VRRPv3 of a router at 192.168.1.77, number 2, with one address.
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 7, 7]);
        frame[26..30].copy_from_slice(&[192, 168, 1, 77]);
        frame.truncate(34 + 12);
        frame[16..18].copy_from_slice(&[0, 32]);
        frame[24..26].copy_from_slice(&[0, 0]);
        let sum = !checksum::sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame[34..].copy_from_slice(&[0x31, 2, 100, 1, 0, 100, 0, 0, 192, 168, 1, 1]);
        pair.world.emit(End::Host(LAN_HOST), frame);
        pair.run_for(Duration::from_millis(50));
        let (findings, log) = (pair.findings(active), pair.log(active));
        assert!(findings.contains("192.168.1.77 uses the same number for VRRP"), "{findings}");
        assert!(log.contains("192.168.1.77 advertises the same number by VRRP"), "{log}");
        assert_eq!(pair.leader(), Some(active));
        pair.finish();
    });
}

#[test]
fn what_is_advertised_to_one_station_reaches_it_and_nobody_else() {
    let shared = "\n[[virtual_ip]]\ninterface = \"dmz\"\nvhid = 9\naddresses = [\"10.20.0.9/24\"]\npassword = \"plug\"\n\
                  foreign = true\nadvbase = 2\npeer = \"10.20.0.10\"\n";
    let text = text() + shared;
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::obeying(seed, Quality::CLEAN, compile_each([&text, &text]));
        pair.start(0, true);
        pair.run_for(seconds(12));
        let peer = pair.world.hosts[DMZ_HOST].mac;
        let adverts = pair.world.seen.iter().filter(|(_, from, frame)| {
            *from == End::Router(0, DMZ) && is_carp(frame) && frame.get(35) == Some(&9)
        });
        let adverts: Vec<&Vec<u8>> = adverts.map(|(_, _, frame)| frame).collect();
        assert!(adverts.len() >= 2, "{} advertisements", adverts.len());
        for frame in adverts {
            assert_eq!((&frame[..6], &frame[30..34]), (&peer.0[..], &[10, 20, 0, 10][..]));
            // From the node's own address and MAC, and from as near as one can be.
            assert_eq!((&frame[26..30], frame[22]), (&[10, 20, 0, 3][..], 255));
            assert_ne!(frame[6..11], [0, 0, 0x5e, 0, 1]);
        }
    });
}

#[test]
fn a_takeover_with_the_nodes_own_mac_addresses_is_announced_on_every_link() {
    let text = text().replace("password = \"plug\"", "password = \"plug\"\nmac = \"own\"");
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::obeying(seed, Quality::CLEAN, compile_each([&text, &text]));
        (0..2).for_each(|node| pair.start(node, true));
        pair.settle();
        pair.run_for(seconds(2));
        let active = pair.leader().unwrap();
        let first = pair.world.seen.len();
        pair.power_off(active);
        pair.run_for(Duration::from_millis(60));
        assert_eq!(pair.leader(), Some(1 - active));
        for (port, address) in [(WAN, "203.0.113.2"), (LAN, "192.168.1.1"), (DMZ, "10.20.0.1")] {
            let said =
                pair.world.seen[first..].iter().filter(|(_, from, _)| *from == End::Router(1 - active, port));
            let macs: Vec<MacAddr> = said
                .filter_map(|(_, _, frame)| {
                    let said = arp::Repr::parse(frame)?;
                    let announces = ip(address) == said.sender && said.sender == said.target;
                    assert!(!announces || frame[6..12] == said.sender_mac.0);
                    announces.then_some(said.sender_mac)
                })
                .collect();
            assert!(!macs.is_empty(), "{address} is announced");
            assert!(macs.iter().all(|mac| mac.0[..5] != [0, 0, 0x5e, 0, 1]), "{macs:?}");
            let six = pair.world.seen[first..].iter().filter(|(_, from, frame)| {
                *from == End::Router(1 - active, port)
                    && frame[12..14] == [0x86, 0xdd]
                    && frame[20] == 58
                    && frame[54] == 136
            });
            assert!(six.count() > 0, "and the IPv6 addresses");
        }
    });
}

#[test]
fn lists_that_differ_are_an_alarm_on_who_hears_them() {
    let other = text().replace("\"192.168.1.1/24\"", "\"192.168.1.1/24\", \"192.168.1.7/24\"");
    assert_ne!(text(), other);
    for_some_seeds(SEEDS, |seed| {
        let mut pair = Pair::obeying(seed, Quality::CLEAN, compile_each([&text(), &other]));
        (0..2).for_each(|node| pair.start(node, true));
        pair.settle();
        pair.run_for(seconds(7));
        let active = pair.leader().unwrap();
        let (findings, log) = (pair.findings(1 - active), pair.log(1 - active));
        assert!(findings.contains("VHID 2 on lan") && findings.contains("another list"), "{findings}");
        assert!(
            log.contains("VHID 2: the peer") && log.contains("another list of virtual addresses"),
            "{log}"
        );
        // Both know that they have not the same document.
        for node in 0..2 {
            assert!(pair.findings(node).contains("different configurations"), "{}", pair.findings(node));
        }
        assert!(!findings.contains("VHID 1 on wan"), "{findings}");
    });
}
