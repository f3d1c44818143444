//! `koi ping`

use std::process::ExitCode;

use clap::Args;

use super::{Control, unexpected};
use crate::io::inquiry::{ECHOES, Finding, Inquiry};
use crate::io::request::{Request, Response};

/// Ask a station whether it is there, from the router's own address
#[derive(Debug, Args)]
pub struct Ping {
    /// Its address or name
    host: String,
    /// So many requests
    #[arg(long, short, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(ECHOES)), value_name = "N")]
    count: u8,
    #[command(flatten)]
    control: Control,
}

impl Ping {
    /// Asks; succeeds when it was answered at least once.
    pub fn run(self) -> ExitCode {
        let Ping { host, count, control } = self;
        let inquiry = Inquiry::Ping { host: host.clone(), source: None, count };
        let Finding { address, source: _, rows } = match control.ask(&Request::Inquire(inquiry)) {
            Ok(Response::Found(finding)) => *finding,
            Ok(_) => return unexpected(),
            Err(code) => return code,
        };
        let name = address.map_or(host, |address| address.to_string());
        for row in &rows {
            match row.millis {
                Some(millis) => println!("{name} answers: {}, {millis:.2} ms", row.number),
                None => println!("{name} does not answer: {} ({})", row.number, row.outcome),
            }
        }
        let answered = rows.iter().filter(|row| row.millis.is_some()).count();
        println!("{answered} of {} answered.", rows.len());
        if answered > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
