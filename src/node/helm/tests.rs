//! A node alone that shares an address with a foreign speaker.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Helm, HelmOutbox, MakeEntropy};
use crate::carp::State;
use crate::cluster::Identity;
use crate::cluster::entropy::{Entropy, Seeded};
use crate::config;
use crate::node::{Compiled, Offload};
use crate::types::{Duration, Instant, InterfaceId, MacAddr, PortId, Seed, Vhid};
use crate::wire::carp::{Envelope, Repr, Signer};
use crate::wire::{FrameBuf, Packet, Parsed};

const DOCUMENT: &str = r#"
schema = 1
revision = 1

[[node]]
name = "alpha"

[[node.port]]
name = "lan"
tap = "koi-lan"

[[node.interface]]
name = "lan"
addresses = ["192.168.1.2/24"]

[[interface]]
name = "lan"
zone = "lan"
port = "lan"

[outbound]
mode = "disabled"
"#;
const SHARED: &str = r#"
[[virtual_ip]]
interface = "lan"
vhid = 5
addresses = ["192.168.1.1/24"]
password = "sekrit"
foreign = true
preempt = false
"#;
/// A second link, with an address and a gateway of its own.
const UPLINK: &str = r#"
[[interface]]
name = "wan"
zone = "wan"
port = "wan"

[[gateway]]
name = "WAN_GW"
interface = "wan"
address = "203.0.113.1"
default = true
"#;
const SECOND: Duration = Duration::from_secs(1);
const VHID: Vhid = Vhid(5);

fn compiled(text: &str) -> Arc<Compiled> {
    let valid = config::load(text).unwrap();
    let node = valid.node(None).unwrap();
    let ports = valid.node_part(node).ports.len();
    Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::NONE; ports]))
}

struct Bench {
    helm: Helm,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Bench::with(&format!("{DOCUMENT}{SHARED}"))
    }

    fn with(text: &str) -> Self {
        let now = Instant::from_secs(100);
        let make: MakeEntropy = Box::new(|| Box::new(Seeded::new(Seed([1, 2]))) as Box<dyn Entropy + Send>);
        let identity = Identity::generate(&mut *make());
        let mut out = HelmOutbox::default();
        let mut helm = Helm::new(compiled(text), identity, make, true, Seed([3, 4]), now, &mut out);
        helm.handle_link(now, PortId(0), true, &mut out);
        Bench { helm, now }
    }

    fn run(&mut self, time: Duration) -> HelmOutbox {
        let (end, mut out) = (self.now + time, HelmOutbox::default());
        while let Some((due, _)) = self.helm.poll_timeout().filter(|(due, _)| *due <= end) {
            self.now = due.max(self.now);
            self.helm.handle_timeout(self.now, &mut out);
        }
        self.now = end;
        out
    }

    fn hear(&mut self, frame: FrameBuf) -> HelmOutbox {
        let mut out = HelmOutbox::default();
        self.helm.handle_control_frame(self.now, InterfaceId(0), frame, &mut out);
        out
    }

    fn answers(&self) -> bool {
        self.helm.standing().answers(self.now, 0, true)
    }

    fn state(&self) -> State {
        self.helm.vips[0].engine.state()
    }
}

/// An advertisement of the other speaker.
fn advert(password: &str, counter: u64) -> FrameBuf {
    let digest = Signer::new(password, VHID, &["192.168.1.1".parse().unwrap()]).sign(counter);
    let repr = Repr { vhid: VHID, advskew: 100, advbase: 1, demotion: 0, counter, digest };
    repr.frame(Envelope::to_group(MacAddr([2, 0, 0, 0, 0, 9]), "192.168.1.3".parse().unwrap()))
}

/// The advertisement in a frame, with the frame's sender.
fn read(frame: &FrameBuf) -> Option<(Repr, MacAddr, IpAddr)> {
    let from = MacAddr(frame.bytes()[6..12].try_into().unwrap());
    let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(frame.bytes())) else { return None };
    Some((Repr::read(&packet, false).ok()?, from, packet.layout.key.src()))
}

#[test]
fn a_foreign_master_advertises_and_announces_from_the_virtual_mac() {
    let mut bench = Bench::new();
    assert!(bench.run(Duration::from_millis(2_999)).frames.is_empty());
    assert!(!bench.answers());
    let out = bench.run(Duration::from_millis(1));
    assert!(bench.answers());
    let [(PortId(0), first), (PortId(0), second)] = &out.frames[..] else { panic!("{}", out.frames.len()) };
    let (repr, mac, from) = read(first).unwrap();
    assert_eq!((repr.vhid, repr.advbase, repr.advskew), (VHID, 1, 0));
    assert_eq!((mac, from), (VHID.mac(), "192.168.1.2".parse::<IpAddr>().unwrap()));
    // Gratuitous ARP: its Ethernet sender, and what it says.
    assert_eq!((&second.bytes()[6..12], &second.bytes()[22..28]), (&VHID.mac().0[..], &VHID.mac().0[..]));
}

#[test]
fn a_node_that_stood_still_does_not_claim_what_it_had() {
    let mut bench = Bench::new();
    bench.run(5 * SECOND);
    assert!(bench.answers());
    // The packet path may come first: what was published says nothing any more.
    bench.now += 4 * SECOND;
    assert!(!bench.answers());
    let out = bench.hear(advert("sekrit", 41));
    assert!(out.frames.is_empty() && bench.state() == State::Backup);
    for counter in 42..50 {
        assert!(bench.run(SECOND).frames.is_empty());
        assert!(bench.hear(advert("sekrit", counter)).frames.is_empty());
        assert!(!bench.answers());
    }
    // The same when our own clock stood still as well, and only the calendar's went on.
    let mut bench = Bench::new();
    let mut out = HelmOutbox::default();
    bench.helm.handle_clock(bench.now, 0, &mut out);
    bench.run(5 * SECOND);
    bench.helm.handle_clock(bench.now, 9_000_000_000, &mut out);
    assert!(!bench.answers());
}

#[test]
fn the_log_tells_a_wrong_password_from_a_replay() {
    let mut bench = Bench::new();
    bench.run(5 * SECOND);
    let text =
        |out: HelmOutbox| -> Vec<String> { out.notices.into_iter().map(|notice| notice.text).collect() };
    let said = text(bench.hear(advert("wrong", 7)));
    assert!(said.len() == 1 && said[0].contains("digest"), "{said:?}");
    bench.hear(advert("sekrit", 8));
    bench.hear(advert("sekrit", 9));
    let said = text(bench.hear(advert("sekrit", 9)));
    assert!(said.len() == 1 && said[0].contains("replay"), "{said:?}");
}

/// Who goes says so: at the end of the node, and when the document no longer has the address.
#[test]
fn leave_is_taken_with_a_last_advertisement() {
    let goodbye = |out: &HelmOutbox| out.frames.iter().filter_map(|(_, frame)| read(frame)).next_back();
    let mut bench = Bench::new();
    bench.run(5 * SECOND);
    let mut out = HelmOutbox::default();
    bench.helm.stop(bench.now, &mut out);
    assert_eq!(goodbye(&out).map(|(repr, ..)| (repr.advbase, repr.advskew)), Some((255, 255)));
    let mut bench = Bench::new();
    bench.run(5 * SECOND);
    let mut out = HelmOutbox::default();
    bench.helm.apply(bench.now, compiled(DOCUMENT), &mut out);
    assert_eq!(goodbye(&out).map(|(repr, ..)| (repr.advbase, repr.advskew)), Some((255, 255)));
    assert_eq!(bench.helm.standing().foreign, 0);
    // Another skew is said at once; another list of addresses is announced.
    let mut bench = Bench::new();
    bench.run(5 * SECOND);
    let mut out = HelmOutbox::default();
    let text = format!("{DOCUMENT}{SHARED}").replace("vhid = 5", "vhid = 5\nadvskew = 9");
    bench.helm.apply(bench.now, compiled(&text), &mut out);
    assert_eq!(goodbye(&out).map(|(repr, ..)| (repr.advbase, repr.advskew)), Some((1, 9)));
}

/// Whoever shares an address with a node that is not well hears it at once, and may take over.
#[test]
fn a_node_that_is_not_well_advertises_less_often() {
    let document = DOCUMENT
        .replace(
            "[[node.interface]]",
            "[[node.port]]\nname = \"wan\"\ntap = \"koi-wan\"\n\n[[node.interface]]\nname = \"wan\"\naddresses = [\"203.0.113.2/24\"]\n\n[[node.interface]]",
        );
    let mut bench = Bench::with(&format!("{document}{SHARED}{UPLINK}"));
    let mut out = HelmOutbox::default();
    bench.helm.handle_link(bench.now, PortId(1), true, &mut out);
    bench.run(5 * SECOND);
    assert!(bench.answers());
    let said = |out: &HelmOutbox| -> Vec<u8> {
        out.frames.iter().filter_map(|(_, frame)| read(frame)).map(|(repr, ..)| repr.advskew).collect()
    };
    type Harm = fn(&mut Bench, bool, &mut HelmOutbox);
    let harms: [(&str, Harm); 3] = [
        ("link", |bench, well, out| bench.helm.handle_link(bench.now, PortId(1), well, out)),
        ("gateway", |bench, well, out| bench.helm.handle_gateway(bench.now, 0, well, out)),
        ("forwarding", |bench, well, out| bench.helm.handle_forwarding(bench.now, well, out)),
    ];
    for (what, harm) in harms {
        for (well, skew) in [(false, 240), (true, 0)] {
            let mut out = HelmOutbox::default();
            harm(&mut bench, well, &mut out);
            assert_eq!(said(&out), [skew], "{what}, at once");
            let later = said(&bench.run(2 * SECOND));
            assert!(!later.is_empty() && later.iter().all(|said| *said == skew), "{what}: {later:?}");
        }
    }
    // A preempting speaker with a skew of 100 would have taken over, and is believed.
    let mut out = HelmOutbox::default();
    bench.helm.handle_link(bench.now, PortId(1), false, &mut out);
    bench.hear(advert("sekrit", 7));
    assert_eq!(bench.state(), State::Backup);
}
