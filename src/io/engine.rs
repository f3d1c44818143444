//! What runs inside the router process.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::control::{Answer, Answering};
use super::orders::{Apply, PortNote, Report, Start};
use super::privilege::Kept;
use super::reloads::Reloads;
use super::request::{Request, Response, Status};
use super::router::Reporter;

pub struct Engine {
    desk: Arc<Desk>,
}

struct Desk {
    start: Start,
    kept: Kept,
    reporter: Reporter,
    reloads: Arc<Reloads>,
}

impl Engine {
    pub fn start(
        start: Start,
        _descriptors: impl Iterator<Item = OwnedFd>,
        kept: Kept,
        reporter: Reporter,
        reloads: Arc<Reloads>,
    ) -> anyhow::Result<Engine> {
        Ok(Engine { desk: Arc::new(Desk { start, kept, reporter, reloads }) })
    }

    pub fn apply(&mut self, _apply: Apply, _descriptors: Vec<OwnedFd>) -> Result<(), Vec<String>> {
        Ok(())
    }

    pub fn attached(&self, _port: &PortNote, _descriptors: Vec<OwnedFd>) {}

    pub fn not_attached(&self, _name: &str) {}

    pub fn end(self) {}

    pub fn answering(&self) -> Arc<Answering> {
        let desk = Arc::clone(&self.desk);
        Arc::new(move |request| desk.answer(request))
    }
}

impl Desk {
    fn answer(&self, request: Request) -> Answer {
        match request {
            Request::Reload => {
                let (ticket, outcome) = self.reloads.register();
                self.reporter.say(&Report::Reload { ticket });
                let outcome = outcome.recv_timeout(std::time::Duration::from_secs(50));
                Answer::Reply(
                    outcome.unwrap_or_else(|_| Response::Failed("no answer from the parent".into())),
                )
            }
            _ => Answer::Reply(Response::Status(Box::new(Status {
                parent: self.start.parent,
                router: std::process::id(),
                restarts: self.start.restarts,
                privileges: self.kept.clone(),
                ..Status::default()
            }))),
        }
    }
}
