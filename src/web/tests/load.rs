//! How long the pages take when there is much to show. Measured in release only; see `tests/run`.

use std::net::Ipv4Addr;

use super::browser::Browser;
use super::router::{Paper, real, site_before, users};
use crate::io::clock;
use crate::types::{Instant, PortId};
use crate::wire::{FrameBuf, checksum};

const FLOWS: u32 = 1_000_000;

/// A UDP frame of flow `flow` from the LAN.
fn frame(router: [u8; 6], flow: u32) -> FrameBuf {
    let mut bytes = [0u8; 60];
    bytes[..6].copy_from_slice(&router);
    bytes[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 2, 8, 0]);
    let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 1, 0)) + (flow >> 12));
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
    bytes[26..30].copy_from_slice(&source.octets());
    bytes[30..34].copy_from_slice(&[203, 0, 113, (flow % 199) as u8 + 1]);
    let header = !checksum::sum(&bytes[14..34]);
    bytes[24..26].copy_from_slice(&header.to_be_bytes());
    bytes[34..36].copy_from_slice(&(1024 + (flow & 0xfff) as u16).to_be_bytes());
    bytes[36..40].copy_from_slice(&[0, 53, 0, 26]);
    FrameBuf::copy_of(&bytes)
}

#[test]
#[ignore = "measures: run it in release"]
fn states_of_a_million_flows_take_less_than_twenty_milliseconds() {
    let document = format!("{}{}", include_str!("../../../tests/bench/inprocess.toml"), users());
    let paper = Paper::new(&document);
    let real = real(&paper.in_force);
    {
        let (shard, out) = &mut *real.lock().unwrap();
        let router = paper.in_force.load().links[1].mac.0;
        let now = Instant::from_secs(1000);
        [PortId(0), PortId(1)].into_iter().for_each(|port| shard.handle_link(now, port, true, out));
        for first in (0..FLOWS).step_by(64) {
            let mut frames = (first..first + 64).map(|flow| frame(router, flow)).collect();
            shard.handle_frames(now, PortId(1), &mut frames, out);
            [PortId(0), PortId(1)].into_iter().for_each(|port| out.frames(port).0.clear());
        }
        assert!(shard.states() >= FLOWS as usize, "{} states", shard.states());
    }
    let mut browser = Browser::before(paper.clone(), site_before(&paper, real));
    browser.log_in("otto", "correct horse");
    for question in [
        "",
        "?port=1500",
        "?address=10.0.1.200",
        "?address=192.0.2.1",
        "?state=opening&protocol=udp&interface=lan",
        "?by=source",
        "?by=destination&port=53",
        "?by=rule",
    ] {
        let path = format!("/diagnostics/states{question}");
        let mut times: Vec<_> = (0..11)
            .map(|_| {
                let begin = clock::now();
                assert_eq!(browser.get(&path).status, 200);
                clock::now().since(begin)
            })
            .collect();
        times.sort_unstable();
        eprintln!("{path}: {:?}, at most {:?}", times[5], times[10]);
        assert!(times[5].as_millis() < 20, "{path}: {:?}", times[5]);
    }
}
