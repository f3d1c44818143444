//! The router as its parent sees it: a process and a channel.

use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::process::{Command, Stdio};

use super::channel::Channel;
use super::log;
use super::orders::{Order, Report};
use super::privilege::REAL_TIME;
use super::program::Program;
use super::sys_precedence;
use crate::types::Instant;

/// The variable that makes a node speak as an earlier release of the pair's protocols would; for drills.
pub const SPEAKS_VARIABLE: &str = "KOI_PAIR_VERSION";
/// The hidden command of the router.
pub const COMMAND: &str = "router";

/// A router process.
pub struct Child {
    process: std::process::Child,
    /// `None` when nothing sensible can be heard any more.
    channel: Option<Channel>,
    started: Instant,
    /// When it must be ready; `None` once it is.
    deadline: Option<Instant>,
}

/// How a router takes [memory](super::memory).
///
/// The C library in huge pages where the kernel has them: the connection table of a busy router is hundreds of megabytes
/// that are read in no order, and each small page costs a walk through the page tables. What mimalloc has it keeps: memory
/// that is to stay in memory cannot be given back to the kernel, and asking costs a call each time.
const MEMORY: [(&str, &str); 2] =
    [("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"), ("MIMALLOC_PURGE_DELAY", "-1")];

impl Child {
    /// Starts a router, which must be ready at `deadline`. The channel is its standard input.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(
        program: &Program,
        format: log::Format,
        now: Instant,
        deadline: Instant,
    ) -> io::Result<Child> {
        let (channel, theirs) = Channel::pair()?;
        let mut command = Command::new(program.path());
        command.arg(COMMAND).args(["--log-format", format.name()]).env_clear().stdin(Stdio::from(theirs));
        for name in [log::LEVEL_VARIABLE, "RUST_BACKTRACE", SPEAKS_VARIABLE] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        #[cfg(debug_assertions)]
        command
            .envs(std::env::var_os(super::sabotage::VARIABLE).map(|what| (super::sabotage::VARIABLE, what)));
        command.envs(MEMORY);
        let process = command.spawn()?;
        Ok(Child { process, channel: Some(channel), started: now, deadline: Some(deadline) })
    }

    /// Ready to read when the router has something to say.
    pub fn channel_fd(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(Channel::fd)
    }

    /// When it must be ready.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// It has begun to serve.
    pub fn is_ready(&self) -> bool {
        self.deadline.is_none()
    }

    /// It must have ended at `deadline`.
    pub fn must_end(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Gives an order. A router that does not take it is killed.
    pub fn order(&mut self, order: &Order, descriptors: &[BorrowedFd<'_>]) {
        let Some(channel) = &mut self.channel else { return };
        if let Err(error) = channel.send(order, descriptors) {
            tracing::error!(%error, "the router takes no orders");
            // What it said before is still heard.
            let _ = self.process.kill();
        }
    }

    /// Takes a word; `None` when there was none that makes sense. Such a router is killed.
    pub fn report(&mut self) -> Option<Report> {
        match self.channel.as_mut()?.receive() {
            Ok(Some((report, _no_descriptors))) => {
                if let Report::Ready = report {
                    self.deadline = None;
                }
                return Some(report);
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the router makes no sense"),
        }
        self.kill();
        None
    }

    /// A thread of it runs before all ordinary ones from now on.
    ///
    /// # Errors
    /// When it is no thread of the router, or this process may not do that either.
    pub fn let_precede(&self, thread: u32) -> io::Result<()> {
        // The process has not been waited for, so its number is nobody else's.
        fs::metadata(format!("/proc/{}/task/{thread}", self.process.id()))?;
        sys_precedence::make_real_time(thread, REAL_TIME)
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.channel = None;
        self.deadline = None;
        // It has ended already when this fails.
        let _ = self.process.kill();
    }

    /// How it ended and when it had started, when it has ended. Words that it said before are still heard first.
    pub fn ended(&mut self) -> Option<(String, Instant)> {
        if self.channel.is_some() {
            return None;
        }
        let status = self.process.try_wait().ok()??;
        Some((status.to_string(), self.started))
    }
}
