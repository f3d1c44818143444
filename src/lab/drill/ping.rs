//! Pings from the client to the server, as a person would have them running: one a second, and a hundred.

use std::net::{IpAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::figures::Window;
use super::worker::Worker;
use crate::io::{clock, echo_socket, pace};
use crate::lab::network::Network;
use crate::types::Instant;

/// The time between two of the fast ones; of the slow ones each is a hundredth of them.
const SPACING: Duration = Duration::from_millis(10);
const SLOW: u64 = 100;

/// How many there were, and how many had no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Count {
    /// Sent.
    pub sent: u64,
    /// Without an answer.
    pub lost: u64,
}

impl Count {
    /// Both together.
    pub fn and(self, other: Count) -> Count {
        Count { sent: self.sent + other.sent, lost: self.lost + other.lost }
    }
}

/// When each was sent, and whether its answer came; the sequence number is the index, in 16 bits.
type Log = Vec<(Instant, bool)>;

/// The pings; they end with this value.
pub struct Pings {
    logs: Arc<Mutex<[Log; 2]>>,
    _worker: Worker,
}

impl Pings {
    /// Starts them.
    ///
    /// # Errors
    /// When there is no thread left.
    pub fn start(network: &Network) -> anyhow::Result<Pings> {
        let server = network.addresses("server").into_iter().find(IpAddr::is_ipv4).context("no server")?;
        let logs: Arc<Mutex<[Log; 2]>> = Arc::default();
        let told = Arc::clone(&logs);
        let worker = Worker::start("pings", Some("client"), move |running| {
            let sockets = [echo_socket::open(false)?, echo_socket::open(false)?];
            for socket in &sockets {
                socket.connect((server, 0))?;
                socket.set_nonblocking(true)?;
            }
            let (mut next, mut turn) = (clock::now(), 0);
            while running.goes_on() {
                pace::until(next);
                let mut logs = told.lock().unwrap_or_else(PoisonError::into_inner);
                for (socket, log) in sockets.iter().zip(logs.iter_mut()) {
                    receive(socket, log);
                }
                let [fast, slow] = &sockets;
                send(fast, &mut logs[0]);
                if turn % SLOW == 0 {
                    send(slow, &mut logs[1]);
                }
                turn += 1;
                next = (next + SPACING).max(clock::now());
            }
            Ok(())
        })?;
        Ok(Pings { logs, _worker: worker })
    }

    /// Those sent in a window: a hundred a second, and one a second.
    pub fn counts(&self, window: Window) -> [Count; 2] {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        [0, 1].map(|index| {
            let inside = logs[index].iter().filter(|(at, _)| window.contains(*at));
            let count = |sum: Count, (_, answered): &(Instant, bool)| {
                sum.and(Count { sent: 1, lost: u64::from(!answered) })
            };
            inside.fold(Count::default(), count)
        })
    }
}

fn send(socket: &UdpSocket, log: &mut Log) {
    let number = (log.len() as u16).to_be_bytes();
    // Type, code, checksum and identifier (the kernel's), sequence number, payload.
    let mut message = [0x6b; 56];
    message[..8].copy_from_slice(&[8, 0, 0, 0, 0, 0, number[0], number[1]]);
    log.push((clock::now(), false));
    // What the kernel does not take has no answer.
    let _ = socket.send(&message);
}

fn receive(socket: &UdpSocket, log: &mut Log) {
    let mut bytes = [0; 128];
    // Errors are those that ICMP reports; the next read goes on.
    for _ in 0..64 {
        match socket.recv(&mut bytes) {
            Ok(len) if len >= 8 && bytes[0] == 0 => {
                if let Some(index) = newest(log.len(), u16::from_be_bytes([bytes[6], bytes[7]])) {
                    log[index].1 = true;
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Err(_) => {}
        }
    }
}

/// The newest of `len` messages that has this number in 16 bits.
fn newest(len: usize, number: u16) -> Option<usize> {
    let last = len.checked_sub(1)?;
    last.checked_sub(usize::from((last as u16).wrapping_sub(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round() {
        assert_eq!(newest(0, 0), None);
        assert_eq!(newest(1, 0), Some(0));
        assert_eq!(newest(10, 12), None, "not sent yet");
        assert_eq!(newest(65_540, 3), Some(65_539));
        assert_eq!(newest(65_540, 65_535), Some(65_535));
    }
}
