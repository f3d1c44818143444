//! `koi lab`

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::lab::checks::Outcome;
use crate::lab::{self, Options};

/// The network of the story on this machine.
#[derive(Debug, Args)]
pub struct Lab {
    /// End after the checks: 0 when all hold, 1 otherwise
    #[arg(long)]
    once: bool,
    /// One JSON object on standard output; the report goes to standard error
    #[arg(long)]
    json: bool,
}

impl Lab {
    /// Runs it.
    pub fn run(self) -> ExitCode {
        let Lab { once, json } = self;
        let mut out: Box<dyn Write> = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        let mut told = |outcomes: &[Outcome]| {
            if json {
                let ok = outcomes.iter().all(|outcome| outcome.ok);
                println!("{}", serde_json::json!({ "checks": outcomes, "ok": ok }));
            }
        };
        match lab::run(Options { once }, &mut out, &mut told) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                told(&[Outcome::of("lab", Err(anyhow::anyhow!("{error:#}")))]);
                fail(format!("{error:#}"))
            }
        }
    }
}
