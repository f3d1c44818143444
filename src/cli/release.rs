//! `koi release`: keys and signatures of programs.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use super::{Control, fail, unexpected};
use crate::cluster::release::{SigningKey, Trust};
use crate::config::model::System;
use crate::io::entropy::System as Entropy;
use crate::io::program;
use crate::io::request::{Request, Response};
use crate::types::{ReleaseKey, ReleaseVersion};
use crate::wire::pair::Version;

/// Sign programs, and see who has signed one.
#[derive(Debug, Args)]
pub struct Release {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key to sign with and print its public half, for release_keys in [system]
    Keygen {
        /// Where the secret half goes; a file that is there already stays
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a program: FILE.signed is what koi pair upgrade takes
    Sign {
        /// The secret half of the key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Version of the release [default: the one of this program]
        #[arg(long, value_name = "VERSION")]
        version: Option<ReleaseVersion>,
        /// Where the release goes [default: BINARY.signed]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The program
        binary: PathBuf,
    },
    /// Say what a release is and whether a key has signed it
    Verify {
        /// A public key that is trusted; several may be given
        #[arg(long = "key", value_name = "HEX", required = true)]
        keys: Vec<ReleaseKey>,
        /// The release
        file: PathBuf,
    },
    /// Let this node install older releases, too, down to a version
    Allow {
        /// The oldest version
        version: ReleaseVersion,
        #[command(flatten)]
        control: Control,
    },
}

/// A step that has failed has told why.
type Done<T> = Result<T, ExitCode>;

impl Release {
    /// Does it.
    pub fn run(self) -> ExitCode {
        let done = match self.what {
            What::Keygen { out } => keygen(&out),
            What::Sign { key, version, out, binary } => sign(&key, version, out, &binary),
            What::Verify { keys, file } => verify(keys, &file),
            What::Allow { version, control } => allow(version, &control),
        };
        done.map_or_else(|code| code, |()| ExitCode::SUCCESS)
    }
}

fn keygen(out: &Path) -> Done<()> {
    let key = SigningKey::generate(&mut Entropy).ok_or_else(|| fail("no key can be made"))?;
    let text = format!("{}\n", HEXLOWER.encode(key.secret_bytes()));
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).mode(0o600).open(out).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| fail(format!("{}: {error}", out.display())))?;
    println!("{}", key.public());
    Ok(())
}

fn sign(key: &Path, version: Option<ReleaseVersion>, out: Option<PathBuf>, binary: &Path) -> Done<()> {
    let key = read_key(key)?;
    let program = read(binary)?;
    let version = version.unwrap_or_else(program::own_version);
    let signed = key
        .sign(&program, version, Version::NEWEST)
        .map_err(|why| fail(format!("{}: {why}", binary.display())))?;
    let out = out.unwrap_or_else(|| {
        let mut name = binary.to_owned().into_os_string();
        name.push(".signed");
        name.into()
    });
    let problem = |error: std::io::Error| fail(format!("{}: {error}", out.display()));
    fs::write(&out, signed).map_err(problem)?;
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).map_err(problem)?;
    println!("{}: version {version}, signed by {}", out.display(), key.public());
    Ok(())
}

fn verify(release_keys: Vec<ReleaseKey>, file: &Path) -> Done<()> {
    let trust = Trust::of(&System { release_keys, ..System::default() });
    let release = trust.check_any(&read(file)?).map_err(|why| fail(format!("{}: {why}", file.display())))?;
    println!(
        "{}: version {}, speaks version {} of the pair's protocols, signed by {}",
        file.display(),
        release.version,
        release.speaks,
        release.key
    );
    Ok(())
}

fn allow(version: ReleaseVersion, control: &Control) -> Done<()> {
    let Response::Status(status) = control.ask(&Request::Status)? else { return Err(unexpected()) };
    let state = PathBuf::from(&status.state);
    program::allow(&state, version).map_err(|error| fail(format!("{}: {error}", state.display())))?;
    println!(
        "{} installs releases from {version} on, unless version_floor in [system] says more.",
        status.node
    );
    Ok(())
}

fn read_key(path: &Path) -> Done<SigningKey> {
    let text = read(path)?;
    let secret = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| HEXLOWER_PERMISSIVE.decode(text.trim_end().as_bytes()).ok()?.try_into().ok());
    let key = secret.and_then(SigningKey::from_bytes);
    key.ok_or_else(|| fail(format!("{} does not hold a key of 64 hex digits", path.display())))
}

fn read(path: &Path) -> Done<Vec<u8>> {
    fs::read(path).map_err(|error| fail(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_private_and_never_overwritten_and_what_it_signs_is_verified() {
        let directory = std::env::temp_dir().join(format!("koi-test-release-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let (key, program) = (directory.join("key"), directory.join("program"));
        keygen(&key).unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keygen(&key).is_err());
        fs::write(&program, b"\x7fELF and so on").unwrap();
        sign(&key, Some(ReleaseVersion { major: 1, minor: 2, patch: 3 }), None, &program).unwrap();
        let signed = directory.join("program.signed");
        let public = read_key(&key).unwrap().public();
        verify(vec![public], &signed).unwrap();
        assert!(verify(vec![ReleaseKey([7; 32])], &signed).is_err());
        assert!(verify(vec![public], &program).is_err());
        assert!(read_key(&program).is_err());
        let _ = fs::remove_dir_all(&directory);
    }
}
