//! Many TCP sessions from the client to the server, both of which say something several times a second.
//!
//! Each message has the number of its session, its own number and a check over both; a session in which anything else
//! arrives is broken. One thread on each side serves all sessions.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
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

const PORT: u16 = 7100;
/// A message.
const LEN: usize = 16;
/// The time between two messages of an end.
const SPACING: Duration = Duration::from_millis(250);
/// How often a side looks what there is: the precision of a stall.
const TICK: Duration = Duration::from_millis(5);
/// How long opening all sessions may take, and how long they may take to show that they live.
const PATIENCE: Duration = Duration::from_secs(30);
const LIFE_SIGN: Duration = Duration::from_secs(5);

/// One end of a session.
struct End {
    stream: TcpStream,
    /// Which session; the server learns it from the first message.
    id: Option<u32>,
    /// The number of the next message out, and of the next one in.
    next: [u32; 2],
    /// Bytes that the kernel has not taken yet, and the begin of a message that has not come whole.
    waiting: Vec<u8>,
    partial: Vec<u8>,
    send_at: Instant,
    last: Instant,
    stall: Duration,
    broken: Option<String>,
}

/// All ends of one side.
type Side = Arc<Mutex<Vec<End>>>;

/// The sessions; they end with this value.
pub struct Sessions {
    client: Side,
    server: Side,
    /// How many were opened.
    pub count: usize,
    _workers: [Worker; 2],
}

/// What became of the sessions.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Those that go on: each end has received something that was sent after the survey had begun.
    pub alive: usize,
    /// The longest time without a message at any end, the spacing taken off, since the last [`Sessions::reset`].
    pub stall: Duration,
    /// What is wrong with the first that does not go on.
    pub why: Option<String>,
}

impl Sessions {
    /// Opens `count` sessions.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn start(network: &Network, count: usize) -> anyhow::Result<Sessions> {
        let server = network.addresses("server").into_iter().find(IpAddr::is_ipv4).context("no server")?;
        let listener = netns::within(Some(&namespace("server")), || {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)))
        })?;
        listener.set_nonblocking(true)?;
        let (near, far) = (Side::default(), Side::default());
        let side = Arc::clone(&far);
        let answering =
            Worker::start("sessions-far", None, move |running| serve(&side, Some(&listener), running))?;
        let side = Arc::clone(&near);
        let asking = Worker::start("sessions-near", Some("client"), move |running| {
            for id in 0..count as u32 {
                let stream = TcpStream::connect_timeout(&SocketAddr::new(server, PORT), LIFE_SIGN)?;
                // Evenly spread, as those of people are.
                let phase = SPACING * id / count.max(1) as u32;
                lock(&side).push(End::new(stream, Some(id), clock::now() + phase)?);
                if !running.goes_on() {
                    return Ok(());
                }
            }
            serve(&side, None, running)
        })?;
        let sessions = Sessions { client: near, server: far, count, _workers: [answering, asking] };
        let begin = clock::now();
        while sessions.survey_now(&[0; 2].map(|_| vec![0; count])).alive < count {
            ensure!(clock::now().since(begin) < PATIENCE, "of {count} TCP sessions, not all can be opened");
            interruption::wait_until(clock::now() + SPACING)?;
        }
        Ok(sessions)
    }

    /// Forgets the longest stalls.
    pub fn reset(&self) {
        for side in [&self.client, &self.server] {
            lock(side).iter_mut().for_each(|end| end.stall = Duration::ZERO);
        }
    }

    /// Finds out which sessions go on; returns as soon as all do, or after a few seconds.
    ///
    /// # Errors
    /// When the lab should end.
    pub fn survey(&self) -> anyhow::Result<Survey> {
        let marks = [&self.server, &self.client].map(|other| {
            let mut marks = vec![u32::MAX; self.count];
            for end in lock(other).iter() {
                if let Some(mark) = end.id.and_then(|id| marks.get_mut(id as usize)) {
                    *mark = end.next[0];
                }
            }
            marks
        });
        let begin = clock::now();
        loop {
            let survey = self.survey_now(&marks);
            if survey.alive == self.count || clock::now().since(begin) > LIFE_SIGN {
                return Ok(survey);
            }
            interruption::wait_until(clock::now() + 2 * TICK)?;
        }
    }

    /// `marks`: for the client and the server, the numbers of messages that prove something.
    fn survey_now(&self, marks: &[Vec<u32>; 2]) -> Survey {
        let now = clock::now();
        let mut survey = Survey::default();
        let mut lives = vec![0; self.count];
        for (side, marks) in [&self.client, &self.server].into_iter().zip(marks) {
            for end in lock(side).iter() {
                let silent = now.since(end.last).max(end.stall).saturating_sub(SPACING);
                survey.stall = survey.stall.max(silent);
                let Some(id) = end.id.map(|id| id as usize).filter(|id| *id < self.count) else { continue };
                match &end.broken {
                    Some(why) => survey.why = survey.why.take().or(Some(format!("session {id}: {why}"))),
                    None => lives[id] += u32::from(end.next[1] > marks[id]),
                }
            }
        }
        survey.alive = lives.iter().filter(|ends| **ends == 2).count();
        survey
    }
}

fn lock(side: &Mutex<Vec<End>>) -> MutexGuard<'_, Vec<End>> {
    side.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(side: &Side, listener: Option<&TcpListener>, running: &Running) -> io::Result<()> {
    let mut poller = Poller::new()?;
    let (mut ready, mut known, mut next) = (Vec::new(), 0, clock::now());
    while running.goes_on() {
        pace::until(next);
        next = (next + TICK).max(clock::now());
        let mut ends = lock(side);
        while let Some((stream, _)) = listener.and_then(|listener| listener.accept().ok()) {
            ends.push(End::new(stream, None, clock::now() + SPACING / 2)?);
        }
        // Sockets stay open to the end, whatever becomes of their session.
        for (index, end) in ends.iter().enumerate().skip(known) {
            poller.add(index, end.stream.as_fd());
        }
        known = ends.len();
        poller.wait(Some(Duration::ZERO), &mut ready)?;
        let now = clock::now();
        for found in &ready {
            if let Some(end) = ends.get_mut(found.token) {
                end.work(|end| end.receive(now));
            }
        }
        for end in ends.iter_mut().filter(|end| end.send_at <= now) {
            end.send_at = now + SPACING;
            end.work(End::send);
        }
    }
    Ok(())
}

/// The last eight bytes of a message.
fn check(id: u32, number: u32) -> [u8; 8] {
    ((u64::from(id) << 32 | u64::from(number)) ^ 0x6b6f_6921)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .to_be_bytes()
}

impl End {
    fn new(stream: TcpStream, id: Option<u32>, send_at: Instant) -> io::Result<End> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(End {
            stream,
            id,
            next: [0; 2],
            waiting: Vec::new(),
            partial: Vec::new(),
            send_at,
            last: clock::now(),
            stall: Duration::ZERO,
            broken: None,
        })
    }

    /// Does something with it unless it is broken; when that fails, it is.
    fn work(&mut self, what: impl FnOnce(&mut End) -> io::Result<()>) {
        if self.broken.is_none() {
            self.broken = what(self).err().map(|error| error.to_string());
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(id) = self.id else { return Ok(()) };
        // More than the kernel buffers is not said: the session stalls, and that is seen.
        if self.waiting.is_empty() {
            self.waiting.extend(id.to_be_bytes());
            self.waiting.extend(self.next[0].to_be_bytes());
            self.waiting.extend(check(id, self.next[0]));
            self.next[0] += 1;
        }
        match self.stream.write(&self.waiting) {
            Ok(len) => drop(self.waiting.drain(..len)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the other end has closed it")),
            Ok(len) => self.partial.extend(&bytes[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let whole = self.partial.len() / LEN * LEN;
        for message in self.partial.drain(..whole).collect::<Vec<_>>().chunks_exact(LEN) {
            let id =
                *self.id.get_or_insert(u32::from_be_bytes([message[0], message[1], message[2], message[3]]));
            let expected =
                [&id.to_be_bytes()[..], &self.next[1].to_be_bytes(), &check(id, self.next[1])].concat();
            if message != expected {
                return Err(io::Error::new(ErrorKind::InvalidData, "what arrives is not what was sent"));
            }
            self.next[1] += 1;
            self.stall = self.stall.max(now.since(self.last));
            self.last = now;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> [End; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        [End::new(near, Some(7), clock::now()).unwrap(), End::new(far, None, clock::now()).unwrap()]
    }

    fn receive(end: &mut End, until: u32) {
        while end.next[1] < until && end.broken.is_none() {
            end.work(|end| end.receive(clock::now()));
        }
    }

    #[test]
    fn messages_are_counted_in_order() {
        let [mut near, mut far] = pair();
        far.work(End::send);
        assert_eq!(far.next[0], 0, "it does not know yet which session it is");
        (0..5).for_each(|_| near.work(End::send));
        receive(&mut far, 5);
        assert_eq!((far.id, far.next[1], &far.broken), (Some(7), 5, &None));
        far.work(End::send);
        receive(&mut near, 1);
        assert_eq!(near.broken, None);
    }

    #[test]
    fn a_message_that_is_missing_or_changed_and_an_end_break_a_session() {
        for spoil in [|end: &mut End| end.next[0] += 1, |end: &mut End| end.id = Some(8)] {
            let [mut near, mut far] = pair();
            near.work(End::send);
            receive(&mut far, 1);
            spoil(&mut near);
            near.work(End::send);
            receive(&mut far, 2);
            assert!(far.broken.as_ref().unwrap().contains("not what was sent"));
        }
        let [near, mut far] = pair();
        drop(near);
        receive(&mut far, 1);
        assert!(far.broken.as_ref().unwrap().contains("closed"));
    }
}
