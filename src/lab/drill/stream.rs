//! Streams: numbered UDP messages, a thousand a second or more, both ways through flows that a host inside has opened.
//!
//! Both ends are on this machine and on one clock. The senders note when they really sent, so that their own
//! lateness is not blamed on the router; the receivers take the kernel's time of arrival.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::figures::{Gap, Window, gap};
use super::worker::Worker;
use crate::io::poller::Poller;
use crate::io::{clock, netns, pace, stamped};
use crate::lab::network::{Network, namespace};
use crate::types::Instant;

/// Where the server answers: for the client, and for the server in the DMZ.
pub const PORTS: [u16; 2] = [7001, 7002];
/// The hosts that open the flows.
const OPENERS: [&str; 2] = ["client", "www"];
/// The time between two messages, or between two bursts of them.
const SPACING: Duration = Duration::from_millis(1);
/// How long the first message may take to get through.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the receiver sleeps when nothing comes.
const NAP: Duration = Duration::from_millis(20);
/// A message: which stream, which number.
const LEN: usize = 8;

/// What became of one stream.
#[derive(Clone, Debug, Default)]
struct Log {
    /// What it is called in the report.
    name: String,
    /// The number of the first message that is still remembered.
    first: u32,
    /// When each was sent.
    sent: Vec<Instant>,
    /// What came.
    arrivals: Vec<(Instant, u32)>,
}

/// The streams; they end with this value.
pub struct Streams {
    logs: Arc<Mutex<Vec<Log>>>,
    _workers: Vec<Worker>,
}

/// One end of a flow: where it sends, and which stream comes in.
struct End {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Streams {
    /// Opens the flows and starts the streams.
    ///
    /// # Errors
    /// When a flow cannot be opened.
    pub fn start(network: &Network, rate: usize) -> anyhow::Result<Streams> {
        let server = network.addresses("server").into_iter().find(IpAddr::is_ipv4).context("no server")?;
        let mut logs = Vec::new();
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        // The first opener's flow has the rate that is wanted.
        let bursts = [(rate / 1000).max(1), 1];
        for ((opener, port), burst) in OPENERS.into_iter().zip(PORTS).zip(bursts) {
            let (near, far) = open(opener, SocketAddr::new(server, port))
                .with_context(|| format!("a flow from {opener} to the server"))?;
            for (name, from, to) in
                [(format!("{opener} → server"), &near, &far), (format!("server → {opener}"), &far, &near)]
            {
                logs.push(Log { name, ..Log::default() });
                senders.push((End { socket: from.socket.try_clone()?, to: from.to }, burst));
                receivers.push(to.socket.try_clone()?);
            }
        }
        let logs = Arc::new(Mutex::new(logs));
        let (sent, arrived) = (Arc::clone(&logs), Arc::clone(&logs));
        let sender = Worker::start("streams-out", None, move |running| {
            // Without the right to it, the lateness is in the log.
            pace::punctual();
            // Otherwise the kernel itself would let a message overtake another one before the router has them.
            pace::stays();
            let mut next = clock::now();
            let mut numbers = vec![0; senders.len()];
            while running.goes_on() {
                pace::until(next);
                send(&senders, &mut numbers, &sent);
                // After a pause, on: there is nothing to catch up with.
                next = (next + SPACING).max(clock::now());
            }
            Ok(())
        })?;
        let receiver = Worker::start("streams-in", None, move |running| {
            let mut poller = Poller::new()?;
            receivers.iter().enumerate().for_each(|(index, socket)| poller.add(index, socket.as_fd()));
            let mut ready = Vec::new();
            while running.goes_on() {
                poller.wait(Some(NAP), &mut ready)?;
                receive(&receivers, &arrived)?;
                // The time of arrival is the kernel's: no need to wake for every message.
                pace::until(clock::now() + 2 * SPACING);
            }
            Ok(())
        })?;
        Ok(Streams { logs, _workers: vec![sender, receiver] })
    }

    fn logs(&self) -> MutexGuard<'_, Vec<Log>> {
        lock(&self.logs)
    }

    /// The gap of each stream in a window, by name.
    pub fn gaps(&self, window: Window) -> Vec<(String, Gap)> {
        let logs = self.logs().clone();
        let of = |log: Log| (log.name, gap(log.first, &log.sent, &log.arrivals, window));
        logs.into_iter().map(of).collect()
    }

    /// Forgets what was long before this instant.
    pub fn forget_before(&self, at: Instant) {
        for log in self.logs().iter_mut() {
            let old = log.sent.partition_point(|sent| *sent < at);
            log.sent.drain(..old);
            log.first += old as u32;
            let first = log.first;
            log.arrivals.retain(|(_, number)| *number >= first);
        }
    }
}

fn lock(logs: &Mutex<Vec<Log>>) -> MutexGuard<'_, Vec<Log>> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a flow: the far end learns from the first message where the near end is, as it sees it.
fn open(opener: &str, server: SocketAddr) -> anyhow::Result<(End, End)> {
    let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let near = netns::within(Some(&namespace(opener)), || UdpSocket::bind(any(0)))?;
    let far = netns::within(Some(&namespace("server")), || UdpSocket::bind(any(server.port())))?;
    far.set_read_timeout(Some(Duration::from_millis(200)))?;
    let begin = clock::now();
    let seen = loop {
        ensure!(clock::now().since(begin) < PATIENCE, "nothing arrives");
        near.send_to(&[0xff; LEN], server)?;
        if let Ok((_, seen)) = far.recv_from(&mut [0; LEN]) {
            break seen;
        }
    };
    stamped::prepare(&near)?;
    stamped::prepare(&far)?;
    Ok((End { socket: near, to: server }, End { socket: far, to: seen }))
}

fn send(senders: &[(End, usize)], numbers: &mut [u32], logs: &Mutex<Vec<Log>>) {
    let longest = senders.iter().map(|(_, burst)| *burst).max().unwrap_or_default();
    let turns = (0..longest).flat_map(|turn| senders.iter().enumerate().map(move |one| (turn, one)));
    for (turn, (stream, (end, burst))) in turns {
        if turn >= *burst {
            continue;
        }
        let number = numbers[stream];
        numbers[stream] += 1;
        let mut message = [0; LEN];
        message[..4].copy_from_slice(&(stream as u32).to_be_bytes());
        message[4..].copy_from_slice(&number.to_be_bytes());
        let now = clock::now();
        // What the kernel does not take is lost, and seen as such.
        let _ = end.socket.send_to(&message, end.to);
        if let Some(log) = lock(logs).get_mut(stream) {
            log.sent.push(now);
        }
    }
}

fn receive(receivers: &[UdpSocket], logs: &Mutex<Vec<Log>>) -> std::io::Result<()> {
    let mut bytes = [0; 64];
    for (stream, socket) in receivers.iter().enumerate() {
        while let Some(received) = stamped::receive(socket.as_fd(), &mut bytes)? {
            let [a, b, c, d, e, f, g, h, ..] = bytes;
            if received.len == LEN && u32::from_be_bytes([a, b, c, d]) == stream as u32 {
                let arrival = (received.at, u32::from_be_bytes([e, f, g, h]));
                lock(logs)[stream].arrivals.push(arrival);
            }
        }
    }
    Ok(())
}
