//! Which port's link is how: the link events of every namespace that has ports, matched with the ports.

use std::io;
use std::os::fd::BorrowedFd;

use super::netlink::{LinkEvent, LinkSocket, LinkState};
use super::port::{Device, Port};

/// What a port's owner has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortState {
    /// The link carries frames.
    Up,
    /// It does not.
    Down,
    /// The device is not in its namespace any more: deleted, or moved.
    Left,
    /// The port has no device, and one of its name is there (again).
    Back,
}

/// The sockets, and which of them tells about which port.
#[derive(Default)]
pub struct Links {
    sockets: Vec<LinkSocket>,
    /// By port number.
    watched_by: Vec<Option<usize>>,
}

impl Links {
    /// Watches `ports`, one socket for each network namespace. Ports in namespaces that we may not enter are not
    /// watched.
    pub fn watch(ports: &[Port]) -> Self {
        let mut links = Links::default();
        let mut namespaces: Vec<Option<String>> = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let netns = &port.spec().netns;
            let known = namespaces.iter().position(|known| known == netns);
            let socket = known.or_else(|| {
                let socket = LinkSocket::open(netns.as_deref()).ok()?;
                namespaces.push(netns.clone());
                Some(links.add(socket))
            });
            links.assign(number, socket);
        }
        links
    }

    /// Adds a socket, perhaps one that somebody else has opened; gives its number.
    pub fn add(&mut self, socket: LinkSocket) -> usize {
        self.sockets.push(socket);
        self.sockets.len() - 1
    }

    /// From now on the port `number` is watched by that socket (or by none).
    pub fn assign(&mut self, number: usize, socket: Option<usize>) {
        if number >= self.watched_by.len() {
            self.watched_by.resize(number + 1, None);
        }
        self.watched_by[number] = socket;
    }

    /// True when somebody tells about the port.
    pub fn watches(&self, number: usize) -> bool {
        self.socket_of(number).is_some()
    }

    fn socket_of(&self, number: usize) -> Option<usize> {
        self.watched_by.get(number).copied().flatten()
    }

    /// The sockets, in order.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(LinkSocket::fd)
    }

    /// Asks for the state of the port's link; it comes as an event.
    pub fn ask_again(&mut self, number: usize) {
        if let Some(socket) = self.socket_of(number) {
            // Refused only while an answer is under way already.
            let _ = self.sockets[socket].ask_for_all();
        }
    }

    /// Watches the port in the namespace in which its device is now.
    ///
    /// # Errors
    /// When we may not look into that namespace; the port is not watched any more.
    pub fn follow(&mut self, number: usize, port: &Port) -> io::Result<()> {
        let socket =
            port.fd().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)).and_then(LinkSocket::open_at);
        let old = self.socket_of(number);
        self.assign(number, None);
        let socket = socket?;
        // The old socket's place is free when nobody else needs it, so that moving to and fro uses up nothing.
        let free = old.filter(|old| self.watched_by.iter().all(|used| *used != Some(*old)));
        let place = match free {
            Some(place) => {
                self.sockets[place] = socket;
                place
            }
            None => self.add(socket),
        };
        self.assign(number, Some(place));
        Ok(())
    }

    /// Reads what a socket has to tell and appends what it means for the ports.
    pub fn receive<'a>(
        &mut self,
        socket: usize,
        ports: impl Iterator<Item = &'a Port>,
        changes: &mut Vec<(usize, PortState)>,
    ) {
        let mut events = Vec::new();
        let Some(source) = self.sockets.get_mut(socket) else { return };
        // A socket that works no more has told what it could; the ports stay as they are.
        let _ = source.receive(&mut events);
        let ports = ports.enumerate().filter(|(number, _)| self.socket_of(*number) == Some(socket));
        for (number, port) in ports {
            let news = events.iter().filter_map(|event| meaning(event, port));
            changes.extend(news.map(|state| (number, state)));
        }
    }
}

/// What an event means for a port of the same namespace.
fn meaning(event: &LinkEvent, port: &Port) -> Option<PortState> {
    if port.fd().is_none() {
        let wanted = match &port.spec().device {
            Device::Tap(name) => Some(name.as_str()),
            Device::Macvtap(_) => port.last_name(),
        };
        let there = event.name.is_some() && event.name.as_deref() == wanted && event.state != LinkState::Gone;
        return there.then_some(PortState::Back);
    }
    (Some(event.index) == port.index()).then_some(match event.state {
        LinkState::Up => PortState::Up,
        LinkState::Down => PortState::Down,
        LinkState::Gone => PortState::Left,
    })
}
