//! `koi update`: an image of the appliance goes into the other slot.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Control, fail};
use crate::appliance::init::{self, Wish};
use crate::appliance::update::{self, Failure, Standing};
use crate::cluster::release::Trust;
use crate::cluster::role;
use crate::config;
use crate::io::request::{Request, Response};
use crate::types::{ReleaseVersion, Role};

/// Install an image of the appliance in the other slot and start it once; it stays when it is well
#[derive(Debug, Args)]
pub struct Update {
    /// The signed image [default: koi.update.signed on a disk called KOISEED]
    file: Option<PathBuf>,
    /// Say what is in the slots
    #[arg(long, conflicts_with = "file")]
    status: bool,
    /// Do not start the machine anew; the image is tried at the next start
    #[arg(long)]
    no_restart: bool,
    #[command(flatten)]
    control: Control,
}

impl Update {
    /// Does it.
    pub fn run(self) -> ExitCode {
        let Update { file, status, no_restart, control } = self;
        if status {
            return match update::standing() {
                Ok(standing) => tell(&standing),
                Err(error) => fail(error),
            };
        }
        let trust = match trust(&control) {
            Ok(trust) => trust,
            Err(code) => return code,
        };
        let installed = update::read(file.as_deref()).and_then(|bytes| {
            let version = update::version(&bytes, &trust)?;
            standby_first(&control, version).map_err(Failure::Refused)?;
            update::install(&bytes, &trust)
        });
        let (slot, version) = match installed {
            Ok(installed) => installed,
            Err(failure) => return fail(failure),
        };
        println!("Version {version} is in slot {slot} and is tried at the next start.");
        if no_restart {
            return ExitCode::SUCCESS;
        }
        if let Err(why) = step_aside(&control) {
            return fail(format!(
                "no handover: {why}. The machine does not start anew now; {version} is tried when it does"
            ));
        }
        println!(
            "The machine starts anew. If {version} is not well, the release before comes back by itself."
        );
        init::ask(Wish::Restart).map_or_else(fail, |()| ExitCode::SUCCESS)
    }
}

/// As the document in force says.
fn trust(control: &Control) -> Result<Trust, ExitCode> {
    let Response::Status(status) = control.ask(&Request::Status)? else { return Err(super::unexpected()) };
    let text = std::fs::read_to_string(&status.config_file)
        .map_err(|error| fail(format!("{}: {error}", status.config_file)))?;
    let config = config::load(&text).map_err(|_| fail("the document in force cannot be read"))?;
    let floor = crate::io::program::own_version();
    // Whoever wants an older one says so with version_floor, or installs the disk anew.
    let trust = Trust::of(&config.system);
    Ok(if config.system.version_floor.is_none() { trust.at_least(floor) } else { trust })
}

/// The name of the peer, when this node is the active one of a pair and the peer lives: it is to take over.
fn successor(control: &Control) -> Option<String> {
    let Ok(Response::Pair(pair)) = control.request(&Request::Pair) else { return None };
    let lives = pair.peer.as_ref().is_some_and(|peer| peer.alive);
    let active = pair.paired && pair.role == Role::Active.name();
    (active && lives).then(|| pair.peer_name.clone().unwrap_or_default())
}

/// In a pair the standby tries a version first: whatever becomes of it, the active node has served all the time.
fn standby_first(control: &Control, version: ReleaseVersion) -> Result<(), String> {
    let Some(name) = successor(control) else { return Ok(()) };
    let Ok(Response::Status(peer)) = control.request(&Request::Peer(Box::new(Request::Status))) else {
        return Err(format!("this node serves, and {name} does not say what it runs; try again"));
    };
    match peer.program.version >= version {
        true => Ok(()),
        false => Err(format!(
            "this node serves, and {name} runs {}: update {name} first, or hand over to it (koi pair handover)",
            peer.program.version
        )),
    }
}

/// In a pair the active node gives the role away first; a standby is not missed.
fn step_aside(control: &Control) -> Result<(), String> {
    let Some(name) = successor(control) else { return Ok(()) };
    match control.request(&Request::Role(role::Request::HandOver)) {
        Ok(Response::Pair(_)) => {
            println!("{name} has the role now.");
            Ok(())
        }
        Ok(Response::Failed(why)) => Err(why),
        Ok(_) | Err(_) => Err("the router does not answer".into()),
    }
}

fn tell(standing: &Standing) -> ExitCode {
    let Standing { running, on_trial, good, trying, versions } = standing;
    for (name, version) in ["A", "B"].iter().zip(versions) {
        let mut marks = Vec::new();
        if running.is_some_and(|slot| slot.name() == *name) {
            marks.push(if *on_trial { "runs, on trial" } else { "runs" });
        }
        if good.name() == *name {
            marks.push("is known to be well");
        }
        if trying.is_some_and(|slot| slot.name() == *name) && !*on_trial {
            marks.push("is tried at the next start");
        }
        println!("slot {name}: {}  {}", version.as_deref().unwrap_or("empty"), marks.join(", "));
    }
    ExitCode::SUCCESS
}
