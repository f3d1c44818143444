//! The pair on a page: a node becomes the first one of a pair, shows a code for the second one, and gives and takes the
//! role.

use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;

use super::carp::wish;
use super::change::rejection;
use super::edit::{Editor, Rejected};
use super::frame::Frame;
use super::message::html;
use super::pages::BESIDE_PAIR;
use super::pending::PENDING;
use super::site::{Site, lock};
use super::visitor::{Posted, Visitor};
use crate::config::life::Author;
use crate::config::model::Secret;
use crate::config::pairing::{self as documents, Lacking, Newcomer, Plan};
use crate::config::{Config, Problem, Valid};
use crate::io::engine::PairSeat;
use crate::io::entropy;
use crate::io::request::{PairingWord, Request, Response as Word};
use crate::node::PairSnapshot;

/// Where it is.
pub(super) const PAIRING: &str = "/system/pair";
/// Random bytes of a password of CARP, which holds at most 19 letters.
const PASSWORD_BYTES: usize = 14;
/// How often a pairing sees whether it is still wanted.
const BREATH: Duration = Duration::from_millis(500);

/// A code that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Offer {
    code: String,
    /// What has happened of late.
    words: String,
    /// It waits for the other node.
    open: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "pairing.html")]
struct Page {
    frame: Frame,
    pair: Option<PairSnapshot>,
    is_paired: bool,
    /// It waits for its second node.
    is_alone: bool,
    /// Ports that no interface stands on.
    ports: Vec<String>,
    /// Networks in which this node needs an address of its own.
    lacking: Vec<Lacking>,
    offer: Option<Offer>,
    hint: String,
    problems: Vec<String>,
}

impl Page {
    async fn new(site: &Site, visitor: &Visitor, problems: Vec<String>) -> Page {
        let draft = site.draft().await;
        let config = &draft.document;
        let frame = Frame::around(site, visitor, "The Pair", PAIRING, &draft).await.with_tabs(BESIDE_PAIR);
        let taken = |port: &str| config.interfaces.iter().any(|interface| interface.port == port);
        let ports = config.nodes.first().map(|node| node.ports.as_slice()).unwrap_or_default();
        Page {
            frame,
            pair: site.handle.pair().await,
            is_paired: config.pair.is_some(),
            is_alone: config.pair.is_some() && config.nodes.len() == 1,
            ports: ports.iter().map(|port| port.name.clone()).filter(|name| !taken(name)).collect(),
            lacking: documents::lacking(config, &[]),
            offer: lock(&site.offer).clone(),
            hint: hint(config),
            problems,
        }
    }
}

/// The options that the other node needs.
fn hint(config: &Config) -> String {
    let sync = config.pair.as_ref().map_or("sync", |pair| &pair.sync);
    let lacking = documents::lacking(config, &[]);
    let address = |Lacking { interface, network }: &Lacking| {
        let family = if network.addr().is_ipv4() { "IPV4" } else { "IPV6" };
        format!(" --address {interface}={family}/{}", network.prefix_len())
    };
    format!("--sync {sync}{}", lacking.iter().map(address).collect::<String>())
}

/// `GET /system/pair`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    html(&Page::new(&site, &visitor, Vec::new()).await)
}

async fn refuse(site: &Site, visitor: &Visitor, problems: Vec<String>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, html(&Page::new(site, visitor, problems).await)).into_response()
}

/// `POST /system/pair/create`: the draft becomes that of a pair of one.
pub(super) async fn create(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let Some(seat) = site.pair.clone() else { return rejection(Rejected::NotHere) };
    let (who, edition, node) = (visitor.author(), posted.edition().to_owned(), site.node_name());
    let form = posted.clone();
    let done = site.edit(move |editor| {
        let document = editor.draft().document;
        let plan =
            plan(&document, node, &form, &seat).map_err(|problem| Rejected::Problems(vec![problem]))?;
        let pair = documents::create(&document, &plan).map_err(Rejected::Problems)?;
        editor.save(&who, &edition, pair)
    });
    match done.await {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, "made a pair of one, as draft");
            Redirect::to(PENDING).into_response()
        }
        Err(Rejected::Problems(problems)) => {
            let words = problems.iter().map(|problem| format!("{} {}", problem.message, problem.remedy));
            refuse(&site, &visitor, words.collect()).await
        }
        Err(rejected) => rejection(rejected),
    }
}

/// What was filled in.
fn plan(config: &Config, node: String, form: &Posted, seat: &PairSeat) -> Result<Plan, Problem> {
    let field = |name: &str| form.get(name).unwrap_or_default().trim().to_owned();
    let sync = field("sync");
    let wrong =
        |why: String| Problem::new("sync", why, "Choose the port of the cable between the two nodes.");
    let mut addresses = Vec::new();
    for Lacking { interface, network } in documents::lacking(config, &[]) {
        let text = field(&format!("address.{interface}.{network}"));
        let with_length =
            if text.contains('/') { text.clone() } else { format!("{text}/{}", network.prefix_len()) };
        let message = format!("\u{201c}{text}\u{201d} is no address in {network}.");
        let problem = || Problem::new("address", message, "Write one that nobody else has.");
        addresses.push((interface, with_length.parse().map_err(|_| problem())?));
    }
    let password = |_| {
        let mut bytes = [0; PASSWORD_BYTES];
        entropy::fill(&mut bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(Secret::new(BASE64URL_NOPAD.encode(&bytes)))
    };
    Ok(Plan {
        node,
        public_key: (seat.public_key)(),
        sync: sync.parse().map_err(wrong)?,
        preferred: None,
        addresses,
        passwords: (0..config.interfaces.len()).map(password).collect::<Result<_, Problem>>()?,
    })
}

/// `POST /system/pair/offer`: shows a code and waits for whoever types it; or withdraws it.
pub(super) async fn offer(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    if posted.get("withdraw").is_some() {
        lock(&site.offer).take();
        return Redirect::to(PAIRING).into_response();
    }
    let (Some(seat), Some(editor)) = (site.pair.clone(), site.editor()) else {
        return rejection(Rejected::NotHere);
    };
    let config = site.config();
    if config.pair.is_none() || config.nodes.len() != 1 {
        let problem = "Only a pair that waits for its second node shows a code.".to_owned();
        return refuse(&site, &visitor, vec![problem]).await;
    }
    site.note(&visitor.account.name, visitor.from, "showed a code for a second node");
    *lock(&site.offer) =
        Some(Offer { open: true, words: "A code is being made.".into(), ..Offer::default() });
    let (state, who) = (Arc::clone(&site.offer), visitor.author());
    let listen = move || wait_for_newcomer(&seat, &*editor, &config, &who, &state);
    if std::thread::Builder::new().name("pairing".into()).spawn(listen).is_err() {
        lock(&site.offer).take();
    }
    tokio::time::sleep(BREATH).await;
    Redirect::to(PAIRING).into_response()
}

/// Until the other node has joined, or nobody wants it any more.
fn wait_for_newcomer(
    seat: &PairSeat,
    editor: &dyn Editor,
    config: &Valid<Config>,
    who: &Author,
    state: &Mutex<Option<Offer>>,
) {
    let listening = (seat.offer)();
    let tell = |code: Option<String>, words: String, open: bool| {
        let mut state = lock(state);
        if let Some(offer) = state.as_mut() {
            offer.code = code.unwrap_or_else(|| std::mem::take(&mut offer.code));
            (offer.words, offer.open) = (words, open);
        }
    };
    loop {
        let word = match listening.words.recv_timeout(BREATH) {
            Ok(word) => word,
            Err(RecvTimeoutError::Timeout) if lock(state).is_some() => continue,
            Err(RecvTimeoutError::Timeout) => return listening.withdraw(),
            Err(RecvTimeoutError::Disconnected) => {
                return tell(None, "Another pairing has been begun.".into(), false);
            }
        };
        match word {
            Word::Pairing(PairingWord::Offered { code }) => {
                tell(
                    Some(code),
                    "Waiting for the other node; the code is good for ten minutes.".into(),
                    true,
                );
            }
            Word::Pairing(PairingWord::WrongCode { left }) => {
                tell(None, format!("Somebody tried a wrong code; {left} tries are left."), true);
            }
            Word::Pairing(PairingWord::Paired { name, key, text }) => {
                let words = match take_in(editor, config, who, &key, &text) {
                    Ok(()) => format!("{name} has joined."),
                    Err(why) => format!("{name} knows the code but cannot join: {why}"),
                };
                return tell(None, words, false);
            }
            Word::Failed(why) => return tell(None, why, false),
            _ => return tell(None, "The router answers something else than it was asked.".into(), false),
        }
    }
}

/// Puts the document with both nodes in force.
fn take_in(
    editor: &dyn Editor,
    config: &Valid<Config>,
    who: &Author,
    key: &str,
    text: &str,
) -> Result<(), String> {
    let newcomer = serde_json::from_str::<Newcomer>(text).ok();
    let newcomer =
        newcomer.filter(|newcomer| newcomer.node.public_key.is_some_and(|own| own.to_string() == key));
    let newcomer = newcomer.ok_or("it says nothing sensible of itself; is it of another release?")?;
    let words =
        |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let merged = documents::join(config, &newcomer).map_err(words)?;
    editor.adopt(who, merged).map_err(|rejected| match rejected {
        Rejected::Failed(why) => why,
        Rejected::Problems(problems) => words(problems),
        Rejected::Stale | Rejected::Gone | Rejected::NotHere => {
            "the configuration has changed meanwhile; show another code".into()
        }
    })
}

/// `POST /system/pair/role`
pub(super) async fn give_role(State(site): State<Site>, visitor: Visitor, posted: Posted) -> Response {
    let Some(Request::Role(wanted)) = wish(posted.get("do")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(seat) = site.pair.clone() else { return rejection(Rejected::NotHere) };
    let done = tokio::task::spawn_blocking(move || (seat.role)(wanted)).await;
    match done.unwrap_or_else(|_| Err("The router does not answer.".into())) {
        Ok(()) => {
            site.note(&visitor.account.name, visitor.from, format!("asked this node to {wanted}"));
            Redirect::to(PAIRING).into_response()
        }
        Err(why) => refuse(&site, &visitor, vec![why]).await,
    }
}
