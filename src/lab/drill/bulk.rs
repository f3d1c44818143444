//! One long transfer from the server to the client, every byte of it compared.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;

use super::worker::{Running, Worker};
use crate::io::{clock, netns, pace};
use crate::lab::network::{Network, namespace};
use crate::types::Instant;

const PORT: u16 = 7200;
/// What is sent at once, and how often: 200 Mbit/s. The hosts share the processors with what they measure.
const CHUNK: usize = 50_000;
const SPACING: Duration = Duration::from_millis(2);
/// The pattern repeats after a prime number of bytes, so that no packet boundary hides a hole or a repetition.
const PERIOD: usize = 65_521;
/// How often a reader looks whether it should go on.
const NAP: Duration = Duration::from_millis(200);

/// How the transfer goes.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Bytes received and compared.
    pub bytes: u64,
    /// The longest time without any, since the last [`Bulk::reset`].
    pub stall: Duration,
    /// Why it is over, if it is.
    pub broken: Option<String>,
    last: Option<Instant>,
}

/// The transfer; it ends with this value.
pub struct Bulk {
    tally: Arc<Mutex<Tally>>,
    _workers: [Worker; 2],
}

impl Bulk {
    /// Starts it.
    ///
    /// # Errors
    /// When the server's port cannot be had.
    pub fn start(network: &Network) -> anyhow::Result<Bulk> {
        let server = network.addresses("server").into_iter().find(IpAddr::is_ipv4).context("no server")?;
        let listener = netns::within(Some(&namespace("server")), || {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)))
        })?;
        listener.set_nonblocking(true)?;
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let told = Arc::clone(&tally);
        let sender = Worker::start("bulk-out", None, move |running| serve(&listener, running))?;
        let receiver = Worker::start("bulk-in", Some("client"), move |running| {
            let result = fetch(SocketAddr::new(server, PORT), running, &told);
            if let Err(error) = result {
                lock(&told).broken = Some(error.to_string());
            }
            Ok(())
        })?;
        Ok(Bulk { tally, _workers: [sender, receiver] })
    }

    /// How it goes.
    pub fn tally(&self) -> Tally {
        let mut tally = lock(&self.tally).clone();
        tally.stall = tally.stall.max(tally.last.map_or(Duration::ZERO, |last| clock::now().since(last)));
        tally
    }

    /// Forgets the longest stall.
    pub fn reset(&self) {
        lock(&self.tally).stall = Duration::ZERO;
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pattern() -> Vec<u8> {
    // Knuth's multiplier; the top bits of the product look like nothing.
    (0..PERIOD as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn serve(listener: &TcpListener, running: &Running) -> io::Result<()> {
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if !running.goes_on() {
            return Ok(());
        }
        pace::until(clock::now() + SPACING);
    };
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(NAP))?;
    let twice = pattern().repeat(2);
    let (mut at, mut next) = (0, clock::now());
    while running.goes_on() {
        pace::until(next);
        next = (next + SPACING).max(clock::now());
        let mut left = CHUNK;
        while left > 0 && running.goes_on() {
            match stream.write(&twice[at..at + left.min(PERIOD)]) {
                Ok(len) => (at, left) = ((at + len) % PERIOD, left - len),
                Err(error) if would_wait(&error) => {}
                // The reader says what is wrong.
                Err(_) => return Ok(()),
            }
        }
    }
    Ok(())
}

fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn fetch(server: SocketAddr, running: &Running, tally: &Mutex<Tally>) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(NAP))?;
    let twice = pattern().repeat(2);
    let mut bytes = vec![0; PERIOD];
    let mut at = 0;
    while running.goes_on() {
        let len = match stream.read(&mut bytes) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the transfer has ended")),
            Ok(len) => len,
            Err(error) if would_wait(&error) => continue,
            Err(error) => return Err(error),
        };
        let now = clock::now();
        if bytes[..len] != twice[at..at + len] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what arrives is not what was sent"));
        }
        at = (at + len) % PERIOD;
        let mut tally = lock(tally);
        tally.bytes += len as u64;
        tally.stall = tally.stall.max(tally.last.map_or(Duration::ZERO, |last| now.since(last)));
        tally.last = Some(now);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_not_its_own_neighbour() {
        let pattern = pattern();
        assert_eq!(pattern.len(), PERIOD);
        for shift in [1, 2, 4, 1448, 1460, 4096, CHUNK % PERIOD] {
            let same = (0..PERIOD).filter(|&at| pattern[at] == pattern[(at + shift) % PERIOD]).count();
            assert!(same < PERIOD / 10, "shifted by {shift}, {same} bytes are the same");
        }
    }
}
