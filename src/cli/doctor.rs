//! `koi doctor`: what this machine and the network around it lack.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use super::Control;
use crate::appliance::doctor::{self, CardSeen, Host, Seen, VirtualSeen};
use crate::appliance::partition;
use crate::config::{self, Config};
use crate::io::control_client::Client;
use crate::io::request::{Request, Response, Status};
use crate::io::{clock, nic};
use crate::node::PairSnapshot;
use crate::types::{Duration, MacAddr};

/// So long somebody looks for frames to a virtual address.
const LISTEN: Duration = Duration::from_secs(4);
/// Bytes of them that are looked at.
const BYTES: usize = 8 << 20;
/// The head of a capture, which comes before any frame.
const HEAD: usize = 24;

/// Say what this machine and the network around it lack, and whether virtual MAC addresses get through
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    control: Control,
}

impl Doctor {
    /// Looks, and says it; fails when there is something to put right.
    pub fn run(self) -> ExitCode {
        let seen = look(&self.control);
        let (text, is_well) = doctor::report(&seen);
        print!("{text}");
        if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn look(control: &Control) -> Seen {
    let status =
        match Client::connect(control.control.as_deref()).and_then(|client| client.ask(&Request::Status)) {
            Ok(Response::Status(status)) => Some(*status),
            Ok(_) | Err(_) => None,
        };
    let config = status.as_ref().and_then(|status| {
        let text = fs::read_to_string(&status.config_file).ok()?;
        config::parse(&text).ok()
    });
    let (cards, missing) = cards(config.as_ref(), status.as_ref());
    let pair = status.as_ref().and_then(|status| status.pair.as_deref());
    let firmware = |name: &str| fs::read_to_string(format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    Seen {
        host: Host::of(&firmware("sys_vendor"), &firmware("product_name")),
        cards,
        missing,
        virtuals: pair.map(|pair| virtuals(control, pair)).unwrap_or_default(),
        findings: pair.map(|pair| pair.findings.clone()).unwrap_or_default(),
        tun: Path::new("/dev/net/tun").exists(),
        watchdog: Path::new("/dev/watchdog").exists(),
        in_memory: partition::is_in_memory(),
        router: status.is_some(),
    }
}

fn cards(config: Option<&Config>, status: Option<&Status>) -> (Vec<CardSeen>, Vec<String>) {
    let ports = || {
        let node = config
            .zip(status)
            .and_then(|(config, status)| config.nodes.iter().find(|node| node.name == status.node));
        node.into_iter().flat_map(|node| &node.ports).filter_map(|port| Some((port.nic?, port.name.clone())))
    };
    let cards: Vec<CardSeen> = nic::all()
        .unwrap_or_default()
        .into_iter()
        .map(|card| CardSeen {
            port: ports().find(|(mac, _)| *mac == card.mac).map(|(_, name)| name),
            mac: card.mac,
            name: card.name,
            carries: card.carries,
        })
        .collect();
    let missing = ports().filter(|(mac, _)| !cards.iter().any(|card| card.mac == *mac));
    let missing = missing.map(|(_, name)| name).collect();
    (cards, missing)
}

fn virtuals(control: &Control, pair: &PairSnapshot) -> Vec<VirtualSeen> {
    let rows: Vec<_> = pair.virtual_ips.iter().filter(|_| pair.paired).collect();
    let listen = |vip: &crate::node::PairVirtualIpRow| {
        let mac: MacAddr = vip.mac.parse().ok()?;
        (vip.state == "MASTER").then(|| (mac, Frames::listen(control, &vip.interface)))
    };
    let listening: Vec<_> = rows.iter().map(|vip| listen(vip)).collect();
    if listening.iter().any(Option::is_some) {
        clock::pause(LISTEN);
    }
    let one = |(vip, listening): (&&crate::node::PairVirtualIpRow, Option<(MacAddr, Frames)>)| VirtualSeen {
        interface: vip.interface.clone(),
        vhid: vip.vhid,
        mac: vip.mac.clone(),
        is_master: vip.state == "MASTER",
        heard: vip.adverts_received,
        silent: pair.unheard().any(|silent| silent == *vip),
        arrived: listening.and_then(|(mac, frames)| frames.to(mac)),
    };
    rows.iter().zip(listening).map(one).collect()
}

/// What a thread captures that ends with this process.
#[derive(Clone, Default)]
struct Frames(Arc<Mutex<Vec<u8>>>);

impl Frames {
    fn listen(control: &Control, interface: &str) -> Frames {
        let frames = Frames::default();
        let mut into = frames.clone();
        let request = Request::Capture { interface: interface.into(), filter: String::new(), count: None };
        let control = control.control.clone();
        // Where nothing can be captured, nothing is said about it.
        let capturing = move || {
            Client::connect(control.as_deref()).and_then(|client| client.capture(&request, &mut into))
        };
        let _ = std::thread::Builder::new().name("listen".into()).spawn(capturing);
        frames
    }

    /// Frames to the address that have come in; `None` when nobody has listened.
    fn to(&self, mac: MacAddr) -> Option<u64> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (bytes.len() >= HEAD).then(|| doctor::frames_to(mac, &bytes))
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() > BYTES {
            return Err(io::ErrorKind::StorageFull.into());
        }
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
