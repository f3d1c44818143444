//! Who waits for parcels: those that were sent, and those that may come.

use std::collections::BTreeMap;

use crate::cluster::parcel::{Event, Kind, ParcelId};

/// What became of a parcel that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// The peer has it.
    Delivered,
    /// The peer is away; it may have it all the same.
    Failed,
    /// Too much waits already, or it is too long; the peer does not have it.
    Refused,
}

/// Called once, in the replica thread: it must not wait.
pub type Done = Box<dyn FnOnce(Fate) + Send>;
/// Called with each parcel of a kind, in the replica thread: it must not wait.
pub type Listener = Box<dyn FnMut(Vec<u8>) + Send>;

/// See the module. The queue of parcels bounds those that wait, the number of kinds the listeners.
#[derive(Default)]
pub(super) struct Post {
    sent: BTreeMap<ParcelId, Done>,
    listeners: BTreeMap<Kind, Listener>,
    /// Parcels of a kind that nobody listens to.
    pub unclaimed: u64,
}

impl Post {
    /// Whoever listened to this kind before hears no more.
    pub fn listen(&mut self, kind: Kind, listener: Listener) {
        self.listeners.insert(kind, listener);
    }

    pub fn sent(&mut self, id: ParcelId, done: Done) {
        self.sent.insert(id, done);
    }

    pub fn deliver(&mut self, event: Event) {
        match event {
            Event::Arrived { kind, bytes } => match self.listeners.get_mut(&kind) {
                Some(listener) => listener(bytes),
                None => self.unclaimed += 1,
            },
            Event::Delivered(id) => self.settle(id, Fate::Delivered),
            Event::Failed(id) => self.settle(id, Fate::Failed),
        }
    }

    fn settle(&mut self, id: ParcelId, fate: Fate) {
        if let Some(done) = self.sent.remove(&id) {
            done(fate);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn whoever_waits_is_called() {
        let (said, heard) = channel();
        let mut post = Post::default();
        let done = |said: std::sync::mpsc::Sender<String>| -> Done {
            Box::new(move |fate| said.send(format!("{fate:?}")).unwrap())
        };
        post.sent(ParcelId(1), done(said.clone()));
        post.sent(ParcelId(2), done(said.clone()));
        post.listen(Kind::UPGRADE, Box::new(move |bytes| said.send(format!("{bytes:?}")).unwrap()));
        post.deliver(Event::Failed(ParcelId(2)));
        post.deliver(Event::Arrived { kind: Kind::UPGRADE, bytes: vec![7] });
        post.deliver(Event::Arrived { kind: Kind(99), bytes: vec![8] });
        post.deliver(Event::Delivered(ParcelId(1)));
        post.deliver(Event::Delivered(ParcelId(1)));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["Failed", "[7]", "Delivered"]);
        assert_eq!((post.unclaimed, post.sent.len()), (1, 0));
    }
}
