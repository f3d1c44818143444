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

/// A socket and where it listens.
struct Watcher {
    place: Place,
    socket: LinkSocket,
}

/// Where a socket listens.
#[derive(PartialEq, Eq)]
enum Place {
    /// In the namespace that ports call so.
    Named(Option<String>),
    /// Wherever a device has been moved to.
    Elsewhere,
}

/// The sockets, and which of them tells about which port.
#[derive(Default)]
pub struct Links {
    watchers: Vec<Watcher>,
    /// By port number.
    watched_by: Vec<Option<usize>>,
}

impl Links {
    /// Watches `ports`, one socket for each network namespace. Ports in namespaces that we may not enter are not
    /// watched.
    pub fn watch(ports: &[Port]) -> Self {
        let mut sockets: Vec<(Option<String>, LinkSocket)> = Vec::new();
        for port in ports {
            let netns = &port.spec().netns;
            if !sockets.iter().any(|(known, _)| known == netns)
                && let Ok(socket) = LinkSocket::open(netns.as_deref())
            {
                sockets.push((netns.clone(), socket));
            }
        }
        Self::with(sockets, ports.iter())
    }

    /// Watches `ports` with sockets that somebody else has opened, each with the name of its namespace.
    pub fn with<'a>(
        sockets: Vec<(Option<String>, LinkSocket)>,
        ports: impl ExactSizeIterator<Item = &'a Port>,
    ) -> Self {
        let mut links = Links::default();
        let new = vec![None; ports.len()];
        links.rearrange(sockets, ports, &new);
        links
    }

    /// The ports are other ones now: `from` has for each the number that it had before, if any. Sockets that nobody
    /// needs any more are closed.
    pub fn rearrange<'a>(
        &mut self,
        added: Vec<(Option<String>, LinkSocket)>,
        ports: impl Iterator<Item = &'a Port>,
        from: &[Option<usize>],
    ) {
        let added = added.into_iter();
        self.watchers.extend(added.map(|(netns, socket)| Watcher { place: Place::Named(netns), socket }));
        let wanted: Vec<_> = ports
            .zip(from)
            .map(|(port, from)| {
                // A device that is there without a number lives where nobody of ours looks.
                if port.fd().is_some() && port.index().is_none() {
                    return from.and_then(|old| self.watcher_of(old));
                }
                let place = Place::Named(port.spec().netns.clone());
                let by_name = || self.watchers.iter().rposition(|watcher| watcher.place == place);
                from.and_then(|old| self.watcher_of(old)).or_else(by_name)
            })
            .collect();
        let mut kept = Vec::new();
        for (old, watcher) in std::mem::take(&mut self.watchers).into_iter().enumerate() {
            if wanted.contains(&Some(old)) {
                kept.push(old);
                self.watchers.push(watcher);
            }
        }
        let new_number = |old: usize| kept.iter().position(|kept| *kept == old);
        self.watched_by = wanted.into_iter().map(|watcher| watcher.and_then(new_number)).collect();
    }

    /// True when somebody tells about the port.
    pub fn watches(&self, number: usize) -> bool {
        self.watcher_of(number).is_some()
    }

    fn watcher_of(&self, number: usize) -> Option<usize> {
        self.watched_by.get(number).copied().flatten()
    }

    /// The sockets, in order.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watchers.iter().map(|watcher| watcher.socket.fd())
    }

    /// Asks for the state of the port's link; it comes as an event.
    pub fn ask_again(&mut self, number: usize) {
        if let Some(watcher) = self.watcher_of(number) {
            // Refused only while an answer is under way already.
            let _ = self.watchers[watcher].socket.ask_for_all();
        }
    }

    /// Watches the port in the namespace in which its device is now.
    ///
    /// # Errors
    /// When we may not look into that namespace; the port is not watched any more.
    pub fn follow(&mut self, number: usize, port: &Port) -> io::Result<()> {
        let old = self.watcher_of(number);
        self.watched_by[number] = None;
        let fd = port.fd().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let watcher = Watcher { place: Place::Elsewhere, socket: LinkSocket::open_at(fd)? };
        // A socket that only followed this port is done, so that moving to and fro uses up nothing.
        let free = old.filter(|old| self.watchers[*old].place == Place::Elsewhere);
        let place = match free {
            Some(place) => {
                self.watchers[place] = watcher;
                place
            }
            None => {
                self.watchers.push(watcher);
                self.watchers.len() - 1
            }
        };
        self.watched_by[number] = Some(place);
        Ok(())
    }

    /// Watches the port by its namespace's name again: its device was made anew there.
    pub fn return_home(&mut self, number: usize, port: &Port) {
        let home = Place::Named(port.spec().netns.clone());
        let watcher = self.watchers.iter().position(|watcher| watcher.place == home);
        if let Some(watched_by) = self.watched_by.get_mut(number) {
            *watched_by = watcher.or(*watched_by);
        }
    }

    /// Reads what a socket has to tell and appends what it means for the ports.
    pub fn receive<'a>(
        &mut self,
        watcher: usize,
        ports: impl Iterator<Item = &'a Port>,
        changes: &mut Vec<(usize, PortState)>,
    ) {
        let mut events = Vec::new();
        let Some(source) = self.watchers.get_mut(watcher) else { return };
        // A socket that works no more has told what it could; the ports stay as they are.
        let _ = source.socket.receive(&mut events);
        let ports = ports.enumerate().filter(|(number, _)| self.watcher_of(*number) == Some(watcher));
        for (number, port) in ports {
            let news = events.iter().filter_map(|event| meaning(event, port));
            changes.extend(news.map(|state| (number, state)));
        }
    }
}

/// What an event means for a port of the same namespace.
fn meaning(event: &LinkEvent, port: &Port) -> Option<PortState> {
    if port.fd().is_none() {
        // Older news of the device that is gone is not news of its successor.
        if Some(event.index) == port.index() {
            return (event.state == LinkState::Gone).then_some(PortState::Left);
        }
        let is_named = |wanted: Option<&str>| event.name.is_some() && event.name.as_deref() == wanted;
        let is_it = match &port.spec().device {
            Device::Tap(name) => is_named(Some(name)),
            Device::Macvtap(_) => is_named(port.last_name()),
            // The card itself; what was made on it has the same address, and a kind.
            Device::Nic(mac) => event.is_card && event.mac == Some(*mac),
        };
        let there = is_it && event.state != LinkState::Gone;
        return there.then_some(PortState::Back);
    }
    (Some(event.index) == port.index()).then_some(match event.state {
        LinkState::Up => PortState::Up,
        LinkState::Down => PortState::Down,
        LinkState::Gone => PortState::Left,
    })
}
