//! Who gets in, and what every answer says.

use super::router::users;
use super::{Browser, DOCUMENT};
use crate::web::auth::Password;

/// The password of the first start.
const FIRST: &str = "bbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn a_user_logs_in_by_name_and_password_and_may_what_the_role_says() {
    let mut browser = Browser::new(&format!("{DOCUMENT}{}", users()));
    for (name, password) in [
        ("ada", "correct hors"),
        ("ada", ""),
        ("", "correct horse"),
        ("admin", FIRST),
        ("eve", "correct horse"),
    ] {
        let answer = browser.log_in(name, password);
        assert_eq!((answer.status, answer.header("set-cookie")), (401, ""), "{name}");
        assert!(answer.body.contains("There is nobody with this name and this password."));
    }
    for (name, users, rules) in [("ada", 200, 200), ("otto", 403, 200), ("rita", 403, 403)] {
        let mut browser = Browser::of(name);
        assert_eq!(browser.get("/system/users").status, users, "{name}");
        assert_eq!(browser.get("/firewall/rules/new").status, rules, "{name}");
        let page = browser.get("/");
        assert_eq!(page.status, 200);
        assert!(page.body.contains(&format!("<summary>{name}</summary>")));
        assert_eq!(
            page.body.contains("href=\"/system/users\""),
            users == 200,
            "the menu shows what one may see"
        );
        browser.cookie.push('x');
        assert_eq!(browser.get("/").status, 303);
    }
}

#[test]
fn a_cookie_is_strict_and_ends_with_the_logout() {
    let mut browser = Browser::new(&format!("{DOCUMENT}{}", users()));
    let answer = browser
        .post("/login", &[("name", "ada"), ("password", "correct horse"), ("next", "/firewall/rules")]);
    assert_eq!((answer.status, answer.header("location")), (303, "/firewall/rules"));
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("koi=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    browser.log_in("ada", "correct horse");
    let other = browser.cookie.clone();
    assert_eq!(browser.post("/logout", &[]).status, 303);
    assert_eq!(browser.get("/").status, 303, "logged out");
    browser.cookie = other;
    assert_eq!(browser.get("/").header("location"), "/login");
    assert_eq!(
        browser.get("/firewall/rules?tab=lan").header("location"),
        "/login?next=/firewall/rules%3Ftab%3Dlan"
    );
    let login = browser.get("/login?next=/firewall/rules%3Ftab%3Dlan");
    assert!(login.body.contains("name=\"next\" value=\"/firewall/rules?tab=lan\""));
}

#[test]
fn a_user_who_is_changed_or_disabled_is_logged_out() {
    let users = users();
    for (what, changed) in [
        ("role", users.replace("\"operator\"", "\"read-only\"")),
        (
            "password",
            users.replace(
                &users[users.find("$argon2id").unwrap()..][..97],
                &crate::web::hash_password("other").unwrap(),
            ),
        ),
        ("disabled", users.replace("name = \"otto\"", "name = \"otto\"\ndisabled = true")),
        ("gone", users.replace("\"otto\"", "\"odo\"")),
    ] {
        let browser = Browser::of("otto");
        assert_eq!(browser.get("/").status, 200);
        browser.paper.put_in_force(&format!("{DOCUMENT}{changed}"));
        assert_eq!(browser.get("/").status, 303, "{what}");
    }
    let mut browser =
        Browser::new(&format!("{DOCUMENT}{}", users.replace("\"otto\"", "\"otto\"\ndisabled = true")));
    assert_eq!(browser.log_in("otto", "correct horse").status, 401);
}

/// `Hello world!` in SHA-512 crypt.
const FOREIGN: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

#[test]
fn a_password_of_another_firewall_counts_and_is_hashed_anew_at_the_first_login() {
    let bcrypt = bcrypt::hash_with_salt("Hello world!", 4, *b"0123456789abcdef").unwrap().to_string();
    for foreign in [bcrypt.as_str(), FOREIGN] {
        let user =
            format!("\n[[user]]\nname = \"a.b\"\nrole = \"administrator\"\npassword_hash = \"{foreign}\"\n");
        let mut browser = Browser::new(&format!("{DOCUMENT}{user}{}", users()));
        let hash = |browser: &Browser| {
            let users = browser.paper.in_force.load().config.users.clone();
            users.iter().find(|user| user.name == "a.b").unwrap().password_hash.reveal().to_owned()
        };
        assert_eq!(browser.log_in("a.b", "Hello world").status, 401);
        assert_eq!(browser.log_in("ada", "correct horse").status, 303, "others are not in the way");
        assert_eq!(hash(&browser), foreign);
        assert_eq!(browser.log_in("a.b", "Hello world!").status, 303);
        assert!(hash(&browser).starts_with("$argon2id$"));
        assert_eq!(browser.get("/system/users").status, 200, "the session is of the account as it is now");
        let new = hash(&browser);
        assert_eq!(
            (browser.log_in("a.b", "Hello world!").status, hash(&browser)),
            (303, new),
            "once is enough"
        );
    }
}

#[test]
fn the_password_of_the_first_start_is_admins_while_there_is_no_user() {
    let mut browser = Browser::new(DOCUMENT);
    assert!(browser.get("/login").body.contains("web-password"));
    assert_eq!(browser.log_in("ada", FIRST).status, 401);
    assert_eq!(browser.log_in("admin", FIRST).status, 303);
    let page = browser.get("/");
    assert!(page.body.contains("Add a user of your own"), "one is asked for");
    browser.paper.put_in_force(&format!("{DOCUMENT}{}", users()));
    assert_eq!(browser.get("/").status, 303, "and then it ends");
    assert_eq!(browser.log_in("admin", FIRST).status, 401);
}

#[test]
fn programs_look_by_name_and_password_and_cannot_change() {
    let mut browser = Browser::new(DOCUMENT);
    assert_eq!(browser.get("/status.json").status, 401);
    browser.headers = format!("Authorization: {}\r\n", Password::from_random([1; 24]).credentials());
    let facts = browser.get("/status.json?page=2");
    assert!(facts.body.contains("\"hostname\":\"gate<way>\"") && facts.body.contains("\"page\":2"));
    assert!(facts.body.contains("\"epoch\":77") && facts.body.contains("channel-forged"));
    assert_eq!(browser.get("/").status, 200);
    assert_eq!(browser.post("/changes/discard", &[]).status, 403, "no session, no token");
    browser.headers = "Authorization: Basic YWRtaW46YQ==\r\n".into();
    assert_eq!(browser.get("/").status, 401);
}

#[test]
fn guessing_takes_longer_and_longer() {
    let mut browser = Browser::new(DOCUMENT);
    let statuses: Vec<u16> = (0..7).map(|_| browser.log_in("admin", "wrong").status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
    assert_eq!(browser.log_in("admin", FIRST).status, 429, "the right one has to wait, too");
    let health = browser.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"), "health is no secret");
}

#[test]
fn guesses_from_outside_do_not_lock_the_owner_out() {
    let browser = Browser::new(DOCUMENT);
    let try_it = |from: &str, password: &str| {
        let site = browser.site.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(site.log_in(from.parse().unwrap(), "admin", password, "")).is_ok()
    };
    for host in 1..20 {
        assert!(!try_it(&format!("198.51.100.{host}"), "wrong"));
    }
    assert!(!try_it("198.51.100.99", FIRST), "the account waits for whoever is outside");
    assert!(try_it("192.168.1.77", FIRST), "and not for its owner on LAN");
}

#[test]
fn every_answer_tells_the_browser_to_be_strict() {
    let mut browser = Browser::new(DOCUMENT);
    browser.log_in("admin", FIRST);
    for path in ["/", "/login", "/nothing", "/style.css", "/healthz", "/status.json"] {
        let answer = browser.get(path);
        for (name, value) in [
            ("content-security-policy", "default-src 'none'"),
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert!(answer.header(name).starts_with(value), "{path}: {name}");
        }
    }
    assert_eq!(browser.get("/nothing").status, 404);
    assert_eq!(browser.ask("GET / HTTP/1.1\r\nHost: evil.example\r\n", "").status, 421);
    assert_eq!(browser.ask("DELETE / HTTP/1.1\r\nHost: HOST\r\n", "").status, 405);
    let long = "a".repeat(200 << 10);
    let answer = browser.post("/theme", &[("next", &long)]);
    assert_eq!(answer.status, 413);
}

#[test]
fn what_people_do_is_written_down() {
    let mut browser = Browser::of("ada");
    browser.log_in("eve", "wrong");
    browser.change("/system/gateways/delete/nobody", &[]);
    browser.change("/firewall/virtual-ips/delete/0", &[]);
    browser
        .change("/firewall/rules/new?tab=lan", &[("rule[1].action", "block"), ("rule[1].interface", "lan")]);
    let deeds: Vec<String> =
        browser.site.deeds().iter().map(|deed| format!("{} {}", deed.who, deed.what)).collect();
    assert!(deeds[0].starts_with("ada added rule 100"), "{deeds:?}");
    assert!(deeds.iter().any(|deed| deed == "eve gave a wrong name or password"), "{deeds:?}");
    let page = browser.get("/status/audit");
    assert!(page.body.contains("logged in") && page.body.contains("127.0.0.1"));
}

#[test]
fn a_user_with_an_authenticator_types_its_code_too() {
    let secret = crate::web::totp::secret([3; 20]);
    let text = format!("{}{}", super::DOCUMENT, super::router::users());
    let with =
        text.replacen("role = \"operator\"", &format!("role = \"operator\"\ntotp_secret = \"{secret}\""), 1);
    let browser = Browser::new(&with);
    let log_in = |name: &str, code: &str| {
        let fields = [("name", name), ("password", "correct horse"), ("code", code)];
        browser.post("/login", &fields).status
    };
    assert_eq!(log_in("ada", ""), 303, "who has none needs none");
    assert_eq!((log_in("otto", ""), log_in("otto", "000000")), (401, 401));
    let right = crate::web::totp::shown(&secret, crate::io::clock::wall_seconds());
    assert_eq!(log_in("otto", &right), 303);
    assert_eq!(log_in("otto", &right), 401, "a code is good once");
    assert!(browser.get("/login").body.contains("One-time code"));
}
