//! How users want their pages, kept in the state directory and shared with the other node: whoever has changed something last
//! is right.
//!
//! Invariant: bounded; whoever has changed nothing for longest makes room.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::site::lock;
use crate::io::files;

/// Users whose wishes are kept.
const USERS: usize = 64;
/// Bytes of the longest name.
const NAME: usize = 64;
/// Bytes of the largest file that is read.
const FILE: u64 = 1 << 20;

/// What a user wants.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Preferred {
    pub user: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    pub layout: Layout,
}

/// See the module.
#[derive(Default)]
pub(super) struct Preferences {
    /// Where they are kept; in memory alone when absent.
    file: Option<PathBuf>,
    known: Mutex<BTreeMap<String, Preferred>>,
}

impl Preferences {
    /// Those of a file. One that cannot be read is no reason not to serve pages.
    pub fn open(file: PathBuf) -> Preferences {
        let small = std::fs::metadata(&file).is_ok_and(|metadata| metadata.len() <= FILE);
        let text = if small { std::fs::read(&file).unwrap_or_default() } else { Vec::new() };
        let preferences = Preferences { file: Some(file), known: Mutex::default() };
        let kept: Vec<Preferred> = serde_json::from_slice(&text).unwrap_or_default();
        let mut known = lock(&preferences.known);
        kept.into_iter().for_each(|preferred| put(&mut known, preferred));
        drop(known);
        preferences
    }

    /// How this user wants the dashboard.
    pub fn layout(&self, user: &str) -> Option<Layout> {
        lock(&self.known).get(user).map(|preferred| preferred.layout.clone())
    }

    /// When this user says something now: later than what was said before, also within the same millisecond or after a
    /// clock was put back.
    pub fn next(&self, user: &str, now_ms: u64) -> u64 {
        lock(&self.known).get(user).map_or(now_ms, |before| now_ms.max(before.at_ms + 1))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Preferred> {
        lock(&self.known).values().cloned().collect()
    }

    /// Takes over what the other node knows, or what a user has said just now.
    pub fn adopt(&self, preferred: Preferred) {
        let text = {
            let mut known = lock(&self.known);
            let is_news = known.get(&preferred.user).is_none_or(|before| before.at_ms < preferred.at_ms);
            if !is_news || preferred.user.len() > NAME {
                return;
            }
            put(&mut known, preferred);
            serde_json::to_vec(&known.values().collect::<Vec<_>>())
        };
        if let (Some(file), Ok(text)) = (&self.file, text)
            && let Err(error) = files::write_atomically(file, &text)
        {
            tracing::warn!(%error, "how users want their pages cannot be kept");
        }
    }
}

fn put(known: &mut BTreeMap<String, Preferred>, mut preferred: Preferred) {
    preferred.layout = preferred.layout.sane();
    known.insert(preferred.user.clone(), preferred);
    if known.len() > USERS
        && let Some(oldest) = known.values().min_by_key(|preferred| preferred.at_ms)
    {
        let oldest = oldest.user.clone();
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::layout::Widget;

    fn of(user: &str, at_ms: u64, columns: u8) -> Preferred {
        Preferred { user: user.into(), at_ms, layout: Layout { columns, ..Layout::default() } }
    }

    #[test]
    fn what_was_said_last_is_kept_across_a_restart_and_bounded() {
        let file = std::env::temp_dir().join(format!("koi-test-preferences-{}", std::process::id()));
        let preferences = Preferences::open(file.clone());
        preferences.adopt(of("ada", 10, 3));
        preferences.adopt(of("ada", 9, 1));
        assert_eq!(
            (preferences.next("ada", 10), preferences.next("ada", 12), preferences.next("eva", 3)),
            (11, 12, 3)
        );
        assert_eq!(preferences.layout("ada").map(|layout| layout.columns), Some(3));
        assert_eq!(preferences.layout("otto"), None);
        let again = Preferences::open(file.clone());
        assert_eq!(again.all(), preferences.all());
        for number in 0..100 {
            again.adopt(of(&format!("user{number}"), 100 + number, 9));
        }
        assert_eq!((again.all().len(), again.layout("ada")), (USERS, None));
        let kept = again.layout("user99").unwrap();
        assert!(kept.columns <= 4 && kept.tiles.iter().any(|tile| tile.widget == Widget::System));
        again.adopt(of(&"x".repeat(NAME + 1), 999, 1));
        assert_eq!(again.all().len(), USERS);
        std::fs::write(&file, "nonsense").unwrap();
        assert!(Preferences::open(file.clone()).all().is_empty());
        let _ = std::fs::remove_file(file);
    }
}
