//! The upgrade of the pair from its page: what is taken, what is refused, who may, and what is asked of the router.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::html::filled_in;
use super::router::{DOCUMENT, Paper, site, users};
use super::{Browser, browser};
use crate::cluster::release::SigningKey;
use crate::io::program::ProgramNote;
use crate::io::request::{Request, Response, Status};
use crate::io::token_store::TokenStore;
use crate::io::upgrade::{Journal, Progress, UPLOADED};
use crate::node::PairSnapshot;
use crate::types::ReleaseVersion;
use crate::web::routes;
use crate::web::upgrade::{FORM, RELEASE, UPGRADE};
use crate::wire::pair::Version;

const OLD: ReleaseVersion = ReleaseVersion { major: 1, minor: 0, patch: 0 };
const NEW: ReleaseVersion = ReleaseVersion { major: 1, minor: 1, patch: 0 };

/// A node with a peer, which runs what it is told to run.
struct Node {
    browser: Browser,
    directory: PathBuf,
    progress: Arc<Mutex<Progress>>,
    /// How often an upgrade was begun.
    begun: Arc<AtomicUsize>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes([number; 32]).unwrap()
}

/// Bytes of every kind, with what a form has between its parts.
fn release(signer: u8, version: ReleaseVersion) -> Vec<u8> {
    let program: Vec<u8> = b"\x7fELF".iter().copied().chain(0..=255).chain(*b"\r\n--xy\r\n").collect();
    key(signer).sign(&program, version, Version::NEWEST).unwrap()
}

fn status(node: &str, role: &str) -> Response {
    let program = ProgramNote { version: OLD, ..ProgramNote::default() };
    let pair = PairSnapshot { role: role.into(), ..PairSnapshot::default() };
    Response::Status(Box::new(Status {
        node: node.into(),
        program,
        pair: Some(Box::new(pair)),
        ..Status::default()
    }))
}

impl Node {
    fn new(name: &str) -> Node {
        let directory = std::env::temp_dir().join(format!("koi-pages-upgrade-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let keys = format!("[system]\nrelease_keys = [\"{}\"]\n", key(1).public());
        let document = format!("{}{}", DOCUMENT.replacen("[system]\n", &keys, 1), users());
        let paper = Paper::new(&document);
        let progress = Arc::new(Mutex::new(Progress::default()));
        let begun = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&progress), Arc::clone(&begun));
        let desk = move |request| match request {
            Request::Status => status("alpha", "active"),
            Request::Peer(request) if *request == Request::Status => status("beta", "standby"),
            Request::Upgrading => Response::Upgrading(Box::new(told.lock().unwrap().clone())),
            Request::Upgrade => {
                counted.fetch_add(1, Ordering::Relaxed);
                *told.lock().unwrap() = Progress { runs: true, last: Some(Journal::begin(NEW, "alpha")) };
                Response::Done
            }
            other => Response::Failed(format!("not asked here: {other:?}")),
        };
        let tokens = TokenStore::open(&directory.join("tokens.json"));
        let mut site = site(&paper).with_desk(Arc::new(desk), tokens);
        site.state.clone_from(&directory);
        let mut browser = Browser::before(paper, site);
        browser.log_in("ada", "correct horse");
        Node { browser, directory, progress, begun }
    }

    fn send(&self, token: &str, file: &[u8]) -> browser::Answer {
        let field = format!("--xyz\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{token}\r\n");
        let head = "--xyz\r\nContent-Disposition: form-data; name=\"release\"; filename=\"koi\"\r\n\r\n";
        let body = [field.as_bytes(), head.as_bytes(), file, b"\r\n--xyz--\r\n"].concat();
        let request = format!(
            "POST {RELEASE} HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.browser.ask_bytes(&request, &body)
    }

    fn upload(&self, file: &[u8]) -> browser::Answer {
        self.send(&self.browser.token, file)
    }
}

#[test]
fn what_is_no_upgrade_is_refused_at_the_field() {
    let node = Node::new("refused");
    let unsigned = [b"\x7fELF", &[7; 500][..]].concat();
    let mut broken = release(1, NEW);
    broken[9] ^= 1;
    let newer = ReleaseVersion { patch: 9, ..OLD };
    for (file, words) in [
        (Vec::new(), "choose a file"),
        (unsigned, "it is not signed"),
        (release(2, NEW), "is not among the release_keys"),
        (broken, "it is broken"),
        (release(1, OLD), "both nodes run 1.0.0 already"),
        (release(1, ReleaseVersion { major: 0, ..newer }), "alpha runs 1.0.0, which is newer than 0.0.9"),
    ] {
        let answer = node.upload(&file);
        assert_eq!(answer.status, 422, "{words}");
        let field = answer.elements().into_iter().find(|element| element.attribute("id") == Some("release"));
        assert_eq!(field.unwrap().attribute("aria-invalid"), Some("true"), "{words}");
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
        assert!(!answer.body.contains("Upgrade both nodes"), "{words}");
    }
    assert!(!node.directory.join(UPLOADED).exists());
}

#[test]
fn a_release_is_taken_as_it_is_explained_and_installed_when_somebody_is_sure() {
    let node = Node::new("taken");
    let (browser, file) = (&node.browser, release(1, NEW));
    assert!(browser.get(UPGRADE).body.contains("There was none yet"));
    let answer = node.upload(&file);
    assert_eq!((answer.status, answer.header("location")), (303, UPGRADE), "{}", answer.body);
    assert_eq!(std::fs::read(node.directory.join(UPLOADED)).unwrap(), file, "not a byte is another one");
    let page = browser.get(UPGRADE).body;
    let signer = key(1).public().to_string();
    for fact in [
        "Version 1.1.0",
        &signer,
        "beta is started again with 1.1.0, on trial, while its peer serves.",
        "alpha hands the role to beta, without losing a packet.",
        "alpha is started again with 1.1.0",
        "Upgrade both nodes",
    ] {
        assert!(page.contains(fact), "{fact}: {page}");
    }
    let filled = filled_in(&page, UPGRADE);
    assert!(
        filled.contains(&("version".into(), "1.1.0".into()))
            && !filled.iter().any(|(name, _)| name == "sure")
    );
    assert_eq!(browser.post(UPGRADE, &[("version", "1.1.0")]).status, 303, "nobody is sure");
    let other = browser.post(UPGRADE, &[("version", "1.0.9"), ("sure", "yes")]);
    assert!(other.status == 422 && other.body.contains("meanwhile version 1.1.0 was uploaded"));
    assert_eq!(node.begun.load(Ordering::Relaxed), 0);
    assert_eq!(browser.post(UPGRADE, &[("version", "1.1.0"), ("sure", "yes")]).status, 303);
    assert_eq!(node.begun.load(Ordering::Relaxed), 1);
    assert!(browser.get("/status/audit").body.contains("began the upgrade of both nodes to 1.1.0"));
}

#[test]
fn one_runs_at_a_time_and_its_journal_stays() {
    let node = Node::new("runs");
    let browser = &node.browser;
    assert_eq!(node.upload(&release(1, NEW)).status, 303);
    let mut journal = Journal::begin(NEW, "alpha");
    journal.note(std::time::Duration::from_millis(2500), "beta <tries> 1.1.0.", None);
    *node.progress.lock().unwrap() = Progress { runs: true, last: Some(journal.clone()) };
    let second = browser.post(UPGRADE, &[("version", "1.1.0"), ("sure", "yes")]);
    assert!(second.status == 422 && second.body.contains("an upgrade runs already"), "{}", second.body);
    let upload = node.upload(&release(1, NEW));
    assert!(upload.status == 422 && !upload.body.contains("Upgrade both nodes"));
    let page = browser.get(UPGRADE).body;
    assert!(
        page.contains("2.5 s") && page.contains("beta &#60;tries&#62; 1.1.0.") && !page.contains("Upload")
    );
    assert_eq!(node.begun.load(Ordering::Relaxed), 0);
    journal.note(std::time::Duration::from_secs(9), "Both nodes run 1.1.0.", Some(true));
    *node.progress.lock().unwrap() = Progress { runs: false, last: Some(journal) };
    let page = browser.get(UPGRADE).body;
    assert!(page.contains("is done") && page.contains("Both nodes run 1.1.0.") && page.contains("Upload"));
    browser.spawn(crate::web::events::run(browser.site.clone()));
    let facts = ["event: upgrade", "Both nodes run 1.1.0."];
    let all = |said: &str| facts.iter().all(|fact| said.contains(fact));
    let said = browser.listen("/events?topics=upgrade", all);
    assert!(all(&said), "{said}");
}

#[test]
fn only_an_administrator_upgrades_and_only_with_a_form_of_these_pages() {
    let mut node = Node::new("rights");
    for token in ["", "x"] {
        assert_eq!(node.send(token, &release(1, NEW)).status, 403, "{token}");
    }
    node.browser.headers = "Sec-Fetch-Site: cross-site\r\n".into();
    assert_eq!(node.upload(&release(1, NEW)).status, 403);
    node.browser.headers.clear();
    for name in ["otto", "rita"] {
        node.browser.log_in(name, "correct horse");
        assert_eq!(node.upload(&release(1, NEW)).status, 403, "{name}");
        assert_eq!(
            node.browser.post(UPGRADE, &[("version", "1.1.0"), ("sure", "yes")]).status,
            403,
            "{name}"
        );
        let page = node.browser.get(UPGRADE);
        assert!(page.status == 200 && !page.body.contains("Upload"), "{name} may look");
    }
    assert!(!node.directory.join(UPLOADED).exists());
    assert!(routes::all().iter().any(|route| route.path == RELEASE));
    let long = format!(
        "POST {RELEASE} HTTP/1.1\r\nHost: HOST\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: {}\r\n",
        FORM + 1
    );
    node.browser.log_in("ada", "correct horse");
    assert_eq!(node.browser.ask(&long, "").status, 413, "a release is bounded");
}
