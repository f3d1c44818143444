//! Two nodes whose pages know the same: who is logged in, and the draft.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;

use super::router::{compile, handle, real, users};
use super::{Browser, DOCUMENT};
use crate::config;
use crate::config::life::Author;
use crate::io::clock;
use crate::io::config_request::{ConfigAnswer, ConfigRequest, Standing, Version};
use crate::io::request::Response;
use crate::types::Duration;
use crate::web::edit::{Editor, Rejected};
use crate::web::preferences::Preferences;
use crate::web::session::Sessions;
use crate::web::share::{self, Answering, Drafted, Own, Share};
use crate::web::steward::Steward;

/// What the parent of a node keeps.
#[derive(Default)]
struct Parent {
    main: String,
    candidate: Option<(Author, String)>,
    /// How often a candidate was written.
    saved: usize,
}

impl Parent {
    fn answer(&mut self, request: ConfigRequest) -> Response {
        let base = |parent: &Parent| (1, config::load(&parent.main).unwrap().hash());
        let difference =
            ConfigAnswer::Difference { rows: Vec::new(), text: String::new(), problems: Vec::new() };
        let answer = match request {
            ConfigRequest::Standing => {
                let candidate = self.candidate.as_ref().map(|(author, _)| author.clone());
                ConfigAnswer::Standing(Standing { candidate, ..Standing::default() })
            }
            ConfigRequest::Show { version: Version::Candidate, .. } => {
                let text = self.candidate.as_ref().map_or(&self.main, |(_, text)| text).clone();
                ConfigAnswer::Text { text, base: base(self) }
            }
            ConfigRequest::Save { text, author, .. } => {
                self.candidate = Some((author, text));
                self.saved += 1;
                difference
            }
            ConfigRequest::Discard { .. } => {
                self.candidate = None;
                difference
            }
            ConfigRequest::Diff { .. } => difference,
            ConfigRequest::Apply { .. } => {
                self.main = self.candidate.take().unwrap().1;
                ConfigAnswer::Applied { revision: 2, hash: String::new(), confirm_within: None, pair: None }
            }
            other => panic!("not asked here: {other:?}"),
        };
        Response::Config(Box::new(answer))
    }
}

/// A node, as far as its drafts go.
struct Node {
    steward: Arc<Steward>,
    parent: Arc<Mutex<Parent>>,
}

impl Node {
    fn edit(&self, hostname: &str) -> Result<(), Rejected> {
        let draft = self.steward.draft();
        let mut document = draft.document.as_ref().clone().into_inner();
        document.system.hostname = hostname.into();
        self.steward.save(&ada(), &draft.edition, config::validate(document).unwrap())
    }

    fn hostname(&self) -> String {
        self.steward.draft().document.system.hostname.clone()
    }

    fn has_draft(&self) -> bool {
        self.parent.lock().unwrap().candidate.is_some()
    }
}

fn ada() -> Author {
    Author { who: "ada".into(), from: "192.0.2.7".into() }
}

/// Two nodes, and whether what they say arrives.
fn two() -> ([Node; 2], Arc<AtomicBool>) {
    let reach = Arc::new(AtomicBool::new(true));
    let cells: [Arc<OnceLock<Arc<Steward>>>; 2] = Default::default();
    let nodes = [0, 1].map(|this| {
        let document = config::load(DOCUMENT).unwrap();
        let parent = Arc::new(Mutex::new(Parent { main: DOCUMENT.into(), ..Parent::default() }));
        let (asked, other, reach) = (Arc::clone(&parent), Arc::clone(&cells[1 - this]), Arc::clone(&reach));
        let share = Share::new(move |words| {
            let other = Arc::clone(other.get().filter(|_| reach.load(Ordering::Relaxed))?);
            let own = || Own { certificate: None, draft: other.present().ok() };
            let follow = |drafted: Drafted| drop(other.follow(drafted));
            let (sessions, preferences) = (&Mutex::new(Sessions::default()), &Preferences::default());
            share::answer(
                &Answering { sessions, preferences, own: &own, follow: &follow, drilled: &drop },
                &words,
            )
        });
        let in_force = Arc::new(ArcSwap::from(compile(Arc::new(document))));
        let configure = move |request| asked.lock().unwrap().answer(request);
        let steward = Arc::new(Steward::new(
            handle(Arc::clone(&in_force), real(&in_force)),
            Box::new(configure),
            Some(share),
        ));
        assert!(cells[this].set(Arc::clone(&steward)).is_ok());
        Node { steward, parent }
    });
    (nodes, reach)
}

/// What the pages of `from` know now and then reaches those of `to`.
fn catch_up([from, to]: [&Node; 2]) {
    to.steward.catch_up(from.steward.present().unwrap()).unwrap();
}

#[test]
fn a_draft_outlives_the_node_that_it_was_made_on() {
    let ([alpha, beta], reach) = two();
    alpha.edit("first.example").unwrap();
    alpha.edit("second.example").unwrap();
    assert_eq!(beta.hostname(), "second.example");
    assert_eq!(beta.parent.lock().unwrap().candidate.as_ref().unwrap().0, ada());
    assert_eq!(alpha.steward.draft().edition, beta.steward.draft().edition, "a form of alpha counts at beta");
    // Alpha dies; whoever was about to apply does so on beta.
    reach.store(false, Ordering::Relaxed);
    let edition = alpha.steward.draft().edition;
    beta.steward.apply(&ada(), &edition, None).unwrap();
    assert!(!beta.has_draft() && beta.parent.lock().unwrap().main.contains("second.example"));
}

#[test]
fn a_draft_that_was_not_heard_of_comes_over_later() {
    let ([alpha, beta], reach) = two();
    reach.store(false, Ordering::Relaxed);
    alpha.edit("lost.example").unwrap();
    assert!(!beta.has_draft());
    catch_up([&alpha, &beta]);
    assert_eq!(beta.hostname(), "lost.example");
    catch_up([&alpha, &beta]);
    assert_eq!(beta.parent.lock().unwrap().saved, 1, "once is enough");
    alpha.edit("again.example").unwrap();
    catch_up([&alpha, &beta]);
    assert_eq!(beta.hostname(), "again.example");
    // From here on it is heard of at once.
    reach.store(true, Ordering::Relaxed);
    alpha.edit("heard.example").unwrap();
    assert_eq!(beta.hostname(), "heard.example");
    reach.store(false, Ordering::Relaxed);
    alpha.steward.discard(&ada()).unwrap();
    assert!(beta.has_draft());
    catch_up([&alpha, &beta]);
    assert!(!beta.has_draft());
    // What somebody has made on the other node stays.
    beta.edit("own.example").unwrap();
    catch_up([&alpha, &beta]);
    assert_eq!(beta.hostname(), "own.example");
}

#[test]
fn whoever_is_logged_in_goes_on_at_the_other_node() {
    let text = format!("{DOCUMENT}{}", users());
    let mut beta = Browser::new(&text);
    let mut alpha = Browser::beside(&text, &beta);
    alpha.log_in("ada", "correct horse");
    alpha.post("/theme", &[("theme", "dark"), ("next", "/")]);
    (beta.cookie, beta.token) = (alpha.cookie.clone(), alpha.token.clone());
    // What was chosen is known, too.
    soon("the session", || {
        let page = beta.get("/changes");
        page.status == 200 && page.body.contains("data-theme=\"dark\"")
    });
    // The token of a form that alpha has made counts.
    let rule = beta.paper.document().rules[0].id;
    assert_eq!(beta.change(&format!("/firewall/rules/toggle/{rule}"), &[]).status, 303);
    assert_eq!(beta.change("/changes/apply", &[]).status, 303);
    alpha.post("/logout", &[]);
    soon("the end of the session", || beta.get("/changes").status == 303);
}

/// Nobody waits for what is told to the peer.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let end = clock::now() + Duration::from_secs(10);
    while !holds() {
        assert!(clock::now() < end, "{what} is not known");
        clock::pause(std::time::Duration::from_millis(5));
    }
}
