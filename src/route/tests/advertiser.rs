//! Router advertisements (RFC 4861 section 6.2).

use super::*;
use crate::route::{AdvertiserLink, RouterAdvertiser};
use crate::wire::nd::RouterAdvertisement;

fn links() -> Vec<AdvertiserLink> {
    let addresses = [ip("2001:db8:10::1"), ip("192.168.1.1"), ip("fe80::1"), ip("2001:db8:10::2")];
    vec![AdvertiserLink {
        id: LAN,
        mac: OURS,
        source_mac: OURS,
        link_local: icmpv6::link_local(OURS),
        mtu: 1480,
        prefixes: AdvertiserLink::prefixes(addresses),
    }]
}

struct Station {
    now: Instant,
    engine: RouterAdvertiser,
}

impl Station {
    fn new() -> Self {
        let now = Instant::from_secs(1000);
        let mut engine = RouterAdvertiser::new(links(), Seed([1, 2]), now);
        engine.handle_link(now, LAN, true);
        Station { now, engine }
    }

    /// The advertisements of so many seconds: (moment in milliseconds, lifetime).
    fn wait(&mut self, seconds: u64) -> Vec<(u64, u16)> {
        let (begin, end) = (self.now, self.now + Duration::from_secs(seconds));
        let mut heard = Vec::new();
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let mut out = Vec::new();
            self.engine.handle_timeout(self.now, &mut out);
            heard.extend(
                out.into_iter().map(|(_, frame)| (self.now.since(begin).as_millis() as u64, lifetime(frame))),
            );
        }
        self.now = end;
        heard
    }

    fn solicit(&mut self) {
        let to = nd::ALL_ROUTERS;
        let envelope = Envelope { from_mac: THEIRS, to_mac: icmpv6::group_mac(to), from: v6("fe80::9"), to };
        let frame = Message::RouterSolicitation { source_mac: Some(THEIRS) }.frame(envelope, &[]);
        let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("IPv6") };
        self.engine.handle_solicitation(self.now, LAN, &packet);
    }
}

fn lifetime(frame: FrameBuf) -> u16 {
    let Said::Discovery { message: Message::RouterAdvertisement(advertisement), .. } = read(frame) else {
        panic!("an advertisement")
    };
    advertisement.lifetime
}

#[test]
fn it_says_what_hosts_need() {
    let mut station = Station::new();
    station.now = station.engine.poll_timeout().unwrap();
    let mut out = Vec::new();
    station.engine.handle_timeout(station.now, &mut out);
    let Ok(Parsed::Ip(packet)) = Packet::parse(out.remove(0).1) else { panic!("IPv6") };
    assert_eq!(packet.layout.key.src(), IpAddr::V6(icmpv6::link_local(OURS)));
    assert_eq!(packet.dst_mac(), icmpv6::group_mac(nd::ALL_NODES));
    let expected = RouterAdvertisement {
        hop_limit: 64,
        managed: false,
        other: false,
        lifetime: 1800,
        source_mac: Some(OURS),
        mtu: Some(1480),
    };
    assert_eq!(Message::read(&packet), Ok(Message::RouterAdvertisement(expected)));
    let prefixes: Vec<_> = nd::prefixes(packet.transport()).collect();
    assert_eq!(prefixes.len(), 1, "the addresses share a network; link-local is none");
    assert_eq!(prefixes[0].prefix.to_string(), "2001:db8:10::/64");
    assert!(prefixes[0].on_link && prefixes[0].autonomous);
    assert_eq!((prefixes[0].valid, prefixes[0].preferred), (2_592_000, 604_800));
}

#[test]
fn three_soon_then_every_few_minutes() {
    let moments: Vec<u64> = Station::new().wait(7200).into_iter().map(|(at, _)| at).collect();
    assert_eq!(moments[0], 2000, "after duplicate address detection");
    for (number, pair) in moments.windows(2).enumerate() {
        let gap = pair[1] - pair[0];
        let allowed = if number < 3 { 0..=16_000 } else { 200_000..=600_000 };
        assert!(allowed.contains(&gap), "{number}: {gap} ms");
    }
    assert!(moments.len() > 12);
}

#[test]
fn a_solicitation_is_answered_within_half_a_second_and_not_twice_in_three() {
    let mut station = Station::new();
    station.wait(120);
    station.solicit();
    let first = station.wait(1);
    assert!(matches!(first[..], [(0..=500, 1800)]), "{first:?}");
    for _ in 0..5 {
        station.solicit();
    }
    let rest = station.wait(10);
    assert!(matches!(rest[..], [(1500..=3000, 1800)]), "{rest:?}");
}

#[test]
fn the_last_word_is_a_lifetime_of_zero() {
    let mut station = Station::new();
    station.wait(10);
    let mut out = Vec::new();
    station.engine.stop(&mut out);
    assert_eq!(lifetime(out.remove(0).1), 0);
    assert!(station.wait(2000).is_empty());

    let mut station = Station::new();
    station.wait(10);
    station.engine.apply(station.now, Vec::new(), &mut out);
    assert_eq!(lifetime(out.remove(0).1), 0, "a reload that turned it off");
}

#[test]
fn a_reload_that_changes_nothing_keeps_the_schedule_and_a_dead_link_is_silent() {
    let mut station = Station::new();
    station.wait(100);
    let due = station.engine.poll_timeout();
    station.engine.apply(station.now, links(), &mut Vec::new());
    assert_eq!(station.engine.poll_timeout(), due);
    station.engine.handle_link(station.now, LAN, false);
    assert!(station.wait(3000).is_empty());
}
