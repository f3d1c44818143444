//! `koi pair`

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::drill::DrillPair;
use super::pairing::{Create, Join, Leave, Replace};
use super::rotate::Rotate;
use super::show_pair::pair_text;
use super::upgrade::UpgradePair;
use super::{Control, unexpected};
use crate::cluster::role;
use crate::io::request::{Request, Response};

/// Work on the pair.
#[derive(Debug, Args)]
pub struct Pair {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make this node the first one of a pair and print the code for the second one
    Create(Create),
    /// Join the pair that shows this code, as its second node
    Join(Join),
    /// Make this node a single one again
    Leave(Leave),
    /// Forget the other node, which is dead, and print a code for new hardware
    Replace(Replace),
    /// Install a release on both nodes, the standby first; stops at the first doubt
    Upgrade(UpgradePair),
    /// Move the role on the running pair, measure what that does, and keep a report
    Drill(DrillPair),
    /// Give both nodes new keys, without an interruption
    Rotate(Rotate),
    /// This node serves only when its peer cannot; survives a restart
    Maintenance {
        /// Whether it does
        state: OnOff,
        #[command(flatten)]
        control: Control,
    },
    /// This node gives the role up and serves no more, whatever happens, until `enable` or a restart
    Disable {
        #[command(flatten)]
        control: Control,
    },
    /// The opposite of `disable`
    Enable {
        #[command(flatten)]
        control: Control,
    },
    /// The active node hands over to its peer without losing a packet, and says when that has happened
    Handover {
        #[command(flatten)]
        control: Control,
    },
    /// The active node gives the role up at once, even if that costs packets
    Resign {
        #[command(flatten)]
        control: Control,
    },
    /// The standby node takes the role from its peer, without losing a packet where that is possible
    Takeover {
        #[command(flatten)]
        control: Control,
    },
    /// The active node tells the standby all states anew; returns when both are proven to have the same
    Resync {
        #[command(flatten)]
        control: Control,
    },
}

/// A switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum OnOff {
    /// From now on
    On,
    /// No longer
    Off,
}

impl Pair {
    /// Asks, and shows what came of it.
    pub fn run(self) -> ExitCode {
        let (request, control) = match self.what {
            What::Create(command) => return command.run(),
            What::Join(command) => return command.run(),
            What::Leave(command) => return command.run(),
            What::Replace(command) => return command.run(),
            What::Upgrade(command) => return command.run(),
            What::Rotate(command) => return command.run(),
            What::Drill(command) => return command.run(),
            What::Maintenance { state, control } => {
                (Request::Role(role::Request::Maintenance(state == OnOff::On)), control)
            }
            What::Disable { control } => (Request::Role(role::Request::Disable(true)), control),
            What::Enable { control } => (Request::Role(role::Request::Disable(false)), control),
            What::Handover { control } => (Request::Role(role::Request::HandOver), control),
            What::Resign { control } => (Request::Role(role::Request::Resign), control),
            What::Takeover { control } => (Request::Role(role::Request::TakeOver), control),
            What::Resync { control } => (Request::Resync, control),
        };
        match control.ask(&request) {
            Ok(Response::Pair(pair)) => {
                print!("{}", pair_text(&pair));
                ExitCode::SUCCESS
            }
            Ok(_) => unexpected(),
            Err(code) => code,
        }
    }
}
