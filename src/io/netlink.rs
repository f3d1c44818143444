//! What the kernel says about the links of one network namespace (rtnetlink, RFC 3549).
//!
//! Invariant: the parser is total. Whatever bytes it is given, it ends, does not panic, and gives the events of the
//! well-formed messages up to the first one that is not.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{netns, sys};
use crate::types::MacAddr;

/// Longest name of a link; longer ones are not from a kernel.
const NAME_MAX: usize = sys::NAME_MAX;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// `IFLA_IFNAME`.
const ATTRIBUTE_NAME: u16 = 3;
/// Without the marks of nesting and byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// Datagrams taken in one call, so that a storm of events does not keep us from the frames.
const DATAGRAMS: usize = 16;

/// How a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Administratively up, and the cable is in.
    Up,
    /// There, but it carries nothing.
    Down,
    /// Deleted, or moved to another namespace.
    Gone,
}

/// What happened to a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkEvent {
    /// Its number in the namespace.
    pub index: u32,
    /// Its name, when the kernel told it.
    pub name: Option<String>,
    /// The MAC address that it was made with.
    pub mac: Option<MacAddr>,
    /// A network card, or the end of a cable that stands for one: Ethernet, and nothing that was made on another link.
    pub is_card: bool,
    /// How it is now.
    pub state: LinkState,
}

/// A subscription to the links of one network namespace.
pub struct LinkSocket {
    socket: File,
    buffer: Box<[u8]>,
}

impl LinkSocket {
    /// Subscribes in the network namespace `netns` and asks for all its links.
    ///
    /// # Errors
    /// When there is no such namespace, or it may not be entered.
    pub fn open(netns: Option<&str>) -> io::Result<Self> {
        Self::new(netns::within(netns, || sys::route_socket(libc::RTMGRP_LINK as u32))?)
    }

    /// Subscribes in the network namespace in which the device of an attached TAP is now.
    ///
    /// # Errors
    /// When we may not look into that namespace.
    pub fn open_at(tap: BorrowedFd<'_>) -> io::Result<Self> {
        let namespace = sys::tun_namespace(tap)?;
        Self::new(netns::inside(&namespace, || sys::route_socket(libc::RTMGRP_LINK as u32))?)
    }

    /// Takes over a subscribed socket that somebody else has opened.
    ///
    /// # Errors
    /// When it is no socket that takes questions about links.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        Self::new(File::from(fd))
    }

    fn new(socket: File) -> io::Result<Self> {
        sys::set_nonblocking(socket.as_fd())?;
        let mut links = LinkSocket { socket, buffer: vec![0; 32_768].into_boxed_slice() };
        links.ask_for_all()?;
        Ok(links)
    }

    /// Ready to read when there is news.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Asks for all links as they are; the answers come as events.
    ///
    /// # Errors
    /// When the kernel does not take the question.
    pub fn ask_for_all(&mut self) -> io::Result<()> {
        let mut message = [0; HEADER + LINK_HEADER];
        message[..4].copy_from_slice(&((HEADER + LINK_HEADER) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&libc::RTM_GETLINK.to_ne_bytes());
        message[6..8].copy_from_slice(&((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        self.socket.write(&message).map(drop)
    }

    /// Appends what happened to `events`; bounded, never waits.
    ///
    /// # Errors
    /// When the socket does not work. Lost events are no error: all links are asked for again.
    pub fn receive(&mut self, events: &mut Vec<LinkEvent>) -> io::Result<()> {
        for _ in 0..DATAGRAMS {
            match self.socket.read(&mut self.buffer) {
                Ok(len) => parse(&self.buffer[..len], events),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel had to drop events because we were slow.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.ask_for_all()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Appends the link events in `bytes`, a datagram from the kernel.
pub fn parse(mut bytes: &[u8], events: &mut Vec<LinkEvent>) {
    while let Some((kind, body, rest)) = message(bytes) {
        if let libc::RTM_NEWLINK | libc::RTM_DELLINK = kind {
            events.extend(link(kind, body));
        }
        bytes = rest;
    }
}

/// The first message: its type, its body and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = u32_at(bytes, 0)? as usize;
    let kind = u16_at(bytes, 4)?;
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(align(len)..).unwrap_or_default()))
}

/// `struct ifinfomsg`: family, padding, type (u16), index (i32), flags, changed flags; then attributes.
fn link(kind: u16, body: &[u8]) -> Option<LinkEvent> {
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let attributes = body.get(LINK_HEADER..)?;
    let carries = (libc::IFF_UP | libc::IFF_LOWER_UP) as u32;
    let state = match kind {
        libc::RTM_DELLINK => LinkState::Gone,
        _ if flags & carries == carries => LinkState::Up,
        _ => LinkState::Down,
    };
    let told = told(attributes);
    let is_card = u16_at(body, 2)? == libc::ARPHRD_ETHER && matches!(told.kind, None | Some(b"veth"));
    let (name, mac) = (told.name, told.permanent.or(told.mac));
    // A bridge tells about its ports in messages of its own family; they are not about the link itself.
    (body[0] == libc::AF_UNSPEC as u8).then_some(LinkEvent { index, name, mac, is_card, state })
}

/// What the attributes say.
#[derive(Default)]
struct Told<'a> {
    name: Option<String>,
    mac: Option<MacAddr>,
    permanent: Option<MacAddr>,
    /// Of a link that was made; cards have none.
    kind: Option<&'a [u8]>,
}

fn told(bytes: &[u8]) -> Told<'_> {
    let mut told = Told::default();
    for (kind, value) in attributes(bytes) {
        match kind {
            ATTRIBUTE_NAME => told.name = name(value),
            libc::IFLA_ADDRESS => told.mac = value.try_into().ok().map(MacAddr),
            libc::IFLA_PERM_ADDRESS => told.permanent = value.try_into().ok().map(MacAddr),
            libc::IFLA_LINKINFO => {
                let kind = attributes(value).find(|(kind, _)| *kind == libc::IFLA_INFO_KIND);
                told.kind = kind.map(|(_, value)| value.split(|&byte| byte == 0).next().unwrap_or_default());
            }
            _ => {}
        }
    }
    told
}

fn name(value: &[u8]) -> Option<String> {
    let text = value.split(|&byte| byte == 0).next()?;
    if text.len() <= NAME_MAX { String::from_utf8(text.to_vec()).ok() } else { None }
}

/// Attributes: length (u16, header included), type (u16), value, padding to four bytes. Ends at the first that is not
/// well-formed.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(align(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message as the kernel writes it.
    fn kernel_message(kind: u16, index: u32, flags: u32, name: &str) -> Vec<u8> {
        let mut attribute = vec![0; 8];
        attribute[..2].copy_from_slice(&8u16.to_ne_bytes());
        attribute[2..4].copy_from_slice(&13u16.to_ne_bytes());
        attribute.extend((4 + name.len() as u16 + 1).to_ne_bytes());
        attribute.extend(ATTRIBUTE_NAME.to_ne_bytes());
        attribute.extend(name.as_bytes());
        attribute.push(0);
        let len = HEADER + LINK_HEADER + attribute.len();
        let mut bytes = Vec::new();
        bytes.extend((len as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([0, 0, 1, 0]);
        bytes.extend(index.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0xff; 4]);
        bytes.extend(attribute);
        bytes.resize(align(len), 0);
        bytes
    }

    #[test]
    fn events_of_one_datagram_are_read_in_order() {
        let up = (libc::IFF_UP | libc::IFF_LOWER_UP) as u32;
        let mut bytes = kernel_message(libc::RTM_NEWLINK, 7, up, "wan");
        bytes.extend(kernel_message(libc::RTM_NEWLINK, 8, libc::IFF_UP as u32, "lan0"));
        bytes.extend(kernel_message(libc::RTM_NEWADDR, 8, up, "ignored"));
        bytes.extend(kernel_message(libc::RTM_DELLINK, 9, up, "dmz"));
        let mut events = Vec::new();
        parse(&bytes, &mut events);
        let told: Vec<_> = events.iter().map(|e| (e.index, e.name.as_deref(), e.state)).collect();
        let (wan, lan, dmz) = (Some("wan"), Some("lan0"), Some("dmz"));
        assert_eq!(told, [(7, wan, LinkState::Up), (8, lan, LinkState::Down), (9, dmz, LinkState::Gone)]);
    }

    #[test]
    fn the_kernel_tells_about_the_loopback() {
        let mut links = LinkSocket::open(None).unwrap();
        let mut events = Vec::new();
        links.receive(&mut events).unwrap();
        assert!(events.iter().any(|event| event.name.as_deref() == Some("lo")), "{events:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            parse(&bytes, &mut Vec::new());
        }

        #[test]
        fn damaged_messages_are_survived(at in 0usize..64, byte: u8, cut in 0usize..64) {
            let mut bytes = kernel_message(libc::RTM_NEWLINK, 7, 1, "wan");
            let len = bytes.len();
            bytes[at % len] = byte;
            bytes.truncate(len - cut % len);
            parse(&bytes, &mut Vec::new());
        }
    }
}
