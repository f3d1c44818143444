//! What else goes through: many UDP flows that live on, and new ones all the time. All of them are answered, as those of
//! people are; a source of flows that nobody answers is one that a firewall puts in its place.
//!
//! A flow is one of the client's sockets and one of the server's ports. The server says as whom it sees the client, so
//! a flow that is answered but was translated anew has not survived.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::worker::{Running, Worker};
use crate::io::poller::Poller;
use crate::io::{clock, netns, pace};
use crate::lab::interruption;
use crate::lab::network::{Network, namespace};
use crate::types::Instant;

/// The server's ports: from this one on, at most so many.
const PORTS: u16 = 20_000;
const PORTS_MAX: usize = 500;
/// Where new flows go.
const NEW_PORT: u16 = 19_999;
/// The time between two turns, and the new flows of each: a thousand a second.
const TURN: Duration = Duration::from_millis(2);
const NEW: usize = 2;
/// Sockets of new flows that are kept for a while, so that their answers find somebody.
const KEPT: usize = 512;
/// All flows say something this often, well within the timers of a UDP flow.
const REFRESH: Duration = Duration::from_secs(15);
/// How often a flow asks in one round before it is called lost, and how long the last answers may take.
const TRIES: usize = 4;
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How long counting may take: a round that is under way, and one more, with a million flows.
const COUNT_LIMIT: Duration = Duration::from_secs(180);
/// A question: number of the flow and of the round. The answer adds the port that the server sees.
const LEN: usize = 8;

/// What is known of a flow.
#[derive(Clone, Copy, Default)]
struct Flow {
    /// The port that the server saw at first.
    port: u16,
    /// The last round in which it was answered as the same flow.
    round: u32,
    /// The last round in which it was answered as another one.
    anew: u32,
}

/// What became of the flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Answered, and the same.
    pub alive: usize,
    /// Answered, but translated anew.
    pub anew: usize,
    /// Not answered.
    pub silent: usize,
}

struct State {
    flows: Vec<Flow>,
    /// The present round.
    round: u32,
    /// The last round that is over.
    over: u32,
    /// The round that somebody waits for. None is broken off for it: a flow's turn comes at the same place of each
    /// round, so that none waits for much longer than a round.
    wanted: u32,
}

/// The flows; they end with this value.
pub struct Background {
    state: Arc<Mutex<State>>,
    _workers: Vec<Worker>,
}

impl Background {
    /// Starts `count` flows and the new ones.
    ///
    /// # Errors
    /// When sockets cannot be had.
    pub fn start(network: &Network, count: usize) -> anyhow::Result<Background> {
        let state = State { flows: vec![Flow::default(); count], round: 0, over: 0, wanted: 0 };
        let state = Arc::new(Mutex::new(state));
        if count == 0 {
            return Ok(Background { state, _workers: Vec::new() });
        }
        let server = network.addresses("server").into_iter().find(IpAddr::is_ipv4).context("no server")?;
        let ports = count.isqrt().clamp(1, PORTS_MAX);
        let any = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let bind = |host: &str, ports: Vec<u16>| {
            netns::within(Some(&namespace(host)), || {
                ports.iter().map(|port| UdpSocket::bind(any(*port))).collect::<io::Result<Vec<_>>>()
            })
        };
        let far = bind("server", (0..ports as u16).map(|port| PORTS + port).chain([NEW_PORT]).collect())?;
        let near = bind("client", vec![0; count.div_ceil(ports)])?;
        for socket in near.iter().chain(&far) {
            socket.set_nonblocking(true)?;
        }
        let answering = Worker::start("flows-far", None, move |running| answer(&far, running))?;
        let told = Arc::clone(&state);
        let asking = Worker::start("flows-near", Some("client"), move |running| {
            ask(&near, ports, server, &told, running)
        })?;
        Ok(Background { state, _workers: vec![answering, asking] })
    }

    /// Asks all flows, and counts those that are answered and still the same.
    ///
    /// # Errors
    /// When the lab should end, or the machine is too slow to ask that many flows in time.
    pub fn count(&self) -> anyhow::Result<Census> {
        let wanted = {
            let mut state = lock(&self.state);
            if state.flows.is_empty() {
                return Ok(Census::default());
            }
            state.wanted = state.round + 1;
            state.wanted
        };
        let begin = clock::now();
        while lock(&self.state).over < wanted {
            ensure!(clock::now().since(begin) < COUNT_LIMIT, "counting the flows takes too long");
            interruption::wait_until(clock::now() + 5 * TURN)?;
        }
        let state = lock(&self.state);
        let alive = state.flows.iter().filter(|flow| flow.round >= wanted).count();
        let anew = state.flows.iter().filter(|flow| flow.round < wanted && flow.anew >= wanted).count();
        Ok(Census { alive, anew, silent: state.flows.len() - alive - anew })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(sockets: &[UdpSocket], running: &Running) -> io::Result<()> {
    let mut poller = Poller::new()?;
    sockets.iter().enumerate().for_each(|(index, socket)| poller.add(index, socket.as_fd()));
    let mut ready = Vec::new();
    let mut bytes = [0; LEN + 2];
    while running.goes_on() {
        poller.wait(Some(10 * TURN), &mut ready)?;
        for socket in ready.iter().filter_map(|found| sockets.get(found.token)) {
            while let Ok((LEN, from)) = socket.recv_from(&mut bytes) {
                bytes[LEN..].copy_from_slice(&from.port().to_be_bytes());
                // An answer that is lost is asked for again.
                let _ = socket.send_to(&bytes, from);
            }
        }
        pace::until(clock::now() + TURN);
    }
    Ok(())
}

/// Where a round stands.
struct Round {
    number: u32,
    next: usize,
    tries: usize,
    /// When it had gone through all flows for the last time.
    done: Option<Instant>,
}

fn ask(
    sockets: &[UdpSocket],
    ports: usize,
    server: IpAddr,
    state: &Mutex<State>,
    running: &Running,
) -> io::Result<()> {
    let mut poller = Poller::new()?;
    sockets.iter().enumerate().for_each(|(index, socket)| poller.add(index, socket.as_fd()));
    let mut ready = Vec::new();
    let mut round = Round { number: 0, next: 0, tries: 0, done: None };
    let (mut next, mut refreshed) = (clock::now(), clock::now());
    let mut kept = VecDeque::with_capacity(KEPT);
    while running.goes_on() {
        pace::until(next);
        next = (next + TURN).max(clock::now());
        for _ in 0..NEW {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            // What is lost here, nobody misses.
            let _ = socket.send_to(&[0; LEN], (server, NEW_PORT));
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(socket);
        }
        poller.wait(Some(Duration::ZERO), &mut ready)?;
        let mut state = lock(state);
        for socket in ready.iter().filter_map(|found| sockets.get(found.token)) {
            receive(socket, &mut state);
        }
        let now = clock::now();
        if state.over == state.round && (now.since(refreshed) >= REFRESH || state.wanted > state.round) {
            state.round += 1;
        }
        if state.round != round.number {
            round = Round { number: state.round, next: 0, tries: 0, done: None };
            refreshed = now;
        }
        go_on(&mut round, &mut state, now, |flow, bytes| {
            let to = SocketAddr::new(server, PORTS + (flow % ports) as u16);
            drop(sockets[flow / ports].send_to(&bytes, to));
        });
    }
    Ok(())
}

fn receive(socket: &UdpSocket, state: &mut State) {
    let mut bytes = [0; LEN + 2];
    while let Ok(len) = socket.recv(&mut bytes) {
        let [a, b, c, d, e, f, g, h, port @ ..] = bytes;
        let port = u16::from_be_bytes(port);
        let round = u32::from_be_bytes([e, f, g, h]);
        let index = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some(flow) = state.flows.get_mut(index).filter(|_| len == bytes.len()) else { continue };
        if flow.port == 0 {
            flow.port = port;
        }
        let last = if flow.port == port { &mut flow.round } else { &mut flow.anew };
        *last = round.max(*last);
    }
}

/// One turn of a round: asks some of those flows that have not answered in it.
fn go_on(round: &mut Round, state: &mut State, now: Instant, mut send: impl FnMut(usize, [u8; LEN])) {
    if state.over >= round.number {
        return;
    }
    let missing = |state: &State| state.flows.iter().any(|flow| flow.round < round.number);
    if let Some(done) = round.done {
        if !missing(state) || now.since(done) >= LAST_ANSWERS {
            match missing(state) && round.tries < TRIES {
                true => (round.next, round.done) = (0, None),
                false => state.over = round.number,
            }
        }
        return;
    }
    let mut budget = budget(state.flows.len(), round.number);
    while budget > 0 && round.next < state.flows.len() {
        let index = round.next;
        round.next += 1;
        if state.flows[index].round < round.number {
            let mut bytes = [0; LEN];
            bytes[..4].copy_from_slice(&(index as u32).to_be_bytes());
            bytes[4..].copy_from_slice(&round.number.to_be_bytes());
            send(index, bytes);
            budget -= 1;
        }
    }
    if round.next == state.flows.len() {
        round.tries += 1;
        round.done = Some(now);
    }
}

/// Flows that are asked in one turn: 200,000 within 10 seconds. With more, 50,000 packets a second, with their answers;
/// the first two rounds are twice as fast, since only then the timer of a flow is the long one.
fn budget(flows: usize, round: u32) -> usize {
    let most = if round > 2 { 50 } else { 100 };
    (flows / 500).clamp(1, (flows / 10_000).clamp(40, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_flows_are_kept_alive_by_50_000_packets_a_second() {
        let turns = Duration::from_secs(1).as_nanos() / TURN.as_nanos();
        assert_eq!(2 * budget(1_000_000, 3) as u128 * turns, 50_000);
        // Both rounds that open the flows go through within 30 seconds, a UDP flow's timer until it was answered twice.
        assert!(1_000_000 / (budget(1_000_000, 2) as u128 * turns) < 30);
        assert_eq!(budget(200_000, 3) as u128 * turns, 20_000);
        assert_eq!(budget(1, 1), 1);
    }

    /// Plays rounds in which only those flows answer that `alive` says; gives how many were asked.
    fn play(state: &mut State, alive: impl Fn(usize) -> bool) -> usize {
        state.round += 1;
        let mut round = Round { number: state.round, next: 0, tries: 0, done: None };
        let (mut asked, mut now) = (0, Instant::ZERO);
        while state.over < state.round {
            let mut answers = Vec::new();
            go_on(&mut round, state, now, |index, _| answers.push(index));
            asked += answers.len();
            for index in answers.into_iter().filter(|index| alive(*index)) {
                state.flows[index].round = round.number;
            }
            now += TURN;
        }
        asked
    }

    #[test]
    fn flows_that_do_not_answer_are_asked_again_and_then_lost() {
        let mut state = State { flows: vec![Flow::default(); 1000], round: 0, over: 0, wanted: 0 };
        assert_eq!(play(&mut state, |_| true), 1000);
        assert_eq!(play(&mut state, |index| index != 7), 999 + TRIES);
        let lost = state.flows.iter().filter(|flow| flow.round < state.round).count();
        assert_eq!(lost, 1);
    }
}
