//! What the parent opens and keeps open for the router: ports, link sockets, the loopback listener.
//!
//! The parent keeps its own handle on each, so that a TAP that Koi has created outlives a router, and disappears
//! with the parent.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::netlink::LinkSocket;
use super::nic::{self, Made};
use super::orders::{Change, PortNote};
use super::spec::{Device, Spec};
use super::tap::{Patience, Tap};
use super::{plain, single, sys, tap};
use crate::config::model::{Driver, Node};
use crate::config::{Config, NodeIndex, Valid};
use crate::types::PortId;
use crate::wire::FrameBuf;

/// A port whose device is open.
#[derive(Debug)]
pub struct OpenedPort {
    /// Name in the configuration.
    pub name: String,
    /// The attached descriptor; `None` while the device is gone.
    pub fd: Option<OwnedFd>,
    /// What it attaches to.
    pub spec: Spec,
    /// Name of the device.
    pub device: String,
    /// Number of the device in its namespace.
    pub index: Option<u32>,
    /// Koi has made it, and makes it again when it was deleted.
    ours: bool,
    /// What was made for it on a network card.
    made: Option<Made>,
}

impl OpenedPort {
    /// Opens the device.
    ///
    /// # Errors
    /// When it cannot be opened; the error names the port.
    fn open(name: &str, spec: Spec) -> Result<OpenedPort, String> {
        let (tap, made) = open(&spec).map_err(|error| {
            let what = match &spec.device {
                Device::Tap(tap) => format!("the TAP \"{tap}\""),
                Device::Macvtap(path) => format!("the macvtap {path}"),
                Device::Nic(mac) => format!("the network card {mac}"),
            };
            format!("port \"{name}\": {what} cannot be opened: {error}")
        })?;
        let ours = is_ours(&spec, &tap);
        let Tap { file, name: device, index, offload_header: _, offloads: _ } = tap;
        Ok(OpenedPort { name: name.into(), fd: Some(file.into()), spec, device, index, ours, made })
    }

    /// As [`OpenedPort::open`]; a network card may come later.
    ///
    /// # Errors
    /// When the device cannot be opened, and is none that is waited for.
    fn open_or_wait(name: &str, spec: Spec) -> Result<OpenedPort, String> {
        match (OpenedPort::open(name, spec.clone()), &spec.device) {
            (Err(reason), Device::Nic(mac)) => {
                tracing::warn!(%reason, "the port waits for its network card");
                let device = mac.to_string();
                Ok(OpenedPort {
                    name: name.into(),
                    fd: None,
                    spec,
                    device,
                    index: None,
                    ours: true,
                    made: None,
                })
            }
            (opened, Device::Tap(_) | Device::Macvtap(_) | Device::Nic(_)) => opened,
        }
    }

    /// Lets go of the device, so that its successor can be opened.
    fn close(&mut self) {
        (self.fd, self.made) = (None, None);
    }

    fn note(&self, descriptor: Change) -> PortNote {
        let descriptor = if self.fd.is_none() { Change::Gone } else { descriptor };
        PortNote {
            name: self.name.clone(),
            driver: self.spec.driver,
            device: self.device.clone(),
            index: self.index,
            netns: self.spec.netns.clone(),
            descriptor,
        }
    }
}

fn open(spec: &Spec) -> io::Result<(Tap, Option<Made>)> {
    let netns = spec.netns.as_deref();
    let tap = match (&spec.device, spec.driver) {
        (Device::Tap(name), Driver::Plain) => plain::open(name, netns, Patience::Second),
        (Device::Tap(name), Driver::Offload) => tap::open(name, netns, Patience::Second),
        (Device::Macvtap(path), driver) => tap::open_macvtap(path, netns, driver == Driver::Offload),
        (Device::Nic(mac), driver) => {
            return nic::open(*mac, driver == Driver::Offload).map(|(tap, made)| (tap, Some(made)));
        }
    };
    tap.map(|tap| (tap, None))
}

/// True for a TAP that lives only as long as somebody has it open, and for what is made on a card: ours, to be made
/// again when it was deleted.
fn is_ours(spec: &Spec, tap: &Tap) -> bool {
    let persistent =
        sys::tun_device(tap.file.as_fd()).is_ok_and(|(_, flags)| i32::from(flags) & libc::IFF_PERSIST != 0);
    match spec.device {
        Device::Tap(_) => !persistent,
        Device::Macvtap(_) => false,
        Device::Nic(_) => true,
    }
}

/// Everything that is open.
#[derive(Default)]
pub struct Devices {
    ports: Vec<OpenedPort>,
    links: Vec<(Option<String>, LinkSocket)>,
    loopback: Option<(SocketAddr, TcpListener)>,
}

/// What a new configuration opens and no longer needs; nothing is closed before [`Devices::commit`].
pub struct Changes {
    /// In the order of the new configuration.
    ports: Vec<Prepared>,
    links: Vec<(Option<String>, LinkSocket)>,
    loopback: Option<(SocketAddr, TcpListener)>,
    /// What becomes of the present loopback listener.
    loopback_change: Change,
    closed: Vec<String>,
}

/// A port of the new configuration.
enum Prepared {
    New(OpenedPort),
    /// Index among the present ports.
    Kept(usize),
}

impl Changes {
    /// The ports as the router is told about them.
    pub fn notes(&self, devices: &Devices) -> Vec<PortNote> {
        let note = |port: &Prepared| match port {
            Prepared::New(port) => port.note(Change::New),
            Prepared::Kept(index) => devices.ports[*index].note(Change::Kept),
        };
        self.ports.iter().map(note).collect()
    }

    /// The namespaces of the new link sockets.
    pub fn namespaces(&self) -> Vec<Option<String>> {
        self.links.iter().map(|(netns, _)| netns.clone()).collect()
    }

    /// What becomes of the loopback listener.
    pub fn loopback(&self) -> Change {
        self.loopback_change
    }

    /// The new descriptors: the loopback listener, the link sockets, the ports.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let loopback = self.loopback.iter().map(|(_, listener)| listener.as_fd());
        let links = self.links.iter().map(|(_, socket)| socket.fd());
        loopback
            .chain(links)
            .chain(self.new_ports().filter_map(|port| Some(port.fd.as_ref()?.as_fd())))
            .collect()
    }

    /// Names of the ports that have been opened.
    pub fn opened(&self) -> Vec<String> {
        self.new_ports().map(|port| port.name.clone()).collect()
    }

    /// Names of the ports that will be closed.
    pub fn closed(&self) -> Vec<String> {
        self.closed.clone()
    }

    fn new_ports(&self) -> impl Iterator<Item = &OpenedPort> {
        self.ports.iter().filter_map(|port| match port {
            Prepared::New(port) => Some(port),
            Prepared::Kept(_) => None,
        })
    }
}

impl Devices {
    /// Opens what differs between what is open and what `config` wants.
    ///
    /// # Errors
    /// What cannot be opened, each with its name; nothing has changed then.
    pub fn prepare(&self, config: &Valid<Config>, node: NodeIndex) -> Result<Changes, Vec<String>> {
        let part = config.node_part(node);
        let mut problems = Vec::new();
        let ports = self.prepare_ports(part, &mut problems);
        let links = self.prepare_links(part, &mut problems);
        let wanted = part.loopback;
        let present = self.loopback.as_ref().map(|(address, _)| *address);
        let (loopback, loopback_change) = match (present, wanted) {
            (present, wanted) if present == wanted => (None, Change::Kept),
            (_, None) => (None, Change::Gone),
            (_, Some(address)) => (bind(address, &mut problems), Change::New),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let stays = |index| ports.iter().any(|port| matches!(port, Prepared::Kept(kept) if *kept == index));
        let left = self.ports.iter().enumerate().filter(|(index, _)| !stays(*index));
        let closed = left.map(|(_, port)| port.name.clone()).collect();
        Ok(Changes { ports, links, loopback, loopback_change, closed })
    }

    fn prepare_ports(&self, part: &Node, problems: &mut Vec<String>) -> Vec<Prepared> {
        let mut ports = Vec::new();
        for (index, port) in part.ports.iter().enumerate() {
            let Some(spec) = Spec::new(PortId(index as u8), port) else {
                problems.push(format!("port \"{}\" names no device", port.name));
                continue;
            };
            let same_device =
                |old: &&OpenedPort| old.spec.device == spec.device && old.spec.netns == spec.netns;
            match self.ports.iter().position(|old| same_device(&old)) {
                Some(kept) if self.ports[kept].name == port.name && self.ports[kept].spec.driver == spec.driver => {
                    ports.push(Prepared::Kept(kept));
                }
                // The kernel gives a device to one descriptor only, so the old one would have to go first.
                Some(_) => problems.push(format!(
                    "port \"{}\": its name or driver cannot change while its device is in use; restart Koi for that",
                    port.name
                )),
                None => match OpenedPort::open_or_wait(&port.name, spec) {
                    Ok(opened) => ports.push(Prepared::New(opened)),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        ports
    }

    fn prepare_links(&self, part: &Node, problems: &mut Vec<String>) -> Vec<(Option<String>, LinkSocket)> {
        let mut links: Vec<(Option<String>, LinkSocket)> = Vec::new();
        for port in &part.ports {
            let mut known = self.links.iter().chain(&links);
            if known.any(|(netns, _)| *netns == port.netns) {
                continue;
            }
            match LinkSocket::open(port.netns.as_deref()) {
                Ok(socket) => links.push((port.netns.clone(), socket)),
                Err(error) => problems.push(format!("port \"{}\": link events: {error}", port.name)),
            }
        }
        links
    }

    /// Takes over what has been prepared, and closes what is no longer needed.
    pub fn commit(&mut self, changes: Changes) {
        let Changes { ports, links, loopback, loopback_change, closed: _ } = changes;
        let mut old: Vec<Option<OpenedPort>> = self.ports.drain(..).map(Some).collect();
        for port in ports {
            match port {
                Prepared::New(port) => self.ports.push(port),
                Prepared::Kept(index) => self.ports.extend(old[index].take()),
            }
        }
        self.links.extend(links);
        self.links.retain(|(netns, _)| self.ports.iter().any(|port| port.spec.netns == *netns));
        match loopback_change {
            Change::Kept => {}
            Change::New | Change::Gone => self.loopback = loopback,
        }
    }

    /// The device of a port was deleted. True when it was made by Koi and should be made again; others are waited
    /// for, so that whoever deleted them can make them again.
    pub fn gone(&mut self, name: &str) -> bool {
        let Some(port) = self.ports.iter_mut().find(|port| port.name == name) else { return false };
        port.close();
        port.ours
    }

    /// Opens the device of a port again after it was gone. `None` for one that works: it has been handed over, and
    /// whoever asks has heard late about the device that was made again for it.
    ///
    /// # Errors
    /// When there is no such port, or its device cannot be opened (yet).
    pub fn open_again(&mut self, name: &str) -> Result<Option<(PortNote, BorrowedFd<'_>)>, String> {
        let port = self.ports.iter_mut().find(|port| port.name == name);
        let port = port.ok_or_else(|| format!("there is no port \"{name}\""))?;
        if port.fd.as_ref().is_some_and(|fd| sys::tun_device(fd.as_fd()).is_ok()) {
            return Ok(None);
        }
        // The descriptor of a device that is gone may keep its successor from being attached.
        port.close();
        *port = OpenedPort::open(name, port.spec.clone())?;
        let note = port.note(Change::New);
        let fd = port.fd.as_ref().ok_or("the device has not been opened")?;
        Ok(Some((note, fd.as_fd())))
    }

    /// Sends one frame by a port, beside the router's own or in its place.
    ///
    /// # Errors
    /// When there is no such port, or its device does not take the frame.
    pub fn send(&self, name: &str, frame: &[u8]) -> io::Result<()> {
        let port =
            self.ports.iter().find(|port| port.name == name).and_then(|port| Some((port, port.fd.as_ref()?)));
        let (port, fd) = port.ok_or(io::ErrorKind::NotFound)?;
        let file = std::fs::File::from(fd.try_clone()?);
        let offload_header = port.spec.driver == Driver::Offload;
        single::write(&file, &mut FrameBuf::copy_of(frame), offload_header).map(drop)
    }

    /// Looks where the devices are now, for a router that starts: they may have been renamed or moved.
    pub fn look_again(&mut self) {
        for port in &mut self.ports {
            let Some(fd) = &port.fd else { continue };
            if let Ok((name, _)) = sys::tun_device(fd.as_fd()) {
                port.device = name;
            }
            port.index = tap::index_at_home(fd.as_fd(), &port.device, port.spec.netns.as_deref());
        }
    }

    /// The ports as the router is told about them at its start.
    pub fn notes(&self) -> Vec<PortNote> {
        self.ports.iter().map(|port| port.note(Change::New)).collect()
    }

    /// The namespaces of the link sockets.
    pub fn namespaces(&self) -> Vec<Option<String>> {
        self.links.iter().map(|(netns, _)| netns.clone()).collect()
    }

    /// True when there is a loopback listener.
    pub fn has_loopback(&self) -> bool {
        self.loopback.is_some()
    }

    /// All descriptors: the loopback listener, the link sockets, the ports.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let loopback = self.loopback.iter().map(|(_, listener)| listener.as_fd());
        let links = self.links.iter().map(|(_, socket)| socket.fd());
        let ports = self.ports.iter().filter_map(|port| port.fd.as_ref()).map(AsFd::as_fd);
        loopback.chain(links).chain(ports).collect()
    }
}

fn bind(address: SocketAddr, problems: &mut Vec<String>) -> Option<(SocketAddr, TcpListener)> {
    match TcpListener::bind(address) {
        Ok(listener) => Some((address, listener)),
        Err(error) => {
            problems.push(format!("node.loopback: {address} cannot be bound: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"
schema = 1
revision = 1
[system]
hostname = "koi"
[[node]]
name = "koi"
[[node.port]]
name = "wan"
tap = "koi-wan"
[[node.port]]
name = "lan"
tap = "koi-lan"
[[node.interface]]
name = "wan"
addresses = ["198.51.100.2/24"]
[[node.interface]]
name = "lan"
addresses = ["192.168.1.1/24"]
[[interface]]
name = "wan"
zone = "wan"
port = "wan"
[[interface]]
name = "lan"
zone = "lan"
port = "lan"
"#;

    fn config(text: &str) -> (Valid<Config>, NodeIndex) {
        let config = crate::config::load(text).unwrap();
        let node = config.node(None).unwrap();
        (config, node)
    }

    /// Devices that look open; no device is needed to see what would change.
    fn devices(config: &Valid<Config>, node: NodeIndex) -> Devices {
        let ports = config.node_part(node).ports.iter().enumerate().map(|(index, port)| OpenedPort {
            name: port.name.clone(),
            fd: Some(std::fs::File::open("/dev/null").unwrap().into()),
            spec: Spec::new(PortId(index as u8), port).unwrap(),
            device: format!("dev{index}"),
            index: Some(7 + index as u32),
            ours: true,
            made: None,
        });
        let links = vec![(None, LinkSocket::open(None).unwrap())];
        Devices { ports: ports.collect(), links, loopback: None }
    }

    #[test]
    fn the_same_configuration_changes_nothing() {
        let (config, node) = config(DOCUMENT);
        let mut devices = devices(&config, node);
        let changes = devices.prepare(&config, node).unwrap();
        assert!(
            changes.descriptors().is_empty() && changes.opened().is_empty() && changes.closed().is_empty()
        );
        assert!(changes.notes(&devices).iter().all(|note| note.descriptor == Change::Kept));
        devices.commit(changes);
        assert_eq!(devices.notes().iter().map(|note| note.index).collect::<Vec<_>>(), [Some(7), Some(8)]);
        assert_eq!(devices.descriptors().len(), 3);
    }

    #[test]
    fn a_loopback_listener_comes_and_goes() {
        let (plain, node) = config(DOCUMENT);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = DOCUMENT.replacen("[[node]]", &format!("[[node]]\nloopback = \"{address}\""), 1);
        let (served, _) = config(&text);
        let mut devices = devices(&plain, node);
        for (config, change, there) in [
            (&served, Change::New, true),
            (&served, Change::Kept, true),
            (&plain, Change::Gone, false),
            (&plain, Change::Kept, false),
        ] {
            let changes = devices.prepare(config, node).unwrap();
            assert_eq!(changes.loopback(), change);
            assert_eq!(changes.descriptors().len(), usize::from(change == Change::New));
            devices.commit(changes);
            assert_eq!(devices.has_loopback(), there);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name_and_changes_nothing() {
        let (plain, node) = config(DOCUMENT);
        let devices = devices(&plain, node);
        let text = DOCUMENT.replacen("tap = \"koi-wan\"", "tap = \"koi-wan\"\ndriver = \"plain\"", 1);
        let text = text.replacen("tap = \"koi-lan\"", "macvtap = \"/dev/koi-no-such-tap\"", 1);
        let (other, _) = config(&text);
        let problems = devices.prepare(&other, node).map(drop).unwrap_err();
        assert!(problems[0].contains("\"wan\"") && problems[0].contains("restart"), "{problems:?}");
        assert!(problems[1].contains("\"lan\"") && problems[1].contains("cannot be opened"), "{problems:?}");
        assert_eq!(devices.notes().len(), 2);
    }
}
