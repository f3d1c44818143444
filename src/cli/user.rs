//! `koi user`: accounts for the pages.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{Control, fail, unexpected};
use crate::config::model::{Secret, User as Account, UserRole};
use crate::config::{self, Config};
use crate::io::request::{Request, Response};
use crate::io::{files, terminal};
use crate::web::{acceptable_password, hash_password};

/// The longest password that is read.
const LONGEST: u64 = 1024;

/// Work on the accounts for the pages.
#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Set the password of a user; a user who does not exist yet is made
    Password(Password),
}

/// Set the password of a user.
#[derive(Debug, Args)]
struct Password {
    /// Name of the user
    name: String,
    /// What the user may do [default for a new one: administrator]
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Option<Role>,
    /// Read the password from standard input
    #[arg(long)]
    stdin: bool,
    /// Configuration file of a node that does not run
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    control: Control,
}

/// See [`UserRole`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Changes everything
    Administrator,
    /// Changes interfaces, routes, rules and translation
    Operator,
    /// Looks
    ReadOnly,
}

impl From<Role> for UserRole {
    fn from(role: Role) -> UserRole {
        match role {
            Role::Administrator => UserRole::Administrator,
            Role::Operator => UserRole::Operator,
            Role::ReadOnly => UserRole::ReadOnly,
        }
    }
}

impl User {
    /// Does it.
    pub fn run(self) -> ExitCode {
        match self.what {
            What::Password(command) => command.run().unwrap_or_else(|code| code),
        }
    }
}

impl Password {
    fn run(self) -> Result<ExitCode, ExitCode> {
        let Password { name, role, stdin, config, control } = self;
        let runs = config.is_none();
        let file = match config {
            Some(file) => file,
            None => match control.ask(&Request::Status)? {
                Response::Status(status) => PathBuf::from(status.config_file),
                _ => return Err(unexpected()),
            },
        };
        let document = super::check::read(&file)?;
        let password = password(&name, stdin)?;
        acceptable_password(&name, &password).map_err(fail)?;
        let hash = hash_password(&password).map_err(|error| fail(format!("{error:#}")))?;
        let changed = with_password(&document, &name, role.map(Into::into), hash);
        let changed = config::validate(changed).map_err(|problems| {
            super::check::print_problems(&file, &problems);
            fail("nothing has been changed")
        })?;
        write(&file, &changed)?;
        if runs && !matches!(control.ask(&Request::Reload)?, Response::Reloaded(_)) {
            return Err(unexpected());
        }
        eprintln!("{name} has a new password{}.", if runs { "" } else { "; it counts when the node starts" });
        Ok(ExitCode::SUCCESS)
    }
}

fn write(file: &Path, document: &Config) -> Result<(), ExitCode> {
    let written = files::write_atomically(file, document.to_toml().as_bytes());
    written.map_err(|error| fail(format!("{}: {error}", file.display())))
}

/// The document with this password. A user who was disabled stays so.
fn with_password(document: &Config, name: &str, role: Option<UserRole>, hash: String) -> Config {
    let mut changed = document.clone();
    let password_hash = Secret::new(hash);
    match changed.users.iter_mut().find(|user| user.name == name) {
        Some(user) => {
            user.password_hash = password_hash;
            user.role = role.unwrap_or(user.role);
        }
        None => changed.users.push(Account {
            name: name.into(),
            role: role.unwrap_or(UserRole::Administrator),
            password_hash,
            disabled: false,
            description: String::new(),
        }),
    }
    changed
}

/// Twice from the terminal, or once from standard input.
fn password(name: &str, stdin: bool) -> Result<String, ExitCode> {
    if stdin {
        let mut text = String::new();
        io::stdin().take(LONGEST).read_to_string(&mut text).map_err(fail)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let first = terminal::read_hidden(&format!("New password of {name}: ")).map_err(fail)?;
    let second = terminal::read_hidden("Once more: ").map_err(fail)?;
    if first == second { Ok(first) } else { Err(fail("the two are not the same")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_makes_a_user_or_changes_one() {
        let document = config::parse(include_str!("../../configs/single.toml")).unwrap();
        let made = with_password(&document, "ada", None, "one".into());
        assert_eq!((made.users.len(), made.users[0].role), (1, UserRole::Administrator));
        let changed = with_password(&made, "ada", None, "two".into());
        assert_eq!((changed.users.len(), changed.users[0].password_hash.reveal()), (1, "two"));
        let changed = with_password(&changed, "ada", Some(UserRole::Operator), "two".into());
        assert_eq!(changed.users[0].role, UserRole::Operator);
        let more = with_password(&changed, "otto", Some(UserRole::ReadOnly), "x".into());
        assert_eq!((more.users.len(), more.users[1].role), (2, UserRole::ReadOnly));
    }
}
