//! All that runs while something happens.

use std::time::Duration;

use anyhow::Context;

use super::background::Background;
use super::bulk::Bulk;
use super::machine::Machine;
use super::ping::Pings;
use super::questions::Questions;
use super::sessions::Sessions;
use super::stream::Streams;
use super::watch::Watch;
use crate::lab::network::Network;
use crate::types::Instant;

/// What is remembered of the time before the present trial.
const MEMORY: Duration = Duration::from_secs(5);

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// TCP sessions.
    pub sessions: usize,
    /// UDP flows in the background.
    pub flows: usize,
    /// Messages a second in each direction of the client's stream: a multiple of a thousand.
    pub rate: usize,
}

/// The traffic; it ends with this value.
pub struct Traffic {
    /// A thousand messages a second or more, both ways.
    pub streams: Streams,
    /// TCP sessions.
    pub sessions: Sessions,
    /// A long transfer.
    pub bulk: Bulk,
    /// Pings.
    pub pings: Pings,
    /// What else goes through.
    pub background: Background,
    /// What comes out of the nodes.
    pub watch: Watch,
    /// Whether the machine was there.
    pub machine: Machine,
    _questions: Questions,
}

impl Traffic {
    /// Starts everything.
    ///
    /// # Errors
    /// When something does not get through even now.
    pub fn start(network: &Network, watch: Watch, load: Load) -> anyhow::Result<Traffic> {
        Ok(Traffic {
            streams: Streams::start(network, load.rate).context("the UDP streams")?,
            pings: Pings::start(network).context("the pings")?,
            bulk: Bulk::start(network).context("the bulk transfer")?,
            sessions: Sessions::start(network, load.sessions).context("the TCP sessions")?,
            background: Background::start(network, load.flows).context("the background flows")?,
            watch,
            machine: Machine::start().context("the watch over the processors")?,
            _questions: Questions::start(network).context("the questions")?,
        })
    }

    /// Forgets what was long before this instant.
    pub fn forget_before(&self, at: Instant) {
        self.streams.forget_before(at - MEMORY);
        self.watch.forget_before(at - MEMORY);
        self.machine.forget_before(at - MEMORY);
    }
}
