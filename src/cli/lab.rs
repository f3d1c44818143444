//! `koi lab`

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::fail;
use crate::lab::checks::Outcome;
use crate::lab::drill::{Drill, Load, Plan};
use crate::lab::{self, News, Options, Play};

/// The network of the story on this machine.
#[derive(Debug, Args)]
pub struct Lab {
    /// End after the checks: 0 when all hold, 1 otherwise
    #[arg(long, conflicts_with = "drill")]
    once: bool,
    /// Serve at once, without the checks and the story before
    #[arg(long, conflicts_with_all = ["once", "drill", "json"])]
    serve: bool,
    /// One JSON object on standard output; the report goes to standard error
    #[arg(long)]
    json: bool,
    /// The nodes' document; its ports are TAPs in the namespaces of the lab's switches. Not given: the example's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do something to a node while traffic goes through, and measure: names of drills with commas between them, or
    /// "all". 0 when all promises hold
    #[arg(long, value_name = "NAMES")]
    drill: Option<String>,
    /// This node speaks as the release before would
    #[arg(long, value_name = "NODE", requires = "drill")]
    old: Option<String>,
    /// How often each drill is tried
    #[arg(long, value_name = "N", default_value_t = 1, requires = "drill")]
    trials: usize,
    /// TCP sessions meanwhile
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "drill")]
    sessions: usize,
    /// UDP flows in the background
    #[arg(long, value_name = "N", default_value_t = 10_000, requires = "drill")]
    flows: usize,
    /// Messages a second in each direction of the client's stream
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "drill", value_parser = rate)]
    rate: usize,
}

fn rate(text: &str) -> Result<usize, String> {
    let rate = text.parse().ok().filter(|rate| (1000..=20_000).contains(rate) && rate % 1000 == 0);
    rate.ok_or_else(|| "write a multiple of 1000, at most 20000".to_owned())
}

impl Lab {
    /// Runs it.
    pub fn run(self) -> ExitCode {
        let Lab { once, serve, json, config, drill, old, trials, sessions, flows, rate } = self;
        let play = match drill.as_deref().map(drills).transpose() {
            Ok(Some(drills)) => Play::Drills(Plan { drills, trials, load: Load { sessions, flows, rate } }),
            Ok(None) if serve => Play::Serve,
            Ok(None) if once => Play::Once,
            Ok(None) => Play::Story,
            Err(why) => {
                fail(why);
                return ExitCode::from(2);
            }
        };
        let document = match config.map(fs::read_to_string).transpose() {
            Ok(document) => document,
            Err(error) => return fail(format!("the lab's document: {error}")),
        };
        let mut out: Box<dyn Write> = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        let mut told = |news: News<'_>| {
            if json {
                print(news);
            }
        };
        let drilled = matches!(play, Play::Drills(_));
        match lab::run(Options { play, document, old }, &mut out, &mut told) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                if !drilled {
                    told(News::Checks(&[Outcome::of("lab", Err(anyhow::anyhow!("{error:#}")))]));
                }
                fail(format!("{error:#}"))
            }
        }
    }
}

/// The drills of these names.
fn drills(names: &str) -> Result<Vec<Drill>, String> {
    match names {
        "all" => Ok(Drill::ALL.to_vec()),
        names => names.split(',').map(str::parse).collect(),
    }
}

/// One line for the checks, and one for each drill.
fn print(news: News<'_>) {
    match news {
        News::Checks(outcomes) => {
            let ok = outcomes.iter().all(|outcome| outcome.ok);
            println!("{}", serde_json::json!({ "checks": outcomes, "ok": ok }));
        }
        News::Drills(summaries) => {
            for summary in summaries {
                println!("{}", serde_json::json!(summary));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_are_found_by_name() {
        assert_eq!(drills("power-off"), Ok(vec![Drill::PowerOff]));
        assert_eq!(drills("all").unwrap().len(), Drill::ALL.len());
        assert_eq!(drills("crash,split"), Ok(vec![Drill::Crash, Drill::Split]));
        assert!(drills("everything").unwrap_err().contains("there is no drill"));
    }
}
