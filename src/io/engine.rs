//! What runs inside the router process: the forward thread, the router's own stack, the pages, and the answers to
//! the control socket.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;

use super::almanac::Almanac;
use super::control::{Answer, Answering};
use super::council::Council;
use super::crier::Crier;
use super::desk::{Desk, PagesAnswer};
use super::errands::Errands;
use super::favoured::Favourites;
use super::forward::Forward;
use super::handle::{Order, Placement};
use super::herald::Herald;
use super::host_thread::HostHandle;
use super::links::Links;
use super::netlink::LinkSocket;
use super::orders::{Apply, Change, PortNote, Start};
use super::pair_threads::PairHandle;
use super::pairing::{self, Listening};
use super::poller::Poller;
use super::port::Port;
use super::privilege::Kept;
use super::reloads::Reloads;
use super::request::{Request, Response};
use super::router::Reporter;
use super::spec::Spec;
use super::tap::Offloads;
use super::token_store::TokenStore;
use super::{clock, council, entropy, host_link, mirror, plain_http, token_exchange};
use crate::cluster::role;
use crate::config::model::Interface;
use crate::config::{self, Config, NodeIndex, Valid};
use crate::host::Stack;
use crate::node::{Command, Compiled, Offload, PairSnapshot, Reply, Shard};
use crate::types::{PortId, PublicKey};

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
    /// Asks how the pair is; false when too many ask.
    pub ask_pair: Box<dyn Fn(Reply<PairSnapshot>) -> bool + Send + Sync>,
    /// The configuration in force.
    pub in_force: Box<dyn Fn() -> Arc<Compiled> + Send + Sync>,
    /// Asks what the control socket can be asked, and waits; but for what comes piece by piece.
    pub desk: Arc<dyn Fn(Request) -> Response + Send + Sync>,
    /// The tokens of programs.
    pub tokens: Arc<TokenStore>,
    /// Says something to the pages of the peer and waits for what they answer.
    pub tell_peer: Box<dyn Fn(String) -> Option<String> + Send + Sync>,
    /// Says who answers the pages of the peer.
    pub listen: Box<dyn FnOnce(Arc<PagesAnswer>)>,
    /// The pair.
    pub pair: PairSeat,
}

/// What the pages ask of the pair.
pub struct PairSeat {
    /// Gives or takes the role.
    pub role: Box<dyn Fn(role::Request) -> Result<(), String> + Send + Sync>,
    /// By this key a peer knows this node.
    pub public_key: Box<dyn Fn() -> PublicKey + Send + Sync>,
    /// Lets whoever knows a new code join.
    pub offer: Box<dyn Fn() -> Listening + Send + Sync>,
}

/// Starts the pages in threads of their own; a module above this one knows how. The state directory is the working
/// directory.
pub type StartPages = fn(PagesSeat) -> anyhow::Result<()>;

/// A running router.
pub struct Engine {
    desk: Arc<Desk>,
    host: HostHandle,
    forward: JoinHandle<io::Result<()>>,
    pair: PairHandle,
    council: Council,
    almanac: Almanac,
    errands: Errands,
}

impl Engine {
    /// Starts everything. `descriptors` are those that the first order names, without the control socket.
    ///
    /// # Errors
    /// When the document, a descriptor or a thread is not what it should be.
    pub fn start(
        start: Start,
        mut descriptors: impl Iterator<Item = OwnedFd>,
        kept: Kept,
        threads: Favourites,
        reporter: Reporter,
        reloads: Arc<Reloads>,
        pages: StartPages,
    ) -> anyhow::Result<Engine> {
        let (config, node) = read(&start.config, &start.node)?;
        let loopback = if start.loopback { descriptors.next().map(TcpListener::from) } else { None };
        let sockets = adopt_links(&start.links, &mut descriptors)?;
        let ports = adopt_ports(&config, node, &start.ports, &mut descriptors)?;
        let offloads = ports.iter().map(offload).collect();
        let (errands, wake) = Errands::new(&config, entropy::seed()?);
        let conditions = Arc::new(errands.conditions(&config, clock::wall()));
        let compiled = Arc::new(Compiled::under(Arc::clone(&config), node, 1, offloads, conditions));
        let mtu = compiled.links.iter().map(|link| link.mtu).min().unwrap_or(1500);
        let shard = Shard::new(Arc::clone(&compiled), entropy::seed()?, clock::now());
        let links = Links::with(sockets, ports.iter());
        let names = Arc::new(Mutex::new(port_names(&start.ports)));
        let listener = Herald::start(Arc::clone(&names), reporter.clone()).context("the herald thread")?;
        let mut forward = Forward::new(shard, ports, links, listener).context("the forward thread")?;
        let handle = forward.handle();
        let poller = Poller::new().context("the host thread")?;
        let (near, far) = host_link::pair(handle.waker(), poller.waker());
        forward.connect_host(near);
        forward.connect_log(errands.sink());
        let pair = PairHandle::start(&start, &compiled, &mut forward, threads.replica, &reporter, &names)?;
        let council = council::start(pair.clone(), reporter.clone()).context("the council thread")?;
        mirror::start(pair.clone()).context("the mirror thread")?;
        let stack = Stack::new(
            plain_http::ports(config.system.web.port),
            usize::from(mtu),
            entropy::seed()?,
            clock::now(),
        );
        let host = HostHandle::start(stack, far, poller).context("the host thread")?;
        let thread = threads.forward.run(move || forward.run());
        let (asking, asking_pair) = (handle.clone(), pair.clone());
        let in_force = Arc::new(ArcSwap::from(Arc::clone(&compiled)));
        let looked_at = Arc::clone(&in_force);
        let shown = Arc::clone(&in_force);
        let desk =
            Desk::new(start, kept, reporter, reloads, handle, in_force, names, pair.clone(), errands.clone());
        desk.connect_host(host.clone());
        let desk = Arc::new(desk);
        let asked = Arc::clone(&desk);
        let answering = move |request: Request| match asked.answer(request) {
            Answer::Reply(response) => response,
            Answer::Capture { .. } | Answer::Pairing(_) => {
                Response::Failed("ask that with the command koi".into())
            }
        };
        let (telling_peer, listening) = (Arc::clone(&desk), Arc::clone(&desk));
        pages(PagesSeat {
            config: Arc::clone(&config),
            node,
            host: host.clone(),
            loopback,
            ask: Box::new(move |command| asking.command(command).is_ok()),
            ask_pair: Box::new(move |reply| asking_pair.ask(reply)),
            in_force: Box::new(move || looked_at.load_full()),
            tell_peer: Box::new(move |words| telling_peer.tell_peer_pages(words)),
            listen: Box::new(move |answering| listening.listen_to_pages(answering)),
            pair: pair_seat(&desk, &pair),
            desk: Arc::new(answering),
            tokens: desk.token_store(),
        })
        .context("the pages")?;
        desk.serve_peer();
        token_exchange::start(&desk).context("the thread of the tokens")?;
        let (glancing, looking, asked_pair) = (Arc::clone(&desk), Arc::clone(&desk), pair.clone());
        Crier {
            pair: Box::new(move || asked_pair.snapshot()),
            glance: Box::new(move || glancing.glance()),
            in_force: Box::new(move || looking.compiled()),
            errands: errands.clone(),
            host: host.clone(),
            known: desk.notices(),
        }
        .start()
        .context("the crier thread")?;
        let almanac = Almanac::start(Arc::downgrade(&desk)).context("the almanac thread")?;
        errands.run(wake, host.clone(), shown, almanac.clone()).context("the errands thread")?;
        Ok(Engine { desk, host, forward: thread, pair, council, almanac, errands })
    }

    /// Puts a new configuration in force, ports included; returns when it is.
    ///
    /// # Errors
    /// Every problem; nothing has changed then.
    pub fn apply(&mut self, apply: Apply, descriptors: Vec<OwnedFd>) -> Result<(), Vec<String>> {
        let wrong = |error: anyhow::Error| vec![format!("{error:#}")];
        if apply.loopback != Change::Kept {
            return Err(vec!["node.loopback has changed; restart Koi for that".into()]);
        }
        let (config, node) = read(&apply.config, self.desk.node_name()).map_err(wrong)?;
        let desk = Arc::clone(&self.desk);
        let _changing = desk.begin_change();
        let old = self.desk.compiled();
        if let Some(problem) = renumbered(&old, &config) {
            return Err(vec![problem]);
        }
        let mut descriptors = descriptors.into_iter();
        let links = adopt_links(&apply.links, &mut descriptors).map_err(wrong)?;
        let (ports, offloads) =
            self.place_ports(&config, node, &apply.ports, &old, &mut descriptors).map_err(wrong)?;
        let conditions = Arc::new(self.errands.apply(&config));
        let epoch = old.epoch.wrapping_add(1);
        let compiled = Arc::new(Compiled::under(Arc::clone(&config), node, epoch, offloads, conditions));
        self.pair.prepare(&compiled);
        if let Err(problem) = self.desk.put_in_force(Arc::clone(&compiled), ports, links) {
            self.errands.apply(&old.config);
            return Err(vec![problem]);
        }
        self.pair.apply(Arc::clone(&compiled));
        self.almanac.look();
        self.desk.set_ports(apply.ports);
        self.end_connections_to_lost_addresses(&old, &compiled);
        self.host.hold().stack().listen(plain_http::ports(config.system.web.port));
        Ok(())
    }

    /// Where each port of the new configuration comes from, and what may be left to it.
    fn place_ports(
        &self,
        config: &Valid<Config>,
        node: NodeIndex,
        notes: &[PortNote],
        old: &Compiled,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> anyhow::Result<(Vec<Placement>, Vec<Offload>)> {
        let present = self.desk.port_names();
        let (mut placements, mut offloads) = (Vec::new(), Vec::new());
        for ((index, part), note) in config.node_part(node).ports.iter().enumerate().zip(notes) {
            let known = present.iter().position(|name| *name == note.name);
            match known.filter(|_| note.descriptor != Change::New) {
                Some(known) => {
                    placements.push(Placement::Kept(PortId(known as u8)));
                    offloads.push(old.offloads.get(known).copied().unwrap_or_default());
                }
                None => {
                    let port = adopt_port(index, part, note, descriptors)?;
                    offloads.push(offload(&port));
                    placements.push(Placement::New(Box::new(port)));
                }
            }
        }
        Ok((placements, offloads))
    }

    /// A connection to an address that is ours no longer would hang.
    fn end_connections_to_lost_addresses(&self, old: &Compiled, new: &Compiled) {
        let mut held = self.host.hold();
        for own in old.links.iter().flat_map(|link| &link.addresses) {
            let stays =
                new.links.iter().any(|link| link.addresses.iter().any(|new| new.addr() == own.addr()));
            if !stays {
                held.stack().abort_local(own.addr());
            }
        }
    }

    /// The parent has something to say to the peer.
    pub fn tell_peer(&self, message: &str) {
        self.council.tell(message);
    }

    /// The parent has opened a device again.
    pub fn attached(&self, port: &PortNote, descriptors: Vec<OwnedFd>) {
        let id = self.desk.port_names().iter().position(|known| *known == port.name);
        if let (Some(id), Some(fd)) = (id, descriptors.into_iter().next()) {
            self.desk.order(Order::Attach(PortId(id as u8), fd, port.index));
        }
    }

    /// The parent could not open a device again; netlink will say when to try the next time.
    pub fn not_attached(&self, name: &str) {
        tracing::warn!(port = name, "the device cannot be opened yet");
    }

    /// Ends cleanly.
    pub fn end(self) {
        // The peer takes over, and gets what is under way.
        self.pair.leave();
        self.pair.stop();
        self.desk.order(Order::Stop);
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

fn pair_seat(desk: &Arc<Desk>, pair: &PairHandle) -> PairSeat {
    let (ordered, known, offering) = (pair.clone(), pair.clone(), pair.clone());
    let (knowing, showing) = (Arc::clone(desk), Arc::clone(desk));
    PairSeat {
        role: Box::new(move |request| ordered.request(request)),
        public_key: Box::new(move || known.public_key(&knowing.compiled())),
        offer: Box::new(move || pairing::offer(&offering, &showing.compiled())),
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

/// Flows hold interfaces by number, so that a number must keep its meaning while the router runs. Another name for the
/// same port and tag keeps it.
fn renumbered(old: &Compiled, config: &Config) -> Option<String> {
    let has = |interfaces: &[Interface], name: &str| interfaces.iter().any(|known| known.name == name);
    let renamed = |before: &Interface, now: &Interface| {
        (&before.port, before.vlan) == (&now.port, now.vlan)
            && !has(&config.interfaces, &before.name)
            && !has(&old.config.interfaces, &now.name)
    };
    let mut pairs = old.config.interfaces.iter().zip(&config.interfaces);
    let moved = pairs.find(|(before, now)| before.name != now.name && !renamed(before, now));
    let moved = moved.map(|(before, now)| (before.name.as_str(), now));
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
    let parts = config.node_part(node).ports.iter().enumerate().zip(notes);
    parts.map(|((index, part), note)| adopt_port(index, part, note, descriptors)).collect()
}

fn adopt_port(
    index: usize,
    part: &config::model::Port,
    note: &PortNote,
    descriptors: &mut impl Iterator<Item = OwnedFd>,
) -> anyhow::Result<Port> {
    let spec = Spec::new(PortId(index as u8), part)
        .ok_or_else(|| anyhow!("port \"{}\" names no device", part.name))?;
    if note.descriptor != Change::New {
        return Ok(Port::detached(spec));
    }
    let fd = descriptors.next().ok_or_else(|| anyhow!("the parent passed too few ports"))?;
    Port::adopt(spec, fd, note.index).with_context(|| format!("port \"{}\"", part.name))
}

/// What the packet path may leave to a port. A TAP that is made again has the same offloads.
fn offload(port: &Port) -> Offload {
    let Offloads { checksum: _, tcp, udp } = port.offloads();
    Offload { tcp, udp }
}

/// The ports' names, in the order of their ids.
pub(super) fn port_names(notes: &[PortNote]) -> Vec<String> {
    notes.iter().map(|note| note.name.clone()).collect()
}
