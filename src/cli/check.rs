//! `koi check`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::config::defaults::SCHEMA;
use crate::config::migrate::{Migrated, migrate};
use crate::config::{self, Config, Problem, Valid};
use crate::rules;

/// Read a configuration file and name every problem.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Check {
    /// Prints one line when all is well, and one for each problem otherwise.
    pub fn run(self) -> ExitCode {
        let file = self.file;
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => return fail(format!("{}: {error}", file.display())),
        };
        if let Some(Migrated { from, changes, text: _ }) = migrate(&text) {
            let said =
                if changes.is_empty() { "nothing stands elsewhere".into() } else { changes.join("; ") };
            eprintln!("{}: of schema version {from}, read as version {SCHEMA}: {said}", file.display());
        }
        match config::load(&text) {
            Ok(config) => {
                println!("{}: OK, revision {}, hash {}", file.display(), config.revision, config.hash());
                print_oddities(&file, &config);
                ExitCode::SUCCESS
            }
            Err(problems) => {
                print_problems(&file, &problems);
                ExitCode::FAILURE
            }
        }
    }
}

/// What is no mistake, but perhaps not what was meant: on standard error, so that the answer stays one line. Both nodes
/// of a pair have the same rules, so the first one will do.
fn print_oddities(file: &Path, config: &Valid<Config>) {
    let node = config.nodes.first().and_then(|node| config.node(Some(&node.name)).ok());
    for finding in node.map(|node| rules::lint(config, node)).unwrap_or_default() {
        eprintln!("{}: look at {finding}", file.display());
    }
}

/// `FILE: line 3, column 8: path: what and what to do.`
pub fn print_problems(file: &Path, problems: &[Problem]) {
    for problem in problems {
        eprintln!("{}: {problem}", file.display());
    }
    let count = problems.len();
    eprintln!("{}: {count} {}", file.display(), if count == 1 { "problem" } else { "problems" });
}
