//! Waits for a device of a certain name to appear in a network namespace, again and again.

use std::io;

use super::netlink::{LinkEvent, LinkSocket, LinkState};
use super::sys::{self, PollEntry};

/// The wait for one name.
pub struct Arrivals {
    socket: LinkSocket,
    name: String,
    events: Vec<LinkEvent>,
    /// The number of the device that was there last.
    present: Option<u32>,
}

impl Arrivals {
    /// Begins to look for `name` in the namespace `netns` (the caller's own when there is none).
    ///
    /// # Errors
    /// When there is no such namespace, or it may not be entered.
    pub fn watch(netns: Option<&str>, name: &str) -> io::Result<Self> {
        let socket = LinkSocket::open(netns)?;
        Ok(Arrivals { socket, name: name.to_owned(), events: Vec::new(), present: None })
    }

    /// Returns when there is a device of this name that was not there when this was last called.
    ///
    /// # Errors
    /// When the kernel tells nothing any more.
    pub fn next_device(&mut self) -> io::Result<()> {
        loop {
            self.socket.receive(&mut self.events)?;
            let mut arrived = false;
            for event in self.events.drain(..) {
                match event.state {
                    LinkState::Gone if Some(event.index) == self.present => self.present = None,
                    LinkState::Gone => {}
                    LinkState::Up | LinkState::Down if event.name.as_ref() == Some(&self.name) => {
                        arrived |= self.present != Some(event.index);
                        self.present = Some(event.index);
                    }
                    LinkState::Up | LinkState::Down => {}
                }
            }
            if arrived && self.present.is_some() {
                return Ok(());
            }
            sys::poll(&mut [PollEntry::readable(self.socket.fd())], None)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testbed::Namespace;
    use super::*;

    #[test]
    fn each_arrival_is_told_once() {
        let Some(namespace) = Namespace::new() else { return };
        let mut arrivals = Arrivals::watch(Some(&namespace.0), "koi-a").unwrap();
        for _ in 0..2 {
            namespace.ip("link add koi-b type bridge");
            namespace.ip("link add koi-a type bridge");
            namespace.ip("link set koi-a up");
            arrivals.next_device().unwrap();
            namespace.ip("link del koi-a");
            namespace.ip("link del koi-b");
        }
    }
}
