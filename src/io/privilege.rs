//! The router gives up every privilege before it looks at the first packet, and says what it kept.
//!
//! Order matters: the bounding set needs a capability, changing the user needs one, landlock needs
//! `no_new_privs`, and the death signal is cleared by a change of user.
//!
//! Invariant: [`drop_all`] either leaves a process without capabilities or fails. What a kernel or a container may
//! refuse without harm (another user, landlock) is reported instead.

use std::fmt;
use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};

use super::sys_precedence;
use super::sys_process::{self as sys, Limit};

/// The account that the router runs as, where the machine has it.
const ACCOUNT: &str = "koi";
/// Otherwise this number, which no account has: not `nobody`'s, whose files and processes others share.
const NUMBER: u32 = 64_979;
/// The newest generation of landlock that we have rules for; older kernels enforce what they know.
const LANDLOCK: ABI = ABI::V6;
/// Descriptors: ports, connections of the GUI and the control socket.
const DESCRIPTORS: u64 = 4096;
/// The role thread runs before everything ordinary, where the machine permits that.
pub const REAL_TIME: u32 = 50;
/// The state directory holds keys and small documents.
const FILE_SIZE: u64 = 64 << 20;

/// Whom the router becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Account {
    /// The account that root gives the router; `None` for anybody else, who can only stay what he is.
    pub fn for_router() -> Option<Account> {
        if sys::effective_user() != 0 {
            return None;
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(Account::find(&accounts, ACCOUNT).unwrap_or(Account { uid: NUMBER, gid: NUMBER }))
    }

    /// Looks for `name` in the text of a passwd file: `name:password:uid:gid:…`.
    fn find(accounts: &str, name: &str) -> Option<Account> {
        accounts.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (found && uid != 0).then_some(Account { uid, gid })
        })
    }
}

/// What the router still may do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    /// User that it runs as.
    pub uid: u32,
    /// Capabilities left in any set, the bounding set included; empty when all is well.
    pub capabilities: Vec<u32>,
    /// No program that it starts can have more (`no_new_privs`).
    pub no_new_privs: bool,
    /// How much of landlock the kernel enforces.
    pub landlock: Landlock,
    /// Others may read its memory or attach to it.
    pub dumpable: bool,
    /// What could not be given up, and why that was tolerated.
    pub notes: Vec<String>,
}

/// How much of landlock the kernel enforces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Landlock {
    /// The kernel has no landlock, or it was not enabled at boot.
    #[default]
    Absent,
    /// An older generation: some of the rules.
    Partial,
    /// All rules: no file outside the state directory, no connections, no signals to others.
    Full,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { uid, capabilities, no_new_privs, landlock, dumpable, notes } = self;
        let names: Vec<_> = capabilities.iter().map(|&number| capability_name(number)).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
        let landlock = match landlock {
            Landlock::Absent => "not in this kernel",
            Landlock::Partial => "partly enforced",
            Landlock::Full => "enforced",
        };
        let yes = |yes: &bool| if *yes { "yes" } else { "no" };
        write!(f, "user {uid}, capabilities {names}, no-new-privs {}, ", yes(no_new_privs))?;
        write!(f, "landlock {landlock}, readable by others {}", yes(dumpable))?;
        notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// Gives up everything for good; only the state directory `state` stays open to this process.
///
/// Call it while the process has one thread. `account` is whom to become, when that is possible.
///
/// # Errors
/// When capabilities remain, or when a refusal is no known harmless one.
pub fn drop_all(state: &Path, account: Option<Account>) -> io::Result<Kept> {
    let mut notes = Vec::new();
    for (limit, value) in [(Limit::Core, 0), (Limit::Descriptors, DESCRIPTORS), (Limit::FileSize, FILE_SIZE)]
    {
        sys::lower_limit(limit, value)?;
    }
    // Without these a busy machine is felt, and nothing else is lost.
    if let Err(error) = sys_precedence::permit_real_time(REAL_TIME) {
        notes.push(format!("the limit of real-time priorities stays ({error})"));
    }
    if let Err(error) = sys_precedence::stay_in_memory() {
        notes.push(format!("its memory may have to be read again ({error})"));
    }
    drop_bounding_set()?;
    if let Some(Account { uid, gid }) = account
        && let Err(error) = sys::clear_groups().and_then(|()| sys::become_user(uid, gid))
    {
        // A user namespace need not have another user to become.
        notes.push(format!("stays user {}: cannot become {uid} ({error})", sys::effective_user()));
    }
    sys::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0)?;
    sys::clear_capabilities()?;
    sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
    sys::prctl(libc::PR_SET_DUMPABLE, 0, 0)?;
    let landlock = match confine(state) {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Landlock::Full,
            RulesetStatus::PartiallyEnforced => Landlock::Partial,
            RulesetStatus::NotEnforced => Landlock::Absent,
        },
        Err(error) => return Err(io::Error::other(format!("landlock: {error}"))),
    };
    let kept = kept(landlock, notes)?;
    if kept.capabilities.is_empty() {
        Ok(kept)
    } else {
        Err(io::Error::other(format!("privileges remain: {kept}")))
    }
}

/// Looks at what this thread may do now.
fn kept(landlock: Landlock, notes: Vec<String>) -> io::Result<Kept> {
    let [effective, permitted, inheritable] = sys::capabilities()?;
    let sets = effective | permitted | inheritable;
    Ok(Kept {
        uid: sys::effective_user(),
        capabilities: (0..64).filter(|number| sets >> number & 1 == 1).collect(),
        no_new_privs: sys::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0)? == 1,
        landlock,
        dumpable: sys::prctl(libc::PR_GET_DUMPABLE, 0, 0)? != 0,
        notes,
    })
}

/// Empties the bounding set, so that no program that this process might start gains anything. A process without
/// `CAP_SETPCAP` cannot, and has nothing to lose by it: `no_new_privs` forbids the same.
fn drop_bounding_set() -> io::Result<()> {
    for number in 0..64 {
        // The kernel does not know the number: that was the last capability.
        if sys::prctl(libc::PR_CAPBSET_READ, number, 0).is_err() {
            return Ok(());
        }
        match sys::prctl(libc::PR_CAPBSET_DROP, number, 0) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Ok(()),
            result => result?,
        };
    }
    Ok(())
}

/// Landlock: files of the state directory only, no TCP socket bound or connected, no abstract sockets, no signals.
fn confine(state: &Path) -> Result<RestrictionStatus, Box<dyn std::error::Error>> {
    let files = AccessFs::from_all(LANDLOCK);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(state)?, files & !AccessFs::Execute))?
        .restrict_self()?;
    Ok(status)
}

/// The names that people know.
fn capability_name(number: u32) -> String {
    match number {
        1 => "dac_override".into(),
        7 => "setuid".into(),
        12 => "net_admin".into(),
        13 => "net_raw".into(),
        21 => "sys_admin".into(),
        other => format!("#{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tests::Scratch;
    use super::*;

    #[test]
    fn the_account_is_found_by_its_name_and_is_never_root() {
        let text =
            "root:x:0:0:root:/root:/bin/bash\nkoi-x:x:7:7::/:\nkoi:x:990:991::/var/lib/koi:/bin/false\n";
        assert_eq!(Account::find(text, "koi"), Some(Account { uid: 990, gid: 991 }));
        assert_eq!(Account::find(text, "root"), None);
        assert_eq!(Account::find("koi:x\n", "koi"), None);
        assert_eq!(Account::find("", "koi"), None);
    }

    /// Everything but the user is a matter of one thread, so a thread of its own can give it up.
    #[test]
    fn nothing_is_left_and_nothing_outside_the_state_directory_opens() {
        let scratch = Scratch::new("privilege");
        let state = scratch.0.clone();
        let thread = std::thread::spawn(move || {
            drop_bounding_set().unwrap();
            sys::clear_capabilities().unwrap();
            sys::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).unwrap();
            let status = confine(&state).unwrap();
            let kept = kept(Landlock::Absent, Vec::new()).unwrap();
            assert!(kept.capabilities.is_empty() && kept.no_new_privs, "{kept}");
            std::fs::write(state.join("key"), "secret").unwrap();
            if status.ruleset == RulesetStatus::FullyEnforced {
                assert!(std::fs::read("/etc/passwd").is_err());
                assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err());
            }
            status.ruleset
        });
        eprintln!("landlock here: {:?}", thread.join().unwrap());
    }

    #[test]
    fn the_report_reads_well() {
        let kept = Kept { uid: 7, capabilities: vec![12, 40], no_new_privs: true, ..Kept::default() };
        assert_eq!(
            kept.to_string(),
            "user 7, capabilities net_admin #40, no-new-privs yes, landlock not in this kernel, readable by others no"
        );
    }
}
