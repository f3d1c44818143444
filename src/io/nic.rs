//! Network cards of this machine: found by their MAC address, never by a name, and given to the router whole.
//!
//! A card reaches the router by a macvtap in passthru mode, which is made on it: its descriptor reads and writes like a
//! TAP's, the card is promiscuous, any source address may be sent, and the kernel's own stack sees nothing. Where the
//! kernel has no macvtap, a bridge joins the card with an ordinary TAP.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::netlink::{LinkSocket, LinkState};
use super::sys::{self, PollEntry};
use super::tap::{self, Patience, Tap};
use super::{link_request, plain};
use crate::types::MacAddr;

/// The kernel answers at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A network card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nic {
    /// Its number.
    pub index: u32,
    /// What the kernel calls it; it may be called otherwise after the next start.
    pub name: String,
    /// The address that it was made with.
    pub mac: MacAddr,
    /// It is up and its cable is in.
    pub carries: bool,
}

/// A link that was made on a card, or beside it; it goes away with this value.
#[derive(Debug)]
pub struct Made(u32);

impl Drop for Made {
    fn drop(&mut self) {
        // With its card it has gone already.
        let _ = ask(&link_request::remove(self.0));
    }
}

/// The cards, in the order in which the kernel has found them.
///
/// # Errors
/// When the kernel does not tell.
pub fn all() -> io::Result<Vec<Nic>> {
    let mut links = LinkSocket::open(None)?;
    let mut events = Vec::new();
    links.receive(&mut events)?;
    let mut cards: Vec<Nic> = Vec::new();
    for event in events.into_iter().filter(|event| event.is_card && event.state != LinkState::Gone) {
        if let (Some(name), Some(mac)) = (event.name, event.mac)
            && !cards.iter().any(|card| card.index == event.index)
        {
            cards.push(Nic { index: event.index, name, mac, carries: event.state == LinkState::Up });
        }
    }
    cards.sort_by_key(|card| card.index);
    Ok(cards)
}

/// Gives the card with this address to whoever holds the result.
///
/// # Errors
/// When there is no such card, or it is somebody else's.
pub fn open(mac: MacAddr, offload: bool) -> io::Result<(Tap, Made)> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is none with this address");
    let card = all()?.into_iter().find(|card| card.mac == mac).ok_or_else(missing)?;
    silence(&card.name);
    set_up(&card.name)?;
    match on_macvtap(&card, offload) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => on_bridge(&card, offload),
        result => result,
    }
}

/// The kernel's own stack must not speak on a card that is not its own. Where IPv6 is off, nothing has to be done.
fn silence(name: &str) {
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
}

/// Lets the card look for its cable.
///
/// # Errors
/// When that is not permitted.
pub fn set_up(name: &str) -> io::Result<()> {
    sys::interface_up(sys::interface_socket()?.as_fd(), name)
}

fn on_macvtap(card: &Nic, offload: bool) -> io::Result<(Tap, Made)> {
    let name = format!("koi{}", card.index);
    let (index, made) = make(&link_request::make_macvtap(card.index, &name), &name)?;
    silence(&name);
    let tap = tap::open_macvtap(&format!("/dev/tap{index}"), None, offload)?;
    Ok((tap, made))
}

/// The bridge goes away with the value, the TAP with its descriptor.
fn on_bridge(card: &Nic, offload: bool) -> io::Result<(Tap, Made)> {
    let name = format!("koibr{}", card.index);
    let (bridge, made) = make(&link_request::make_bridge(&name), &name)?;
    let set = |what: &str, value: &str| fs::write(format!("/sys/class/net/{name}/bridge/{what}"), value);
    // Whatever comes in by one side leaves by the other; a bridge that remembers would keep the pair's virtual addresses.
    for (what, value) in [("ageing_time", "0"), ("multicast_snooping", "0"), ("group_fwd_mask", "65528")] {
        if let Err(error) = set(what, value) {
            tracing::warn!(%error, what, "the bridge of a network card stays as it is");
        }
    }
    silence(&name);
    ask(&link_request::enslave(card.index, bridge))?;
    let device = format!("koi{}", card.index);
    let tap = match offload {
        true => tap::open(&device, None, Patience::Second)?,
        false => plain::open(&device, None, Patience::Second)?,
    };
    silence(&device);
    let index = tap.index.ok_or(io::ErrorKind::NotFound)?;
    ask(&link_request::enslave(index, bridge))?;
    set_up(&name)?;
    Ok((tap, made))
}

/// Makes a link in place of one of this name that an earlier run has left behind.
fn make(request: &[u8], name: &str) -> io::Result<(u32, Made)> {
    let number = || sys::interface_index(sys::interface_socket()?.as_fd(), name);
    match ask(request) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            ask(&link_request::remove(number()?))?;
            ask(request)?;
        }
        result => result?,
    }
    let index = number()?;
    Ok((index, Made(index)))
}

fn ask(request: &[u8]) -> io::Result<()> {
    let mut socket = sys::route_socket(0)?;
    socket.write_all(request)?;
    let mut answer = [0; 4096];
    if sys::poll(&mut [PollEntry::readable(socket.as_fd())], Some(PATIENCE))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let len = socket.read(&mut answer)?;
    link_request::acknowledged(&answer[..len])
}

#[cfg(test)]
mod tests {
    use super::super::testbed::Namespace;
    use super::*;
    use crate::io::netns;

    #[test]
    fn cards_are_found_by_their_address_and_what_is_made_on_them_is_none() {
        let Some(space) = Namespace::new() else { return };
        space.ip("link add h0 type veth peer name v0 address 02:00:00:00:00:77");
        space.ip("link add b0 address 02:00:00:00:00:78 type bridge");
        let cards = netns::within(Some(&space.0), all).unwrap();
        let names: Vec<_> = cards.iter().map(|card| card.name.as_str()).collect();
        assert!(names.contains(&"v0") && !names.contains(&"b0") && !names.contains(&"lo"), "{names:?}");
        let mac = MacAddr([2, 0, 0, 0, 0, 0x77]);
        assert_eq!(cards.iter().find(|card| card.mac == mac).unwrap().name, "v0");
        let other = MacAddr([2, 0, 0, 0, 0, 0x79]);
        let missing = netns::within(Some(&space.0), || open(other, true).map(drop)).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    /// By a macvtap where the kernel has one, else by the bridge; frames cross in any case.
    #[test]
    fn a_card_carries_frames_of_any_address() {
        let Some(space) = Namespace::new() else { return };
        space.ip("link add h0 type veth peer name v0 address 02:00:00:00:00:77");
        space.host("h0");
        let mac = MacAddr([2, 0, 0, 0, 0, 0x77]);
        let (tap, made) = netns::within(Some(&space.0), || open(mac, true)).unwrap();
        assert!(tap.index.is_some() && tap.offload_header);
        let socket = space.socket();
        let mut frame = vec![0; 10];
        frame.extend(super::super::testbed::frame(7).bytes());
        let mut got = [0; 4];
        let mut tries = 0;
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // A bridge opens its ports after a moment.
        loop {
            (&tap.file).write_all(&frame).unwrap();
            if socket.recv(&mut got).is_ok() {
                break;
            }
            tries += 1;
            assert!(tries < 100, "nothing arrives");
        }
        assert_eq!(u32::from_be_bytes(got), 7);
        netns::within(Some(&space.0), || {
            drop(made);
            Ok(())
        })
        .unwrap();
        drop(tap);
        assert_eq!(netns::within(Some(&space.0), all).unwrap().len(), 2);
    }
}
