//! `koi explain`

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::check::print_problems;
use super::flows::protocol_number;
use super::{Control, fail, print_json, unexpected};
use crate::config::{self, Conditions};
use crate::io::clock;
use crate::io::request::{Request, Response};
use crate::node::{self, Asked, Compiled, Explanation, Offload};

/// Say what would become of the first packet of a flow, and which rule or setting decides.
#[derive(Debug, Args)]
pub struct Explain {
    /// The packet of this record of the firewall log: see koi show log
    #[arg(long, value_name = "ID", conflicts_with_all = ["interface", "src", "dst", "config"])]
    log: Option<u64>,
    /// Interface by which it comes in; "self" for the router's own
    #[arg(long = "in", value_name = "INTERFACE", required_unless_present = "log")]
    interface: Option<String>,
    /// Source address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "log")]
    src: Option<IpAddr>,
    /// Destination address
    #[arg(long, value_name = "ADDRESS", required_unless_present = "log")]
    dst: Option<IpAddr>,
    /// Protocol: tcp, udp, icmp (an echo request) or a number
    #[arg(long, value_name = "NAME", value_parser = protocol_number, default_value = "tcp")]
    proto: u8,
    /// Source port
    #[arg(long, value_name = "NUMBER", default_value_t = 40_000)]
    sport: u16,
    /// Destination port
    #[arg(long, value_name = "NUMBER", default_value_t = 443)]
    dport: u16,
    /// Code point
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    dscp: u8,
    /// Under this document, instead of the configuration in force
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The node of that document
    #[arg(long, value_name = "NAME", requires = "config")]
    node: Option<String>,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: Control,
}

impl Explain {
    /// Asks and prints.
    pub fn run(self) -> ExitCode {
        let Explain { log, interface, src, dst, proto, sport, dport, dscp, config, node, json, control } =
            self;
        let asked = interface.zip(src).zip(dst).map(|((interface, src), dst)| Asked {
            interface,
            src,
            sport,
            dst,
            dport,
            protocol: proto,
            dscp,
        });
        let request = match (log, asked) {
            (Some(id), _) => Request::ExplainLog { id },
            (None, Some(asked)) => Request::Explain(asked),
            (None, None) => return fail("name a packet, or a record of the firewall log"),
        };
        let explanation = match (config, request) {
            (Some(file), Request::Explain(asked)) => under(&file, node.as_deref(), &asked),
            (_, request) => match control.ask(&request) {
                Ok(Response::Explained(explanation)) => Ok(*explanation),
                Ok(_) => Err(unexpected()),
                Err(code) => Err(code),
            },
        };
        match explanation {
            Ok(explanation) if json => print_json(&explanation),
            Ok(explanation) => {
                print!("{}", text(&explanation));
                ExitCode::SUCCESS
            }
            Err(code) => code,
        }
    }
}

/// The answer that a document would give.
fn under(file: &Path, node: Option<&str>, asked: &Asked) -> Result<Explanation, ExitCode> {
    let text = std::fs::read_to_string(file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
    let valid = config::load(&text).map_err(|problems| {
        print_problems(file, &problems);
        ExitCode::FAILURE
    })?;
    let node = valid.node(node).map_err(fail)?;
    let ports = valid.node_part(node).ports.len();
    let conditions = Arc::new(Conditions::at(&valid, clock::wall()));
    let compiled = Compiled::under(Arc::new(valid), node, 0, vec![Offload::NONE; ports], conditions);
    let question = asked.question(&compiled).map_err(fail)?;
    Ok(node::explain(&compiled, &[], &question))
}

/// A line for the answer, and one for each decision.
fn text(explanation: &Explanation) -> String {
    let Explanation { verdict, reason, leaves, steps } = explanation;
    let mut text = match (leaves, reason) {
        (Some(leaves), _) if leaves.interface == "self" => {
            format!(
                "{verdict}: for this firewall itself, as {} port {}\n",
                leaves.destination, leaves.destination_port
            )
        }
        (Some(leaves), _) => format!(
            "{verdict}: leaves by {} from {} to {} port {}\n",
            leaves.interface, leaves.source, leaves.destination, leaves.destination_port
        ),
        (None, Some(reason)) => format!("{verdict} ({reason})\n"),
        (None, None) => format!("{verdict}\n"),
    };
    for step in steps {
        let who = match (step.rule, &step.setting) {
            (Some(rule), Some(setting)) => format!("rule {rule} ({setting})"),
            (Some(rule), None) => format!("rule {rule}"),
            (None, Some(setting)) => setting.clone(),
            (None, None) => String::new(),
        };
        text += &format!("  {:<12} {:<32} {}\n", step.what, who, step.text);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_asked_and_the_answer_names_who_decides() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/dmz.toml"));
        let asked = |interface: &str, dst: &str, dport: u16| {
            let src = if interface == "lan" { "192.168.1.5" } else { "10.20.0.5" };
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let interface = interface.into();
            text(
                &under(file, None, &Asked { interface, src, sport: 1, dst, dport, protocol: 6, dscp: 0 })
                    .unwrap(),
            )
        };
        let out = asked("lan", "192.0.2.1", 443);
        assert!(out.starts_with("pass: leaves by wan from 198.51.100.2 to 192.0.2.1 port 443\n"), "{out}");
        for part in ["rule 1000000 ", "gateway.default", "outbound.mode", "rule 20002 (default policy)"] {
            assert!(out.contains(part), "{part}: {out}");
        }
        let blocked = asked("dmz", "192.168.1.5", 22);
        assert!(blocked.starts_with("block (blocked-in)\n"), "{blocked}");
        assert!(blocked.contains("rule 1000010 "), "{blocked}");
        assert!(
            asked("lan", "192.168.1.1", 443).starts_with("pass: for this firewall itself"),
            "anti-lockout"
        );
    }
}
