//! Any bytes are an advertisement or none, and what is one is written as it was read. A VHID of either mode, whatever
//! it hears and whenever, says little, signs what it says, never spins, and when the pair decides does as it is told.
//!
//! Input: a byte (bits: paired, both families, preempt, unicast), then orders of one byte and what they need.
#![no_main]

use std::net::IpAddr;

use koi::carp::{Event, Mode, Outbox, State, Vhid, VhidConfig, announcement};
use koi::types::{self, Duration, Instant, MacAddr, Seed};
use koi::wire::carp::{Envelope, Repr, Signer, virtual_mac};
use koi::wire::{FrameBuf, Packet, Parsed};
use koi_fuzz::{Input, Repair};
use libfuzzer_sys::fuzz_target;

const VHID: types::Vhid = types::Vhid(7);
const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 100)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100)),
];

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let mut world = World::new(input.byte());
    for _ in 0..128 {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
});

/// Own addresses of a station on the link.
fn own(station: u8) -> Vec<IpAddr> {
    vec![[192, 0, 2, station].into(), [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(station)].into()]
}

struct World {
    engine: Vhid,
    now: Instant,
    out: Outbox,
    up: bool,
    told: bool,
}

impl World {
    fn new(bits: u8) -> Self {
        let now = Instant::from_secs(1);
        let engine = Vhid::new(config(bits, 100), Seed([u64::from(bits), 2]), now);
        World { engine, now, out: Outbox::default(), up: false, told: false }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let mut leaves = false;
        match input.byte() & 7 {
            0 => self.bytes(input.piece()),
            1 => self.advert(input),
            2 => self.wait(Duration::from_millis(u64::from(input.word()))),
            3 => {
                self.up = input.byte() & 1 != 0;
                self.engine.handle_link(self.now, self.up, &mut self.out);
            }
            4 => {
                self.told = input.byte() & 1 != 0;
                self.engine.set_master(self.now, self.told, &mut self.out);
            }
            5 => self.engine.demote(self.now, input.byte(), &mut self.out),
            6 => {
                (self.up, self.told, leaves) = (false, false, true);
                self.engine.stop(self.now, &mut self.out);
            }
            _ => {
                leaves = true;
                self.engine.apply(self.now, config(input.byte(), input.byte()), &mut self.out);
            }
        }
        self.drain(leaves);
    }

    /// A frame's payload behind an Ethernet and an IP header, and by itself.
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(repr) = Repr::parse(bytes) {
            assert_eq!(Repr::parse(&repr.emit()), Some(repr));
            for from in own(1) {
                let frame = repr.frame(Envelope::to_group(virtual_mac(repr.vhid), from));
                let Ok(Parsed::Ip(packet)) = Packet::parse(frame) else { panic!("an IP packet") };
                assert_eq!((Repr::read(&packet, false), packet.layout.key.src()), (Ok(repr), from));
            }
            self.engine.handle_advert(self.now, own(2)[0], &repr, &mut self.out);
        }
        let mut frame = bytes.to_vec();
        Repair::ALL.apply(&mut frame);
        if let Ok(Parsed::Ip(packet)) = Packet::parse(FrameBuf::copy_of(&frame))
            && let Ok(repr) = Repr::read(&packet, bytes.len() & 1 != 0)
        {
            assert_eq!(Repr::parse(packet.transport()), Some(repr));
        }
    }

    /// An advertisement with a right digest, mostly.
    fn advert(&mut self, input: &mut Input<'_>) {
        let (kind, advbase, advskew, counter) = (input.byte(), input.byte(), input.byte(), input.byte());
        let VhidConfig { vhid, addresses, .. } = self.engine.config().clone();
        let password = if kind & 1 == 0 { "sekrit" } else { "wrong" };
        let digest = Signer::new(password, vhid, &addresses).sign(counter.into());
        let repr = Repr { vhid, advbase, advskew, demotion: kind, counter: counter.into(), digest };
        let from = own(kind >> 1 & 3)[usize::from(kind >> 7)];
        self.engine.handle_advert(self.now, from, &repr, &mut self.out);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        // Every other wait is a pause of the whole machine.
        if time.as_millis() & 1 == 0 {
            while let Some((due, _)) = self.engine.poll_timeout().filter(|(due, _)| *due <= end) {
                self.now = due.max(self.now);
                self.timeout();
                self.drain(false);
            }
        }
        self.now = end;
        self.timeout();
    }

    fn timeout(&mut self) {
        self.engine.handle_timeout(self.now, &mut self.out);
        assert!(self.engine.poll_timeout().is_none_or(|(due, _)| due > self.now), "it does not spin");
    }

    fn drain(&mut self, leaves: bool) {
        let state = self.engine.state();
        let VhidConfig { vhid, addresses, mode, own, .. } = self.engine.config().clone();
        let signer = Signer::new("sekrit", vhid, &addresses);
        let Outbox { adverts, announce, changes, events } = std::mem::take(&mut self.out);
        assert!(adverts.len() <= 4 && announce.len() <= 4 && changes.len() <= 3 && events.len() <= 2);
        for advert in adverts {
            assert!(state == State::Master || leaves, "only a master speaks");
            assert!(signer.verify(&advert.repr) || leaves);
        }
        for address in announce {
            assert!(addresses.contains(&address) && state == State::Master);
            assert!(announcement(MacAddr([2; 6]), address).len() >= 42);
        }
        assert!(changes.iter().all(|change| change.from != change.to));
        for event in events {
            match event {
                Event::ListsDiffer { from }
                | Event::BadDigest { from }
                | Event::Stranger { from }
                | Event::OtherMaster { from } => assert!(!own.contains(&from)),
                Event::FamilySilent { .. } => assert_eq!((addresses.len(), state), (2, State::Backup)),
                Event::Repeat { .. } => {}
            }
        }
        assert_eq!(state == State::Init, !self.up);
        if let Mode::Paired { .. } = mode {
            assert_eq!(state == State::Master, self.up && self.told, "as the pair says");
        }
    }
}

fn config(bits: u8, advskew: u8) -> VhidConfig {
    let peer = (bits & 8 != 0).then(|| own(2)[0]);
    VhidConfig {
        vhid: if bits & 16 == 0 { VHID } else { types::Vhid(255) },
        addresses: ADDRESSES[..if bits & 2 == 0 { 1 } else { 2 }].to_vec(),
        password: String::from("sekrit"),
        advbase: bits >> 5,
        advskew,
        own: own(1),
        mode: match bits & 1 {
            0 => Mode::Foreign { preempt: bits & 4 != 0, peer },
            _ => Mode::Paired { peer: own(2) },
        },
    }
}
