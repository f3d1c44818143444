//! `koi user`: accounts for the pages.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{Control, fail, unexpected};
use crate::config::model::UserRole;
use crate::config::{self, Problem, amend};
use crate::io::request::{Request, Response};
use crate::io::{files, terminal};
use crate::web::{acceptable_password, hash_password, role_name};

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
        let text =
            std::fs::read_to_string(&file).map_err(|error| fail(format!("{}: {error}", file.display())))?;
        let password = password(&name, stdin)?;
        acceptable_password(&name, &password).map_err(fail)?;
        let hash = hash_password(&password).map_err(|error| fail(format!("{error:#}")))?;
        let changed = with_password(&text, &name, role.map(Into::into), hash).map_err(|problems| {
            super::check::print_problems(&file, &problems);
            fail("nothing has been changed")
        })?;
        files::write_atomically(&file, changed.as_bytes())
            .map_err(|error| fail(format!("{}: {error}", file.display())))?;
        if runs && !matches!(control.ask(&Request::Reload)?, Response::Reloaded(_)) {
            return Err(unexpected());
        }
        eprintln!("{name} has a new password{}.", if runs { "" } else { "; it counts when the node starts" });
        Ok(ExitCode::SUCCESS)
    }
}

/// The text with this password, its comments included. A user who was disabled stays so.
///
/// # Errors
/// Every problem of the text, before or after.
fn with_password(
    text: &str,
    name: &str,
    role: Option<UserRole>,
    hash: String,
) -> Result<String, Vec<Problem>> {
    let document = config::load(text)?;
    let wrong = |why: String| vec![Problem::new("user", why, "Correct the file.")];
    let changed = if document.users.iter().any(|user| user.name == name) {
        let with = |text: &str, field: &str, value: &str| {
            amend::set(text, &format!("user[{name}].{field}"), &format!("\"{value}\"")).map_err(wrong)
        };
        let text = with(text, "password_hash", &hash)?;
        role.map_or_else(|| Ok(text.clone()), |role| with(&text, "role", role_name(role)))?
    } else {
        let role = role_name(role.unwrap_or(UserRole::Administrator));
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let name = toml::Value::String(name.into());
        format!("{text}{end}\n[[user]]\nname = {name}\nrole = \"{role}\"\npassword_hash = \"{hash}\"\n")
    };
    config::load(&changed).map(|_| changed)
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
    fn a_password_makes_a_user_or_changes_one_and_comments_stay() {
        let text = include_str!("../../configs/single.toml");
        let hash =
            |letter: &str| format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0${}", letter.repeat(43));
        let users = |text: &str| config::load(text).unwrap().users.clone();
        let made = with_password(text, "ada", None, hash("A")).unwrap();
        assert!(made.starts_with(text));
        assert_eq!((users(&made).len(), users(&made)[0].role), (1, UserRole::Administrator));
        let changed = with_password(&made, "ada", None, hash("B")).unwrap();
        assert_eq!((users(&changed).len(), users(&changed)[0].password_hash.reveal()), (1, &*hash("B")));
        let more = with_password(&changed, "otto", Some(UserRole::ReadOnly), hash("C")).unwrap();
        assert_eq!((users(&more).len(), users(&more)[1].role), (2, UserRole::ReadOnly));
        let more = with_password(&more, "otto", Some(UserRole::Operator), hash("D")).unwrap();
        assert_eq!(
            (users(&more)[1].role, users(&more)[0].password_hash.reveal()),
            (UserRole::Operator, &*hash("B"))
        );
        assert!(more.starts_with(text));
        let problems = with_password(&more, "ada", Some(UserRole::Operator), hash("E")).unwrap_err();
        assert!(problems[0].message.contains("Nobody could administer"), "{problems:?}");
        assert!(with_password(text, "not a name", None, hash("A")).is_err());
    }
}
