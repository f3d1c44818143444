//! `koi flows`

use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Control, unexpected};
use crate::io::request::{FlowFilter, Request, Response};
use crate::types::Prefix;
use crate::wire::protocol;

/// Work on the connection table.
#[derive(Debug, Args)]
pub struct Flows {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// End flows, and print how many
    Kill(Kill),
}

/// The options of [`Which`].
const WHICH: [&str; 10] =
    ["src", "dst", "port", "proto", "id", "address", "rule", "gateway", "interface", "state"];

/// End flows. A flow must match all that is given.
#[derive(Debug, Args)]
struct Kill {
    #[command(flatten)]
    which: Which,
    /// Every flow
    #[arg(long, conflicts_with_all = WHICH, required_unless_present_any = WHICH)]
    all: bool,
    /// Only say how many would end
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    control: Control,
}

/// Which flows.
#[derive(Clone, Debug, Default, Args)]
pub struct Which {
    /// Source address or network, before translation
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    src: Option<Prefix>,
    /// Destination address or network, before translation
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    dst: Option<Prefix>,
    /// Source or destination port
    #[arg(long, value_name = "NUMBER")]
    port: Option<u16>,
    /// Protocol: tcp, udp, icmp, icmp6 or a number
    #[arg(long, value_name = "NAME", value_parser = protocol_number)]
    proto: Option<u8>,
    /// Number of the flow, as "koi show flows" prints it
    #[arg(long, value_name = "NUMBER")]
    id: Option<u64>,
    /// Any of the flow's addresses, before or after translation
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    address: Option<Prefix>,
    /// Number of the rule that let it in or out
    #[arg(long, value_name = "NUMBER")]
    rule: Option<u32>,
    /// Name of the gateway that it goes by, or its answers
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Either interface
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// How far it has come: opening, established or closing
    #[arg(long, value_name = "WORD")]
    state: Option<String>,
}

impl Which {
    /// As the router is asked.
    pub fn filter(&self) -> FlowFilter {
        let Which { src, dst, port, proto, id, address, rule, gateway, interface, state } = self.clone();
        FlowFilter { src, dst, port, protocol: proto, id, address, rule, gateway, interface, state }
    }
}

impl Flows {
    /// Prints how many flows have ended.
    pub fn run(self) -> ExitCode {
        let Command::Kill(kill) = self.command;
        let filter = kill.which.filter();
        let request = if kill.preview { Request::Count { filter } } else { Request::Kill { filter } };
        match kill.control.ask(&request) {
            Ok(Response::Counted { count }) => {
                println!("{count} {} would end", if count == 1 { "flow" } else { "flows" });
                ExitCode::SUCCESS
            }
            Ok(Response::Killed { count }) => {
                println!("{count} {} ended", if count == 1 { "flow" } else { "flows" });
                ExitCode::SUCCESS
            }
            Ok(_) => unexpected(),
            Err(code) => code,
        }
    }
}

pub(super) fn network(text: &str) -> Result<Prefix, String> {
    let address = || text.parse::<IpAddr>().map(Prefix::from);
    text.parse::<Prefix>().or_else(|_| address()).map_err(|_| "not an address or a network".to_owned())
}

pub(super) fn protocol_number(text: &str) -> Result<u8, String> {
    match text {
        "tcp" => Ok(protocol::TCP),
        "udp" => Ok(protocol::UDP),
        "icmp" => Ok(protocol::ICMP),
        "icmp6" => Ok(protocol::ICMPV6),
        number => number.parse().map_err(|_| "write tcp, udp, icmp, icmp6 or a number up to 255".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        kill: Kill,
    }

    #[test]
    fn all_flows_are_ended_only_when_that_is_said() {
        let parse = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.kill.which.filter());
        assert!(parse("kill").is_err());
        assert!(parse("kill --all --port 5").is_err());
        assert_eq!(parse("kill --all").ok(), Some(FlowFilter::default()));
        let filter = parse("kill --src 10.0.0.0/8 --dst 2001:db8::1 --proto udp --port 53 --id 7").ok();
        let expected = FlowFilter {
            src: Some("10.0.0.0/8".parse().unwrap()),
            dst: Some("2001:db8::1/128".parse().unwrap()),
            port: Some(53),
            protocol: Some(17),
            id: Some(7),
            ..FlowFilter::default()
        };
        assert_eq!(filter, Some(expected));
        let by_gateway = FlowFilter { gateway: Some("WANGW".into()), ..FlowFilter::default() };
        assert_eq!(parse("kill --gateway WANGW").ok(), Some(by_gateway));
        assert!(parse("kill --proto ftp").is_err() && parse("kill --src example.org").is_err());
    }
}
