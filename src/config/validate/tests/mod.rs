//! One row per thing that a document may not say.

mod nodes;
mod pair;
mod policy;
mod routing;

use super::*;
use crate::config::{load, parse};
use proptest::prelude::*;

const LAB: &str = include_str!("../../../../tests/lab/one.toml");

/// Replaces the first occurrence, which must exist.
fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

const LAN_RULE: &str = "interface = \"lan\"\naction = \"pass\"\nsource = \"lan net\"";
const WAN_ADDRESSES: &str = "\"203.0.113.2/24\", \"2001:db8:1::2/64\"";

/// What is written instead of what; where the problem is; part of its message; part of its remedy.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn check_rows(rows: &[Row]) {
    for (from, to, path, message, remedy) in rows {
        let text = edit(LAB, from, to);
        let Err(problems) = load(&text) else { panic!("accepted: {to}") };
        let found = problems
            .iter()
            .find(|problem| problem.path == *path && problem.message.contains(message))
            .unwrap_or_else(|| panic!("{to}: {path} ({message}) is not among {problems:#?}"));
        assert!(found.remedy.contains(remedy), "{to}: {found}");
        assert!(found.line.is_some(), "{to}: {found}");
        assert_eq!(problems.len(), 1, "{to}: one mistake, one problem: {problems:#?}");
    }
}

#[test]
fn system() {
    let keys = |names: &[&str]| {
        let keys: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.repeat(32))).collect();
        &*format!("\"koi\"\nrelease_keys = [{}]", keys.join(", ")).leak()
    };
    let (twice, three) = (keys(&["5a", "5a"]), keys(&["5a", "5b", "5c"]));
    check_rows(&[
        ("\"koi-lab\"", "\"koi\"\nsyncookies_start = 0", "system.syncookies_start", "0 %", "1 to 100"),
        (
            "\"koi-lab\"",
            "\"koi\"\nsyncookies_end = 30",
            "system.syncookies_end",
            "cannot end at 30",
            "1 to 25",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\nadaptive_end = 1000",
            "system.adaptive_end",
            "would end at once",
            "more than",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\nadaptive_start = 2000000",
            "system.adaptive_start",
            "never are",
            "0 for never",
        ),
        ("\"koi-lab\"", "\"koi\"\noverload_expire = 0", "system.overload_expire", "so long", "Write 1"),
        ("\"koi-lab\"", "\"koi\"\nfragment_limit = 0", "system.fragment_limit", "not possible", "from 1"),
        ("\"koi-lab\"", "\"-koi\"", "system.hostname", "not a host name", "letters"),
        ("\"koi-lab\"", "\"koi\"\nstate_limit = 9", "system.state_limit", "9 states", "from 10"),
        (
            "\"koi-lab\"",
            "\"koi\"\nstate_limit = 4000000000",
            "system.state_limit",
            "not possible",
            "50000000",
        ),
        ("\"127.0.0.1:8080\"", "\"192.168.1.1:80\"", "node[0].loopback", "not a loopback", "127.0.0.1"),
        ("\"127.0.0.1:8080\"", "\"127.0.0.1:0\"", "node[0].loopback", "not a port", "127.0.0.1:8080"),
        (
            "\"koi-lab\"",
            "\"koi\"\ntimezone = \"Europe/Berlim\"",
            "system.timezone",
            "no time zone",
            "\"Europe/Berlin\"",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ntime_servers = [\"pool\"]",
            "system.time_servers[0]",
            "neither an address",
            "pool.ntp.org",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ndns_servers = [\"192.0.2.1\", \"192.0.2.1\"]",
            "system.dns_servers[1]",
            "already taken",
            "once",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\ndns_servers = [\"0.0.0.0\"]",
            "system.dns_servers[0]",
            "no host's address",
            "name server",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nsecret = \"correct horse\"",
            "system.notification.secret",
            "no effect",
            "url",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nauthority = \"x\"",
            "system.notification.authority",
            "no effect",
            "url",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://example.org/\"",
            "system.notification.url",
            "stands for",
            "dns_servers",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://192.0.2.9/\"\nsecret = \"short\"",
            "system.notification.secret",
            "length",
            "8 to 128",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.notification]\nurl = \"https://192.0.2.9/\"\nauthority = \"x\"",
            "system.notification.authority",
            "PEM",
            "BEGIN CERTIFICATE",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nfile_size = 5",
            "system.logging.file_size",
            "not possible",
            "10000",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nfile_count = 0",
            "system.logging.file_count",
            "not possible",
            "1 to 100",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.logging]\nservers = [\"192.0.2.9\", \"192.0.2.9\"]",
            "system.logging.servers[1]",
            "already taken",
            "once",
        ),
        ("\"koi-lab\"", twice, "system.release_keys", "twice", "once"),
        ("\"koi-lab\"", three, "system.release_keys", "3 keys", "at most one"),
        ("\"koi-lab\"", "\"koi\"\nversion_floor = \"1.2\"", "system.version_floor", "not a version", "1.2.3"),
        ("\"koi-lab\"", "\"koi\"\n[system.web]\nport = 0", "system.web.port", "not a port", "1 to 65535"),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.timeouts]\nudp_single = 0",
            "system.timeouts.udp_single",
            "0 seconds",
            "Write 1",
        ),
        (
            "\"koi-lab\"",
            "\"koi\"\n[system.timeouts]\nfrag = 99999999",
            "system.timeouts.frag",
            "not possible",
            "31536000",
        ),
    ]);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_lines() {
    let text = LAB
        .replace("\"127.0.0.1:8080\"", "\"10.0.0.1:80\"")
        .replace("address = \"203.0.113.1\"", "address = \"203.0.112.1\"")
        .replace("id = 1000010", "id = 5")
        .replace(WAN_ADDRESSES, "\"203.0.113.0/24\", \"2001:db8:1::2/64\"");
    let problems = load(&text).unwrap_err();
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems.is_sorted_by_key(|problem| problem.line));
}

#[test]
fn nobody_locks_everybody_out() {
    let text = edit(LAB, "loopback = \"127.0.0.1:8080\"\n", "");
    let text = edit(&text, "hostname = \"koi-lab\"", "hostname = \"koi-lab\"\nanti_lockout = false");
    assert!(load(&text).is_ok(), "LAN may go anywhere");
    let with = |rule: &str| load(&edit(&text, LAN_RULE, &format!("interface = \"lan\"\n{rule}")));
    for (rule, fine) in [
        (
            "action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"this firewall\"\ndestination_port = \"443\"",
            true,
        ),
        (
            "action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"192.168.1.0/24\"\ndestination_port = \"400-500\"",
            true,
        ),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"192.168.1.1-192.168.1.9\"", true),
        ("action = \"block\"", false),
        ("action = \"pass\"\ndisabled = true", false),
        ("action = \"pass\"\nprotocol = \"udp\"", false),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination_port = \"80\"", false),
        ("action = \"pass\"\nprotocol = \"tcp\"\ndestination = \"198.51.100.0/24\"", false),
    ] {
        // The DMZ's way out would do as well.
        let rest =
            |text: &str| edit(text, "source = \"dmz net\"", "protocol = \"udp\"\nsource = \"dmz net\"");
        let outcome = with(rule).map(drop).and_then(|()| {
            load(&rest(&edit(&text, LAN_RULE, &format!("interface = \"lan\"\n{rule}")))).map(drop)
        });
        assert_eq!(outcome.is_ok(), fine, "{rule}: {outcome:?}");
        if let Err(problems) = outcome {
            assert_eq!((problems.len(), problems[0].path.as_str()), (1, "system.anti_lockout"), "{rule}");
        }
    }
}

proptest! {
    /// Any document that the model can hold is checked without a panic, and survives its text form.
    #[test]
    fn nothing_panics_and_text_is_faithful(config in crate::config::arbitrary::config()) {
        prop_assert_eq!(&parse(&config.to_toml()).unwrap(), &config);
        prop_assert_eq!(parse(&config.to_toml()).unwrap().hash(), config.hash());
        let _ = validate(config);
    }
}

#[test]
fn users() {
    const USER: &str = "\n[[user]]\nname = \"alice\"\nrole = \"administrator\"\npassword_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n";
    assert!(load(&format!("{LAB}{USER}")).is_ok());
    for (from, to, path, message) in [
        ("\"alice\"", "\"al ice\"", "user[0].name", "not a usable name"),
        ("\"alice\"", "\"\"", "user[0].name", "not a usable name"),
        ("$argon2id", "$2y", "user[0].password_hash", "not the hash"),
        ("\"administrator\"", "\"operator\"", "user", "Nobody could administer"),
        ("\"administrator\"", "\"administrator\"\ndisabled = true", "user", "Nobody could administer"),
    ] {
        let problems = load(&format!("{LAB}{}", edit(USER, from, to))).unwrap_err();
        assert_eq!(problems.len(), 1, "{to}: {problems:?}");
        assert_eq!(problems[0].path, path);
        assert!(problems[0].message.contains(message), "{to}: {problems:?}");
        assert!(!format!("{problems:?}").contains("c2Fs"), "a hash is not shown");
    }
    let problems = load(&format!("{LAB}{USER}{USER}")).unwrap_err();
    assert_eq!((problems.len(), problems[0].path.as_str()), (1, "user[1].name"), "{problems:?}");
}
