//! Both nodes of a pair come to know each other's tokens: at each change, and again now and then.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::clock;
use super::desk::Desk;

/// How often it looks whether the peer can be told what it does not know yet.
const LOOK: Duration = Duration::from_secs(5);
/// Nodes that know the same compare this often: one of them may have been restored from a backup.
const AGAIN: Duration = Duration::from_secs(60);

/// Starts, in a thread of its own that ends with the desk.
///
/// # Errors
/// When there can be no other thread.
pub fn start(desk: &Arc<Desk>) -> io::Result<()> {
    let (desk, store) = (Arc::downgrade(desk), desk.token_store());
    let exchanging = move || {
        let (mut known, mut again) = (0, clock::now());
        loop {
            store.wait(known, LOOK);
            let Some(desk) = desk.upgrade() else { return };
            let changes = store.all().1;
            if changes == known && clock::now() < again {
                continue;
            }
            // A peer that could not be told is looked for at the next look: what is new stays unknown to it until then.
            if desk.share_tokens() != Some(false) {
                (known, again) = (store.all().1, clock::now() + AGAIN);
            } else {
                known = changes;
                again = clock::now() + LOOK;
            }
        }
    };
    std::thread::Builder::new().name("tokens".into()).spawn(exchanging).map(drop)
}
