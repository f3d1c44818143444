//! A whole router on real devices, in namespaces of its own.

use std::process::{Command as Process, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::super::entropy;
use super::super::netlink::LinkSocket;
use super::super::port::Spec;
use super::super::sys;
use super::super::testbed::{Namespace, WAYS};
use super::*;
use crate::config;
use crate::node::snapshot::Snapshot;
use crate::node::{Command, Compiled, Offload};

/// A router 10.77.0.2 for the hosts of `lan`, and 10.78.0.2 for those of `wan` when there is one.
fn document(lan: &Namespace, wan: Option<&Namespace>) -> String {
    let mut text =
        "schema = 1\nrevision = 1\n[outbound]\nmode = \"disabled\"\n[[node]]\nname = \"koi\"\n".to_owned();
    let ports = wan.map(|space| ("wan", "t1", space, "10.78.0.2/24"));
    let ports: Vec<_> = ports.into_iter().chain([("lan", "t0", lan, "10.77.0.2/24")]).collect();
    for (name, tap, space, _) in &ports {
        text += &format!("[[node.port]]\nname = \"{name}\"\ntap = \"{tap}\"\nnetns = \"{}\"\n", space.0);
    }
    for (name, _, _, address) in &ports {
        text += &format!("[[node.interface]]\nname = \"{name}\"\naddresses = [\"{address}\"]\n");
    }
    for (name, ..) in &ports {
        text += &format!("[[interface]]\nname = \"{name}\"\nzone = \"lan\"\nport = \"{name}\"\n");
        text += &format!(
            "[[rule]]\nid = {}\ninterface = \"{name}\"\naction = \"pass\"\n",
            1_000_000 + text.len()
        );
    }
    text
}

fn compile(text: &str) -> Arc<Compiled> {
    let valid = config::load(text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    let node = valid.node(None).unwrap();
    let ports = valid.node_part(node).ports.len();
    Arc::new(Compiled::new(Arc::new(valid), node, 1, vec![Offload::ALL; ports]))
}

fn specs(compiled: &Compiled) -> Vec<Spec> {
    let ports = compiled.config.node_part(compiled.node).ports.iter().enumerate();
    ports.map(|(id, port)| Spec::new(PortId(id as u8), port).unwrap()).collect()
}

/// A router that runs, and what its ports tell.
struct Running {
    handle: Handle,
    events: mpsc::Receiver<PortEvent>,
    thread: JoinHandle<io::Result<()>>,
}

impl Running {
    fn start(compiled: Arc<Compiled>, ports: Vec<Port>) -> Running {
        let (sender, events) = mpsc::channel();
        let links = Links::watch(&ports);
        let shard = Shard::new(compiled, entropy::seed().unwrap(), clock::now());
        let listener = Box::new(move |event| sender.send(event).unwrap());
        let forward = Forward::new(shard, ports, links, listener).unwrap();
        let handle = forward.handle();
        Running { handle, events, thread: std::thread::spawn(move || forward.run()) }
    }

    fn snapshot(&self) -> Snapshot {
        let (sender, receiver) = mpsc::channel();
        let reply = Box::new(move |snapshot| sender.send(snapshot).unwrap());
        self.handle.command(Command::Snapshot(reply)).unwrap();
        receiver.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    /// Waits until the ports are as they should be.
    fn wait_for_links(&self, wanted: &[bool]) {
        for _ in 0..300 {
            let ups: Vec<_> = self.snapshot().ports.iter().map(|port| port.up).collect();
            if ups == wanted {
                return;
            }
            sys::poll(&mut [], Some(Duration::from_millis(10))).unwrap();
        }
        panic!("links {:?} instead of {wanted:?}", self.snapshot().ports);
    }

    fn event(&self) -> PortEvent {
        self.events.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    fn stop(self) {
        self.handle.order(Order::Stop).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

/// True when the router answers a host of `space` within a few tries.
fn pings(space: &Namespace, router: &str) -> bool {
    let arguments = ["netns", "exec", &space.0, "ping", "-q", "-c", "1", "-W", "1", router];
    let mut ping = Process::new("ip");
    let ping = ping.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    (0..3).any(|_| ping.status().is_ok_and(|status| status.success()))
}

/// Makes `device` the host's link, with the given address.
fn host(space: &Namespace, device: &str, address: &str) {
    space.ip(&format!("link set {device} up"));
    space.ip(&format!("addr replace {address} dev {device}"));
}

#[test]
fn a_router_follows_its_device_through_down_deleted_and_moved() {
    let (Some(home), Some(away)) = (Namespace::new(), Namespace::new()) else { return };
    home.ip("tuntap add t0 mode tap");
    let compiled = compile(&document(&home, None));
    let ports = specs(&compiled).into_iter().map(|spec| Port::attach(spec).unwrap()).collect();
    let router = Running::start(compiled, ports);
    host(&home, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&home, "10.77.0.2"));

    home.ip("link set t0 down");
    router.wait_for_links(&[false]);
    host(&home, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&home, "10.77.0.2"));

    home.ip("link del t0");
    assert!(matches!(router.event(), PortEvent::Gone(PortId(0))));
    router.wait_for_links(&[false]);
    home.ip("tuntap add t0 mode tap");
    assert!(matches!(router.event(), PortEvent::Attached(PortId(0))));
    host(&home, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&home, "10.77.0.2"));

    home.ip(&format!("link set t0 netns {}", away.0));
    router.wait_for_links(&[false]);
    host(&away, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&away, "10.77.0.2"));

    let snapshot = router.snapshot();
    assert!(snapshot.ports[0].rx_packets >= 8 && snapshot.ports[0].tx_packets >= 8, "{:?}", snapshot.ports);
    let counter = |name| snapshot.counters.iter().find(|row| row.name == name).unwrap().value;
    assert_eq!((counter("port-attached-again"), counter("port-malformed")), (1, 0));
    router.stop();
}

#[test]
fn devices_opened_by_others_work_and_are_taken_again_after_they_were_gone() {
    let Some(home) = Namespace::new() else { return };
    let compiled = compile(&document(&home, None));
    let spec = specs(&compiled).remove(0);
    let opened = || {
        let port = Port::attach(spec.clone()).unwrap();
        (port.fd().unwrap().try_clone_to_owned().unwrap(), port.index())
    };
    let (fd, index) = opened();
    let router = Running::start(Arc::clone(&compiled), vec![Port::adopt(spec.clone(), fd, index).unwrap()]);
    host(&home, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&home, "10.77.0.2"));
    home.ip("link del t0");
    assert!(matches!(router.event(), PortEvent::Gone(PortId(0))));
    let (fd, index) = opened();
    router.handle.order(Order::Attach(PortId(0), fd, index)).unwrap();
    host(&home, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&home, "10.77.0.2"));
    router.stop();
}

#[test]
fn ports_come_go_and_change_places_with_a_new_configuration() {
    let (Some(lan), Some(wan)) = (Namespace::new(), Namespace::new()) else { return };
    let (alone, both) = (compile(&document(&lan, None)), compile(&document(&lan, Some(&wan))));
    let ports = specs(&alone).into_iter().map(|spec| Port::attach(spec).unwrap()).collect();
    let router = Running::start(Arc::clone(&alone), ports);
    host(&lan, "t0", "10.77.0.1/24");
    router.wait_for_links(&[true]);
    assert!(pings(&lan, "10.77.0.2"));

    let new = Port::attach(specs(&both).remove(0)).unwrap();
    let ports = vec![Placement::New(Box::new(new)), Placement::Kept(PortId(0))];
    let links = vec![(Some(wan.0.clone()), LinkSocket::open(Some(&wan.0)).unwrap())];
    let command = Command::Apply(both, Box::new(|()| {}));
    router.handle.order(Order::Arrange(Box::new(Arrangement { ports, links, command, sync: None }))).unwrap();
    host(&wan, "t1", "10.78.0.1/24");
    router.wait_for_links(&[true, true]);
    assert!(pings(&wan, "10.78.0.2") && pings(&lan, "10.77.0.2"));

    let ports = vec![Placement::Kept(PortId(1))];
    let command = Command::Apply(alone, Box::new(|()| {}));
    let arrangement = Arrangement { ports, links: Vec::new(), command, sync: None };
    router.handle.order(Order::Arrange(Box::new(arrangement))).unwrap();
    router.wait_for_links(&[true]);
    assert!(pings(&lan, "10.77.0.2"));
    lan.ip("link set t0 down");
    router.wait_for_links(&[false]);
    router.stop();
}

#[test]
fn a_loop_of_frames_and_orders_ends_when_it_is_told_to() {
    let Some(home) = Namespace::new() else { return };
    let compiled = compile(&document(&home, None));
    for way in WAYS {
        let spec = Spec { driver: way.0, batches: way.1, ..specs(&compiled).remove(0) };
        let router = Running::start(Arc::clone(&compiled), vec![Port::attach(spec).unwrap()]);
        host(&home, "t0", "10.77.0.1/24");
        assert!(pings(&home, "10.77.0.2"), "{way:?}");
        router.stop();
    }
}
