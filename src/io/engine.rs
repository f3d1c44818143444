//! What runs inside the router process: the forward thread, the router's own stack, the pages, and the answers to
//! the control socket.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};

use super::control::Answering;
use super::desk::Desk;
use super::forward::{self, Forward, PortEvent, PortListener};
use super::host_thread::HostHandle;
use super::links::Links;
use super::netlink::LinkSocket;
use super::orders::{Apply, Change, PortNote, Report, Start};
use super::poller::Poller;
use super::port::Port;
use super::privilege::Kept;
use super::reloads::Reloads;
use super::router::Reporter;
use super::spec::Spec;
use super::{clock, entropy, host_link};
use crate::config::{self, Config, NodeIndex, Valid};
use crate::host::Stack;
use crate::node::{Command, Compiled, Offload, Shard};
use crate::types::PortId;

/// What the pages are given when the router starts.
pub struct PagesSeat {
    /// The configuration of the start.
    pub config: Arc<Valid<Config>>,
    /// This node.
    pub node: NodeIndex,
    /// Connections to the router's own addresses.
    pub host: HostHandle,
    /// The loopback listener, when there is one.
    pub loopback: Option<TcpListener>,
    /// Gives commands to the forward thread; false when too many wait.
    pub ask: Box<dyn Fn(Command) -> bool + Send + Sync>,
}

/// Starts the pages in threads of their own; a module above this one knows how. The state directory is the working
/// directory.
pub type StartPages = fn(PagesSeat) -> anyhow::Result<()>;

/// A running router.
pub struct Engine {
    desk: Arc<Desk>,
    host: HostHandle,
    forward: JoinHandle<io::Result<()>>,
    epoch: u32,
}

impl Engine {
    /// Starts everything. `descriptors` are those that [`Start`] names, without the control socket.
    ///
    /// # Errors
    /// When the document, a descriptor or a thread is not what it should be.
    pub fn start(
        start: Start,
        mut descriptors: impl Iterator<Item = OwnedFd>,
        kept: Kept,
        reporter: Reporter,
        reloads: Arc<Reloads>,
        pages: StartPages,
    ) -> anyhow::Result<Engine> {
        let (config, node) = read(&start.config, &start.node)?;
        let loopback = if start.loopback { descriptors.next().map(TcpListener::from) } else { None };
        let sockets = adopt_links(&start.links, &mut descriptors)?;
        let ports = adopt_ports(&config, node, &start.ports, &mut descriptors)?;
        let offloads = ports.iter().map(offload).collect();
        let compiled = Arc::new(Compiled::new(Arc::clone(&config), node, 1, offloads));
        let mtu = compiled.links.iter().map(|link| link.mtu).min().unwrap_or(1500);
        let shard = Shard::new(Arc::clone(&compiled), entropy::seed()?, clock::now());
        let links = watch(sockets, &ports);
        let listener = tell_parent(&start.ports, reporter.clone());
        let mut forward = Forward::new(shard, ports, links, listener).context("the forward thread")?;
        let handle = forward.handle();
        let poller = Poller::new().context("the host thread")?;
        let (near, far) = host_link::pair(handle.waker(), poller.waker());
        forward.connect_host(near);
        let stack =
            Stack::new(vec![config.system.web.port], usize::from(mtu), entropy::seed()?, clock::now());
        let host = HostHandle::start(stack, far, poller).context("the host thread")?;
        let thread = std::thread::Builder::new().name("forward".into());
        let thread = thread.spawn(move || forward.run()).context("the forward thread")?;
        let asking = handle.clone();
        pages(PagesSeat {
            config: Arc::clone(&config),
            node,
            host: host.clone(),
            loopback,
            ask: Box::new(move |command| asking.command(command).is_ok()),
        })
        .context("the pages")?;
        let desk = Arc::new(Desk::new(start, kept, reporter, reloads, handle, compiled));
        Ok(Engine { desk, host, forward: thread, epoch: 1 })
    }

    /// Puts a new configuration in force; returns when it is.
    ///
    /// # Errors
    /// Every problem; nothing has changed then.
    pub fn apply(&mut self, apply: Apply, _descriptors: Vec<OwnedFd>) -> Result<(), Vec<String>> {
        let changed = self.changed_devices(&apply);
        if !changed.is_empty() {
            return Err(changed);
        }
        let (config, node) =
            read(&apply.config, self.desk.node_name()).map_err(|error| vec![error.to_string()])?;
        let epoch = self.epoch + 1;
        let old = self.desk.compiled();
        if let Some(problem) = renumbered(&old, &config) {
            return Err(vec![problem]);
        }
        let compiled = Arc::new(Compiled::new(Arc::clone(&config), node, epoch, old.offloads.clone()));
        for own in old.links.iter().flat_map(|link| &link.addresses) {
            let stays =
                compiled.links.iter().any(|link| link.addresses.iter().any(|new| new.addr() == own.addr()));
            if !stays {
                self.host.hold().stack().abort_local(own.addr());
            }
        }
        self.host.hold().stack().listen(vec![config.system.web.port]);
        self.desk.put_in_force(compiled).map_err(|problem| vec![problem])?;
        self.epoch = epoch;
        Ok(())
    }

    /// Changes of devices need a restart; each is named.
    fn changed_devices(&self, apply: &Apply) -> Vec<String> {
        let present: Vec<&str> = self.desk.ports().iter().map(|port| port.name.as_str()).collect();
        let mut problems = Vec::new();
        for note in apply.ports.iter().filter(|note| note.descriptor == Change::New) {
            problems.push(format!("port \"{}\" is new; restart Koi to open its device", note.name));
        }
        let wanted: Vec<&str> = apply.ports.iter().map(|port| port.name.as_str()).collect();
        for name in present.iter().filter(|name| !wanted.contains(name)) {
            problems.push(format!(
                "port \"{name}\" is gone from the configuration; restart Koi to close its device"
            ));
        }
        if problems.is_empty() && present != wanted {
            problems.push("the order of the ports has changed; restart Koi for that".into());
        }
        if apply.loopback != Change::Kept {
            problems.push("system.web.loopback has changed; restart Koi for that".into());
        }
        problems
    }

    /// The parent has opened a device again.
    pub fn attached(&self, port: &PortNote, descriptors: Vec<OwnedFd>) {
        let id = self.desk.ports().iter().position(|known| known.name == port.name);
        if let (Some(id), Some(fd)) = (id, descriptors.into_iter().next()) {
            self.desk.order(forward::Order::Attach(PortId(id as u8), fd));
        }
    }

    /// The parent could not open a device again; netlink will say when to try the next time.
    pub fn not_attached(&self, name: &str) {
        tracing::warn!(port = name, "the device cannot be opened yet");
    }

    /// Ends cleanly.
    pub fn end(self) {
        self.desk.order(forward::Order::Stop);
        match self.forward.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the forward thread"),
            Err(_) => tracing::error!("the forward thread has panicked"),
        }
    }

    /// Answers questions of the control socket.
    pub fn answering(&self) -> Arc<Answering> {
        let desk = Arc::clone(&self.desk);
        Arc::new(move |request| desk.answer(request))
    }
}

fn read(text: &str, node: &str) -> anyhow::Result<(Arc<Valid<Config>>, NodeIndex)> {
    let problems = |problems: Vec<config::Problem>| {
        anyhow!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    let config = config::load(text).map_err(problems)?;
    let node = config.node(Some(node)).map_err(|problem| anyhow!("{problem}"))?;
    Ok((Arc::new(config), node))
}

/// Flows hold interfaces by number, so that a number must keep its meaning while the router runs.
fn renumbered(old: &Compiled, config: &Config) -> Option<String> {
    let before = old.links.iter().map(|link| link.name.as_str());
    let moved = before.zip(&config.interfaces).find(|(before, now)| *before != now.name);
    let fewer = old.links.len() > config.interfaces.len();
    match moved {
        Some((before, now)) => Some(format!(
            "interface \"{}\" stands where \"{before}\" was; keep the order and add new interfaces at the end, or restart Koi",
            now.name
        )),
        None if fewer => Some("an interface is gone from the configuration; restart Koi for that".into()),
        None => None,
    }
}

fn adopt_links(
    namespaces: &[Option<String>],
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> anyhow::Result<Vec<(Option<String>, LinkSocket)>> {
    namespaces
        .iter()
        .map(|netns| {
            let fd = descriptors.next().ok_or_else(|| anyhow!("the parent passed too few link sockets"))?;
            Ok((netns.clone(), LinkSocket::adopt(fd).context("link events")?))
        })
        .collect()
}

fn adopt_ports(
    config: &Valid<Config>,
    node: NodeIndex,
    notes: &[PortNote],
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> anyhow::Result<Vec<Port>> {
    let parts = config.node_part(node).ports.iter().enumerate();
    parts
        .zip(notes)
        .map(|((index, part), note)| {
            let spec = Spec::new(PortId(index as u8), part)
                .ok_or_else(|| anyhow!("port \"{}\" names no device", part.name))?;
            if note.descriptor != Change::New {
                return Ok(Port::detached(spec));
            }
            let fd = descriptors.next().ok_or_else(|| anyhow!("the parent passed too few ports"))?;
            Port::adopt(spec, fd).with_context(|| format!("port \"{}\"", part.name))
        })
        .collect()
}

/// What the packet path may leave to a port. A TAP that is made again has the same offloads.
fn offload(port: &Port) -> Offload {
    Offload { segmentation: port.offloads().tcp }
}

fn watch(sockets: Vec<(Option<String>, LinkSocket)>, ports: &[Port]) -> Links {
    let mut links = Links::default();
    let mut places = Vec::new();
    for (netns, socket) in sockets {
        places.push((netns, links.add(socket)));
    }
    for (number, port) in ports.iter().enumerate() {
        let place = places.iter().find(|(netns, _)| *netns == port.spec().netns).map(|(_, place)| *place);
        links.assign(number, place);
        links.ask_again(number);
    }
    links
}

/// What happens to devices is for the parent to know, who may open them again.
fn tell_parent(notes: &[PortNote], reporter: Reporter) -> PortListener {
    let names: Vec<String> = notes.iter().map(|note| note.name.clone()).collect();
    Box::new(move |event| {
        let name = |id: PortId| names.get(usize::from(id.0)).cloned().unwrap_or_default();
        match event {
            PortEvent::Gone(id) => {
                tracing::warn!(port = name(id), "the device is gone");
                reporter.say(&Report::Gone { name: name(id) });
            }
            PortEvent::NotAttached(id, error) => {
                tracing::info!(port = name(id), %error, "the device is back; the parent shall open it");
                reporter.say(&Report::Back { name: name(id) });
            }
            PortEvent::Attached(id) => tracing::info!(port = name(id), "the device is attached again"),
        }
    })
}
