//! Somebody who looks at the router once a second, in a thread of his own, because an answer may take long.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::health::Look;
use crate::io::control_client::Client;
use crate::io::request::{Request, Response};
use crate::io::{clock, machine};

/// How often.
const EACH: Duration = Duration::from_secs(1);
/// What was seen and not taken yet.
const SEEN: usize = 8;

/// What he has seen.
#[derive(Debug)]
pub struct Looks {
    seen: Receiver<Look>,
    bell: io::PipeReader,
}

impl Looks {
    /// He begins.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn begin() -> io::Result<Looks> {
        let (bell, mut rope) = machine::pipe()?;
        let (sender, seen) = sync_channel(SEEN);
        let looking = move || {
            while sender.send(look()).is_ok() && rope.write_all(b".").is_ok() {
                clock::pause(EACH);
            }
        };
        std::thread::Builder::new().name("look".into()).spawn(looking)?;
        Ok(Looks { seen, bell })
    }

    /// Ready to read when there is something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// What he has seen since.
    pub fn take(&mut self) -> Vec<Look> {
        let mut bells = [0; 64];
        let _ = self.bell.read(&mut bells);
        self.seen.try_iter().collect()
    }
}

fn look() -> Look {
    let answer = Client::connect(None).and_then(|client| client.ask(&Request::Status));
    match answer {
        Ok(Response::Status(status)) => Look { answers: true, restarts: status.restarts },
        Ok(_) | Err(_) => Look { answers: false, restarts: 0 },
    }
}
