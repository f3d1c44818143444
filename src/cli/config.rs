//! `koi config`: the life of a change.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::config_show::{print_answer, print_difference, print_history, print_standing};
use super::export::Export;
use super::import::Import;
use super::{Control, fail, print_json, unexpected};
use crate::config::life::Author;
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Confirmation, Version};
use crate::io::request::{Request, Response};

/// Change the configuration.
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    control: Control,
    /// One JSON document instead of words
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How it stands: what is in force, what waits, what the peer has not seen
    Status,
    /// Print a version; secrets are masked
    Show {
        /// running, candidate, a revision, a label, or conflict:NUMBER
        #[arg(default_value = "running", value_parser = version)]
        version: Version,
        /// With the secrets
        #[arg(long)]
        secrets: bool,
    },
    /// Change one value of the candidate, as in: set rule[1000010].log true
    Set {
        /// Where: sections by name, id or number
        path: String,
        /// A number, true, false, a list, or a text
        value: String,
    },
    /// Edit the candidate with $EDITOR, or take it from a file
    Edit {
        /// The new text; what stands in the editor when not given
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The revision that the file was made from; a file of another one than that in force is refused
        #[arg(long, value_name = "REVISION", requires = "file")]
        base: Option<u64>,
    },
    /// What is different between two versions, in words
    Diff {
        /// Before
        #[arg(default_value = "running", value_parser = version)]
        from: Version,
        /// After
        #[arg(default_value = "candidate", value_parser = version)]
        to: Version,
        /// Line by line instead
        #[arg(long)]
        text: bool,
    },
    /// Put the candidate in force, on both nodes of a pair
    Apply(Apply),
    /// Keep the change that waits to be confirmed
    Confirm,
    /// Take the change that waits to be confirmed back at once
    Rollback,
    /// Throw the candidate away, or one change of it
    Discard {
        /// The change's number in `koi config diff`; all of them when not given
        change: Option<usize>,
    },
    /// The revisions that were in force: when, who, from where, why
    History,
    /// Give a revision a name; a named one is kept for good
    Label {
        /// Its number, or its present name
        revision: String,
        /// The name
        label: String,
    },
    /// Put an earlier revision in force again
    Restore {
        /// A revision, a label, or conflict:NUMBER
        #[arg(value_parser = version)]
        version: Version,
        #[command(flatten)]
        apply: Apply,
    },
    /// Write this node as one file, its document without secrets, or a config.xml of pfSense: as koi export
    Export(Box<Export>),
    /// Make the candidate of a config.xml of pfSense or OPNsense, or of a backup: as koi import
    Import(Box<Import>),
    /// Versions that lost because both nodes were changed while they could not speak
    Conflicts,
}

/// How a version comes into force.
#[derive(Debug, Args)]
struct Apply {
    /// Why, for the history
    #[arg(short = 'm', long, value_name = "WORDS", default_value = "")]
    message: String,
    /// Go back unless confirmed within so many seconds [default: 60 when it touches interfaces, addresses, routes, virtual
    /// IPs or the access to the firewall]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    confirm: Option<u64>,
    /// Keep it without a confirmation
    #[arg(long, conflicts_with = "confirm")]
    no_confirm: bool,
}

fn version(text: &str) -> Result<Version, String> {
    text.parse()
}

/// Who types the command.
pub(super) fn author() -> Author {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    Author { who: user.unwrap_or_else(|| "root".into()), from: "cli".into() }
}

impl Apply {
    fn request(self, version: Version) -> ConfigRequest {
        let Apply { message: why, confirm, no_confirm } = self;
        let confirmation = match (confirm, no_confirm) {
            (Some(seconds), _) => Confirmation::Seconds(seconds),
            (None, true) => Confirmation::Never,
            (None, false) => Confirmation::WhenRisky,
        };
        ConfigRequest::Apply { version, confirmation, why, author: author() }
    }
}

impl Config {
    /// Asks, and prints the answer.
    pub fn run(self) -> ExitCode {
        let Config { what, control, json } = self;
        let what = match what {
            What::Export(export) => return export.run(),
            What::Import(import) => return import.run(),
            other => other,
        };
        let text = matches!(what, What::Diff { text: true, .. });
        let request = match what {
            What::Edit { file, base } => match edit(&control, file, base) {
                Ok(Some(request)) => request,
                Ok(None) => return ExitCode::SUCCESS,
                Err(code) => return code,
            },
            other => other.request(),
        };
        let answer = match ask(&control, request) {
            Ok(answer) => answer,
            Err(code) => return code,
        };
        match answer {
            answer if json => print_json(&answer),
            ConfigAnswer::Standing(standing) => print_standing(&standing),
            ConfigAnswer::History(records) => print_history(&records),
            ConfigAnswer::Difference { text: lines, .. } if text => {
                print!("{lines}");
                ExitCode::SUCCESS
            }
            ConfigAnswer::Difference { rows, problems, .. } => print_difference(&rows, &problems),
            answer @ (ConfigAnswer::Text { .. }
            | ConfigAnswer::Applied { .. }
            | ConfigAnswer::Stale { .. }) => print_answer(answer),
        }
    }
}

impl What {
    fn request(self) -> ConfigRequest {
        match self {
            What::Status => ConfigRequest::Standing,
            What::Show { version, secrets } => ConfigRequest::Show { version, secrets },
            What::Set { path, value } => ConfigRequest::Set { path, value, author: author() },
            // Somebody edits before.
            What::Edit { .. } => ConfigRequest::Standing,
            // They ask on their own.
            What::Export(_) | What::Import(_) => ConfigRequest::Standing,
            What::Diff { from, to, text: _ } => ConfigRequest::Diff { from, to },
            What::Apply(apply) => apply.request(Version::Candidate),
            What::Confirm => ConfigRequest::Confirm,
            What::Rollback => ConfigRequest::Rollback { author: author() },
            What::Discard { change } => ConfigRequest::Discard { change },
            What::History => ConfigRequest::History,
            What::Label { revision, label } => ConfigRequest::Label { revision, label },
            What::Restore { version, apply } => apply.request(version),
            What::Conflicts => ConfigRequest::Conflicts,
        }
    }
}

fn ask(control: &Control, request: ConfigRequest) -> Result<ConfigAnswer, ExitCode> {
    match control.ask(&Request::Config(Box::new(request)))? {
        Response::Config(answer) => Ok(*answer),
        _ => Err(unexpected()),
    }
}

/// The text of a file, or of an editor; `None` when nothing was changed in it.
fn edit(
    control: &Control,
    file: Option<PathBuf>,
    base: Option<u64>,
) -> Result<Option<ConfigRequest>, ExitCode> {
    let show = ConfigRequest::Show { version: Version::Candidate, secrets: true };
    let ConfigAnswer::Text { text: before, base: known } = ask(control, show)? else {
        return Err(unexpected());
    };
    let read = |path: &PathBuf| {
        fs::read_to_string(path).map_err(|error| fail(format!("{}: {error}", path.display())))
    };
    let text = match &file {
        Some(path) => read(path)?,
        None => in_editor(&before)?,
    };
    if file.is_none() && text == before {
        eprintln!("nothing was changed");
        return Ok(None);
    }
    // A file that names another revision was made from another document, whatever that has become.
    let base = match base {
        Some(revision) if revision != known.0 => (revision, String::new()),
        Some(_) | None => known,
    };
    Ok(Some(ConfigRequest::Save { text, base: Some(base), author: author() }))
}

fn in_editor(text: &str) -> Result<String, ExitCode> {
    let path = std::env::temp_dir().join(format!("koi-{}.toml", std::process::id()));
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            std::io::Write::write_all(&mut file, text.as_bytes())
        });
    written.map_err(|error| fail(format!("{}: {error}", path.display())))?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    // The variable may hold options, as in "code --wait".
    let line = format!("{} \"$0\"", editor.unwrap_or_else(|| "vi".into()));
    let edited = std::process::Command::new("sh").arg("-c").arg(line).arg(&path).status();
    let text = fs::read_to_string(&path);
    // The secrets in it must not stay.
    let _ = fs::remove_file(&path);
    match (edited, text) {
        (Ok(status), Ok(text)) if status.success() => Ok(text),
        (Ok(status), Ok(_)) => Err(fail(format!("the editor ended with {status}; nothing has changed"))),
        (Err(error), _) | (_, Err(error)) => Err(fail(format!("the editor: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names() {
        for (text, meant) in [
            ("running", Version::Running),
            ("candidate", Version::Candidate),
            ("12", Version::Revision("12".into())),
            ("before the move", Version::Revision("before the move".into())),
            ("conflict:3", Version::Conflict(3)),
        ] {
            assert_eq!(version(text), Ok(meant));
        }
        assert!(version("conflict:x").is_err());
    }
}
