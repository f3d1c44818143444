//! Pairing as the control socket knows it: words from the role thread become words for whoever has asked.

use std::sync::mpsc::{Receiver, sync_channel};

use super::entropy::System;
use super::helm_thread::PairingListener;
use super::pair_threads::PairHandle;
use super::request::{PairingWord, Response};
use crate::cluster::Code;
use crate::cluster::pairing::Party;
use crate::config::pairing::Newcomer;
use crate::node::{Compiled, PairingNews, PairingOrder};
use crate::types::PublicKey;
use crate::wire::pair::Version;

/// Both nodes of a new pair speak this.
const VERSION: u16 = Version::NEWEST.0;

/// Words that may wait: there are never more.
const WORDS: usize = 16;

/// A pairing that somebody listens to; it ends when he leaves.
pub struct Listening {
    /// What happens. The end of it: another pairing has been begun.
    pub words: Receiver<Response>,
    pair: PairHandle,
}

impl Listening {
    /// Whoever has begun the pairing wants it no more.
    pub fn withdraw(&self) {
        self.pair.pairing(PairingOrder::Close, Box::new(drop));
    }
}

/// Lets whoever knows a new code join.
pub fn offer(pair: &PairHandle, compiled: &Compiled) -> Listening {
    let code = Code::generate(&mut System);
    let own = party(compiled, compiled.config.to_toml()).encode();
    let first = Response::Pairing(PairingWord::Offered { code: code.to_string() });
    begin(pair, PairingOrder::Offer { code, own }, Some(first))
}

/// Joins whoever shows the code.
///
/// # Errors
/// When it cannot be a code, or when the newcomer has no text form.
pub fn join(
    pair: &PairHandle,
    compiled: &Compiled,
    code: &str,
    newcomer: &Newcomer,
) -> Result<Listening, String> {
    let code: Code = code.parse().map_err(|error| format!("{error}"))?;
    let text = serde_json::to_string(newcomer).map_err(|error| error.to_string())?;
    let own = party(compiled, text).encode();
    Ok(begin(pair, PairingOrder::Join { code, own }, None))
}

fn party(compiled: &Compiled, text: String) -> Party {
    Party { version: VERSION, name: compiled.config.node_part(compiled.node).name.clone(), text }
}

fn begin(pair: &PairHandle, order: PairingOrder, first: Option<Response>) -> Listening {
    let (sender, words) = sync_channel(WORDS);
    if let Some(first) = first {
        // There is room for the first one.
        let _ = sender.try_send(first);
    }
    // When nobody listens any more, it need not be told.
    let listener: PairingListener = Box::new(move |news| drop(sender.try_send(word(news))));
    pair.pairing(order, listener);
    Listening { words, pair: pair.clone() }
}

fn word(news: PairingNews) -> Response {
    match news {
        PairingNews::WrongCode(left) => Response::Pairing(PairingWord::WrongCode { left }),
        PairingNews::Failed(failure) => Response::Failed(failure.to_string()),
        PairingNews::Paired { peer, payload } => paired(peer, &payload),
    }
}

fn paired(key: PublicKey, payload: &[u8]) -> Response {
    match Party::decode(payload) {
        Some(Party { version: VERSION, name, text }) => {
            Response::Pairing(PairingWord::Paired { name, key: key.to_string(), text })
        }
        Some(Party { version, name, text: _ }) => Response::Failed(format!(
            "{name} speaks version {version} of the pair's protocols, this node version {VERSION}; install the same \
             release on both and begin anew"
        )),
        None => Response::Failed("the other node is of a release that this one does not understand".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_refused_in_plain_words() {
        let party = |version| Party { version, name: "beta".into(), text: "text".into() }.encode();
        let words = |payload: Vec<u8>| paired(PublicKey([1; 32]), &payload);
        assert!(matches!(words(party(VERSION)), Response::Pairing(PairingWord::Paired { .. })));
        let Response::Failed(why) = words(party(VERSION + 1)) else { panic!("refused") };
        assert!(why.contains("beta speaks version 3") && why.contains("same release"), "{why}");
        assert!(matches!(words(vec![0xff; 3]), Response::Failed(_)));
    }
}
