//! Echo requests from this machine to an address, a thousand a second, and what came of them.
//!
//! They measure what lies between this machine and that address: a pair, when their way leads through it.

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{clock, echo_socket, pace};
use crate::types::Instant;

/// The time between two requests.
const SPACING: Duration = Duration::from_millis(1);
/// How long an answer may take to be one.
const LATE: Duration = Duration::from_secs(1);
/// The most requests that are remembered; then the measurement ends.
const MOST: usize = 600_000;

/// What came of the requests.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Of these, without an answer within a second.
    pub lost: u64,
    /// The longest time in which no answer came.
    pub silence_ms: f64,
    /// The longest time between two requests: by so much this machine itself may have been late.
    pub sender_gap_ms: f64,
}

/// When each was sent, and when its answer came.
#[derive(Debug, Default)]
struct Log(Vec<(Instant, Option<Instant>)>);

impl Log {
    /// Of those sent from `from` to `to`, when everything that may still come has come.
    fn tally(&self, from: Instant, to: Instant) -> Tally {
        let inside: Vec<_> = self.0.iter().filter(|(sent, _)| *sent >= from && *sent < to).collect();
        let answered =
            |answer: &Option<Instant>, sent: &Instant| answer.is_some_and(|at| at.since(*sent) < LATE);
        let lost = inside.iter().filter(|(sent, answer)| !answered(answer, sent)).count();
        let mut answers: Vec<Instant> = inside.iter().filter_map(|(_, answer)| *answer).collect();
        answers.sort_unstable();
        let longest = |times: &mut dyn Iterator<Item = Instant>| {
            let (mut last, mut longest) = (from, Duration::ZERO);
            for at in times {
                longest = longest.max(at.since(last));
                last = last.max(at);
            }
            longest.max(to.since(last)).as_secs_f64() * 1000.0
        };
        Tally {
            sent: inside.len() as u64,
            lost: lost as u64,
            silence_ms: longest(&mut answers.into_iter()),
            sender_gap_ms: longest(&mut inside.iter().map(|(sent, _)| *sent)),
        }
    }

    /// The newest request that has this number in 16 bits.
    fn answered(&mut self, number: u16, at: Instant) {
        let Some(newest) = self.0.len().checked_sub(1) else { return };
        let back = (newest as u16).wrapping_sub(number);
        if let Some((_, answer)) = newest.checked_sub(back.into()).and_then(|index| self.0.get_mut(index)) {
            answer.get_or_insert(at);
        }
    }
}

/// Requests that are being sent; they end with this value.
pub struct Prober {
    log: Arc<Mutex<Log>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Begins.
    ///
    /// # Errors
    /// When this process may not send echo requests, or there is no way to the address.
    pub fn start(to: IpAddr) -> std::io::Result<Prober> {
        let socket = echo_socket::open(to.is_ipv6())?;
        socket.connect((to, 0))?;
        socket.set_nonblocking(true)?;
        let (log, ends) = (Arc::<Mutex<Log>>::default(), Arc::<AtomicBool>::default());
        let (told, ended) = (Arc::clone(&log), Arc::clone(&ends));
        let run = move || {
            let mut next = clock::now();
            while !ended.load(Ordering::Relaxed) {
                pace::until(next);
                let mut log = told.lock().unwrap_or_else(PoisonError::into_inner);
                receive(&socket, to.is_ipv6(), &mut log);
                if log.0.len() < MOST {
                    send(&socket, to.is_ipv6(), &mut log);
                }
                next = (next + SPACING).max(clock::now());
            }
        };
        let thread = std::thread::Builder::new().name("prober".into()).spawn(run)?;
        Ok(Prober { log, ends, thread: Some(thread) })
    }

    /// What came of those that were sent from `from` to `to`; ask a second later.
    pub fn tally(&self, from: Instant, to: Instant) -> Tally {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).tally(from, to)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // A thread that has panicked sends nothing, either.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn send(socket: &UdpSocket, ipv6: bool, log: &mut Log) {
    let number = (log.0.len() as u16).to_be_bytes();
    // Type, code, checksum and identifier (the kernel's), sequence number, payload.
    let mut message = [0x6b; 56];
    message[..8].copy_from_slice(&[if ipv6 { 128 } else { 8 }, 0, 0, 0, 0, 0, number[0], number[1]]);
    log.0.push((clock::now(), None));
    // What the kernel does not take has no answer.
    let _ = socket.send(&message);
}

fn receive(socket: &UdpSocket, ipv6: bool, log: &mut Log) {
    let (mut bytes, answer) = ([0; 128], if ipv6 { 129 } else { 0 });
    for _ in 0..64 {
        match socket.recv(&mut bytes) {
            Ok(len) if len >= 8 && bytes[0] == answer => {
                log.answered(u16::from_be_bytes([bytes[6], bytes[7]]), clock::now());
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            // What ICMP reports; the next read goes on.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_the_longest_silence_are_counted() {
        let at = Instant::from_millis;
        let mut log = Log::default();
        for millis in 0..1000 {
            log.0.push((at(1000 + millis), None));
        }
        let number = |index: usize| index as u16;
        for index in (0..1000).filter(|index| !(300..350).contains(index)) {
            log.answered(number(index), at(1001 + index as u64));
        }
        log.answered(number(10), at(9999));
        let tally = log.tally(at(1000), at(2001));
        assert_eq!((tally.sent, tally.lost), (1000, 50));
        assert_eq!((tally.silence_ms, tally.sender_gap_ms), (51.0, 2.0));
        assert_eq!(log.tally(at(1300), at(1350)).lost, 50);
        assert_eq!(log.tally(at(1300), at(1350)).silence_ms, 50.0);
    }

    #[test]
    fn numbers_go_round_and_an_answer_to_nothing_is_nothing() {
        let mut log = Log::default();
        log.answered(7, Instant::ZERO);
        for index in 0..70_000u64 {
            log.0.push((Instant::from_millis(index), None));
        }
        log.answered(65_535, Instant::from_secs(70));
        log.answered(0, Instant::from_secs(70));
        let answered: Vec<usize> = (0..log.0.len()).filter(|index| log.0[*index].1.is_some()).collect();
        assert_eq!(answered, [65_535, 65_536]);
    }
}
