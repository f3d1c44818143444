//! `koi import`: a file of pfSense or OPNsense, or a backup of Koi, becomes the candidate of the node that runs here, or a
//! document in a file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::running::Running;
use super::{Control, fail, import_report, print_json};
use crate::config::pfsense::{self, Options, Origin, Report, crypt, tree};
use crate::config::{self, Problem, amend, backup};
use crate::io::files;
use crate::io::places::STATE_DIRECTORY;
use crate::types::Prefix;

/// Make a document of a config.xml of pfSense or OPNsense, or restore a node from a backup of koi export
///
/// Where a node runs, its document becomes the candidate: see koi config diff, then koi config apply. With --onto, --out or
/// --state, and where none runs, it becomes a file.
#[derive(Debug, Args)]
pub struct Import {
    /// config.xml, encrypted or not, or a backup of koi export
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What takes the place of a device there: a port of this machine, or a TAP; once for each device
    #[arg(long = "map", value_name = "DEVICE=PORT", value_parser = mapping)]
    maps: Vec<(String, String)>,
    /// Address of an interface that gets it by DHCP there
    #[arg(long = "address", value_name = "IFACE=ADDR/LEN", value_parser = pair::<Prefix>)]
    addresses: Vec<(String, Prefix)>,
    /// Gateway of such an interface
    #[arg(long = "gateway", value_name = "IFACE=ADDR", value_parser = pair::<IpAddr>)]
    gateways: Vec<(String, IpAddr)>,
    /// Document of this machine: its node and ports are taken over
    #[arg(long, value_name = "FILE")]
    onto: Option<PathBuf>,
    /// Name of the node [default: that of this machine or of the backup, else fw]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// File whose first line is the password of an encrypted FILE
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Only tell what would become of it
    #[arg(long)]
    dry_run: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// Where the document goes [default: FILE with the ending .toml]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Backup: where the node's keys go [default: /var/lib/koi/NODE]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    control: Control,
}

fn mapping(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((device, port)) if !device.is_empty() && !port.is_empty() => Ok((device.into(), port.into())),
        Some(_) | None => Err("write the device there and the port here, as in em0=koi-wan".into()),
    }
}

fn pair<T: FromStr>(text: &str) -> Result<(String, T), String> {
    let pair = text.split_once('=').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    pair.ok_or_else(|| "write an interface there and an address here, as in wan=203.0.113.2/24".into())
}

/// Done, or a refusal that has been told.
type Done<T> = Result<T, ExitCode>;

impl Import {
    /// Reads the file and says what became of it.
    pub fn run(self) -> ExitCode {
        self.import().unwrap_or_else(|code| code)
    }

    fn import(self) -> Done<ExitCode> {
        let bytes = read(&self.file)?;
        let password = self.password_file.as_deref().map(password).transpose()?;
        let running = self.running()?;
        if std::str::from_utf8(&bytes).is_ok_and(backup::is_backup) {
            let text = String::from_utf8_lossy(&bytes);
            return match &running {
                Some(running) => self.adopt(&text, password.as_deref(), running),
                None => self.restore(&text, password.as_deref()),
            };
        }
        let (text, latin) = self.open(&bytes, password.as_deref())?;
        if latin {
            eprintln!("koi: {}: not UTF-8, read as ISO 8859-1", self.file.display());
        }
        let tree = tree::parse(&text).map_err(|problem| self.refuse(&problem))?;
        let options = self.options(running.as_ref())?;
        let mut import = pfsense::import(&tree, &options);
        let known = |device: &String| import.report.mapping.iter().any(|mapped| mapped.device == *device);
        if let Some(device) = options.maps.keys().find(|device| !known(device)) {
            return Err(fail(format!("no interface in force is on the device \"{device}\"")));
        }
        if self.dry_run {
            return Ok(self.tell(&import.report));
        }
        if !import.report.is_mapped() {
            import_report::print_mapping(&import.report);
            return Err(fail("say for each device what takes its place: --map DEVICE=PORT"));
        }
        let origin = Origin { options, xml: text };
        if let Some(running) = running {
            return self.propose(import, &origin, &running);
        }
        import.config.revision = self.next_revision();
        let out = self.out();
        self.write(&out, import.config.to_toml().as_bytes())?;
        let beside = origin_path(&out);
        let kept = serde_json::to_vec(&origin).map_err(fail)?;
        self.write(&beside, &kept)?;
        let code = self.tell(&import.report);
        eprintln!("{}: written; {} keeps the rest for an export", out.display(), beside.display());
        match import.report.problems.is_empty() {
            true => Ok(code),
            false => Err(fail(format!("{} is not valid yet: see koi check", out.display()))),
        }
    }

    /// The node that runs here, unless a file is meant.
    fn running(&self) -> Done<Option<Running<'_>>> {
        match self.onto.is_some() || self.out.is_some() || self.state.is_some() {
            true => Ok(None),
            false => Running::find(&self.control),
        }
    }

    /// The document becomes the candidate of the node that runs here.
    fn propose(&self, import: pfsense::Import, origin: &Origin, running: &Running<'_>) -> Done<ExitCode> {
        let beside = origin_path(&running.file);
        let kept = serde_json::to_vec(origin).map_err(fail)?;
        let is_other = std::fs::read(&beside).is_ok_and(|there| there != kept);
        if is_other && !self.force {
            return Err(fail(format!("{} keeps an earlier import; --force replaces it", beside.display())));
        }
        let config = pfsense::settle(import.config, &running.config, &running.node);
        let code = self.tell(&import.report);
        if !self.json {
            println!("\nDifferent from what is in force");
        }
        let proposed = running.propose(amend::rewrite(&running.text, &config), self.json);
        files::write_atomically(&beside, &kept)
            .map_err(|error| fail(format!("{}: {error}", beside.display())))?;
        proposed?;
        eprintln!(
            "it is the candidate: koi config apply puts it in force; {} keeps the rest for an export",
            beside.display()
        );
        Ok(code)
    }

    /// The document of a backup becomes the candidate of the node that runs here, whose keys stay.
    fn adopt(&self, text: &str, password: Option<&str>, running: &Running<'_>) -> Done<ExitCode> {
        let backup = backup::read(text, password).map_err(|problem| self.refuse(&problem))?;
        if self.dry_run {
            println!("node {}: its document would become the candidate; keys stay as they are", backup.node);
            return Ok(ExitCode::SUCCESS);
        }
        running.propose(backup.document, self.json)?;
        eprintln!("it is the candidate: koi config apply puts it in force; this node keeps its own keys");
        Ok(ExitCode::SUCCESS)
    }

    /// The text of the file, decrypted.
    fn open(&self, bytes: &[u8], password: Option<&str>) -> Done<(String, bool)> {
        let (text, latin) = tree::decode(bytes).map_err(|problem| self.refuse(&problem))?;
        if !crypt::is_sealed(&text) {
            return Ok((text, latin));
        }
        let Some(password) = password else {
            return Err(fail(format!(
                "{} is encrypted: give its password with --password-file",
                self.file.display()
            )));
        };
        let plain = crypt::open(&text, password).map_err(|problem| self.refuse(&problem))?;
        tree::decode(&plain).map_err(|problem| self.refuse(&problem))
    }

    fn options(&self, running: Option<&Running<'_>>) -> Done<Options> {
        let mut options = match (&self.onto, running) {
            (Some(path), _) => Options::onto(&*load(path)?, self.node.as_deref()),
            (None, Some(running)) => Options::onto(&running.config, Some(&running.node)),
            (None, None) => Options::default(),
        };
        if let Some(node) = self.node.as_ref().filter(|_| running.is_none()) {
            options.node.clone_from(node);
        }
        options.maps = self.maps.iter().cloned().collect();
        options.addresses.clone_from(&self.addresses);
        options.gateways.clone_from(&self.gateways);
        Ok(options)
    }

    /// What takes the place of a document counts on from it.
    fn next_revision(&self) -> u64 {
        let onto = self.onto.as_deref().and_then(|path| std::fs::read_to_string(path).ok());
        let revision = onto.and_then(|text| config::parse(&text).ok()).map_or(0, |config| config.revision);
        revision.saturating_add(1)
    }

    fn out(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.file.with_extension("toml"))
    }

    fn tell(&self, report: &Report) -> ExitCode {
        match self.json {
            true => print_json(report),
            false => import_report::print(report),
        }
    }

    fn refuse(&self, problem: &Problem) -> ExitCode {
        fail(format!("{}: {problem}", self.file.display()))
    }

    fn write(&self, path: &Path, contents: &[u8]) -> Done<()> {
        if !self.force && path.exists() {
            return Err(fail(format!("{} is there already; --force replaces it", path.display())));
        }
        files::write_atomically(path, contents).map_err(|error| fail(format!("{}: {error}", path.display())))
    }

    /// A node from nothing: its document, its keys, and the file that it came from.
    fn restore(&self, text: &str, password: Option<&str>) -> Done<ExitCode> {
        let backup = backup::read(text, password).map_err(|problem| self.refuse(&problem))?;
        let inside = backup.files().map_err(|problem| self.refuse(&problem))?;
        if let Err(problems) = config::load(&backup.document) {
            super::check::print_problems(&self.file, &problems);
            eprintln!(
                "koi: the document in the backup is not valid in this release; it is restored as it is"
            );
        }
        let node = self.node.as_deref().unwrap_or(&backup.node);
        let state = self.state.clone().unwrap_or_else(|| Path::new(STATE_DIRECTORY).join(node));
        let out = self.out();
        let names: Vec<&str> = inside.iter().map(|(name, _)| name.as_str()).collect();
        println!("node {node}: {}, and in {}: {}", out.display(), state.display(), names.join(", "));
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        // Nothing is written when something would be refused.
        let there =
            inside.iter().map(|(name, _)| state.join(name)).chain([out.clone()]).find(|path| path.exists());
        if let Some(path) = there.filter(|_| !self.force) {
            return Err(fail(format!("{} is there already; --force replaces it", path.display())));
        }
        files::create_private_directory(&state)
            .map_err(|error| fail(format!("{}: {error}", state.display())))?;
        for (name, contents) in &inside {
            self.write(&state.join(name), contents)?;
        }
        if let Some(origin) = &backup.pfsense {
            self.write(&origin_path(&out), &serde_json::to_vec(origin).map_err(fail)?)?;
        }
        self.write(&out, backup.document.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the file that a document came from is kept.
pub(super) fn origin_path(document: &Path) -> PathBuf {
    document.with_extension("origin.json")
}

/// The file that a document came from, when it came from one.
pub(super) fn read_origin(document: &Path) -> Done<Option<Origin>> {
    let path = origin_path(document);
    if !path.exists() {
        return Ok(None);
    }
    let origin = serde_json::from_slice(&read(&path)?);
    origin.map(Some).map_err(|error| fail(format!("{}: {error}", path.display())))
}

pub(super) fn load(path: &Path) -> Done<config::Valid<config::Config>> {
    let text = std::fs::read_to_string(path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    config::load(&text).map_err(|problems| {
        super::check::print_problems(path, &problems);
        ExitCode::FAILURE
    })
}

pub(super) fn read(path: &Path) -> Done<Vec<u8>> {
    let told = |error| fail(format!("{}: {error}", path.display()));
    let length = std::fs::metadata(path).map_err(told)?.len();
    if length > backup::BYTES_LIMIT as u64 {
        return Err(fail(format!("{}: {length} bytes are too many", path.display())));
    }
    std::fs::read(path).map_err(told)
}

/// The first line of a file.
pub(super) fn password(path: &Path) -> Done<String> {
    let text = std::fs::read_to_string(path).map_err(|error| fail(format!("{}: {error}", path.display())))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(fail(format!("{} holds no password", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Command, Koi};
    use super::*;
    use crate::io::clock;
    use crate::io::files::tests::Scratch;
    use crate::types::Duration;

    #[test]
    fn a_mapping_has_two_sides() {
        assert_eq!(mapping("em0=koi-wan"), Ok(("em0".into(), "koi-wan".into())));
        for wrong in ["em0", "=x", "em0="] {
            assert!(mapping(wrong).unwrap_err().contains("em0=koi-wan"), "{wrong}");
        }
    }

    /// `cargo test --release figures -- --ignored --nocapture`: ten thousand rules take less than a second.
    #[test]
    #[ignore = "it measures: for a release build on a quiet machine"]
    fn figures_of_ten_thousand_rules() {
        let scratch = Scratch::new("import-figures");
        let file = scratch.0.join("config.xml");
        std::fs::write(&file, pfsense::tests::many_rules(10_000)).unwrap();
        let (file, out) = (file.to_str().unwrap(), scratch.0.join("out.toml"));
        let words = ["koi", "import", file, "--dry-run", "--json", "--out", out.to_str().unwrap()];
        let Command::Import(import) = Koi::try_parse_from(words).unwrap().command else { panic!() };
        let begin = clock::now();
        assert_eq!(import.run(), ExitCode::SUCCESS);
        let took = clock::now().since(begin);
        eprintln!("10 000 rules: {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    #[test]
    fn what_a_document_came_from_stands_beside_it() {
        assert_eq!(origin_path(Path::new("/etc/koi/fw.toml")), Path::new("/etc/koi/fw.origin.json"));
    }
}
