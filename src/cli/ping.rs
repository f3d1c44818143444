//! `koi ping`

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Control, unexpected};
use crate::io::clock;
use crate::io::request::{Request, Response};

/// Between two requests.
const SPACING: Duration = Duration::from_secs(1);

/// Ask a station whether it is there, from the router's own address
#[derive(Debug, Args)]
pub struct Ping {
    /// The station
    target: IpAddr,
    /// So many requests
    #[arg(long, short, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    count: u32,
    #[command(flatten)]
    control: Control,
}

impl Ping {
    /// Asks; succeeds when the last request was answered.
    pub fn run(self) -> ExitCode {
        let Ping { target, count, control } = self;
        let mut answered = 0;
        let mut last = false;
        for number in 1..=count {
            let time = match control.ask(&Request::Ping { target }) {
                Ok(Response::Pinged(time)) => time,
                Ok(_) => return unexpected(),
                Err(code) => return code,
            };
            last = time.is_some();
            answered += u32::from(last);
            match time {
                Some(time) => println!("{target} answers: {number}, {time:.2} ms"),
                None => println!("{target} does not answer: {number}"),
            }
            if number < count && last {
                clock::pause(SPACING);
            }
        }
        println!("{answered} of {count} answered.");
        if last { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
