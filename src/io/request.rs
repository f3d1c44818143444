//! What can be asked over the control socket, and what comes back: one line of JSON each way.
//!
//! After [`Response::Capturing`] follow chunks of a pcap file: length (u32, little endian) and bytes; a chunk of
//! length zero ends them, and a last line is [`Response::Captured`].

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::config_request::{ConfigAnswer, ConfigRequest};
pub use super::flow_filter::FlowFilter;
use super::inquiry::{Finding, Inquiry};
use super::keys::KeyStep;
use super::log_ring::Line;
use super::power::PowerStep;
use super::privilege::Kept;
use super::program::{ProgramNote, ReleaseStep};
use super::token_request::{TokenAnswer, TokenRequest};
use super::upgrade::Progress;
use crate::cluster::role;
use crate::config::pairing::Newcomer;
use crate::node::snapshot::{DropRow, FlowRow, Snapshot, StatesRow};
use crate::node::{Asked, Explanation, PairSnapshot, Policy};
use crate::services::ServicesRow;
use crate::services::log::LogRow;
use crate::services::time::ClockRow;

/// A question or an order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How the router is.
    Status,
    /// Everything but the flows.
    Snapshot,
    /// Flows, at most `limit`.
    Flows {
        /// Which.
        filter: FlowFilter,
        /// How many at most.
        limit: u32,
        /// Those behind the flow of this number; from the first one on when absent.
        #[serde(default)]
        after: Option<u64>,
    },
    /// Ends flows.
    Kill {
        /// Which.
        filter: FlowFilter,
    },
    /// Takes every source out of an overload table, or out of all.
    EmptyTable {
        /// Its name.
        table: Option<String>,
    },
    /// Forgets a neighbour, which is asked for anew when somebody needs it; answered by [`Response::Done`].
    Forget {
        /// Name of the interface.
        interface: String,
        /// Its address.
        address: IpAddr,
    },
    /// The recent drops.
    Drops,
    /// How many flows there are of a kind.
    Count {
        /// Which.
        filter: FlowFilter,
    },
    /// Rules with their counters, aliases, translations.
    Policy,
    /// The last lines that this router has said, or that its peer's said, at most `limit`.
    SystemLog {
        /// Of the peer's, as far as they have come here.
        peer: bool,
        /// How many at most.
        limit: u32,
    },
    /// Records of the firewall log, at most `limit`, the latest ones.
    Log {
        /// Those with a higher number.
        after: u64,
        /// How many at most.
        limit: u32,
    },
    /// What would become now of the packet of a record; answered like [`Request::Explain`].
    ExplainLog {
        /// The record.
        id: u64,
    },
    /// The clock, names, and servers of the log.
    Services,
    /// What would become of a packet.
    Explain(Asked),
    /// Something that is asked of the network; answered by [`Response::Found`].
    Inquire(Inquiry),
    /// The router or the machine begins anew or ends; answered by [`Response::Done`].
    Power(PowerStep),
    /// Reads the configuration file again; the answer comes when it is in force.
    Reload,
    /// The life of the configuration.
    Config(Box<ConfigRequest>),
    /// The tokens of programs.
    Tokens(TokenRequest),
    /// The pair, seen from this node.
    Pair,
    /// Something is to be done with a release; answered by [`Response::Done`].
    Release(ReleaseStep),
    /// The release that waits in this node's state directory is given to the peer, which tries it; answered by
    /// [`Response::Done`].
    Install,
    /// Both nodes are upgraded to the release that the pages have taken; answered by [`Response::Done`] when that has begun.
    Upgrade,
    /// How the upgrade goes that was asked for on this node; answered by [`Response::Upgrading`].
    Upgrading,
    /// A step of a renewal of the keys; answered by [`Response::Key`].
    Keys(KeyStep),
    /// The router process ends at once, without a word, as if it had died; nobody answers.
    Crash,
    /// The peer is asked that.
    Peer(Box<Request>),
    /// What the pages of one node say to those of the other; answered by [`Response::Pages`].
    Pages(String),
    /// What this node's role shall be; answered like [`Request::Pair`].
    Role(role::Request),
    /// Tells the standby all states anew; answered like [`Request::Pair`] when both are proven to have the same.
    Resync,
    /// Lets another node join: [`Response::Pairing`], line by line, until it has or cannot any more. Whoever closes the
    /// connection before withdraws the code.
    Offer,
    /// Joins another node; answered like [`Request::Offer`].
    Join {
        /// The code that the other node shows.
        code: String,
        /// What this node brings.
        newcomer: Box<Newcomer>,
    },
    /// Frames that cross an interface.
    Capture {
        /// Name of the interface.
        interface: String,
        /// In the language of [`crate::wire::filter`].
        filter: String,
        /// Ends after so many frames.
        count: Option<u64>,
    },
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// To [`Request::Flows`].
    Flows {
        /// The flows.
        rows: Vec<FlowRow>,
        /// All flows in the table, whether they match or not.
        total: u64,
        /// There are more that match.
        more: bool,
    },
    /// To [`Request::Kill`].
    Killed {
        /// How many flows ended.
        count: u64,
    },
    /// To [`Request::EmptyTable`].
    Emptied {
        /// How many sources got out.
        count: u64,
    },
    /// To [`Request::Count`].
    Counted {
        /// How many.
        count: u64,
    },
    /// To [`Request::Policy`].
    Policy(Box<Policy>),
    /// To [`Request::Log`], the latest last.
    Log(Vec<LogRow>),
    /// To [`Request::SystemLog`], the latest last.
    SystemLog(Vec<Line>),
    /// To [`Request::Services`].
    Services(Box<ServicesRow>),
    /// To [`Request::Explain`].
    Explained(Box<Explanation>),
    /// To [`Request::Inquire`].
    Found(Box<Finding>),
    /// To [`Request::Drops`], the latest last.
    Drops(Vec<DropRow>),
    /// To [`Request::Pages`].
    Pages(String),
    /// It was done.
    Done,
    /// To [`Request::Upgrading`].
    Upgrading(Box<Progress>),
    /// To [`Request::Keys`]: the key that the step is about.
    Key(String),
    /// To [`Request::Pair`], [`Request::Role`] and [`Request::Resync`].
    Pair(Box<PairSnapshot>),
    /// To [`Request::Offer`] and [`Request::Join`].
    Pairing(PairingWord),
    /// To [`Request::Reload`]: the new policy is in force.
    Reloaded(Reloaded),
    /// To [`Request::Config`].
    Config(Box<ConfigAnswer>),
    /// To [`Request::Tokens`].
    Tokens(Box<TokenAnswer>),
    /// To [`Request::Capture`]: chunks follow.
    Capturing,
    /// The capture has ended.
    Captured {
        /// Frames written.
        frames: u64,
        /// Frames lost because they came faster than they could be written.
        missed: u64,
    },
    /// The new configuration is wrong and changes nothing: every problem.
    Refused(Vec<String>),
    /// It cannot be done.
    Failed(String),
}

/// What happens in a pairing; the last one ends it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairingWord {
    /// Whoever types this code may join.
    Offered {
        /// The code.
        code: String,
    },
    /// Somebody has typed a wrong one.
    WrongCode {
        /// Tries that are left.
        left: u8,
    },
    /// Both nodes know each other.
    Paired {
        /// Name of the other one.
        name: String,
        /// Its key.
        key: String,
        /// The shared document as TOML, or the newcomer as JSON.
        text: String,
    },
}

/// What is in force after a reload.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// Revision of the document.
    pub revision: u64,
    /// Its canonical hash.
    pub hash: String,
    /// Names of the ports that were opened.
    pub opened: Vec<String>,
    /// Names of the ports that were closed.
    pub closed: Vec<String>,
}

/// How the router is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Name of the firewall.
    pub hostname: String,
    /// Name of this node.
    pub node: String,
    /// Seconds since the router process started.
    pub uptime_seconds: u64,
    /// What time it is, and whether that is sure.
    #[serde(default)]
    pub clock: Option<Box<ClockRow>>,
    /// Revision of the configuration in force.
    pub revision: u64,
    /// Its canonical hash.
    pub config_hash: String,
    /// Process id of the privileged parent.
    pub parent: u32,
    /// Process id of the router.
    pub router: u32,
    /// How often the router has died and was started again.
    pub restarts: u64,
    /// Ports with a link, and all ports.
    pub ports_up: [usize; 2],
    /// The connection table in numbers.
    pub states: StatesRow,
    /// What the router process still may do.
    pub privileges: Kept,
    /// The node's key for the pair: what its peer's document pins.
    pub public_key: String,
    /// The configuration file.
    pub config_file: String,
    /// The state directory.
    pub state: String,
    /// The pair, seen from this node; absent when the role thread does not answer.
    pub pair: Option<Box<PairSnapshot>>,
    /// The program that the router runs, as its release is called.
    #[serde(default)]
    pub program: ProgramNote,
    /// Where the status page is served for this machine only.
    pub loopback: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_people_would_write_them() {
        for (request, text) in [
            (Request::Status, r#""status""#),
            (Request::Reload, r#""reload""#),
            (
                Request::Kill {
                    filter: FlowFilter {
                        src: Some("10.0.0.0/8".parse().unwrap()),
                        port: Some(53),
                        ..Default::default()
                    },
                },
                r#"{"kill":{"filter":{"src":"10.0.0.0/8","dst":null,"port":53,"protocol":null,"id":null,"address":null,"rule":null,"gateway":null,"interface":null,"state":null}}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
        let short: Request = serde_json::from_str(r#"{"flows":{"filter":{},"limit":5}}"#).unwrap();
        assert_eq!(short, Request::Flows { filter: FlowFilter::default(), limit: 5, after: None });
    }
}
