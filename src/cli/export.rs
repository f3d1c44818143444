//! `koi export`: a node as one file, or a document as a file of pfSense.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::import::{load, password, read, read_origin};
use super::running::Running;
use super::{Control, fail};
use crate::config::backup::{Backup, RANDOM_BYTES};
use crate::config::pfsense::{self, crypt};
use crate::config::{self, Config, Valid};
use crate::io::places::STATE_DIRECTORY;
use crate::io::{entropy, files};

/// Write a node as one file that koi import restores, or a document as a config.xml of pfSense
#[derive(Debug, Args)]
pub struct Export {
    /// Configuration file of the node [default: that of the node that runs here]
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// The document alone, without passwords, hashes and comments
    #[arg(long, conflicts_with_all = ["pfsense", "password_file"])]
    for_support: bool,
    /// A config.xml that pfSense can restore
    #[arg(long)]
    pfsense: bool,
    /// With --pfsense: without what the imported file had beside the document
    #[arg(long, requires = "pfsense")]
    without_origin: bool,
    /// Which node of the configuration this is; not needed when there is only one
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// State directory of the node, with its keys [default: /var/lib/koi/NODE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// File whose first line is a password: what is written is encrypted with it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where it goes, with mode 0600 [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    control: Control,
}

/// What is written, and where it is from.
struct Subject {
    file: PathBuf,
    text: String,
    config: Valid<Config>,
    node: Option<String>,
    state: Option<PathBuf>,
}

type Done<T> = Result<T, ExitCode>;

impl Export {
    /// Writes the file.
    pub fn run(self) -> ExitCode {
        self.export().unwrap_or_else(|code| code)
    }

    fn export(self) -> Done<ExitCode> {
        let subject = self.subject()?;
        let password = self.password_file.as_deref().map(password).transpose()?;
        let text = match (self.pfsense, self.for_support) {
            (true, _) => self.to_pfsense(&subject, password.as_deref())?,
            (false, true) => subject.config.to_support_text(),
            (false, false) => self.whole(subject, password.as_deref())?,
        };
        match &self.out {
            Some(out) => {
                files::write_atomically(out, text.as_bytes())
                    .map_err(|error| fail(format!("{}: {error}", out.display())))?;
            }
            None => print!("{text}"),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn subject(&self) -> Done<Subject> {
        let (node, state) = (self.node.clone(), self.state.clone());
        if let Some(file) = self.config.clone() {
            let (config, text) = (load(&file)?, String::from_utf8(read(&file)?).map_err(fail)?);
            return Ok(Subject { file, text, config, node, state });
        }
        let Some(running) = Running::find(&self.control)? else {
            return Err(fail("no node runs here: name the configuration file"));
        };
        let config = config::load(&running.text).map_err(|problems| {
            super::check::print_problems(&running.file, &problems);
            ExitCode::FAILURE
        })?;
        Ok(Subject {
            file: running.file,
            text: running.text,
            config,
            node: node.or(Some(running.node)),
            state: state.or(Some(running.state)),
        })
    }

    fn to_pfsense(&self, subject: &Subject, password: Option<&str>) -> Done<String> {
        let origin = if self.without_origin { None } else { read_origin(&subject.file)? };
        let export =
            pfsense::export(&subject.config, origin.as_ref(), subject.node.as_deref()).map_err(fail)?;
        for finding in &export.not_possible {
            let names: Vec<&str> = finding.places.iter().map(|place| place.name.as_str()).collect();
            eprintln!(
                "koi: not possible: {} {}: {} ({})",
                finding.count,
                finding.what,
                finding.how,
                names.join(", ")
            );
        }
        let Some(password) = password else { return Ok(export.xml) };
        let mut salt = [0; 8];
        entropy::fill(&mut salt).map_err(fail)?;
        Ok(crypt::seal(&export.xml, password, salt))
    }

    fn whole(&self, subject: Subject, password: Option<&str>) -> Done<String> {
        let Subject { file, text, config, node, state } = subject;
        let index = config.node(node.as_deref()).map_err(fail)?;
        let node = config.node_part(index).name.clone();
        let state = state.unwrap_or_else(|| Path::new(STATE_DIRECTORY).join(&node));
        let backup = Backup::new(node, text, kept(&state)?.into_iter(), read_origin(&file)?);
        let Some(password) = password else {
            eprintln!("koi: the backup holds keys and passwords in clear; --password-file encrypts it");
            return Ok(backup.to_text());
        };
        let mut random = [0; RANDOM_BYTES];
        entropy::fill(&mut random).map_err(fail)?;
        Ok(backup.seal(password, random))
    }
}

/// The files of the state directory. A node that never ran has none.
fn kept(state: &Path) -> Done<Vec<(String, Vec<u8>)>> {
    if !state.exists() {
        eprintln!("koi: {} is not there: the backup holds no keys", state.display());
    }
    files::small_ones(state).map_err(|error| fail(format!("{}: {error}", state.display())))
}
