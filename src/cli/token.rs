//! `koi token`: what programs show to the API instead of a password.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::config::author;
use super::table::{Table, seconds};
use super::{Control, print_json, unexpected};
use crate::cluster::tokens::{Scope, TokenRow};
use crate::io::clock;
use crate::io::request::{Request, Response};
use crate::io::token_request::{TokenAnswer, TokenRequest};

/// Work on the tokens of programs for the API.
#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    control: Control,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token and print it, once: only its hash is kept
    Create(Create),
    /// Show the tokens that there are, and when they were used
    List {
        /// One JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// End a token at once, on both nodes of a pair
    Revoke {
        /// As "koi token list" prints it
        id: String,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// What it is for, in words
    #[arg(long)]
    name: String,
    /// What it may do, as far as its user may: read looks, operate also acts on what runs, configure also changes the configuration
    #[arg(long, value_name = "read|operate|configure", value_parser = str::parse::<Scope>)]
    scope: Scope,
    /// How long it is good for, as in 30d, 12h or 90m; at most 366d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = lifetime)]
    expires: u64,
    /// Whose it is; the only administrator's when not given
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

impl Token {
    /// Asks, and shows what came of it.
    pub fn run(self) -> ExitCode {
        let Token { what, control } = self;
        let done = match what {
            What::Create(create) => create.run(&control),
            What::List { json } => list(&control, json),
            What::Revoke { id } => revoke(&control, id),
        };
        done.unwrap_or_else(|code| code)
    }
}

impl Create {
    fn run(self, control: &Control) -> Result<ExitCode, ExitCode> {
        let Create { name, scope, expires: lifetime, user, json } = self;
        let request = TokenRequest::Create { name, scope, lifetime, user, author: author() };
        let TokenAnswer::Made { token, row, shared } = ask(control, request)? else {
            return Err(unexpected());
        };
        if json {
            return Ok(print_json(&serde_json::json!({ "token": token, "row": row, "shared": shared })));
        }
        println!("{token}");
        let TokenRow { id, user, scope, .. } = row;
        eprintln!(
            "Token {id} of {user} may {scope} for {}. It is not shown again. {}",
            seconds(lifetime),
            sharing(shared)
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn list(control: &Control, json: bool) -> Result<ExitCode, ExitCode> {
    let TokenAnswer::Rows(rows) = ask(control, TokenRequest::List)? else { return Err(unexpected()) };
    if json {
        return Ok(print_json(&rows));
    }
    print!("{}", text(&rows, clock::wall_seconds()));
    Ok(ExitCode::SUCCESS)
}

fn revoke(control: &Control, id: String) -> Result<ExitCode, ExitCode> {
    let answer = ask(control, TokenRequest::Revoke { id, author: author() })?;
    let TokenAnswer::Revoked { row, shared } = answer else { return Err(unexpected()) };
    eprintln!(
        "Token {} ({}) of {} is good for nothing any more. {}",
        row.id,
        row.name,
        row.user,
        sharing(shared)
    );
    Ok(ExitCode::SUCCESS)
}

fn ask(control: &Control, request: TokenRequest) -> Result<TokenAnswer, ExitCode> {
    match control.ask(&Request::Tokens(request))? {
        Response::Tokens(answer) => Ok(*answer),
        _ => Err(unexpected()),
    }
}

fn sharing(shared: Option<bool>) -> &'static str {
    match shared {
        None => "",
        Some(true) => "The peer knows.",
        Some(false) => "The peer is told as soon as it can be.",
    }
}

fn text(rows: &[TokenRow], now: u64) -> String {
    let mut table = Table::new(&["id", "name", "user", "scope", "state", "expires in", "last used"]);
    for row in rows {
        let TokenRow { id, name, user, scope, state, made_at: _, made_by: _, expires_at, used_at } = row;
        let left = if state == "active" { seconds(expires_at.saturating_sub(now)) } else { "-".into() };
        let used = used_at.map_or("never".into(), |at| format!("{} ago", seconds(now.saturating_sub(at))));
        let scope = scope.to_string();
        table.row([id.clone(), name.clone(), user.clone(), scope, state.clone(), left, used]);
    }
    table.text()
}

/// `30d`, `12h`, `90m` or `45s`, in seconds.
fn lifetime(text: &str) -> Result<u64, String> {
    let wrong = || "write a number and d, h, m or s, as in 30d".to_owned();
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_units() {
        for (text, length) in [("30d", 2_592_000), ("12h", 43_200), ("90m", 5400), ("60s", 60)] {
            assert_eq!(lifetime(text), Ok(length));
        }
        for wrong in
            ["", "d", "30", "30 d", "-1d", "1w", "1é", "99999999999999999999d", "999999999999999999d"]
        {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
