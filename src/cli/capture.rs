//! `koi capture`

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Control, fail, unexpected};
use crate::io::control_client::Client;
use crate::io::request::{Request, Response};
use crate::wire::filter::Filter;

/// Write the frames of an interface to a pcap file.
///
/// FILTER is a small part of tcpdump's language: host A, net N, port N, tcp, udp, icmp, icmp6, arp, ip, ip6, and,
/// or, not, parentheses.
#[derive(Debug, Args)]
pub struct Capture {
    /// Name of the interface
    interface: String,
    /// Which frames
    filter: Vec<String>,
    /// The pcap file; - for standard output
    #[arg(short, value_name = "FILE")]
    write: PathBuf,
    /// End after so many frames
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    #[command(flatten)]
    control: Control,
}

impl Capture {
    /// Runs until the count is reached, or until an interrupt.
    pub fn run(self) -> ExitCode {
        let Capture { interface, filter, write, count, control } = self;
        let filter = filter.join(" ");
        // A mistake is told before a file is made.
        if let Err(error) = filter.parse::<Filter>() {
            return fail(error);
        }
        let client = match Client::connect(control.control.as_deref()) {
            Ok(client) => client,
            Err(error) => return fail(error),
        };
        let request = Request::Capture { interface, filter, count };
        let last = output(&write)
            .map_err(|error| format!("{}: {error}", write.display()))
            .and_then(|mut out| client.capture(&request, &mut out).map_err(|error| error.to_string()));
        match last {
            Ok(Response::Captured { frames, missed }) => {
                eprintln!("{frames} frames captured, {missed} missed");
                ExitCode::SUCCESS
            }
            Ok(Response::Failed(why)) => fail(why),
            Ok(_) => unexpected(),
            Err(error) => fail(error),
        }
    }
}

fn output(path: &Path) -> io::Result<Box<dyn Write>> {
    if path == Path::new("-") { Ok(Box::new(io::stdout())) } else { Ok(Box::new(File::create(path)?)) }
}
