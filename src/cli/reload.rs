//! `koi reload`

use std::process::ExitCode;

use clap::Args;

use super::{Control, unexpected};
use crate::io::request::{Request, Response};

/// Read the configuration file again.
#[derive(Debug, Args)]
pub struct Reload {
    #[command(flatten)]
    control: Control,
}

impl Reload {
    /// Returns when the new configuration is in force.
    pub fn run(self) -> ExitCode {
        let reloaded = match self.control.ask(&Request::Reload) {
            Ok(Response::Reloaded(reloaded)) => reloaded,
            Ok(_) => return unexpected(),
            Err(code) => return code,
        };
        println!("In force: revision {}, hash {}", reloaded.revision, reloaded.hash);
        for (names, what) in [(reloaded.opened, "opened"), (reloaded.closed, "closed")] {
            if !names.is_empty() {
                println!("Ports {what}: {}", names.join(", "));
            }
        }
        ExitCode::SUCCESS
    }
}
