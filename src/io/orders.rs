//! The words between parent and router. Descriptors travel beside them, in the order that each word names.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config_request::ConfigRequest;
use super::log_ring::Line;
use super::power::PowerStep;
use super::privilege::Account;
use super::program::{ProgramNote, ReleaseStep};
use super::request::{Reloaded, Response};
use crate::config::model::Driver;

/// From the parent to the router.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// The first one. Descriptors: control socket; loopback listener when there is one; link sockets; ports.
    Start(Box<Start>),
    /// A new configuration. Descriptors: loopback listener when it is new; link sockets that are new; ports that
    /// are new.
    Apply(Box<Apply>),
    /// The configuration file is wrong and changes nothing.
    Refuse {
        /// Who asked.
        ticket: u64,
        /// Every problem.
        problems: Vec<String>,
    },
    /// A device that was gone is open again. Descriptor: the port.
    Attached {
        /// The port.
        port: PortNote,
    },
    /// A device that was gone cannot be opened (yet).
    NotAttached {
        /// Name of the port.
        name: String,
    },
    /// The answer to [`Report::Config`], or of a reload that became a change of the pair.
    Answer {
        /// Who asked.
        ticket: u64,
        /// What to say.
        response: Box<Response>,
    },
    /// For the peer, about the configuration.
    Tell {
        /// In base 64.
        message: String,
    },
    /// What came of [`Report::Release`].
    Released {
        /// Who asked.
        ticket: u64,
        /// Why it was not done.
        problem: Option<String>,
    },
    /// End, cleanly.
    End,
}

/// Everything that a router needs to begin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// The document; the parent has found it valid.
    pub config: String,
    /// The file that it comes from, which only the parent reads.
    pub file: PathBuf,
    /// Which node of it this is.
    pub node: String,
    /// The state directory.
    pub state: PathBuf,
    /// Whom to become.
    pub account: Option<Account>,
    /// The user that may ask over the control socket, besides root.
    pub owner: u32,
    /// Process id of the parent.
    pub parent: u32,
    /// Starts before this one.
    pub restarts: u64,
    /// The program that it runs.
    #[serde(default)]
    pub program: ProgramNote,
    /// What the parent has said since the router before was started.
    #[serde(default)]
    pub said: Vec<Line>,
    /// A listener on a loopback address of the machine is among the descriptors.
    pub loopback: bool,
    /// Network namespaces of the link sockets, as ports name them.
    pub links: Vec<Option<String>>,
    /// The ports, in the order of the configuration.
    pub ports: Vec<PortNote>,
}

/// A new configuration.
#[derive(Debug, Serialize, Deserialize)]
pub struct Apply {
    /// Who asked.
    pub ticket: u64,
    /// The document; the parent has found it valid.
    pub config: String,
    /// The listener on a loopback address of the machine.
    pub loopback: Change,
    /// Network namespaces of the link sockets that are new.
    pub links: Vec<Option<String>>,
    /// The ports, in the order of the new configuration; those that were there keep their descriptor.
    pub ports: Vec<PortNote>,
    /// What was opened and closed.
    pub reloaded: Reloaded,
}

/// What becomes of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// It stays.
    Kept,
    /// It comes with this message.
    New,
    /// It is no longer wanted.
    Gone,
}

/// A port that the parent has opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PortNote {
    /// Name in the configuration.
    pub name: String,
    /// How frames are read and written.
    pub driver: Driver,
    /// Name of the device.
    pub device: String,
    /// Its number in its namespace.
    pub index: Option<u32>,
    /// Its namespace, as the configuration names it.
    pub netns: Option<String>,
    /// Whether the descriptor comes with this message. [`Change::Gone`]: the device is gone at present.
    pub descriptor: Change,
}

/// From the router to the parent.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// Packets are being forwarded.
    Ready,
    /// It cannot begin and the process ends; or a thread of one that runs has panicked.
    Failed(String),
    /// Somebody asks for a reload.
    Reload {
        /// Who.
        ticket: u64,
    },
    /// Somebody asks about the configuration.
    Config {
        /// Who.
        ticket: u64,
        /// What.
        request: Box<ConfigRequest>,
    },
    /// Whether the peer can be spoken to, and the pair's epoch.
    Peer {
        /// It can.
        present: bool,
        /// The epoch.
        epoch: u32,
    },
    /// The peer has said something about the configuration.
    Heard {
        /// In base 64.
        message: String,
    },
    /// Somebody asks for something to be done with a release.
    Release {
        /// Who.
        ticket: u64,
        /// What.
        step: ReleaseStep,
    },
    /// Somebody wants the pair upgraded to the release that the pages have taken.
    Upgrade {
        /// Who.
        ticket: u64,
    },
    /// Somebody wants the router or the machine to begin anew or to end.
    Power {
        /// Who.
        ticket: u64,
        /// What.
        step: PowerStep,
    },
    /// The new configuration is in force.
    Applied {
        /// Who asked.
        ticket: u64,
    },
    /// The new configuration could not be applied; the old one is in force.
    NotApplied {
        /// Who asked.
        ticket: u64,
        /// Why.
        problems: Vec<String>,
    },
    /// A device is gone. The parent makes a TAP of its own again.
    Gone {
        /// Name of the port.
        name: String,
    },
    /// The role thread may not go before all ordinary ones by itself; the parent may let it.
    Precede {
        /// Its number.
        thread: u32,
    },
    /// A device that was gone is there again; the parent shall open it.
    Back {
        /// Name of the port.
        name: String,
    },
    /// Frames that tell the peer, should the router die without a word in the present epoch. They replace earlier ones.
    Resignation {
        /// By name of the port; sealed, so that nobody else can say it, and good for once.
        frames: Vec<(String, Vec<u8>)>,
    },
}
