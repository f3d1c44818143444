//! pf's SYN proxy: the router completes the handshake with the client, and only then opens to the server.
//!
//! A SYN is answered with a cookie and leaves no trace (see `cookie`). The ACK that brings the cookie back begins the flow:
//! a SYN with the client's own number goes to the server, and until its SYN+ACK comes the flow *waits*: what the client
//! sends meanwhile only repeats the SYN. The client has had the router's number for the server's, so ever after the server's
//! numbers are shifted by the difference. The machine counts as the server does.
//!
//! As in pf, neither end is offered window scaling, selective acknowledgements or timestamps, and the client's window is
//! closed until the server's is known.

use super::advance::Step;
use super::cookie::{CookieRoot, Redeemed};
use super::index::{Hit, Slot, Way};
use super::record::Common;
use super::segment::Segment;
use super::table::Table;
use super::tcp::{Peer, Phase, Tcp};
use super::timer::{Class, Tick};
use crate::config::model::Syncookies;
use crate::types::Instant;
use crate::wire::handshake::{self, Shift};
use crate::wire::{Drop, Packet, Transport, mss, tcp_flags};

/// The most connections whose numbers are shifted.
const MOST: usize = 1 << 20;
/// What a client takes that says nothing of it (RFC 9293 section 3.7.1): IPv4, IPv6.
const MSS_DEFAULT: [u16; 2] = [536, 1220];

/// A connection whose handshake the router made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Proxy {
    /// The server has not answered yet.
    pub(super) waits: bool,
    /// While it waits: the router's initial sequence number; then, what is added to the server's numbers.
    pub(super) number: u32,
    /// The client's MSS.
    pub(super) mss: u16,
}

impl Proxy {
    pub(super) const fn shift(&self, way: Way) -> Shift {
        match (self.waits, way) {
            (true, _) => Shift::NONE,
            (false, Way::Original) => Shift { seq: 0, ack: self.number.wrapping_neg() },
            (false, Way::Reply) => Shift { seq: self.number, ack: 0 },
        }
    }
}

/// What has to be sent, and which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// In order.
    pub sends: [Option<(Way, handshake::Segment)>; 2],
    /// The connection has come about.
    pub complete: bool,
}

impl Table {
    /// Room for so many, when the configuration wants any.
    pub(super) fn reserve_proxies(&mut self) {
        self.store.proxies.reserve((self.config.proxies as usize).min(MOST));
        self.tell_cookie_root();
    }

    /// True while every connection begins with a cookie.
    pub fn wants_cookies(&mut self) -> bool {
        let [start, end] = self.config.cookie_marks;
        self.cookies_wanted = match self.config.syncookies {
            Syncookies::Never => false,
            Syncookies::Always => true,
            Syncookies::Adaptive if self.half_open >= start => true,
            Syncookies::Adaptive => self.cookies_wanted && self.half_open >= end,
        };
        self.cookies_wanted
    }

    /// The number that answers this SYN.
    pub fn cookie(&mut self, now: Instant, syn: &Packet) -> Option<u32> {
        let Transport::Tcp { seq, .. } = syn.layout.transport else { return None };
        let key = syn.layout.key;
        let usual = MSS_DEFAULT[usize::from(key.src().is_ipv6())];
        self.counters.cookies_sent += 1;
        Some(self.cookies.make(now, &key, seq, mss::announced(syn).unwrap_or(usual)))
    }

    /// What the cookie says that a segment without a flow brings back; `None` when it brings none.
    pub fn redeem(&mut self, now: Instant, packet: &Packet) -> Option<Redeemed> {
        let Transport::Tcp { flags, seq, ack, .. } = packet.layout.transport else { return None };
        let looked_at = tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST | tcp_flags::FIN;
        if flags & looked_at != tcp_flags::ACK || !self.cookies.are_about(now) {
            return None;
        }
        let (isn, cookie) = (seq.wrapping_sub(1), ack.wrapping_sub(1));
        let redeemed = self.cookies.redeem(now, &packet.layout.key, isn, cookie);
        self.counters.cookies_redeemed += u64::from(redeemed.is_some());
        redeemed
    }

    /// The flow that has just begun, with a SYN made of a cookie, waits for the server.
    ///
    /// # Errors
    /// When there is no room; the flow is then gone.
    pub fn begin_proxy(&mut self, hit: Hit, Redeemed { ours, mss }: Redeemed) -> Result<(), Drop> {
        if !self.store.set_proxy(hit.slot, Proxy { waits: true, number: ours, mss }) {
            self.remove(hit.slot);
            return Err(Drop::StateLimit);
        }
        Ok(())
    }

    /// True where connections may begin with a cookie.
    const fn may_send_cookies(&self) -> bool {
        self.config.proxies > 0
    }

    /// The root of the cookies, when the peer has not been told of it.
    pub fn take_cookie_root(&mut self, now: Instant) -> Option<CookieRoot> {
        std::mem::take(&mut self.cookies.untold).then(|| self.cookies.root(now))
    }

    /// True when [`Table::take_cookie_root`] has something to tell.
    pub const fn has_cookie_root(&self) -> bool {
        self.cookies.untold
    }

    /// The peer has to be told of the root (again), before there is any cookie.
    pub fn tell_cookie_root(&mut self) {
        self.cookies.untold = self.may_send_cookies();
    }

    /// The root of the peer.
    pub fn import_cookie_root(&mut self, now: Instant, root: CookieRoot) {
        self.cookies.adopt(now, root);
    }

    /// Cookies that the peer has made may come back here.
    pub(super) fn expect_cookies(&mut self, now: Instant) {
        if self.may_send_cookies() {
            self.cookies.expect(now);
        }
    }

    /// What is added to numbers of this flow.
    #[inline]
    pub(super) fn shift(&self, slot: Slot, way: Way) -> Shift {
        if !self.store.common(slot).is_proxied() {
            return Shift::NONE;
        }
        self.store.proxy(slot).map_or(Shift::NONE, |proxy| proxy.shift(way))
    }

    /// A segment of a connection that waits for the server.
    #[cold]
    pub(super) fn handshake(
        &mut self,
        now: Instant,
        hit: Hit,
        proxy: Proxy,
        packet: &Packet,
    ) -> Result<Step, Drop> {
        let segment = Segment::of(packet).ok_or(Drop::StateMismatch)?;
        if segment.is_impossible() {
            return Err(Drop::TcpFlags);
        }
        match hit.way {
            Way::Original => self.client_speaks(hit, proxy, &segment),
            Way::Reply => self.server_speaks(now, hit, proxy, &segment),
        }
    }

    fn client_speaks(&mut self, hit: Hit, proxy: Proxy, segment: &Segment) -> Result<Step, Drop> {
        let [client, _] = self.store.common(hit.slot).tcp().peers;
        if segment.is_first() {
            self.remove(hit.slot);
            self.counters.restarted += 1;
            return Ok(Step::Begin);
        }
        if segment.seq != client.low
            || (segment.ack != proxy.number.wrapping_add(1) && segment.has(tcp_flags::ACK))
        {
            self.counters.mismatched += 1;
            return Err(Drop::StateMismatch);
        }
        if segment.has(tcp_flags::RST) {
            self.remove(hit.slot);
            return Err(Drop::Synproxy);
        }
        let seq = client.low.wrapping_sub(1);
        let (window, mss) = (client.window, Some(proxy.mss));
        let syn = handshake::Segment { flags: tcp_flags::SYN, seq, ack: 0, window, mss };
        Ok(Step::Handshake(Handshake { sends: [Some((Way::Original, syn)), None], complete: false }))
    }

    fn server_speaks(
        &mut self,
        now: Instant,
        hit: Hit,
        proxy: Proxy,
        segment: &Segment,
    ) -> Result<Step, Drop> {
        let before = self.store.common(hit.slot).class;
        let mut tcp = self.store.common(hit.slot).tcp();
        let client = tcp.peers[0];
        let answers = segment.has(tcp_flags::ACK) && segment.ack == client.low;
        if !answers || !segment.has(tcp_flags::SYN) && !segment.has(tcp_flags::RST) {
            self.counters.mismatched += 1;
            return Err(Drop::StateMismatch);
        }
        let to_client = handshake::Segment {
            flags: tcp_flags::ACK,
            seq: proxy.number.wrapping_add(1),
            ack: client.low,
            window: segment.window,
            mss: None,
        };
        if segment.has(tcp_flags::RST) {
            tcp.peers.iter_mut().for_each(|peer| peer.phase = Phase::TimeWait);
            self.settle(now, hit, before, &tcp);
            let rst = handshake::Segment { flags: tcp_flags::RST | tcp_flags::ACK, window: 0, ..to_client };
            return Ok(Step::Handshake(Handshake {
                sends: [Some((Way::Reply, rst)), None],
                complete: false,
            }));
        }
        let theirs = segment.seq.wrapping_add(1);
        tcp.peers = open(&client, theirs, segment.window);
        let shift = proxy.number.wrapping_sub(segment.seq);
        self.store.set_proxy(hit.slot, Proxy { waits: false, number: shift, mss: proxy.mss });
        self.settle(now, hit, before, &tcp);
        let (seq, window) = (client.low, client.window);
        let to_server = handshake::Segment { flags: tcp_flags::ACK, seq, ack: theirs, window, mss: None };
        let sends = [Some((Way::Original, to_server)), Some((Way::Reply, to_client))];
        Ok(Step::Handshake(Handshake { sends, complete: true }))
    }

    /// The connection has moved on.
    fn settle(&mut self, now: Instant, hit: Hit, before: Class, tcp: &Tcp) {
        let common: &mut Common = self.store.common_mut(hit.slot);
        common.set_tcp(tcp);
        common.seen = Tick::of(now);
        self.reclass(hit, before, Class::of_tcp(tcp));
        self.note(hit.slot);
    }
}

/// Both ends, when the server has answered: what each may send.
fn open(client: &Peer, theirs: u32, window: u16) -> [Peer; 2] {
    let peer = |low: u32, window: u16, offered: u16| Peer {
        phase: Phase::Established,
        low,
        high: low.wrapping_add(u32::from(offered.max(1))),
        acked: low,
        window: window.max(1),
        scale: None,
    };
    [peer(client.low, client.window, window), peer(theirs, window, client.window)]
}
