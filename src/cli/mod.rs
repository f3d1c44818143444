//! The command line: each command is one file here, and thin.
//!
//! Invariant: standard output carries only what was asked for; everything else goes to standard error. The exit
//! code is 0 when it was done, 1 when it was not, 2 when the command line makes no sense.

#![expect(clippy::print_stdout, reason = "this is the module that talks to people and scripts")]

mod capture;
mod check;
mod config;
mod config_show;
mod doctor;
mod drill;
mod explain;
mod export;
mod flows;
mod import;
mod import_report;
mod lab;
mod nodes;
mod pair;
mod pairing;
mod ping;
mod release;
mod reload;
mod rotate;
mod run;
mod running;
mod show;
mod show_gateways;
mod show_pair;
mod show_policy;
mod show_time;
mod table;
mod tables;
mod token;
mod update;
mod upgrade;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::appliance::{console, init};
use crate::io::control_client::Client;
use crate::io::log;
use crate::io::request::{PairingWord, Request, Response};
use crate::types::PublicKey;

/// A userspace router and firewall.
#[derive(Debug, Parser)]
#[command(name = "koi", version, arg_required_else_help = true)]
struct Koi {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node until SIGTERM or SIGINT; SIGHUP reloads its configuration
    Run(run::Run),
    /// Read a configuration file and name every problem
    Check(check::Check),
    /// Make a document of a config.xml of pfSense or OPNsense, or restore a node from a backup of koi export
    Import(import::Import),
    /// Write a node as one file that koi import restores, or a document as a config.xml of pfSense
    Export(export::Export),
    /// Show what the running router is doing
    Show(show::Show),
    /// Read the configuration file again; returns when it is in force
    Reload(reload::Reload),
    /// Change the configuration: try a change, confirm it, go back, see what was
    Config(config::Config),
    /// Say what would become of a packet, and which rule or setting decides
    Explain(explain::Explain),
    /// Work on the accounts for the pages
    User(user::User),
    /// Work on the tokens of programs for the API
    Token(token::Token),
    /// Work on the connection table
    Flows(flows::Flows),
    /// Work on the tables of sources that made connections too fast
    Tables(tables::Tables),
    /// Work on the pair: what role this node has
    Pair(pair::Pair),
    /// Sign programs for koi pair upgrade, and see who has signed one
    Release(release::Release),
    /// Ask a station whether it is there, from the router's own address
    Ping(ping::Ping),
    /// Say what this machine and the network around it lack, and whether virtual MAC addresses get through
    Doctor(doctor::Doctor),
    /// Install an image of the appliance in the other slot and start it once; it stays when it is well
    Update(update::Update),
    /// Write the frames of an interface to a pcap file
    Capture(capture::Capture),
    /// Build a network of hosts and a router on this machine, try it, and keep it until Ctrl-C
    Lab(lab::Lab),
    /// The menu of an appliance's console
    Console(Control),
    /// The first process of an appliance; started by its kernel
    #[command(hide = true)]
    Init,
    /// The router process; started by `run`
    #[command(hide = true)]
    Router(Logging),
}

/// Where the router listens.
#[derive(Debug, Args)]
struct Control {
    /// Control socket of the node; the only one in /run/koi when not given
    #[arg(long, global = true, value_name = "SOCKET")]
    control: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Args)]
struct Logging {
    /// How log lines look
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
}

/// See [`log::Format`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl Logging {
    fn format(&self) -> log::Format {
        match self.log_format {
            LogFormat::Text => log::Format::Text,
            LogFormat::Json => log::Format::Json,
        }
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    if init::is_first() {
        return fail(init::run());
    }
    match Koi::parse().command {
        Command::Run(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Import(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Reload(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Flows(command) => command.run(),
        Command::Tables(command) => command.run(),
        Command::Pair(command) => command.run(),
        Command::Release(command) => command.run(),
        Command::Ping(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Update(command) => command.run(),
        Command::Capture(command) => command.run(),
        Command::Lab(command) => command.run(),
        Command::Console(Control { control }) => match console::run(control.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(error),
        },
        Command::Init => fail(init::run()),
        Command::Router(logging) => crate::io::router::run(logging.format(), crate::web::start),
    }
}

/// Says why it was not done.
fn fail(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("koi: {why}");
    ExitCode::FAILURE
}

impl Control {
    /// Asks the router. Refusals have been told to the user already.
    fn ask(&self, request: &Request) -> Result<Response, ExitCode> {
        match self.request(request)? {
            Response::Failed(why) => Err(fail(why)),
            Response::Refused(problems) => {
                problems.iter().for_each(|problem| eprintln!("{problem}"));
                Err(fail("the configuration is refused; the one in force stays"))
            }
            answer => Ok(answer),
        }
    }

    /// Asks the router; refusals are answers, too.
    fn request(&self, request: &Request) -> Result<Response, ExitCode> {
        let answer = Client::connect(self.control.as_deref()).and_then(|client| client.ask(request));
        answer.map_err(fail)
    }

    /// Begins a pairing and listens until it has ended: the peer's name and key, and what it gave.
    fn pairing(
        &self,
        request: &Request,
        mut heard: impl FnMut(&PairingWord),
    ) -> Result<(String, PublicKey, String), ExitCode> {
        let client = Client::connect(self.control.as_deref()).map_err(fail)?;
        let last = client.listen(request, |word| heard(word)).map_err(fail)?;
        match last {
            Response::Failed(why) => Err(fail(why)),
            Response::Pairing(PairingWord::Paired { name, key, text }) => {
                Ok((name, key.parse().map_err(|_| unexpected())?, text))
            }
            _ => Err(unexpected()),
        }
    }
}

/// Prints one JSON document.
fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}

/// The router and this command speak of different things: they are of different versions.
fn unexpected() -> ExitCode {
    fail("the router answers something else than it was asked; is it of another version?")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Koi::command().debug_assert();
    }
}
