//! `koi tables`

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Control, unexpected};
use crate::io::request::{Request, Response};

/// Work on the tables of sources that made connections too fast.
#[derive(Debug, Args)]
pub struct Tables {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take every source out of an overload table, and print how many
    Empty(Empty),
}

#[derive(Debug, Args)]
struct Empty {
    /// Its name, as a rule's overload says it
    #[arg(value_name = "TABLE", conflicts_with = "all", required_unless_present = "all")]
    table: Option<String>,
    /// Every table
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    control: Control,
}

impl Tables {
    /// Prints how many sources got out.
    pub fn run(self) -> ExitCode {
        let Command::Empty(Empty { table, all: _, control }) = self.command;
        match control.ask(&Request::EmptyTable { table }) {
            Ok(Response::Emptied { count }) => {
                println!("{count} {} taken out", if count == 1 { "source" } else { "sources" });
                ExitCode::SUCCESS
            }
            Ok(_) => unexpected(),
            Err(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        empty: Empty,
    }

    #[test]
    fn all_tables_are_emptied_only_when_that_is_said() {
        let parse = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.empty.table);
        assert!(parse("empty").is_err());
        assert!(parse("empty virusprot --all").is_err());
        assert_eq!(parse("empty --all").ok(), Some(None));
        assert_eq!(parse("empty virusprot").ok(), Some(Some("virusprot".into())));
    }
}
