//! `koi run`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Logging, fail};
use crate::io::log;
use crate::io::parent::{self, Failure, Options};

/// Run a node.
#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which node of the configuration this is; not needed when there is only one
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// State directory: certificate, password [default: /var/lib/koi/NODE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Control socket [default: /run/koi/NODE.sock]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    #[command(flatten)]
    logging: Logging,
}

impl Run {
    /// Runs until the end of the node.
    pub fn run(self) -> ExitCode {
        let log_format = self.logging.format();
        log::start(log_format);
        let Run { config, node, state, control, logging: _ } = self;
        let options = Options { config, node, state, control, log_format };
        match parent::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Config(problems)) => {
                super::check::print_problems(&options.config, &problems);
                ExitCode::FAILURE
            }
            Err(Failure::Other(error)) => fail(format!("{error:#}")),
        }
    }
}
